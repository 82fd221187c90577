//! Sets of scopes, in the order in which they were named.
//!
//! Invariant: every scope is one that RFC 6749 (section 3.3) allows, none is there twice, and a set stays within
//! [`limits`](crate::limits): a server cannot make an authorization address of any length it likes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_SCOPE_BYTES, MAX_SCOPES, MAX_SCOPES_BYTES};

/// A set of scopes. Written as OAuth writes it: separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads a list that is separated by spaces. What cannot be a scope is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::of(text.split(' '))
    }

    /// The set of these scopes. What cannot be a scope is left out.
    #[must_use]
    pub fn of<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for scope in scopes {
            set.add(scope);
        }
        set
    }

    /// This set with another one's scopes behind its own.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::of(self.iter().chain(other.iter()))
    }

    /// Adds one scope, where it is one and there is room.
    pub fn add(&mut self, scope: &str) {
        let bytes: usize = self.0.iter().map(|scope| scope.len() + 1).sum();
        let room = self.0.len() < MAX_SCOPES && bytes + scope.len() <= MAX_SCOPES_BYTES;
        if room && is_scope(scope) && !self.contains(scope) {
            self.0.push(scope.to_owned());
        }
    }

    /// Whether the scope is one of these.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| own == scope)
    }

    /// Whether all of the other set's scopes are among these.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each scope.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// `scope-token` of RFC 6749.
fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=MAX_SCOPE_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" "))
    }
}

impl From<String> for Scopes {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_keeps_its_order_and_nothing_odd() {
        let scopes = Scopes::parse("b a  b c\"d e\\f g\nh ü a");
        assert_eq!(scopes.to_string(), "b a");
        assert_eq!(scopes.union(&Scopes::parse("c a")).to_string(), "b a c");
        assert!(scopes.covers(&Scopes::parse("a")) && !scopes.covers(&Scopes::parse("a c")));
    }

    #[test]
    fn a_set_is_bounded() {
        let many = Scopes::parse(&(0..10_000).map(|number| format!("s{number} ")).collect::<String>());
        assert_eq!(many.iter().count(), MAX_SCOPES);
        let long = Scopes::parse(&(0..100).map(|number| format!("{number:0200} ")).collect::<String>());
        assert!(long.to_string().len() <= MAX_SCOPES_BYTES && !long.is_empty());
    }

    proptest! {
        #[test]
        fn text_form_round_trips(text in any::<String>()) {
            let scopes = Scopes::parse(&text);
            prop_assert_eq!(Scopes::parse(&scopes.to_string()), scopes.clone());
            let stored = serde_json::to_string(&scopes).unwrap();
            prop_assert_eq!(serde_json::from_str::<Scopes>(&stored).unwrap(), scopes);
        }
    }
}
