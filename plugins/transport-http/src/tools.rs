//! `x-mcp-header` (SEP-2243): which arguments of which tool travel as `Mcp-Param-*` headers.
//!
//! Learned from the `tools/list` results that pass through. Invariant: a tool whose annotations break the rules is taken
//! out of the list, as the specification asks of clients over HTTP; every other byte of a result is left as it was.

use crate::limits::MAX_ANNOTATED_TOOLS;
use crate::rpc::Message;
use crate::wire::is_token;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const ANNOTATION: &str = "x-mcp-header";

/// One argument that travels as a header.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Param {
    /// Property names, from the arguments down.
    path: Vec<String>,
    /// The header's name behind `Mcp-Param-`.
    header: String,
}

/// The annotated tools of one server.
#[derive(Debug, Default)]
pub struct Tools {
    by_name: BTreeMap<String, Vec<Param>>,
}

/// What a `tools/list` answer taught.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// The answer without the tools that break the rules, where there were any.
    pub rewritten: Option<String>,
    /// Each of those tools, with the reason.
    pub rejected: Vec<String>,
}

/// The members of an object in the order in which they were written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[derive(serde::Deserialize)]
struct Tool {
    name: String,
    #[serde(rename = "inputSchema", default)]
    input_schema: Value,
}

impl Tools {
    /// Take in the answer to a `tools/list`.
    pub fn learn(&mut self, answer: &str) -> Learned {
        let mut learned = Learned::default();
        if self.by_name.is_empty() && !answer.contains(ANNOTATION) {
            return learned;
        }
        let Some(result) = Message::parse(answer).and_then(|message| message.result) else {
            return learned;
        };
        let Ok(Members(members)) = serde_json::from_str(result.get()) else {
            return learned;
        };
        let Some((_, tools)) = members.iter().find(|(name, _)| name == "tools") else {
            return learned;
        };
        let Ok(tools) = serde_json::from_str::<Vec<&RawValue>>(tools.get()) else {
            return learned;
        };
        let mut kept = Vec::new();
        for raw in tools {
            match serde_json::from_str::<Tool>(raw.get()) {
                Ok(tool) => match annotations(&tool.input_schema) {
                    Ok(params) => {
                        self.remember(tool.name, params);
                        kept.push(raw.get());
                    }
                    Err(reason) => {
                        self.by_name.remove(&tool.name);
                        learned.rejected.push(format!("{}: {reason}", tool.name));
                    }
                },
                // Not for a transport to judge.
                Err(_) => kept.push(raw.get()),
            }
        }
        if !learned.rejected.is_empty() {
            learned.rewritten = rewrite(answer, &members, &kept);
        }
        learned
    }

    fn remember(&mut self, name: String, params: Vec<Param>) {
        if params.is_empty() {
            self.by_name.remove(&name);
        } else if self.by_name.len() < MAX_ANNOTATED_TOOLS || self.by_name.contains_key(&name) {
            self.by_name.insert(name, params);
        }
    }

    /// The headers for a call of `tool`: name behind `Mcp-Param-`, and value. `call` is the whole JSON-RPC message.
    pub fn arguments(&self, tool: &str, call: &str) -> Vec<(String, String)> {
        let Some(params) = self.by_name.get(tool) else {
            return Vec::new();
        };
        #[derive(serde::Deserialize)]
        struct Call {
            params: Arguments,
        }
        #[derive(serde::Deserialize)]
        struct Arguments {
            #[serde(default)]
            arguments: Value,
        }
        let Ok(call) = serde_json::from_str::<Call>(call) else {
            return Vec::new();
        };
        let value_of = |param: &Param| {
            let value = param.path.iter().try_fold(&call.params.arguments, |value, key| value.get(key))?;
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Bool(flag) => Some(flag.to_string()),
                Value::Number(number) => Some(number.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            }
        };
        params.iter().filter_map(|param| Some((param.header.clone(), value_of(param)?))).collect()
    }
}

/// The answer with `kept` for its tools; nothing where it cannot be taken apart.
fn rewrite(answer: &str, result: &[(String, &RawValue)], kept: &[&str]) -> Option<String> {
    let Members(message) = serde_json::from_str(answer).ok()?;
    let tools = format!("[{}]", kept.join(","));
    let result = object(result, "tools", &tools)?;
    object(&message, "result", &result)
}

fn object(members: &[(String, &RawValue)], replaced: &str, by: &str) -> Option<String> {
    let mut text = String::from("{");
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name).ok()?);
        text.push(':');
        text.push_str(if name == replaced { by } else { value.get() });
    }
    text.push('}');
    Some(text)
}

/// The annotations of an input schema, or the rule that they break.
fn annotations(schema: &Value) -> Result<Vec<Param>, String> {
    if schema.get(ANNOTATION).is_some() || off_path(schema, true) {
        return Err(format!("{ANNOTATION} must annotate a property that `properties` alone lead to"));
    }
    let mut params = Vec::new();
    collect(schema, &mut Vec::new(), &mut params)?;
    let mut seen = BTreeSet::new();
    for param in &params {
        if !seen.insert(param.header.to_ascii_lowercase()) {
            return Err(format!("{ANNOTATION} {:?} is used twice", param.header));
        }
    }
    Ok(params)
}

fn collect(schema: &Value, path: &mut Vec<String>, params: &mut Vec<Param>) -> Result<(), String> {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Ok(());
    };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(header) = property.get(ANNOTATION) {
            let at = path.join(".");
            let header = header
                .as_str()
                .filter(|header| is_token(header))
                .ok_or_else(|| format!("{ANNOTATION} of `{at}` is not the name of a header"))?;
            if !matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
                return Err(format!("{ANNOTATION} of `{at}` needs the type string, integer or boolean"));
            }
            params.push(Param { path: path.clone(), header: header.to_owned() });
        }
        collect(property, path, params)?;
        path.pop();
    }
    Ok(())
}

/// Whether a schema holds an annotation where no plain path of properties leads. `on_path`: this schema is reached so.
fn off_path(schema: &Value, on_path: bool) -> bool {
    let each = |value: &Value, on_path: bool| match value {
        Value::Object(map) => map.values().any(|schema| off_path(schema, on_path)),
        _ => false,
    };
    match schema {
        Value::Object(map) => map.iter().any(|(key, value)| match key.as_str() {
            ANNOTATION => !on_path,
            "properties" => each(value, on_path),
            "$defs" | "definitions" | "dependentSchemas" | "patternProperties" => each(value, false),
            // Values, not schemas.
            "default" | "const" | "enum" | "examples" => false,
            _ => off_path(value, false),
        }),
        Value::Array(items) => items.iter().any(|item| off_path(item, false)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tools: &str) -> String {
        format!(r#"{{"id":1, "jsonrpc":"2.0","result":{{"ttlMs":5,"tools":{tools},"x":{{"b":1,"a":2}}}}}}"#)
    }

    fn tool(name: &str, properties: &str) -> String {
        format!(r#"{{"name":"{name}","z":1.0, "inputSchema":{{"type":"object","properties":{properties}}}}}"#)
    }

    fn call(arguments: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#)
    }

    #[test]
    fn annotated_arguments_travel_as_headers() {
        let mut tools = Tools::default();
        let properties = r#"{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"on":{"type":"boolean","x-mcp-header":"On"},"free":{"type":"string"},"in":{"type":"object","properties":{"er":{"type":"string","x-mcp-header":"Inner"}}}}"#;
        assert_eq!(tools.learn(&answer(&format!("[{}]", tool("t", properties)))), Learned::default());
        let mut got = tools.arguments("t", &call(r#"{"region":"eu","n":-3,"on":true,"free":"x","in":{"er":"é"}}"#));
        got.sort();
        let want = [("Inner", "é"), ("N", "-3"), ("On", "true"), ("Region", "eu")];
        assert_eq!(got, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(tools.arguments("t", &call(r#"{"region":null,"n":[1]}"#)), []);
        assert_eq!(tools.arguments("other", &call("{}")), []);
        tools.learn(&answer(&format!("[{}]", tool("t", "{}"))));
        assert_eq!(tools.arguments("t", &call(r#"{"region":"eu"}"#)), []);
    }

    #[test]
    fn a_tool_that_breaks_the_rules_is_left_out_and_the_rest_untouched() {
        for (properties, reason) in [
            (r#"{"a":{"type":"string","x-mcp-header":""}}"#, "x-mcp-header of `a` is not the name of a header"),
            (r#"{"a":{"type":"string","x-mcp-header":"a b"}}"#, "x-mcp-header of `a` is not the name of a header"),
            (r#"{"a":{"type":"string","x-mcp-header":1}}"#, "x-mcp-header of `a` is not the name of a header"),
            (
                r#"{"a":{"type":"number","x-mcp-header":"A"}}"#,
                "x-mcp-header of `a` needs the type string, integer or boolean",
            ),
            (
                r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#,
                "x-mcp-header \"a\" is used twice",
            ),
            (
                r#"{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}"#,
                "x-mcp-header must annotate a property that `properties` alone lead to",
            ),
        ] {
            let good = tool("good", r#"{"a":{"type":"string","default":{"x-mcp-header":1}}}"#);
            let learned = Tools::default().learn(&answer(&format!("[{good} , {}]", tool("bad", properties))));
            assert_eq!(learned.rejected, [format!("bad: {reason}")]);
            let want =
                format!(r#"{{"id":1,"jsonrpc":"2.0","result":{{"ttlMs":5,"tools":[{good}],"x":{{"b":1,"a":2}}}}}}"#);
            assert_eq!(learned.rewritten, Some(want));
        }
    }
}
