//! What stands before and behind a candidate, as one class each.
//!
//! Invariant: a class depends on at most twelve tokens, so judging a candidate costs the same whatever the text.

use crate::lexicon::*;
use crate::token::{Kind, Shape, Token};

macro_rules! classes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant,)* }
        impl $name {
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($variant),)*];
        }
    };
}

classes! {
    /// Before a candidate.
    Left {
        LineStart, SentenceStart, Comma, Colon, Quote, FieldQuote, Open, Bullet, Slash, Equals, Ampersand, Mark, Number, Code,
        Title, Greeting, Role, PersonPrep, PlacePrep, Object, Say, Be, The, A, Determiner, Possessive, AndName, And, Pronoun,
        Signoff, Lower, Unknown, CapitalName, CapitalUnknown, CapitalWord, CapitalPlace, CapitalTrade, By, NameOf, CommaList,
        Break, Acronym, That, Cell, Head, Label,
    }
}

classes! {
    /// Behind a candidate.
    Right {
        LineEnd, Stop, Comma, CommaWho, CommaName, Possessive, PossessiveRole, Open, Mail, Colon, Dash, Quote, Mark, Slash, Say, Be,
        AndName, And, PersonPrep, PlacePrep, Noun, Lower, Unknown, Pronoun, Number, Code, CapitalOrg, CapitalName, CapitalUnknown,
        CapitalWord, CapitalPlace, CapitalTrade, Ampersand, Determiner, Break, Object, AgeComma, Cell, Title,
    }
}

fn capital(token: &Token) -> Left {
    if token.flags & TECH != 0 || token.flags & ORG != 0 {
        Left::CapitalTrade
    } else if token.flags & (PLACE | CALENDAR) != 0 {
        Left::CapitalPlace
    } else if token.flags & NAME != 0 && token.flags & WORD_COMMON == 0 {
        Left::CapitalName
    } else if token.flags & ORDINARY != 0 {
        Left::CapitalWord
    } else if token.shape == Shape::Upper {
        Left::Acronym
    } else {
        Left::CapitalUnknown
    }
}

/// Whether a capital at `at` may be owed to the start of a sentence.
pub(crate) fn starts_sentence(tokens: &[Token], at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        None => true,
        Some(before) => match before.kind {
            Kind::Break => true,
            Kind::Mark(b'-' | b'*' | b'>') => at < 2 || tokens.get(at - 2).is_none_or(|t| t.kind == Kind::Break),
            Kind::Mark(b'.' | b'!' | b'?' | b':' | b'"' | b'\'' | b'(' | b'[' | b'|' | b'\t' | b']' | b'}') => true,
            Kind::Number | Kind::Code => false,
            _ => false,
        },
    }
}

impl Left {
    /// The class in ten, for what depends on both sides.
    pub(crate) const fn coarse(self) -> usize {
        match self {
            Self::LineStart | Self::Break | Self::Head => 0,
            Self::SentenceStart | Self::Quote => 1,
            Self::Colon | Self::FieldQuote | Self::Equals | Self::Cell | Self::Label | Self::NameOf | Self::Slash => 2,
            Self::Title | Self::Greeting | Self::Role | Self::Signoff => 3,
            Self::PersonPrep | Self::Object | Self::Say | Self::By | Self::Pronoun | Self::AndName | Self::Be => 4,
            Self::Comma | Self::CommaList | Self::Open | Self::Bullet | Self::And | Self::Ampersand | Self::Mark => 5,
            Self::The | Self::A | Self::Determiner | Self::That | Self::PlacePrep | Self::Possessive => 6,
            Self::Lower | Self::Unknown => 7,
            Self::CapitalName | Self::CapitalUnknown | Self::CapitalWord | Self::CapitalPlace | Self::CapitalTrade => 8,
            Self::Number | Self::Code | Self::Acronym => 9,
        }
    }
}

impl Right {
    /// The class in ten, for what depends on both sides.
    pub(crate) const fn coarse(self) -> usize {
        match self {
            Self::LineEnd | Self::Break => 0,
            Self::Stop | Self::Comma | Self::CommaName => 1,
            Self::Colon | Self::Title => 2,
            Self::Say | Self::Be | Self::CommaWho | Self::Pronoun => 3,
            Self::Possessive | Self::PossessiveRole => 4,
            Self::AndName | Self::And | Self::PersonPrep | Self::PlacePrep | Self::Ampersand => 5,
            Self::Open | Self::Mail | Self::Cell | Self::Dash | Self::Quote | Self::Slash | Self::Mark => 6,
            Self::Noun | Self::Lower | Self::Unknown | Self::Determiner | Self::Object => 7,
            Self::CapitalOrg
            | Self::CapitalName
            | Self::CapitalUnknown
            | Self::CapitalWord
            | Self::CapitalPlace
            | Self::CapitalTrade => 8,
            Self::Number | Self::Code | Self::AgeComma => 9,
        }
    }
}

/// Whether only numbers and marks, a time or the number of an item, stand before `at` on its line: "[10:42] ", "02. ".
fn head_of_line(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(at.saturating_sub(10)..at).unwrap_or_default();
    let line = before.iter().rposition(|t| t.kind == Kind::Break);
    if line.is_none() && at > 10 {
        return false;
    }
    let head = before.get(line.map_or(0, |n| n + 1)..).unwrap_or_default();
    head.iter().any(|t| matches!(t.kind, Kind::Number | Kind::Code))
        && head.iter().all(|t| t.kind != Kind::Word || t.flags & CALENDAR != 0 || t.end - t.start <= 2)
}

/// The class of what stands before the token at `at`.
pub(crate) fn left(tokens: &[Token], at: usize) -> Left {
    let back = |n: usize| at.checked_sub(n).and_then(|i| tokens.get(i));
    let Some(before) = back(1) else { return Left::LineStart };
    match before.kind {
        Kind::Break => {
            // "Kind regards,\nJane"
            let mut n = 2;
            while n < 5
                && back(n)
                    .is_some_and(|t| t.kind == Kind::Break || t.is_mark(b',') || t.is_mark(b'.') || t.is_mark(b'-'))
            {
                n += 1;
            }
            if back(n).is_some_and(|t| t.is(SIGNOFF)) {
                return Left::Signoff;
            }
            if back(n).is_some_and(|t| t.kind == Kind::Word) && back(2).is_some_and(|t| t.is_mark(b',')) {
                return Left::Break;
            }
            Left::LineStart
        }
        Kind::Possessive => Left::Possessive,
        Kind::Number | Kind::Code | Kind::Mark(b']' | b'-' | b'.' | b')' | b':' | b'\t' | b'|')
            if head_of_line(tokens, at) =>
        {
            Left::Head
        }
        Kind::Number => Left::Number,
        Kind::Code => Left::Code,
        Kind::Mark(mark) => match mark {
            b'.' if back(2).is_some_and(|t| t.is(TITLE)) => Left::Title,
            b'.' | b'!' | b'?' => Left::SentenceStart,
            b',' => {
                if back(2).is_some_and(|t| t.is(SIGNOFF) && t.flags & NAME == 0) {
                    Left::Signoff
                } else if back(2).is_some_and(|t| t.is(GREETING) && t.is_capital()) {
                    Left::Greeting
                } else if back(2).is_some_and(|t| t.is_capital() && t.flags & NAME != 0) {
                    Left::CommaList
                } else {
                    Left::Comma
                }
            }
            b':' => match back(2) {
                Some(t) if t.is(ROLE) => Left::Label,
                Some(t) if t.is(PERSON_PREP | NAME) => Left::NameOf,
                Some(t) if t.is_mark(b'\t') && back(3).is_some_and(|t| t.is(ROLE)) => Left::Label,
                _ => Left::Colon,
            },
            b'"' | b'\'' => match back(2).map(|t| t.kind) {
                Some(Kind::Mark(b':' | b'=' | b',' | b'[' | b'{' | b'"')) => Left::FieldQuote,
                _ => Left::Quote,
            },
            b'(' | b'[' | b'<' | b'{' => Left::Open,
            b'-' | b'*' | b'>' => Left::Bullet,
            b'/' => Left::Slash,
            b'\t' if back(2).is_some_and(|t| t.is_mark(b':')) && back(3).is_some_and(|t| t.is(ROLE)) => Left::Label,
            b'|' | b'\t' | b';' => Left::Cell,
            b'=' => Left::Equals,
            b'&' | b'+' => Left::Ampersand,
            _ => Left::Mark,
        },
        Kind::Word => word_left(tokens, at, before),
    }
}

fn word_left(tokens: &[Token], at: usize, before: &Token) -> Left {
    let back = |n: usize| at.checked_sub(n).and_then(|i| tokens.get(i));
    let f = before.flags;
    if f & TITLE != 0 && (before.shape != Shape::Lower || f & (WORD_COMMON | FUNCTION) == 0) {
        return Left::Title;
    }
    if f & GREETING != 0 && f & NAME == 0 {
        return Left::Greeting;
    }
    let capital_word = before.is_capital() || before.shape == Shape::Initial && before.end - before.start > 1;
    let sentence = starts_sentence(tokens, at - 1);
    let usual = f & (ORDINARY | OBJECT | PERSON_PREP | SIGNOFF | ROLE) != 0 && f & FIRST_COMMON == 0;
    if capital_word && !(sentence && usual) {
        return if f & ROLE != 0 { Left::Role } else { capital(before) };
    }
    if before.shape == Shape::Mixed {
        return Left::CapitalTrade;
    }
    let by = back(2).is_some_and(|t| t.is(SAY | OBJECT | WORD)) && f & PERSON_PREP != 0;
    if f & AND != 0 && before.end - before.start <= 3 {
        return match back(2) {
            Some(t) if t.is_capital() && t.flags & NAME != 0 => Left::AndName,
            _ => Left::And,
        };
    }
    if f & SIGNOFF != 0 && sentence && capital_word {
        return Left::Signoff;
    }
    if f & DETERMINER != 0 {
        return match before.end - before.start {
            1 => Left::A,
            3 => Left::The,
            4 => Left::That,
            _ => Left::Determiner,
        };
    }
    if f & POSSESSIVE != 0 {
        return Left::Pronoun;
    }
    if f & ROLE != 0 {
        return Left::Role;
    }
    if f & PERSON_PREP != 0 {
        return if by { Left::By } else { Left::PersonPrep };
    }
    if f & PLACE_PREP != 0 {
        return Left::PlacePrep;
    }
    if f & OBJECT != 0 {
        return Left::Object;
    }
    if f & BE != 0 {
        return Left::Be;
    }
    if f & SAY != 0 {
        return Left::Say;
    }
    if f & PRONOUN != 0 {
        return Left::Pronoun;
    }
    if f & (ORDINARY | TECH | NOUN) != 0 { Left::Lower } else { Left::Unknown }
}

/// The class of what stands behind the last token of a candidate, which is the one before `at`.
pub(crate) fn right(tokens: &[Token], at: usize) -> Right {
    let on = |n: usize| tokens.get(at + n);
    let Some(next) = on(0) else { return Right::LineEnd };
    match next.kind {
        Kind::Break => {
            if on(1).is_some_and(|t| t.is_capital() && t.flags & ORDINARY == 0) {
                Right::Break
            } else {
                Right::LineEnd
            }
        }
        Kind::Possessive => {
            if on(1).is_some_and(|t| t.is(ROLE)) {
                Right::PossessiveRole
            } else {
                Right::Possessive
            }
        }
        Kind::Number => Right::Number,
        Kind::Code => {
            if next.space {
                Right::Code
            } else {
                Right::Mark
            }
        }
        Kind::Mark(mark) => match mark {
            b'.' | b'!' | b'?' | b';' => Right::Stop,
            b',' => match on(1) {
                Some(t) if t.is(PRONOUN | ROLE | POSSESSIVE | DETERMINER) && t.shape == Shape::Lower => Right::CommaWho,
                Some(t) if t.kind == Kind::Number => Right::AgeComma,
                Some(t) if t.is_capital() && t.flags & NAME != 0 => Right::CommaName,
                _ => Right::Comma,
            },
            b'(' | b'[' => Right::Open,
            b'<' => Right::Mail,
            b':' => Right::Colon,
            b'-' => Right::Dash,
            b'"' | b'\'' => Right::Quote,
            b'/' => Right::Slash,
            b'|' | b'\t' => Right::Cell,
            b'&' => Right::Ampersand,
            _ => Right::Mark,
        },
        Kind::Word => {
            let f = next.flags;
            if next.is_capital() && f & TITLE != 0 && f & (FIRST_COMMON | LAST_COMMON | WORD_COMMON) == 0 {
                return Right::Title;
            }
            if next.is_capital() || next.shape == Shape::Mixed {
                return if f & (ORG | SUFFIX) != 0 || f & (STREET | STREET_WEAK) != 0 && f & NAME == 0 {
                    Right::CapitalOrg
                } else {
                    match capital(next) {
                        Left::CapitalTrade => Right::CapitalTrade,
                        Left::CapitalPlace => Right::CapitalPlace,
                        Left::CapitalName => Right::CapitalName,
                        Left::CapitalWord => Right::CapitalWord,
                        _ => Right::CapitalUnknown,
                    }
                };
            }
            if f & AND != 0 && next.end - next.start <= 3 {
                return match on(1) {
                    Some(t) if t.is_capital() && t.flags & NAME != 0 => Right::AndName,
                    _ => Right::And,
                };
            }
            if f & BE != 0 {
                Right::Be
            } else if f & NOUN != 0 && f & SAY == 0 {
                Right::Noun
            } else if f & SAY != 0 {
                Right::Say
            } else if f & PERSON_PREP != 0 {
                Right::PersonPrep
            } else if f & PLACE_PREP != 0 {
                Right::PlacePrep
            } else if f & PRONOUN != 0 {
                Right::Pronoun
            } else if f & DETERMINER != 0 {
                Right::Determiner
            } else if f & OBJECT != 0 {
                Right::Object
            } else if f & (ORDINARY | ROLE | TECH) != 0 {
                Right::Lower
            } else {
                Right::Unknown
            }
        }
    }
}
