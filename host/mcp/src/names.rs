//! Names of tools towards the model, and pins of tool objects. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::bounded;

/// Longest name that providers accept.
const LONGEST: usize = 64;

/// A name of which nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” has no letter or digit (of a–z, 0–9) to name its tools by; add one")]
pub struct BadName(String);

/// Two tools that would be called the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the tools {} and {} would both be called {name}; neither is offered to the model. Rename one of them on its server",
    quoted(.first, .first_server, .second_server),
    quoted(.second, .second_server, .first_server)
)]
pub struct Collision {
    pub first_server: String,
    pub first: String,
    pub second_server: String,
    pub second: String,
    pub name: String,
}

/// A tool's own name, with its server's where the other one's differs.
fn quoted(tool: &str, server: &str, other: &str) -> String {
    let tool = bounded(tool);
    if server == other { format!("“{tool}”") } else { format!("“{tool}” of {server}") }
}

/// Lower case, everything but letters and digits one `_`, none at the ends.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// A server's part of tool names.
///
/// # Errors
/// [`BadName`] where nothing is left.
pub fn slug(name: &str) -> Result<String, BadName> {
    let slug = plain(name);
    if slug.is_empty() { Err(BadName(name.chars().take(40).collect())) } else { Ok(slug) }
}

/// `mcp_{server}_{tool}`; a name over 64 characters is cut and ends in a hash of the whole, so that it stays one of its
/// own and stays the same.
pub fn tool_name(server_slug: &str, tool: &str) -> String {
    let name = format!("mcp_{server_slug}_{}", plain(tool));
    let name = name.trim_end_matches('_').to_owned();
    if name.len() <= LONGEST {
        return name;
    }
    let hash = Sha256::digest(format!("{server_slug}\0{tool}").as_bytes());
    let suffix: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let head = name.get(..LONGEST - suffix.len() - 1).unwrap_or(&name).trim_end_matches('_');
    format!("{head}_{suffix}")
}

/// The names of all tools of all servers, in order: given each server's slug and its tools. Of tools that would be called
/// the same none gets a name: which one a model meant could not be told.
pub fn assign(servers: &[(String, Vec<String>)]) -> Vec<Result<String, Collision>> {
    let tools = || servers.iter().flat_map(|(server, tools)| tools.iter().map(move |tool| (server, tool)));
    let mut called: HashMap<String, Vec<(&String, &String)>> = HashMap::new();
    for (server, tool) in tools() {
        called.entry(tool_name(server, tool)).or_default().push((server, tool));
    }
    let name = |(server, tool): (&String, &String)| {
        let name = tool_name(server, tool);
        match called.get(&name).map(Vec::as_slice) {
            Some([(first_server, first), (second_server, second), ..]) => Err(Collision {
                first_server: (*first_server).clone(),
                first: (*first).clone(),
                second_server: (*second_server).clone(),
                second: (*second).clone(),
                name,
            }),
            _ => Ok(name),
        }
    };
    tools().map(name).collect()
}

/// The pin of a tool: SHA-256 of the whole raw object as compact JSON with sorted keys (what `jq -cS` prints), so that
/// any change of any field shows, and none of their order does.
pub fn tool_sha256(raw: &Value) -> [u8; 32] {
    let mut text = String::new();
    canonical(raw, &mut text);
    Sha256::digest(text.as_bytes()).into()
}

/// Depth is bounded by the parser, which takes 128 levels.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                // Writing to a string cannot fail.
                let _ = write!(out, "{}:", Value::from(key.as_str()));
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn names_are_as_agreed() {
        assert_eq!(slug("Prod  Grafana (EU)").unwrap(), "prod_grafana_eu");
        assert_eq!(tool_name("time", "get_current_time"), "mcp_time_get_current_time");
        assert_eq!(tool_name("time", "--Get.Current//Time--"), "mcp_time_get_current_time");
        assert!(slug("…").is_err());
        let named = assign(&[("s".into(), vec!["a-b".into(), "c".into(), "A b".into()])]);
        assert_eq!(named[1].as_deref(), Ok("mcp_s_c"));
        assert_eq!(named[0], named[2]);
        let collision = named[0].clone().unwrap_err();
        assert_eq!(
            collision.to_string(),
            "the tools “a-b” and “A b” would both be called mcp_s_a_b; neither is offered to the model. Rename one of them on its server"
        );
    }

    #[test]
    fn names_collide_across_servers_too() {
        let servers =
            [("a".to_owned(), vec!["b_c".to_owned()]), ("a_b".to_owned(), vec!["d".to_owned(), "c".to_owned()])];
        let named = assign(&servers);
        assert_eq!(named[1].as_deref(), Ok("mcp_a_b_d"));
        let collision = named[2].clone().unwrap_err();
        assert_eq!((collision.first_server.as_str(), collision.second.as_str()), ("a", "c"));
        assert!(
            collision.to_string().starts_with("the tools “b_c” of a and “c” of a_b would both be called mcp_a_b_c;")
        );
        let names = assign(&[("a".into(), vec!["x".into()]), ("b".into(), vec!["x".into()])]);
        assert_eq!(names, [Ok("mcp_a_x".to_owned()), Ok("mcp_b_x".to_owned())]);
    }

    #[test]
    fn a_pin_is_the_hash_that_other_tools_make() {
        let tool: Value = serde_json::from_str(r#"{"b":[1,{"z":null,"a":"é\n"}],"a":{}}"#).unwrap();
        let expected: [u8; 32] = Sha256::digest("{\"a\":{},\"b\":[1,{\"a\":\"é\\n\",\"z\":null}]}".as_bytes()).into();
        assert_eq!(tool_sha256(&tool), expected);
    }

    #[test]
    fn any_change_of_a_tool_changes_its_pin() {
        let tool = json!({"name": "a", "description": "b", "inputSchema": {"type": "object", "properties": {"x": {"type": "string"}}}});
        let pin = tool_sha256(&tool);
        let reordered: Value = serde_json::from_str(
            r#"{"inputSchema":{"properties":{"x":{"type":"string"}},"type":"object"},"description":"b","name":"a"}"#,
        )
        .unwrap();
        assert_eq!(tool_sha256(&reordered), pin);
        for changed in [
            json!({"name": "a", "description": "b ", "inputSchema": {"type": "object", "properties": {"x": {"type": "string"}}}}),
            json!({"name": "a", "description": "b", "inputSchema": {"type": "object", "properties": {"x": {"type": "number"}}}}),
            json!({"name": "a", "description": "b", "x-new": 1, "inputSchema": {"type": "object", "properties": {"x": {"type": "string"}}}}),
        ] {
            assert_ne!(tool_sha256(&changed), pin);
        }
    }

    /// JSON of every shape.
    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_name_is_one_that_providers_take(server in "[a-z0-9]{1,20}(_[a-z0-9]{1,20}){0,4}", tool in "\\PC{0,120}") {
            let name = tool_name(&server, &tool);
            prop_assert!(name.len() <= LONGEST);
            prop_assert!(name.starts_with("mcp_"));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            prop_assert_eq!(&name, &tool_name(&server, &tool));
        }

        #[test]
        fn a_slug_is_its_own_slug(name in "\\PC{0,60}") {
            if let Ok(slug) = slug(&name) {
                prop_assert!(!slug.contains("__") && !slug.starts_with('_') && !slug.ends_with('_'));
                prop_assert_eq!(super::slug(&slug), Ok(slug.clone()));
            } else {
                prop_assert!(!name.chars().any(|c| c.is_ascii_alphanumeric()));
            }
        }

        #[test]
        fn long_names_that_differ_anywhere_stay_apart(tool in "[a-z]{70,90}", other in "[a-z]{70,90}") {
            prop_assume!(tool != other);
            prop_assert_ne!(tool_name("srv", &tool), tool_name("srv", &other));
        }

        #[test]
        fn names_are_assigned_or_collide(tools in proptest::collection::vec("[a-c_. -]{1,3}", 0..8)) {
            let named: Vec<String> = tools.iter().map(|tool| tool_name("s", tool)).collect();
            for (at, name) in assign(&[("s".into(), tools.clone())]).into_iter().enumerate() {
                let same = named.iter().filter(|other| **other == named[at]).count();
                match name {
                    Ok(name) => prop_assert_eq!((&name, same), (&named[at], 1)),
                    Err(collision) => {
                        prop_assert!(same > 1);
                        prop_assert_eq!(&collision.name, &named[at]);
                        prop_assert_eq!(tool_name("s", &collision.first), tool_name("s", &collision.second));
                    }
                }
            }
        }

        #[test]
        fn canonical_json_says_the_same_and_equal_pins_mean_equal_tools(a in json_value(), b in json_value()) {
            let mut text = String::new();
            canonical(&a, &mut text);
            prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &a);
            prop_assert_eq!(tool_sha256(&a) == tool_sha256(&b), a == b);
        }
    }
}
