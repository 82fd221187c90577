//! Streaming decoders for the encodings in which a value could leave.
//!
//! The last check decodes what goes out instead of encoding what must not: an encoder may escape every character or
//! one, in upper or lower case, and a decoder reads them all. Decoders never fail: what is no escape stays as it is.

use std::fmt;

/// In which form a known original was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// As it is, in any case.
    Plain,
    /// Percent escapes, perhaps twice.
    Url,
    /// Percent escapes and `+` for blanks.
    Form,
    /// The escapes of a JSON string, perhaps within another, perhaps with percent escapes inside.
    Json,
    /// Base64 in either alphabet, at any alignment, with or without padding and line ends.
    Base64,
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "plain text",
            Self::Url => "URL encoding",
            Self::Form => "form encoding",
            Self::Json => "a JSON escape",
            Self::Base64 => "base64",
        })
    }
}

/// Undoes one layer of escapes, byte by byte.
#[derive(Clone, Debug)]
pub(crate) enum Decoder {
    Percent { plus: bool, state: Percent },
    Json { state: Json, high: Option<u16> },
}

/// How much of a percent escape has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Percent {
    Idle,
    Sign,
    Digit(u8),
}

/// How much of a JSON escape has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Idle,
    Backslash,
    Unicode { digits: [u8; 4], count: usize },
}

impl Decoder {
    /// `%41` is `A`; with `plus`, `+` is a blank.
    pub const fn percent(plus: bool) -> Self {
        Self::Percent { plus, state: Percent::Idle }
    }

    /// `\u0041` is `A`, `\/` is `/`.
    pub const fn json() -> Self {
        Self::Json { state: Json::Idle, high: None }
    }

    /// Whether an idle decoder would pass this byte on as anything but itself.
    pub const fn wakes_on(&self, byte: u8) -> bool {
        match self {
            Self::Percent { plus, .. } => byte == b'%' || (*plus && byte == b'+'),
            Self::Json { .. } => byte == b'\\',
        }
    }

    /// Read a byte.
    pub fn step(&mut self, byte: u8, output: &mut Vec<u8>) {
        match self {
            Self::Percent { plus, state } => step_percent(*plus, state, byte, output),
            Self::Json { state, high } => step_json(state, high, byte, output),
        }
    }

    /// The input is over: what is held back is no escape.
    pub fn flush(&mut self, output: &mut Vec<u8>) {
        match self {
            Self::Percent { state, .. } => flush_percent(state, output),
            Self::Json { state, high } => flush_json(state, high, output),
        }
    }
}

fn flush_percent(state: &mut Percent, output: &mut Vec<u8>) {
    match *state {
        Percent::Idle => {}
        Percent::Sign => output.push(b'%'),
        Percent::Digit(first) => output.extend([b'%', first]),
    }
    *state = Percent::Idle;
}

fn step_percent(plus: bool, state: &mut Percent, byte: u8, output: &mut Vec<u8>) {
    match (*state, hex(byte)) {
        (Percent::Sign, Some(_)) => *state = Percent::Digit(byte),
        (Percent::Digit(first), Some(low)) => {
            output.push(hex(first).unwrap_or_default() << 4 | low);
            *state = Percent::Idle;
        }
        _ => {
            flush_percent(state, output);
            match byte {
                b'%' => *state = Percent::Sign,
                b'+' if plus => output.push(b' '),
                _ => output.push(byte),
            }
        }
    }
}

fn flush_json(state: &mut Json, high: &mut Option<u16>, output: &mut Vec<u8>) {
    flush_surrogate(high, output);
    match *state {
        Json::Idle => {}
        Json::Backslash => output.push(b'\\'),
        Json::Unicode { digits, count } => {
            output.extend(b"\\u");
            output.extend(digits.iter().take(count));
        }
    }
    *state = Json::Idle;
}

/// Half a character that nothing completes.
fn flush_surrogate(high: &mut Option<u16>, output: &mut Vec<u8>) {
    if high.take().is_some() {
        push_char(char::REPLACEMENT_CHARACTER, output);
    }
}

fn step_json(state: &mut Json, high: &mut Option<u16>, byte: u8, output: &mut Vec<u8>) {
    match *state {
        Json::Backslash if byte == b'u' => *state = Json::Unicode { digits: [0; 4], count: 0 },
        Json::Backslash => {
            let plain = match byte {
                b'"' | b'\\' | b'/' => byte,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                _ => {
                    flush_json(state, high, output);
                    return output.push(byte);
                }
            };
            flush_surrogate(high, output);
            output.push(plain);
            *state = Json::Idle;
        }
        Json::Unicode { mut digits, count } if hex(byte).is_some() => {
            if let Some(digit) = digits.get_mut(count) {
                *digit = byte;
            }
            if count < 3 {
                *state = Json::Unicode { digits, count: count + 1 };
            } else {
                let unit = digits.iter().fold(0, |unit, digit| unit << 4 | u16::from(hex(*digit).unwrap_or_default()));
                push_unit(unit, high, output);
                *state = Json::Idle;
            }
        }
        Json::Idle if byte == b'\\' => *state = Json::Backslash,
        _ => {
            flush_json(state, high, output);
            if byte == b'\\' { *state = Json::Backslash } else { output.push(byte) }
        }
    }
}

/// One UTF-16 unit; two surrogates are one character.
fn push_unit(unit: u16, high: &mut Option<u16>, output: &mut Vec<u8>) {
    if let Some(first) = *high
        && let Some(Ok(character)) = char::decode_utf16([first, unit]).next()
    {
        *high = None;
        return push_char(character, output);
    }
    flush_surrogate(high, output);
    match unit {
        0xD800..=0xDBFF => *high = Some(unit),
        _ => push_char(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER), output),
    }
}

fn push_char(character: char, output: &mut Vec<u8>) {
    output.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The six bits of a base64 character, of either alphabet.
pub(crate) const fn sextet(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    } as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(mut decoder: Decoder, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        input.iter().for_each(|byte| decoder.step(*byte, &mut output));
        decoder.flush(&mut output);
        output
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in ["%", "%4", "%zz", "%%4", "100% of", "%4%4"] {
            assert_eq!(decode(Decoder::percent(false), text.as_bytes()), text.as_bytes());
        }
        for text in ["\\", "\\u12", "\\x41", "\\u12g4", "C:\\dir"] {
            assert_eq!(decode(Decoder::json(), text.as_bytes()), text.as_bytes());
        }
        assert_eq!(decode(Decoder::percent(false), b"%%41+"), b"%A+");
        assert_eq!(decode(Decoder::percent(true), b"%%41+"), b"%A ");
        assert_eq!(decode(Decoder::json(), b"\\u12\\u0041"), b"\\u12A");
        assert_eq!(decode(Decoder::json(), b"\\ud83d\\u0041"), "\u{FFFD}A".as_bytes());
    }

    proptest! {
        #[test]
        fn json_escapes_are_undone(text in any::<String>(), all in any::<bool>()) {
            let escaped = if all {
                text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
            } else {
                let quoted = serde_json::to_string(&text).unwrap();
                quoted[1..quoted.len() - 1].to_owned()
            };
            prop_assert_eq!(decode(Decoder::json(), escaped.as_bytes()), text.as_bytes());
        }

        #[test]
        fn percent_escapes_are_undone(text in any::<String>(), lower in any::<bool>()) {
            let escape = |byte: u8| if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
            let escaped: String = text.bytes().map(escape).collect();
            prop_assert_eq!(decode(Decoder::percent(true), escaped.as_bytes()), text.as_bytes());
        }
    }
}
