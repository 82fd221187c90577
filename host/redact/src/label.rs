//! Pseudonyms as text: how we write them, and everything that could be read as one.
//!
//! Invariant: [`Lookalikes`] is the one recogniser. [`restore`](crate::restore) resolves nothing that it does not
//! recognise, and the gate masks all that it recognises in raw input, so no log line can pass itself off as a value
//! that was masked. Linear in the input.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::{Finding, Group, Kind};

/// The most characters between brackets that are looked at: a kind's 32, a number's 18, those of a network or domain, and
/// room for what a model puts between them.
const MAX_BODY_CHARS: usize = 96;
/// The most digits of a number; all such numbers fit a `u64`.
const MAX_DIGITS: usize = 18;

/// A pseudonym: `[EMAIL-1]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The kind of the value.
    pub kind: Kind,
    /// Which value of that kind within the incident, from 1.
    pub number: u64,
}

impl Label {
    /// Reads a label exactly as [`Display`](fmt::Display) writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digits) = text.strip_prefix('[')?.strip_suffix(']')?.rsplit_once('-')?;
        let number = number(digits).filter(|_| !digits.starts_with('0'))?;
        Kind::is_valid(name).then(|| Self { kind: Kind::new(name), number })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}-{}]", self.kind, self.number)
    }
}

/// Findings of kind [`Kind::PSEUDONYM`] for whatever in raw input looks like a pseudonym of a kind that Fumehood
/// itself knows. With plugins' own kinds, use [`Lookalikes`].
#[must_use]
pub fn lookalikes(text: &str) -> Vec<Finding> {
    Lookalikes::new().find(text)
}

/// Recognises pseudonyms in any spelling that people and models give them.
///
/// In brackets (also fullwidth and lenticular ones): any case, any hyphen, blanks, invisible characters, Markdown's
/// backslashes, blanks for underscores. Without brackets: exactly `KIND-1`, with any hyphen. Only known kinds count,
/// because `[worker-1]` and `[ERR-42]` are what logs are made of.
#[derive(Clone, Debug)]
pub struct Lookalikes {
    /// By the name's letters and digits alone.
    kinds: BTreeMap<String, Vec<Kind>>,
}

/// A recognised pseudonym.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub range: Range<usize>,
    pub label: Label,
    pub bracketed: bool,
}

impl Default for Lookalikes {
    fn default() -> Self {
        Self::new()
    }
}

impl Lookalikes {
    /// Knows the kinds that ship with Fumehood.
    #[must_use]
    pub fn new() -> Self {
        let mut new = Self { kinds: BTreeMap::new() };
        Kind::known().for_each(|kind| new.know(&kind));
        new
    }

    /// Knows this kind, too.
    pub fn know(&mut self, kind: &Kind) {
        let kinds = self.kinds.entry(squashed(kind.as_str())).or_default();
        if !kinds.contains(kind) {
            kinds.push(kind.clone());
        }
    }

    /// Every lookalike as a finding of kind [`Kind::PSEUDONYM`], in order.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let finding = |seen: Seen| Finding {
            kind: Kind::PSEUDONYM,
            group: Group::Structured,
            start: seen.range.start,
            end: seen.range.end,
            confidence: 1.0,
            validated: false,
            detector: "lookalike".to_owned(),
            scanner: "fumehood".to_owned(),
        };
        self.recognise(text).into_iter().map(finding).collect()
    }

    /// Everything that reads as a pseudonym, in order and without overlaps.
    pub(crate) fn recognise(&self, text: &str) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut at = 0;
        let mut before = None;
        // Most of a text neither opens a bracket nor begins a word of capitals.
        let plain = |byte: &u8| byte.is_ascii() && *byte != b'[' && !is_word(char::from(*byte));
        while at < text.len() {
            let skipped = text.as_bytes().get(at..).unwrap_or_default().iter().take_while(|byte| plain(byte)).count();
            if let Some(last) = skipped.checked_sub(1) {
                before = text.as_bytes().get(at + last).copied().map(char::from);
                at += skipped;
            }
            let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
            let found = if fold(character) == Some('[') {
                self.bracketed(text, at)
            } else if is_word(character) && !before.is_some_and(joins) {
                self.bare(text, at)
            } else {
                None
            };
            if let Some(found) = found {
                at = found.range.end;
                before = Some(']');
                seen.push(found);
            } else {
                at += character.len_utf8();
                before = Some(character);
            }
        }
        seen
    }

    /// A pseudonym whose opening bracket stands at `at`.
    fn bracketed(&self, text: &str, at: usize) -> Option<Seen> {
        let mut body = String::new();
        let mut before = None;
        for (index, (offset, character)) in text.get(at..)?.char_indices().enumerate() {
            if index == 0 {
                continue;
            }
            match fold(character) {
                Some(']') => {
                    let escaped = before == Some('\\') && text.get(..at).is_some_and(|t| t.ends_with('\\'));
                    let start = if escaped { at - 1 } else { at };
                    let range = start..at + offset + character.len_utf8();
                    return self.label(&body).map(|label| Seen { range, label, bracketed: true });
                }
                Some('[') => return None,
                Some(folded) if folded.is_control() => return None,
                Some('\\') | None => {}
                Some(folded) => body.push(folded.to_ascii_uppercase()),
            }
            if index > MAX_BODY_CHARS {
                return None;
            }
            before = Some(character);
        }
        None
    }

    /// `KIND-1` whose first character stands at `at`.
    fn bare(&self, text: &str, at: usize) -> Option<Seen> {
        let rest = text.get(at..)?;
        let name_end = rest.bytes().take(MAX_BODY_CHARS).position(|byte| !is_word(char::from(byte)))?;
        let (name, rest) = rest.split_at_checked(name_end)?;
        let hyphen = rest.chars().next().filter(|character| fold(*character) == Some('-'))?;
        let rest = rest.get(hyphen.len_utf8()..)?;
        let digits_end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at_checked(digits_end)?;
        if rest.chars().next().is_some_and(|next| next.is_alphanumeric() || next == '_') {
            return None;
        }
        let kind = self.kinds.get(&squashed(name))?.iter().find(|kind| kind.as_str() == name)?.clone();
        let number = number(digits)?;
        let end = at + name.len() + hyphen.len_utf8() + digits.len();
        Some(Seen { range: at..end, label: Label { kind, number }, bracketed: false })
    }

    /// What stands between brackets, folded to upper case.
    fn label(&self, body: &str) -> Option<Label> {
        let body = without_hint(body.trim());
        let name = body.trim_end_matches(|character: char| character.is_ascii_digit());
        let number = number(body.get(name.len()..)?)?;
        let kind = name.trim_end_matches(separates);
        if kind.len() == name.len() {
            return None;
        }
        let kind = kind.trim();
        if !kind.chars().all(|character| character.is_ascii_alphanumeric() || separates(character)) {
            return None;
        }
        let kinds = self.kinds.get(&squashed(kind))?;
        let kind = kinds.iter().find(|known| known.as_str() == kind).or_else(|| kinds.first())?.clone();
        Some(Label { kind, number })
    }
}

/// `EMAIL-2 @ DOMAIN-1`, `IPV4-3 IN NET-1`: what stands behind the number says what the value shares with others, in our
/// words or in those of a model that translates.
fn without_hint(body: &str) -> &str {
    const NETS: [&str; 10] =
        ["NET", "NETZ", "NETWORK", "NETZWERK", "SUBNET", "RED", "RESEAU", "RéSEAU", "RETE", "REDE"];
    let numbered = |hint: &str| {
        let word = hint.trim_end_matches(|character: char| character.is_ascii_digit());
        let plain = word.trim_end_matches(separates).trim_start();
        (word.len() < hint.len() && !plain.is_empty() && plain.chars().all(char::is_alphabetic))
            .then(|| plain.to_owned())
    };
    let hinted = match body.split_once('@') {
        Some((label, hint)) => numbered(hint).map(|_| label),
        None => body.find(char::is_whitespace).and_then(|_| {
            let (label, _) = body
                .rsplit_once(' ')
                .filter(|(_, hint)| numbered(hint).is_some_and(|word| NETS.contains(&word.as_str())))?;
            label.trim_end().rsplit_once(' ').map(|(label, _)| label)
        }),
    };
    hinted.map_or(body, str::trim_end)
}

/// A pseudonym's number: 1 and more.
fn number(digits: &str) -> Option<u64> {
    let plain = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().filter(|number| *number > 0)
}

fn squashed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A character of a kind's name.
const fn is_word(character: char) -> bool {
    character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_'
}

/// After this character no bare pseudonym begins.
fn joins(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || fold(character) == Some('-')
}

/// What models put between kind and number, or between the words of a kind.
fn separates(character: char) -> bool {
    matches!(character, '-' | '_' | ':' | '#') || character.is_whitespace()
}

/// The plain form of a character: ASCII for fullwidth forms, one bracket, one hyphen; nothing for the invisible.
fn fold(character: char) -> Option<char> {
    if character.is_ascii() {
        return Some(character);
    }
    Some(match character {
        '【' | '〔' | '〚' | '⟦' | '⁅' | '［' => '[',
        '】' | '〕' | '〛' | '⟧' | '⁆' | '］' => ']',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' => '-',
        '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' => {
            return None;
        }
        '\u{FF01}'..='\u{FF5E}' => {
            return u8::try_from(u32::from(character) - 0xFF01 + 0x21).ok().map(char::from);
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str) -> Vec<(String, String)> {
        let found = Lookalikes::new().recognise(text);
        found.into_iter().map(|s| (text[s.range].to_owned(), s.label.to_string())).collect()
    }

    #[test]
    fn spellings_of_people_and_models_are_recognised() {
        for (text, label) in [
            ("[EMAIL-1]", "[EMAIL-1]"),
            ("[email-1]", "[EMAIL-1]"),
            ("[EMAIL\u{2011}1]", "[EMAIL-1]"),
            ("EMAIL-1", "[EMAIL-1]"),
            ("EMAIL\u{2011}1", "[EMAIL-1]"),
            ("[ Email - 1 ]", "[EMAIL-1]"),
            ("[EMAIL_1]", "[EMAIL-1]"),
            ("[EMAIL 01]", "[EMAIL-1]"),
            ("［ＥＭＡＩＬ－１］", "[EMAIL-1]"),
            ("【EMAIL-1】", "[EMAIL-1]"),
            ("[E\u{200B}MAIL-1]", "[EMAIL-1]"),
            ("\\[EMAIL-1\\]", "[EMAIL-1]"),
            ("[US\\_SSN-12]", "[US_SSN-12]"),
            ("[credit card 3]", "[CREDIT_CARD-3]"),
            ("[IPV4-1]", "[IPV4-1]"),
        ] {
            assert_eq!(seen(text), [(text.to_owned(), label.to_owned())], "{text}");
            let padded = format!("to {text}, then");
            assert_eq!(seen(&padded), [(text.to_owned(), label.to_owned())], "{padded}");
        }
    }

    #[test]
    fn what_logs_are_made_of_is_not() {
        for text in [
            "[worker-1]",
            "[ERR-42]",
            "[EMAIL]",
            "[1]",
            "[2024-01]",
            "email-1",
            "XEMAIL-1",
            "EMAIL-1x",
            "[EMAIL-0]",
            "A-EMAIL-1",
            "[EMAIL-1",
            "EMAIL-",
            "[IPV4]",
            "[EMAIL1]",
            "[EMAIL\n-1]",
            "PRE_EMAIL-1",
        ] {
            let bare = text == "[EMAIL-1";
            assert_eq!(seen(text).len(), usize::from(bare), "{text}");
        }
    }

    #[test]
    fn a_plugins_kind_counts_once_it_is_known() {
        let mut known = Lookalikes::new();
        assert!(known.find("[BADGE_NO-7]").is_empty());
        known.know(&Kind::new("BADGE_NO"));
        let found = known.find("x [badge no-7] y");
        assert_eq!((found[0].start, found[0].end, found[0].kind.clone()), (2, 14, Kind::PSEUDONYM));
    }

    #[test]
    fn brackets_without_end_cost_linear_time() {
        assert!(seen(&"[".repeat(1_000_000)).is_empty());
        assert!(seen(&"[A".repeat(500_000)).is_empty());
        assert!(seen(&"E".repeat(1_000_000)).is_empty());
    }

    proptest! {
        #[test]
        fn labels_round_trip(name in "[A-Z0-9_]{1,32}", number in 1u64..1_000_000_000_000) {
            let label = Label { kind: Kind::new(&name), number };
            prop_assert_eq!(Label::parse(&label.to_string()), Some(label));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,200}") {
            let found = Lookalikes::new().recognise(&text);
            for pair in found.windows(2) {
                prop_assert!(pair[0].range.end <= pair[1].range.start);
            }
            for one in found {
                prop_assert!(text.get(one.range).is_some());
            }
        }
    }
}
