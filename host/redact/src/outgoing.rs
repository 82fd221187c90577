//! The last check before bytes leave: none of the incident's originals is in them.
//!
//! Invariant: an original of [`MIN_ORIGINAL_BYTES`](crate::MIN_ORIGINAL_BYTES) and more is found wherever it stands in
//! the outgoing bytes: in either case, under percent, form or JSON escapes (each also twice), and in base64 at any
//! alignment. A [`Leak`] names pseudonym and encoding, never the value.
//!
//! The check is a net under the gate, not a second gate: it knows only what has been masked before.
//!
//! How: the bytes are looked at as they are and decoded, each view with the base64 in it; a view that decoding does not
//! change is left out.

use std::borrow::Cow;
use std::ops::Range;

use crate::encoding::{Decoder, Encoding, sextet};

/// A known original is in the outgoing bytes. What it is appears nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value behind {label} would leave in {encoding}")]
pub struct Leak {
    /// Its pseudonym.
    pub label: String,
    /// The form in which it was found.
    pub encoding: Encoding,
}

/// Shortest run of base64 that holds a value.
const SHORTEST_RUN: usize = 6;

/// Bytes as they are, or decoded; and where in the source each of them came from.
pub(crate) struct View<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) encoding: Encoding,
    places: Places,
}

/// Where the bytes of a view came from.
enum Places {
    /// They are the source.
    Same,
    /// Start and end of each.
    Each(Vec<(usize, usize)>),
    /// All of them from one run.
    Run(Range<usize>),
}

impl View<'_> {
    /// Where a part of the view came from.
    pub(crate) fn source(&self, part: Range<usize>) -> Range<usize> {
        match &self.places {
            Places::Same => part,
            Places::Run(run) => run.clone(),
            Places::Each(places) => {
                let start = places.get(part.start).map_or(0, |place| place.0);
                start..part.end.checked_sub(1).and_then(|last| places.get(last)).map_or(start, |place| place.1)
            }
        }
    }
}

/// Look at the bytes and at each of their decoded views, until `look` finds something.
pub(crate) fn each_view<T>(bytes: &[u8], mut look: impl FnMut(&View<'_>) -> Option<T>) -> Option<T> {
    let mut look = |view: &View<'_>| look(view).or_else(|| each_base64(view, &mut look));
    let source = View { bytes: Cow::Borrowed(bytes), encoding: Encoding::Plain, places: Places::Same };
    look(&source).or_else(|| {
        let (url, form, json) = (Decoder::percent(false), Decoder::percent(true), Decoder::json());
        let chains = [
            (Encoding::Url, [Some(&url), None]),
            (Encoding::Form, [Some(&form), None]),
            (Encoding::Json, [Some(&json), None]),
            (Encoding::Url, [Some(&url), Some(&url)]),
            (Encoding::Json, [Some(&json), Some(&json)]),
            (Encoding::Json, [Some(&json), Some(&url)]),
            (Encoding::Json, [Some(&json), Some(&form)]),
        ];
        chains.into_iter().find_map(|(encoding, chain)| {
            let mut decoded = None;
            for decoder in chain.into_iter().flatten() {
                // A step that changes nothing makes a view that was looked at already.
                decoded = Some(decode(decoder, decoded.as_ref().unwrap_or(&source), encoding)?);
            }
            look(&decoded?)
        })
    })
}

/// A view decoded; nothing where it holds no escape of this kind.
fn decode(decoder: &Decoder, view: &View<'_>, encoding: Encoding) -> Option<View<'static>> {
    if !view.bytes.iter().any(|byte| decoder.wakes_on(*byte)) {
        return None;
    }
    let (mut decoder, mut bytes) = (decoder.clone(), Vec::with_capacity(view.bytes.len()));
    let mut places = Vec::with_capacity(view.bytes.len());
    let mut begun = 0;
    for (at, byte) in view.bytes.iter().enumerate() {
        decoder.step(*byte, &mut bytes);
        if bytes.len() > places.len() {
            let source = view.source(begun..at + 1);
            places.resize(bytes.len(), (source.start, source.end));
            begun = at + 1;
        }
    }
    decoder.flush(&mut bytes);
    let source = view.source(begun..view.bytes.len());
    places.resize(bytes.len(), (source.start, source.end));
    Some(View { bytes: Cow::Owned(bytes), encoding, places: Places::Each(places) })
}

/// Look at the runs of base64 in a view, each decoded from every character that a group could begin with. All of a run
/// is where its bytes came from.
fn each_base64<T>(view: &View<'_>, look: &mut impl FnMut(&View<'_>) -> Option<T>) -> Option<T> {
    let (mut run, mut bytes) = (Vec::new(), Vec::new());
    let (mut begun, mut ended) = (0, 0);
    // Encoders break lines; anything else ends a run, and so does the end.
    for (at, byte) in view.bytes.iter().map(Some).chain([None]).enumerate() {
        match byte.map(|byte| (sextet(*byte), byte)) {
            Some((Some(sextet), _)) => {
                if run.is_empty() {
                    begun = at;
                }
                run.push(sextet);
                ended = at + 1;
            }
            Some((None, b'\r' | b'\n')) => {}
            _ => {
                if run.len() >= SHORTEST_RUN {
                    for phase in 0..4 {
                        bytes.clear();
                        sextets(run.get(phase..).unwrap_or_default(), &mut bytes);
                        let places = Places::Run(view.source(begun..ended));
                        let found = look(&View { bytes: Cow::Borrowed(&bytes), encoding: Encoding::Base64, places });
                        if found.is_some() {
                            return found;
                        }
                    }
                }
                run.clear();
            }
        }
    }
    None
}

/// Whole bytes of a run of sextets.
fn sextets(run: &[u32], decoded: &mut Vec<u8>) {
    for group in run.chunks(4) {
        let bits = group.iter().fold(0, |bits, sextet| bits << 6 | sextet) << (6 * (4 - group.len()));
        let [_, bytes @ ..] = bits.to_be_bytes();
        decoded.extend_from_slice(bytes.get(..group.len() - 1).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
    use proptest::prelude::*;

    use super::*;
    use crate::pseudonym::is_part_of_labels;
    use crate::{Kind, MIN_ORIGINAL_BYTES, Pseudonyms};

    /// Checks against values of one kind, numbered from 1.
    struct Check(Pseudonyms);

    impl Check {
        fn check(&self, bytes: &[u8]) -> Result<(), Leak> {
            self.0.check_outgoing(bytes, |_| false)
        }
    }

    fn check(originals: &[&str]) -> Check {
        book(originals.iter().map(|original| ("JWT", *original)))
    }

    fn book<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Check {
        let mut book = Pseudonyms::new();
        for (kind, original) in values {
            let _ = book.label_for(&Kind::new(kind), original);
        }
        Check(book)
    }

    #[test]
    fn a_leak_names_label_and_encoding_only() {
        let leak = check(&["nothing", "hunter2!"]).check(b"?q=HUNTER2%21").unwrap_err();
        assert_eq!(leak.to_string(), "the value behind [JWT-2] would leave in URL encoding");
    }

    #[test]
    fn short_originals_labels_and_their_parts_are_no_leaks() {
        let check =
            book([("PASSWORD", "abc"), ("PSEUDONYM", "[EMAIL-1]"), ("USERNAME", "mail"), ("USERNAME", "  \t  ")]);
        assert_eq!(check.check(b"[EMAIL-1] abc [PASSWORD-1]     \t  "), Ok(()));
    }

    #[test]
    fn known_forms() {
        let one = check(&["a b+c\"é"]);
        for (text, encoding) in [
            ("x A B+C\"é", Encoding::Plain),
            ("a%20b%2Bc%22%C3%A9", Encoding::Url),
            ("a%20b%2bc%22%c3%a9", Encoding::Url),
            ("a%2520b%252Bc%2522%25C3%25A9", Encoding::Url),
            ("a+b%2Bc%22%C3%A9", Encoding::Form),
            ("a b+c\\\"é", Encoding::Json),
            ("a b+c\\\"\\u00e9", Encoding::Json),
            ("\\u0061 \\u0062+c\\\"\\u00E9", Encoding::Json),
            ("a b+c\\\\\\\"\\\\u00e9", Encoding::Json),
        ] {
            let leak = one.check(text.as_bytes()).unwrap_err();
            assert_eq!(leak.encoding, encoding, "{text}");
            assert_eq!(one.check(&text.as_bytes()[1..]).is_ok(), !text.starts_with('x'), "{text}");
        }
    }

    #[test]
    fn wrapped_and_escaped_base64_is_found() {
        let original = "correct horse battery staple???>>>";
        let one = check(&[original]);
        let encoded = BASE64.encode(format!("..{original}..").as_bytes());
        assert!(encoded.contains('/'));
        let wrapped: String =
            encoded.as_bytes().chunks(10).map(|line| format!("{}\r\n", str::from_utf8(line).unwrap())).collect();
        let escaped = serde_json::to_string(&wrapped).unwrap().replace('/', "\\/");
        for text in [wrapped, escaped, encoded.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D")] {
            assert_eq!(one.check(text.as_bytes()).unwrap_err().encoding, Encoding::Base64, "{text}");
        }
    }

    #[test]
    fn what_is_left_out_may_leave() {
        let check = check(&["hunter2!"]);
        assert!(check.check(b"hunter2!").is_err());
        assert_eq!(check.0.check_outgoing(b"hunter2!", |original| original == "hunter2!"), Ok(()));
    }

    #[test]
    fn no_originals_no_leak() {
        assert_eq!(check(&[]).check(b"anything % \\u0041"), Ok(()));
    }

    fn json_escaped(text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    }

    fn form_escaped(text: &str) -> String {
        text.bytes()
            .map(|b| match b {
                b' ' => "+".to_owned(),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
                _ => format!("%{b:02X}"),
            })
            .collect()
    }

    /// Every encoder that the check promises to see through.
    fn encoded(original: &str, how: usize, pad: &str) -> String {
        let padded = format!("{pad}{original}{pad}");
        match how {
            0 => original.to_owned(),
            1 => original.to_ascii_uppercase(),
            2 => original.bytes().map(|b| format!("%{b:02X}")).collect(),
            3 => original.bytes().map(|b| format!("%{b:02x}")).collect(),
            4 => form_escaped(original),
            5 => form_escaped(original).replace('+', "%20"),
            6 => json_escaped(original),
            7 => json_escaped(original).replace('/', "\\/"),
            8 => original.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            9 => json_escaped(&json_escaped(original)),
            10 => form_escaped(&form_escaped(original).replace('+', "%20")),
            11 => BASE64.encode(padded.as_bytes()),
            12 => BASE64_NOPAD.encode(padded.as_bytes()),
            13 => BASE64URL.encode(padded.as_bytes()),
            14 => BASE64URL_NOPAD.encode(padded.as_bytes()),
            15 => BASE64.encode(original.to_ascii_uppercase().as_bytes()),
            _ => json_escaped(&form_escaped(original)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn any_planted_encoding_is_found(
            original in "[a-zA-Z0-9@./:+=\"\\\\%é😀\n -]{4,24}",
            how in 0usize..17,
            pad in "[a-z]{0,5}",
            before in "([a-z %+\\\\\"=/]|%2|\\\\u00){0,12}[ .!]",
            after in "[ .!][a-z %+\\\\\"=/]{0,12}",
        ) {
            prop_assume!(original.trim().len() >= MIN_ORIGINAL_BYTES && !is_part_of_labels(original.trim()));
            let text = format!("{before}{}{after}", encoded(&original, how, &pad));
            let one = check(&["unrelated", &original]);
            let whole = one.check(text.as_bytes());
            prop_assert!(whole.is_err(), "{text:?}");
            prop_assert!(!whole.as_ref().unwrap_err().to_string().contains(&original));
        }

        #[test]
        fn what_is_masked_as_known_passes_the_check(
            original in "[a-zA-Z0-9@./:+=\"\\\\%é😀\n -]{4,24}",
            how in 0usize..17,
            pad in "[a-z]{0,5}",
            before in "([a-z é%+\\\\\"=/]|%2|\\\\u00){0,12}[ .!]",
            after in "[ .!][a-z é%+\\\\\"=/]{0,12}",
        ) {
            let text = format!("{before}{}{after}", encoded(&original, how, &pad));
            let one = check(&["unrelated", &original]);
            let mut masked = text.clone();
            let mut known: Vec<_> = one.0.known_in(&text, |_| false).into_iter().map(|known| known.range).collect();
            known.sort_unstable_by_key(|range| std::cmp::Reverse((range.start, range.end)));
            for range in known {
                // Every range is one of whole characters; they may lie in one another.
                let _ = &text[range.clone()];
                if masked.get(range.clone()).is_some() {
                    masked.replace_range(range.clone(), &"#".repeat(range.len()));
                }
            }
            prop_assert_eq!(one.check(masked.as_bytes()), Ok(()), "{}", masked);
        }

        #[test]
        fn a_view_that_is_left_out_misses_nothing(text in "([a-d%+]|\\\\u006|%6|1|2|\\\\|YWJj|ZA){0,40}") {
            let one = check(&["abcd", "dcba", "a+b%"]);
            let decoders = [
                vec![Decoder::percent(false)], vec![Decoder::percent(true)], vec![Decoder::json()],
                vec![Decoder::json(), Decoder::percent(false)],
            ];
            let contains = |bytes: &[u8]| ["abcd", "dcba", "a+b%"].iter()
                .any(|one| bytes.windows(4).any(|window| window == one.as_bytes()));
            let mut expected = contains(text.as_bytes());
            for chain in decoders {
                let mut bytes = text.clone().into_bytes();
                for mut decoder in chain {
                    let mut output = Vec::new();
                    bytes.iter().for_each(|byte| decoder.step(*byte, &mut output));
                    decoder.flush(&mut output);
                    bytes = output;
                }
                expected |= contains(&bytes);
            }
            prop_assert!(one.check(text.as_bytes()).is_err() || !expected);
        }

        #[test]
        fn ordinary_text_passes(text in "[e-z0-9 .\n]{0,300}") {
            prop_assert_eq!(check(&["ABCD-ABCD", "b@d.c"]).check(text.as_bytes()), Ok(()));
        }
    }
}
