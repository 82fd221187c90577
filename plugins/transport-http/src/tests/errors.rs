//! Refusals and answers that are none.

use super::*;

/// What a tool call fails with when it is answered so.
fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    let mut got = t.head(4, status, headers);
    if got.is_empty() {
        t.body(4, body);
        got = t.end(4);
    }
    got.retain(|line| line != "cancel #4");
    assert_eq!(got.len(), 1, "{got:?}");
    got.remove(0)
}

#[test]
fn refusals_say_what_happened_and_what_to_do() {
    let html: &[(&str, &str)] = &[("content-type", "text/html")];
    for (status, headers, body, want) in [
        (
            401,
            &[("www-authenticate", "Bearer resource_metadata=\"u\"")][..],
            "",
            "failed 2 401 auth 0 [Bearer resource_metadata=\"u\"]: srv wants a valid credential (HTTP 401). Renew the one that is registered, or add one.",
        ),
        (
            401,
            NONE,
            "",
            "failed 2 401 auth 0: srv wants a valid credential (HTTP 401). Renew the one that is registered, or add one.",
        ),
        (
            403,
            &[("www-authenticate", "Bearer scope=\"w\"")],
            "",
            "failed 2 403 forbidden 0 [Bearer scope=\"w\"]: srv does not allow this to the credential that is registered (HTTP 403).",
        ),
        (
            429,
            &[("retry-after", "7")],
            "",
            "failed 2 429 rate-limited 7000: srv takes no more requests for the moment (HTTP 429).",
        ),
        (
            503,
            &[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")],
            "",
            "failed 2 503 unavailable 60000: srv is not available for the moment (HTTP 503).",
        ),
        (
            502,
            html,
            "<h1>Bad Gateway",
            "failed 2 502 outcome-unknown 0: srv failed (HTTP 502); whether it carried the request out is not known.",
        ),
        (
            302,
            &[("location", "https://idp/login")],
            "",
            "failed 2 302 protocol 0: srv redirects to https://idp/login (HTTP 302), and redirects are not followed. Register the URL that it names.",
        ),
        (
            400,
            NONE,
            "missing\nfield",
            "failed 2 400 protocol 0: srv refused the message (HTTP 400). It said: missing field",
        ),
        (413, NONE, "", "failed 2 413 too-large 0: srv takes no message of this size (HTTP 413)."),
        (
            200,
            html,
            "<h1>Welcome",
            "failed 2 200 protocol 0: srv answered with a web page, not with a message. The path of its URL may be wrong.",
        ),
        (
            200,
            html,
            "<input type=\"password\">",
            "failed 2 200 auth 0: srv answered with a page to sign in on. Register a credential for it, or renew it.",
        ),
        (200, NONE, "", "failed 2 200 protocol 0: srv gave an empty answer (HTTP 200)."),
        (
            200,
            &[("content-type", "text/plain")],
            "ok",
            "failed 2 200 protocol 0: srv answered with text/plain, not with JSON or an event stream: ok",
        ),
        (
            200,
            JSON,
            "{}",
            "failed 2 200 outcome-unknown 0: srv answered with JSON that does not answer the request: {}",
        ),
        (200, JSON, "", "failed 2 200 outcome-unknown 0: srv gave an empty answer (HTTP 200)."),
        (
            200,
            &[JSON[0], ("content-encoding", "br")],
            "",
            "failed 2 200 protocol 0: srv answered in the encoding br, which was not asked for.",
        ),
    ] {
        assert_eq!(answered(status, headers, body), want);
    }
}

#[test]
fn an_error_in_a_refusal_is_the_answer() {
    for status in [400, 500] {
        let mut t = Talk::in_session();
        t.client(2, CALL);
        let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"x","data":{ "a":1}}}"#;
        let want = error.replace("null", "2");
        assert_eq!(t.json(4, status, error), ["sent 2".to_owned(), format!("deliver #4 {want}")]);
    }
}

#[test]
fn a_request_that_never_arrived_says_so() {
    for (code, text, want) in [
        ("unavailable", "connection refused", "failed 2 0 unavailable 0: srv gave no answer: connection refused"),
        ("timeout", "", "failed 2 0 timeout 0: srv gave no answer."),
        ("denied", "grant http to h", "failed 2 0 denied 0: srv gave no answer: grant http to h"),
        ("outcome-unknown", "reset", "failed 2 0 outcome-unknown 0: srv gave no answer: reset"),
        ("", "", "failed 2 0 protocol 0: srv gave no answer."),
    ] {
        let mut t = Talk::in_session();
        t.client(2, CALL);
        assert_eq!(t.end_with(4, code, text), [want]);
    }
}

#[test]
fn json_that_breaks_off_leaves_the_outcome_open() {
    let mut t = Talk::in_session();
    t.client(2, CALL);
    t.head(4, 200, JSON);
    t.body(4, "{\"json");
    let lost = error(2, -32603, "srv broke off before its answer was complete: reset", "outcome-unknown");
    assert_eq!(t.end_with(4, "unavailable", "reset"), ["sent 2".to_owned(), format!("deliver #4 {lost}")]);
}

#[test]
fn a_notification_needs_no_answer() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    for (status, headers, body) in [
        (202, NONE, ""),
        (204, NONE, ""),
        (200, NONE, ""),
        (200, JSON, ""),
        (200, JSON, "{}"),
        (200, &[("content-type", "text/plain")][..], "ok"),
    ] {
        let mut t = Talk::in_session();
        t.client(2, note);
        let mut got = t.head(4, status, headers);
        got.extend(t.body(4, body));
        got.extend(t.end(4));
        assert_eq!(got, ["sent 2"], "{status} {headers:?} {body}");
    }
    let mut t = Talk::in_session();
    t.client(2, note);
    assert_eq!(t.json(4, 400, "no"), ["failed 2 400 protocol 0: srv refused the message (HTTP 400). It said: no"]);
}
