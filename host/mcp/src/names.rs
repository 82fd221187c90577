//! Names of tools towards the model, and pins of tool objects. Pure.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Longest name that providers accept.
const LONGEST: usize = 64;

/// A name of which nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” has no letter or digit (of a–z, 0–9) to name its tools by; add one")]
pub struct BadName(String);

/// Two tools that would be called the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tools “{first}” and “{second}” would both be called {name}; neither is offered to the model. Rename one of them on its server")]
pub struct Collision {
    pub first: String,
    pub second: String,
    pub name: String,
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

/// The names of all tools, in order.
///
/// # Errors
/// [`Collision`]: the first two tools that would be called the same.
pub fn assign(servers: &[(String, Vec<String>)]) -> Result<Vec<String>, Collision> {
    let mut taken: std::collections::HashMap<String, &String> = std::collections::HashMap::new();
    let mut names = Vec::new();
    for (server, tools) in servers {
        for tool in tools {
            let name = tool_name(server, tool);
            if let Some(first) = taken.insert(name.clone(), tool) {
                return Err(Collision { first: first.clone(), second: tool.clone(), name });
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// The pin of a tool: SHA-256 of the whole raw object with its keys in order, so that any change of any field shows.
pub fn tool_sha256(raw: &Value) -> [u8; 32] {
    let mut text = String::new();
    canonical(raw, &mut text);
    Sha256::digest(text.as_bytes()).into()
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(map.get(key).unwrap_or(&Value::Null), out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
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
        let collision = assign(&[("s".into(), vec!["a-b".into(), "c".into(), "A b".into()])]).unwrap_err();
        assert_eq!(
            collision.to_string(),
            "the tools “a-b” and “A b” would both be called mcp_s_a_b; neither is offered to the model. Rename one of them on its server"
        );
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

    proptest! {
        #[test]
        fn a_name_is_one_that_providers_take(server in "[a-z0-9_]{1,40}", tool in "\\PC{0,120}") {
            let name = tool_name(&server, &tool);
            prop_assert!(name.len() <= LONGEST);
            prop_assert!(name.starts_with("mcp_"));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            prop_assert_eq!(&name, &tool_name(&server, &tool));
        }
    }
}
