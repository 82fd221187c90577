//! Pseudonyms become originals again, for the reader alone.
//!
//! Invariant: only what the book's recogniser knows is resolved, and the result keeps text and originals apart, so
//! that a page can mark and escape them. Never use it for anything that is sent onward, a URL or an attribute.

use crate::{Label, Pseudonyms};

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// As it stands.
    Text(&'a str),
    /// A pseudonym, in whatever spelling.
    Pseudonym {
        /// Which one.
        label: Label,
        /// Its value; nothing where the incident has no such pseudonym (a model made it up).
        original: Option<&'a str>,
    },
}

/// Cut a text at its pseudonyms, however a model has spelt them. What has no brackets counts only where the incident
/// has such a pseudonym.
#[must_use]
pub fn restore<'a>(text: &'a str, book: &'a Pseudonyms) -> Vec<Segment<'a>> {
    let mut segments = Vec::new();
    let mut done = 0;
    for seen in book.recognise(text) {
        let original = book.original(&seen.label);
        if original.is_none() && !seen.bracketed {
            continue;
        }
        segments.extend(text.get(done..seen.range.start).filter(|text| !text.is_empty()).map(Segment::Text));
        segments.push(Segment::Pseudonym { label: seen.label, original });
        done = seen.range.end;
    }
    segments.extend(text.get(done..).filter(|text| !text.is_empty()).map(Segment::Text));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn every_spelling_is_resolved_and_the_rest_is_text() {
        let mut book = Pseudonyms::new();
        let label = book.label_for(&Kind::new("EMAIL"), "a@x.org");
        let text = "Ask EMAIL-1, [email\u{2011}1] or [EMAIL-9]; PHONE-7 is no one.";
        let pseudonym = |original| Segment::Pseudonym { label: label.clone(), original };
        let made_up = Segment::Pseudonym { label: Label { kind: Kind::new("EMAIL"), number: 9 }, original: None };
        assert_eq!(
            restore(text, &book),
            [
                Segment::Text("Ask "),
                pseudonym(Some("a@x.org")),
                Segment::Text(", "),
                pseudonym(Some("a@x.org")),
                Segment::Text(" or "),
                made_up,
                Segment::Text("; PHONE-7 is no one."),
            ]
        );
        assert!(restore("", &book).is_empty());
    }
}
