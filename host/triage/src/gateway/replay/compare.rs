//! Whether two answers to one call say the same. Pure.
//!
//! What the protocol carries for itself is left out, texts that are JSON are compared as JSON, and numbers by their value.
//! Pseudonyms are numbered by whoever masked first, so those of the new answer are renamed to those of the old one, by
//! the order in which they stand in the same places.
//!
//! Invariant: the renaming is one to one, and what was sent keeps its names; so two values never become one, and an answer
//! that names another value than before differs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use fumehood_mcp::{Difference, differences};
use fumehood_redact::{Kind, Label, Lookalikes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Differences that are told of one call; the others are counted.
const TOLD: usize = 50;
/// Of a value that is told, bytes; the whole is on record.
const VALUE_BYTES: usize = 400;
/// Of what two long texts begin with alike, bytes that are told.
const BEFORE_BYTES: usize = 40;

/// The longest pseudonym, bytes, generously.
const LABEL_BYTES: usize = 64;

/// What a call brought.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Brought {
    /// The result, which may say of itself that the tool failed.
    Answer(Value),
    Error {
        code: Option<i64>,
        message: String,
    },
}

impl Brought {
    /// What went wrong, in a few words.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Error { code: Some(code), message } => Some(format!("{message} ({code})")),
            Self::Error { code: None, message } => Some(message.clone()),
            Self::Answer(result) if result.get("isError").and_then(Value::as_bool) == Some(true) => {
                let parts = result.get("content").and_then(Value::as_array).into_iter().flatten();
                let texts: Vec<&str> = parts.filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
                Some(if texts.is_empty() { "the tool reported an error".into() } else { texts.join("\n") })
            }
            Self::Answer(_) => None,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Answer(result) => result.clone(),
            Self::Error { code, message } => json!({"error": {"code": code, "message": message}}),
        }
    }
}

/// How an answer is to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Same,
    Differs,
    /// It fails now, and did not then.
    Failed,
    /// It failed then, and does not now.
    Mended,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Failed => "failed",
            Self::Mended => "mended",
        }
    }
}

/// What is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    /// A place, by its keys; `*` is any.
    Place(Vec<String>),
    /// Fields of this name, wherever they are.
    Name(String),
}

impl Ignored {
    /// A JSON pointer, or the name of a field; nothing for neither.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('/') {
            Some(keys) => {
                Some(Self::Place(keys.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect()))
            }
            None => (!text.is_empty()).then(|| Self::Name(text.to_owned())),
        }
    }

    fn leave_out(&self, value: &mut Value) {
        match self {
            Self::Place(keys) => leave_out_at(value, keys),
            Self::Name(name) => leave_out_named(value, name),
        }
    }
}

fn leave_out_at(value: &mut Value, keys: &[String]) {
    let Some((key, rest)) = keys.split_first() else { return };
    match value {
        Value::Object(fields) if rest.is_empty() => fields.retain(|name, _| key != "*" && name != key),
        Value::Object(fields) => {
            let inner = fields.iter_mut().filter(|(name, _)| key == "*" || *name == key);
            inner.for_each(|(_, field)| leave_out_at(field, rest));
        }
        Value::Array(items) => {
            let inner = items.iter_mut().enumerate().filter(|(at, _)| key == "*" || *key == at.to_string());
            inner.for_each(|(_, item)| match rest.is_empty() {
                // The others keep their places.
                true => *item = Value::Null,
                false => leave_out_at(item, rest),
            });
        }
        _ => {}
    }
}

fn leave_out_named(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => {
            fields.remove(name);
            fields.values_mut().for_each(|field| leave_out_named(field, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| leave_out_named(item, name)),
        _ => {}
    }
}

/// How two answers are compared.
pub(super) struct Comparison<'a> {
    /// What reads as a pseudonym.
    pub(super) kinds: &'a Lookalikes,
    pub(super) ignored: &'a [Ignored],
    /// What was asked, both times: pseudonyms in it mean the same in both answers.
    pub(super) sent: &'a Value,
}

impl Comparison<'_> {
    /// How the new answer is to the old one, where they differ, and how many differences more there are than are told.
    pub(super) fn compare(&self, old: &Brought, new: &Brought) -> (Verdict, Vec<Difference>, usize) {
        match (old.problem(), new.problem()) {
            (None, Some(_)) => return (Verdict::Failed, Vec::new(), 0),
            (Some(_), None) => return (Verdict::Mended, Vec::new(), 0),
            _ => {}
        }
        let (mut old, mut new) = (old.value(), new.value());
        for value in [&mut old, &mut new] {
            simplify(value);
        }
        leave_out_repeated(&mut old, &mut new);
        for ignored in self.ignored {
            ignored.leave_out(&mut old);
            ignored.leave_out(&mut new);
        }
        let new = self.renamed(&old, new);
        let (mut found, more) = differences(&old, &new);
        let more = more + found.len().saturating_sub(TOLD);
        found.truncate(TOLD);
        found.iter_mut().for_each(shorten);
        (if found.is_empty() { Verdict::Same } else { Verdict::Differs }, found, more)
    }

    /// The new answer with the old one's pseudonyms, where the same values stand in the same places.
    fn renamed(&self, old: &Value, new: Value) -> Value {
        let mut names = Names::new(self.kinds, self.sent, old);
        // First where nothing but the numbers can differ: what has changed otherwise says less about who is who.
        for alike in [true, false] {
            names.pair(old, &new, alike);
        }
        names.rename(new)
    }
}

/// Pseudonyms in a value, keys included.
pub(super) fn labels_in(kinds: &Lookalikes, value: &Value) -> BTreeSet<Label> {
    let mut found = BTreeSet::new();
    each_text(value, &mut |text| found.extend(labels(kinds, text).into_iter().map(|(_, label)| label)));
    found
}

fn each_text(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, each)),
        Value::Object(fields) => {
            for (key, field) in fields {
                each(key);
                each_text(field, each);
            }
        }
        _ => {}
    }
}

/// Pseudonyms in a text, as the gate writes them.
fn labels(kinds: &Lookalikes, text: &str) -> Vec<(Range<usize>, Label)> {
    if !text.contains('[') {
        return Vec::new();
    }
    let label = |range: Range<usize>| Some((range.clone(), Label::parse(text.get(range)?)?));
    kinds.find(text).into_iter().filter_map(|found| label(found.start..found.end)).collect()
}

/// Who is who in two answers.
struct Names<'a> {
    kinds: &'a Lookalikes,
    /// The old answer's name for a name of the new one.
    old_of: HashMap<Label, Label>,
    /// Names of the old answer that stand for one of the new already.
    taken: HashSet<Label>,
    /// The highest number of each kind.
    last: HashMap<Kind, u64>,
}

impl<'a> Names<'a> {
    fn new(kinds: &'a Lookalikes, sent: &Value, old: &Value) -> Self {
        let mut names = Self { kinds, old_of: HashMap::new(), taken: HashSet::new(), last: HashMap::new() };
        let sent = labels_in(kinds, sent);
        for label in sent.iter().chain(&labels_in(kinds, old)) {
            let last = names.last.entry(label.kind.clone()).or_default();
            *last = label.number.max(*last);
        }
        for label in sent {
            names.put(label.clone(), label);
        }
        names
    }

    fn put(&mut self, new: Label, old: Label) {
        if !self.old_of.contains_key(&new) && self.taken.insert(old.clone()) {
            self.old_of.insert(new, old);
        }
    }

    /// Pair the names that stand in the same places; with `alike` only in texts that are the same but for the numbers.
    fn pair(&mut self, old: &Value, new: &Value, alike: bool) {
        match (old, new) {
            (Value::String(old), Value::String(new)) => self.pair_texts(old, new, alike),
            (Value::Array(old), Value::Array(new)) => {
                old.iter().zip(new).for_each(|(old, new)| self.pair(old, new, alike));
            }
            (Value::Object(old), Value::Object(new)) => {
                for (old_key, new_key) in self.same_keys(old, new) {
                    self.pair_texts(old_key, new_key, alike);
                    if let (Some(old), Some(new)) = (old.get(old_key), new.get(new_key)) {
                        self.pair(old, new, alike);
                    }
                }
            }
            _ => {}
        }
    }

    fn pair_texts(&mut self, old: &str, new: &str, alike: bool) {
        let (old_labels, new_labels) = (labels(self.kinds, old), labels(self.kinds, new));
        if alike && blank(old, &old_labels) != blank(new, &new_labels) {
            return;
        }
        let mut seen: HashMap<Kind, usize> = HashMap::new();
        for (_, label) in new_labels {
            let nth = seen.entry(label.kind.clone()).or_default();
            let mut of_kind = old_labels.iter().filter(|(_, known)| known.kind == label.kind);
            if let Some((_, known)) = of_kind.nth(*nth) {
                self.put(label, known.clone());
            }
            *nth += 1;
        }
    }

    /// Keys that are the same but for the numbers in them; those with numbers in the order of these.
    fn same_keys<'b>(&self, old: &'b Map<String, Value>, new: &'b Map<String, Value>) -> Vec<(&'b str, &'b str)> {
        let sorted = |fields: &'b Map<String, Value>| {
            let mut keys: Vec<(String, Vec<u64>, &'b str)> = fields
                .keys()
                .map(|key| {
                    let labels = labels(self.kinds, key);
                    (blank(key, &labels), labels.iter().map(|(_, label)| label.number).collect(), key.as_str())
                })
                .collect();
            keys.sort();
            keys
        };
        let mut pairs = Vec::new();
        let mut theirs = sorted(new).into_iter().peekable();
        for (form, _, key) in sorted(old) {
            while theirs.next_if(|(other, ..)| *other < form).is_some() {}
            if let Some((.., other)) = theirs.next_if(|(other, ..)| *other == form) {
                pairs.push((key, other));
            }
        }
        pairs
    }

    fn rename(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.rename_text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.rename(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, field)| (self.rename_text(&key), self.rename(field))).collect()
            }
            other => other,
        }
    }

    fn rename_text(&mut self, text: &str) -> String {
        let (mut out, mut done) = (String::with_capacity(text.len()), 0);
        for (range, label) in labels(self.kinds, text) {
            out.push_str(text.get(done..range.start).unwrap_or_default());
            done = range.end;
            let name = match self.old_of.get(&label) {
                Some(name) => name.clone(),
                None => {
                    let last = self.last.entry(label.kind.clone()).or_default();
                    *last += 1;
                    let name = Label { kind: label.kind.clone(), number: *last };
                    self.put(label, name.clone());
                    name
                }
            };
            out.push_str(&name.to_string());
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }
}

/// A text without the numbers of its pseudonyms.
fn blank(text: &str, labels: &[(Range<usize>, Label)]) -> String {
    let (mut out, mut done) = (String::with_capacity(text.len()), 0);
    for (range, label) in labels {
        out.push_str(text.get(done..range.start).unwrap_or_default());
        out.push_str(&format!("[{}-#]", label.kind));
        done = range.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// A result without what the protocol carries for itself, with its JSON texts as JSON.
fn simplify(value: &mut Value) {
    let Value::Object(result) = value else { return };
    for field in ["_meta", "ttlMs", "cacheScope"] {
        result.remove(field);
    }
    // What is not said is so.
    if result.get("resultType").and_then(Value::as_str) == Some("complete") {
        result.remove("resultType");
    }
    if result.get("isError").and_then(Value::as_bool) == Some(false) {
        result.remove("isError");
    }
    for part in result.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(part) = part else { continue };
        part.remove("_meta");
        read_text(part);
        if let Some(Value::Object(resource)) = part.get_mut("resource") {
            resource.remove("_meta");
            read_text(resource);
        }
    }
    even_numbers(value);
}

fn read_text(part: &mut Map<String, Value>) {
    if let Some(text) = part.get_mut("text")
        && let Some(read) = text.as_str().and_then(json_of)
    {
        *text = read;
    }
}

/// A text as JSON, where it is an object or an array; a pseudonym may stand in it where a number was.
fn json_of(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let read: Result<Value, _> = serde_json::from_str(text);
    read.or_else(|_| serde_json::from_str(&with_quoted_labels(text))).ok()
}

/// JSON with its pseudonyms in quotes where they stand outside of any: no JSON reads like one.
fn with_quoted_labels(text: &str) -> String {
    let (mut out, mut in_text, mut rest) = (String::with_capacity(text.len() + 64), false, text);
    while let Some(character) = rest.chars().next() {
        let taken = match character {
            '\\' if in_text => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            '"' => {
                in_text = !in_text;
                1
            }
            '[' if !in_text && let Some(label) = label_at(rest) => {
                out.push_str(&format!("\"{label}\""));
                rest = rest.get(label.len()..).unwrap_or_default();
                continue;
            }
            _ => character.len_utf8(),
        };
        out.push_str(rest.get(..taken).unwrap_or_default());
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// The pseudonym that a text begins with.
fn label_at(text: &str) -> Option<&str> {
    let near = text.get(..text.floor_char_boundary(LABEL_BYTES)).unwrap_or_default();
    near.get(..=near.find(']')?).filter(|label| Label::parse(label).is_some())
}

/// Numbers in one form: 1.0 is 1.
fn even_numbers(value: &mut Value) {
    /// Beyond it not every whole number has a form of its own.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < WHOLE) {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(even_numbers),
        Value::Object(fields) => fields.values_mut().for_each(even_numbers),
        _ => {}
    }
}

/// Where both answers say in a text what they say as `structuredContent`, too, it is compared once.
fn leave_out_repeated(old: &mut Value, new: &mut Value) {
    let repeats = |value: &Value| -> BTreeSet<usize> {
        let Some(structured) = value.get("structuredContent") else { return BTreeSet::new() };
        let parts = value.get("content").and_then(Value::as_array).into_iter().flatten().enumerate();
        parts.filter(|(_, part)| part.get("text") == Some(structured)).map(|(at, _)| at).collect()
    };
    for at in repeats(old).intersection(&repeats(new)) {
        for value in [&mut *old, &mut *new] {
            if let Some(Value::Object(part)) = value.pointer_mut(&format!("/content/{at}")) {
                part.remove("text");
            }
        }
    }
}

/// A difference as it is told: long values by their beginning, long texts from where they begin to differ.
fn shorten(difference: &mut Difference) {
    if let (Some(Value::String(old)), Some(Value::String(new))) = (&mut difference.old, &mut difference.new) {
        let alike = old.bytes().zip(new.bytes()).take_while(|(old, new)| old == new).count();
        let from = old.floor_char_boundary(alike.saturating_sub(BEFORE_BYTES));
        if from > BEFORE_BYTES && old.len().max(new.len()) > VALUE_BYTES / 2 {
            for text in [old, new] {
                *text = format!("…{}", text.get(from..).unwrap_or_default());
            }
        }
    }
    for side in [&mut difference.old, &mut difference.new] {
        let whole = match side {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => continue,
        };
        if whole.len() > VALUE_BYTES {
            let cut = whole.get(..whole.floor_char_boundary(VALUE_BYTES)).unwrap_or_default();
            *side = Some(Value::String(format!("{cut}…")));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(value: Value) -> Brought {
        Brought::Answer(value)
    }

    fn text(text: &str) -> Brought {
        answer(json!({"content": [{"type": "text", "text": text}]}))
    }

    fn compared(sent: &Value, ignored: &[&str], old: &Brought, new: &Brought) -> (Verdict, Vec<String>) {
        let ignored: Vec<Ignored> = ignored.iter().map(|text| Ignored::parse(text).unwrap()).collect();
        let kinds = Lookalikes::new();
        let (verdict, found, _) = Comparison { kinds: &kinds, ignored: &ignored, sent }.compare(old, new);
        let side = |value: Option<Value>| value.map_or("–".into(), |value| value.to_string());
        (verdict, found.into_iter().map(|one| format!("{} {} {}", one.pointer, side(one.old), side(one.new))).collect())
    }

    fn same(old: &Brought, new: &Brought) -> bool {
        let (verdict, found) = compared(&json!({}), &[], old, new);
        assert_eq!(verdict == Verdict::Same, found.is_empty());
        verdict == Verdict::Same
    }

    #[test]
    fn errors_and_answers_are_told_apart() {
        let failed = answer(json!({"content": [{"type": "text", "text": "no disk"}], "isError": true}));
        let refused = Brought::Error { code: Some(-32000), message: "no".into() };
        for bad in [&failed, &refused] {
            assert_eq!(compared(&json!({}), &[], &text("a"), bad).0, Verdict::Failed);
            assert_eq!(compared(&json!({}), &[], bad, &text("a")).0, Verdict::Mended);
            assert!(same(bad, bad));
        }
        assert_eq!(compared(&json!({}), &[], &failed, &refused).0, Verdict::Differs);
        let other = Brought::Error { code: Some(-32001), message: "no".into() };
        assert_eq!(compared(&json!({}), &[], &refused, &other).1, ["/error/code -32000 -32001"]);
        assert_eq!(failed.problem().unwrap(), "no disk");
        assert_eq!(refused.problem().unwrap(), "no (-32000)");
    }

    #[test]
    fn what_the_protocol_carries_for_itself_is_not_compared() {
        let old = answer(json!({"content": [{"type": "text", "text": "a", "_meta": {"n": 1}},
            {"type": "resource", "resource": {"uri": "a:b", "text": "{\"a\":1}", "_meta": {}}}], "_meta": {"x": 1}}));
        let new = answer(json!({"content": [{"type": "text", "text": "a"},
            {"type": "resource", "resource": {"uri": "a:b", "text": "{ \"a\": 1.0 }"}}],
            "isError": false, "resultType": "complete", "ttlMs": 5, "cacheScope": "public"}));
        assert!(same(&old, &new));
        // What a tool says itself under such a name is its answer.
        let said = |n: i64| answer(json!({"content": [], "structuredContent": {"_meta": n}}));
        assert!(!same(&said(1), &said(2)));
        assert!(!same(&answer(json!({"content": []})), &answer(json!({"content": [], "resultType": "task"}))));
    }

    #[test]
    fn texts_that_are_json_are_compared_as_such() {
        assert!(same(&text(r#"{"a":1,"b":[1,2]}"#), &text("{\n \"b\": [1, 2],\n \"a\": 1\n}")));
        assert_eq!(
            compared(&json!({}), &[], &text(r#"{"a":1,"b":[1,2]}"#), &text(r#"{"a":2,"b":[1]}"#)).1,
            ["/content/0/text/a 1 2", "/content/0/text/b/1 2 –"]
        );
        assert!(!same(&text("{a"), &text("{ a")), "what is no JSON is text");
        assert!(!same(&text("[1"), &text("[1 ")));
        // A number that was masked has no quotes.
        let old = text(r#"{"at":[PHONE-1],"of":"x [EMAIL-1] \" [PHONE-1]","in":[1]}"#);
        let new = text(r#"{"of":"x [EMAIL-2] \" [PHONE-4]","in":[1],"at":[PHONE-4]}"#);
        assert!(same(&old, &new));
        assert_eq!(
            compared(&json!({}), &["at"], &old, &text(r#"{"of":"x [EMAIL-1] \" [PHONE-1]","in":[1],"at":7}"#)).0,
            Verdict::Same
        );
    }

    #[test]
    fn an_answer_that_is_given_twice_is_compared_once() {
        let both = |n: i64| {
            let value = json!({"n": n});
            answer(json!({"content": [{"type": "text", "text": value.to_string()}], "structuredContent": value}))
        };
        assert_eq!(compared(&json!({}), &[], &both(1), &both(2)).1, ["/structuredContent/n 1 2"]);
        let only = answer(json!({"content": [{"type": "text", "text": "gone"}], "structuredContent": {"n": 1}}));
        assert_eq!(compared(&json!({}), &[], &both(1), &only).1, [r#"/content/0/text {"n":1} "gone""#]);
    }

    #[test]
    fn pseudonyms_are_compared_by_who_they_are() {
        let nothing = json!({});
        assert!(same(&text("[EMAIL-1] to [EMAIL-2], [IPV4-1]"), &text("[EMAIL-7] to [EMAIL-3], [IPV4-2]")));
        assert!(!same(&text("[EMAIL-1] to [EMAIL-2]"), &text("[EMAIL-1] to [EMAIL-1]")), "one was two");
        assert!(!same(&text("[EMAIL-1] to [EMAIL-1]"), &text("[EMAIL-1] to [EMAIL-2]")), "two were one");
        assert!(!same(&text("[EMAIL-1]"), &text("[IPV4-1]")));
        assert!(!same(&text("see [ERR-1]"), &text("see [ERR-2]")), "that is no pseudonym");
        let two = |a: &str, b: &str| answer(json!({"structuredContent": {"a": a, "b": b}}));
        assert!(!same(&two("[EMAIL-1]", "[EMAIL-2]"), &two("[EMAIL-2]", "[EMAIL-2]")));
        // What was sent keeps its name: an echo of it is no other value.
        let sent = json!({"to": "[EMAIL-1]"});
        assert_eq!(compared(&sent, &[], &text("[EMAIL-1]"), &text("[EMAIL-2]")).0, Verdict::Differs);
        assert_eq!(compared(&sent, &[], &text("[EMAIL-1] [EMAIL-2]"), &text("[EMAIL-1] [EMAIL-9]")).0, Verdict::Same);
        // Differences are told in the record's names, and a new value has one that was not there.
        let (old, new) = (two("[EMAIL-1] is up", "[EMAIL-2]"), two("[EMAIL-8] is down since [EMAIL-1]", "[EMAIL-9]"));
        assert_eq!(
            compared(&nothing, &[], &old, &new).1,
            [r#"/structuredContent/a "[EMAIL-1] is up" "[EMAIL-1] is down since [EMAIL-3]""#]
        );
        let keyed = |a: &str, b: &str| answer(json!({"structuredContent": {a: 1, b: 2}}));
        assert!(same(&keyed("[EMAIL-9]", "[EMAIL-10]"), &keyed("[EMAIL-1]", "[EMAIL-2]")));
        assert!(!same(&keyed("[EMAIL-9]", "[EMAIL-10]"), &keyed("[EMAIL-2]", "[EMAIL-1]")));
    }

    #[test]
    fn what_always_changes_can_be_left_out() {
        let at = |time: &str, value: i64| text(&json!({"rows": [{"at": time, "n": value}], "at": time}).to_string());
        let cases: [(&[&str], Verdict); 6] = [
            (&[], Verdict::Differs),
            (&["at"], Verdict::Same),
            (&["/content/0/text/at"], Verdict::Differs),
            (&["/content/0/text/at", "/content/0/text/rows/0/at"], Verdict::Same),
            (&["/content/0/text/at", "/content/*/text/rows/*/at"], Verdict::Same),
            (&["/content/0"], Verdict::Same),
        ];
        for (ignored, verdict) in cases {
            assert_eq!(compared(&json!({}), ignored, &at("10:00", 1), &at("11:00", 1)).0, verdict, "{ignored:?}");
        }
        assert_eq!(compared(&json!({}), &["at"], &at("10:00", 1), &at("11:00", 2)).0, Verdict::Differs);
        let odd = |n: i64| answer(json!({"structuredContent": {"a/b~c": n}}));
        assert_eq!(compared(&json!({}), &["/structuredContent/a~1b~0c"], &odd(1), &odd(2)).0, Verdict::Same);
        assert_eq!(Ignored::parse(""), None);
    }

    #[test]
    fn what_is_told_is_bounded() {
        let long = |end: &str| text(&format!("{}{end}{}", "é".repeat(3_000), "z".repeat(3_000)));
        let (_, found) = compared(&json!({}), &[], &long("A"), &long("B"));
        assert!(found[0].len() < 1_100 && found[0].contains("éA") && found[0].contains("éB"), "{}", found[0]);
        let many = |n: i64| answer(json!({"structuredContent": (0..400).map(|at| at * n).collect::<Vec<_>>()}));
        let kinds = Lookalikes::new();
        let comparison = Comparison { kinds: &kinds, ignored: &[], sent: &Value::Null };
        let (_, found, more) = comparison.compare(&many(1), &many(2));
        assert_eq!((found.len(), more), (TOLD, 399 - TOLD));
        let whole =
            |n: i64| answer(json!({"structuredContent": {"a": if n == 1 { json!(vec![n; 500]) } else { json!(n) }}}));
        assert!(comparison.compare(&whole(1), &whole(2)).1[0].old.as_ref().unwrap().as_str().unwrap().ends_with('…'));
    }

    /// Words, pseudonyms and values of them. Keys have none: there the order of numbers is all that is known.
    fn said() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            "[a-c]{0,3}".prop_map(String::from),
            (prop_oneof![Just("EMAIL"), Just("IPV4")], 1..5_u64).prop_map(|(kind, n)| format!("[{kind}-{n}]")),
        ];
        let texts = proptest::collection::vec(word, 0..4).prop_map(|words| Value::from(words.join(" ")));
        let leaf = prop_oneof![texts, any::<i8>().prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// A value under other names, one to one.
    fn under_other_names(value: &Value, by: u64, kept: &BTreeSet<Label>) -> Value {
        let kinds = Lookalikes::new();
        let mut names = Names::new(&kinds, &Value::Null, &Value::Null);
        for label in labels_in(&kinds, value) {
            let number = if kept.contains(&label) { label.number } else { 100 + (label.number * by) % 7 };
            names.put(label.clone(), Label { number, ..label });
        }
        names.rename(value.clone())
    }

    proptest! {
        #[test]
        fn other_numbers_are_no_difference(value in said(), sent in said(), by in 1..7_u64) {
            let kinds = Lookalikes::new();
            let other = under_other_names(&value, by, &labels_in(&kinds, &sent));
            let (old, new) = (answer(json!({"structuredContent": value})), answer(json!({"structuredContent": other})));
            let (verdict, found) = compared(&sent, &[], &old, &new);
            prop_assert_eq!(verdict, Verdict::Same, "{:?}", found);
        }

        #[test]
        fn nothing_else_is_taken_for_the_same(old in said(), new in said(), sent in said()) {
            let kinds = Lookalikes::new();
            let comparison = Comparison { kinds: &kinds, ignored: &[], sent: &sent };
            let renamed = comparison.renamed(&old, new.clone());
            // One to one, and what was sent keeps its name.
            let (before, after) = (labels_in(&kinds, &new), labels_in(&kinds, &renamed));
            prop_assert_eq!(before.len(), after.len());
            for label in labels_in(&kinds, &sent) {
                prop_assert_eq!(before.contains(&label), after.contains(&label));
            }
            // Nothing but names has changed.
            let blanked = |value: &Value| {
                let mut out = Vec::new();
                each_text(value, &mut |text| out.push(blank(text, &labels(&kinds, text))));
                out
            };
            prop_assert_eq!(blanked(&new), blanked(&renamed));
        }

        #[test]
        fn any_two_answers_can_be_compared(old in said(), new in said(), text in "\\PC{0,40}", at in "/?[a-z0/*~]{1,6}") {
            let ignored: Vec<Ignored> = Ignored::parse(&at).into_iter().collect();
            let kinds = Lookalikes::new();
            let comparison = Comparison { kinds: &kinds, ignored: &ignored, sent: &Value::Null };
            let content = json!([{"type": "text", "text": text}]);
            let (old, new) = (answer(json!({"content": old})), answer(json!({"content": new, "structuredContent": content})));
            let _ = comparison.compare(&old, &new);
            prop_assert_eq!(comparison.compare(&old, &old).0, Verdict::Same);
            prop_assert_eq!(comparison.compare(&new, &new).0, Verdict::Same);
        }
    }
}
