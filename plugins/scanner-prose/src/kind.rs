//! What the scanner can report.
//!
//! Invariant: names match `[A-Z0-9_]{1,32}` and never change once released: policies and pseudonyms are keyed by them.

/// Which kind of rule found a value, as the contract and the score count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Only the words around it make it personal.
    Contextual,
}

impl Group {
    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contextual => "contextual",
        }
    }
}

/// A type of value, with its name, group and a line for the review page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// `[A-Z0-9_]{1,32}`.
    pub name: &'static str,
    /// How it is counted.
    pub group: Group,
    /// One line for a person.
    pub description: &'static str,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $group:ident $description:literal;)*) => {
        /// The type of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $description] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name, group and description.
            #[must_use]
            pub const fn info(self) -> KindInfo {
                match self {
                    $(Self::$variant => KindInfo {
                        name: $name,
                        group: Group::$group,
                        description: $description,
                    },)*
                }
            }
        }
    };
}

kinds! {
    Person "PERSON" Contextual "The name of a person";
    Address "ADDRESS" Contextual "A postal address";
    Dob "DOB" Contextual "A date of birth";
}

impl Kind {
    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// How it is counted.
    #[must_use]
    pub const fn group(self) -> Group {
        self.info().group
    }

    /// The kind of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_contract_and_are_unique() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        for name in &names {
            assert!((1..=32).contains(&name.len()));
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
            assert_eq!(Kind::by_name(name).map(Kind::name), Some(*name), "{name} is found by its name");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
