//! JSON: the protobuf mapping, with ids as hexadecimal digits and enumerations as numbers; 64-bit numbers are texts.

use serde::{Deserialize, Serialize, Serializer};

use super::{Resource, SCOPE, flags};
use crate::attribute::{Attribute, Value};
use crate::span::{Ended, Status};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: &'a str,
    kind: u8,
    #[serde(serialize_with = "as_text")]
    start_time_unix_nano: u64,
    #[serde(serialize_with = "as_text")]
    end_time_unix_nano: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Code>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
    flags: u32,
}

#[derive(Serialize)]
struct Code {
    code: u8,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    StringValue(&'a str),
    IntValue(#[serde(serialize_with = "as_text")] i64),
}

#[derive(Serialize)]
struct Attributes<'a> {
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Serialize)]
struct Scope<'a> {
    name: &'a str,
    version: &'a str,
}

fn as_text<T: ToString, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&number.to_string())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn key_value(attribute: &Attribute) -> KeyValue<'_> {
    let value = match &attribute.value {
        Value::Text(text) => AnyValue::StringValue(text),
        Value::Number(number) => AnyValue::IntValue(*number),
    };
    KeyValue { key: attribute.key, value }
}

/// What is written has no map with keys that are no text, so it can be written.
fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

pub(super) fn span(span: &Ended) -> Vec<u8> {
    let links = span.links.iter().map(|(trace, span, flag, remote)| Link {
        trace_id: trace.to_string(),
        span_id: span.to_string(),
        flags: flags(*flag, *remote),
    });
    bytes(&Span {
        trace_id: span.trace.to_string(),
        span_id: span.span.to_string(),
        parent_span_id: span.parent.map(|(parent, _)| parent.to_string()),
        flags: flags(span.flags, span.parent.is_some_and(|(_, remote)| remote)),
        name: span.name.as_str(),
        kind: span.kind as u8,
        start_time_unix_nano: span.start.0,
        end_time_unix_nano: span.end.0,
        attributes: span.attributes.iter().map(key_value).collect(),
        dropped_attributes_count: span.dropped_attributes,
        links: links.collect(),
        status: (span.status != Status::Unset).then_some(Code { code: span.status as u8 }),
    })
}

pub(super) fn request(resource: &Resource, spans: &[Vec<u8>]) -> Vec<u8> {
    let attributes =
        resource.attributes.iter().map(|(key, value)| KeyValue { key, value: AnyValue::StringValue(value) }).collect();
    let mut body = Vec::with_capacity(spans.iter().map(|span| span.len() + 1).sum::<usize>() + 1024);
    body.extend_from_slice(br#"{"resourceSpans":[{"resource":"#);
    body.extend_from_slice(&bytes(&Attributes { attributes }));
    body.extend_from_slice(br#","scopeSpans":[{"scope":"#);
    body.extend_from_slice(&bytes(&Scope { name: SCOPE, version: &resource.version }));
    body.extend_from_slice(br#","spans":["#);
    body.extend_from_slice(&spans.join(&b','));
    body.extend_from_slice(b"]}]}]}");
    body
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess {
    rejected_spans: Option<Number>,
    error_message: Option<String>,
}

/// Both forms are allowed of a number of 64 bits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(i64),
}

pub(super) fn partial_success(answer: &[u8]) -> Option<(u64, String)> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let Some(partial) = answer.partial_success else { return Some((0, String::new())) };
    let rejected = match partial.rejected_spans {
        Some(Number::Text(text)) => text.parse::<i64>().ok()?,
        Some(Number::Number(number)) => number,
        None => 0,
    };
    Some((u64::try_from(rejected).unwrap_or(0), partial.error_message.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests_support::whole;

    #[test]
    fn a_request_is_as_the_protocol_has_it() {
        let resource =
            Resource { attributes: vec![("service.name".into(), "fume\"hood".into())], version: "1.2.3".into() };
        let body = request(&resource, &[span(&whole()), span(&whole())]);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "parentSpanId": "00000000000000ff",
            "flags": 771, "name": "tools/call get_weather", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000001000",
            "attributes": [
                {"key": "gen_ai.tool.name", "value": {"stringValue": "get_weather"}},
                {"key": "fumehood.request.bytes", "value": {"intValue": "12"}},
            ],
            "droppedAttributesCount": 3,
            "links": [{"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "0000000000000001", "flags": 257}],
            "status": {"code": 2},
        });
        assert_eq!(
            body,
            json!({"resourceSpans": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "fume\"hood"}}]},
                "scopeSpans": [{"scope": {"name": "fumehood", "version": "1.2.3"}, "spans": [expected, expected]}],
            }]})
        );
    }

    #[test]
    fn answers_are_read_in_all_their_forms() {
        for (answer, expected) in [
            ("{}", Some((0, ""))),
            (r#"{"partialSuccess":{}}"#, Some((0, ""))),
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"why"}}"#, Some((3, "why"))),
            (r#"{"partialSuccess":{"rejectedSpans":3}}"#, Some((3, ""))),
            (r#"{"partialSuccess":{"rejectedSpans":-1}}"#, Some((0, ""))),
            (r#"{"partialSuccess":null,"later":[1]}"#, Some((0, ""))),
            (r#"{"partialSuccess":{"rejectedSpans":"x"}}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(partial_success(answer.as_bytes()), expected.map(|(n, why)| (n, why.to_owned())), "{answer}");
        }
    }
}
