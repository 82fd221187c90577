//! A stream of text becomes overlapping windows.
//!
//! Invariant: the windows cover the stream without a gap, each begins and ends on a character boundary, neighbours
//! share about [`WindowSize`]'s overlap, and the ranges that they *own* partition the stream. A finding belongs to the
//! window that owns its first byte; the border between two owners lies in the middle of what both have seen, so each
//! window knows at least about half an overlap on either side of what it answers for.
//!
//! Memory: one window and what the caller pushed and has not yet taken.

use std::ops::Range;

/// How large windows are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    bytes: usize,
    overlap: usize,
}

impl WindowSize {
    /// 256 KiB windows that overlap by 32 KiB: a scanner call costs some 60 µs beside the scanning, which is nothing
    /// at this size; a value of up to 16 KiB (the largest private keys) is seen whole by the window that owns it.
    pub const DEFAULT: Self = Self { bytes: 256 << 10, overlap: 32 << 10 };

    /// The smallest overlap: below it, the border between two owners could fall on a window's edge.
    const MIN_OVERLAP: usize = 16;

    /// Windows of at most `bytes` that overlap by `overlap` bytes, each raised to what works: an overlap of 16 bytes,
    /// and windows of four overlaps.
    #[must_use]
    pub fn new(bytes: usize, overlap: usize) -> Self {
        let overlap = overlap.clamp(Self::MIN_OVERLAP, usize::MAX / 8);
        Self { bytes: bytes.max(overlap * 4), overlap }
    }

    /// The largest window.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// What two windows share, at least (less up to three bytes for a character boundary).
    #[must_use]
    pub const fn overlap(self) -> usize {
        self.overlap
    }
}

impl Default for WindowSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A stretch of the stream, as a scanner is given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The text, mostly whole lines.
    pub text: String,
    /// Where it begins in the stream.
    pub offset: usize,
    /// Which findings this window answers for, by the absolute offset of their first byte.
    pub owns: Range<usize>,
    /// The stream has text before this window.
    pub continues_before: bool,
    /// The stream has text after this window.
    pub continues_after: bool,
}

impl Window {
    /// Where it ends in the stream.
    #[must_use]
    pub fn end(&self) -> usize {
        self.offset + self.text.len()
    }
}

/// Cuts a stream. Push text, take windows until there is none, push more; at the end [`finish`](Self::finish) and take
/// the rest.
#[derive(Debug)]
pub struct Windows {
    size: WindowSize,
    buffer: String,
    /// What of the buffer is done.
    head: usize,
    /// Where `head` lies in the stream.
    offset: usize,
    /// Where what the next window owns begins.
    owned: usize,
    finished: bool,
}

impl Windows {
    /// A new stream.
    #[must_use]
    pub fn new(size: WindowSize) -> Self {
        Self { size, buffer: String::new(), head: 0, offset: 0, owned: 0, finished: false }
    }

    /// All windows of a text at hand.
    pub fn of(size: WindowSize, text: &str) -> impl Iterator<Item = Window> {
        let mut windows = Self::new(size);
        windows.push(text);
        windows.finish();
        std::iter::from_fn(move || windows.next_window())
    }

    /// The next piece of the stream. Take windows between pushes: what is not taken is kept in memory.
    pub fn push(&mut self, piece: &str) {
        debug_assert!(!self.finished, "nothing follows the end");
        self.buffer.drain(..self.head);
        self.head = 0;
        self.buffer.push_str(piece);
    }

    /// The stream is over.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The next window, or nothing while more text is needed, or at the end.
    pub fn next_window(&mut self) -> Option<Window> {
        let rest = self.buffer.get(self.head..)?;
        if rest.len() <= self.size.bytes {
            return self.finished.then(|| self.last_window()).flatten();
        }
        let end = self.cut(rest);
        let next = self.next_start(rest, end);
        let text = rest.get(..end)?.to_owned();
        let border = self.offset + usize::midpoint(next, end);
        let window = Window {
            text,
            offset: self.offset,
            owns: self.owned..border,
            continues_before: self.offset > 0,
            continues_after: true,
        };
        self.head += next;
        self.offset += next;
        self.owned = border;
        Some(window)
    }

    fn last_window(&mut self) -> Option<Window> {
        let text = self.buffer.get(self.head..).unwrap_or_default().to_owned();
        self.buffer = String::new();
        self.head = 0;
        if text.is_empty() {
            return None;
        }
        let end = self.offset + text.len();
        let window = Window {
            text,
            offset: self.offset,
            owns: self.owned..end,
            continues_before: self.offset > 0,
            continues_after: false,
        };
        self.offset = end;
        self.owned = end;
        Some(window)
    }

    /// Where the window that begins with `rest` ends: after a newline in its later half, otherwise anywhere.
    fn cut(&self, rest: &str) -> usize {
        let most = rest.floor_char_boundary(self.size.bytes);
        let least = usize::midpoint(self.size.overlap, self.size.bytes);
        after_last_newline(rest, least..most).unwrap_or(most)
    }

    /// Where the window after one that ends at `end` begins: at a line that starts up to one overlap earlier than
    /// needed, otherwise anywhere.
    fn next_start(&self, rest: &str, end: usize) -> usize {
        let latest = end.saturating_sub(self.size.overlap);
        let earliest = latest.saturating_sub(self.size.overlap);
        after_last_newline(rest, earliest..latest).unwrap_or_else(|| rest.floor_char_boundary(latest))
    }
}

/// The byte after the last newline within a range of a text.
fn after_last_newline(text: &str, range: Range<usize>) -> Option<usize> {
    let from = range.start;
    let bytes = text.as_bytes().get(range)?;
    memchr::memrchr(b'\n', bytes).map(|at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_text_is_one_window() {
        let windows: Vec<_> = Windows::of(WindowSize::DEFAULT, "hello").collect();
        assert_eq!(windows.len(), 1);
        assert!(!windows[0].continues_before && !windows[0].continues_after);
        assert_eq!(windows[0].owns, 0..5);
        assert_eq!(Windows::of(WindowSize::DEFAULT, "").count(), 0);
    }

    #[test]
    fn windows_end_after_a_newline_where_they_can() {
        let text = "a line of the log\n".repeat(100);
        for window in Windows::of(WindowSize::new(200, 32), &text) {
            assert!(window.text.ends_with('\n'));
            assert!(window.text.starts_with("a line"));
        }
    }

    #[test]
    fn a_line_without_end_is_cut_all_the_same() {
        let text = "€".repeat(10_000);
        let windows: Vec<_> = Windows::of(WindowSize::new(256, 32), &text).collect();
        assert!(windows.len() > 100);
        assert!(windows.iter().all(|window| window.text.len() <= 256));
    }

    proptest! {
        #[test]
        fn windows_cover_and_owners_partition(
            text in "[a-z€😀 \n]{0,2000}",
            bytes in 0usize..400,
            overlap in 0usize..100,
            step in 1usize..300,
        ) {
            let size = WindowSize::new(bytes, overlap);
            let mut stream = Windows::new(size);
            let mut windows = Vec::new();
            let mut at = 0;
            while at < text.len() {
                let to = text.ceil_char_boundary((at + step).min(text.len()));
                stream.push(&text[at..to]);
                at = to;
                while let Some(window) = stream.next_window() {
                    windows.push(window);
                }
                prop_assert!(stream.buffer.len() - stream.head <= size.bytes() + step + 4);
            }
            stream.finish();
            while let Some(window) = stream.next_window() {
                windows.push(window);
            }
            let whole: Vec<_> = Windows::of(size, &text).collect();
            prop_assert_eq!(&windows, &whole, "however the stream arrives");

            let mut owned = 0;
            for (index, window) in windows.iter().enumerate() {
                prop_assert_eq!(&text[window.offset..window.end()], &window.text);
                prop_assert_eq!(window.owns.start, owned);
                prop_assert!(window.owns.start >= window.offset && window.owns.end <= window.end());
                owned = window.owns.end;
                if let Some(next) = windows.get(index + 1) {
                    prop_assert!(next.offset > window.offset);
                    prop_assert!(next.offset + size.overlap() <= window.end());
                    prop_assert!(next.offset < window.owns.end && window.owns.end < window.end());
                }
                prop_assert_eq!(window.continues_before, index > 0);
                prop_assert_eq!(window.continues_after, index + 1 < windows.len());
            }
            prop_assert_eq!(owned, text.len());
        }
    }
}
