//! A URL has one meaning: what is decided on is what is sent, and reading it again changes nothing.
#![no_main]

use fumehood_policy::{HttpRule, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(request) = Request::parse("GET", text, 0) else { return };
    let url = request.url();
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(!url.as_str().contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\'), "{url}");
    let again = Request::parse("GET", url.as_str(), 0).expect("the canonical form is one");
    assert_eq!(again, request);
    assert_eq!(url.port_or_known_default(), Some(request.port()));
    if let Some(rule) = HttpRule::for_request(&request) {
        assert!(rule.matches(&request), "the rule for a request allows it: {rule}");
        assert!(rule.covers(&rule));
    }
});
