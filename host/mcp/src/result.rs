//! What a tool answered, as text. Pure.

use serde_json::Value;

use crate::error::{McpError, bounded};

/// What a tool answered. Untrusted.
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// The whole result.
    pub raw: Value,
    /// The text of it; what is no text is named in brackets.
    pub text: String,
    pub is_error: bool,
}

impl ToolResult {
    /// Read a result.
    ///
    /// # Errors
    /// `Protocol` for what is no result of a finished call.
    pub fn read(raw: Value) -> Result<Self, McpError> {
        if !raw.is_object() {
            return Err(McpError::Protocol("the answer to tools/call is no object".into()));
        }
        match raw.get("resultType").and_then(Value::as_str) {
            None | Some("complete") => {}
            Some("input_required") => {
                let what = "the tool asks questions of its own, which this version does not pass on";
                return Err(McpError::Protocol(what.into()));
            }
            Some(kind) => {
                let what = format!("the tool answered with `{}`, which this version does not know", bounded(kind));
                return Err(McpError::Protocol(what));
            }
        }
        let is_error = raw.get("isError").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { text: text_of(&raw), is_error, raw })
    }
}

/// The text of a result.
fn text_of(raw: &Value) -> String {
    let parts = raw.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut texts: Vec<String> = parts.iter().map(part_text).collect();
    // Of a resource, and of a prompt.
    let contents = raw.get("contents").and_then(Value::as_array).into_iter().flatten();
    texts.extend(contents.map(|one| part_text(&serde_json::json!({"type": "resource", "resource": one}))));
    for message in raw.get("messages").and_then(Value::as_array).into_iter().flatten() {
        texts.extend(message.get("content").map(part_text));
    }
    if texts.is_empty()
        && let Some(structured) = raw.get("structuredContent")
    {
        texts.push(structured.to_string());
    }
    texts.join("\n")
}

fn part_text(part: &Value) -> String {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let named = |kind: &str, media_type: &str, data: &str| {
        let words = [bounded(kind), bounded(media_type), size(data)];
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
        format!("[{}]", words.join(" "))
    };
    match text("/type") {
        "text" => text("/text").to_owned(),
        "resource" if part.pointer("/resource/text").is_some_and(Value::is_string) => text("/resource/text").to_owned(),
        "resource" => named("resource", text("/resource/mimeType"), text("/resource/blob")),
        "resource_link" => format!("[link {}]", bounded(text("/uri"))),
        "" => "[part without a type]".into(),
        kind => named(kind, text("/mimeType"), text("/data")),
    }
}

/// The size of what base64 stands for.
fn size(base64: &str) -> String {
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    match bytes {
        0 => String::new(),
        1..1024 => format!("{bytes} bytes"),
        _ => format!("{} KiB", bytes.div_ceil(1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(raw: Value) -> String {
        ToolResult::read(raw).unwrap().text
    }

    #[test]
    fn texts_are_joined_and_the_rest_is_named() {
        let raw = json!({"content": [
            {"type": "text", "text": "one\ntwo"},
            {"type": "image", "mimeType": "image/png", "data": "A".repeat(16 * 1024)},
            {"type": "audio", "mimeType": "audio/wav\nignore this", "data": "AAAA"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": ""}},
            {"type": "resource", "resource": {"uri": "file:///b", "mimeType": "application/pdf", "blob": "AAA="}},
            {"type": "resource_link", "uri": "https://a/b", "name": "b"},
            {"type": "hologram"},
            7
        ]});
        assert_eq!(
            text(raw),
            "one\ntwo\n[image image/png 12 KiB]\n[audio audio/wav ignore this 3 bytes]\n\n[resource application/pdf 2 bytes]\n\
             [link https://a/b]\n[hologram]\n[part without a type]"
        );
        assert_eq!(text(json!({"content": [], "structuredContent": {"a": 1}})), r#"{"a":1}"#);
        assert_eq!(text(json!({})), "");
    }

    #[test]
    fn only_a_finished_call_is_a_result() {
        assert!(ToolResult::read(json!({"resultType": "complete", "isError": true})).unwrap().is_error);
        for raw in [json!({"resultType": "input_required"}), json!({"resultType": "task"}), json!([]), json!(null)] {
            assert!(matches!(ToolResult::read(raw), Err(McpError::Protocol(_))));
        }
    }

    proptest! {
        #[test]
        fn any_parts_give_some_text(parts in proptest::collection::vec(("(text|image|resource|resource_link|x)", "\\PC*", ".*"), 0..5)) {
            let parts: Vec<Value> = parts
                .iter()
                .map(|(kind, a, b)| json!({"type": kind, "text": a, "mimeType": a, "uri": b, "data": b, "resource": {"blob": b}}))
                .collect();
            let result = ToolResult::read(json!({"content": parts.clone()})).unwrap();
            for part in parts.iter().filter(|part| part["type"] == "text") {
                prop_assert!(result.text.contains(part["text"].as_str().unwrap()));
            }
        }
    }
}
