//! Patterns of hosts and prefixes of paths: where one covers another, it matches all that the other does.
#![no_main]

use fumehood_policy::{HostPattern, PathPrefix, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (one, other, path, url) = input;
    let request = Request::parse("GET", url, 0).ok();
    if let (Ok(one), Ok(other)) = (one.parse::<HostPattern>(), other.parse::<HostPattern>()) {
        assert_eq!(one.to_string().parse::<HostPattern>().as_ref(), Ok(&one), "a pattern reads back as itself");
        assert!(one.covers(&one));
        if let Some(request) = &request {
            assert!(!(one.covers(&other) && other.matches(request.host())) || one.matches(request.host()));
        }
    }
    if let (Ok(one), Ok(other)) = (path.parse::<PathPrefix>(), other.parse::<PathPrefix>()) {
        assert_eq!(one.to_string().parse::<PathPrefix>().as_ref(), Ok(&one), "a prefix reads back as itself");
        if let Some(request) = &request {
            assert!(!(one.covers(&other) && other.matches(request.path())) || one.matches(request.path()));
        }
    }
});
