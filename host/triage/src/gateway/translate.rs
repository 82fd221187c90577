//! Between the eras of the protocol, and between a server's own names and those that a caller sees. Pure.

use fumehood_store::outside::McpServer;
use serde_json::{Map, Value, json};

/// Fields of results that the newer era asks for.
const LISTED: [&str; 5] =
    ["tools/list", "resources/list", "resources/templates/list", "resources/read", "prompts/list"];

/// A result as a client of the newer era takes it.
pub fn for_modern(method: &str, result: &mut Value) {
    let Value::Object(fields) = result else { return };
    fields.entry("resultType").or_insert_with(|| "complete".into());
    if LISTED.contains(&method) || method == "server/discover" {
        // Nothing says for how long an older server's answer holds.
        fields.entry("ttlMs").or_insert_with(|| 0.into());
        fields.entry("cacheScope").or_insert_with(|| "private".into());
    }
}

/// A result as a client of the older era takes it.
pub fn for_legacy(result: &mut Value) {
    let Value::Object(fields) = result else { return };
    for field in ["resultType", "ttlMs", "cacheScope"] {
        fields.remove(field);
    }
}

/// The scheme that stands before a server's own URIs where several servers are one: `time+file:///a`.
pub fn scheme(server: &McpServer) -> String {
    scheme_of(&server.slug)
}

/// The same, by the server's name in tool names.
pub fn scheme_of(slug: &str) -> String {
    let slug = slug.replace('_', "-");
    // A scheme begins with a letter.
    // A slug has no point, so that no other server's scheme is the same.
    if slug.starts_with(|c: char| c.is_ascii_alphabetic()) { slug } else { format!("n.{slug}") }
}

/// Put the server's scheme before every URI of a result: of resources, links to them and what is embedded.
pub fn prefix_uris(value: &mut Value, scheme: &str) {
    match value {
        Value::Object(fields) => {
            for key in ["uri", "uriTemplate"] {
                if let Some(Value::String(uri)) = fields.get_mut(key) {
                    *uri = format!("{scheme}+{uri}");
                }
            }
            for key in ["content", "contents", "resources", "resourceTemplates", "resource", "messages"] {
                if let Some(inner) = fields.get_mut(key) {
                    prefix_uris(inner, scheme);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prefix_uris(item, scheme)),
        _ => {}
    }
}

/// What the older era's server says of itself, as the newer era's `server/discover` has it; and the other way round.
pub fn discovered(facts: &Value, versions: &[&str]) -> Value {
    let mut result = Map::new();
    result.insert("resultType".into(), "complete".into());
    result.insert("supportedVersions".into(), json!(versions));
    result.insert("capabilities".into(), facts.get("capabilities").cloned().unwrap_or_else(|| json!({})));
    let of_old = facts.get("serverInfo").cloned();
    let info = of_old.or_else(|| facts.pointer("/_meta/io.modelcontextprotocol~1serverInfo").cloned());
    let info = info.unwrap_or_else(|| json!({"name": "unknown", "version": "0"}));
    result.insert("_meta".into(), json!({"io.modelcontextprotocol/serverInfo": info}));
    result.insert("ttlMs".into(), facts.get("ttlMs").cloned().unwrap_or_else(|| 0.into()));
    result.insert("cacheScope".into(), facts.get("cacheScope").cloned().unwrap_or_else(|| "private".into()));
    Value::Object(result)
}

/// The answer to `initialize`, from what the server said of itself in either era.
pub fn initialized(facts: &Value, version: &str) -> Value {
    let mut capabilities = facts.get("capabilities").cloned().unwrap_or_else(|| json!({}));
    if let Value::Object(fields) = &mut capabilities {
        // Tasks are passed on in the newer era only.
        fields.remove("extensions");
        fields.remove("tasks");
    }
    let discovered = discovered(facts, &[]);
    let info = discovered.pointer("/_meta/io.modelcontextprotocol~1serverInfo").cloned().unwrap_or_default();
    json!({"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
}

/// What a client of the newer era is asked, when its server of the older era asks it: one question under one key.
pub fn input_required(key: &str, method: &str, params: &Value, state: &str) -> Value {
    json!({"resultType": "input_required", "inputRequests": {key: {"method": method, "params": params}}, "requestState": state})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_fit_the_era_of_their_reader() {
        let mut result = json!({"tools": [], "x": 1});
        for_modern("tools/list", &mut result);
        assert_eq!(result, json!({"tools": [], "x": 1, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}));
        for_legacy(&mut result);
        assert_eq!(result, json!({"tools": [], "x": 1}));
        let mut call = json!({"content": [], "resultType": "input_required"});
        for_modern("tools/call", &mut call);
        assert_eq!(call["resultType"], "input_required");
    }

    #[test]
    fn what_servers_say_of_themselves_is_said_in_both_eras() {
        let old = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "a", "version": "1"}});
        let new = discovered(&old, &["2026-07-28"]);
        assert_eq!(new.pointer("/_meta/io.modelcontextprotocol~1serverInfo/name"), Some(&json!("a")));
        let again = initialized(&new, "2025-06-18");
        assert_eq!(again["serverInfo"], old["serverInfo"]);
        assert_eq!(again["protocolVersion"], "2025-06-18");
    }

    #[test]
    fn uris_of_several_servers_stay_apart() {
        let mut result = json!({"content": [{"type": "resource", "resource": {"uri": "file:///a", "text": "uri"}},
            {"type": "resource_link", "uri": "x:y"}, {"type": "text", "text": "uri"}], "uri": 7});
        prefix_uris(&mut result, "time");
        assert_eq!(result.pointer("/content/0/resource/uri"), Some(&json!("time+file:///a")));
        assert_eq!(result.pointer("/content/1/uri"), Some(&json!("time+x:y")));
    }
}
