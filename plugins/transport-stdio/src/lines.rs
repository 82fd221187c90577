//! Cutting a stream of bytes into lines, bounded.
//!
//! Invariant: the lines do not depend on how the stream was split into pieces, and no more than [`MAX_BACKLOG_BYTES`]
//! are ever kept.

/// Longest line, without its line feed, in bytes.
///
/// 4 MiB less 64 KiB, because an answer of a transport, which carries the line as one action, is limited to 4 MiB with
/// everything around it.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;

/// Most bytes that may wait to be delivered: two of the longest lines. A process that writes faster than the client
/// reads is cut off here, far below the 64 MiB of memory that a plugin has.
pub const MAX_BACKLOG_BYTES: usize = 8 * 1024 * 1024;

/// The limits were exceeded; nothing more can be read from this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// One line is longer than [`MAX_LINE_BYTES`].
    Line,
    /// More than [`MAX_BACKLOG_BYTES`] wait.
    Backlog,
}

/// Splits at line feeds.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the first line that was not taken yet begins.
    start: usize,
    /// Up to here the buffer is known to hold no line feed after `start`.
    scanned: usize,
}

impl Lines {
    /// Append what arrived.
    pub fn push(&mut self, data: &[u8]) -> Result<(), Overflow> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.buffer.len().saturating_add(data.len()) > MAX_BACKLOG_BYTES {
            return Err(Overflow::Backlog);
        }
        self.buffer.extend_from_slice(data);
        Ok(())
    }

    /// Whether a whole line waits, and how long it is.
    pub fn peek_len(&mut self) -> Result<Option<usize>, Overflow> {
        let rest = self.buffer.get(self.scanned..).unwrap_or_default();
        let found = rest.iter().position(|byte| *byte == b'\n');
        self.scanned += found.unwrap_or(rest.len());
        let len = self.scanned - self.start;
        if len > MAX_LINE_BYTES {
            return Err(Overflow::Line);
        }
        Ok(found.map(|_| len))
    }

    /// The next whole line, without its line feed.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Overflow> {
        let Some(len) = self.peek_len()? else {
            return Ok(None);
        };
        let from = self.start;
        self.start = from + len + 1;
        self.scanned = self.start;
        Ok(self.buffer.get(from..from + len))
    }

    /// The stream has ended: what is left counts as a line, as text files without a last line feed have it.
    pub fn finish(&mut self) {
        if self.buffer.last().is_some_and(|byte| *byte != b'\n') {
            self.buffer.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece).unwrap();
            while let Some(line) = lines.next_line().unwrap() {
                out.push(line.to_vec());
            }
        }
        lines.finish();
        while let Some(line) = lines.next_line().unwrap() {
            out.push(line.to_vec());
        }
        out
    }

    #[test]
    fn a_last_line_without_line_feed_counts_and_an_empty_rest_does_not() {
        assert_eq!(all(&[b"a\nb"]), [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(all(&[b"a\n"]), [b"a".to_vec()]);
        assert_eq!(all(&[b"\n\n"]), [b"".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE_BYTES]).unwrap();
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"\n").unwrap();
        assert_eq!(lines.next_line().unwrap().unwrap().len(), MAX_LINE_BYTES);
        lines.push(&vec![b'x'; MAX_LINE_BYTES + 1]).unwrap();
        assert_eq!(lines.next_line(), Err(Overflow::Line));
    }

    #[test]
    fn the_backlog_is_bounded() {
        let mut lines = Lines::default();
        lines.push(&vec![b'\n'; MAX_BACKLOG_BYTES]).unwrap();
        assert_eq!(lines.push(b"x"), Err(Overflow::Backlog));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(data in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), cut in 1usize..20) {
            let pieces: Vec<&[u8]> = data.chunks(cut).collect();
            let whole = all(&[&data]);
            prop_assert_eq!(all(&pieces), whole.clone());
            let mut joined = whole.join(&b'\n');
            if data.last() == Some(&b'\n') { joined.push(b'\n'); }
            prop_assert_eq!(joined, data);
        }
    }
}
