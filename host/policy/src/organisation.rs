//! `policy.toml`: what the organisation lets plugins have at most, and whose plugins it takes.
//!
//! Invariant: reading is strict. A key that does not exist is an error, never a rule that is silently not in force.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::manifest::is_plugin_name;
use crate::{Ceiling, CeilingHour, Digest, HttpRule, PluginWorld, Request};

/// The organisation's policy. Without a file nothing is capped, and no publisher is trusted but our own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Policy {
    /// What no plugin's grant goes beyond.
    pub all: Ceiling,
    /// What grants to one publisher's plugins do not go beyond.
    pub by_publisher: BTreeMap<String, Ceiling>,
    /// What grants to plugins of one world do not go beyond.
    pub by_world: BTreeMap<PluginWorld, Ceiling>,
    /// Publishers whose signed plugins may be installed, by name, with their public keys.
    pub publishers: BTreeMap<String, Publisher>,
    /// Plugins that may be installed without a signature: the SHA-256 of each component.
    pub allow_unsigned: BTreeSet<Digest>,
}

/// A publisher that is trusted to sign plugins of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publisher {
    /// Public keys: `ed25519:` and Base64 of 32 bytes, or a minisign key (`RW…`). Any of them may have signed.
    pub keys: BTreeSet<String>,
}

/// Why a policy is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPolicy(String);

impl Policy {
    /// Read a policy.
    ///
    /// # Errors
    /// [`InvalidPolicy`], with the line where there is one.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        let policy: Self =
            toml::from_str(text).map_err(|error| InvalidPolicy(error.to_string().trim_end().to_owned()))?;
        for name in policy.by_publisher.keys().chain(policy.publishers.keys()) {
            if !is_plugin_name(name) {
                return Err(InvalidPolicy(format!("`{}` cannot be the name of a publisher", name.escape_debug())));
            }
        }
        for (name, publisher) in &policy.publishers {
            if publisher.keys.is_empty() {
                return Err(InvalidPolicy(format!("the publisher `{name}` has no keys")));
            }
        }
        Ok(policy)
    }

    /// The ceilings over a plugin's grant, all of which hold.
    pub fn ceilings(&self, publisher: &str, world: PluginWorld) -> impl Iterator<Item = &Ceiling> {
        [Some(&self.all), self.by_publisher.get(publisher), self.by_world.get(&world)].into_iter().flatten()
    }

    /// The hours that a request counts against, which the narrowed rule `by` allows: of each element one alternative,
    /// which has to have room for it.
    #[must_use]
    pub fn hours(
        &self,
        publisher: &str,
        world: PluginWorld,
        request: &Request,
        by: &HttpRule,
    ) -> Vec<Vec<CeilingHour>> {
        let by_publisher = self.by_publisher.get(publisher);
        let places = [("all", Some(&self.all)), ("publisher", by_publisher), ("world", self.by_world.get(&world))];
        let hours = places.into_iter().map(|(place, ceiling)| {
            let hours = ceiling.map(|ceiling| ceiling.hours(request, by)).unwrap_or_default();
            let placed = |hour: CeilingHour| CeilingHour { key: format!("ceiling {place}: {}", hour.key), ..hour };
            hours.into_iter().map(placed).collect::<Vec<_>>()
        });
        hours.filter(|alternatives| !alternatives.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::samples::rule;
    use crate::{PluginGrant, effective};

    const POLICY: &str = r#"
allow-unsigned = ["sha256:0707070707070707070707070707070707070707070707070707070707070707"]

[all]
http = [{ schemes = ["https"], host = "*.example.com" }]

[by-publisher.acme]
kv-bytes = 1024

[by-world.provider]
http = [{ methods = ["POST"] }]

[publishers.acme]
keys = ["ed25519:AAAA"]
"#;

    #[test]
    fn every_ceiling_that_applies_holds() {
        let policy = Policy::parse(POLICY).unwrap();
        assert!(policy.allow_unsigned.contains(&Digest::new([7; 32])));
        let mut grant = PluginGrant::nothing("p", Digest::new([0; 32]), 1);
        grant.http = vec![rule("GET,POST https://a.example.com/"), rule("POST https://other.org/")];
        grant.kv_bytes = 4096;
        let under = |publisher, world| effective(&grant, policy.ceilings(publisher, world));
        let stranger = under("other", PluginWorld::Integration);
        assert_eq!(
            (stranger.http.as_slice(), stranger.kv_bytes),
            (&[rule("GET,POST https://a.example.com/")][..], 4096)
        );
        let acme = under("acme", PluginWorld::Provider);
        assert_eq!((acme.http.as_slice(), acme.kv_bytes), (&[rule("POST https://a.example.com/")][..], 1024));
        assert_eq!(effective(&grant, Policy::default().ceilings("acme", PluginWorld::Provider)), grant);
    }

    #[test]
    fn an_hour_counts_for_all_that_its_rule_alone_leaves() {
        let policy = Policy::parse(
            "[[all.http]]\n\
             [[all.http]]\nhost = \"git.intern\"\nallow-private = [\"10.0.0.0/8\"]\nmax-request-bytes-per-hour = 100\n\
             [[by-publisher.acme.http]]\nmax-response-bytes = 1000\n\
             [[by-publisher.acme.http]]\nmax-response-bytes-per-hour = 500\n",
        )
        .unwrap();
        let request = crate::Request::parse("GET", "https://git.intern/a", 0).unwrap();
        let keys = |publisher: &str, by: &str| -> Vec<Vec<String>> {
            let hours = policy.hours(publisher, PluginWorld::Provider, &request, &rule(by));
            hours.into_iter().map(|one| one.into_iter().map(|hour| hour.key).collect()).collect()
        };
        let inward = keys("other", "GET https://git.intern/a 10.0.0.0/8");
        assert_eq!(
            inward,
            [["ceiling all: may send anything to git.intern"]],
            "the other rule leaves no inward address"
        );
        assert!(keys("other", "GET https://git.intern/a").is_empty(), "a rule without an hour leaves all of it");
        assert!(keys("acme", "GET https://git.intern/a #1000/1000").is_empty());
        let large = keys("acme", "GET https://git.intern/a #1000/1001");
        assert_eq!(large, [["ceiling publisher: may send anything to any host"]]);
    }

    #[test]
    fn a_typing_error_is_an_error() {
        for (from, to) in [
            ("[all]", "[al]"),
            ("by-world.provider", "by-world.providers"),
            ("kv-bytes", "kv_bytes"),
            ("schemes", "scheme"),
            ("publishers.acme", "publishers.Acme"),
            ("keys = [\"ed25519:AAAA\"]", "keys = []"),
            ("sha256:07", "sha256:zz"),
        ] {
            assert!(Policy::parse(&POLICY.replacen(from, to, 1)).is_err(), "{from} -> {to}");
        }
    }
}
