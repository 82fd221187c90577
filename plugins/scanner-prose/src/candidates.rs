//! Candidates for names in the runs of capital words.
//!
//! Invariant: a candidate is at most [`LONGEST`] words and three particles long, so there are at most so many for each token.

use crate::context::{Left, left};
use crate::features::Candidate;
use crate::lexicon::*;
use crate::steps::tick;
use crate::token::{Kind, Shape, Token};

/// The most words of a name.
pub(crate) const LONGEST: usize = 6;

/// A word that a name could consist of.
pub(crate) fn fits(token: &Token) -> bool {
    if token.kind != Kind::Word {
        return false;
    }
    match token.shape {
        Shape::Capital => true,
        Shape::Upper => {
            token.flags & NAME != 0 && token.end - token.start > 2 || token.flags & (SUFFIX | PARTICLE) != 0
        }
        Shape::Initial => true,
        Shape::Mixed => token.flags & NAME != 0 && token.flags & TECH == 0,
        Shape::Lower | Shape::Caseless => false,
    }
}

/// A word in capitals that no list has, beside what tells that it is a name: "Frau KOWALSKI", "PREPARED BY J LUNDGREN",
/// "PATIENT: DUMANLI", "BAE SUNGHOON".
fn shouted(tokens: &[Token], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    let strange = FOREIGN | WORD | NOUN | ROLE | SAY | OBJECT | DOUBT;
    if token.kind != Kind::Word
        || token.shape != Shape::Upper
        || token.flags & strange != 0
        || token.end - token.start < 3
    {
        return false;
    }
    let back = |n: usize| at.checked_sub(n).and_then(|i| tokens.get(i));
    let known = |t: &Token| t.is_capital() && t.flags & NAME != 0 && t.flags & DOUBT == 0;
    let before = back(1).is_some_and(|t| t.is(TITLE) || t.shape == Shape::Initial && t.kind == Kind::Word || known(t))
        || back(1).is_some_and(|t| t.is_mark(b'.') || t.is_mark(b':') || t.is_mark(b'\t'))
            && back(2).is_some_and(|t| t.is(TITLE | ROLE))
        || back(1).is_some_and(|t| t.is_mark(b',')) && back(2).is_some_and(known);
    before
        || tokens.get(at + 1).is_some_and(|t| known(t) && t.space)
        || tokens.get(at + 1).is_some_and(|t| t.is_mark(b',')) && tokens.get(at + 2).is_some_and(known)
}

/// As [`fits`], and what stands around it counts too.
pub(crate) fn fits_at(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(fits) || shouted(tokens, at)
}

/// Whether the token may end a name, and whether it may begin one.
fn may_begin(tokens: &[Token], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    fits_at(tokens, at)
        && (token.shape != Shape::Initial || token.end - token.start > 1)
        && (token.flags & (SUFFIX | DETERMINER) == 0 || token.shape == Shape::Initial)
}

fn may_end(tokens: &[Token], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    // "Merle K: yes"
    let speaker = || {
        tokens.get(at + 1).is_some_and(|t| t.is_mark(b':'))
            && at.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(FIRST))
    };
    fits_at(tokens, at) && (token.shape != Shape::Initial || token.end - token.start > 1 || speaker())
}

/// The runs of words of which names could consist, as ranges of tokens.
pub(crate) fn runs(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        if !fits(token) && !shouted(tokens, i) {
            i += 1;
            continue;
        }
        let start = i;
        let mut end = i + 1;
        tick(1);
        loop {
            let mut next = end;
            // Particles bind only what follows them.
            while next < end + 3
                && tokens.get(next).is_some_and(|t| {
                    t.kind == Kind::Word && t.flags & PARTICLE != 0 && t.shape == Shape::Lower && (t.space || next > end)
                        // "van 't Hoff"
                        || t.is_mark(b'\'') && t.space && tokens.get(next + 1).is_some_and(|t| t.is(PARTICLE) && !t.space)
                })
            {
                next += 1;
            }
            if next == end && end - start >= 2 && binder(tokens, end) {
                next += 1;
            }
            if next == end {
                next += abbreviated(tokens, end);
            }
            let joined = tokens.get(next).is_some_and(|t| {
                let before = next.checked_sub(1).and_then(|i| tokens.get(i));
                fits_at(tokens, next)
                    && (t.space
                        || before.is_some_and(|b| b.shape == Shape::Initial)
                        || before.is_some_and(|b| b.is_mark(b'-')))
            });
            if !joined {
                break;
            }
            tick(1);
            end = next + 1;
        }
        out.push((start, end));
        i = end;
    }
    out
}

/// "Pol Ferrer i Codina", "María de la Cruz y Gómez": an `and` of one letter between two surnames.
fn binder(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|t| t.is(AND) && t.shape == Shape::Lower && t.end - t.start == 1)
        && at.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(LAST) || t.flags == 0)
        && tokens.get(at + 1).is_some_and(|t| t.shape == Shape::Capital && (t.flags & FIRST_COMMON == 0))
}

/// How many marks join the word before `at` with the one behind: the dash of "M.-J.", the dot of "Søren Aa. Kierulff".
fn abbreviated(tokens: &[Token], at: usize) -> usize {
    let (Some(before), Some(mark), Some(next)) =
        (at.checked_sub(1).and_then(|i| tokens.get(i)), tokens.get(at), tokens.get(at + 1))
    else {
        return 0;
    };
    let dash = mark.is_mark(b'-')
        && !mark.space
        && !next.space
        && before.shape == Shape::Initial
        && next.shape == Shape::Initial
        && before.end - before.start > 1;
    let dot = mark.is_mark(b'.')
        && !mark.space
        && next.space
        && next.shape == Shape::Capital
        && before.shape == Shape::Capital
        && before.end - before.start == 2
        && (before.flags & (TITLE | ORG | FUNCTION | WORD_COMMON) == 0 || before.flags & PARTICLE != 0)
        && at.checked_sub(2).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(FIRST));
    usize::from(dash || dot)
}

/// A first name, and no more a word than a name.
fn is_first(flags: Flags) -> bool {
    let ordinary = flags & (ORDINARY | STREET) != 0;
    let mild = flags & FIRST_COMMON != 0 && flags & (WORD_COMMON | FUNCTION | FOREIGN | STREET) == 0;
    flags & FIRST != 0 && (!ordinary || mild)
}

/// Whether the word at `at` is one of three with a comma and an `and` between them, of which one is a surname only:
/// "Lewis, Cunningham and Williams" is a firm.
fn firm(tokens: &[Token], at: usize) -> bool {
    // "Smith and Sons"
    let next = |n: usize| tokens.get(at + n);
    if next(1).is_some_and(|t| t.is(AND) || t.is_mark(b'&'))
        && next(2).is_some_and(|t| t.is_capital() && t.flags & ORG != 0)
    {
        return true;
    }
    [0, 2, 4].into_iter().filter_map(|back| at.checked_sub(back)).any(|start| {
        let Some([a, comma, b, and, c]) = tokens.get(start..start + 5) else { return false };
        let names = [a, b, c];
        comma.is_mark(b',')
            && (and.is(AND) || and.is_mark(b'&'))
            && names.iter().all(|t| t.shape == Shape::Capital)
            && names.iter().all(|t| t.flags & FIRST_COMMON == 0 || t.flags & LAST != 0)
            && names.iter().any(|t| t.flags & LAST != 0 && t.flags & FIRST == 0)
    })
}

/// Where a surname's particles begin that stand behind a title: "Ms | van der Berg".
fn titled(tokens: &[Token], from: usize) -> usize {
    let before = |i: usize| i.checked_sub(1).and_then(|i| tokens.get(i));
    let mut start = from;
    while from - start < 3 && before(start).is_some_and(|t| t.is(PARTICLE) && t.shape == Shape::Lower) {
        start -= 1;
    }
    let dot = usize::from(before(start).is_some_and(|t| t.is_mark(b'.')));
    if start < from && before(start - dot.min(start)).is_some_and(|t| t.is(TITLE)) { start } else { from }
}

/// Whether the word at `at` may be a name by itself: no ordinary word, and one that is rather a word than a name only
/// behind what goes before people.
fn alone(tokens: &[Token], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    let f = token.flags;
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    let title = |t: &Token| t.is(TITLE) || t.is_mark(b'.');
    if before.is_some_and(title) && at.checked_sub(2).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(TITLE))
        || before.is_some_and(|t| t.is(TITLE))
    {
        return true;
    }
    let bracket = before.is_some_and(|t| t.is_mark(b'(')) && tokens.get(at + 1).is_some_and(|t| t.is_mark(b')'));
    let label = before.is_some_and(|t| t.is_mark(b':') || t.is_mark(b'\t'))
        && matches!(left(tokens, at), Left::Label | Left::Head);
    let upper = bracket && f & FIRST_COMMON != 0 || label && token.end - token.start > 3;
    if token.shape == Shape::Upper && !(upper && f & DOUBT == 0)
        || f & NAME == 0 && f & (DOUBT | NOUN | ROLE | SAY | OBJECT | GREETING | SIGNOFF) != 0
    {
        return false;
    }
    if before.is_some_and(|t| t.is_mark(b'`')) {
        return false;
    }
    // "Best, Jane"
    let leave = f & (GREETING | SIGNOFF) != 0 && tokens.get(at + 1).is_some_and(|t| t.is_mark(b','));
    if leave || firm(tokens, at) {
        return false;
    }
    // "Maria from Thomas-Walton": two surnames in one, behind such a word, are a firm's.
    if token.hyphen && f & FIRST == 0 && before.is_some_and(|t| t.is(PERSON_PREP | PLACE_PREP)) {
        return false;
    }
    let rare = f & (FIRST_COMMON | LAST_COMMON) == 0;
    let rather_word = f & (WORD_COMMON | FUNCTION | TECH | CALENDAR | ORG) != 0
        || rare && f & (WORD | SAY | OBJECT | NOUN | ROLE) != 0;
    let ends = tokens.get(at + 1).is_none_or(|t| t.kind == Kind::Break || t.is_mark(b','));
    let cue = before.is_some_and(|t| {
        t.is(GREETING | OBJECT | PERSON_PREP | AND | ROLE | SAY | BE)
            || t.is_mark(b',')
            || (t.kind == Kind::Break && ends && f & (CALENDAR | TECH) == 0)
    });
    let speaker = tokens.get(at + 1).is_some_and(|t| t.is_mark(b':')) && left(tokens, at) == Left::Head;
    !rather_word || (cue && token.space) || f & NAME != 0 && (label || speaker)
}

/// All candidates of a run.
pub(crate) fn candidates(tokens: &[Token], run: (usize, usize), mut on: impl FnMut(Candidate)) {
    for from in run.0..run.1 {
        // "Mrs F Roe": an initial without a dot begins a name only behind a title.
        let bare = tokens.get(from).is_some_and(|t| t.shape == Shape::Initial)
            && from.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(|t| {
                t.is(TITLE) && t.shape != Shape::Initial
                    || (t.is(PERSON_PREP | ROLE) || t.is_mark(b':'))
                        && tokens.get(from + 1).is_some_and(|t| t.shape == Shape::Upper)
            })
            && run.1 - from > 1;
        // "M.-J. Tremblay" is one.
        let before = |n: usize| from.checked_sub(n).and_then(|i| tokens.get(i));
        let dashed = before(1).is_some_and(|t| t.is_mark(b'-') && !t.space)
            && before(2).is_some_and(|t| t.kind == Kind::Word && t.shape == Shape::Initial);
        if dashed || !bare && !may_begin(tokens, from) {
            continue;
        }
        // Particles and marks do not count, up to three.
        let inside = tokens.get(from..run.1.min(from + LONGEST + 3)).unwrap_or_default();
        let small = inside.iter().filter(|t| t.shape == Shape::Lower).count().min(3);
        for to in from + 1..=run.1.min(from + LONGEST + small) {
            if may_end(tokens, to - 1) {
                let last = tokens.get(to - 1).map_or(0, |t| t.flags);
                if to - from == 1 && last & SUFFIX != 0 {
                    continue;
                }
                let begin = titled(tokens, from);
                if begin == from && to - from == 1 && !alone(tokens, from) {
                    continue;
                }
                // "Rand von Südamerika": a particle binds only to a first name.
                let inside = tokens.get(from..to).unwrap_or_default();
                let bound = inside.iter().any(|t| t.shape == Shape::Lower && t.kind == Kind::Word);
                // A surname behind an `and` needs two names before it.
                if inside.iter().take(2).any(|t| t.is(AND) && t.shape == Shape::Lower && t.flags & PARTICLE == 0) {
                    continue;
                }
                let first =
                    inside.first().is_some_and(|t| t.shape == Shape::Initial || is_first(t.flags) || t.flags == 0);
                if bound && !first && !from.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(TITLE)) {
                    continue;
                }
                // Initials alone are nobody's: "U.S."
                if tokens.get(from..to).is_some_and(|inside| inside.iter().all(|t| t.shape == Shape::Initial)) {
                    continue;
                }
                on(Candidate { from: begin, to, run });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing};

    #[test]
    fn initials_particles_and_capitals() {
        for (text, name) in [
            ("Signed by M.-J. Tremblay yesterday.", "M.-J. Tremblay"),
            ("Please ask Pieter van 't Hoff about it.", "Pieter van 't Hoff"),
            ("Der Antrag von Frau KOWALSKI ist da.", "KOWALSKI"),
            ("Thanks to Søren Aa. Kierulff for the report.", "Søren Aa. Kierulff"),
            ("Cliente: María José de la Cruz y Gómez", "María José de la Cruz y Gómez"),
        ] {
            assert_eq!(found(text, "PERSON"), [name], "{text}");
        }
    }

    #[test]
    fn capitals_that_are_none() {
        nothing("ERROR: TIMEOUT READING SENSOR\nSTATUS: OFFLINE");
    }
}
