//! The incident's book of pseudonyms: which value is `[EMAIL-1]`.
//!
//! Invariant: within one book a value has one label for ever, and a label means one value. Numbers are given in the
//! order of first sight and never used again. The book holds originals: it lives in memory and in the encrypted store
//! only, and neither prints nor serialises. One book serves one incident; whoever changes it holds it alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::label::Seen;
use crate::normal::normal_form;
use crate::{CheckTooLarge, Kind, Label, Lookalikes, OutgoingCheck};

/// What the store keeps of a pseudonym. A number has several entries where its value was seen in several spellings.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The kind.
    pub kind: Kind,
    /// The number within the kind, from 1.
    pub number: u64,
    /// The value as it stood in the text.
    pub original: String,
}

impl Entry {
    /// Its pseudonym.
    #[must_use]
    pub fn label(&self) -> Label {
        Label { kind: self.kind.clone(), number: self.number }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Entry({})", self.label())
    }
}

/// The book.
#[derive(Clone, Default)]
pub struct Pseudonyms {
    /// By kind, then by normal form.
    numbers: HashMap<Kind, HashMap<String, u64>>,
    /// Every spelling of every label, the first seen first.
    originals: BTreeMap<Label, Vec<String>>,
    /// Spellings that are already in the book.
    spellings: HashMap<Kind, HashSet<String>>,
    last: HashMap<Kind, u64>,
    new: Vec<Entry>,
    lookalikes: Lookalikes,
}

impl Pseudonyms {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The book of an incident from what the store has kept, in the order in which it was drained. Where two entries
    /// disagree (one value under two numbers), the lower number is the one that is given from now on, and both
    /// resolve.
    #[must_use]
    pub fn load(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut book = Self::new();
        for entry in entries {
            book.insert(&entry);
        }
        book
    }

    /// Input that looks like a pseudonym of this kind is masked from now on. Call it for every kind that an installed
    /// scanner can report, before anything of the incident is sent.
    pub fn know_kind(&mut self, kind: &Kind) {
        self.lookalikes.know(kind);
    }

    /// The label of a value: its old one, or the next of its kind.
    pub fn label_for(&mut self, kind: &Kind, original: &str) -> Label {
        let form = normal_form(kind, original);
        let known = self.numbers.get(kind).and_then(|forms| forms.get(&form)).copied();
        let number = known.unwrap_or_else(|| self.last.get(kind).map_or(1, |last| last.saturating_add(1)));
        let entry = Entry { kind: kind.clone(), number, original: original.to_owned() };
        let label = entry.label();
        let seen = self.spellings.get(kind).is_some_and(|spellings| spellings.contains(original));
        if !seen {
            self.insert(&entry);
            self.new.push(entry);
        }
        label
    }

    /// What has come into the book since the last call, for the store: in order, and to be stored in the transaction
    /// that makes its first use durable.
    pub fn drain_new(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.new)
    }

    /// The value behind a label as [`Label`] writes it, in its first spelling.
    #[must_use]
    pub fn original_of(&self, label: &str) -> Option<&str> {
        self.original(&Label::parse(label)?)
    }

    /// The value behind a label, in its first spelling.
    #[must_use]
    pub fn original(&self, label: &Label) -> Option<&str> {
        self.originals.get(label)?.first().map(String::as_str)
    }

    /// Every label with every spelling of its value, by kind and number.
    pub fn iter(&self) -> impl Iterator<Item = (&Label, &str)> {
        self.originals.iter().flat_map(|(label, spellings)| spellings.iter().map(move |one| (label, one.as_str())))
    }

    /// How many values the book holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.originals.len()
    }

    /// Whether the book holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }

    /// The check of outgoing bytes against everything in the book.
    pub fn outgoing_check(&self) -> Result<OutgoingCheck, CheckTooLarge> {
        OutgoingCheck::new(self.iter().map(|(label, original)| (label.to_string(), original)))
    }

    /// Everything in a text that reads as a pseudonym.
    pub(crate) fn recognise(&self, text: &str) -> Vec<Seen> {
        self.lookalikes.recognise(text)
    }

    fn insert(&mut self, entry: &Entry) {
        let Entry { kind, number, original } = entry;
        let form = normal_form(kind, original);
        let given = self.numbers.entry(kind.clone()).or_default().entry(form).or_insert(*number);
        *given = (*given).min(*number);
        let last = self.last.entry(kind.clone()).or_default();
        *last = (*last).max(*number);
        self.spellings.entry(kind.clone()).or_default().insert(original.clone());
        let spellings = self.originals.entry(entry.label()).or_default();
        if !spellings.contains(original) {
            spellings.push(original.clone());
        }
        self.lookalikes.know(kind);
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pseudonyms({} values, {} new)", self.len(), self.new.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_mailbox_is_one_number_and_every_spelling_is_kept() {
        let mut book = Pseudonyms::new();
        let email = Kind::new("EMAIL");
        assert_eq!(book.label_for(&email, "A@x.org").to_string(), "[EMAIL-1]");
        assert_eq!(book.label_for(&email, "b@x.org").to_string(), "[EMAIL-2]");
        assert_eq!(book.label_for(&email, "a%40x.org").to_string(), "[EMAIL-1]");
        assert_eq!(book.original_of("[EMAIL-1]"), Some("A@x.org"));
        assert_eq!(book.original_of("[EMAIL-3]"), None);
        assert_eq!(book.drain_new().len(), 3);
        assert_eq!(book.label_for(&email, "A@x.org").to_string(), "[EMAIL-1]");
        assert!(book.drain_new().is_empty());
        assert_eq!(book.iter().count(), 3);
    }

    #[test]
    fn kinds_count_for_themselves() {
        let mut book = Pseudonyms::new();
        assert_eq!(book.label_for(&Kind::new("PASSWORD"), "x").to_string(), "[PASSWORD-1]");
        assert_eq!(book.label_for(&Kind::new("USERNAME"), "x").to_string(), "[USERNAME-1]");
    }

    #[test]
    fn neither_book_nor_entry_prints_an_original() {
        let mut book = Pseudonyms::new();
        let _ = book.label_for(&Kind::new("PASSWORD"), "hunter2");
        assert!(!format!("{book:?}{:?}", book.drain_new()).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn labels_are_stable_and_survive_the_store(
            values in prop::collection::vec((prop::sample::select(vec!["EMAIL", "PHONE", "JWT"]), "[aA1@. +-]{1,6}"), 1..40)
        ) {
            let mut book = Pseudonyms::new();
            let mut labels = Vec::new();
            let mut stored = Vec::new();
            for (kind, value) in &values {
                labels.push(book.label_for(&Kind::new(kind), value));
                stored.extend(book.drain_new());
            }
            let mut loaded = Pseudonyms::load(stored);
            for ((kind, value), label) in values.iter().zip(&labels) {
                let kind = Kind::new(kind);
                prop_assert_eq!(&book.label_for(&kind, value), label);
                prop_assert_eq!(&loaded.label_for(&kind, value), label);
                let original = loaded.original(label).unwrap();
                prop_assert_eq!(normal_form(&kind, original), normal_form(&kind, value));
            }
            prop_assert!(loaded.drain_new().is_empty());
        }
    }
}
