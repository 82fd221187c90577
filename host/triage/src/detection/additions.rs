//! Rules that are added one by one, from a page: they come into a document of their own, which can be edited like any
//! other.

use fumehood_store::{IncidentId, Scope};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use crate::{App, TriageError};

/// The document that takes them.
pub const ADDED: &str = "added.toml";

/// One rule, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addition {
    /// A value that is always masked, as a type.
    Deny { value: String, kind: String },
    /// A value that is never masked.
    Allow { value: String },
    /// A field by its path or name; without a type its value is never masked.
    Field { path: String, kind: Option<String> },
    /// The least confidence at which a type is masked.
    Threshold { kind: String, least: String },
    /// A type of the organisation.
    Type { name: String, pattern: String, words: String, validator: String, matches: String, no_matches: String },
}

/// What was typed on lines of their own.
fn lines(text: &str) -> Array {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn needed(field: &'static str, text: &str) -> Result<String, TriageError> {
    let text = text.trim();
    if text.is_empty() { Err(TriageError::invalid(field, "This is needed.")) } else { Ok(text.to_owned()) }
}

fn odd() -> TriageError {
    TriageError::invalid("toml", format!("{ADDED} is not as this page writes it; edit it by hand."))
}

/// A table at the top, made where there is none.
fn table<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut Table, TriageError> {
    let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_mut().ok_or_else(odd)
}

/// Add a table to a list of them.
fn push(document: &mut DocumentMut, name: &str, table: Table) -> Result<(), TriageError> {
    let list = document.entry(name).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    list.as_array_of_tables_mut().ok_or_else(odd)?.push(table);
    Ok(())
}

/// The document with the rule in it.
fn with(toml: &str, addition: &Addition) -> Result<String, TriageError> {
    let mut document: DocumentMut = toml.parse().map_err(|_| odd())?;
    // Comments without a table under them would slide below the new one.
    let comments = if document.is_empty() { std::mem::take(&mut document).to_string() } else { String::new() };
    let mut new = Table::new();
    match addition {
        Addition::Deny { value: text, kind } => {
            new.insert("values", value(Array::from_iter([needed("value", text)?])));
            new.insert("type", value(needed("kind", kind)?.to_uppercase()));
            push(&mut document, "deny", new)?;
        }
        Addition::Allow { value: text } => {
            let text = needed("value", text)?;
            let values = table(&mut document, "allow")?.entry("values").or_insert(value(Array::new()));
            values.as_array_mut().ok_or_else(odd)?.push(text);
        }
        Addition::Field { path, kind } => {
            new.insert("path", value(needed("path", path)?));
            match kind.as_deref().map(str::trim).filter(|kind| !kind.is_empty()) {
                Some(kind) => new.insert("type", value(kind.to_uppercase())),
                None => new.insert("never", value(true)),
            };
            push(&mut document, "field", new)?;
        }
        Addition::Threshold { kind, least } => {
            let number: f64 = needed("least", least)?
                .replace(',', ".")
                .parse()
                .map_err(|_| TriageError::invalid("least", "A threshold is a number from 0 to 1: 0.7"))?;
            let kind = needed("kind", kind)?;
            let kind = if kind == "default" { kind } else { kind.to_uppercase() };
            table(&mut document, "thresholds")?.insert(&kind, value(number));
        }
        Addition::Type { name, pattern, words, validator, matches, no_matches } => {
            new.insert("name", value(needed("name", name)?.to_uppercase()));
            new.insert("pattern", value(needed("pattern", pattern)?));
            for (key, list) in [("words", lines(words)), ("matches", lines(matches)), ("no-matches", lines(no_matches))]
            {
                if !list.is_empty() {
                    new.insert(key, value(list));
                }
            }
            if !validator.trim().is_empty() {
                new.insert("validator", value(validator.trim()));
            }
            push(&mut document, "type", new)?;
        }
    }
    Ok(comments + &document.to_string())
}

impl App {
    /// Add one rule to the document that takes them.
    ///
    /// # Errors
    /// As [`App::save_rules`]; `Invalid` with the field that is missing.
    pub async fn add_rule(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        addition: &Addition,
    ) -> Result<String, TriageError> {
        let stored = self.rules(scope, incident).await?.into_iter().find(|one| one.name == ADDED);
        let (toml, was) = stored.map_or_else(|| (String::new(), None), |one| (one.toml, Some(one.changed_us)));
        self.save_rules(scope, incident, ADDED, &with(&toml, addition)?, was).await
    }
}

#[cfg(test)]
mod tests {
    use fumehood_redact::rules::Rules;

    use super::*;

    #[test]
    fn additions_make_a_document_that_is_in_order() {
        let text = |text: &str| text.to_owned();
        let mut toml = String::from("# kept\n");
        for addition in [
            Addition::Deny { value: text("Project \"X\""), kind: text("codename") },
            Addition::Allow { value: text("a@b.co") },
            Addition::Allow { value: text("c@b.co") },
            Addition::Field { path: text("$.user.mail"), kind: Some(text("email")) },
            Addition::Field { path: text("trace_id"), kind: None },
            Addition::Threshold { kind: text("person"), least: text("0,7") },
            Addition::Type {
                name: text("staff_no"),
                pattern: text(r"\bE-(\d{6})\b"),
                words: text("staff\n\nemployee"),
                validator: text("luhn"),
                matches: text("E-123456"),
                no_matches: text(""),
            },
        ] {
            toml = with(&toml, &addition).unwrap();
            Rules::parse(ADDED, &toml).unwrap();
        }
        assert!(toml.starts_with("# kept\n"), "{toml}");
        let summary = Rules::parse(ADDED, &toml).unwrap().summary();
        assert_eq!(summary, [(1, "types"), (2, "fields"), (2, "allowed"), (1, "denied"), (1, "thresholds")]);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (addition, missing) in [
            (Addition::Allow { value: " ".into() }, "value"),
            (Addition::Threshold { kind: "PERSON".into(), least: "much".into() }, "least"),
        ] {
            assert!(matches!(with("", &addition), Err(TriageError::Invalid { field, .. }) if field == missing));
        }
        assert!(with("allow = 3", &Addition::Allow { value: "x".into() }).is_err());
    }
}
