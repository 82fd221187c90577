//! What gitleaks' allowlists say of a file and of a finding.
//!
//! Invariant: the meaning is that of gitleaks 8: with `OR` one criterion is enough and a path allows the whole file;
//! with `AND` all that are given must hold. Commits never hold, for there are none in a text.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex_automata::Input;
use regex_automata::meta::Regex;

use crate::config::{GitleaksAllowlist, MAX_GITLEAKS_PATTERN};
use crate::go;
use crate::matcher::config;

/// What the expressions are tested against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

/// An allowlist, ready.
#[derive(Clone, Debug)]
pub(crate) struct Allowlist {
    all: bool,
    target: Target,
    regexes: Option<Regex>,
    paths: Option<Regex>,
    stopwords: Option<AhoCorasick>,
    commits: bool,
}

/// A finding, as the lists see it.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) secret: &'a str,
    pub(crate) matched: &'a str,
    pub(crate) text: &'a str,
    /// The lines of the match.
    pub(crate) line: Range<usize>,
    pub(crate) name: Option<&'a str>,
}

/// The last answer for a line: findings of one line ask in turn, and a line may be long.
pub(crate) type LineMemo = Option<(Range<usize>, bool)>;

impl Allowlist {
    /// Compile; what is wrong goes to `problems`.
    pub(crate) fn new(list: &GitleaksAllowlist, of: &str, problems: &mut Vec<String>) -> Option<Self> {
        let before = problems.len();
        let mut problem = |what: String| problems.push(format!("{of}, allowlist: {what}"));
        let all = match list.condition.to_ascii_uppercase().as_str() {
            "" | "OR" | "||" => false,
            "AND" | "&&" => true,
            _ => {
                problem(format!("there is no condition {:?}; there are AND and OR", list.condition));
                false
            }
        };
        let target = match list.regex_target.as_str() {
            "" | "secret" => Target::Secret,
            "match" => Target::Match,
            "line" => Target::Line,
            other => {
                problem(format!("there is no target {other:?}; there are secret, match and line"));
                Target::Secret
            }
        };
        if list.regexes.is_empty() && list.paths.is_empty() && list.stopwords.is_empty() && list.commits.is_empty() {
            problem("it has no regexes, stopwords, paths or commits".to_owned());
        }
        let regexes = any(&list.regexes).map_err(&mut problem).ok().flatten();
        let paths = any(&list.paths).map_err(&mut problem).ok().flatten();
        let stopwords: Vec<_> = list.stopwords.iter().filter(|word| !word.is_empty()).collect();
        let stopwords = (!stopwords.is_empty())
            .then(|| AhoCorasickBuilder::new().ascii_case_insensitive(true).build(stopwords))
            .transpose()
            .map_err(|error| problem(error.to_string()))
            .ok()
            .flatten();
        let this = Self { all, target, regexes, paths, stopwords, commits: !list.commits.is_empty() };
        (problems.len() == before).then_some(this)
    }

    /// The whole file is allowed.
    pub(crate) fn allows_file(&self, name: Option<&str>) -> bool {
        if self.all && (self.commits || self.regexes.is_some() || self.stopwords.is_some()) {
            return false;
        }
        self.has_path(name)
    }

    fn has_path(&self, name: Option<&str>) -> bool {
        self.paths.as_ref().is_some_and(|paths| name.is_some_and(|name| is_match(paths, name)))
    }

    /// A finding is allowed.
    pub(crate) fn allows(&self, subject: &Subject<'_>, memo: &mut LineMemo) -> bool {
        if self.all {
            return !self.commits
                && (self.paths.is_none() || self.has_path(subject.name))
                && (self.stopwords.is_none() || self.has_stopword(subject))
                && (self.regexes.is_none() || self.has_regex(subject, memo));
        }
        self.has_stopword(subject) || self.has_regex(subject, memo)
    }

    fn has_stopword(&self, subject: &Subject<'_>) -> bool {
        self.stopwords.as_ref().is_some_and(|words| words.is_match(subject.secret))
    }

    fn has_regex(&self, subject: &Subject<'_>, memo: &mut LineMemo) -> bool {
        let Some(regexes) = &self.regexes else { return false };
        match self.target {
            Target::Secret => is_match(regexes, subject.secret),
            Target::Match => is_match(regexes, subject.matched),
            Target::Line => {
                if let Some((line, answer)) = memo
                    && *line == subject.line
                {
                    return *answer;
                }
                let line = subject.text.get(subject.line.clone()).unwrap_or_default();
                let answer = is_match(regexes, line);
                *memo = Some((subject.line.clone(), answer));
                answer
            }
        }
    }
}

/// One automaton for all of the patterns; none where there are none.
pub(crate) fn any(patterns: &[String]) -> Result<Option<Regex>, String> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut hirs = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        if pattern.len() > MAX_GITLEAKS_PATTERN {
            return Err(format!("a pattern is longer than {MAX_GITLEAKS_PATTERN} bytes"));
        }
        let hir = go::translate(pattern).and_then(|pattern| crate::matcher::parse(&pattern));
        hirs.push(hir.map_err(|error| format!("its pattern {:?} cannot be used: {error}", short(pattern)))?);
    }
    let regex = Regex::builder().configure(config()).build_many_from_hir(&hirs).map_err(|error| error.to_string())?;
    Ok(Some(regex))
}

/// The beginning of a pattern, for a message.
pub(crate) fn short(pattern: &str) -> &str {
    pattern.get(..pattern.floor_char_boundary(60)).unwrap_or_default()
}

/// An empty text matches nothing, as in gitleaks.
pub(crate) fn is_match(regex: &Regex, text: &str) -> bool {
    !text.is_empty() && regex.search_half(&Input::new(text).earliest(true)).is_some()
}
