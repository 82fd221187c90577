//! What the headers of a request have to say in each era. Pure.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::rpc::{HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, RpcError, UNSUPPORTED_VERSION};

/// The first version without sessions.
pub const MODERN: &str = "2026-07-28";
/// Versions with sessions, newest first.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

pub const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
pub const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
pub const CLIENT_KEY: &str = "io.modelcontextprotocol/clientInfo";
pub const LOG_KEY: &str = "io.modelcontextprotocol/logLevel";

/// Methods of the older era only.
const GONE: [&str; 6] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/result"];
/// Methods of the newer era, beside the tasks extension.
const KNOWN: [&str; 10] = [
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "subscriptions/listen",
];
const TASKS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];

pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn meta<'a>(params: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    params.get("_meta").and_then(|meta| meta.get(key))
}

/// Whether a request is of the newer era: it says so in its header or in itself, or asks what only that era knows.
pub fn is_modern(headers: &HeaderMap, method: &str, params: &Map<String, Value>) -> bool {
    let newer = |version: &str| version >= MODERN;
    header(headers, "mcp-protocol-version").is_some_and(newer)
        || meta(params, VERSION_KEY).is_some_and(|version| version.as_str().is_none_or(newer))
        || method == "server/discover"
}

/// A request that is refused, with its HTTP status.
pub type Refusal = (u16, RpcError);

fn mismatch(message: impl Into<String>) -> Refusal {
    (400, RpcError::new(HEADER_MISMATCH, message))
}

/// Check a request of the newer era: version, headers, what it says of its client, and whether its method is known.
///
/// # Errors
/// The refusal, as the specification numbers it.
pub fn check(headers: &HeaderMap, method: &str, params: &Map<String, Value>) -> Result<(), Refusal> {
    let named = header(headers, "mcp-protocol-version");
    let said = meta(params, VERSION_KEY);
    match (named, said) {
        (None, _) => return Err(mismatch("the header MCP-Protocol-Version is missing")),
        (Some(_), None) => {}
        (Some(named), Some(said)) if said.as_str() == Some(named) => {}
        (Some(named), Some(said)) => {
            return Err(mismatch(format!("the header MCP-Protocol-Version is {named}, and `_meta` says {said}")));
        }
    }
    if let Some(named) = named.filter(|named| *named != MODERN) {
        let supported: Vec<&str> = std::iter::once(MODERN).chain(LEGACY).collect();
        let error = RpcError::new(UNSUPPORTED_VERSION, format!("version {named} of the protocol is not spoken here"));
        return Err((400, error.with(json!({"requested": named, "supported": supported}))));
    }
    match header(headers, "mcp-method") {
        Some(named) if named == method => {}
        Some(named) => return Err(mismatch(format!("the header Mcp-Method is {named}, and the request is {method}"))),
        None => return Err(mismatch("the header Mcp-Method is missing")),
    }
    if GONE.contains(&method) || !KNOWN.contains(&method) && !TASKS.contains(&method) {
        return Err((404, RpcError::new(METHOD_NOT_FOUND, format!("there is no method {method}"))));
    }
    if said.is_none() || !meta(params, CAPABILITIES_KEY).is_some_and(Value::is_object) {
        let what = format!("`_meta` needs {VERSION_KEY} and {CAPABILITIES_KEY}");
        return Err((400, RpcError::new(INVALID_PARAMS, what)));
    }
    let Some(key) = name_key(method) else { return Ok(()) };
    let Some(name) = params.get(key).and_then(Value::as_str) else { return Ok(()) };
    match header(headers, "mcp-name").map(decoded) {
        Some(Some(named)) if named == name => Ok(()),
        Some(_) => Err(mismatch(format!("the header Mcp-Name is not the `{key}` of the request"))),
        None => Err(mismatch("the header Mcp-Name is missing")),
    }
}

/// The parameter that the header `Mcp-Name` repeats.
fn name_key(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ if TASKS.contains(&method) => Some("taskId"),
        _ => None,
    }
}

/// The headers of a request of the newer era, as its sender sets them; `schema` is that of the tool that is called.
pub fn of_request(
    version: &str,
    method: &str,
    params: &Map<String, Value>,
    schema: Option<&Value>,
) -> Vec<(String, String)> {
    let mut headers =
        vec![("mcp-protocol-version".to_owned(), wrapped(version)), ("mcp-method".to_owned(), wrapped(method))];
    if let Some(name) = name_key(method).and_then(|key| params.get(key)).and_then(Value::as_str) {
        headers.push(("mcp-name".into(), wrapped(name)));
    }
    let mut asked = Vec::new();
    if let Some(schema) = schema {
        collect(schema, &mut Vec::new(), &mut asked);
    }
    for (path, name) in asked {
        let arguments = params.get("arguments").unwrap_or(&Value::Null);
        let value = path.iter().try_fold(arguments, |value, key| value.get(key));
        let text = match value {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
            _ => continue,
        };
        headers.push((format!("mcp-param-{}", name.to_lowercase()), wrapped(&text)));
    }
    headers
}

/// A value as it can stand in a header: wrapped, where it would not come through as it is.
fn wrapped(value: &str) -> String {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value;
    match plain && !value.starts_with("=?base64?") {
        true => value.to_owned(),
        false => format!("=?base64?{}?=", data_encoding::BASE64.encode(value.as_bytes())),
    }
}

/// The value of a header that may be wrapped: `=?base64?…?=`. Nothing where what is wrapped cannot be read.
fn decoded(value: &str) -> Option<String> {
    let Some(wrapped) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(value.to_owned());
    };
    String::from_utf8(data_encoding::BASE64.decode(wrapped.as_bytes()).ok()?).ok()
}

/// Check the headers that a tool's schema asks for (`x-mcp-header`) against the arguments.
///
/// # Errors
/// As [`check`].
pub fn check_parameters(headers: &HeaderMap, schema: &Value, params: &Map<String, Value>) -> Result<(), Refusal> {
    let mut asked = Vec::new();
    collect(schema, &mut Vec::new(), &mut asked);
    let nothing = Value::Null;
    let arguments = params.get("arguments").unwrap_or(&nothing);
    for (path, name) in asked {
        let value = path.iter().try_fold(arguments, |value, key| value.get(key)).filter(|value| !value.is_null());
        let header_name = format!("mcp-param-{}", name.to_lowercase());
        let given = headers.get(&header_name).map(|value| value.to_str().map(str::trim));
        match (value, given) {
            (None, None) => {}
            (None, Some(_)) => return Err(mismatch(format!("the header Mcp-Param-{name} has no argument"))),
            (Some(_), None) => return Err(mismatch(format!("the header Mcp-Param-{name} is missing"))),
            (Some(value), Some(given)) => {
                let given = given.ok().and_then(decoded);
                if given.is_none_or(|given| !says(&given, value)) {
                    return Err(mismatch(format!("the header Mcp-Param-{name} is not what the argument says")));
                }
            }
        }
    }
    Ok(())
}

/// Whether a header says what an argument is: numbers by their value.
fn says(given: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => given == text,
        Value::Bool(is) => given == if *is { "true" } else { "false" },
        Value::Number(number) => {
            given == number.to_string() || given.parse::<f64>().is_ok_and(|given| number.as_f64() == Some(given))
        }
        _ => false,
    }
}

/// The properties of a schema that are to be sent as headers: their path and the header's name.
fn collect(schema: &Value, path: &mut Vec<String>, asked: &mut Vec<(Vec<String>, String)>) {
    if path.len() > 16 || asked.len() > 64 {
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, property) in properties {
        path.push(key.clone());
        if let Some(name) = property.get("x-mcp-header").and_then(Value::as_str) {
            asked.push((path.clone(), name.to_owned()));
        }
        collect(property, path, asked);
        path.pop();
    }
}

/// The version that is spoken with a client of the older era that asked for one.
pub fn negotiated(asked: &str) -> &'static str {
    LEGACY.into_iter().find(|version| *version == asked).unwrap_or(LEGACY[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    fn said(version: &str) -> Map<String, Value> {
        object(json!({"name": "é", "_meta": {VERSION_KEY: version, CAPABILITIES_KEY: {}}}))
    }

    fn refused(pairs: &[(&str, &str)], method: &str, params: &Map<String, Value>) -> (u16, i64) {
        let (status, error) = check(&headers(pairs), method, params).unwrap_err();
        (status, error.code)
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_its_number() {
        let version = ("mcp-protocol-version", MODERN);
        let (list, call) = (("mcp-method", "tools/list"), ("mcp-method", "tools/call"));
        assert!(check(&headers(&[version, list]), "tools/list", &said(MODERN)).is_ok());
        let wrapped = ("mcp-name", "=?base64?w6k=?=");
        assert!(check(&headers(&[version, call, wrapped]), "tools/call", &said(MODERN)).is_ok());
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Map<String, Value>, (u16, i64));
        let cases: [Case<'_>; 9] = [
            (&[version], "tools/list", said(MODERN), (400, HEADER_MISMATCH)),
            (&[version, ("mcp-method", "TOOLS/LIST")], "tools/list", said(MODERN), (400, HEADER_MISMATCH)),
            (&[version, list], "tools/list", said("v999"), (400, HEADER_MISMATCH)),
            (&[("mcp-protocol-version", "v999"), list], "tools/list", said("v999"), (400, UNSUPPORTED_VERSION)),
            (&[version, list], "tools/list", Map::new(), (400, INVALID_PARAMS)),
            (&[version, call], "tools/call", said(MODERN), (400, HEADER_MISMATCH)),
            (&[version, call, ("mcp-name", "=?base64?w6k?=")], "tools/call", said(MODERN), (400, HEADER_MISMATCH)),
            (&[version, ("mcp-method", "ping")], "ping", said(MODERN), (404, METHOD_NOT_FOUND)),
            (&[version, ("mcp-method", "x/y")], "x/y", said(MODERN), (404, METHOD_NOT_FOUND)),
        ];
        for (pairs, method, params, expected) in cases {
            assert_eq!(refused(pairs, method, &params), expected, "{pairs:?} {method}");
        }
    }

    #[test]
    fn arguments_that_travel_as_headers_say_the_same() {
        let schema = json!({"properties": {"region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"n": {"type": "number", "x-mcp-header": "N"}}}}});
        let params = object(json!({"arguments": {"region": "eu", "deep": {"n": 1.5}}}));
        let good = headers(&[("mcp-param-region", "eu"), ("mcp-param-n", "1.50")]);
        assert!(check_parameters(&good, &schema, &params).is_ok());
        for bad in [
            &[("mcp-param-region", "us"), ("mcp-param-n", "1.5")][..],
            &[("mcp-param-region", "eu")],
            &[("mcp-param-region", "=?base64?!!?="), ("mcp-param-n", "1.5")],
        ] {
            assert_eq!(check_parameters(&headers(bad), &schema, &params).unwrap_err().1.code, HEADER_MISMATCH);
        }
        assert!(check_parameters(&headers(&[]), &schema, &object(json!({}))).is_ok());
    }

    #[test]
    fn what_we_send_passes_our_own_check() {
        let schema = json!({"properties": {"region": {"type": "string", "x-mcp-header": "Region"},
            "n": {"type": "number", "x-mcp-header": "N"}, "none": {"x-mcp-header": "None"}}});
        for name in ["plain", "Größe", " blank ", "=?base64?w6k=?=", "a\nb", ""] {
            let mut params = said(MODERN);
            params.insert("name".into(), name.into());
            params.insert("arguments".into(), json!({"region": name, "n": 1.5}));
            let sent = of_request(MODERN, "tools/call", &params, Some(&schema));
            let pairs: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert!(check(&headers(&pairs), "tools/call", &params).is_ok(), "{name:?}");
            assert!(check_parameters(&headers(&pairs), &schema, &params).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn the_era_shows() {
        let none = Map::new();
        assert!(!is_modern(&headers(&[]), "initialize", &none));
        assert!(!is_modern(&headers(&[("mcp-protocol-version", "2025-11-25")]), "tools/list", &none));
        assert!(is_modern(&headers(&[("mcp-protocol-version", MODERN)]), "initialize", &none));
        assert!(is_modern(&headers(&[]), "tools/list", &said(MODERN)));
        assert_eq!((negotiated("2025-06-18"), negotiated("2031-01-01")), ("2025-06-18", "2025-11-25"));
    }
}
