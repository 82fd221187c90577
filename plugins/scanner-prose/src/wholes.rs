//! Candidates for names that are no run of capital words: turned round, with a nickname, or written small.
//!
//! Invariant: each looks at a bounded number of tokens.

use crate::candidates::{LONGEST, fits, fits_at};
use crate::context::{Left, left};
use crate::features::Candidate;
use crate::lexicon::*;
use crate::person::Seen;
use crate::token::{Kind, Shape, Token};

/// How many words of a name stand at `at`, at most three.
fn part(tokens: &[Token], at: usize) -> usize {
    (0..3)
        .take_while(|n| {
            tokens.get(at + n).is_some_and(|t| {
                let usual = t.flags & FUNCTION != 0 || t.flags & CALENDAR != 0 && (*n == 0 || t.flags & FIRST == 0);
                fits_at(tokens, at + n) && !usual && (*n == 0 || t.space)
            })
        })
        .count()
}

/// `Roe, Jane`: a surname, a comma and a first name, both known; behind a label, in a cell or at the head of a line also
/// several of each, and unknown ones.
pub(crate) fn reversed(tokens: &[Token], at: usize) -> Option<Candidate> {
    let last = tokens.get(at)?;
    let usual = FUNCTION | CALENDAR | GREETING | SIGNOFF;
    if !fits_at(tokens, at) || last.shape == Shape::Initial || last.flags & usual != 0 {
        return None;
    }
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    let surname = part(tokens, at);
    let comma = at + surname;
    if !tokens.get(comma)?.is_mark(b',') {
        return None;
    }
    let first = tokens.get(comma + 1)?;
    if !first.space || !fits_at(tokens, comma + 1) || first.flags & usual != 0 || first.shape == Shape::Initial {
        return None;
    }
    let given = part(tokens, comma + 1);
    let next = tokens.get(comma + 1 + given);
    // A list of people goes on with another comma or `and`.
    let list = next.is_some_and(|t| t.is(AND) || t.is_mark(b','));
    let listed = before.is_some_and(|t| t.is_mark(b',') || fits(t));
    let candidate = Some(Candidate { from: at, to: comma + 1 + given, run: (at, comma + 1 + given) });
    if surname == 1 && given == 1 && first.flags & FIRST != 0 && !list && !listed {
        return candidate;
    }
    let number = !next.is_some_and(|t| t.is(AND))
        && next.is_none_or(|t| !t.is_mark(b',') || tokens.get(comma + 2 + given).is_none_or(|t| !fits(t)));
    let known = last.flags & LAST != 0 && last.flags & DOUBT == 0 || first.flags & FIRST != 0;
    let led = match left(tokens, at) {
        Left::Label | Left::Cell | Left::Head | Left::FieldQuote | Left::NameOf => true,
        Left::LineStart | Left::Bullet | Left::Open | Left::Colon => known && number,
        _ => false,
    };
    (led && surname + given < LONGEST && (known || surname == 1)).then_some(candidate).flatten()
}

/// `Guadalupe "Lupe" Archuleta`: a name with another in quotes.
pub(crate) fn nicknamed(tokens: &[Token], at: usize) -> Option<Candidate> {
    let [first, open, nick, close, last] = tokens.get(at..at + 5)? else { return None };
    let word = |t: &Token| fits(t) && t.shape == Shape::Capital && t.flags & (FUNCTION | CALENDAR) == 0;
    let quotes = matches!(
        (open.kind, close.kind),
        (Kind::Mark(b'"'), Kind::Mark(b'"'))
            | (Kind::Mark(b'\''), Kind::Mark(b'\''))
            | (Kind::Mark(b'('), Kind::Mark(b')'))
    );
    let known = first.flags & FIRST != 0 || last.flags & LAST != 0;
    let fits = quotes && word(first) && word(nick) && word(last) && known && open.space && last.space && !close.space;
    let end = at + 5;
    fits.then_some(Candidate { from: at, to: end, run: (at, end) })
}

/// `OYELOWO/FUNMILAYO MRS`: as in a booking of a flight.
pub(crate) fn booked(tokens: &[Token], at: usize) -> Option<Candidate> {
    let [last, slash, first] = tokens.get(at..at + 3)? else { return None };
    let upper = |t: &Token| t.kind == Kind::Word && t.shape == Shape::Upper;
    if !slash.is_mark(b'/') || slash.space || first.space || !upper(last) || !upper(first) {
        return None;
    }
    let more = (3..6).find(|n| tokens.get(at + n).is_none_or(|t| !upper(t) || t.flags & TITLE != 0))?;
    let title = tokens.get(at + more).is_some_and(|t| upper(t) && t.flags & TITLE != 0);
    title.then_some(Candidate { from: at, to: at + more, run: (at, at + more) })
}

/// A first name in small letters behind words that leave no doubt, of a speaker, or of somebody who was named before.
pub(crate) fn lower(tokens: &[Token], at: usize, seen: &Seen, chat: bool) -> Option<Candidate> {
    let token = tokens.get(at)?;
    let speaks = chat && speaker(tokens, at);
    let known = token.kind == Kind::Word
        && token.shape == Shape::Lower
        && (token.flags & NAME != 0 || speaks || token.flags & DOUBT == 0 && seen.has(token))
        && token.flags & (ROLE | SAY | OBJECT | NOUN | PARTICLE | PERSON_PREP | PLACE_PREP | GREETING | AND | TITLE)
            == 0
        && (token.flags & DOUBT == 0
            || token.flags & FIRST_COMMON != 0
                && token.flags & (WORD_COMMON | FUNCTION | TECH | CALENDAR | ORG | TITLE | STREET) == 0)
        && token.end - token.start > 2;
    if !known {
        return None;
    }
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    let title = before.is_some_and(|t| t.is(TITLE) || t.is_mark(b'.'))
        && (1..=2).any(|n| at.checked_sub(n).and_then(|i| tokens.get(i)).is_some_and(|t| t.is(TITLE)));
    let first = token.flags & FIRST != 0;
    let cue = before.is_some_and(|t| t.is(OBJECT | GREETING | TITLE | PERSON_PREP | SIGNOFF));
    let speaker = matches!(left(tokens, at), Left::LineStart | Left::Head | Left::Break)
        && tokens.get(at + 1).is_none_or(|t| t.is_mark(b':') || t.kind == Kind::Break);
    let usual = token.flags & FIRST_COMMON != 0
        && (title || token.flags & DOUBT == 0 || before.is_some_and(|t| t.is(GREETING | SIGNOFF)));
    // "mr ahmed el-sayed": the surname belongs to it.
    let more = tokens.get(at + 1).is_some_and(|t| {
        t.kind == Kind::Word && t.shape == Shape::Lower && t.space && t.flags & LAST != 0 && t.flags & DOUBT == 0
    });
    let to = at + 1 + usize::from(more && (title || cue));
    let chatted = chat && token.flags & NAME != 0 && token.flags & DOUBT == 0 && (first || cue);
    // "spoke to wife (fatima)"
    let bracket = before.is_some_and(|t| t.is_mark(b'('))
        && tokens.get(at + 1).is_some_and(|t| t.is_mark(b')'))
        && token.flags & FIRST_COMMON != 0
        && token.flags & DOUBT == 0;
    let fits = title
        || bracket
        || first && (cue && (usual || more) || speaker && usual)
        || speaks
        || chatted
        || seen.has(token);
    (fits && (token.space || at == 0 || speaker || bracket)).then_some(Candidate { from: at, to, run: (at, to) })
}

/// Whether a word stands at the head of its line, with a colon and another word behind it.
fn speaker(tokens: &[Token], at: usize) -> bool {
    tokens
        .get(at)
        .is_some_and(|t| t.kind == Kind::Word && t.flags & (ORDINARY | TECH | NOUN) == 0 || t.is(FIRST_COMMON))
        && tokens.get(at + 1).is_some_and(|t| t.is_mark(b':') && !t.space)
        && tokens.get(at + 2).is_some_and(|t| t.kind != Kind::Break && t.space)
        && matches!(left(tokens, at), Left::LineStart | Left::Head | Left::Break)
}

/// Whether a stretch is a talk written in small letters: three lines and more begin with a speaker.
pub(crate) fn is_chat(tokens: &[Token]) -> bool {
    let mut lines = 0;
    for at in 0..tokens.len() {
        if tokens.get(at).is_some_and(|t| t.shape == Shape::Lower) && speaker(tokens, at) {
            lines += 1;
        }
    }
    lines >= 3
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing};

    #[test]
    fn turned_nicknamed_and_booked() {
        for (text, name) in [
            ("Refund to Guadalupe \"Lupe\" Martinez, please.", "Guadalupe \"Lupe\" Martinez"),
            ("Patient: Okafor, Jane Maria (F)", "Okafor, Jane Maria"),
            ("Passenger list\nMARTINEZ/GUADALUPE MRS 22K\nby Jane Roe", "MARTINEZ/GUADALUPE"),
        ] {
            assert!(found(text, "PERSON").contains(&name), "{text} {:?}", found(text, "PERSON"));
        }
    }

    #[test]
    fn speakers_in_small_letters() {
        let text = "giulia: is he coming today?\nluca: i think so\ngiulia: then ask him about the keys\nluca: ok";
        assert_eq!(found(text, "PERSON"), ["giulia", "luca", "giulia", "luca"]);
    }

    #[test]
    fn keys_are_no_speakers() {
        nothing("host: db one\nport: five\nretries: a few\nmode: strict on\nlevel: high");
    }
}
