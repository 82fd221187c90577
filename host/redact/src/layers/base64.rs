//! Base64 that holds text: as it is, as UTF-16, or packed with gzip or zlib.
//!
//! Invariant: only what is text after decoding is taken for base64. Nearly every other run of letters shows with its
//! first bytes that it is none, so looking costs a few steps for each run.

use std::io::Read as _;
use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The shortest run that is looked at: nine bytes. Shorter ones are words.
const MIN_RUN: usize = 12;
/// What one run may unpack to, bytes.
const MAX_RUN_UNPACKED: usize = 1 << 20;

/// What a run held.
#[derive(Debug)]
pub(super) struct Packed {
    /// Of the run, with its padding.
    pub range: Range<usize>,
    pub text: String,
    pub way: Way,
    /// There is more than was unpacked.
    pub cut: bool,
}

/// How the bytes were text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They are UTF-8.
    Bytes,
    /// They are UTF-16.
    Wide,
    /// They were packed.
    Gzip,
    /// They are UTF-8, and stood on several lines.
    Lines,
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Letters and digits and the four marks of both alphabets.
static IN_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0_u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
        {
            table[b as usize] = b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
        }
        if b == u8::MAX {
            break table;
        }
        b += 1;
    }
};

fn in_run(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|b| IN_RUN.get(usize::from(*b)).is_some_and(|yes| *yes))
}

/// How long the lines are into which encoders cut a run.
const WRAPPED: std::ops::RangeInclusive<usize> = 32..=120;

/// A line without what stands around a run in it: the indent of YAML, the marks of quotes and comments, the quotes and
/// joints of strings in programs. As a range of the line.
fn bare(line: &str) -> Range<usize> {
    let start = line.len() - line.trim_start_matches([' ', '\t', '>', '#', '*', '|', '"', '\'']).len();
    let mut rest = line.get(start..).unwrap_or_default();
    // A few of them, one behind the other: `\n" \`.
    for _ in 0..6 {
        let ends = ["\n", "\r", " ", "\\n", "\\", ",", " +", "\"", "'", ";"];
        let Some(shorter) = ends.iter().find_map(|end| rest.strip_suffix(end)) else { break };
        rest = shorter;
    }
    start..start + rest.len()
}

/// The run over several lines that begins with the line at `line`: lines of one length and base64 alone, the last of them
/// shorter. Gives up to where such lines were read, whatever they hold.
pub(super) fn wrapped(source: &str, line: &Range<usize>, room: usize) -> (usize, Option<Packed>) {
    let is_run = |content: &str| content.trim_end_matches('=').bytes().all(|b| in_run(&[b], 0));
    let first = source.get(line.clone()).unwrap_or_default();
    let content = bare(first);
    let length = content.len();
    // The last byte tells most lines apart.
    if !WRAPPED.contains(&length)
        || !in_run(first.as_bytes(), content.end - 1)
        || !is_run(first.get(content.clone()).unwrap_or_default())
    {
        return (line.start, None);
    }
    let mut run = Vec::new();
    let (mut end, mut stop, mut lines) = (line.start, line.start, 0);
    for next in source.get(line.start..).unwrap_or_default().split_inclusive('\n') {
        let range = bare(next);
        let text = next.get(range.clone()).unwrap_or_default();
        if text.is_empty() || text.len() > length || !is_run(text) {
            break;
        }
        run.extend_from_slice(text.as_bytes());
        stop = end + range.end;
        end += next.len();
        lines += 1;
        if text.len() < length {
            break;
        }
    }
    let unpadded = run.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    let packed = (lines > 1).then(|| opened(&run, 0, unpadded, room)).flatten();
    let whole = |packed: Packed| Packed {
        range: line.start + content.start..stop,
        way: if packed.way == Way::Bytes { Way::Lines } else { packed.way },
        ..packed
    };
    (end, packed.map(whole))
}

/// The first run in a line, from `from` on, that holds text. With `cut`, one at the beginning of the line may begin before
/// it. At most `room` bytes are unpacked.
pub(super) fn first(line: &str, from: usize, cut: bool, room: usize) -> Option<Packed> {
    let bytes = line.as_bytes();
    let mut at = from;
    while at + MIN_RUN <= bytes.len() {
        // A run of twelve that begins here has a byte in each of its places: the last is looked at first.
        if !in_run(bytes, at + MIN_RUN - 1) {
            at += MIN_RUN;
            continue;
        }
        let mut start = at + MIN_RUN - 1;
        while start > at && in_run(bytes, start - 1) {
            start -= 1;
        }
        // The letter of `\n`, `\r` and `\t` is none of a run.
        if start > 0 && bytes.get(start - 1) == Some(&b'\\') && matches!(bytes.get(start), Some(b'n' | b'r' | b't')) {
            start += 1;
        }
        let mut end = at + MIN_RUN;
        while in_run(bytes, end) {
            end += 1;
        }
        if end - start >= MIN_RUN {
            let skips = if cut && start == 0 { 0..4 } else { 0..1 };
            if let Some(packed) = skips.into_iter().find_map(|skip| opened(bytes, start + skip, end, room)) {
                return Some(packed);
            }
            // A path or a name may stand before it, joined by a mark that is in the alphabet.
            let run = bytes.get(start..end).unwrap_or_default();
            if let Some(mark) = run.iter().rposition(|b| matches!(b, b'/' | b'-' | b'_'))
                && run.len() - mark > MIN_RUN
                && let Some(packed) = opened(bytes, start + mark + 1, end, room)
            {
                return Some(packed);
            }
        }
        at = end + 1;
    }
    None
}

/// What the run holds, if that is text.
fn opened(bytes: &[u8], start: usize, end: usize, room: usize) -> Option<Packed> {
    let run = bytes.get(start..end)?;
    let head = four(run)?;
    let text_like = |b: u8| b >= b' ' && b != 0x7f || matches!(b, b'\n' | b'\r' | b'\t' | 0x1b);
    let packed = matches!(head, [0x1f, 0x8b, 0x08] | [0x78, 0x01 | 0x5e | 0x9c | 0xda, _]);
    let wide = text_like(head[0]) && head[1] == 0 && text_like(head[2]);
    if !packed && !wide && !head.iter().all(|b| text_like(*b)) {
        return None;
    }
    let url_safe = run.iter().any(|b| matches!(b, b'-' | b'_'));
    if url_safe && run.iter().any(|b| matches!(b, b'+' | b'/')) {
        return None;
    }
    let engine = if url_safe { &URL_SAFE } else { &STANDARD };
    // The first twelve tell most words and hashes from text.
    let beginning = engine.decode(run.get(..MIN_RUN)?).ok()?;
    if !packed && !wide && !beginning.iter().all(|b| text_like(*b)) {
        return None;
    }
    // One character over is cut off, or belongs to something else: what is before it counts.
    let whole = run.len() - usize::from(run.len() % 4 == 1);
    let decoded = engine.decode(run.get(..whole)?).ok()?;
    let padding = bytes.get(end..).unwrap_or_default().iter().take(2).take_while(|b| **b == b'=').count();
    let range = start..end + padding;
    if packed {
        return unpacked(&decoded, range, room.min(MAX_RUN_UNPACKED));
    }
    if wide {
        let units: Vec<u16> = decoded.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let text = String::from_utf16(&units).ok().filter(|text| is_text(text))?;
        return Some(Packed { range, text, way: Way::Wide, cut: false });
    }
    let text = String::from_utf8(decoded).ok().filter(|text| is_text(text))?;
    Some(Packed { range, text, way: Way::Bytes, cut: false })
}

/// The first three bytes.
fn four(run: &[u8]) -> Option<[u8; 3]> {
    let mut bits = 0_u32;
    for byte in run.get(..4)? {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(six);
    }
    let [_, a, b, c] = bits.to_be_bytes();
    Some([a, b, c])
}

fn is_text(text: &str) -> bool {
    // Terminals are coloured with escapes.
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}') || c == '\u{fffd}')
}

fn unpacked(bytes: &[u8], range: Range<usize>, room: usize) -> Option<Packed> {
    let mut out = Vec::new();
    let limit = room as u64 + 1;
    let gzip = bytes.first() == Some(&0x1f);
    // What is broken off unpacks as far as it goes.
    let read = if gzip {
        flate2::read::MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out)
    } else {
        flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out)
    };
    if out.is_empty() || (read.is_err() && !gzip) {
        return None;
    }
    // What is broken off, or more than there is room for, is read in part: the rest is masked unseen.
    let cut = out.len() as u64 >= limit || read.is_err();
    out.truncate(room);
    let text = String::from_utf8_lossy(&out).into_owned();
    let odd = |c: &char| *c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace();
    // An image or a program is packed data, and no text that somebody could read.
    let readable = text.chars().filter(odd).count() * 10 <= text.len();
    (readable && (cut || !text.is_empty())).then_some(Packed { range, text, way: Way::Gzip, cut })
}
