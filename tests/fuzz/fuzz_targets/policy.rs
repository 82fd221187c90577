//! A policy that is read narrows, whatever it says: no grant under it allows more than the grant.
#![no_main]

use fumehood_policy::{Digest, PluginGrant, PluginWorld, Policy, Request, decide, diff, effective};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text) else { return };
    let rule = serde_json::from_str(
        r#"{"scheme":"https","host":"*.example.com","port":443,"methods":["GET","POST"],"path_prefix":"/api",
            "allow_private":["10.0.0.0/8"],"max_request_bytes":1000,"max_response_bytes":1000}"#,
    );
    let grant = PluginGrant {
        http: vec![rule.unwrap()],
        kv_bytes: 1 << 20,
        ..PluginGrant::nothing("p", Digest::new([1; 32]), 1)
    };
    for publisher in ["acme", "other"] {
        for world in [PluginWorld::Integration, PluginWorld::Provider] {
            let left = effective(&grant, policy.ceilings(publisher, world));
            assert!(!diff(&grant, &left).widens(), "{left:?}");
            assert_eq!(effective(&left, policy.ceilings(publisher, world)), left, "once is enough");
            for url in ["https://a.example.com/api/x", "https://b.example.com/api", "http://a.example.com/api"] {
                let request = Request::parse("POST", url, 10).unwrap();
                assert!(decide(&left, &request).is_err() || decide(&grant, &request).is_ok());
                if let Ok(rule) = decide(&left, &request) {
                    let hours = policy.hours(publisher, world, &request, rule);
                    assert!(hours.iter().all(|alternatives| !alternatives.is_empty()));
                }
            }
        }
    }
});
