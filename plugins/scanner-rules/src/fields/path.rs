//! Paths, and the tree that they make.
//!
//! Invariant: a state is a set of nodes of the tree, held by the caller; a step from it looks at its nodes only.

use std::collections::HashMap;

use super::Action;

/// The most steps of a path.
const MAX_STEPS: usize = 32;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The member of that name.
    Name(String),
    /// The element of that number.
    Index(usize),
    /// Any member or element.
    Any,
    /// A member of that name, at any depth.
    Deep(String),
}

/// A path that begins with `$`.
///
/// # Errors
/// Where it is no path, in a few words.
pub(crate) fn parse(path: &str) -> Result<Vec<Step>, String> {
    const FORMS: &str = "a path is $ and then .name, ['name'], [0], [*], .* or ..name";
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').ok_or(FORMS)?;
    while !rest.is_empty() {
        let (step, left) = if let Some(deep) = rest.strip_prefix("..") {
            let (name, left) = name(deep).ok_or(FORMS)?;
            (Step::Deep(name), left)
        } else if let Some(left) = rest.strip_prefix(".*") {
            (Step::Any, left)
        } else if let Some(member) = rest.strip_prefix('.') {
            let (name, left) = name(member).ok_or(FORMS)?;
            (Step::Name(name), left)
        } else if let Some(inner) = rest.strip_prefix('[') {
            bracket(inner).ok_or(FORMS)?
        } else {
            return Err(FORMS.to_owned());
        };
        steps.push(step);
        rest = left;
    }
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(format!("{FORMS}; 1 to {MAX_STEPS} of them"));
    }
    Ok(steps)
}

fn name(text: &str) -> Option<(String, &str)> {
    let end = text.find(['.', '[', ']', '*', '\'', '"', '\n']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty() && (rest.is_empty() || rest.starts_with(['.', '[']))).then(|| (name.to_owned(), rest))
}

fn bracket(inner: &str) -> Option<(Step, &str)> {
    if let Some(rest) = inner.strip_prefix("*]") {
        return Some((Step::Any, rest));
    }
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            return Some((Step::Name(name.to_owned()), rest.strip_prefix(']')?)).filter(|_| !name.is_empty());
        }
    }
    let (index, rest) = inner.split_once(']')?;
    let digits = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Some((Step::Index(index.parse().ok()?), rest))).flatten()
}

/// All paths together. Node 0 is the root.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    names: HashMap<String, usize>,
    indexes: HashMap<usize, usize>,
    any: Option<usize>,
    /// The node whose names fit at any depth below this one.
    deep: Option<usize>,
    /// It is such a node: it goes on fitting.
    stays: bool,
    action: Option<Action>,
}

/// Where a value stands in what holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Member(&'a str),
    Element(usize),
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Tree {
    pub(crate) fn add(&mut self, steps: &[Step], action: Action) {
        let mut at = 0;
        for step in steps {
            at = match step {
                Step::Name(name) => self.child(at, |node, next| *node.names.entry(name.clone()).or_insert(next)),
                Step::Index(index) => self.child(at, |node, next| *node.indexes.entry(*index).or_insert(next)),
                Step::Any => self.child(at, |node, next| *node.any.get_or_insert(next)),
                Step::Deep(name) => {
                    let deep = self.child(at, |node, next| *node.deep.get_or_insert(next));
                    if let Some(node) = self.nodes.get_mut(deep) {
                        node.stays = true;
                    }
                    self.child(deep, |node, next| *node.names.entry(name.clone()).or_insert(next))
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.action = Some(action);
        }
    }

    fn child(&mut self, at: usize, place: impl FnOnce(&mut Node, usize) -> usize) -> usize {
        let next = self.nodes.len();
        let child = self.nodes.get_mut(at).map_or(at, |node| place(node, next));
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Add the state at the root to the state that lies in `states` from `from`.
    pub(crate) fn root(&self, states: &mut Vec<usize>, from: usize) {
        self.enter(0, from, states);
    }

    fn enter(&self, at: usize, from: usize, states: &mut Vec<usize>) {
        if states.get(from..).is_some_and(|states| states.contains(&at)) {
            return;
        }
        states.push(at);
        if let Some(deep) = self.nodes.get(at).and_then(|node| node.deep)
            && !states.get(from..).is_some_and(|states| states.contains(&deep))
        {
            states.push(deep);
        }
    }

    /// The state below the state that lies in `states` from `from`, put behind it; and what is said of the value there.
    pub(crate) fn step(&self, states: &mut Vec<usize>, from: usize, place: Place<'_>) -> Option<Action> {
        let to = states.len();
        let mut action = None;
        for i in from..to {
            let Some((at, node)) = states.get(i).and_then(|at| Some((*at, self.nodes.get(*at)?))) else { continue };
            if node.stays {
                self.enter(at, to, states);
            }
            let child = match place {
                Place::Member(name) if !node.names.is_empty() => node.names.get(name),
                Place::Element(index) if !node.indexes.is_empty() => node.indexes.get(&index),
                _ => None,
            };
            for child in child.copied().into_iter().chain(node.any) {
                self.enter(child, to, states);
                action = action.or(self.nodes.get(child).and_then(|node| node.action));
            }
        }
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let name = |name: &str| Step::Name(name.to_owned());
        assert_eq!(parse("$.user.email"), Ok(vec![name("user"), name("email")]));
        assert_eq!(
            parse("$['a.b'][0][*].*..c"),
            Ok(vec![name("a.b"), Step::Index(0), Step::Any, Step::Any, Step::Deep("c".to_owned())])
        );
        for path in ["$", "$user", "$.", "$..", "$.a[", "$.a[x]", "$.a['b'", "$.a]", "$[?(@.a)]", "$.a b'", "$[-1]"] {
            assert!(parse(path).is_err(), "{path}");
        }
    }
}
