//! The last check before bytes leave: none of the incident's originals is in them.
//!
//! Invariant: an original of [`MIN_ORIGINAL_BYTES`] and more is found wherever it stands in the outgoing bytes: in
//! either case, under percent, form or JSON escapes (each also twice), in base64 at any alignment, and however the
//! bytes are cut into chunks. A [`Leak`] names pseudonym and encoding, never the value.
//!
//! The check is a net under the gate, not a second gate: it knows only what has been masked before.
//!
//! How: one automaton over all originals, and several views of the bytes (as they are, and decoded), each with a state
//! in it. A view that decodes is asleep while it would be in the same state as the plain one, so that ordinary text
//! costs one view and its base64.

use std::sync::Arc;

use aho_corasick::automaton::Automaton;
use aho_corasick::automaton::StateID;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind, PatternID};

use crate::encoding::{Decoder, Encoding, sextet};
use crate::{Kind, Label};

/// Shorter originals are not looked for: they would be found by chance in every longer text.
pub const MIN_ORIGINAL_BYTES: usize = 4;

/// A known original is in the outgoing bytes. What it is appears nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value behind {label} would leave in {encoding}")]
pub struct Leak {
    /// Its pseudonym.
    pub label: String,
    /// The form in which it was found.
    pub encoding: Encoding,
}

/// The originals are too many or too long for one automaton (some 2 GiB). Nothing may leave then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the incident's originals are too large to be checked against")]
pub struct CheckTooLarge;

/// Looks for an incident's originals. Cheap to clone; build it anew when the book has grown.
#[derive(Clone)]
pub struct OutgoingCheck(Arc<Originals>);

struct Originals {
    automaton: NFA,
    start: StateID,
    /// By pattern.
    labels: Vec<String>,
}

impl OutgoingCheck {
    /// A check for these labels and their originals. Blanks around an original do not count. Left out are originals
    /// below [`MIN_ORIGINAL_BYTES`], raw text that looked like a pseudonym ([`Kind::PSEUDONYM`]), and originals that
    /// are a part of every label of some known kind (`mail`, `user`): in the output they are not values.
    pub fn new<L: Into<String>, O: AsRef<str>>(
        originals: impl IntoIterator<Item = (L, O)>,
    ) -> Result<Self, CheckTooLarge> {
        let mut labels = Vec::new();
        let mut patterns = Vec::new();
        for (label, original) in originals {
            let label = label.into();
            let original = original.as_ref().trim();
            let lookalike = Label::parse(&label).is_some_and(|label| label.kind == Kind::PSEUDONYM);
            if original.len() >= MIN_ORIGINAL_BYTES && !lookalike && !is_part_of_labels(original) {
                patterns.push(original.to_owned());
                labels.push(label);
            }
        }
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&patterns)
            .map_err(|_| CheckTooLarge)?;
        let start = automaton.start_state(Anchored::No).map_err(|_| CheckTooLarge)?;
        Ok(Self(Arc::new(Originals { automaton, start, labels })))
    }

    /// Check bytes that leave at once.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Leak> {
        let mut stream = self.stream();
        stream.feed(bytes)?;
        stream.finish()
    }

    /// Check bytes that leave in chunks.
    #[must_use]
    pub fn stream(&self) -> StreamCheck {
        StreamCheck::new(Arc::clone(&self.0))
    }
}

/// Whether a value cannot be told from the names in our own labels.
fn is_part_of_labels(original: &str) -> bool {
    let upper = original.to_ascii_uppercase();
    Kind::known().any(|kind| format!("[{kind}-").contains(&upper))
}

/// The check of one stream. A chunk that passed may already be gone when a later one completes a value, so send
/// nothing more after the first [`Leak`]; what must not leave even in part is checked whole.
pub struct StreamCheck {
    originals: Arc<Originals>,
    plain: Matcher,
    views: Vec<View>,
    decoded: Vec<u8>,
    next: Vec<u8>,
}

/// The bytes after some decoding.
struct View {
    encoding: Encoding,
    chain: Vec<Decoder>,
    matcher: Matcher,
    awake: bool,
}

impl StreamCheck {
    fn new(originals: Arc<Originals>) -> Self {
        let plain = Matcher::new(originals.start);
        let view = |encoding, chain: Vec<Decoder>| View {
            encoding,
            chain,
            matcher: Matcher::new(originals.start),
            awake: false,
        };
        let (url, form, json) = (Decoder::percent(false), Decoder::percent(true), Decoder::json());
        let views = vec![
            view(Encoding::Url, vec![url.clone()]),
            view(Encoding::Form, vec![form.clone()]),
            view(Encoding::Json, vec![json.clone()]),
            view(Encoding::Url, vec![url.clone(), url.clone()]),
            view(Encoding::Json, vec![json.clone(), json.clone()]),
            view(Encoding::Json, vec![json.clone(), url]),
            view(Encoding::Json, vec![json, form]),
        ];
        Self { originals, plain, views, decoded: Vec::new(), next: Vec::new() }
    }

    /// The next chunk.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Leak> {
        if self.originals.labels.is_empty() {
            return Ok(());
        }
        chunk.iter().try_for_each(|byte| self.step(*byte))
    }

    /// The stream is over. Values at its very end show only now.
    pub fn finish(mut self) -> Result<(), Leak> {
        let originals = Arc::clone(&self.originals);
        self.plain.end_run(&originals).map_or(Ok(()), |hit| hit.leak(&originals, Encoding::Plain))?;
        for view in self.views.iter_mut().filter(|view| view.awake) {
            self.decoded.clear();
            for index in 0..view.chain.len() {
                let mut held = Vec::new();
                if let Some(decoder) = view.chain.get_mut(index) {
                    decoder.flush(&mut held);
                }
                for byte in held {
                    decode(
                        view.chain.get_mut(index + 1..).unwrap_or_default(),
                        byte,
                        &mut self.decoded,
                        &mut self.next,
                    );
                }
            }
            view.match_decoded(&originals, &self.decoded)?;
            view.matcher.end_run(&originals).map_or(Ok(()), |hit| hit.leak(&originals, view.encoding))?;
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), Leak> {
        let originals = Arc::clone(&self.originals);
        if matches!(byte, b'%' | b'+' | b'\\') {
            for view in self.views.iter_mut().filter(|view| !view.awake) {
                if view.chain.iter().any(|decoder| decoder.wakes_on(byte)) {
                    view.awake = true;
                    view.matcher = self.plain.clone();
                }
            }
        }
        if let Some(hit) = self.plain.feed(&originals, byte) {
            return hit.leak(&originals, Encoding::Plain);
        }
        for view in self.views.iter_mut().filter(|view| view.awake) {
            self.decoded.clear();
            decode(&mut view.chain, byte, &mut self.decoded, &mut self.next);
            view.match_decoded(&originals, &self.decoded)?;
            view.awake = view.matcher != self.plain || !view.chain.iter().all(Decoder::is_idle);
        }
        Ok(())
    }
}

impl View {
    fn match_decoded(&mut self, originals: &Originals, decoded: &[u8]) -> Result<(), Leak> {
        for byte in decoded {
            if let Some(hit) = self.matcher.feed(originals, *byte) {
                return hit.leak(originals, self.encoding);
            }
        }
        Ok(())
    }
}

/// One byte through a chain of decoders.
fn decode(chain: &mut [Decoder], byte: u8, output: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    match chain {
        [] => output.push(byte),
        [only] => only.step(byte, output),
        [first, rest @ ..] => {
            let mut decoded = std::mem::take(scratch);
            decoded.clear();
            first.step(byte, &mut decoded);
            for byte in &decoded {
                decode(rest, *byte, output, scratch);
            }
            *scratch = decoded;
        }
    }
}

/// A match.
struct Hit {
    pattern: PatternID,
    base64: bool,
}

impl Hit {
    fn leak(&self, originals: &Originals, encoding: Encoding) -> Result<(), Leak> {
        let label = originals.labels.get(self.pattern.as_usize()).cloned().unwrap_or_default();
        Err(Leak { label, encoding: if self.base64 { Encoding::Base64 } else { encoding } })
    }
}

/// Where one view of the bytes stands: in the text, and in a run of base64, which is decoded from each of the four
/// characters that a group could begin with.
#[derive(Clone, PartialEq, Eq)]
struct Matcher {
    start: StateID,
    state: StateID,
    /// The last four sextets of the run.
    sextets: u32,
    /// Characters of the run.
    run: usize,
    phases: [StateID; 4],
}

impl Matcher {
    const fn new(start: StateID) -> Self {
        Self { start, state: start, sextets: 0, run: 0, phases: [start; 4] }
    }

    fn feed(&mut self, originals: &Originals, byte: u8) -> Option<Hit> {
        let hit = advance(originals, &mut self.state, byte).map(|pattern| Hit { pattern, base64: false });
        hit.or_else(|| match sextet(byte) {
            Some(sextet) => self.feed_sextet(originals, sextet),
            // encoders break lines
            None if matches!(byte, b'\r' | b'\n') => None,
            None => self.end_run(originals),
        })
    }

    fn feed_sextet(&mut self, originals: &Originals, sextet: u32) -> Option<Hit> {
        self.sextets = (self.sextets << 6 | sextet) & 0xFF_FFFF;
        self.run += 1;
        if self.run < 4 {
            return None;
        }
        let [_, bytes @ ..] = self.sextets.to_be_bytes();
        self.feed_phase(originals, self.run % 4, &bytes)
    }

    /// A character that is not base64: what is left of an unfinished group counts, too.
    fn end_run(&mut self, originals: &Originals) -> Option<Hit> {
        if self.run == 0 {
            return None;
        }
        let mut hit = None;
        for phase in 0..4_usize.min(self.run) {
            let left = (self.run - phase) % 4;
            let [_, bytes @ ..] = (self.sextets << (6 * (4 - left)) & 0xFF_FFFF).to_be_bytes();
            let whole = left.saturating_sub(1);
            hit = hit.or_else(|| self.feed_phase(originals, phase, bytes.get(..whole).unwrap_or_default()));
        }
        *self = Self { state: self.state, ..Self::new(self.start) };
        hit
    }

    fn feed_phase(&mut self, originals: &Originals, phase: usize, bytes: &[u8]) -> Option<Hit> {
        let state = self.phases.get_mut(phase)?;
        let pattern = bytes.iter().find_map(|byte| advance(originals, state, *byte))?;
        Some(Hit { pattern, base64: true })
    }
}

/// One byte further in the automaton.
fn advance(originals: &Originals, state: &mut StateID, byte: u8) -> Option<PatternID> {
    let automaton = &originals.automaton;
    *state = automaton.next_state(Anchored::No, *state, byte);
    (automaton.is_special(*state) && automaton.is_match(*state)).then(|| automaton.match_pattern(*state, 0))
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
    use proptest::prelude::*;

    use super::*;

    fn check(originals: &[&str]) -> OutgoingCheck {
        let labelled = originals.iter().enumerate().map(|(index, one)| (format!("[JWT-{}]", index + 1), *one));
        OutgoingCheck::new(labelled).unwrap()
    }

    #[test]
    fn a_leak_names_label_and_encoding_only() {
        let leak = check(&["nothing", "hunter2!"]).check(b"?q=HUNTER2%21").unwrap_err();
        assert_eq!(leak.to_string(), "the value behind [JWT-2] would leave in URL encoding");
    }

    #[test]
    fn short_originals_labels_and_their_parts_are_no_leaks() {
        let check = OutgoingCheck::new([
            ("[PASSWORD-1]", "abc"),
            ("[PSEUDONYM-1]", "[EMAIL-1]"),
            ("[USERNAME-1]", "mail"),
            ("[USERNAME-2]", "  \t  "),
        ])
        .unwrap();
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
        fn any_planted_encoding_is_found_at_any_split(
            original in "[a-zA-Z0-9@./:+=\"\\\\%é😀\n -]{4,24}",
            how in 0usize..17,
            pad in "[a-z]{0,5}",
            before in "([a-z %+\\\\\"=/]|%2|\\\\u00){0,12}[ .!]",
            after in "[ .!][a-z %+\\\\\"=/]{0,12}",
            cuts in prop::collection::vec(0usize..400, 0..6),
        ) {
            prop_assume!(original.trim().len() >= MIN_ORIGINAL_BYTES && !is_part_of_labels(original.trim()));
            let text = format!("{before}{}{after}", encoded(&original, how, &pad));
            let one = check(&["unrelated", &original]);
            let whole = one.check(text.as_bytes());
            prop_assert!(whole.is_err(), "{text:?}");
            prop_assert!(!whole.as_ref().unwrap_err().to_string().contains(&original));

            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
            cuts.sort_unstable();
            let mut stream = one.stream();
            let mut at = 0;
            let mut result = Ok(());
            for cut in cuts.into_iter().chain([text.len()]) {
                result = result.and_then(|()| stream.feed(&text.as_bytes()[at..cut]));
                at = cut;
            }
            let result = result.and_then(|()| stream.finish());
            prop_assert_eq!(result, whole);
        }

        #[test]
        fn a_sleeping_view_misses_nothing(text in "([a-d%+]|\\\\u006|%6|1|2|\\\\|YWJj|ZA){0,40}") {
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
