//! From Confluence's answers to the contract's failures.
//!
//! Invariant: pure; a web page is never data (§ a sign-in page is an auth failure), and no message repeats a query,
//! which may hold a token.

use serde_json::Value;

use crate::text::{clip, is_html};
use plugin_core::host::{Failure, code, header};
use plugin_core::retry_after::retry_after_ms;

/// Longest text of the server that a message repeats, in bytes.
const MAX_QUOTE_BYTES: usize = 400;

/// What a body says went wrong, in one line; empty where it says nothing.
///
/// v2: `errors[].{code,title,detail}`; v1: `message` and `data.errors[].message.{key,translation}`; OAuth gateway:
/// `code` and `message`.
pub fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        return if is_html(&text) { String::new() } else { clip(&text, MAX_QUOTE_BYTES) };
    };
    let mut words: Vec<&str> = Vec::new();
    let text = |value: &'_ Value, name: &str| -> Option<String> { value.get(name)?.as_str().map(str::to_owned) };
    let mut owned = Vec::new();
    for error in value.get("errors").and_then(Value::as_array).into_iter().flatten() {
        owned.extend(["title", "detail", "message"].iter().filter_map(|name| text(error, name)));
    }
    owned.extend(text(&value, "message"));
    for error in value.pointer("/data/errors").and_then(Value::as_array).into_iter().flatten() {
        owned.extend(
            ["/message/translation", "/message/key"]
                .iter()
                .filter_map(|path| Some(error.pointer(path)?.as_str()?.to_owned())),
        );
    }
    for text in &owned {
        if !text.is_empty() && !words.contains(&text.as_str()) {
            words.push(text);
        }
    }
    clip(&words.join("; "), MAX_QUOTE_BYTES)
}

/// Whether a refusal says that the title is taken in the space.
pub fn is_title_taken(status: u16, said: &str) -> bool {
    let said = said.to_lowercase();
    matches!(status, 400 | 409) && said.contains("title") && said.contains("exist")
}

/// The failure for an answer with a status that is no success.
pub fn from_answer(status: u16, headers: &[(String, String)], body: &[u8]) -> Failure {
    let said = said(body);
    let lower = said.to_lowercase();
    let (code, text) = match status {
        300..=399 => return redirect(headers),
        401 if lower.contains("scope") => (
            code::FORBIDDEN,
            "The token lacks a scope. It needs to read and write pages, spaces and attachments, and to search.",
        ),
        401 => (code::AUTH, "Confluence refused the credential (401). Renew it in the settings."),
        // Data Center asks for a CAPTCHA in the browser after failed sign-ins.
        403 if header(headers, "x-seraph-loginreason").is_some_and(|r| r.contains("AUTHENTICATION_DENIED")) => {
            (code::AUTH, "Confluence asks this user for a CAPTCHA. Sign in once in a browser, then try again.")
        }
        403 => (code::FORBIDDEN, "The credential may not do this in Confluence (403)."),
        404 => (code::NOT_FOUND, "Confluence does not have this, or hides it from this credential (404)."),
        409 => (code::CONFLICT, "Someone else changed this meanwhile (409)."),
        413 => (code::TOO_LARGE, "This is larger than Confluence accepts (413). Shorten it."),
        429 => (code::RATE_LIMITED, "Confluence asks to wait (429)."),
        408 => (code::TIMEOUT, "Confluence gave up waiting (408)."),
        500..=599 => (code::UNAVAILABLE, "Confluence failed."),
        400..=499 => (code::INVALID, "Confluence refused the request."),
        _ => (code::PROTOCOL, "Confluence answered with an unexpected status."),
    };
    let status =
        if text.contains('(') || text.contains("scope") { String::new() } else { format!(" Status {status}.") };
    let quote = if said.is_empty() { String::new() } else { format!(" It says: {said}") };
    let mut failure = Failure::new(code, format!("{text}{status}{quote}"));
    failure.retry_after_ms = retry_after_ms(headers);
    for name in ["x-request-id", "atl-traceid", "x-arequestid"] {
        if let Some(id) = header(headers, name) {
            return failure.with("request-id", clip(id, 128));
        }
    }
    failure
}

/// The failure for a web page where data was expected.
pub fn web_page() -> Failure {
    Failure::new(
        code::AUTH,
        "Confluence answered with a web page instead of data, most likely its sign-in page. Renew the credential, and check base-url.",
    )
}

/// The failure for data that is not what the service documents.
pub fn unexpected(what: &str, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    if is_html(&text) {
        return web_page();
    }
    Failure::new(code::PROTOCOL, format!("Confluence's answer is not what it documents: {what}."))
        .with("excerpt", clip(&text, 500))
}

fn redirect(headers: &[(String, String)]) -> Failure {
    let target = header(headers, "location").unwrap_or_default();
    let shown = clip(target.split(['?', '#']).next().unwrap_or_default(), 200);
    let lower = shown.to_lowercase();
    if ["login", "signin", "saml", "oauth", "sso", "id.atlassian.com"].iter().any(|word| lower.contains(word)) {
        return Failure::new(
            code::AUTH,
            "Confluence redirects to its sign-in page. Renew the credential in the settings.",
        );
    }
    Failure::new(
        code::INVALID,
        format!("Confluence redirects to {shown}. Redirects are not followed; set base-url to the final address."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statuses() {
        for (status, body, code) in [
            (
                400,
                r#"{"errors":[{"status":400,"code":"INVALID_REQUEST_PARAMETER","title":"bad","detail":null}]}"#,
                "invalid",
            ),
            (401, "", "auth"),
            (401, r#"{"code":401,"message":"Unauthorized; scope does not match"}"#, "forbidden"),
            (403, "XSRF check failed", "forbidden"),
            (404, r#"{"statusCode":404,"message":"No content found"}"#, "not-found"),
            (
                409,
                r#"{"statusCode":409,"message":"Version must be incremented on update. Current version is: 5"}"#,
                "conflict",
            ),
            (413, "", "too-large"),
            (429, "", "rate-limited"),
            (500, "<html>", "unavailable"),
            (503, "", "unavailable"),
            (418, "", "invalid"),
            (199, "", "protocol"),
        ] {
            assert_eq!(from_answer(status, &[], body.as_bytes()).code, code, "{status} {body}");
        }
        let location = |to: &str| vec![("location".to_owned(), to.to_owned())];
        assert_eq!(from_answer(302, &location("https://id.atlassian.com/x?token=1"), b"").code, "auth");
        let failure = from_answer(301, &location("https://evil.example/wiki?token=1"), b"");
        assert_eq!(
            failure.message,
            "Confluence redirects to https://evil.example/wiki. Redirects are not followed; set base-url to the final address."
        );
        assert_eq!(
            from_answer(403, &[("x-seraph-loginreason".into(), "AUTHENTICATION_DENIED".into())], b"").code,
            "auth"
        );
        let failure = from_answer(429, &[("retry-after".into(), "9".into())], b"");
        assert_eq!(failure.retry_after_ms, Some(9000));
        assert_eq!(failure.message, "Confluence asks to wait (429).");
    }

    #[test]
    fn taken_titles() {
        for body in [
            r#"{"errors":[{"status":400,"code":"INVALID_REQUEST_PARAMETER","title":"A page with this title already exists: A page already exists with the same TITLE in this space","detail":null}]}"#,
            r#"{"statusCode":400,"data":{"errors":[]},"message":"com.atlassian.confluence.api.service.exceptions.BadRequestException: A page with this title already exists: A page already exists with the title X in the space with key OPS"}"#,
        ] {
            assert!(is_title_taken(400, &said(body.as_bytes())), "{body}");
        }
        assert!(!is_title_taken(400, "title is required"));
    }

    proptest! {
        #[test]
        fn any_answer_gives_a_bounded_failure(status in 0_u16..700, body in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,3000}") {
            for body in [&body[..], text.as_bytes()] {
                let failure = from_answer(status, &[("location".into(), text.clone())], body);
                prop_assert!(!failure.message.is_empty() && failure.message.len() < 1024);
            }
        }
    }
}
