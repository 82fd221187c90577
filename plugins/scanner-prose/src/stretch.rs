//! The stretches of a window that are read closely, and what is found in them.
//!
//! Invariant: stretches are in order and do not overlap, and each goes at most [`BEFORE`] bytes back and [`AFTER`] bytes
//! on from its seeds, so that all bytes are read at most twice.

use crate::lexicon::Lexicon;
use crate::person::{self, Name, Seen};
use crate::seeds::{self, Seed};
use crate::token::{self, Token};
use crate::{Finding, Judged, Kind, address, birth, features, scripts};

/// How far before a seed a stretch begins, in bytes.
const BEFORE: usize = 120;
/// How far behind a seed a stretch ends, in bytes.
const AFTER: usize = 120;

/// A stretch of text with its tokens, as ranges.
struct Stretch {
    tokens: (usize, usize),
}

/// Where a stretch may begin or end near `at`: on a character boundary, not inside a word, if there is one near.
fn cut_back(text: &str, at: usize, least: usize) -> usize {
    let bytes = text.as_bytes();
    let mut i = at;
    while i > least && at - i < 40 && bytes.get(i - 1).is_some_and(|b| *b > b' ') {
        i -= 1;
    }
    while !text.is_char_boundary(i) {
        i -= 1;
    }
    i.max(least)
}

fn cut_on(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut i = at.min(text.len());
    while i < text.len() && i - at < 40 && bytes.get(i).is_some_and(|b| *b > b' ') {
        i += 1;
    }
    while !text.is_char_boundary(i) {
        i += 1;
    }
    i
}

/// What the first pass leaves.
struct Read {
    tokens: Vec<Token>,
    stretches: Vec<Stretch>,
    found: Vec<Finding>,
}

fn read(text: &str, continues_before: bool, lexicon: &Lexicon) -> Read {
    let mut out = Read { tokens: Vec::new(), stretches: Vec::new(), found: Vec::new() };
    let mut open: Option<(usize, usize)> = None;
    let mut done = 0;
    let mut address_done = 0;
    let mut script_done = 0;
    seeds::find(text, lexicon, |seed, start, end| match seed {
        Seed::Name => {
            if let Some((_, stop)) = &mut open
                && start <= *stop + BEFORE
            {
                *stop = end + AFTER;
                return;
            }
            if let Some((from, to)) = open.take() {
                done = close(text, from, to, lexicon, &mut out);
            }
            let from = cut_back(text, start.saturating_sub(BEFORE).max(done), done);
            open = Some((from, end + AFTER));
        }
        // The digits at the start of a continued window may be the end of a number.
        Seed::Number if start == 0 && continues_before => {}
        Seed::Number => {
            if start >= address_done
                && let Some(finding) = address::at_number(text, start, end, address_done, lexicon)
            {
                address_done = finding.end;
                out.found.push(finding);
            } else if let Some(finding) = birth::at_number(text, start, end, lexicon) {
                out.found.push(finding);
            }
        }
        Seed::Script => {
            if start >= script_done {
                script_done = scripts::at(text, start, end, lexicon, &mut out.found);
            }
        }
    });
    if let Some((from, to)) = open {
        close(text, from, to, lexicon, &mut out);
    }
    // The first word of a window that continues another may be the end of one.
    if continues_before && let Some(first) = out.tokens.first_mut().filter(|t| t.start == 0) {
        first.kind = token::Kind::Code;
    }
    out
}

/// Reads a stretch; gives where it ends.
fn close(text: &str, from: usize, to: usize, lexicon: &Lexicon, out: &mut Read) -> usize {
    let to = cut_on(text, to.min(text.len()));
    let first = out.tokens.len();
    token::read(text, from, to, lexicon, &mut out.tokens);
    out.stretches.push(Stretch { tokens: (first, out.tokens.len()) });
    to
}

fn probability(score: f32) -> f32 {
    1.0 / (1.0 + (-score).exp())
}

/// All findings of a window.
pub(crate) fn scan(text: &str, continues_before: bool, _continues_after: bool, lexicon: &Lexicon) -> Vec<Finding> {
    let Read { tokens, stretches, mut found } = read(text, continues_before, lexicon);
    let mut seen = Seen::default();
    let mut names: Vec<Vec<Name>> = Vec::with_capacity(stretches.len());
    for stretch in &stretches {
        let tokens = tokens.get(stretch.tokens.0..stretch.tokens.1).unwrap_or_default();
        let chosen = person::choose(tokens, &seen);
        person::remember(tokens, &chosen, &mut seen);
        names.push(chosen);
    }
    for (stretch, first_look) in stretches.iter().zip(names) {
        let tokens = tokens.get(stretch.tokens.0..stretch.tokens.1).unwrap_or_default();
        let chosen = if seen.is_empty() { first_look } else { person::choose(tokens, &seen) };
        for name in chosen {
            let (Some(first), Some(last)) = (tokens.get(name.from), tokens.get(name.to - 1)) else { continue };
            found.push(Finding {
                kind: Kind::Person,
                start: first.start,
                end: last.end,
                confidence: probability(name.score),
                validated: false,
                detector: person::reason(&name),
            });
        }
    }
    // A street that is called after somebody is part of its address.
    let places: Vec<(usize, usize)> =
        found.iter().filter(|f| f.kind == Kind::Address).map(|f| (f.start, f.end)).collect();
    if !places.is_empty() {
        found.retain(|f| {
            let at = places.partition_point(|(_, end)| *end <= f.start);
            f.kind != Kind::Person || places.get(at).is_none_or(|(start, end)| f.end <= *start || f.start >= *end)
        });
    }
    found
}

/// All candidates, with what was seen in the text.
pub(crate) fn judge(text: &str, lexicon: &Lexicon) -> Vec<Judged> {
    let Read { tokens, stretches, .. } = read(text, false, lexicon);
    let mut seen = Seen::default();
    for stretch in &stretches {
        let tokens = tokens.get(stretch.tokens.0..stretch.tokens.1).unwrap_or_default();
        person::remember(tokens, &person::choose(tokens, &seen), &mut seen);
    }
    let mut out = Vec::new();
    for stretch in &stretches {
        let tokens = tokens.get(stretch.tokens.0..stretch.tokens.1).unwrap_or_default();
        person::all(tokens, &seen, |candidate, features, _| {
            if let (Some(first), Some(last)) = (tokens.get(candidate.from), tokens.get(candidate.to - 1)) {
                out.push(Judged {
                    start: first.start,
                    end: last.end,
                    features: features.active().to_vec(),
                    score: features::score(features),
                });
            }
        });
    }
    out
}
