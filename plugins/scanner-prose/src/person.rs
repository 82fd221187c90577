//! Names of people: candidates in the runs of capital words, and which of them are taken.
//!
//! Invariant: a candidate is at most six tokens long, so the work is linear in the tokens; of candidates that overlap,
//! those with the greatest sum of scores are taken.

use std::collections::BTreeMap;

use crate::candidates::{candidates, runs};
use crate::context::{Left, Right};
use crate::features::{Around, Candidate, Features, Tongue, around, features, score, tongues};
use crate::lexicon::*;
use crate::steps::tick;
use crate::strength::Strength;
use crate::token::{Shape, Token};
use crate::wholes::{booked, is_chat, lower, nicknamed, reversed};

/// A name, as the range of its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub from: usize,
    pub to: usize,
    pub score: f32,
    pub left: Left,
    pub right: Right,
    pub strength: Strength,
    /// One word.
    pub one: bool,
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

    pub(crate) fn has(&self, token: &Token) -> bool {
        self.places.get(&token.hash.key()).is_some_and(|place| token.start.abs_diff(*place) < REACH)
    }

    fn add(&mut self, token: &Token) {
        if self.places.len() < REMEMBERED {
            self.places.insert(token.hash.key(), token.start);
        }
    }
}

/// Calls `on` for all candidates of a stretch with their features and whether their words stood in a full name. None is
/// kept here: a text of nothing but names has hundreds of thousands.
pub(crate) fn all(tokens: &[Token], seen: &Seen, mut on: impl FnMut(Candidate, &Features, bool)) {
    let mut told: Option<Vec<Tongue>> = None;
    let chat = is_chat(tokens);
    let mut whole = Vec::new();
    // Which of `whole`, counted from one, a token is part of.
    let mut part_of = vec![0_usize; tokens.len()];
    for at in 0..tokens.len() {
        let more = reversed(tokens, at).or_else(|| nicknamed(tokens, at)).or_else(|| booked(tokens, at));
        if let Some(candidate) = more.or_else(|| lower(tokens, at, seen, chat)) {
            whole.push(candidate);
            for part in part_of.get_mut(candidate.from..candidate.to).unwrap_or_default() {
                *part = whole.len();
            }
        }
    }
    let mut judge = |candidate: Candidate, around: &Around| {
        let known = is_seen(tokens, candidate, seen);
        let of = part_of.get(candidate.from).copied().unwrap_or_default();
        let inside = of > 0
            && part_of.get(candidate.to - 1) == Some(&of)
            && whole.get(of - 1).is_some_and(|w: &Candidate| w.to - w.from > candidate.to - candidate.from);
        on(candidate, &features(tokens, candidate, around, known, inside), known);
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
    for candidate in &whole {
        judge(*candidate, &around(tokens, candidate.run, told.get_or_insert_with(|| tongues(tokens))));
    }
}

fn is_seen(tokens: &[Token], candidate: Candidate, seen: &Seen) -> bool {
    let inside = tokens.get(candidate.from..candidate.to).unwrap_or_default();
    inside.iter().all(|t| t.shape == Shape::Lower || t.shape == Shape::Initial || seen.has(t))
        && inside.iter().any(|t| seen.has(t))
}

/// The names of a stretch: of all ways to choose candidates that do not overlap, the one with the greatest sum.
pub(crate) fn choose(tokens: &[Token], seen: &Seen) -> Vec<Name> {
    let mut judged: Vec<Name> = Vec::new();
    all(tokens, seen, |candidate, features, seen| {
        let score = score(features);
        if score > 0.0 {
            judged.push(Name {
                from: candidate.from,
                to: candidate.to,
                score,
                left: features.left,
                right: features.right,
                strength: features.strength,
                one: features.is_one(),
                seen,
            });
        }
    });
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
        let speaker = tokens.get(name.from).is_some_and(|t| t.shape == Shape::Lower) && name.right == Right::Colon;
        if speaker && let Some(token) = tokens.get(name.from) {
            seen.add(token);
        }
        if name.score < 1.0 || name.one {
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
    match (name.left, name.right, name.strength) {
        (Left::Title, _, _) => "name behind a title",
        _ if name.seen && name.one => "name seen in full nearby",
        (_, _, Strength::FirstLast | Strength::LastFirst) => "known first and last name",
        (Left::Greeting, _, _) => "name behind a greeting",
        (Left::Signoff, _, _) => "name under a letter",
        (Left::Role, _, _) => "name behind a role",
        (_, Right::Say | Right::Be, _) => "name before a verb",
        (Left::Object | Left::By | Left::PersonPrep | Left::Say, _, _) => "name behind a verb or preposition",
        (_, Right::Possessive | Right::PossessiveRole, _) => "name as an owner",
        _ if name.one => "known name in a sentence",
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
