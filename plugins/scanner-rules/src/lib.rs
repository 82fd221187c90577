//! Finds what an organisation's own rules describe: types with a pattern, fields of structured logs, values that are
//! allowed or denied, and rules of gitleaks.
//!
//! How it works, in the order of the passes:
//!
//! 1. one automaton over the literals of all patterns and the keywords of all rules says where each pattern may match;
//! 2. each pattern is searched there and nowhere else, then what its rule asks of a value is checked;
//! 3. the lists of values are one automaton of their own, and fields are followed in one pass for each form of text.
//!
//! Invariants:
//! - time is at most the number of rules times the text, whatever it holds, and far less where their literals are rare;
//! - a finding lies on character boundaries;
//! - what a finding says beside its range (kind, detector) comes from the rules and never from the text.
//!
//! It is a plain library, so that it can be tested and measured natively; the module `guest` wraps it for the contract.

mod allow;
mod allowlist;
mod config;
mod engine;
mod fields;
mod found;
mod gitleaks;
mod go;
mod kinds;
mod literals;
mod matcher;
mod text;
mod types;
mod validators;
mod values;

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod linear_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use config::{
    MAX_ALLOW_PATTERNS, MAX_FIELDS, MAX_GITLEAKS_PATTERN, MAX_GITLEAKS_RULES, MAX_PATTERN, MAX_TYPES, MAX_VALUE,
    MAX_VALUE_BYTES, MAX_VALUES, MAX_WITHIN, MAX_WORDS,
};
use engine::Engine;
use fields::Fields;
use found::Hits;
use kinds::Kinds;
pub use kinds::{ALLOWED, GENERIC_SECRET, Group, KindInfo};
use values::Values;

/// The most findings that the contract lets one scan report. Reached only by text that is made for it; then one finding
/// covers all that is left, because what would be dropped would leave unmasked.
pub const MAX_FINDINGS: usize = 100_000;

/// The most problems that [`PrepareError`] lists.
pub const MAX_PROBLEMS: usize = 20;

/// The most that all compiled patterns together may take, bytes: a component has 64 MiB for everything.
pub const MAX_PATTERN_MEMORY: usize = 32 << 20;

/// The longest line about one problem, bytes.
const MAX_PROBLEM: usize = 400;

/// A value that was found, or a range that is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// The name of its type; [`ALLOWED`] for a range in which nothing is to be masked.
    pub kind: &'a str,
    /// Byte range in the window, on character boundaries, `start < end`.
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    /// 0 to 1.
    pub confidence: f32,
    /// The value passed a check that chance would fail, or is one that the rules name.
    pub validated: bool,
    /// Which rule found it: `rule <type>`, `field rule`, `deny list`, `allow list`, `allow pattern`, `gitleaks <id>`.
    pub detector: Arc<str>,
}

/// Why rules were refused: all that is wrong with them, one problem a line, up to [`MAX_PROBLEMS`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PrepareError {
    problems: Vec<String>,
}

impl PrepareError {
    /// Each problem, with the rule that has it.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn one(problem: String) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(MAX_PROBLEMS).enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            // A problem is one line, whatever the rules hold.
            let line: String = problem.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let cut = line.floor_char_boundary(MAX_PROBLEM);
            write!(f, "{separator}{}", line.get(..cut).unwrap_or_default())?;
        }
        match self.problems.len().checked_sub(MAX_PROBLEMS) {
            Some(more @ 1..) => write!(f, "\nand {more} more"),
            _ => Ok(()),
        }
    }
}

/// A scanner with its automata built.
#[derive(Clone, Debug)]
pub struct Scanner {
    kinds: Kinds,
    engine: Engine,
    /// In the order of their patterns in the engine: types, then allowed patterns, then rules of gitleaks.
    types: Vec<types::Type>,
    allow: Vec<allow::Pattern>,
    gitleaks: Vec<gitleaks::Rule>,
    generic_secret: usize,
    values: Option<Values>,
    fields: Option<Fields>,
    allow_pattern: Arc<str>,
}

/// Build a scanner from the organisation's rules, a JSON object; `{}` finds nothing.
///
/// Fields, all optional:
/// - `types`: `name`, `pattern` (this project's regular expressions), `description`, `group`, `validator`, `words` with
///   `within` (bytes, 48) and `words_required` (true), `confidence`, `entropy` (bits for each character), `matches` and
///   `no_matches` (examples that are tried at once). The value is the group `value`, else the first group, else the
///   whole match.
/// - `fields`: `path` with `type` or `never`.
/// - `allow`: `values` and `patterns`.
/// - `deny`: `value` and `type`.
/// - `gitleaks`: configurations of gitleaks 8, as JSON: `rules` and `allowlists`.
///
/// # Errors
/// [`PrepareError`] with everything that is wrong, not only the first of it.
pub fn prepare(rules_json: &str) -> Result<Scanner, PrepareError> {
    let rules = if rules_json.trim().is_empty() { "{}" } else { rules_json };
    let rules: config::Rules =
        serde_json::from_str(rules).map_err(|error| PrepareError::one(format!("the rules are not valid: {error}")))?;
    let mut problems = Vec::new();
    let most = [
        ("types", rules.types.len(), MAX_TYPES),
        ("allow patterns", rules.allow.patterns.len(), MAX_ALLOW_PATTERNS),
        ("gitleaks rules", rules.gitleaks.iter().map(|config| config.rules.len()).sum(), MAX_GITLEAKS_RULES),
    ];
    for (what, count, most) in most {
        if count > most {
            problems.push(format!("{count} {what}, and at most {most} are possible"));
        }
    }
    // Before anything that is too much is compiled.
    if !problems.is_empty() {
        return Err(PrepareError { problems });
    }
    let mut kinds = Kinds::new();
    let mut memory = 0;
    let mut types = Vec::new();
    for rule in &rules.types {
        if let Some(rule) = types::Type::new(rule, &mut kinds, &mut problems) {
            fits(&rule.matcher, &mut memory)?;
            types.push(rule);
        }
    }
    let mut allow = Vec::new();
    for pattern in &rules.allow.patterns {
        match allow::compile(pattern) {
            Ok(patterns) => {
                for pattern in patterns {
                    fits(&pattern.matcher, &mut memory)?;
                    allow.push(pattern);
                }
            }
            Err(error) => problems.push(format!("allow, pattern {:?}: {error}", allowlist::short(pattern))),
        }
    }
    let values = Values::new(&rules.deny, &rules.allow, &mut kinds, &mut problems);
    let fields = Fields::new(&rules.fields, &mut kinds, &mut problems);
    let mut gitleaks = Vec::new();
    for config in &rules.gitleaks {
        for rule in gitleaks::compile(config, &mut problems) {
            fits(&rule.matcher, &mut memory)?;
            gitleaks.push(rule);
        }
    }
    let mut generic_secret = 0;
    if !gitleaks.is_empty() {
        match kinds.add(GENERIC_SECRET, Some("secret"), "A secret that a gitleaks rule describes") {
            Ok(kind) => generic_secret = kind,
            Err(error) => problems.push(error),
        }
    }
    let mut builder = engine::Builder::default();
    for matcher in types.iter().map(|rule| &rule.matcher).chain(allow.iter().map(|pattern| &pattern.matcher)) {
        builder.add(matcher, &[]);
    }
    for rule in &gitleaks {
        builder.add(&rule.matcher, &rule.keywords);
    }
    let engine = builder.build().map_err(|error| PrepareError::one(format!("the rules are too large: {error}")))?;
    if !problems.is_empty() {
        return Err(PrepareError { problems });
    }
    kinds.finish();
    let allow_pattern = Arc::from("allow pattern");
    Ok(Scanner { kinds, engine, types, allow, gitleaks, generic_secret, values, fields, allow_pattern })
}

/// Count a pattern's memory. What is too much ends the work at once, before the memory itself does.
fn fits(matcher: &matcher::Matcher, memory: &mut usize) -> Result<(), PrepareError> {
    *memory += matcher.memory();
    if *memory > MAX_PATTERN_MEMORY {
        let most = MAX_PATTERN_MEMORY >> 20;
        return Err(PrepareError::one(format!("all patterns together take more than {most} MiB of memory")));
    }
    Ok(())
}

impl Scanner {
    /// What this scanner can report with its rules.
    #[must_use]
    pub fn kinds(&self) -> &[KindInfo] {
        self.kinds.all()
    }

    /// All values in a window, in the order of their starts. `name` is the file's, for rules that ask for it.
    /// `continues_before` and `continues_after` say that the window is a part of a longer text: what is allowed only as
    /// a whole is then not reported at the edge, and a value that runs to the edge is reported up to it.
    #[must_use]
    pub fn scan(
        &self,
        text: &str,
        name: Option<&str>,
        continues_before: bool,
        continues_after: bool,
    ) -> Vec<Finding<'_>> {
        let mut hits = Hits::new(text.len(), continues_before, continues_after);
        let parts = self.engine.parts(text);
        let mut parts = parts.iter();
        for (rule, parts) in self.types.iter().zip(&mut parts) {
            rule.scan(text, parts, &mut hits);
        }
        for (pattern, parts) in self.allow.iter().zip(&mut parts) {
            pattern.scan(text, parts, &self.allow_pattern, &mut hits);
        }
        self.scan_gitleaks(text, name, parts, &mut hits);
        if let Some(values) = &self.values {
            values.scan(text, &mut hits);
        }
        if let Some(fields) = &self.fields {
            fields.scan(text, continues_before, &mut hits);
        }
        hits.finish()
            .into_iter()
            .map(|hit| Finding {
                kind: self.kinds.name(hit.kind),
                start: hit.start,
                end: hit.end,
                confidence: hit.confidence,
                validated: hit.validated,
                detector: hit.detector,
            })
            .collect()
    }

    fn scan_gitleaks<'p>(
        &self,
        text: &str,
        name: Option<&str>,
        parts: impl Iterator<Item = &'p engine::Parts>,
        hits: &mut Hits,
    ) {
        let mut found = Vec::new();
        for (rule, parts) in self.gitleaks.iter().zip(parts) {
            rule.scan(text, name, self.generic_secret, parts, &mut |hit| {
                found.push((rule.generic, hit));
                // Which of so many gives way no longer matters.
                if found.len() >= 4 * MAX_FINDINGS {
                    gitleaks::without_generic(std::mem::take(&mut found), hits);
                }
            });
        }
        gitleaks::without_generic(found, hits);
    }

    /// Bytes that the compiled patterns hold, for who measures.
    #[must_use]
    pub fn memory(&self) -> usize {
        let types = self.types.iter().map(|rule| rule.matcher.memory());
        let allow = self.allow.iter().map(|pattern| pattern.matcher.memory());
        let gitleaks = self.gitleaks.iter().map(|rule| rule.matcher.memory());
        types.chain(allow).chain(gitleaks).sum()
    }
}
