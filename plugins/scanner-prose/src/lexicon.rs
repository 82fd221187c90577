//! What is known of a word: one table from the hash of its folded form to a set of flags.
//!
//! Invariant: words that differ only in case and Latin accents are one word (`data/build.py` folds in the same way).
//! The table holds 24 bits of the hash beside 18 that choose the place, so a text could only be made to collide into
//! being taken for a name, which its author could have written in the first place.

/// A set of what is known of a word.
pub(crate) type Flags = u64;

pub(crate) const FIRST: Flags = 1 << 0;
/// A first name that is frequent, or usual in several countries.
pub(crate) const FIRST_COMMON: Flags = 1 << 1;
pub(crate) const LAST: Flags = 1 << 2;
pub(crate) const LAST_COMMON: Flags = 1 << 3;
/// In the dictionary in lower case.
pub(crate) const WORD: Flags = 1 << 4;
/// The same, and more frequent as a word than as a name.
pub(crate) const WORD_COMMON: Flags = 1 << 5;
/// A function word of English.
pub(crate) const FUNCTION: Flags = 1 << 6;
/// A function word of another language.
pub(crate) const FOREIGN: Flags = 1 << 7;
pub(crate) const PLACE: Flags = 1 << 8;
pub(crate) const ORG: Flags = 1 << 9;
pub(crate) const TECH: Flags = 1 << 10;
pub(crate) const TITLE: Flags = 1 << 11;
/// What people do: verbs and modals.
pub(crate) const SAY: Flags = 1 << 12;
/// Verbs that have a person for their object.
pub(crate) const OBJECT: Flags = 1 << 13;
pub(crate) const PERSON_PREP: Flags = 1 << 14;
pub(crate) const PLACE_PREP: Flags = 1 << 15;
pub(crate) const DETERMINER: Flags = 1 << 16;
pub(crate) const GREETING: Flags = 1 << 17;
pub(crate) const SIGNOFF: Flags = 1 << 18;
pub(crate) const ROLE: Flags = 1 << 19;
pub(crate) const CALENDAR: Flags = 1 << 20;
pub(crate) const STREET: Flags = 1 << 21;
/// Ends the name of a street, but is an ordinary word too.
pub(crate) const STREET_WEAK: Flags = 1 << 22;
pub(crate) const PRONOUN: Flags = 1 << 23;
pub(crate) const PARTICLE: Flags = 1 << 24;
pub(crate) const AND: Flags = 1 << 25;
pub(crate) const SUFFIX: Flags = 1 << 26;
pub(crate) const BE: Flags = 1 << 27;
/// What a name of a product or a service goes before.
pub(crate) const NOUN: Flags = 1 << 28;
pub(crate) const POSSESSIVE: Flags = 1 << 29;

/// A function word of German, which writes every noun with a capital.
pub(crate) const GERMAN: Flags = 1 << 30;

/// Says that a date is one of birth.
pub(crate) const BIRTH: Flags = 1 << 31;

/// A surname of somebody after whom things are called: "Tesla", "Dijkstra".
pub(crate) const FAMOUS: Flags = 1 << 32;
/// Stands before the name of a thing that may be called after somebody: "Hurricane", "aleja", "Projekt".
pub(crate) const BEFORE_THING: Flags = 1 << 33;
/// Stands behind such a name: "Award", "thyroiditis", "Gymnasium".
pub(crate) const AFTER_THING: Flags = 1 << 34;
/// A verb of another language than English that people are the subject of.
pub(crate) const VERB: Flags = 1 << 35;

pub(crate) const NAME: Flags = FIRST | LAST;
/// An ordinary word in some language.
pub(crate) const ORDINARY: Flags = WORD | WORD_COMMON | FUNCTION | FOREIGN;
/// What makes a known name doubtful.
pub(crate) const DOUBT: Flags = ORDINARY | PLACE | ORG | TECH | CALENDAR | STREET | TITLE;

const NAMES: &str = include_str!("../data/names.txt");
const WORDS: &str = include_str!("../data/words.txt");
const CUES: &str = include_str!("../data/cues.txt");

/// What the sections of the data files mean.
const SECTIONS: &[(&str, Flags)] = &[
    ("f", FIRST),
    ("F", FIRST | FIRST_COMMON),
    ("l", LAST),
    ("L", LAST | LAST_COMMON),
    ("fl", FIRST | LAST),
    ("Fl", FIRST | FIRST_COMMON | LAST),
    ("fL", FIRST | LAST | LAST_COMMON),
    ("FL", FIRST | FIRST_COMMON | LAST | LAST_COMMON),
    ("w", WORD),
    ("W", WORD | WORD_COMMON),
    ("x", FOREIGN),
    ("S", WORD | WORD_COMMON | FUNCTION),
    ("P", PLACE),
    ("place", PLACE),
    ("org", ORG),
    ("firm", ORG),
    ("tech", TECH),
    ("techobs", TECH),
    ("title", TITLE),
    ("say", SAY),
    ("object", OBJECT),
    ("person-prep", PERSON_PREP),
    ("place-prep", PLACE_PREP),
    ("determiner", DETERMINER),
    ("possessive", POSSESSIVE),
    ("greeting", GREETING),
    ("signoff", SIGNOFF),
    ("role", ROLE),
    ("calendar", CALENDAR),
    ("street", STREET),
    ("street-weak", STREET_WEAK),
    ("pronoun", PRONOUN),
    ("particle", PARTICLE),
    ("and", AND),
    ("suffix", SUFFIX),
    ("be", BE),
    ("noun", NOUN),
    ("german", GERMAN | FOREIGN),
    ("german-noun", FOREIGN),
    ("foreign", FOREIGN),
    ("birth", BIRTH),
    ("famous", FAMOUS),
    ("before-thing", BEFORE_THING),
    ("after-thing", AFTER_THING),
    ("verb", VERB | SAY),
];

/// The base letters of U+00C0 to U+024F and of U+1E00 to U+1EFF; `?` for letters that are none of a Latin base.
const LATIN_LOW: &[u8] =
    b"aaaaaa?ceeeeiiiidnooooo?ouuuuy??aaaaaa?ceeeeiiiidnooooo?ouuuuy?yaaaaaaccccccccddddeeeeeeeeeeggg\
gggghhhhhiiiiiiiiii??jjkk?llllll??llnnnnnn?nnoooooo??rrrrrrsssssssstttt??uuuuuuuuuuuuwwyyyzzzzzz?\
???????????????e????????????????oo?????????????uu????????????????????????????aaiioouuuuuuuuuu?aa\
aa????ggkkoooo??j???gg??nnaa????aaaaeeeeiiiioooorrrruuuusstt??hh??????aaeeooooooooyy????????????\
????????????????";
const LATIN_HIGH: &[u8] =
    b"aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrr\
ssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwy??????aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee\
eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy??????";

/// The hash of a folded word, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    #[inline]
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    /// One ASCII character.
    #[inline]
    pub(crate) fn ascii(&mut self, byte: u8) {
        self.add(byte.to_ascii_lowercase());
    }

    /// Any character.
    #[inline]
    pub(crate) fn push(&mut self, c: char) {
        if c.is_ascii() { self.ascii(c as u8) } else { self.beyond(c) }
    }

    /// A character beyond ASCII.
    fn beyond(&mut self, c: char) {
        if c == '’' {
            return self.add(b'\'');
        }
        for lower in c.to_lowercase() {
            let code = lower as u32;
            let base = match code {
                0xc0..0x250 => LATIN_LOW.get(code as usize - 0xc0),
                0x1e00..0x1f00 => LATIN_HIGH.get(code as usize - 0x1e00),
                // Marks that stand over a letter.
                0x300..0x370 | 0x591..0x5c8 | 0x64b..0x660 | 0x670 => continue,
                _ => None,
            };
            match (lower, base) {
                ('ß', _) => self.pair(*b"ss"),
                ('æ', _) => self.pair(*b"ae"),
                ('œ', _) => self.pair(*b"oe"),
                ('þ', _) => self.pair(*b"th"),
                (_, Some(base)) if *base != b'?' => self.add(*base),
                _ if lower.is_ascii() => self.add(lower as u8),
                _ => {
                    for byte in code.to_le_bytes() {
                        self.add(byte | 0x80);
                        self.add(byte);
                    }
                }
            }
        }
    }

    fn pair(&mut self, [a, b]: [u8; 2]) {
        self.add(a);
        self.add(b);
    }

    /// The hash of one small letter.
    pub(crate) const fn letter(byte: u8) -> Self {
        Self((Self::new().0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
    }

    /// The hash of two words.
    fn with(self, second: Self) -> Self {
        Self(self.0.rotate_left(23) ^ second.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// For tables of one text.
    pub(crate) const fn key(self) -> u64 {
        self.0
    }

    /// The hash of a whole word.
    pub(crate) fn of(word: &str) -> Self {
        let mut hash = Self::new();
        for c in word.chars() {
            hash.push(c);
        }
        hash
    }

    /// Spread over all bits: never 0.
    #[inline]
    fn mixed(self) -> u64 {
        let h = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (h ^ (h >> 29)) | 1
    }
}

/// 2^18 places for about 110,000 words.
const BITS: u32 = 18;
const PLACES: usize = 1 << BITS;

/// How many bits of an entry are flags.
const FLAG_BITS: u32 = 40;

/// The table: the upper bits of an entry are of the hash, the lower ones the flags.
#[derive(Clone, Debug)]
pub(crate) struct Lexicon {
    entries: Box<[u64]>,
}

impl Lexicon {
    /// The table of the embedded lists.
    pub(crate) fn new() -> Self {
        let mut lexicon = Self { entries: vec![0; PLACES].into_boxed_slice() };
        for list in [NAMES, WORDS, CUES] {
            let mut flags = 0;
            for line in list.lines() {
                if let Some(section) = line.strip_prefix('#') {
                    flags = SECTIONS.iter().find(|(name, _)| *name == section).map_or(0, |(_, flags)| *flags);
                    continue;
                }
                for word in line.split_ascii_whitespace() {
                    match word.split_once('_') {
                        Some((first, second)) => lexicon.insert(Hash::of(first).with(Hash::of(second)), flags),
                        None => lexicon.insert(Hash::of(word), flags),
                    }
                }
            }
        }
        lexicon
    }

    fn insert(&mut self, hash: Hash, flags: Flags) {
        let mixed = hash.mixed();
        let mut place = (mixed >> 8) as usize % PLACES;
        // The lists are far smaller than the table; the bound is for whoever doubles them.
        for _ in 0..PLACES {
            let Some(entry) = self.entries.get_mut(place) else { return };
            if *entry == 0 || *entry >> FLAG_BITS == mixed >> FLAG_BITS {
                *entry = (mixed >> FLAG_BITS) << FLAG_BITS | (*entry | flags) & ((1 << FLAG_BITS) - 1);
                return;
            }
            place = (place + 1) % PLACES;
        }
    }

    /// What is known of a word; 0 of an unknown one.
    #[inline]
    pub(crate) fn get(&self, hash: Hash) -> Flags {
        let mixed = hash.mixed();
        let mut place = (mixed >> 8) as usize % PLACES;
        for _ in 0..64 {
            match self.entries.get(place) {
                Some(entry) if *entry == 0 => return 0,
                Some(entry) if *entry >> FLAG_BITS == mixed >> FLAG_BITS => return *entry & ((1 << FLAG_BITS) - 1),
                _ => place = (place + 1) % PLACES,
            }
        }
        0
    }

    /// Whether two words are a firm, a law or a thing that is known by both.
    pub(crate) fn pair(&self, first: Hash, second: Hash) -> bool {
        self.get(first.with(second)) & ORG != 0
    }

    /// What is known of a word that is at hand as text.
    pub(crate) fn word(&self, word: &str) -> Flags {
        self.get(Hash::of(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_without_accents() {
        let lexicon = Lexicon::new();
        for (word, flags) in [
            ("Maria", FIRST | FIRST_COMMON),
            ("MARIA", FIRST),
            ("María", FIRST),
            ("Müller", LAST),
            ("Łukasz", FIRST),
            ("Иван", FIRST),
            ("mark", FIRST | WORD),
            ("Hauptstrasse", 0),
            ("Straße", STREET),
            ("Kafka", TECH),
            ("the", FUNCTION | DETERMINER),
            ("Άγγελος", FIRST),
        ] {
            assert_eq!(lexicon.word(word) & flags, flags, "{word}");
        }
        assert_eq!(lexicon.word("Xqzvorp"), 0);
    }

    #[test]
    fn the_data_is_read_whole() {
        for list in [NAMES, WORDS, CUES] {
            for line in list.lines().filter_map(|line| line.strip_prefix('#')) {
                assert!(SECTIONS.iter().any(|(name, _)| *name == line), "{line}");
            }
        }
        let lexicon = Lexicon::new();
        let filled = lexicon.entries.iter().filter(|entry| **entry != 0).count();
        assert!(filled * 2 < PLACES, "{filled} of {PLACES} places");
        assert!(NAMES.len() + WORDS.len() + CUES.len() < 1_200_000);
    }
}
