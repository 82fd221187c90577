//! The neighbours of a candidate that tell a thing from a person, past what may stand between.
//!
//! Invariant: looks at most three tokens away.

use crate::lexicon::*;
use crate::token::{Kind, Shape, Token};

/// The hash of "M".
pub(crate) const MONSIEUR: u64 = Hash::letter(b'm').key();

/// The neighbours of a candidate, past what may stand between.
pub(crate) struct Near<'a> {
    pub tokens: &'a [Token],
    pub from: usize,
    pub to: usize,
}

impl<'a> Near<'a> {
    /// The word before, past an article, a preposition, a quote or a dot.
    pub(crate) fn before(&self, skip: usize) -> Option<&'a Token> {
        let mut at = self.from.checked_sub(1)?;
        for _ in 0..skip {
            let token = self.tokens.get(at)?;
            let past =
                token.is(DETERMINER | PARTICLE) && token.shape == Shape::Lower && token.flags & BEFORE_THING == 0
                    || matches!(token.kind, Kind::Mark(b'"' | b'.' | b'\'' | b'-' | b':'));
            if !past {
                return Some(token);
            }
            at = at.checked_sub(1)?;
        }
        self.tokens.get(at)
    }

    /// The word behind, past a quote, a bracket, a dash or an owner's `'s`.
    pub(crate) fn behind(&self) -> Option<&'a Token> {
        let token = self.tokens.get(self.to)?;
        match token.kind {
            Kind::Mark(b'"' | b'-' | b'\'' | b'(') | Kind::Possessive => self.tokens.get(self.to + 1),
            _ => Some(token),
        }
    }

    /// Whether the name of a place stands beside it in a list: "New York, | Paris | and London".
    pub(crate) fn among_places(&self) -> bool {
        let place = |t: Option<&Token>| t.is_some_and(|t| t.is_capital() && t.flags & PLACE != 0);
        let list = |t: Option<&Token>| t.is_some_and(|t| t.is_mark(b',') || t.is_mark(b';') || t.is(AND));
        let back = |n: usize| self.from.checked_sub(n).and_then(|i| self.tokens.get(i));
        list(back(1)) && place(back(2)) || list(self.tokens.get(self.to)) && place(self.tokens.get(self.to + 1))
    }

    /// Whether a neighbour is half of a firm or a law of two names, past a dash or an `and`.
    pub(crate) fn firm(&self) -> bool {
        let back = |n: usize| self.from.checked_sub(n).and_then(|i| self.tokens.get(i));
        back(1).is_some_and(|t| t.pair)
            || back(1).is_some_and(|t| t.is_mark(b'-') || t.is_mark(b'&') || t.is(AND))
                && back(2).is_some_and(|t| t.pair)
            || self.to.checked_sub(1).and_then(|i| self.tokens.get(i)).is_some_and(|t| t.pair)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing};

    #[test]
    fn things_that_are_called_after_people() {
        for text in [
            "Hurricane Katrina is over.",
            "New York, Paris and London",
            "Die Anne-Frank-Grundschule ist geschlossen.",
            "Storm Alberto closed the Albert Einstein Gymnasium.",
        ] {
            nothing(text);
        }
    }

    #[test]
    fn people_beside_such_things() {
        assert_eq!(found("Storm Alberto delayed Maria Lopez in Paris.", "PERSON"), ["Maria Lopez"]);
    }
}
