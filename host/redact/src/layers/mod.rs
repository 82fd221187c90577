//! What stands in a text under an encoding: percent escapes, the escapes of JSON and XML, colours of terminals, base64, and
//! gzip in base64.
//!
//! Scanners look for values as they are. What a line hides is decoded here, scanned like any other text, and each finding
//! is led back to the bytes that stood there: so every scanner sees through every encoding, and none has to know one.
//!
//! Invariants:
//! - decoding is bounded: [`DEPTH`] layers, [`MAX_UNPACKED`] bytes, whatever a text claims to hold; what is packed and larger
//!   than that comes back as [`Layers::unread`], to be masked unseen;
//! - time is linear in the text and in what was decoded;
//! - [`Layer::back`] covers every byte of the text that took part in what was found.

mod base64;
mod controls;
mod escapes;
mod map;

use std::ops::Range;

pub use controls::behind_control;
use map::Builder;
pub use map::Layer;

/// How many encodings may lie in one another.
pub const DEPTH: usize = 4;
/// The most that is unpacked of one text, bytes: more than anybody puts into a field, and no more than a few windows. What
/// is only escaped or in base64 is shorter decoded than it was.
pub const MAX_UNPACKED: usize = 2 << 20;

/// Everything that a text hides.
#[derive(Debug, Default)]
pub struct Layers {
    /// Decoded texts, each with the way back.
    pub layers: Vec<Layer>,
    /// Ranges of the text whose contents are packed and too large to read.
    pub unread: Vec<Range<usize>>,
}

/// The layers of a text: all lines in which something is encoded, decoded; then what is encoded in those.
#[must_use]
pub fn layers(text: &str) -> Layers {
    layers_of(text, false)
}

/// As [`layers`], of a window: with `continues_before`, its beginning may be the middle of a run of base64.
#[must_use]
pub fn layers_of(text: &str, continues_before: bool) -> Layers {
    let mut found = Layers::default();
    let mut room = MAX_UNPACKED;
    for _ in 0..DEPTH {
        let outer = found.layers.last();
        let source = outer.map_or(text, |layer| layer.text.as_str());
        let mut builder = Builder::new(room);
        let (mut from, mut block) = (0, 0);
        for line in source.split_inclusive('\n') {
            let range = from..from + line.len();
            from = range.end;
            if range.start < builder.done() {
                continue;
            }
            // Each block of such lines is looked at once.
            if range.start >= block {
                let (end, packed) = base64::wrapped(source, &range, builder.room());
                block = end;
                if let Some(packed) = packed {
                    builder.begin();
                    builder.unpack(packed, 0);
                    builder.end_line();
                    continue;
                }
            }
            let cut = continues_before && outer.is_none() && range.start == 0;
            decode_line(source, range, cut, &mut builder);
        }
        room = builder.room();
        let Some((layer, unread)) = builder.finish() else { break };
        found.unread.extend(unread.into_iter().map(|range| outer.map_or(range.clone(), |outer| outer.back(&range))));
        if layer.text.is_empty() {
            break;
        }
        let layer = layer.behind(outer);
        found.layers.push(layer);
    }
    found
}

/// Add a line to the layer, if something in it is encoded.
fn decode_line(source: &str, line: Range<usize>, cut: bool, builder: &mut Builder) {
    let Some(text) = source.get(line.clone()) else { return };
    let mut next_escape = escapes::first(text);
    let mut next_packed = base64::first(text, 0, cut, builder.room());
    if next_escape.is_none() && next_packed.is_none() {
        return;
    }
    builder.begin();
    let mut at = 0;
    loop {
        if next_packed.as_ref().is_some_and(|packed| packed.range.start < at) {
            next_packed = base64::first(text, at, false, builder.room());
        }
        let escape_at = next_escape.unwrap_or(text.len());
        let packed_at = next_packed.as_ref().map_or(text.len(), |packed| packed.range.start);
        let stop = escape_at.min(packed_at);
        builder.copy(source, line.start + at..line.start + stop);
        at = stop;
        if at >= text.len() {
            break;
        }
        if at == packed_at {
            let Some(packed) = next_packed.take() else { break };
            at = packed.range.end;
            builder.unpack(packed, line.start);
            next_packed = base64::first(text, at, false, builder.room());
            if next_escape.is_some_and(|escape| escape < at) {
                next_escape = escapes::next(text, at);
            }
            continue;
        }
        at += escapes::decode(text, at, |piece, from, via| {
            builder.escape(piece, line.start + from.start..line.start + from.end, via);
        });
        next_escape = escapes::next(text, at);
    }
    if !text.ends_with('\n') {
        builder.end_line();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    /// Where `value` stands decoded, as the text that stands there.
    fn behind<'a>(text: &'a str, value: &str) -> Vec<&'a str> {
        let found = layers(text);
        let mut seen = Vec::new();
        for layer in &found.layers {
            for (at, _) in layer.text.match_indices(value) {
                seen.push(&text[layer.back(&(at..at + value.len()))]);
            }
        }
        seen
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn colours_stand_for_nothing() {
        for text in [
            "x: \u{1b}[31mghp_1a2B3c\u{1b}[0m y",
            "x: \u{1b}[1mghp_\u{1b}[31m1a2\u{1b}[0mB3c y",
            r#"{"m":"x: \u001b[31mghp_1a2B3c\u001b[0m y"}"#,
        ] {
            let found = behind(text, "ghp_1a2B3c");
            assert_eq!(found.len(), 1, "{text:?}");
            assert!(found[0].starts_with("ghp_") && found[0].ends_with("B3c"), "{found:?}");
        }
    }

    #[test]
    fn escapes_are_decoded_and_led_back() {
        for (text, value, stood) in [
            ("GET /a?mail=jo%40acme.com&x=1", "jo@acme.com", "jo%40acme.com"),
            (r#"{"m":"{\"mail\":\"jo\u0040acme.com\"}"}"#, "jo@acme.com", r"jo\u0040acme.com"),
            (r#"{"m":"{\"pass\":\"a\\\"b9\"}"}"#, "a\"b9", r#"a\\\"b9"#),
            ("<v>jo&#64;acme.com</v>", "jo@acme.com", "jo&#64;acme.com"),
            ("<v>jo&#x40;acme.com</v>", "jo@acme.com", "jo&#x40;acme.com"),
            ("x=%7B%22name%22%3A%22Z%C3%BCrich%22%7D", "\"Zürich\"", "%22Z%C3%BCrich%22"),
            ("u=%257Bjo%2540acme.com", "jo@acme.com", "jo%2540acme.com"),
            ("n=Ada+King&mail=jo%40acme.com", "Ada King", "Ada+King"),
            ("&lt;pw&gt;a&amp;b&lt;/pw&gt;", "<pw>a&b<", "&lt;pw&gt;a&amp;b&lt;"),
            (r#""\ud83d\ude00 \"jo\"""#, "😀 \"jo\"", r#"\ud83d\ude00 \"jo\""#),
        ] {
            assert!(behind(text, value).contains(&stood), "{text}: {:?}", layers(text).layers);
        }
    }

    #[test]
    fn base64_and_gzip_are_opened() {
        let secret = r#"{"user":"jo@acme.com","password":"Kestrel81!"}"#;
        let packed = STANDARD.encode(secret);
        let text = format!("data: {packed}\n");
        let seen = behind(&text, "Kestrel81!");
        assert_eq!(seen.len(), 1);
        assert!(packed.contains(seen[0]) && seen[0].len() < 20, "{seen:?}");
        assert_eq!(behind(&format!("{{\"d\":\"{}\"}}", URL_SAFE_NO_PAD.encode(secret)), "jo@acme.com").len(), 1);
        let zipped = STANDARD.encode(gzip(secret.as_bytes()));
        assert_eq!(behind(&format!("blob={zipped} x"), "Kestrel81!"), [zipped.as_str()]);
        // Two layers: base64 of JSON with escapes in it, and base64 in base64.
        let twice = STANDARD.encode(format!("v={}", STANDARD.encode(secret)));
        assert_eq!(behind(&twice, "Kestrel81!").len(), 1);
        // As PowerShell takes its commands.
        let wide: Vec<u8> = "Set-Pass Kestrel81!".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(behind(&STANDARD.encode(wide), "Kestrel81!").len(), 1);
    }

    #[test]
    fn what_stands_around_lines_of_base64_is_none_of_it() {
        let secret = r#"{"note":"a text that is long enough for some lines","user":"jo@acme.com"}"#;
        let packed = STANDARD.encode(secret);
        for columns in [33, 40, 64, 76] {
            for (before, behind_it) in [
                ("", ""),
                ("    ", ""),
                ("> ", ""),
                ("# ", ""),
                (" * ", ""),
                ("  \"", "\" +"),
                ("\"", "\\n\" \\"),
                ("'", "',"),
                ("\t| ", " "),
            ] {
                let lines = packed.as_bytes().chunks(columns).map(|line| std::str::from_utf8(line).unwrap());
                let text: String = lines.map(|line| format!("{before}{line}{behind_it}\n")).collect();
                let text = format!("data:\n{text}next: 1\n");
                let seen = behind(&text, "jo@acme.com");
                assert_eq!(seen.len(), 1, "{text}");
                assert!(
                    seen[0].starts_with("eyJ") && seen[0].ends_with(packed.get(packed.len() - 1..).unwrap()),
                    "{seen:?}"
                );
            }
        }
    }

    #[test]
    fn base64_goes_over_lines_and_begins_before_a_window() {
        let secret =
            r#"{"note":"a text that is long enough for some lines","user":"jo@acme.com","password":"Kestrel81!"}"#;
        for packed in [STANDARD.encode(secret), STANDARD.encode(gzip(secret.repeat(3).as_bytes()))] {
            for line_end in ["\n", "\r\n"] {
                let wrapped: Vec<&str> =
                    packed.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
                let text = format!("mail:{line_end}{}{line_end}after", wrapped.join(line_end));
                let seen = behind(&text, "Kestrel81!");
                assert!(!seen.is_empty(), "{text}");
                assert!(seen.iter().all(|stood| stood.ends_with(wrapped[wrapped.len() - 1])), "{seen:?}");
            }
        }
        let packed = STANDARD.encode(secret.repeat(4));
        for cut in 1..9 {
            let found = layers_of(&packed[cut..], true);
            assert!(found.layers.iter().any(|layer| layer.text.contains("Kestrel81!")), "{cut}");
        }
        // The letter of an escape is none of the run behind it.
        let text = format!(r#"{{"msg":"config:\n{}"}}"#, STANDARD.encode(secret));
        assert_eq!(behind(&text, "Kestrel81!").len(), 1);
        // What is broken off is read as far as it goes, and masked as a whole.
        let zipped = STANDARD.encode(gzip(secret.repeat(9).as_bytes()));
        let broken = &zipped[..zipped.len() - 8];
        assert_eq!(layers(broken).unread.first().cloned(), Some(0..broken.len()));
    }

    #[test]
    fn what_hides_nothing_has_no_layer() {
        for text in [
            "plain text with authentication/authorization and 100% of nothing & more",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "C:\\temp\\new and a\\nb",
            "etag: d41d8cd98f00b204e9800998ecf8427e",
            "id=7Qm2n3b4v5c6x7z8a9s0d1f2",
            "",
        ] {
            assert!(layers(text).layers.is_empty(), "{text}: {:?}", layers(text));
        }
    }

    #[test]
    fn a_bomb_is_masked_unseen() {
        let bomb = STANDARD.encode(gzip(&vec![b'a'; 64 << 20]));
        let text = format!("x {bomb} y");
        let found = layers(&text);
        assert_eq!((found.unread.len(), found.unread[0].clone()), (1, 2..2 + bomb.len()));
        let decoded: usize = found.layers.iter().map(|layer| layer.text.len()).sum();
        assert!(decoded <= MAX_UNPACKED + 64, "{decoded}");
        // Many of them cost no more than one.
        let found = layers(&format!("{text}\n").repeat(5));
        assert_eq!(found.unread.len(), 5);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-zA-Z0-9%\\\\&#;u+= \\n\"é😀]{0,300}") {
            let found = layers(&text);
            for layer in &found.layers {
                let bounds: Vec<usize> = layer.text.char_indices().map(|(at, _)| at).collect();
                for pair in bounds.windows(2) {
                    let back = layer.back(&(pair[0]..pair[1]));
                    prop_assert!(back.start <= back.end && text.get(back).is_some());
                }
            }
        }

        /// Whatever is encoded, in whatever way and place, comes back as it was, and from where it stands.
        #[test]
        fn values_come_back(
            value in "[a-zA-Z0-9@.!é]{12,40}",
            before in "[a-z ]{0,12}",
            way in 0..4usize,
            twice in any::<bool>(),
        ) {
            let encode = |value: &str| match way {
                0 => value.bytes().map(|b| format!("%{b:02X}")).collect(),
                1 => value.encode_utf16().map(|u| format!("\\u{u:04x}")).collect(),
                2 => value.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
                _ => STANDARD.encode(value),
            };
            let mut encoded: String = encode(&value);
            if twice {
                encoded = STANDARD.encode(&encoded);
            }
            let text = format!("{before} {encoded} after");
            let seen = behind(&text, &value);
            prop_assert!(seen.iter().any(|stood| encoded.contains(stood) || *stood == encoded), "{text} {seen:?}");
        }
    }
}
