//! JSON-RPC messages, raw: what is not known is passed on. Pure.

use serde_json::{Map, Value, json};

/// Longest id of a request, bytes.
const ID: usize = 256;

pub const PARSE: i64 = -32700;
pub const INVALID_REQUEST: i64 = -32600;
pub const METHOD_NOT_FOUND: i64 = -32601;
pub const INVALID_PARAMS: i64 = -32602;
pub const INTERNAL: i64 = -32603;
/// The resource is not known; of the older era.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
pub const HEADER_MISMATCH: i64 = -32020;
pub const MISSING_CAPABILITY: i64 = -32021;
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// An error of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

impl RpcError {
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    #[must_use]
    pub fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The member `error` of an answer.
    pub fn to_value(&self) -> Value {
        match &self.data {
            Some(data) => json!({"code": self.code, "message": self.message, "data": data}),
            None => json!({"code": self.code, "message": self.message}),
        }
    }
}

/// One message of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Request {
        id: Value,
        method: String,
        params: Map<String, Value>,
    },
    Notification {
        method: String,
        params: Value,
    },
    /// What the client answers to a question of ours: a result or an error.
    Response {
        id: Value,
        answer: Result<Value, Value>,
    },
}

/// Read one message.
///
/// # Errors
/// What is wrong with it, and the id of the request that it was meant to be, as far as that is known.
pub fn read(body: &[u8]) -> Result<Message, (Value, RpcError)> {
    let refuse = |id: Value, code, text: &str| Err((id, RpcError::new(code, text)));
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return refuse(Value::Null, PARSE, "the body is no JSON; send one JSON-RPC message");
    };
    let Value::Object(mut message) = value else {
        return refuse(Value::Null, INVALID_REQUEST, "the body is not one JSON-RPC message; batches are not taken");
    };
    let id = message.remove("id");
    let known = id.clone().filter(is_id);
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return refuse(known.unwrap_or_default(), INVALID_REQUEST, "`jsonrpc` is not \"2.0\"");
    }
    if let Some(method) = message.remove("method") {
        let Value::String(method) = method else {
            return refuse(known.unwrap_or_default(), INVALID_REQUEST, "`method` is no text");
        };
        let params = message.remove("params");
        return match (id, params) {
            (None, params) => Ok(Message::Notification { method, params: params.unwrap_or_default() }),
            (Some(id), None) if is_id(&id) => Ok(Message::Request { id, method, params: Map::new() }),
            (Some(id), Some(Value::Object(params))) if is_id(&id) => Ok(Message::Request { id, method, params }),
            (Some(id), _) if is_id(&id) => refuse(id, INVALID_PARAMS, "`params` is no object"),
            _ => refuse(Value::Null, INVALID_REQUEST, "`id` is a number or a text of at most 256 bytes"),
        };
    }
    match (known, message.remove("result"), message.remove("error")) {
        (Some(id), Some(result), None) => Ok(Message::Response { id, answer: Ok(result) }),
        (Some(id), None, Some(error)) => Ok(Message::Response { id, answer: Err(error) }),
        (id, ..) => refuse(id.unwrap_or_default(), INVALID_REQUEST, "the message is neither request nor answer"),
    }
}

fn is_id(id: &Value) -> bool {
    match id {
        Value::Number(_) => true,
        Value::String(text) => text.len() <= ID,
        _ => false,
    }
}

/// An answer, around a result that is JSON already.
pub fn answer(id: &Value, result: &Result<String, RpcError>) -> String {
    match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(error) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_value()),
    }
}

pub fn notification(method: &str, params: &Value) -> String {
    match params {
        Value::Null => json!({"jsonrpc": "2.0", "method": method}),
        params => json!({"jsonrpc": "2.0", "method": method, "params": params}),
    }
    .to_string()
}

pub fn request(id: &Value, method: &str, params: &Value) -> String {
    match params {
        Value::Null => json!({"jsonrpc": "2.0", "id": id, "method": method}),
        params => json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(body: &str) -> i64 {
        read(body.as_bytes()).unwrap_err().1.code
    }

    #[test]
    fn messages_are_told_apart() {
        assert!(matches!(
            read(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
            Ok(Message::Request { method, params, .. }) if method == "ping" && params.is_empty()
        ));
        assert!(matches!(read(br#"{"jsonrpc":"2.0","method":"a"}"#), Ok(Message::Notification { .. })));
        assert!(matches!(read(br#"{"jsonrpc":"2.0","id":"a","result":null}"#), Ok(Message::Response { .. })));
        assert_eq!(code("{"), PARSE);
        for wrong in [
            "[]",
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
        ] {
            assert_eq!(code(wrong), INVALID_REQUEST, "{wrong}");
        }
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#), INVALID_PARAMS);
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = read(&body);
            let _ = read(format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"x"}}"#).as_bytes());
        }

        #[test]
        fn what_is_written_can_be_read(id in any::<i64>(), text in "\\PC{0,20}") {
            let ok = answer(&id.into(), &Ok(json!({"t": text}).to_string()));
            let expected = Message::Response { id: id.into(), answer: Ok(json!({"t": text})) };
            prop_assert_eq!(read(ok.as_bytes()).unwrap(), expected);
            let ask = request(&text.clone().into(), "m", &json!({"a": id}));
            let is_request = matches!(read(ask.as_bytes()).unwrap(), Message::Request { .. });
            prop_assert!(is_request);
        }
    }
}
