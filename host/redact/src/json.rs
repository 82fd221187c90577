//! JSON through the gate: tool arguments, tool results, answers to a server's questions.
//!
//! Invariant: every string, every key and every number of the input is part of a text that is scanned, and whatever a
//! span touches is masked. Values are scanned beside their key (`"password": "…"`), because a bare value has lost what
//! tells a scanner what it is; the elements of an array are scanned beside the array's key.
//!
//! Scanning is two steps, so that it can wait for a plugin: [`JsonPlan::new`] says which texts to scan, and
//! [`JsonPlan::redact`] takes their spans.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde_json::{Number, Value};

use crate::{Gate, Group, Kind, Origin, Pseudonyms, Redacted, Span};

/// The number of span lists does not match the number of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} texts were to be scanned and {got} results came back")]
pub struct PlanMismatch {
    /// Texts in the plan.
    pub expected: usize,
    /// Results that were given.
    pub got: usize,
}

/// What is to be scanned of a JSON value.
#[derive(Debug)]
pub struct JsonPlan<'a> {
    value: &'a Value,
    texts: Vec<String>,
}

/// A JSON value whose strings, keys and numbers have passed the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct RedactedJson(Node);

/// Mask a JSON value with a scanner at hand. `scan` is given one text at a time and answers with its merged, accepted
/// spans; its first error ends the redaction, for what could not be scanned does not leave.
pub fn redact_json<E>(
    origin: Origin,
    book: &mut Pseudonyms,
    value: &Value,
    scan: impl FnMut(&str) -> Result<Vec<Span>, E>,
) -> Result<RedactedJson, E> {
    let plan = JsonPlan::new(value);
    let spans = plan.texts().map(scan).collect::<Result<Vec<_>, E>>()?;
    let mut spans = spans.into_iter();
    Ok(RedactedJson(redact_node(&mut Redaction { origin, book, spans: &mut spans }, value, None)))
}

impl<'a> JsonPlan<'a> {
    /// Find out what is to be scanned.
    #[must_use]
    pub fn new(value: &'a Value) -> Self {
        let mut texts = Vec::new();
        collect(value, None, &mut texts);
        Self { value, texts }
    }

    /// The texts to scan, in the order in which [`redact`](Self::redact) wants their spans.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Mask the value. `spans` holds the merged, accepted spans of each text, in order.
    pub fn redact(
        self,
        origin: Origin,
        book: &mut Pseudonyms,
        spans: Vec<Vec<Span>>,
    ) -> Result<RedactedJson, PlanMismatch> {
        if spans.len() != self.texts.len() {
            return Err(PlanMismatch { expected: self.texts.len(), got: spans.len() });
        }
        let mut spans = spans.into_iter();
        Ok(RedactedJson(redact_node(&mut Redaction { origin, book, spans: &mut spans }, self.value, None)))
    }
}

impl RedactedJson {
    /// The value as compact JSON text, with its masks.
    #[must_use]
    pub fn to_redacted(&self) -> Redacted {
        let mut output = Redacted::default();
        self.0.write(&mut output);
        output
    }

    /// The value, for libraries that want one. What they send is no longer marked as redacted by its type.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.0.to_value()
    }

    /// How many places are masked, by kind.
    #[must_use]
    pub fn count_by_kind(&self) -> BTreeMap<Kind, usize> {
        self.to_redacted().count_by_kind()
    }
}

impl fmt::Display for RedactedJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_redacted().fmt(formatter)
    }
}

/// A value after the gate. Keys are unique within an object.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(Redacted),
    Array(Vec<Node>),
    Object(Vec<(Redacted, Node)>),
}

impl Node {
    fn write(&self, output: &mut Redacted) {
        match self {
            Self::Null => output.push_literal("null"),
            Self::Bool(true) => output.push_literal("true"),
            Self::Bool(false) => output.push_literal("false"),
            Self::Number(number) => output.push_clear(&number.to_string()),
            Self::Text(text) => output.push_json_string(text),
            Self::Array(items) => {
                output.push_literal("[");
                for (index, item) in items.iter().enumerate() {
                    output.push_literal(if index > 0 { "," } else { "" });
                    item.write(output);
                }
                output.push_literal("]");
            }
            Self::Object(members) => {
                output.push_literal("{");
                for (index, (key, value)) in members.iter().enumerate() {
                    output.push_literal(if index > 0 { "," } else { "" });
                    output.push_json_string(key);
                    output.push_literal(":");
                    value.write(output);
                }
                output.push_literal("}");
            }
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(yes) => Value::Bool(*yes),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Array(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                members.iter().map(|(key, value)| (key.as_str().to_owned(), value.to_value())).collect()
            }
        }
    }
}

/// A text to scan, and where key and value stand in it.
struct Scanned {
    text: String,
    key: Range<usize>,
    value: Range<usize>,
}

/// Key and value as they would stand in a log.
fn scanned(key: Option<&str>, value: &Value) -> Scanned {
    let (text, quote) = match value {
        Value::String(text) => (text.clone(), "\""),
        Value::Number(number) => (number.to_string(), ""),
        _ => (String::new(), ""),
    };
    let Some(key) = key else {
        let len = text.len();
        return Scanned { text, key: 0..0, value: 0..len };
    };
    let start = key.len() + 4 + quote.len();
    Scanned {
        text: format!("\"{key}\": {quote}{text}{quote}"),
        key: 1..key.len() + 1,
        value: start..start + text.len(),
    }
}

/// Every text of a value, in the order of [`redact_node`].
fn collect(value: &Value, key: Option<&str>, texts: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(_) | Value::Number(_) => texts.push(scanned(key, value).text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, texts)),
        Value::Object(members) => {
            for (key, value) in members {
                texts.push(scanned(Some(key), value).text);
                if !is_scalar(value) {
                    collect(value, Some(key), texts);
                }
            }
        }
    }
}

const fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

struct Redaction<'a> {
    origin: Origin,
    book: &'a mut Pseudonyms,
    spans: &'a mut std::vec::IntoIter<Vec<Span>>,
}

fn redact_node(redaction: &mut Redaction<'_>, value: &Value, key: Option<&str>) -> Node {
    match value {
        Value::Null => Node::Null,
        Value::Bool(yes) => Node::Bool(*yes),
        Value::String(_) | Value::Number(_) => {
            let spans = redaction.spans.next();
            redact_scalar(redaction, value, &scanned(key, value), spans)
        }
        Value::Array(items) => Node::Array(items.iter().map(|item| redact_node(redaction, item, key)).collect()),
        Value::Object(members) => {
            let mut taken = BTreeSet::new();
            let mut nodes = Vec::with_capacity(members.len());
            for (key, value) in members {
                let scanned = scanned(Some(key), value);
                let spans = redaction.spans.next();
                let own = spans.as_deref().map(|spans| clip(spans, &scanned.key, key));
                let masked = unique(redaction.mask(key, own), &mut taken);
                let node = if is_scalar(value) {
                    redact_scalar(redaction, value, &scanned, spans)
                } else {
                    redact_node(redaction, value, Some(key))
                };
                nodes.push((masked, node));
            }
            Node::Object(nodes)
        }
    }
}

fn redact_scalar(redaction: &mut Redaction<'_>, value: &Value, scanned: &Scanned, spans: Option<Vec<Span>>) -> Node {
    let text = scanned.text.get(scanned.value.clone()).unwrap_or_default();
    let spans = spans.map(|spans| clip(&spans, &scanned.value, text));
    match value {
        Value::Number(number) => match spans.map(|spans| spans.into_iter().next()) {
            Some(None) => Node::Number(number.clone()),
            // one mask for the whole number: the rest of a card would still be most of it
            Some(Some(span)) => {
                Node::Text(redaction.mask(text, Some(vec![Span { start: 0, end: text.len(), ..span }])))
            }
            None => Node::Text(redaction.mask(text, None)),
        },
        Value::String(_) => Node::Text(redaction.mask(text, spans)),
        Value::Bool(yes) => Node::Bool(*yes),
        _ => Node::Null,
    }
}

impl Redaction<'_> {
    /// Mask a text; all of it where no scan of it is at hand.
    fn mask(&mut self, text: &str, spans: Option<Vec<Span>>) -> Redacted {
        match spans {
            Some(spans) => Gate::redact_as(self.origin, self.book, text, &spans),
            None => {
                let mut output = Redacted::default();
                let label = self.book.label_for(&Kind::OTHER, text);
                let shown = label.to_string();
                output.push_label(label, &shown, 0..text.len());
                output
            }
        }
    }
}

/// The parts of spans that lie within a range, counted from its start. A secret that begins a value masks all of one
/// with a quote, a backslash or a line end in it, because such a character may have ended the scanner's match early.
fn clip(spans: &[Span], range: &Range<usize>, text: &str) -> Vec<Span> {
    let broken = text.contains(['"', '\'', '\\', '\n', '\r']);
    let within = spans.iter().filter(|span| span.start < range.end && span.end > range.start);
    within
        .map(|span| {
            let start = span.start.max(range.start) - range.start;
            let whole = broken && span.group == Group::Secret && start == 0;
            let end = if whole { text.len() } else { span.end.min(range.end) - range.start };
            Span { start, end, ..span.clone() }
        })
        .collect()
}

/// Two keys that mask to the same text stay two: a lost member would be a silent change of the arguments.
fn unique(key: Redacted, taken: &mut BTreeSet<String>) -> Redacted {
    let mut candidate = key.clone();
    let mut number = 2;
    while !taken.insert(candidate.as_str().to_owned()) {
        candidate = Redacted::concat([&key, &Redacted::literal("#"), &Redacted::count(number)]);
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::finding::strategies::plain;
    use crate::merge;

    /// Finds `x@y` addresses, nines, and what stands in quotes after `"password": `.
    fn toy(text: &str) -> Vec<Span> {
        let mut findings = Vec::new();
        for (at, _) in text.match_indices("x@y") {
            findings.push(plain("EMAIL", at, at + 3));
        }
        for (at, _) in text.match_indices("999") {
            findings.push(plain("PHONE", at, at + 3));
        }
        if let Some(value) = text.strip_prefix("\"password\": \"") {
            let start = text.len() - value.len();
            let end = start + value.find('"').unwrap_or(value.len());
            findings.push(plain("PASSWORD", start, end));
        }
        merge(text.len(), &findings)
    }

    fn redact(value: &Value) -> RedactedJson {
        redact_json(Origin::Raw, &mut Pseudonyms::new(), value, |text| Ok::<_, Infallible>(toy(text))).unwrap()
    }

    #[test]
    fn leaves_keys_and_numbers_are_masked() {
        let value = json!({
            "to": ["x@y", {"x@y": 1, "n": 19992}],
            "password": "abc",
            "list": {"password": ["a \" b", "c"]},
            "fine": [true, null, 1.5, "ok"],
        });
        assert_eq!(
            redact(&value).to_value(),
            json!({
                "to": ["[EMAIL-1]", {"[EMAIL-1]": 1, "n": "[PHONE-1]"}],
                "password": "[PASSWORD-3]",
                "list": {"password": ["[PASSWORD-1]", "[PASSWORD-2]"]},
                "fine": [true, null, 1.5, "ok"],
            })
        );
    }

    #[test]
    fn keys_that_mask_alike_stay_apart() {
        let value = json!({"x@y": 1, "[EMAIL-1]": 2, "X": 3});
        let output = redact(&value).to_value();
        assert_eq!(output.as_object().unwrap().len(), 3);
        let mut taken = BTreeSet::new();
        assert_eq!(unique(Redacted::literal("a"), &mut taken).as_str(), "a");
        assert_eq!(unique(Redacted::literal("a"), &mut taken).as_str(), "a#2");
        assert_eq!(unique(Redacted::literal("a"), &mut taken).as_str(), "a#3");
    }

    #[test]
    fn a_failed_scan_fails_the_redaction_and_a_wrong_count_too() {
        let value = json!(["a", "b"]);
        let mut book = Pseudonyms::new();
        let failed = redact_json(Origin::Raw, &mut book, &value, |t| if t == "b" { Err("no") } else { Ok(vec![]) });
        assert_eq!(failed, Err("no"));
        let mismatch = JsonPlan::new(&value).redact(Origin::Raw, &mut book, vec![vec![]]);
        assert_eq!(mismatch, Err(PlanMismatch { expected: 2, got: 1 }));
    }

    #[test]
    fn text_form_keeps_the_masks() {
        let output = redact(&json!({"a": "\"x@y\"\n"})).to_redacted();
        assert_eq!(output.as_str(), r#"{"a":"\"[EMAIL-1]\"\n"}"#);
        let range = &output.masked()[0];
        assert_eq!(&output.as_str()[range.start..range.end], "[EMAIL-1]");
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = "(x@y|999|password|[a-c\"\\\\\n é]){0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            prop_oneof![any::<u64>(), Just(4_999_111)].prop_map(Value::from),
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..5).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_escapes_the_scan(value in value()) {
            let output = redact(&value);
            let text = output.to_string();
            prop_assert!(!text.contains("x@y"));
            prop_assert!(!text.contains("999"), "{}", text);
            let parsed: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(parsed.to_string(), output.to_value().to_string());
            if text.contains('[') {
                for range in output.to_redacted().masked() {
                    prop_assert_eq!(&text[range.start..range.end], range.label.to_string());
                }
            }
        }

        #[test]
        fn what_holds_nothing_is_unchanged(value in value()) {
            let plan = JsonPlan::new(&value);
            let spans = plan.texts().map(|_| Vec::new()).collect();
            let output = plan.redact(Origin::Raw, &mut Pseudonyms::new(), spans).unwrap();
            prop_assert_eq!(output.to_value(), value);
        }
    }
}
