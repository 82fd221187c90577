//! A decoded text with the way back to the bytes that it came from.

use std::ops::Range;

use super::base64::{Packed, Way};

/// A text that was hidden in another one.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The lines in which something was decoded, each whole, so that what stands around a value is there too.
    pub text: String,
    /// In the order of `start`, without gaps.
    pieces: Vec<Piece>,
}

/// A stretch of a layer and where it came from.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// In the layer.
    start: usize,
    from: From,
    via: Via,
}

/// What hid a stretch, all layers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Via(u8);

impl Via {
    pub(super) const URL: Self = Self(1);
    pub(super) const JSON: Self = Self(2);
    pub(super) const XML: Self = Self(4);
    pub(super) const BASE64: Self = Self(8);
    pub(super) const GZIP: Self = Self(16);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[derive(Clone, Copy, Debug)]
enum From {
    /// Byte by byte, from here on.
    Copy(usize),
    /// All of it from all of that.
    Whole(usize, usize),
    /// Base64: three bytes from four. The second is where the run ends.
    Quanta(usize, usize),
}

impl Layer {
    /// The range of the outermost text that what stands at `range` came from.
    #[must_use]
    pub fn back(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.piece(range.start);
        let last = self.piece(range.end.saturating_sub(1).max(range.start));
        let (Some(first), Some(last)) = (first, last) else { return 0..0 };
        let start = match first.from {
            From::Copy(from) => from + (range.start - first.start),
            From::Whole(from, _) => from,
            From::Quanta(from, end) => (from + (range.start - first.start) * 4 / 3).min(end),
        };
        let end = match last.from {
            From::Copy(from) => from + range.end.saturating_sub(last.start),
            From::Whole(_, end) => end,
            From::Quanta(from, end) => {
                let bytes = range.end.saturating_sub(last.start);
                let stop = (from + (bytes * 4).div_ceil(3)).min(end);
                // What is left is padding.
                if end - stop < 3 && self.starts_next(last, range.end) { end } else { stop }
            }
        };
        start..end.max(start)
    }

    /// What hid the bytes at `range`, for people: `base64`, `url+json`; nothing where they stood there as they are.
    #[must_use]
    pub fn hidden_by(&self, range: &Range<usize>) -> String {
        let first = self.pieces.partition_point(|piece| piece.start <= range.start).saturating_sub(1);
        let touched = self.pieces.iter().skip(first).take_while(|piece| piece.start < range.end.max(range.start + 1));
        let via = touched.fold(Via::default(), |all, piece| all.and(piece.via));
        let names =
            [(Via::URL, "url"), (Via::JSON, "json"), (Via::XML, "xml"), (Via::BASE64, "base64"), (Via::GZIP, "gzip")];
        let named: Vec<&str> = names.iter().filter(|(one, _)| via.and(*one) == via).map(|(_, name)| *name).collect();
        named.join("+")
    }

    fn piece(&self, at: usize) -> Option<Piece> {
        let next = self.pieces.partition_point(|piece| piece.start <= at);
        self.pieces.get(next.checked_sub(1)?).copied()
    }

    /// Whether the piece behind `piece` starts at `at`.
    fn starts_next(&self, piece: Piece, at: usize) -> bool {
        let next = self.pieces.partition_point(|other| other.start <= piece.start);
        self.pieces.get(next).map_or(at >= self.text.len(), |next| next.start == at)
    }

    /// The same, where its source was itself a layer: the way back leads to the outermost text.
    pub(super) fn behind(mut self, outer: Option<&Self>) -> Self {
        let Some(outer) = outer else { return self };
        let mut pieces = Vec::with_capacity(self.pieces.len());
        let mut ends: Vec<usize> = self.pieces.iter().skip(1).map(|piece| piece.start).collect();
        ends.push(self.text.len());
        for (piece, end) in self.pieces.iter().zip(ends) {
            match piece.from {
                From::Copy(from) => outer.copies(from, piece, end - piece.start, &mut pieces),
                From::Whole(from, to) | From::Quanta(from, to) => {
                    let from_to = from..to;
                    let back = outer.back(&(from..to));
                    // Over a stretch that is plain outside, base64 keeps its steps.
                    let plain = back.len() == to - from && outer.is_copy(from, to);
                    let from = match piece.from {
                        From::Quanta(..) if plain => From::Quanta(back.start, back.end),
                        _ => From::Whole(back.start, back.end),
                    };
                    pieces.push(Piece { start: piece.start, from, via: piece.via.and(outer.via_of(from_to)) });
                }
            }
        }
        self.pieces = pieces;
        self
    }

    /// What hid the bytes at `range`. Of a long run the ends are looked at: it is one piece nearly always.
    fn via_of(&self, range: Range<usize>) -> Via {
        let of = |at: usize| self.piece(at).map_or(Via::default(), |piece| piece.via);
        of(range.start).and(of(range.end.saturating_sub(1).max(range.start)))
    }

    /// Whether `from..to` is one stretch that was copied.
    fn is_copy(&self, from: usize, to: usize) -> bool {
        match (self.piece(from), self.piece(to.saturating_sub(1))) {
            (Some(a), Some(b)) => a.start == b.start && matches!(a.from, From::Copy(_)),
            _ => false,
        }
    }

    /// `length` bytes that the inner layer took over from `from` on: the pieces of this one, cut to it.
    fn copies(&self, from: usize, inner: &Piece, length: usize, into: &mut Vec<Piece>) {
        let mut at = from;
        let mut index = self.pieces.partition_point(|piece| piece.start <= from).saturating_sub(1);
        while at < from + length {
            let Some(piece) = self.pieces.get(index) else { return };
            let next = self.pieces.get(index + 1).map_or(self.text.len(), |next| next.start);
            let stop = next.min(from + length);
            let place = match piece.from {
                From::Copy(origin) => From::Copy(origin + (at - piece.start)),
                From::Whole(a, b) => From::Whole(a, b),
                // A part of a run begins anywhere within four characters: all of it that took part.
                From::Quanta(..) if at != piece.start => {
                    let back = self.back(&(at..stop));
                    From::Whole(back.start, back.end)
                }
                quanta @ From::Quanta(..) => quanta,
            };
            let via = inner.via.and(piece.via);
            into.push(Piece { start: inner.start + (at - from), from: place, via });
            if stop <= at {
                return;
            }
            at = stop;
            index += 1;
        }
    }
}

/// Puts a layer together.
pub(super) struct Builder {
    layer: Layer,
    room: usize,
    unread: Vec<Range<usize>>,
    /// Up to where the source was taken with a run over several lines.
    done: usize,
}

impl Builder {
    pub(super) const fn new(room: usize) -> Self {
        Self { layer: Layer { text: String::new(), pieces: Vec::new() }, room, unread: Vec::new(), done: 0 }
    }

    /// A line begins.
    pub(super) fn begin(&mut self) {
        if self.layer.text.is_empty() {
            return;
        }
        if !self.layer.text.ends_with('\n') {
            self.end_line();
        }
    }

    /// A line end of our own, which came from nowhere.
    pub(super) fn end_line(&mut self) {
        let at = self.layer.pieces.last().map_or(0, |piece| match piece.from {
            From::Copy(from) => from + (self.layer.text.len() - piece.start),
            From::Whole(_, end) | From::Quanta(_, end) => end,
        });
        self.push("\n", From::Whole(at, at), Via::default());
    }

    /// Up to where the source was taken already.
    pub(super) const fn done(&self) -> usize {
        self.done
    }

    /// How many bytes may still be unpacked.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// Take over what is not encoded.
    pub(super) fn copy(&mut self, source: &str, range: Range<usize>) {
        if let Some(text) = source.get(range.clone()).filter(|text| !text.is_empty()) {
            self.push(text, From::Copy(range.start), Via::default());
        }
    }

    /// What an escape stands for.
    pub(super) fn escape(&mut self, text: &str, from: Range<usize>, via: Via) {
        self.push(text, From::Whole(from.start, from.end), via);
    }

    /// What was packed; `base` is where its line begins.
    pub(super) fn unpack(&mut self, packed: Packed, base: usize) {
        let range = base + packed.range.start..base + packed.range.end;
        let mut via = Via::BASE64;
        if packed.way == Way::Gzip {
            via = via.and(Via::GZIP);
            self.room = self.room.saturating_sub(packed.text.len());
        }
        if packed.cut {
            self.unread.push(range.clone());
        }
        self.done = range.end;
        let from = match packed.way {
            Way::Bytes => From::Quanta(range.start, range.end),
            Way::Wide | Way::Gzip | Way::Lines => From::Whole(range.start, range.end),
        };
        if !packed.text.is_empty() {
            self.push(&packed.text, from, via);
        }
    }

    fn push(&mut self, text: &str, from: From, via: Via) {
        self.layer.pieces.push(Piece { start: self.layer.text.len(), from, via });
        self.layer.text.push_str(text);
    }

    /// The layer, and what could not be read. Nothing where nothing was encoded.
    pub(super) fn finish(self) -> Option<(Layer, Vec<Range<usize>>)> {
        (!self.layer.text.is_empty() || !self.unread.is_empty()).then_some((self.layer, self.unread))
    }
}
