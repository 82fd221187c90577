//! A look into JSON-RPC messages, without taking them apart: what is passed on stays the bytes that came.
//!
//! Invariant: a message that names a member twice is no message, because two readers could then see two messages.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The id of a request, comparable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RpcId {
    /// A number, as it was written.
    Number(String),
    /// A string, without its escapes.
    Text(String),
}

impl RpcId {
    /// From JSON; nothing for what is no id.
    pub fn parse(raw: &str) -> Option<Self> {
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok().map(Self::Text),
            b'-' | b'0'..=b'9' => Some(Self::Number(raw.to_owned())),
            _ => None,
        }
    }

    /// The number that this string spells: some servers answer `1` with `"1"`.
    pub fn as_number(&self) -> Option<Self> {
        match self {
            Self::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Self::Number(text.clone()))
            }
            _ => None,
        }
    }
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The members of a message.
#[derive(Debug, Clone, Deserialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: &'a RawValue,
    /// As written; `null` counts as none.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// The method, of a request or notification.
    #[serde(default)]
    pub method: Option<String>,
    /// Its parameters.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
    /// Of a response; present even where it is `null`.
    #[serde(borrow, default, deserialize_with = "present")]
    pub result: Option<&'a RawValue>,
    /// Of a response.
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method alone.
    Notification,
    /// Has a result or an error.
    Answer,
}

impl<'a> Message<'a> {
    /// One message; nothing for anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        let message: Self = serde_json::from_str(text).ok()?;
        (message.jsonrpc.get() == "\"2.0\"" && message.kind().is_some()).then_some(message)
    }

    /// What it is; nothing where it is neither.
    pub fn kind(&self) -> Option<Kind> {
        match (&self.method, self.id, self.result.or(self.error)) {
            (Some(_), Some(_), None) => Some(Kind::Request),
            (Some(_), None, None) => Some(Kind::Notification),
            (None, _, Some(_)) if self.result.is_none() || self.error.is_none() => Some(Kind::Answer),
            _ => None,
        }
    }

    /// Its id, comparable.
    pub fn rpc_id(&self) -> Option<RpcId> {
        self.id.and_then(|raw| RpcId::parse(raw.get()))
    }
}

/// The messages in a body: one, or the members of a batch (revision 2025-03-26). Nothing where it is not JSON.
pub fn split(body: &str) -> Option<Vec<&str>> {
    let body = body.trim_start_matches('\u{feff}').trim_ascii();
    if body.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(body).ok()?;
        return Some(items.into_iter().map(RawValue::get).collect());
    }
    serde_json::from_str::<&RawValue>(body).ok().map(|raw| vec![raw.get()])
}

/// The members of the parameters that this transport looks at.
#[derive(Debug, Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "taskId")]
    task_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    task: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: String,
}

/// What this transport needs to know of a message of the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is.
    pub kind: Kind,
    /// The id as written, of a request.
    pub id_json: Option<String>,
    /// The same, comparable.
    pub id: Option<RpcId>,
    /// The method, of a request or notification; empty for an answer.
    pub method: String,
    /// The protocol version in `_meta`, as every request of the newer era carries it.
    pub version: Option<String>,
    /// What it is about, for `Mcp-Name`: the tool, prompt, resource or task.
    pub name: Option<String>,
    /// The request that `notifications/cancelled` names.
    pub cancels: Option<RpcId>,
    /// Leaves something behind in a session that a new session would not have.
    pub leaves_state: bool,
}

impl Outgoing {
    /// Read a message of the client's.
    pub fn parse(text: &str) -> Option<Self> {
        let message = Message::parse(text)?;
        let kind = message.kind()?;
        let id = message.rpc_id();
        if kind == Kind::Request && id.is_none() {
            return None;
        }
        let params: Params<'_> =
            message.params.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let method = message.method.unwrap_or_default();
        let name = match method.as_str() {
            "tools/call" | "prompts/get" => params.name,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => params.uri,
            "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => params.task_id,
            _ => None,
        };
        let cancels = match method.as_str() {
            "notifications/cancelled" => params.request_id.and_then(|raw| RpcId::parse(raw.get())),
            _ => None,
        };
        Some(Self {
            kind,
            id_json: (kind == Kind::Request).then(|| message.id.map(|raw| raw.get().to_owned())).flatten(),
            id: (kind == Kind::Request).then_some(id).flatten(),
            version: params.meta.and_then(|raw| serde_json::from_str::<Meta>(raw.get()).ok()).map(|meta| meta.version),
            name: name.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            cancels,
            leaves_state: params.task.is_some()
                || matches!(method.as_str(), "resources/subscribe" | "logging/setLevel"),
            method,
        })
    }

    /// Whether it waits for an answer.
    pub fn is_request(&self) -> bool {
        self.kind == Kind::Request
    }
}

/// A JSON-RPC error of our own, for a request that will get no answer. `cause` is a failure code, found again under
/// `error.data.transport`.
pub fn error(id_json: &str, code: i32, text: &str, cause: &str) -> Vec<u8> {
    let error = serde_json::json!({ "code": code, "message": text, "data": { "transport": cause } });
    format!(r#"{{"jsonrpc":"2.0","id":{id_json},"error":{error}}}"#).into_bytes()
}

/// The server's own error, under the id of the request that it answers.
pub fn error_for(id_json: &str, error: &RawValue) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id_json},"error":{}}}"#, error.get()).into_bytes()
}

/// Whether this is an error object as JSON-RPC has it.
pub fn is_error_object(error: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        code: i64,
        message: String,
    }
    serde_json::from_str::<Shape>(error.get()).is_ok_and(|shape| shape.code != 0 || !shape.message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        for (text, want) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#, Some(Kind::Request)),
            (r#"{"jsonrpc":"2.0","method":"a"}"#, Some(Kind::Notification)),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, Some(Kind::Notification)),
            (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, Some(Kind::Answer)),
            (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, Some(Kind::Answer)),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, None),
            (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, None),
            (r#"{"id":1,"method":"a"}"#, None),
            ("[]", None),
            ("1", None),
        ] {
            assert_eq!(Message::parse(text).and_then(|m| m.kind()), want, "{text}");
        }
    }

    #[test]
    fn what_a_request_is_about() {
        let out = Outgoing::parse(
            r#"{"jsonrpc":"2.0","id":"a\u0062","method":"tools/call","params":{"name":"café","arguments":{"name":1},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","x":1}}}"#,
        )
        .unwrap();
        assert_eq!(out.id, Some(RpcId::Text("ab".into())));
        assert_eq!(out.id_json.as_deref(), Some(r#""a\u0062""#));
        assert_eq!(out.name.as_deref(), Some("café"));
        assert_eq!(out.version.as_deref(), Some("2026-07-28"));
        let cancel =
            Outgoing::parse(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#)
                .unwrap();
        assert_eq!(cancel.cancels, Some(RpcId::Number("3".into())));
        assert_eq!(Outgoing::parse(r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#), None);
    }

    #[test]
    fn batches_are_split_and_single_messages_kept_as_written() {
        assert_eq!(split(" [ {\"a\": 1} ,2 ] "), Some(vec!["{\"a\": 1}", "2"]));
        assert_eq!(split("\u{feff}{ \"a\" :1}\n"), Some(vec!["{ \"a\" :1}"]));
        assert_eq!(split("<html>"), None);
        assert_eq!(split(""), None);
    }

    proptest! {
        #[test]
        fn an_error_of_ours_is_a_message(text in ".*", id in "[a-z\"\\\\]{0,5}") {
            let id_json = serde_json::to_string(&id).unwrap();
            let bytes = error(&id_json, -32603, &text, "timeout");
            let message = Message::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
            prop_assert_eq!(message.rpc_id(), Some(RpcId::Text(id)));
            prop_assert!(is_error_object(message.error.unwrap()));
        }

        #[test]
        fn anything_is_looked_at_without_panic(text in ".*") {
            let _ = Outgoing::parse(&text);
            let _ = split(&text);
        }
    }
}
