//! What is packed: gzip, zstd, zip and tar in one another, and UTF-16.
//!
//! Invariant: unpacking is bounded in depth and in how much more comes out than goes in; what is beyond is said to be
//! unread, never passed over.

use std::cell::Cell;
use std::io::{self, Read, Seek as _};
use std::rc::Rc;

use super::inputs::Reader;

/// How many archives may lie in one another.
const DEPTH: usize = 5;
/// How much more may come out than goes in, beyond what is always allowed: no log packs better.
const RATIO: u64 = 300;
const RATIO_FREE: u64 = 256 << 20;
/// Memory that a zstd stream may ask for, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Hand on what is in a source, as deep as it is packed.
pub(super) fn open(reader: &Reader, name: &str, source: Box<dyn Read + '_>, depth: usize) -> anyhow::Result<()> {
    let mut source = source;
    let mut head = Vec::new();
    if let Err(error) = source.by_ref().take(512).read_to_end(&mut head) {
        return reader.damaged(name, &format!("damaged: {error}"));
    }
    let packed = match head.as_slice() {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some("zip"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some("bzip2"),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some("7z"),
        _ if head.get(257..262) == Some(b"ustar") => Some("tar"),
        _ => None,
    };
    let counted = Rc::new(Cell::new(0));
    let whole = Counting { inner: io::Cursor::new(head).chain(source), count: Rc::clone(&counted) };
    let Some(packed) = packed else { return reader.text(name, whole) };
    if depth >= DEPTH {
        return reader.damaged(name, &format!("packed more than {DEPTH} times, and not unpacked further"));
    }
    match packed {
        "gzip" => {
            let unpacked = Bounded { inner: flate2::read::MultiGzDecoder::new(whole), packed: counted, out: 0 };
            open(reader, name, Box::new(unpacked), depth + 1)
        }
        "zstd" => {
            let decoder = zstd::Decoder::new(whole).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(decoder)
            });
            match decoder {
                Ok(inner) => open(reader, name, Box::new(Bounded { inner, packed: counted, out: 0 }), depth + 1),
                Err(error) => reader.damaged(name, &format!("damaged zstd: {error}")),
            }
        }
        "tar" => tar(reader, name, whole, depth),
        "zip" => zip(reader, name, whole, depth),
        other => {
            let hint = match other {
                "xz" => "xzcat FILE | fumehood scan",
                "bzip2" => "bzcat FILE | fumehood scan",
                _ => "unpack it and scan the folder",
            };
            reader.damaged(name, &format!("{other}, which is not unpacked here; scan what is in it: {hint}"))
        }
    }
}

fn tar(reader: &Reader, name: &str, source: impl Read, depth: usize) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(source);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return reader.damaged(name, &format!("a damaged tar archive: {error}")),
    };
    for entry in entries {
        // Behind a damaged entry nothing can be found any more.
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return reader.damaged(name, &format!("a damaged tar archive: {error}")),
        };
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() || kind.is_contiguous() {
            reader.unread(name, "an entry of its tar archive is stored in pieces, which are not put together here");
        }
        if kind.is_file() {
            let inner = format!("{name}!{}", String::from_utf8_lossy(&entry.path_bytes()));
            open(reader, &inner, Box::new(entry), depth + 1)?;
        }
    }
    Ok(())
}

/// A zip archive says at its end what is in it, so it is put into a file that nobody else sees.
fn zip(reader: &Reader, name: &str, mut source: impl Read, depth: usize) -> anyhow::Result<()> {
    let spooled = tempfile::tempfile().and_then(|mut file| {
        io::copy(&mut source, &mut file)?;
        file.rewind()?;
        Ok(file)
    });
    let file = match spooled {
        Ok(file) => file,
        Err(error) => return reader.damaged(name, &format!("a zip archive that could not be put aside: {error}")),
    };
    let mut archive = match zip::ZipArchive::new(io::BufReader::new(file)) {
        Ok(archive) => archive,
        Err(error) => return reader.damaged(name, &format!("a damaged zip archive: {error}")),
    };
    for index in 0..archive.len() {
        match archive.by_index(index) {
            Ok(entry) if entry.is_file() => {
                let inner = format!("{name}!{}", entry.name().unwrap_or_else(|_| format!("entry {index}").into()));
                let packed = Rc::new(Cell::new(entry.compressed_size()));
                open(reader, &inner, Box::new(Bounded { inner: entry, packed, out: 0 }), depth + 1)?;
            }
            Ok(_) => {}
            Err(error) => {
                reader.unread(&format!("{name}, entry {index}"), &error.to_string());
            }
        }
    }
    Ok(())
}

/// Counts what is read.
struct Counting<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Ends what grows too much.
struct Bounded<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    out: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.out += read as u64;
        if self.out > RATIO_FREE && self.out / self.packed.get().max(1) > RATIO {
            let message = format!("it unpacks to more than {RATIO} times its size, which no log does");
            return Err(io::Error::other(message));
        }
        Ok(read)
    }
}

/// Whether a text is UTF-32: by its mark, or because three of four bytes are zeros in their places.
pub(super) fn is_utf32(head: &[u8]) -> bool {
    let mark = matches!(head, [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..]);
    let fours = head.as_chunks::<4>().0;
    let letters = fours.iter().filter(|four| matches!(four, [a, 0, 0, 0] | [0, 0, 0, a] if *a > 8)).count();
    (mark || fours.len() > 3) && letters * 10 > fours.len() * 7
}

/// UTF-16, as its mark at the beginning says, or the zeros beside its letters.
#[derive(Clone, Copy)]
pub(super) enum Wide {
    Little,
    Big,
}

impl Wide {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let pairs = head.as_chunks::<2>().0;
        let little = pairs.iter().filter(|[a, b]| *b == 0 && *a != 0).count();
        let big = pairs.iter().filter(|[a, b]| *a == 0 && *b != 0).count();
        let most = |count: usize| pairs.len() > 3 && count * 10 > pairs.len() * 6;
        match head {
            // Bytes that only begin like the mark: all of it is ASCII, which UTF-16 would make Chinese of.
            [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..]
                if rest.len() > 16 && rest.iter().filter(|b| matches!(b, 1..0x80)).count() * 20 > rest.len() * 19 =>
            {
                None
            }
            [0xff, 0xfe, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] => Some(Self::Big),
            _ if most(little) => Some(Self::Little),
            _ if most(big) => Some(Self::Big),
            _ => None,
        }
    }

    /// The same text in UTF-8.
    pub(super) fn reader<R: Read>(self, inner: R) -> Utf16<R> {
        Utf16 { inner, wide: self, odd: None, high: None, ready: Vec::new(), at: 0 }
    }
}

/// Reads UTF-16 as UTF-8; what is no character becomes U+FFFD.
pub(super) struct Utf16<R> {
    inner: R,
    wide: Wide,
    odd: Option<u8>,
    high: Option<u16>,
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> Utf16<R> {
    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16 << 10];
        let read = self.inner.read(&mut bytes)?;
        self.ready.clear();
        self.at = 0;
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        let mut pairs = self.odd.take().into_iter().chain(bytes.iter().take(read).copied());
        while let Some(first) = pairs.next() {
            match (pairs.next(), self.wide) {
                (Some(second), Wide::Little) => units.push(u16::from_le_bytes([first, second])),
                (Some(second), Wide::Big) => units.push(u16::from_be_bytes([first, second])),
                (None, _) => self.odd = Some(first),
            }
        }
        if read > 0 && units.last().is_some_and(|last| (0xd800..=0xdbff).contains(last)) {
            self.high = units.pop();
        }
        let text: String = char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        self.ready.extend_from_slice(text.trim_start_matches('\u{feff}').as_bytes());
        Ok(read > 0)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.ready.len() {
            if !self.fill()? && self.ready.is_empty() {
                return Ok(0);
            }
        }
        let ready = self.ready.get(self.at..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_texts_are_told_without_a_mark() {
        let text = "mail jane@x.io, password=Hunter2";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(matches!(Wide::of(&little), Some(Wide::Little)));
        assert!(matches!(Wide::of(&big), Some(Wide::Big)));
        assert!(Wide::of(text.as_bytes()).is_none());
        assert!(Wide::of(&[b"\xff\xfe\xff".as_slice(), text.as_bytes()].concat()).is_none());
        assert!(Wide::of(b"\0\0\0\0\0\0\0\0\0\0").is_none(), "a log that was cut");
        for four in [u32::to_le_bytes, u32::to_be_bytes] {
            let wide: Vec<u8> = text.chars().flat_map(|c| four(c as u32)).collect();
            assert!(is_utf32(&wide));
        }
        assert!(!is_utf32(&little) && !is_utf32(&big) && !is_utf32(text.as_bytes()));
    }

    #[test]
    fn utf16_is_read_as_utf8() {
        let text = "Größe: 😀 jo@acme.com\n".repeat(3000);
        for (wide, bytes) in [
            (Wide::Little, text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            (Wide::Big, text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ] {
            let mut read = String::new();
            wide.reader(bytes.as_slice()).read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }
}
