//! The form of rules that gitleaks has, version 8: the parts that say what is found, handed on as they are.
//!
//! What says how gitleaks itself works (`title`, `minVersion`, `extend`) is passed over: its own rules do not come with
//! ours, and what they find the scanners here find already.

use serde_json::{Map, Value};

/// Keys that only a configuration of gitleaks has.
const KEYS: [&str; 5] = ["rules", "allowlist", "allowlists", "extend", "title"];
const RULE: [&str; 12] = [
    "id",
    "description",
    "regex",
    "path",
    "secretGroup",
    "entropy",
    "keywords",
    "tags",
    "skipReport",
    "allowlists",
    "required",
    "verify",
];
const ALLOWLIST: [&str; 8] =
    ["description", "condition", "regexTarget", "regexes", "stopwords", "paths", "commits", "targetRules"];

pub(super) fn is_one(table: &toml::Table) -> bool {
    KEYS.iter().any(|key| table.contains_key(*key))
}

pub(super) fn read(table: toml::Table) -> Result<Value, String> {
    let mut config = json(toml::Value::Table(table))?;
    let mut rules = Vec::new();
    for (number, rule) in list(&mut config, "rules")?.into_iter().enumerate() {
        let Value::Object(mut rule) = rule else { return Err(format!("rule {} is no table", number + 1)) };
        let id = rule.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if id.is_empty() {
            return Err(format!("rule {} has no id", number + 1));
        }
        let allowlists = allowlists(&mut rule).map_err(|error| format!("rule {id}: {error}"))?;
        rule.insert("allowlists".to_owned(), allowlists);
        known(&rule, &RULE).map_err(|error| format!("rule {id}: {error}"))?;
        // What asks a service whether a key is valid has no place in a scanner.
        rule.retain(|key, _| !["required", "verify"].contains(&key.as_str()));
        rules.push(Value::Object(rule));
    }
    let Value::Object(mut config) = config else { return Err("it is no table".to_owned()) };
    let allowlists = allowlists(&mut config)?;
    Ok(serde_json::json!({ "rules": rules, "allowlists": allowlists }))
}

/// Both forms, `allowlist` and `allowlists`, as one list.
fn allowlists(table: &mut Map<String, Value>) -> Result<Value, String> {
    let mut all = match table.remove("allowlists") {
        None => Vec::new(),
        Some(Value::Array(all)) => all,
        Some(_) => return Err("`allowlists` is written [[allowlists]]".to_owned()),
    };
    match table.remove("allowlist") {
        None => {}
        Some(one @ Value::Object(_)) => all.push(one),
        Some(_) => return Err("`allowlist` is written [allowlist]".to_owned()),
    }
    for one in &all {
        match one {
            Value::Object(one) => known(one, &ALLOWLIST)?,
            _ => return Err("an allowlist is a table".to_owned()),
        }
    }
    Ok(Value::Array(all))
}

fn known(table: &Map<String, Value>, keys: &[&str]) -> Result<(), String> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown field `{key}`, expected one of {}", keys.join(", "))),
        None => Ok(()),
    }
}

fn list(config: &mut Value, key: &str) -> Result<Vec<Value>, String> {
    match config.as_object_mut().and_then(|config| config.remove(key)) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{key}` is written [[{key}]]")),
    }
}

fn json(value: toml::Value) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}
