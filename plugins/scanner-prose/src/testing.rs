//! Helpers of the tests: scan a text with the defaults and look at what was found.

use std::sync::LazyLock;

use crate::{Scanner, prepare};

pub(crate) static SCANNER: LazyLock<Scanner> = LazyLock::new(|| prepare("{}").unwrap());

/// Everything found, as kind and value.
pub(crate) fn all(text: &str) -> Vec<(&'static str, &str)> {
    SCANNER.scan(text, false, false).iter().map(|f| (f.kind.name(), &text[f.start..f.end])).collect()
}

/// The values of one kind.
pub(crate) fn found<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    all(text).into_iter().filter(|(k, _)| *k == kind).map(|(_, value)| value).collect()
}

/// The one value of a kind; fails where there are more or none.
pub(crate) fn one<'a>(text: &'a str, kind: &str) -> &'a str {
    let found = found(text, kind);
    assert_eq!(found.len(), 1, "one {kind} in {text:?}, but all are {:?}", all(text));
    found[0]
}

/// Nothing of any kind.
pub(crate) fn nothing(text: &str) {
    assert_eq!(all(text), [], "in {text:?}");
}
