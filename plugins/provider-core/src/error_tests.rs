//! The table of what servers say, and what it means in the contract.

use super::*;
use proptest::prelude::*;

fn code_of(status: u16, body: &str) -> String {
    from_answer(status, &[], body.as_bytes(), "https://x/v1/chat/completions").code.into_owned()
}

#[test]
fn answers_of_real_servers() {
    for (status, body, code) in [
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            "auth",
        ),
        (401, "", "auth"),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            "auth",
        ),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, "quota"),
        (403, r#"{"error":{"message":"Country not supported"}}"#, "forbidden"),
        (404, r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#, "not-found"),
        (404, r#"{"error":{"code":"DeploymentNotFound","message":"…"}}"#, "not-found"),
        (
            400,
            r#"{"error":{"message":"maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#,
            "too-large",
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
            "too-large",
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            "too-large",
        ),
        (500, r#"{"error":{"code":500,"message":"the request exceeds the available context size"}}"#, "too-large"),
        (
            429,
            r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000","code":"rate_limit_exceeded"}}"#,
            "too-large",
        ),
        (413, "Payload Too Large", "too-large"),
        (429, r#"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#, "rate-limited"),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            "quota",
        ),
        (422, r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#, "invalid"),
        (400, r#"{"error":{"code":"content_filter","message":"filtered"}}"#, "invalid"),
        (500, r#"{"error":{"message":"The server had an error","type":"server_error"}}"#, "unavailable"),
        (503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, "unavailable"),
        (529, "", "unavailable"),
        (502, "<html><title>Bad gateway</title></html>", "unavailable"),
        (400, "<html>proxy says no</html>", "protocol"),
        (400, "<html>please log in</html>", "auth"),
        (408, "", "timeout"),
        (199, "", "protocol"),
    ] {
        assert_eq!(code_of(status, body), code, "{status} {body}");
    }
}

#[test]
fn errors_inside_a_stream() {
    for (text, code) in [
        (r#"{"error":{"message":"The server had an error"}}"#, "unavailable"),
        (r#"{"error":"something broke"}"#, "unavailable"),
        (r#"{"error":{"code":429,"message":"slow down"}}"#, "rate-limited"),
        (r#"{"error":{"type":"rate_limit_error","message":""}}"#, "rate-limited"),
        (r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, "quota"),
        (
            r#"{"error":{"code":502,"message":"Provider returned error"},"choices":[{"finish_reason":"error"}]}"#,
            "unavailable",
        ),
        (r#"{"object":"error","message":"maximum context length is 7","code":40303}"#, "too-large"),
    ] {
        let said = Said::in_json(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(from_stream(&said).code, code, "{text}");
    }
    for text in
        [r#"{"choices":[]}"#, r#"{"error":null,"choices":[]}"#, r#"{"id":"x","error":null}"#, r#"{"type":"ping"}"#]
    {
        assert_eq!(Said::in_json(&serde_json::from_str(text).unwrap()), None, "{text}");
    }
}

#[test]
fn messages_say_what_to_do_and_show_no_query() {
    let failure = from_answer(404, &[], b"404 page not found", "http://h:1/api/chat/completions?key=1");
    assert_eq!(
        failure.message,
        "The server has no /api/chat/completions. Check base-url: most servers expect it to end in /v1. It says: 404 page not found"
    );
    let headers = |target: &str| vec![("location".to_owned(), target.to_owned())];
    let failure = from_answer(301, &headers("https://new.example/v1?token=s3cret"), b"", "http://h/");
    assert_eq!(failure.code, "invalid");
    assert_eq!(
        failure.message,
        "The server redirects to https://new.example/v1. Redirects are not followed; set base-url to the final address."
    );
    assert_eq!(from_answer(302, &headers("/auth/login"), b"", "http://h/").code, "auth");
    let failure = from_answer(
        429,
        &[("retry-after".into(), "3".into()), ("x-request-id".into(), "req_1".into())],
        b"{}",
        "http://h/",
    );
    assert_eq!(failure.retry_after_ms, Some(3000));
    assert_eq!(failure.extensions, vec![("request-id".into(), "req_1".into())]);
}

#[test]
fn refused_parameters() {
    let said = |body: &str| Said::in_body(body.as_bytes());
    for body in [
        r#"{"error":{"message":"Unrecognized request argument supplied: max_completion_tokens","param":null}}"#,
        r#"{"error":{"message":"Unknown parameter: 'max_completion_tokens'.","param":"max_completion_tokens"}}"#,
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}"#,
    ] {
        assert!(said(body).refuses("max_completion_tokens"), "{body}");
        assert!(!said(body).refuses("stream_options"), "{body}");
    }
    assert!(!said(r#"{"error":{"message":"max_completion_tokens is too large"}}"#).refuses("max_completion_tokens"));
}

proptest! {
    #[test]
    fn any_body_gives_a_bounded_failure(status in 100_u16..700, body in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,2000}") {
        for body in [&body[..], text.as_bytes()] {
            let failure = from_answer(status, &[("location".into(), text.clone())], body, &text);
            prop_assert!(failure.message.len() <= 2048);
            prop_assert!(!failure.message.is_empty());
        }
        prop_assert!(clip(&text, 100).len() <= 100);
    }
}
