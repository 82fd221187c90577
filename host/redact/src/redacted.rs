//! Text that may leave.
//!
//! Invariant: a [`Redacted`] holds text that passed the gate, or literals of our own source code, and nothing else.
//! It has private fields, no `From<String>`, no `Deserialize` and no way to append a plain string. So it cannot be
//! read back from a store, a request or a plugin: it is made from text and spans, each time.
//!
//! ```compile_fail
//! let forged = fumehood_redact::Redacted { text: String::from("raw"), masked: Vec::new() };
//! ```
//! ```compile_fail
//! let forged: fumehood_redact::Redacted = String::from("raw").into();
//! ```
//! ```compile_fail
//! let forged: fumehood_redact::Redacted = serde_json::from_str("\"raw\"").unwrap();
//! ```
//! ```compile_fail
//! fn forge(raw: &str) -> fumehood_redact::Redacted { fumehood_redact::Redacted::literal(raw) }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::{Kind, Label};

/// Text in which every finding is a pseudonym.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    text: String,
    masked: Vec<MaskedRange>,
}

/// Where a pseudonym stands in a [`Redacted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedRange {
    /// First byte in the redacted text.
    pub start: usize,
    /// Byte after the last in the redacted text.
    pub end: usize,
    /// The pseudonym.
    pub label: Label,
    /// Its kind.
    pub kind: Kind,
    /// The bytes that it stands for, in the text that was given to the gate for this part.
    pub source: Range<usize>,
}

impl Redacted {
    /// A literal of our own source code: the words of a prompt, a separator.
    #[must_use]
    pub fn literal(text: &'static str) -> Self {
        Self { text: text.to_owned(), masked: Vec::new() }
    }

    /// A count or a line number of our own making; never a number from the input.
    #[must_use]
    pub fn count(number: usize) -> Self {
        Self { text: number.to_string(), masked: Vec::new() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The pseudonyms, in order.
    #[must_use]
    pub fn masked(&self) -> &[MaskedRange] {
        &self.masked
    }

    /// How many places are masked, by kind.
    #[must_use]
    pub fn count_by_kind(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for range in &self.masked {
            *counts.entry(range.kind.clone()).or_default() += 1;
        }
        counts
    }

    /// Append a part.
    pub fn push(&mut self, part: &Redacted) {
        let offset = self.text.len();
        self.text.push_str(&part.text);
        self.masked.extend(part.masked.iter().map(|range| MaskedRange {
            start: range.start + offset,
            end: range.end + offset,
            ..range.clone()
        }));
    }

    /// Append a literal of our own source code.
    pub fn push_literal(&mut self, text: &'static str) {
        self.text.push_str(text);
    }

    /// The parts, one after the other.
    #[must_use]
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a Redacted>) -> Self {
        Self::join("", parts)
    }

    /// The parts with a separator between them.
    #[must_use]
    pub fn join<'a>(separator: &'static str, parts: impl IntoIterator<Item = &'a Redacted>) -> Self {
        let mut whole = Self::default();
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                whole.push_literal(separator);
            }
            whole.push(part);
        }
        whole
    }

    /// Cut to at most `len` bytes, at a character boundary, and before a pseudonym rather than within it.
    pub fn truncate_at(&mut self, len: usize) {
        let mut end = self.text.floor_char_boundary(len);
        if let Some(cut) = self.masked.iter().find(|range| range.start < end && end < range.end) {
            end = cut.start;
        }
        self.text.truncate(end);
        self.masked.retain(|range| range.end <= end);
    }

    /// The part that these bytes of the source became; of a text that the gate made in one go. A pseudonym belongs to
    /// the part that its value begins in; with `entering` also to a part that begins within the value.
    #[must_use]
    pub fn part(&self, source: Range<usize>, entering: bool) -> Self {
        let mut part = Self::default();
        let (mut text, mut from) = (0, 0);
        for range in &self.masked {
            part.push_clear(self.clear(text..range.start, from, &source));
            let begins = source.contains(&range.source.start);
            let enters = entering && range.source.start < source.start && source.start < range.source.end;
            if begins || enters {
                part.push_label(range.label.clone(), self.shown(range), range.source.clone());
            }
            (text, from) = (range.end, range.source.end);
        }
        part.push_clear(self.clear(text..self.text.len(), from, &source));
        part
    }

    /// Of a stretch without pseudonyms, which stands at `from` in the source, what lies in `source`.
    fn clear(&self, stretch: Range<usize>, from: usize, source: &Range<usize>) -> &str {
        let at = |byte: usize| (stretch.start + byte.saturating_sub(from)).min(stretch.end);
        let (start, end) =
            (self.text.ceil_char_boundary(at(source.start)), self.text.floor_char_boundary(at(source.end)));
        self.text.get(start..end).unwrap_or_default()
    }

    /// Text that the gate has decided on: nothing in it is a finding.
    pub(crate) fn push_clear(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A pseudonym as it stands in the text.
    fn shown(&self, range: &MaskedRange) -> &str {
        self.text.get(range.start..range.end).unwrap_or_default()
    }

    /// A pseudonym, as it is shown, for these bytes of the source.
    pub(crate) fn push_label(&mut self, label: Label, shown: &str, source: Range<usize>) {
        let start = self.text.len();
        self.text.push_str(shown);
        let kind = label.kind.clone();
        self.masked.push(MaskedRange { start, end: self.text.len(), label, kind, source });
    }

    /// The same text as the content of a JSON string. Labels hold nothing that JSON escapes.
    pub(crate) fn push_json_string(&mut self, part: &Redacted) {
        self.text.push('"');
        let mut done = 0;
        for range in &part.masked {
            self.push_json_escaped(part.text.get(done..range.start).unwrap_or_default());
            self.push_label(range.label.clone(), part.shown(range), range.source.clone());
            done = range.end;
        }
        self.push_json_escaped(part.text.get(done..).unwrap_or_default());
        self.text.push('"');
    }

    fn push_json_escaped(&mut self, text: &str) {
        let quoted = serde_json::Value::from(text).to_string();
        self.text.push_str(quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default());
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::strategies::plain;
    use crate::{Gate, Pseudonyms, merge};

    fn sample() -> Redacted {
        let text = "mail a@x.org é now";
        let spans = merge(text.len(), &[plain("EMAIL", 5, 12)]);
        Gate::redact(&mut Pseudonyms::new(), text, &spans)
    }

    #[test]
    fn parts_keep_their_marks() {
        let whole = Redacted::join(" | ", [&sample(), &Redacted::literal("x"), &sample()]);
        assert_eq!(whole.as_str(), "mail [EMAIL-1] é now | x | mail [EMAIL-1] é now");
        for range in whole.masked() {
            assert_eq!(&whole.as_str()[range.start..range.end], "[EMAIL-1]");
            assert_eq!(range.source, 5..12);
        }
        assert_eq!(whole.count_by_kind(), BTreeMap::from([(Kind::new("EMAIL"), 2)]));
    }

    #[test]
    fn parts_of_the_source_are_cut_out() {
        // "mail a@x.org é now", with the value at 5..12.
        let whole = sample();
        let part = |range: Range<usize>, entering| whole.part(range, entering).as_str().to_owned();
        assert_eq!(part(0..5, false), "mail ");
        assert_eq!(part(0..6, false), "mail [EMAIL-1]");
        assert_eq!(part(6..12, false), "");
        assert_eq!(part(6..12, true), "[EMAIL-1]");
        assert_eq!(part(12..19, true), " é now");
        assert_eq!(part(14..19, true), " now");
        for cut in 0..=19 {
            let both = part(0..cut, false) + &part(cut..19, false);
            assert!(both == whole.as_str() || cut == 14, "{cut}: {both}");
        }
    }

    #[test]
    fn truncation_cuts_no_pseudonym_and_no_character() {
        for len in 0..=30 {
            let mut text = sample();
            text.truncate_at(len);
            assert!(text.len() <= len);
            assert_eq!(text.as_str().contains('['), text.as_str().contains("[EMAIL-1]"));
            assert_eq!(text.masked().len(), usize::from(text.as_str().contains('[')));
        }
    }
}
