//! What the model sees of a candidate: a set of named features, and the sum of their weights.
//!
//! Invariant: each feature is a class of a fixed small set, so the table of weights can be read, and judged, line by line.

use crate::context::{Left, Right, left, right, starts_sentence};
use crate::lexicon::*;
use crate::near::{MONSIEUR, Near};
use crate::steps::tick;
use crate::strength::{GROUPS, STRENGTHS, Strength, group, strength};
use crate::token::{Kind, Shape, Token};

const PLACES: &[&str] = &["alone on its line", "in German", "in another language", "behind a log's head"];
const LOCALS: &[&str] = &["prose0", "prose1", "prose2", "prose3"];
const CODES: &[&str] = &["code0", "code1", "code2"];

/// What speaks for a thing that is called after somebody, or for a person, some words away.
const CUES: &[&str] = &[
    "thing before",
    "thing near before",
    "thing behind",
    "begins as thing",
    "ends as thing",
    "famous",
    "firm near",
    "quoted",
    "monsieur before",
    "monsieur inside",
    "verb behind",
    "title inside",
    "greeting inside",
    "among places",
];

const EXTRAS: [&str; 64] = [
    "Particle",
    "Initial",
    "Suffix",
    "HyphenOne",
    "HyphenLast",
    "AllUpperOne",
    "AllUpperFull",
    "HasCalendar",
    "HasPlace",
    "HasOrg",
    "HasTech",
    "HasFunction",
    "Three",
    "Four",
    "LongRun",
    "StartWordFirst",
    "StartOne",
    "MidSentenceOneGood",
    "SeenOne",
    "SeenFull",
    "TheTwoBack",
    "PronounNear",
    "SaidNear",
    "OrgNear",
    "HeadingLine",
    "LowerCase",
    "LastComma",
    "HasNoun",
    "InnerCapital",
    "Short",
    "TwoBackOrg",
    "AndOrg",
    "HasTitle",
    "HasRole",
    "HasSay",
    "ObjectTwoBack",
    "LastPlace",
    "CommonLast",
    "HasStreet",
    "ThreeKnown",
    "MiddleUnknown",
    "HasWordMiddle",
    "FirstIsLeftName",
    "CutsParticle",
    "GermanUnknownFirst",
    "GermanUnknownLast",
    "Firm",
    "FirmNear",
    "CommaGood",
    "CommaHalf",
    "CommaLabel",
    "StartOneWord",
    "OneBeforeNumber",
    "SeenLower",
    "ForeignStartOne",
    "ForeignFull",
    "RestOfLineCapital",
    "LowerSpeaker",
    "Nickname",
    "AndInside",
    "LowerUnknown",
    "LowerHead",
    "Booked",
    "InsideWhole",
];

/// Places of a feature in [`crate::weights::WEIGHTS`].
const LEFT_AT: usize = 1 + STRENGTHS.len();
const RIGHT_AT: usize = LEFT_AT + Left::NAMES.len() * GROUPS.len();
const LOCAL_AT: usize = RIGHT_AT + Right::NAMES.len() * GROUPS.len();
const CODE_AT: usize = LOCAL_AT + LOCALS.len() * GROUPS.len();
const PLACE_AT: usize = CODE_AT + CODES.len() * GROUPS.len();
const EXTRA_AT: usize = PLACE_AT + PLACES.len() * GROUPS.len();
const CUE_AT: usize = EXTRA_AT + EXTRAS.len();
const BACK_AT: usize = CUE_AT + CUES.len() * GROUPS.len();
const ON_AT: usize = BACK_AT + 2 * COARSE;
const PAIR_AT: usize = ON_AT + 2 * COARSE;
const BEFORE_AT: usize = PAIR_AT + 2 * COARSE * COARSE;
const BEHIND_AT: usize = BEFORE_AT + STRENGTHS.len() * COARSE;
const TONGUE_AT: usize = BEHIND_AT + STRENGTHS.len() * COARSE;
/// How many coarse classes a side has.
const COARSE: usize = 10;
/// How many features there are.
pub const COUNT: usize = TONGUE_AT + 2 * STRENGTHS.len();

/// A feature's name, for the table and for people.
#[must_use]
pub fn name(feature: usize) -> String {
    let crossed = |names: &[&str], side: &str, from: usize| {
        let n = feature - from;
        let class = names.get(n / GROUPS.len()).copied().unwrap_or_default();
        format!("{side} {class} x {}", GROUPS.get(n % GROUPS.len()).copied().unwrap_or_default())
    };
    match feature {
        0 => "Bias".to_owned(),
        n if n < LEFT_AT => STRENGTHS.get(n - 1).copied().unwrap_or_default().to_owned(),
        n if n < RIGHT_AT => crossed(Left::NAMES, "left", LEFT_AT),
        n if n < LOCAL_AT => crossed(Right::NAMES, "right", RIGHT_AT),
        n if n < CODE_AT => crossed(LOCALS, "near", LOCAL_AT),
        n if n < PLACE_AT => crossed(CODES, "near", CODE_AT),
        n if n < EXTRA_AT => crossed(PLACES, "stands", PLACE_AT),
        n if n < CUE_AT => EXTRAS.get(n - EXTRA_AT).copied().unwrap_or_default().to_owned(),
        n if n < BACK_AT => crossed(CUES, "cue", CUE_AT),
        n if n < PAIR_AT => {
            let (side, from) = if n < ON_AT { ("one back", BACK_AT) } else { ("one on", ON_AT) };
            format!("{} {side} {}", if n - from < COARSE { "one" } else { "full" }, (n - from) % COARSE)
        }
        n if n < BEFORE_AT => {
            let n = n - PAIR_AT;
            let (full, n) = (n / (COARSE * COARSE), n % (COARSE * COARSE));
            format!("{} between {} and {}", if full == 1 { "full" } else { "one" }, n / COARSE, n % COARSE)
        }
        n => {
            let (side, from, width) = match n {
                n if n < BEHIND_AT => ("behind", BEFORE_AT, COARSE),
                n if n < TONGUE_AT => ("before", BEHIND_AT, COARSE),
                _ => ("tongue", TONGUE_AT, 2),
            };
            format!("{} {side} {}", STRENGTHS.get((n - from) / width).copied().unwrap_or_default(), (n - from) % width)
        }
    }
}

/// A candidate: tokens `from..to`, all of one run of capital words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub from: usize,
    pub to: usize,
    /// The run in which it lies.
    pub run: (usize, usize),
}

/// The features of one candidate, at most 64.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    active: [u16; 64],
    count: usize,
    pub strength: Strength,
    pub left: Left,
    pub right: Right,
}

impl Features {
    fn add(&mut self, feature: usize) {
        if let (Some(slot), Ok(feature)) = (self.active.get_mut(self.count), u16::try_from(feature)) {
            *slot = feature;
            self.count += 1;
        }
    }

    /// The active features.
    pub(crate) fn active(&self) -> &[u16] {
        self.active.get(..self.count).unwrap_or_default()
    }

    pub(crate) fn is_one(&self) -> bool {
        group(self.strength) < 3
    }
}

/// Words of prose and marks of code within eight tokens.
fn near(tokens: &[Token], from: usize, to: usize) -> (usize, usize) {
    let before = tokens.get(from.saturating_sub(8)..from).unwrap_or_default();
    let after = tokens.get(to..(to + 8).min(tokens.len())).unwrap_or_default();
    let (mut prose, mut code) = (0, 0);
    for token in before
        .iter()
        .rev()
        .take_while(|t| t.kind != Kind::Break)
        .chain(after.iter().take_while(|t| t.kind != Kind::Break))
    {
        match token.kind {
            Kind::Word
                if token.shape == Shape::Lower
                    && token.flags & (FUNCTION | FOREIGN | SAY | PRONOUN | PERSON_PREP | DETERMINER) != 0 =>
            {
                prose += 2
            }
            Kind::Word if token.shape == Shape::Lower && token.flags & WORD != 0 => prose += 1,
            Kind::Code => code += 1,
            Kind::Mark(
                b'=' | b'{' | b'}' | b'[' | b']' | b'_' | b'/' | b'|' | b'\\' | b'<' | b'>' | b'#' | b'*' | b'\t'
                | b'@',
            ) => code += 1,
            Kind::Word if matches!(token.shape, Shape::Mixed | Shape::Upper) && token.flags & NAME == 0 => code += 1,
            _ => {}
        }
    }
    (prose, code)
}

/// How many tokens a block has whose language is told.
const BLOCK: usize = 24;

/// How many words of a block and its neighbours are German, of another language, English.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tongue {
    german: usize,
    foreign: usize,
    english: usize,
}

/// The language of a stretch, block by block, by its function words.
pub(crate) fn tongues(tokens: &[Token]) -> Vec<Tongue> {
    let counts: Vec<Tongue> = tokens
        .chunks(BLOCK)
        .map(|block| {
            tick(block.len());
            let mut out = Tongue::default();
            for token in block.iter().filter(|t| t.kind == Kind::Word && t.shape == Shape::Lower) {
                out.german += usize::from(token.flags & GERMAN != 0);
                out.foreign += usize::from(token.flags & FOREIGN != 0);
                out.english += usize::from(token.flags & (WORD | FUNCTION) != 0);
            }
            out
        })
        .collect();
    (0..counts.len())
        .map(|at| {
            let near = counts.get(at.saturating_sub(1)..(at + 2).min(counts.len())).unwrap_or_default();
            near.iter().fold(Tongue::default(), |sum, t| Tongue {
                german: sum.german + t.german,
                foreign: sum.foreign + t.foreign,
                english: sum.english + t.english,
            })
        })
        .collect()
}

/// What stands around a run of capital words; the same for all its candidates, so it is looked at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    /// How much of it is prose, 0 to 3.
    prose: usize,
    /// How much of it is code, 0 to 2.
    code: usize,
    german: bool,
    foreign: bool,
    log_head: bool,
    heading: bool,
    /// A word stands before it in its sentence that goes before things called after people.
    thing: bool,
    pronoun: bool,
    said: bool,
    trade: bool,
    /// A well-known firm, law or thing of two names.
    firm: bool,
    /// All words of the line, or nearly, are written large.
    capitals: bool,
}

/// Whether two neighbours are a firm, a law or a thing that is known by two names: "Wells Fargo".
fn is_firm(pair: &[Token]) -> bool {
    matches!(pair, [a, b] if a.pair && b.kind == Kind::Word && a.is_capital() && b.is_capital())
}

/// Looks at what stands around the run `from..to`.
pub(crate) fn around(tokens: &[Token], (from, to): (usize, usize), tongues: &[Tongue]) -> Around {
    tick(60);
    let (prose, code) = near(tokens, from, to);
    let Tongue { german, foreign, english } = tongues.get(from / BLOCK).copied().unwrap_or_default();
    let after = tokens.get(to..(to + 6).min(tokens.len())).unwrap_or_default();
    let ahead = tokens.get(from.saturating_sub(6)..from).unwrap_or_default();
    let close = || ahead.iter().chain(after);
    let run = tokens.get(from..to).unwrap_or_default();
    let capitals =
        close().chain(run).filter(|t| t.is_capital() && t.flags & ORDINARY != 0 && t.flags & NAME == 0).count();
    let small = close().filter(|t| t.kind == Kind::Word && t.shape == Shape::Lower).count();
    Around {
        prose: match prose {
            0 => 0,
            1..=2 => 1,
            3..=5 => 2,
            _ => 3,
        },
        code: code.min(2),
        german: german > 0 && german * 2 > english,
        foreign: german * 2 <= english.max(1) && foreign > english,
        log_head: log_head(tokens, from),
        heading: capitals >= 2 && capitals >= small,
        thing: {
            let before = tokens.get(from.saturating_sub(16)..from).unwrap_or_default();
            before
                .iter()
                .rev()
                .take_while(|t| !t.is_mark(b'.') && t.kind != Kind::Break)
                .any(|t| t.is(BEFORE_THING) && t.flags & (PERSON_PREP | PLACE_PREP | NAME) == 0)
        },
        pronoun: close().any(|t| t.is(PRONOUN)),
        said: close().any(|t| t.is(SAY | ROLE) && t.shape == Shape::Lower),
        trade: close().any(|t| t.is_capital() && t.flags & (ORG | TECH) != 0),
        firm: tokens
            .get(from.saturating_sub(1)..(to + 1).min(tokens.len()))
            .unwrap_or_default()
            .windows(2)
            .any(is_firm),
        capitals: {
            let line = |t: &&Token| t.kind != Kind::Break;
            let words = || ahead.iter().rev().take_while(line).chain(run).chain(after.iter().take_while(line));
            let large = words().filter(|t| t.is_capital()).count();
            large > 2 && words().filter(|t| t.kind == Kind::Word && t.shape == Shape::Lower).count() * 3 <= large
        },
    }
}

/// Whether the name goes on behind `to` with a particle: "Maria | van der Berg".
fn cuts_particle(tokens: &[Token], to: usize) -> bool {
    let ahead = tokens.get(to..(to + 4).min(tokens.len())).unwrap_or_default();
    let particles = ahead.iter().take_while(|t| t.is(PARTICLE) && t.shape == Shape::Lower).count();
    particles > 0 && ahead.get(particles).is_some_and(|t| t.is_capital() && t.flags & FUNCTION == 0)
}

/// Whether the line of the token begins as a log's does: a number, a bracket or a level within its first tokens.
fn log_head(tokens: &[Token], from: usize) -> bool {
    let before = tokens.get(from.saturating_sub(14)..from).unwrap_or_default();
    let line = before.iter().rposition(|t| t.kind == Kind::Break).map_or(0, |n| n + 1);
    before.get(line..).is_some_and(|head| {
        head.len() > 2
            && head.iter().any(|t| matches!(t.kind, Kind::Number | Kind::Code))
            && head
                .iter()
                .any(|t| matches!(t.kind, Kind::Mark(b']' | b':' | b'=')) || t.shape == Shape::Upper && t.is(TECH))
    })
}

/// All that the model sees of a candidate. `seen` says that its words stood in a full name nearby,
/// `part` that it is a part of a candidate that marks hold together, as in `Roe, Jane`.
pub(crate) fn features(tokens: &[Token], candidate: Candidate, around: &Around, seen: bool, part: bool) -> Features {
    let Candidate { from, to, run } = candidate;
    tick(10 + to - from);
    // The words that count: no particles, no suffix.
    let mut words = [0_usize; 8];
    let mut count = 0;
    let mut flags = 0;
    let (mut particle, mut initial, mut upper, mut suffix, mut hyphen, mut inner, mut comma) =
        (false, false, true, false, false, false, false);
    let (mut nick, mut bound, mut quote) = (false, false, false);
    let inside = tokens.get(from..to).unwrap_or_default();
    for (n, token) in inside.iter().enumerate() {
        if token.is_mark(b',') || token.is_mark(b'/') {
            comma = true;
        } else if token.kind != Kind::Word {
            // One `'` is of "van 't Hoff".
            nick |= token.is_mark(b'"') || token.is_mark(b'(') || quote && token.is_mark(b'\'');
            quote = true;
        } else if inside.len() > 1 && token.flags & (PARTICLE | AND) != 0 && token.shape == Shape::Lower {
            particle = true;
            bound |= token.flags & PARTICLE == 0;
        } else if n > 0 && n + 1 == inside.len() && token.flags & SUFFIX != 0 {
            suffix = true;
        } else {
            initial |= token.shape == Shape::Initial;
            upper &= token.shape == Shape::Upper;
            hyphen = token.hyphen;
            inner |= token.shape == Shape::Mixed;
            flags |= token.flags;
            if let Some(slot) = words.get_mut(count) {
                *slot = from + n;
                count += 1;
            }
        }
    }
    let words = words.get(..count).unwrap_or_default();
    let mut strength = strength(tokens, words);
    if comma {
        strength =
            if strength == Strength::LastFirst || strength == Strength::FirstLast || strength == Strength::LastLast {
                Strength::FirstLast
            } else {
                Strength::Other
            };
    }
    let mut out = Features { active: [0; 64], count: 0, strength, left: left(tokens, from), right: right(tokens, to) };
    let g = group(strength);
    out.add(0);
    out.add(1 + strength as usize);
    out.add(LEFT_AT + out.left as usize * GROUPS.len() + g);
    out.add(RIGHT_AT + out.right as usize * GROUPS.len() + g);
    out.add(LOCAL_AT + around.prose * GROUPS.len() + g);
    out.add(CODE_AT + around.code * GROUPS.len() + g);
    let begins = matches!(out.left, Left::LineStart | Left::Break | Left::Signoff);
    let alone = begins && matches!(out.right, Right::LineEnd | Right::Break);
    let full = usize::from(count > 1);
    out.add(PAIR_AT + full * COARSE * COARSE + out.left.coarse() * COARSE + out.right.coarse());
    out.add(BEFORE_AT + strength as usize * COARSE + out.left.coarse());
    out.add(BEHIND_AT + strength as usize * COARSE + out.right.coarse());
    if around.german || around.foreign {
        out.add(TONGUE_AT + strength as usize * 2 + usize::from(around.german));
    }
    for (n, set) in [alone, around.german, around.foreign, around.log_head].into_iter().enumerate() {
        if set {
            out.add(PLACE_AT + n * GROUPS.len() + g);
        }
    }
    let one = count == 1;
    let back = |n: usize| from.checked_sub(n).and_then(|i| tokens.get(i));
    let start = starts_sentence(tokens, from) && !matches!(out.left, Left::Label | Left::NameOf);
    let first = words.first().and_then(|at| tokens.get(*at));
    let last = words.last().and_then(|at| tokens.get(*at));
    let first_flags = first.map_or(0, |t| t.flags);
    let last_flags = last.map_or(0, |t| t.flags);
    let middle = words.get(1..count.saturating_sub(1)).unwrap_or_default();
    let middle_flags = middle.iter().filter_map(|at| tokens.get(*at));
    let firm = inside.windows(2).any(is_firm);
    let behind_comma =
        inside.iter().position(|t| t.is_mark(b',')).and_then(|n| inside.get(n + 1)).map_or(0, |t| t.flags);
    // In the order of EXTRAS.
    let extras: [bool; EXTRAS.len()] = [
        particle,
        initial,
        suffix,
        hyphen && one,
        hyphen && !one,
        upper && one,
        upper && !one,
        flags & CALENDAR != 0,
        flags & PLACE != 0,
        flags & ORG != 0,
        flags & TECH != 0,
        flags & FUNCTION != 0,
        count == 3,
        count >= 4,
        run.1 - run.0 > 4,
        start && !one && first_flags & ORDINARY != 0,
        start && one,
        !start && one && g == 0,
        seen && one,
        seen && !one,
        back(2).is_some_and(|t| t.is(DETERMINER)) && !start,
        around.pronoun,
        around.said,
        around.trade,
        around.heading,
        inside.iter().all(|t| t.shape == Shape::Lower),
        comma,
        flags & NOUN != 0,
        inner,
        one && inside.iter().all(|t| t.end - t.start < 4),
        back(2).is_some_and(|t| t.is(ORG)),
        matches!(out.right, Right::AndName | Right::CommaName | Right::Ampersand)
            && one
            && last_flags & LAST != 0
            && last_flags & FIRST == 0,
        flags & TITLE != 0 && (first_flags & TITLE == 0 || first_flags & FIRST == 0),
        flags & ROLE != 0,
        flags & (SAY | OBJECT) != 0 && flags & NAME == 0,
        back(2).is_some_and(|t| t.is(OBJECT | SAY)),
        last_flags & (PLACE | ORG) != 0,
        last_flags & LAST_COMMON != 0 && !one,
        flags & (STREET | STREET_WEAK) != 0 && last_flags & LAST_COMMON == 0,
        count >= 3
            && inside.iter().all(|t| t.flags & NAME != 0 || t.shape == Shape::Initial || t.shape == Shape::Lower),
        middle_flags.clone().any(|t| t.flags == 0),
        middle_flags.clone().any(|t| t.flags & NAME == 0 && t.flags & ORDINARY != 0),
        out.left == Left::CapitalName && first_flags & FIRST == 0,
        cuts_particle(tokens, to),
        around.german && !one && first_flags & NAME == 0,
        around.german && !one && last_flags & NAME == 0,
        firm,
        around.firm && !firm,
        comma && first_flags & LAST != 0 && behind_comma & FIRST != 0,
        comma && (first_flags & NAME != 0) != (behind_comma & NAME != 0),
        comma && matches!(out.left, Left::Label | Left::Head | Left::Cell | Left::NameOf | Left::FieldQuote),
        start
            && one
            && first_flags & ORDINARY != 0
            && (first_flags & FIRST_COMMON == 0 || first_flags & WORD_COMMON != 0),
        one && out.right == Right::Number,
        seen && one && first.is_some_and(|t| t.shape == Shape::Lower),
        start && one && (around.german || around.foreign),
        !one && around.foreign && first_flags & FIRST == 0,
        around.capitals,
        first.is_some_and(|t| t.shape == Shape::Lower) && out.right == Right::Colon,
        nick,
        bound,
        first.is_some_and(|t| t.shape == Shape::Lower && t.flags & NAME == 0),
        first.is_some_and(|t| t.shape == Shape::Lower)
            && matches!(out.left, Left::LineStart | Left::Head | Left::Break),
        inside.iter().any(|t| t.is_mark(b'/')),
        part,
    ];
    for (n, set) in extras.into_iter().enumerate() {
        if set {
            out.add(EXTRA_AT + n);
        }
    }
    // In the order of CUES.
    let near = Near { tokens, from, to };
    let monsieur = |t: &Token| t.shape == Shape::Initial && t.end - t.start == 2 && t.hash.key() == MONSIEUR;
    let cues: [bool; CUES.len()] = [
        near.before(1).is_some_and(|t| t.is(BEFORE_THING)),
        around.thing,
        near.behind().is_some_and(|t| t.is(AFTER_THING)),
        !one && first_flags & BEFORE_THING != 0,
        last_flags & AFTER_THING != 0,
        flags & FAMOUS != 0,
        near.firm() && !firm,
        back(1).is_some_and(|t| t.is_mark(b'"')) && tokens.get(to).is_some_and(|t| t.is_mark(b'"')),
        back(1).is_some_and(monsieur),
        inside.len() > 1 && first.is_some_and(monsieur),
        tokens.get(to).is_some_and(|t| t.is(VERB) && t.shape == Shape::Lower),
        !one && first_flags & TITLE != 0 && first_flags & NAME == 0,
        !one && first_flags & (GREETING | SIGNOFF) != 0,
        near.among_places(),
    ];
    for (n, set) in cues.into_iter().enumerate() {
        if set {
            out.add(CUE_AT + n * GROUPS.len() + g);
        }
    }
    if from > 0 && back(1).is_some_and(|t| t.kind != Kind::Break) {
        out.add(BACK_AT + full * COARSE + left(tokens, from - 1).coarse());
    }
    if tokens.get(to).is_some_and(|t| t.kind != Kind::Break) {
        out.add(ON_AT + full * COARSE + right(tokens, to + 1).coarse());
    }
    out
}

/// The sum of the weights; above 0 the candidate is a name more likely than not.
pub(crate) fn score(features: &Features) -> f32 {
    features
        .active()
        .iter()
        .filter_map(|n| crate::weights::WEIGHTS.get(usize::from(*n)))
        .map(|(_, weight)| weight)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_of_these_features() {
        assert_eq!(crate::weights::WEIGHTS.len(), COUNT);
        for (n, (title, _)) in crate::weights::WEIGHTS.iter().enumerate() {
            assert_eq!(*title, name(n));
        }
    }
}
