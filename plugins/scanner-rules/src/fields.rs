//! Fields whose values are of a type, or never are: JSON, `key=value` and `key: value`, and columns.
//!
//! A rule's path is a JSON path of names, indexes and stars (`$.user.email`, `$['user']`, `$.list[0]`, `$.list[*].id`,
//! `$.*`, `$..email`) or a bare name (`user_email`), which means a field of that name anywhere, in any case.
//!
//! Three passes, each of which goes over the text once: JSON wherever an object begins ([`json`]), pairs of a key and a
//! value ([`pairs`]), and lines of columns below a line of names ([`columns`]). A path of names also means a key that is
//! written with full stops (`user.email=`), and a column of its one name.
//!
//! Invariant: what a path means is decided once, when the rules are compiled, and following it costs for each key what
//! the number of rules that still fit costs, not what the number of rules does.

mod columns;
mod json;
mod pairs;
mod path;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Field, MAX_FIELDS};
use crate::found::{Hit, Hits};
use crate::kinds::Kinds;
use path::{Step, Tree};

/// The confidence of what a field rule says: the organisation knows its fields.
const CONFIDENCE: f32 = 0.95;
/// The longest name of a field, bytes.
const MAX_NAME: usize = 128;

/// What a rule says of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The value is of this kind.
    Type(usize),
    /// Nothing in the value is to be found.
    Never,
}

/// All field rules, ready.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    tree: Tree,
    /// Bare names in lower case.
    bare: HashMap<String, Action>,
    /// Keys as they stand in a text that has no structure.
    flat: HashMap<String, Action>,
    /// The names of `..name`, which fit wherever a key stands.
    deep: HashMap<String, Action>,
    detector: Arc<str>,
}

impl Fields {
    /// Compile; what is wrong goes to `problems`. Nothing where there are no rules.
    pub(crate) fn new(rules: &[Field], kinds: &mut Kinds, problems: &mut Vec<String>) -> Option<Self> {
        if rules.len() > MAX_FIELDS {
            problems.push(format!("fields: {} rules, and at most {MAX_FIELDS} are possible", rules.len()));
            return None;
        }
        let mut fields = Self {
            tree: Tree::default(),
            bare: HashMap::new(),
            flat: HashMap::new(),
            deep: HashMap::new(),
            detector: Arc::from("field rule"),
        };
        for rule in rules {
            let action = match (&rule.kind, rule.never) {
                (Some(kind), false) => kinds.add(kind, None, "").map(Action::Type),
                (None, true) => Ok(Action::Never),
                _ => Err("it must have either a type or never".to_owned()),
            };
            match action.and_then(|action| fields.add(&rule.path, action)) {
                Ok(()) => {}
                Err(error) => problems.push(format!("field {:?}: {error}", rule.path)),
            }
        }
        (!rules.is_empty()).then_some(fields)
    }

    fn add(&mut self, path: &str, action: Action) -> Result<(), String> {
        if !path.starts_with('$') {
            let name = path.trim();
            if name.is_empty() || name.len() > MAX_NAME || name.contains(['\n', '"', '[', ']']) {
                return Err(format!("a bare name is 1 to {MAX_NAME} bytes without quotes and brackets"));
            }
            self.bare.insert(name.to_lowercase(), action);
            return Ok(());
        }
        let steps = path::parse(path)?;
        let names: Option<Vec<&str>> =
            steps.iter().map(|step| if let Step::Name(name) = step { Some(name.as_str()) } else { None }).collect();
        if let Some(names) = names {
            self.flat.insert(names.join("."), action);
        }
        if let [Step::Deep(name)] = steps.as_slice() {
            self.deep.insert(name.clone(), action);
        }
        self.tree.add(&steps, action);
        Ok(())
    }

    /// All values that the rules speak of.
    pub(crate) fn scan(&self, text: &str, continues_before: bool, hits: &mut Hits) {
        let mark = hits.allowed_so_far();
        json::Pass::new(self, text, hits).run();
        if continues_before {
            // How deep the window begins nobody knows: `$.user.id` may be `$.rows[7].user.id`. A brace at the start of a
            // line begins a document of its own.
            let root = |at: &usize| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'['));
            let sure = memchr::memchr_iter(b'\n', text.as_bytes()).find(root).unwrap_or(text.len());
            hits.not_allowed_before(mark, sure);
        }
        pairs::scan(self, text, hits);
        columns::scan(self, text, continues_before, hits);
    }

    /// What a bare name says of a key.
    fn bare(&self, key: &str) -> Option<Action> {
        if self.bare.is_empty() || key.len() > MAX_NAME {
            return None;
        }
        if key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
            return self.bare.get(key).copied();
        }
        self.bare.get(&key.to_lowercase()).copied()
    }

    /// What is said of a key whose place in a structure is not known.
    fn anywhere(&self, key: &str) -> Option<Action> {
        let last = || key.rsplit_once('.').map(|(_, last)| last);
        let deep = |key: &str| self.deep.get(key).copied();
        self.bare(key).or_else(|| deep(key)).or_else(|| last().and_then(|last| self.bare(last).or_else(|| deep(last))))
    }

    /// What is said of a key of a text without structure.
    fn flat(&self, key: &str) -> Option<Action> {
        self.flat.get(key).copied().or_else(|| self.anywhere(key))
    }

    fn report(&self, action: Action, start: usize, end: usize, hits: &mut Hits) {
        match action {
            Action::Type(kind) => hits.push(Hit {
                kind,
                start,
                end,
                confidence: CONFIDENCE,
                validated: false,
                detector: self.detector.clone(),
            }),
            Action::Never => hits.push_allowed(start..end, &self.detector),
        }
    }
}

#[cfg(test)]
mod tests;
