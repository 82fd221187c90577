//! Whatever a manifest, a grant and an organisation's ceilings say: what a plugin may do in the end is never wider than
//! the grant, nor than any of the ceilings. The ceilings are judged here by a reading of their own, not by the code that
//! narrows grants.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets what it did not expect has to fail")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use fumehood_policy::{
    Ceiling, CeilingRule, ConfiguredRule, CredentialRule, Digest, HourUse, HttpRule, Manifest, PluginGrant,
    PluginWorld, Policy, ProcessArguments, ProcessRule, Request, decide, decide_budget, decide_credential,
    decide_process, effective, vet,
};
use proptest::prelude::*;

const HOSTS: [&str; 6] =
    ["a.example.com", "*.example.com", "*.a.example.com", "other.org", "10.1.2.3", "169.254.169.254"];
const PATHS: [&str; 4] = ["/", "/api", "/api/v2", "/other/"];
const NETS: [&str; 5] = ["10.0.0.0/8", "10.1.0.0/16", "169.254.0.0/16", "169.254.169.254/32", "fd00::/8"];
const ADDRESSES: [&str; 6] = ["93.184.216.34", "10.1.2.3", "10.9.9.9", "169.254.169.254", "169.254.1.1", "fd00::1"];
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const DIGESTS: [Digest; 2] = [Digest::new([1; 32]), Digest::new([2; 32])];
const SIZES: [u64; 4] = [0, 10, 100, 1 << 30];

fn pick<T: Clone + std::fmt::Debug + 'static>(options: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(options)
}

fn methods() -> impl Strategy<Value = BTreeSet<fumehood_policy::Method>> {
    prop::collection::btree_set(pick(&METHODS).prop_map(|method| method.parse().unwrap()), 0..3)
}

fn nets() -> impl Strategy<Value = BTreeSet<ipnet::IpNet>> {
    prop::collection::btree_set(pick(&NETS).prop_map(|net| net.parse().unwrap()), 0..3)
}

fn scheme() -> impl Strategy<Value = fumehood_policy::Scheme> {
    prop::bool::ANY.prop_map(|tls| if tls { fumehood_policy::Scheme::Https } else { fumehood_policy::Scheme::Http })
}

fn rule() -> impl Strategy<Value = HttpRule> {
    let hour = || prop::option::of(pick(&SIZES));
    (
        (scheme(), pick(&HOSTS), pick(&[80_u16, 443, 8443]), methods(), pick(&PATHS)),
        (nets(), any::<bool>(), pick(&SIZES), pick(&SIZES), hour(), hour()),
    )
        .prop_map(|((scheme, host, port, methods, path), (nets, local, out, back, out_hour, back_hour))| {
            HttpRule {
                scheme,
                host: host.parse().unwrap(),
                port,
                methods,
                path_prefix: path.parse().unwrap(),
                allow_private: nets,
                loopback_only: local,
                max_request_bytes: out,
                max_response_bytes: back,
                max_request_bytes_per_hour: out_hour,
                max_response_bytes_per_hour: back_hour,
            }
        })
}

fn process() -> impl Strategy<Value = ProcessRule> {
    let arguments = prop_oneof![
        Just(ProcessArguments::Free),
        Just(ProcessArguments::Fixed(vec![])),
        Just(ProcessArguments::Fixed(vec!["--stdio".into()])),
    ];
    let digest = prop::option::of(pick(&DIGESTS));
    (pick(&["/usr/bin/a", "/usr/bin/b"]), digest, arguments).prop_map(|(path, digest, arguments)| ProcessRule {
        path: path.into(),
        digest,
        arguments,
    })
}

fn credential() -> impl Strategy<Value = CredentialRule> {
    (
        pick(&["token", "key"]),
        prop::collection::btree_set(pick(&["https://a.example.com", "https://*.example.com"]), 0..2),
    )
        .prop_map(|(handle, origins)| CredentialRule {
            handle: handle.into(),
            bound_to: origins.into_iter().map(|origin| origin.parse().unwrap()).collect(),
        })
}

fn grant() -> impl Strategy<Value = PluginGrant> {
    (
        prop::collection::vec(rule(), 0..4),
        pick(&SIZES),
        prop::collection::vec(credential(), 0..3),
        prop::collection::vec(process(), 0..3),
    )
        .prop_map(|(http, kv_bytes, credentials, processes)| PluginGrant {
            http,
            kv_bytes,
            credentials,
            processes,
            ..PluginGrant::nothing("p", Digest::new([0; 32]), 1)
        })
}

fn ceiling() -> impl Strategy<Value = Ceiling> {
    let size = || prop::option::of(pick(&SIZES));
    let limits = (
        prop::option::of(prop::collection::btree_set(scheme(), 0..2)),
        prop::option::of(pick(&HOSTS)),
        prop::option::of(prop::collection::btree_set(pick(&[80_u16, 443, 8443]), 0..2)),
        prop::option::of(methods()),
        prop::option::of(pick(&PATHS)),
        nets(),
        (size(), size(), size(), size()),
    )
        .prop_map(|(schemes, host, ports, methods, path, nets, (out, back, out_hour, back_hour))| CeilingRule {
            schemes,
            host: host.map(|host| host.parse().unwrap()),
            ports,
            methods,
            path_prefix: path.map(|path| path.parse().unwrap()),
            allow_private: nets,
            max_request_bytes: out,
            max_response_bytes: back,
            max_request_bytes_per_hour: out_hour,
            max_response_bytes_per_hour: back_hour,
        });
    (
        prop::option::of(prop::collection::vec(limits, 0..3)),
        size(),
        prop::option::of(prop::collection::btree_set(pick(&["token", "key"]).prop_map(str::to_owned), 0..2)),
        prop::option::of(prop::collection::vec(process(), 0..3)),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(http, kv_bytes, credentials, processes, loopback_only)| Ceiling {
            http,
            loopback_only,
            kv_bytes,
            credentials,
            processes,
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    let worlds = prop::collection::btree_map(pick(&PluginWorld::ALL), ceiling(), 0..3);
    let publishers = prop::collection::btree_map(pick(&["acme", "other"]).prop_map(str::to_owned), ceiling(), 0..3);
    (ceiling(), publishers, worlds).prop_map(|(all, by_publisher, by_world)| Policy {
        all,
        by_publisher,
        by_world,
        ..Policy::default()
    })
}

fn request() -> impl Strategy<Value = Request> {
    (
        pick(&METHODS),
        pick(&["http", "https"]),
        pick(&["a.example.com", "b.a.example.com", "b.example.com", "other.org", "10.1.2.3", "169.254.169.254"]),
        pick(&["", ":8443", ":443", ":80"]),
        pick(&["/", "/api", "/api/v2/x", "/api/..%2fother/", "/other/x", "/apix"]),
        pick(&SIZES),
    )
        .prop_map(|(method, scheme, host, port, path, size)| {
            Request::parse(method, &format!("{scheme}://{host}{port}{path}"), size).unwrap()
        })
}

/// Whether one rule of a ceiling is about a request, as `policy.toml` reads: every part that is there has to fit.
fn fits(rule: &CeilingRule, asked: &Request) -> bool {
    rule.schemes.as_ref().is_none_or(|all| all.contains(&asked.scheme()))
        && rule.host.as_ref().is_none_or(|host| host.matches(asked.host()))
        && rule.ports.as_ref().is_none_or(|all| all.contains(&asked.port()))
        && rule.methods.as_ref().is_none_or(|all| all.contains(asked.method()))
        && rule.path_prefix.as_ref().is_none_or(|prefix| prefix.matches(asked.path()))
        && rule.max_request_bytes.is_none_or(|most| asked.body_bytes() <= most)
        && rule.max_request_bytes_per_hour.is_none_or(|most| asked.body_bytes() <= most)
}

/// Whether some rule of a ceiling has room for so many bytes of an answer, and names an address that is not public.
fn leaves(ceiling: &Ceiling, asked: &Request, answer: u64, private: Option<IpAddr>) -> bool {
    let Some(rules) = &ceiling.http else { return true };
    rules.iter().filter(|rule| fits(rule, asked)).any(|rule| {
        rule.max_response_bytes.is_none_or(|most| answer <= most)
            && rule.max_response_bytes_per_hour.is_none_or(|most| answer <= most)
            && private.is_none_or(|address| {
                let metadata = address == "169.254.169.254".parse::<IpAddr>().unwrap();
                rule.allow_private
                    .iter()
                    .any(|net| net.contains(&address) && (!metadata || net.prefix_len() == net.max_prefix_len()))
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_may_be_done_is_never_wider_than_the_grant_or_any_ceiling(
        grant in grant(), policy in policy(), publisher in pick(&["acme", "other", "third"]),
        world in pick(&PluginWorld::ALL), asked in request(), address in pick(&ADDRESSES), used in pick(&SIZES),
        program in process(), origin in pick(&["https://a.example.com/", "https://b.example.com/", "http://a.example.com/"]),
    ) {
        let ceilings: Vec<&Ceiling> = policy.ceilings(publisher, world).collect();
        let may = effective(&grant, ceilings.iter().copied());

        if let Ok(rule) = decide(&may, &asked) {
            prop_assert!(decide(&grant, &asked).is_ok(), "granted: {asked:?}");
            let address: IpAddr = address.parse().unwrap();
            let reached = vet("p", &asked, rule, &[address]).is_ok();
            let public = vet("p", &asked, &HttpRule { allow_private: BTreeSet::new(), ..rule.clone() }, &[address]).is_ok();
            if reached {
                prop_assert!(address.to_canonical().is_loopback() || !ceilings.iter().any(|one| one.loopback_only));
                let granted = grant.http.iter().filter(|own| own.matches(&asked));
                prop_assert!(granted.clone().any(|own| vet("p", &asked, own, &[address]).is_ok()), "granted at {address}");
            }
            if let Ok(answer) = decide_budget("p", rule, &asked, HourUse { sent: used, received: used, size: asked.body_bytes() }) {
                for ceiling in &ceilings {
                    let private = (reached && !public).then_some(address);
                    prop_assert!(leaves(ceiling, &asked, answer.min(1 << 40), private), "{ceiling:?} leaves {rule}");
                }
            }
        }
        let send = Request::parse("GET", origin, 0).unwrap();
        for handle in ["token", "key"] {
            if decide_credential(&may, handle, &send).is_ok() {
                prop_assert!(decide_credential(&grant, handle, &send).is_ok());
                prop_assert!(ceilings.iter().all(|one| one.credentials.as_ref().is_none_or(|all| all.contains(handle))));
            }
        }
        prop_assert!(may.kv_bytes <= grant.kv_bytes);
        prop_assert!(ceilings.iter().all(|one| one.kv_bytes.is_none_or(|most| may.kv_bytes <= most)));
        let arguments = match &program.arguments {
            ProcessArguments::Fixed(list) => list.clone(),
            ProcessArguments::Free => vec!["anything".into()],
        };
        let digest = program.digest.unwrap_or(Digest::new([3; 32]));
        if decide_process(&may, &program.path, digest, &arguments).is_ok() {
            prop_assert!(decide_process(&grant, &program.path, digest, &arguments).is_ok());
            for ceiling in &ceilings {
                let alone = PluginGrant { processes: ceiling.processes.clone().unwrap_or_default(), ..grant.clone() };
                prop_assert!(
                    ceiling.processes.is_none() || decide_process(&alone, &program.path, digest, &arguments).is_ok()
                );
            }
        }
        prop_assert!(!fumehood_policy::diff(&grant, &may).widens(), "{:?}", fumehood_policy::diff(&grant, &may));
        prop_assert!(!fumehood_policy::diff(&may, &effective(&may, ceilings.iter().copied())).widens());
    }

    #[test]
    fn a_manifest_allows_nothing_by_itself(asks in prop::collection::vec(pick(&["a.example.com", "*.b.example.com"]), 0..4),
                                           asked in request()) {
        let http: String = asks
            .iter()
            .map(|host| format!("[[http]]\nreason = \"r\"\nhost = \"{host}\"\nmethods = [\"GET\", \"POST\"]\n"))
            .collect();
        let text = format!(
            "name = \"p\"\nversion = \"1.0.0\"\npublisher = \"acme\"\nworld = \"integration\"\ndescription = \"d\"\n{http}"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let granted = PluginGrant::nothing(&manifest.name, Digest::new([0; 32]), 1);
        prop_assert!(decide(&granted, &asked).is_err());
        prop_assert!(!fumehood_policy::diff(&manifest.asks(Digest::new([0; 32])), &granted).widens());
    }

    #[test]
    fn a_rule_for_the_server_in_the_settings_reaches_that_server_alone(
        methods in methods(), asked in request(),
        url in pick(&["https://a.example.com/api", "http://a.example.com:8443/", "https://other.org/other/"]),
    ) {
        let rule = ConfiguredRule {
            setting: "base-url".into(), methods, max_request_bytes: 100, max_response_bytes: 100,
            max_request_bytes_per_hour: None, max_response_bytes_per_hour: None,
        };
        let url: url::Url = url.parse().unwrap();
        let resolved = rule.at(&url, BTreeSet::new()).unwrap();
        if resolved.matches(&asked) {
            prop_assert_eq!(asked.url().origin(), url.origin());
            prop_assert!(asked.path().starts_with(url.path().trim_end_matches('/')));
        }
    }
}
