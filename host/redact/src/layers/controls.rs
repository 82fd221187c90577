//! Control sequences of terminals, colours above all: as they are, and as JSON and shells write them.
//!
//! Invariant: reads at most [`LONGEST`] bytes of a sequence, so that no text makes it slow.

/// The longest sequence that is read, bytes; links are the long ones.
const LONGEST: usize = 512;
/// How the escape character is written.
const WRITTEN: [&str; 5] = ["\u{1b}", "\\u001b", "\\x1b", "\\033", "\\e"];

/// The length of the sequence that begins at `at`, with its escape character.
pub(super) fn sequence(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..bytes.len().min(at + LONGEST))?;
    let begins =
        |written: &&&str| rest.get(..written.len()).is_some_and(|b| b.eq_ignore_ascii_case(written.as_bytes()));
    let written = WRITTEN.iter().find(begins)?;
    let head = written.len() + 1;
    let body = rest.get(head..)?;
    match rest.get(head - 1)? {
        b'[' => {
            let parameters = body.iter().take_while(|b| matches!(b, 0x20..=0x3f)).count();
            body.get(parameters).is_some_and(|last| matches!(last, 0x40..=0x7e)).then_some(head + parameters + 1)
        }
        // A title or a link, up to a bell or the end of a string.
        b']' if *written == "\u{1b}" => {
            let bell = body.iter().position(|b| *b == 0x07).map(|end| end + 1);
            let string = body.windows(2).position(|two| two == b"\x1b\\").map(|end| end + 2);
            let end = bell.into_iter().chain(string).min()?;
            Some(head + end)
        }
        b'(' | b')' if *written == "\u{1b}" => body.first().map(|_| head + 1),
        b'=' | b'>' | b'7' | b'8' | b'c' | b'D' | b'E' | b'M' if *written == "\u{1b}" => Some(head),
        _ => None,
    }
}

/// Where the sequence ends within which `at` stands; `at` itself where it stands in none.
#[must_use]
pub fn behind_control(text: &str, at: usize) -> usize {
    // The final letter of a colour reads as part of the word behind it.
    const NEAR: usize = 32;
    let bytes = text.as_bytes();
    let before = at.saturating_sub(NEAR)..at;
    before.rev().find_map(|start| sequence(bytes, start).map(|length| start + length)).map_or(at, |end| end.max(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_measured() {
        for (text, length) in [
            ("\u{1b}[31mx", Some(5)),
            ("\u{1b}[0mx", Some(4)),
            ("\u{1b}[38;5;214mx", Some(11)),
            ("\\u001b[1;31mx", Some(12)),
            ("\\u001B[mx", Some(8)),
            ("\\033[31mx", Some(8)),
            ("\\e[31mx", Some(6)),
            ("\u{1b}]0;title\u{7}x", Some(10)),
            ("\u{1b}]8;;http://x\u{1b}\\y", Some(15)),
            ("\u{1b}(Bx", Some(3)),
            ("\\e x", None),
            ("\\endings", None),
            ("\u{1b}[31", None),
            ("[31mx", None),
        ] {
            assert_eq!(sequence(text.as_bytes(), 0), length, "{text:?}");
        }
    }

    #[test]
    fn a_place_within_a_sequence_is_behind_it() {
        let text = "a \u{1b}[31mjane@x.io";
        assert_eq!(behind_control(text, 4), 7);
        assert_eq!(behind_control(text, 6), 7);
        assert_eq!(behind_control(text, 7), 7);
        assert_eq!(behind_control(text, 0), 0);
    }
}
