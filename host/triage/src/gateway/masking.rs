//! What passes the gateway is masked in both directions: what is asked, and what is answered.
//!
//! Pseudonyms are stable for one caller as long as the server runs; they are kept in memory alone. What a caller has said
//! itself it may read again: a server that got a pseudonym and answers with it is understood.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use fumehood_redact::{Entry, Group, JsonPlan, Kind, Label, Origin, Pseudonyms, Segment, merge, restore};
use fumehood_store::Scope;
use serde_json::Value;

use crate::masking::Book;
use crate::scanners::scan_together;
use crate::{App, TriageError};

/// Callers whose books are kept, and the values of one; those of whoever was last to come are forgotten first.
const BOOKS: usize = 256;
const VALUES: usize = 100_000;

/// Which way something passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToCaller,
}

/// A caller's book, and the pseudonyms of what the caller has said itself.
#[derive(Default)]
struct CallerBook {
    book: Book,
    own: HashSet<String>,
}

/// The books of callers.
#[derive(Default)]
pub(super) struct Books {
    books: Mutex<HashMap<String, Arc<tokio::sync::Mutex<CallerBook>>>>,
}

impl Books {
    /// Books in which a caller has been given these pseudonyms, though nobody knows any more what they stand for: they stay
    /// what they are, and no other value gets one of them.
    pub(super) fn reserving(caller: String, labels: impl IntoIterator<Item = Label>) -> Self {
        // No text holds what stands in the place of the originals.
        let entries = labels.into_iter().map(|label| Entry {
            original: format!("\u{f8ff}{label}\u{f8ff}"),
            kind: label.kind,
            number: label.number,
        });
        let mut book = CallerBook::default();
        *book.book.pseudonyms() = Pseudonyms::load(entries);
        let open = HashMap::from([(caller, Arc::new(tokio::sync::Mutex::new(book)))]);
        Self { books: Mutex::new(open) }
    }

    fn of(&self, caller: &str) -> Arc<tokio::sync::Mutex<CallerBook>> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        if books.len() >= BOOKS && !books.contains_key(caller) {
            books.retain(|_, book| Arc::strong_count(book) > 1);
        }
        Arc::clone(books.entry(caller.to_owned()).or_default())
    }

    /// Mask a value in place; `keep` takes out and puts back what cannot be read as text.
    ///
    /// # Errors
    /// Where a scanner failed: then it does not pass.
    pub(super) async fn mask(&self, app: &App, scope: &Scope, way: Way, value: &mut Value) -> Result<(), TriageError> {
        let mut kept = Vec::new();
        // What leaves is scanned whole, whatever it says that it is.
        if way == Way::ToCaller {
            take_out(value, &mut kept);
        }
        let masked = self.masked(app, scope, way, value).await;
        *value = masked?;
        kept.reverse();
        put_back(value, &mut kept);
        Ok(())
    }

    /// An answer as it is kept: without what came back to its caller because they had said it themselves.
    pub(super) async fn hidden(&self, caller: &str, value: &Value) -> Option<Value> {
        let shared = self.books.lock().unwrap_or_else(PoisonError::into_inner).get(caller).cloned()?;
        let mut held = shared.lock().await;
        if held.own.is_empty() {
            return None;
        }
        let plan = JsonPlan::new(value);
        let texts: Vec<&str> = plan.texts().collect();
        let known = |text: &&str| merge(text.len(), &held.book.known_in(text));
        let spans: Vec<_> = texts.iter().map(known).collect();
        let masked = plan.redact(Origin::Reply, held.book.pseudonyms(), spans).ok()?;
        Some(masked.to_value())
    }

    async fn masked(&self, app: &App, scope: &Scope, way: Way, value: &Value) -> Result<Value, TriageError> {
        let plan = JsonPlan::new(value);
        let texts: Vec<&str> = plan.texts().collect();
        if texts.is_empty() {
            return Ok(value.clone());
        }
        let found = scan_together(&app.gateway_scanners(scope).await, &texts).await?;
        let shared = self.of(&scope.actor.to_string());
        let mut held = shared.lock_owned().await;
        if held.book.pseudonyms().len() > VALUES {
            *held = CallerBook::default();
        }
        let CallerBook { book, own } = &mut *held;
        let nothing = found.iter().all(Vec::is_empty) && book.pseudonyms().is_empty();
        let ours = texts.iter().any(|text| text.contains('['));
        if nothing && !ours {
            return Ok(value.clone());
        }
        for kind in app.0.plugins.kinds() {
            book.pseudonyms().know_kind(&Kind::new(&kind.name));
        }
        // A pseudonym that the caller repeats is not its own word: it has only read it.
        let repeated: HashSet<String> = match way {
            Way::ToServer => texts.iter().flat_map(|text| labels(text, book.pseudonyms())).collect(),
            Way::ToCaller => HashSet::new(),
        };
        for (text, findings) in texts.iter().zip(found.iter()) {
            book.learn(text, findings);
        }
        let spans = texts.into_iter().zip(found).map(|(text, mut findings)| {
            findings.extend(book.known_in(text));
            merge(text.len(), &findings)
        });
        let spans = spans.collect();
        let pseudonyms: &mut Pseudonyms = book.pseudonyms();
        let masked =
            plan.redact(Origin::Reply, pseudonyms, spans).map_err(|error| TriageError::Internal(error.to_string()))?;
        let mut masked = masked.to_value();
        let pseudonyms = book.pseudonyms();
        each_text(&mut masked, &mut |text| {
            if way == Way::ToServer {
                own.extend(labels(text, pseudonyms).into_iter().filter(|label| !repeated.contains(label)));
            } else if let Some(restored) = restored(text, pseudonyms, own) {
                *text = restored;
            }
        });
        Ok(masked)
    }
}

/// The pseudonyms in a text that the book knows.
fn labels(text: &str, book: &Pseudonyms) -> Vec<String> {
    let label = |segment| match segment {
        // A secret comes back to nobody.
        Segment::Pseudonym { label, original: Some(_) } if label.kind.known_group() != Some(Group::Secret) => {
            Some(label.to_string())
        }
        _ => None,
    };
    restore(text, book).into_iter().filter_map(label).collect()
}

/// A text with the values that are the caller's own; nothing where it has none. Never within an address: whoever follows it
/// would send them on.
fn restored(text: &str, book: &Pseudonyms, own: &HashSet<String>) -> Option<String> {
    if text.contains("://") || text.contains("](") {
        return None;
    }
    let (mut out, mut found) = (String::new(), false);
    for segment in restore(text, book) {
        match segment {
            Segment::Text(text) => out.push_str(text),
            Segment::Pseudonym { label, original: Some(original) } if own.contains(&label.to_string()) => {
                out.push_str(original);
                found = true;
            }
            Segment::Pseudonym { label, .. } => out.push_str(&book.shown(&label)),
        }
    }
    found.then_some(out)
}

fn each_text(value: &mut Value, each: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => each(text),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, each)),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, each)),
        _ => {}
    }
}

/// Pictures, sound and files are no text: what they hold is not scanned, and passes as it is.
fn binary(value: &mut Value) -> Option<&mut String> {
    let Value::Object(fields) = value else { return None };
    let key = match fields.get("type").and_then(Value::as_str) {
        Some("image" | "audio") => "data",
        _ if fields.contains_key("uri") => "blob",
        _ => return None,
    };
    match fields.get_mut(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn take_out(value: &mut Value, kept: &mut Vec<String>) {
    if let Some(text) = binary(value) {
        kept.push(std::mem::take(text));
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| take_out(field, kept)),
        Value::Array(items) => items.iter_mut().for_each(|item| take_out(item, kept)),
        _ => {}
    }
}

fn put_back(value: &mut Value, kept: &mut Vec<String>) {
    if let Some(text) = binary(value)
        && let Some(was) = kept.pop()
    {
        *text = was;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| put_back(field, kept)),
        Value::Array(items) => items.iter_mut().for_each(|item| put_back(item, kept)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_text_comes_back_where_it_was() {
        let value = json!({"content": [{"type": "image", "data": "AAA"}, {"type": "text", "text": "x"},
            {"type": "resource", "resource": {"uri": "a:b", "blob": "BBB"}}, {"type": "audio", "data": "CCC"}]});
        let (mut changed, mut kept) = (value.clone(), Vec::new());
        take_out(&mut changed, &mut kept);
        assert_eq!(kept.len(), 3);
        assert!(!changed.to_string().contains("AAA"));
        kept.reverse();
        put_back(&mut changed, &mut kept);
        assert_eq!(changed, value);
    }
}
