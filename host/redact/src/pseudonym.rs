//! The incident's book of pseudonyms: which value is `[EMAIL-1]`.
//!
//! Invariant: within one book a value has one label for ever, and a label means one value. Numbers are given in the
//! order of first sight and never used again. The book holds originals: it lives in memory and in the encrypted store
//! only, and neither prints nor serialises. One book serves one incident; whoever changes it holds it alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::{ControlFlow, Range};

use crate::known::Index;
use crate::label::Seen;
use crate::normal::normal_form;
use crate::outgoing::{Leak, each_view};
use crate::{Encoding, Kind, Label, Lookalikes};

/// Of one value, what the book keeps, bytes: the largest private keys.
const KEPT_BYTES: usize = 16 << 10;

/// What the book keeps of a value: its beginning, of a very long one.
#[must_use]
pub fn kept(value: &str) -> &str {
    value.get(..value.floor_char_boundary(KEPT_BYTES)).unwrap_or_default()
}

/// What a pseudonym may show beside its number, because a model reasons better with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Of IPv4 addresses, which share their first three numbers: `[IPV4-3 in net-1]`.
    pub network: bool,
    /// Of e-mail addresses, which share their domain: `[EMAIL-2 @ domain-1]`.
    pub domain: bool,
}

impl Hints {
    /// What either shows.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { network: self.network || other.network, domain: self.domain || other.domain }
    }
}

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

/// A value in one of its spellings.
#[derive(Clone)]
struct Value {
    kind: u16,
    number: u64,
    original: Box<str>,
}

/// What is known of a kind.
#[derive(Clone)]
struct OfKind {
    kind: Kind,
    last: u64,
    /// The first spelling of each number.
    first: BTreeMap<u64, u32>,
}

/// A known value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownValue {
    /// Where it stands, bytes.
    pub range: Range<usize>,
    /// Its kind.
    pub kind: Kind,
}

/// The book. A log may hold millions of different values: what is compared only is kept as a digest.
#[derive(Clone, Default)]
pub struct Pseudonyms {
    values: Vec<Value>,
    kinds: Vec<OfKind>,
    by_kind: HashMap<Kind, u16>,
    digests: Digests,
    /// Normal forms, and the lowest number that each was given.
    numbers: HashMap<Digest, u64>,
    /// Spellings that are already in the book.
    spellings: HashSet<Digest>,
    index: Index,
    new: Vec<Entry>,
    lookalikes: Lookalikes,
    /// Of the longest value, bytes.
    longest: usize,
    hints: Hints,
    /// What values have in common, by kind, and the lowest number among those that share it.
    relatives: HashMap<Digest, u64>,
}

/// A keyed digest of a kind and a text, wide enough that two texts never share one.
type Digest = (u64, u64);

#[derive(Clone, Default)]
struct Digests(RandomState, RandomState);

impl Digests {
    fn of(&self, kind: u16, text: &str) -> Digest {
        (self.0.hash_one((kind, text)), self.1.hash_one((kind, text)))
    }
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

    /// The label of a value: its old one, or the next of its kind. Of a very long value the beginning ([`kept`]) stands for
    /// all of it, so that a file that is one secret does not come to lie in memory.
    pub fn label_for(&mut self, kind: &Kind, original: &str) -> Label {
        let original = kept(original);
        let place = self.place(kind);
        let form = self.digests.of(place, &normal_form(kind, original));
        let number = match self.numbers.get(&form) {
            Some(number) => *number,
            None => self.kinds.get(usize::from(place)).map_or(1, |of| of.last.saturating_add(1)),
        };
        let entry = Entry { kind: kind.clone(), number, original: original.to_owned() };
        let label = entry.label();
        if !self.spellings.contains(&self.digests.of(place, original)) {
            self.insert(&entry);
            self.new.push(entry);
        }
        label
    }

    /// What labels show beside their number from now on.
    pub const fn show(&mut self, hints: Hints) {
        self.hints = hints;
    }

    /// A label as it stands in masked text: with what its value shares with others, where that is wanted. The number of a
    /// network or a domain is that of its first address, so it never changes either.
    #[must_use]
    pub fn shown(&self, label: &Label) -> String {
        let wanted = match label.kind.as_str() {
            "IPV4" => self.hints.network.then_some("in net"),
            "EMAIL" => self.hints.domain.then_some("@ domain"),
            _ => None,
        };
        let relative = || {
            let place = *self.by_kind.get(&label.kind)?;
            let shared = shared(&label.kind, &normal_form(&label.kind, self.original(label)?))?;
            self.relatives.get(&self.digests.of(place, &shared)).copied()
        };
        match wanted.zip(relative()) {
            Some((what, number)) => format!("[{}-{} {what}-{number}]", label.kind, label.number),
            None => label.to_string(),
        }
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
        let place = self.by_kind.get(&label.kind)?;
        let id = *self.kinds.get(usize::from(*place))?.first.get(&label.number)?;
        self.values.get(id as usize).map(|value| &*value.original)
    }

    /// Every label with every spelling of its value, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (Label, &str)> {
        self.values.iter().filter_map(|value| Some((self.label(value)?, &*value.original)))
    }

    /// How many values the book holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.iter().map(|of| of.first.len()).sum()
    }

    /// Whether the book holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How far a value of the book may reach in a text, in any encoding, bytes: what is cut out of a longer text is looked
    /// at with so much on both sides.
    #[must_use]
    pub fn reach(&self) -> usize {
        if self.longest == 0 { 0 } else { self.longest * 3 + 64 }
    }

    /// Values of the book in a text, whether or not a scanner saw them there, plain or encoded: whatever
    /// [`Self::check_outgoing`] would object to, and more. `left_out` says which originals do not count.
    pub fn known_in(&self, text: &str, left_out: impl Fn(&str) -> bool) -> Vec<KnownValue> {
        let mut found: Vec<KnownValue> = Vec::new();
        if self.index.is_empty() {
            return found;
        }
        let _ = each_view(text.as_bytes(), |view| {
            let mut last = (0, 0);
            let _ = self.index.find(&view.bytes, |start, end, id| {
                let source = view.source(start..end);
                // Where decoding has changed nothing, the text itself was looked at already.
                let is_new = view.encoding == Encoding::Plain
                    || text.as_bytes().get(source.clone()) != view.bytes.get(start..end);
                let is_within = last.0 <= start && end <= last.1;
                if is_new
                    && !is_within
                    && let Some(value) = self.stands(&view.bytes, start, end, id)
                    && !left_out(&value.original)
                    && let Some(of) = self.kinds.get(usize::from(value.kind))
                {
                    last = (start, end);
                    let range = text.floor_char_boundary(source.start)..text.ceil_char_boundary(source.end);
                    found.push(KnownValue { range, kind: of.kind.clone() });
                }
                ControlFlow::<()>::Continue(())
            });
            None::<()>
        });
        found
    }

    /// The last check on bytes that leave: none of the originals is in them, plain or encoded. Raw text that looked like
    /// a pseudonym does not count, nor do originals that are part of every label of some kind (`mail`, `user`), nor
    /// those that `left_out` names.
    ///
    /// # Errors
    /// The first original that was found, by its pseudonym.
    pub fn check_outgoing(&self, bytes: &[u8], left_out: impl Fn(&str) -> bool) -> Result<(), Leak> {
        if self.index.is_empty() {
            return Ok(());
        }
        let leak = each_view(bytes, |view| {
            let search =
                self.index.find(&view.bytes, |start, end, id| match self.stands(&view.bytes, start, end, id) {
                    Some(value) if !self.is_harmless(value) && !left_out(&value.original) => ControlFlow::Break(value),
                    _ => ControlFlow::Continue(()),
                });
            let label = self.label(search.break_value()?)?;
            Some(Leak { label: label.to_string(), encoding: view.encoding })
        });
        leak.map_or(Ok(()), Err)
    }

    fn is_harmless(&self, value: &Value) -> bool {
        let is_lookalike = self.kinds.get(usize::from(value.kind)).is_some_and(|of| of.kind == Kind::PSEUDONYM);
        is_lookalike || is_part_of_labels(value.original.trim())
    }

    /// The value of a hit of the index, if it is one.
    fn stands(&self, bytes: &[u8], start: usize, end: usize, id: u32) -> Option<&Value> {
        let value = self.values.get(id as usize)?;
        let whole = value.original.trim().as_bytes();
        let same = whole.get(..end - start)?.eq_ignore_ascii_case(bytes.get(start..end)?);
        same.then_some(value)
    }

    fn label(&self, value: &Value) -> Option<Label> {
        let of = self.kinds.get(usize::from(value.kind))?;
        Some(Label { kind: of.kind.clone(), number: value.number })
    }

    /// Whether anything in a text reads as a pseudonym.
    #[must_use]
    pub fn reads_as_pseudonym(&self, text: &str) -> bool {
        !self.recognise(text).is_empty()
    }

    /// Everything in a text that reads as a pseudonym.
    pub(crate) fn recognise(&self, text: &str) -> Vec<Seen> {
        self.lookalikes.recognise(text)
    }

    /// The place of a kind among the kinds.
    fn place(&mut self, kind: &Kind) -> u16 {
        if let Some(place) = self.by_kind.get(kind) {
            return *place;
        }
        // Kinds are those that scanners announce: some dozens. Beyond all numbers they would share the last.
        let place = u16::try_from(self.kinds.len()).unwrap_or(u16::MAX);
        self.kinds.push(OfKind { kind: kind.clone(), last: 0, first: BTreeMap::new() });
        self.by_kind.insert(kind.clone(), place);
        self.lookalikes.know(kind);
        place
    }

    fn insert(&mut self, entry: &Entry) {
        self.longest = self.longest.max(entry.original.len());
        let Entry { kind, number, original } = entry;
        let place = self.place(kind);
        let normal = normal_form(kind, original);
        if let Some(shared) = shared(kind, &normal) {
            let lowest = self.relatives.entry(self.digests.of(place, &shared)).or_insert(*number);
            *lowest = (*lowest).min(*number);
        }
        let form = self.digests.of(place, &normal);
        let given = self.numbers.entry(form).or_insert(*number);
        *given = (*given).min(*number);
        self.spellings.insert(self.digests.of(place, original));
        let id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        if let Some(of) = self.kinds.get_mut(usize::from(place)) {
            of.last = of.last.max(*number);
            of.first.entry(*number).or_insert(id);
        }
        self.index.add(original, id);
        self.values.push(Value { kind: place, number: *number, original: original.as_str().into() });
    }
}

/// What an address has in common with its neighbours, in a form that is no address itself: the domain of a mailbox, the
/// first three numbers of an IPv4 address.
fn shared(kind: &Kind, normal: &str) -> Option<String> {
    let (before, after) = match kind.as_str() {
        "EMAIL" => normal.rsplit_once('@').map(|(_, domain)| ("@", domain))?,
        "IPV4" => normal.rsplit_once('.').map(|(network, _)| (".", network))?,
        _ => return None,
    };
    Some(format!("{before}{after}"))
}

/// Whether a value cannot be told from the names in our own labels.
pub(crate) fn is_part_of_labels(original: &str) -> bool {
    let upper = original.to_ascii_uppercase();
    ["@ DOMAIN-", " IN NET-"].iter().any(|hint| hint.contains(&upper))
        || Kind::known().any(|kind| format!("[{kind}-").contains(&upper))
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
    fn the_beginning_of_an_endless_value_stands_for_it() {
        let mut book = Pseudonyms::new();
        let (kind, long) = (Kind::new("PASSWORD"), "ü".repeat(KEPT_BYTES));
        let label = book.label_for(&kind, &long);
        assert_eq!(book.label_for(&kind, &(long.clone() + "and on")), label);
        assert_ne!(book.label_for(&kind, &("x".to_owned() + &long)), label);
        assert_eq!(book.original(&label).map(str::len), Some(KEPT_BYTES));
    }

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
    fn labels_show_what_values_share_where_that_is_wanted() {
        let mut book = Pseudonyms::new();
        let (mail, ip) = (Kind::new("EMAIL"), Kind::new("IPV4"));
        for (kind, value) in
            [(&mail, "a@x.org"), (&mail, "b@y.org"), (&mail, "c%40X.org"), (&ip, "10.1.2.3"), (&ip, "10.1.2.9")]
        {
            let _ = book.label_for(kind, value);
        }
        let third = Label { kind: mail, number: 3 };
        let second = Label { kind: ip, number: 2 };
        assert_eq!(book.shown(&third), "[EMAIL-3]");
        book.show(Hints { network: true, domain: true });
        assert_eq!(book.shown(&third), "[EMAIL-3 @ domain-1]");
        assert_eq!(book.shown(&second), "[IPV4-2 in net-1]");
        // What a model makes of it is read all the same.
        for spelt in
            ["[EMAIL-3 @ domain-1]", "[email-3@domain-1]", "[EMAIL-3 @ Domäne-1]", "[EMAIL\u{2011}3 @ domain 1]"]
        {
            let seen = book.recognise(spelt);
            assert_eq!(seen.len(), 1, "{spelt}");
            assert_eq!((seen[0].range.clone(), seen[0].label.clone()), (0..spelt.len(), third.clone()), "{spelt}");
        }
        assert_eq!(book.recognise("[IPV4-2 im Netz-1]")[0].label, second);
        assert!(book.recognise("[EMAIL-3 or PHONE-2]").iter().all(|seen| !seen.bracketed));
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
