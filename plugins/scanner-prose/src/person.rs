//! Names of people: candidates in the runs of capital words, and which of them are taken.
//!
//! Invariant: a candidate is at most six tokens long, so the work is linear in the tokens; of candidates that overlap,
//! those with the greatest sum of scores are taken.

use std::collections::BTreeMap;

use crate::context::{Left, Right, left};
use crate::features::{Around, Candidate, Features, Tongue, around, features, score, tongues};
use crate::lexicon::*;
use crate::steps::tick;
use crate::strength::Strength;
use crate::token::{Kind, Shape, Token};

/// The most tokens of a name.
const LONGEST: usize = 6;

/// A name, as the range of its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub from: usize,
    pub to: usize,
    pub score: f32,
    pub features: Features,
    pub seen: bool,
}

/// Where the words of full names stood, by their hashes: what stands alone later is the same person's.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    places: BTreeMap<u64, usize>,
}

/// How far a full name reaches, in bytes.
const REACH: usize = 20_000;
/// The most words that are remembered.
const REMEMBERED: usize = 20_000;

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn has(&self, token: &Token) -> bool {
        self.places.get(&token.hash.key()).is_some_and(|place| token.start.abs_diff(*place) < REACH)
    }

    fn add(&mut self, token: &Token) {
        if self.places.len() < REMEMBERED {
            self.places.insert(token.hash.key(), token.start);
        }
    }
}

/// A word that a name could consist of.
fn fits(token: &Token) -> bool {
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

/// Whether the token may end a name, and whether it may begin one.
fn may_begin(token: &Token) -> bool {
    fits(token)
        && (token.shape != Shape::Initial || token.end - token.start > 1)
        && (token.flags & (SUFFIX | DETERMINER) == 0 || token.shape == Shape::Initial)
}

fn may_end(token: &Token) -> bool {
    fits(token) && (token.shape != Shape::Initial || token.end - token.start > 1)
}

/// The runs of words of which names could consist, as ranges of tokens.
fn runs(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        if !fits(token) {
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
                    t.kind == Kind::Word && t.flags & PARTICLE != 0 && t.shape == Shape::Lower && t.space
                })
            {
                next += 1;
            }
            let joined = tokens.get(next).is_some_and(|t| {
                let before = next.checked_sub(1).and_then(|i| tokens.get(i));
                fits(t) && (t.space || before.is_some_and(|b| b.shape == Shape::Initial))
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
    if token.shape == Shape::Upper && !(bracket && f & FIRST_COMMON != 0 && f & DOUBT == 0)
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
    !rather_word || (cue && token.space)
}

/// All candidates of a run.
fn candidates(tokens: &[Token], run: (usize, usize), mut on: impl FnMut(Candidate)) {
    for from in run.0..run.1 {
        // "Mrs F Roe": an initial without a dot begins a name only behind a title.
        let bare = tokens.get(from).is_some_and(|t| t.shape == Shape::Initial)
            && from
                .checked_sub(1)
                .and_then(|i| tokens.get(i))
                .is_some_and(|t| t.is(TITLE) && t.shape != Shape::Initial)
            && run.1 - from > 1;
        if !bare && !tokens.get(from).is_some_and(may_begin) {
            continue;
        }
        for to in from + 1..=run.1.min(from + LONGEST) {
            if tokens.get(to - 1).is_some_and(may_end) {
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
                let bound = inside.iter().any(|t| t.shape == Shape::Lower);
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

/// How many words of a name stand at `at`, at most three.
fn part(tokens: &[Token], at: usize) -> usize {
    (0..3)
        .take_while(|n| {
            tokens.get(at + n).is_some_and(|t| fits(t) && t.flags & (FUNCTION | CALENDAR) == 0 && (*n == 0 || t.space))
        })
        .count()
}

/// `Roe, Jane`: a surname, a comma and a first name, both known; behind a label, in a cell or at the head of a line also
/// several of each, and unknown ones.
fn reversed(tokens: &[Token], at: usize) -> Option<Candidate> {
    let last = tokens.get(at)?;
    let usual = FUNCTION | CALENDAR | GREETING | SIGNOFF;
    if !fits(last) || last.shape == Shape::Initial || last.flags & usual != 0 {
        return None;
    }
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    let surname = part(tokens, at);
    let comma = at + surname;
    if !tokens.get(comma)?.is_mark(b',') {
        return None;
    }
    let first = tokens.get(comma + 1)?;
    if !first.space || !fits(first) || first.flags & usual != 0 || first.shape == Shape::Initial {
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

/// A first name in small letters behind words that leave no doubt, of a speaker, or of somebody who was named before.
fn lower(tokens: &[Token], at: usize, seen: &Seen) -> Option<Candidate> {
    let token = tokens.get(at)?;
    let known = token.kind == Kind::Word
        && token.shape == Shape::Lower
        && token.flags & NAME != 0
        && token.flags & (ROLE | SAY | OBJECT | NOUN | PARTICLE | PERSON_PREP | PLACE_PREP | GREETING | AND) == 0
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
    let fits = title || first && (cue && (usual || more) || speaker && usual || seen.has(token));
    (fits && (token.space || at == 0 || speaker)).then_some(Candidate { from: at, to, run: (at, to) })
}

/// All candidates of a stretch with their features, for the model's training.
pub(crate) fn all(tokens: &[Token], seen: &Seen) -> Vec<(Candidate, Features, bool)> {
    let mut told: Option<Vec<Tongue>> = None;
    let mut out = Vec::new();
    let mut judge = |candidate: Candidate, around: &Around| {
        let known = is_seen(tokens, candidate, seen);
        out.push((candidate, features(tokens, candidate, around, known), known));
    };
    for run in runs(tokens) {
        let mut looked = None;
        candidates(tokens, run, |candidate| {
            judge(
                candidate,
                looked.get_or_insert_with(|| around(tokens, run, told.get_or_insert_with(|| tongues(tokens)))),
            )
        });
    }
    for at in 0..tokens.len() {
        if let Some(candidate) = reversed(tokens, at).or_else(|| lower(tokens, at, seen)) {
            judge(candidate, &around(tokens, candidate.run, told.get_or_insert_with(|| tongues(tokens))));
        }
    }
    out
}

fn is_seen(tokens: &[Token], candidate: Candidate, seen: &Seen) -> bool {
    let inside = tokens.get(candidate.from..candidate.to).unwrap_or_default();
    inside.iter().all(|t| t.shape == Shape::Lower || t.shape == Shape::Initial || seen.has(t))
        && inside.iter().any(|t| seen.has(t))
}

/// The names of a stretch: of all ways to choose candidates that do not overlap, the one with the greatest sum.
pub(crate) fn choose(tokens: &[Token], seen: &Seen) -> Vec<Name> {
    let mut judged: Vec<Name> = all(tokens, seen)
        .into_iter()
        .map(|(candidate, features, seen)| Name {
            from: candidate.from,
            to: candidate.to,
            score: score(&features),
            features,
            seen,
        })
        .filter(|name| name.score > 0.0)
        .collect();
    judged.sort_by_key(|name| (name.to, name.from));
    // best[i]: the greatest sum of what ends at or before token i, and the candidate that ends there.
    let mut best: Vec<(f32, Option<usize>)> = vec![(0.0, None); tokens.len() + 1];
    let mut next = judged.iter().enumerate().peekable();
    for end in 1..=tokens.len() {
        tick(1);
        let mut here = (best.get(end - 1).map_or(0.0, |b| b.0), None);
        while let Some((n, name)) = next.next_if(|(_, name)| name.to == end) {
            let sum = best.get(name.from).map_or(0.0, |b| b.0) + name.score;
            if sum > here.0 {
                here = (sum, Some(n));
            }
        }
        if let Some(slot) = best.get_mut(end) {
            *slot = here;
        }
    }
    let mut out = Vec::new();
    let mut end = tokens.len();
    while end > 0 {
        match best.get(end).and_then(|b| b.1).and_then(|n| judged.get(n)) {
            Some(name) => {
                end = name.from;
                out.push(name.clone());
            }
            None => end -= 1,
        }
    }
    out.reverse();
    out
}

/// Remembers the words of the full names that are certain.
pub(crate) fn remember(tokens: &[Token], names: &[Name], seen: &mut Seen) {
    for name in names {
        if name.score < 1.0 || name.features.is_one() {
            continue;
        }
        for token in tokens.get(name.from..name.to).unwrap_or_default() {
            let usual = token.flags & (FUNCTION | CALENDAR | PARTICLE | SUFFIX) != 0;
            if token.is_capital() && !usual && token.end - token.start > 2 {
                seen.add(token);
            }
        }
    }
}

/// What decided, in a few words.
pub(crate) fn reason(name: &Name) -> &'static str {
    let f = &name.features;
    match (f.left, f.right, f.strength) {
        (Left::Title, _, _) => "name behind a title",
        _ if name.seen && f.is_one() => "name seen in full nearby",
        (_, _, Strength::FirstLast | Strength::LastFirst) => "known first and last name",
        (Left::Greeting, _, _) => "name behind a greeting",
        (Left::Signoff, _, _) => "name under a letter",
        (Left::Role, _, _) => "name behind a role",
        (_, Right::Say | Right::Be, _) => "name before a verb",
        (Left::Object | Left::By | Left::PersonPrep | Left::Say, _, _) => "name behind a verb or preposition",
        (_, Right::Possessive | Right::PossessiveRole, _) => "name as an owner",
        _ if f.is_one() => "known name in a sentence",
        _ => "words and surroundings of a name",
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, nothing};

    #[test]
    fn names_in_sentences() {
        for (text, names) in [
            ("{\"message\":\"Refund approved by Amina Osei after review\"}", vec!["Amina Osei"]),
            ("2026-01-02 10:00:00 INFO [main] c.a.Foo - Order placed by Jane Roe", vec!["Jane Roe"]),
            ("Dear Ms van der Berg,\nthanks.", vec!["van der Berg"]),
            ("I met Grace and Mark in Paris.", vec!["Grace", "Mark"]),
            ("Maria from Freeman Group called.", vec!["Maria"]),
            ("JOHN SMITH signed the form", vec!["JOHN SMITH"]),
            ("Der Kunde Jörg Schäfer hat mit Frau Weiß gesprochen.", vec!["Jörg Schäfer", "Weiß"]),
            ("Иван Петров позвонил вчера", vec!["Иван Петров"]),
            ("{\"text\":\"Thanks,\\nM\\u00e1ria Kov\\u00e1cs\"}", vec!["M\\u00e1ria Kov\\u00e1cs"]),
            ("O'Brien, Patrick - patient", vec!["O'Brien, Patrick"]),
        ] {
            assert_eq!(found(text, "PERSON"), names, "{text}");
        }
    }

    #[test]
    fn a_surname_alone_counts_behind_the_full_name() {
        let text = "We spoke with Giovanni Zapotek. Later Zapotek sent the form.";
        assert_eq!(found(text, "PERSON"), ["Giovanni Zapotek", "Zapotek"]);
    }

    #[test]
    fn firms_and_things() {
        for text in [
            "Lewis, Cunningham and Williams filed the claim.",
            "Kafka ran out of heap, Jenkins restarted it.",
            "evacuated U.S. citizens",
            "Smith and Sons is closed.",
            "Started Daily Cleanup of Temporary Directories.",
        ] {
            nothing(text);
        }
    }
}
