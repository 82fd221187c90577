//! What another version of a plugin changes: what it asks for, what its binary imports, and who made it.

use fumehood_policy::{
    Ceiling, CeilingRule, Change, CredentialRule, Digest, Direction, HttpRule, Manifest, Origin, PluginGrant, diff,
};
use fumehood_runtime::Inspection;

/// A version, as far as it is compared.
pub(super) struct Side<'a> {
    pub manifest: &'a Manifest,
    pub inspection: &'a Inspection,
    /// Of a scanner, the types that it reports, each with its group.
    pub kinds: Vec<(String, String)>,
}

/// The changes from one version to another, what widens first; each a sentence without its subject.
pub(super) fn changes(old: &Side<'_>, new: &Side<'_>) -> Vec<Change> {
    let none = Digest::new([0; 32]);
    let change = |direction, what: String| Change { direction, what };
    let mut all = Vec::new();
    if old.manifest.publisher != new.manifest.publisher {
        let (old, new) = (&old.manifest.publisher, &new.manifest.publisher);
        all.push(change(Direction::Widening, format!("comes from the publisher `{new}` instead of `{old}`")));
    }
    if old.manifest.world != new.manifest.world {
        let (old, new) = (old.manifest.world, new.manifest.world);
        all.push(change(Direction::Widening, format!("is a {new} instead of a {old}")));
    }
    let (had, has) = (old.inspection.capabilities(), new.inspection.capabilities());
    for import in has.iter().filter(|import| !had.contains(import)) {
        all.push(change(Direction::Widening, format!("imports {import}")));
    }
    for (kind, group) in new.kinds.iter().filter(|kind| !old.kinds.contains(kind)) {
        all.push(change(Direction::Widening, format!("reports the type {kind} as {group}")));
    }
    for (kind, group) in old.kinds.iter().filter(|kind| !new.kinds.contains(kind)) {
        all.push(change(Direction::Narrowing, format!("reports the type {kind} as {group}")));
    }
    let (was, is) = (&old.manifest.version, &new.manifest.version);
    match order(was).cmp(&order(is)) {
        std::cmp::Ordering::Less => {}
        std::cmp::Ordering::Equal => {
            all.push(change(Direction::Widening, format!("is version {is} again, with other contents")));
        }
        std::cmp::Ordering::Greater => {
            all.push(change(Direction::Widening, format!("is version {is}, older than {was}")));
        }
    }
    all.extend(diff(&old.manifest.asks(none), &new.manifest.asks(none)).changes);
    for import in had.iter().filter(|import| !has.contains(import)) {
        all.push(change(Direction::Narrowing, format!("imports {import}")));
    }
    all.sort_by_key(|change| change.direction);
    all
}

/// The three numbers of a version; what follows them stands before them (`1.0.0-rc.1` before `1.0.0`).
fn order(version: &str) -> (Vec<u64>, bool) {
    let (numbers, more) = version.split_at(version.find(['-', '+']).unwrap_or(version.len()));
    (numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect(), !more.starts_with('-'))
}

/// Whether any of them allows what was not allowed.
pub(super) fn widens(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.direction == Direction::Widening)
}

/// The grant of the old version for the new one: what was granted, cut to what the new one asks for.
pub(super) fn carried(old: &PluginGrant, new: &Manifest, digest: Digest) -> PluginGrant {
    let asks = new.asks(digest);
    // Each request read as a ceiling. Addresses that are not public were granted by a person, not asked for.
    let nets = || old.http.iter().flat_map(|rule| rule.allow_private.iter().copied()).collect();
    let limit = |ask: &HttpRule| CeilingRule {
        schemes: Some([ask.scheme].into()),
        host: Some(ask.host.clone()),
        ports: Some([ask.port].into()),
        methods: Some(ask.methods.clone()),
        path_prefix: Some(ask.path_prefix.clone()),
        allow_private: nets(),
        max_request_bytes: Some(ask.max_request_bytes),
        max_response_bytes: Some(ask.max_response_bytes),
        max_request_bytes_per_hour: ask.max_request_bytes_per_hour,
        max_response_bytes_per_hour: ask.max_response_bytes_per_hour,
    };
    let ceiling = Ceiling {
        http: Some(asks.http.iter().map(limit).collect()),
        loopback_only: false,
        kv_bytes: Some(asks.kv_bytes),
        credentials: None,
        processes: Some(asks.processes.clone()),
    };
    let mut carried = ceiling.narrow(old);
    carried.digest = digest;
    carried.plugin.clone_from(&new.name);
    carried.configured =
        old.configured.iter().flat_map(|rule| asks.configured.iter().filter_map(|ask| rule.shared(ask))).collect();
    carried.credentials = asks
        .credentials
        .iter()
        .map(|ask| {
            let had = old.credentials.iter().filter(|rule| rule.handle == ask.handle).flat_map(|rule| &rule.bound_to);
            let bound_to = had.flat_map(|own| {
                let narrower = |asked: &Origin| {
                    if asked.covers(own) { Some(own.clone()) } else { own.covers(asked).then(|| asked.clone()) }
                };
                ask.bound_to.iter().filter_map(narrower).collect::<Vec<_>>()
            });
            CredentialRule { handle: ask.handle.clone(), bound_to: bound_to.collect() }
        })
        .filter(|rule| !rule.bound_to.is_empty())
        .collect();
    carried.configured_process &= asks.configured_process;
    carried
}

#[cfg(test)]
mod tests {
    use super::*;
    use fumehood_runtime::World;

    fn manifest(publisher: &str, rest: &str) -> Manifest {
        at("1.0.0", publisher, rest)
    }

    fn at(version: &str, publisher: &str, rest: &str) -> Manifest {
        Manifest::parse(&format!(
            "name = \"desk\"\nversion = \"{version}\"\npublisher = \"{publisher}\"\nworld = \"integration\"\n\
             description = \"d\"\n{rest}"
        ))
        .unwrap()
    }

    fn inspection(imports: &[&str]) -> Inspection {
        Inspection {
            world: World::Integration,
            imports: imports.iter().map(|import| format!("fumehood:{import}/{import}@0.1.0")).collect(),
            exports: Vec::new(),
            core_modules: 1,
            manifest: None,
            bytes: 0,
        }
    }

    fn between(old: (&Manifest, &Inspection), new: (&Manifest, &Inspection)) -> Vec<String> {
        let side = |(manifest, inspection)| Side { manifest, inspection, kinds: Vec::new() };
        changes(&side(old), &side(new)).iter().map(ToString::to_string).collect()
    }

    const GET: &str = "[[http]]\nreason = \"r\"\nhost = \"a.example.com\"\nmethods = [\"GET\"]";

    #[test]
    fn capabilities_imports_publisher_and_hosts_are_compared() {
        let (old, less) = (manifest("acme", GET), at("1.0.1", "acme", ""));
        let (with, without) = (inspection(&["log", "http"]), inspection(&["log"]));
        assert!(between((&old, &with), (&at("1.0.1", "acme", GET), &with)).is_empty());
        assert_eq!(between((&old, &with), (&old, &with)), ["new: is version 1.0.0 again, with other contents"]);
        assert_eq!(
            between((&old, &with), (&at("1.0.0-rc.1", "acme", GET), &with)),
            ["new: is version 1.0.0-rc.1, older than 1.0.0"]
        );
        let gone = between((&old, &with), (&less, &without));
        assert!(gone.iter().all(|line| line.starts_with("gone: ")) && gone.len() == 2, "{gone:?}");
        let other = at("2.0.0", "evil", &GET.replace("a.example", "b.example"));
        assert_eq!(
            between((&old, &without), (&other, &with)),
            [
                "new: comes from the publisher `evil` instead of `acme`",
                "new: imports http",
                "new: may GET to https://b.example.com/ (sending up to 16 MiB a request, receiving up to 16 MiB)",
                "gone: may GET to https://a.example.com/ (sending up to 16 MiB a request, receiving up to 16 MiB)",
            ]
        );
    }

    #[test]
    fn what_was_granted_more_narrowly_stays_narrow() {
        let manifest = manifest("acme", &GET.replace("a.example", "*.example"));
        let asks = manifest.asks(Digest::new([1; 32]));
        let mut narrow = asks.clone();
        narrow.http[0].host = "a.example.com".parse().unwrap();
        let carried = carried(&narrow, &manifest, Digest::new([2; 32]));
        assert_eq!((carried.http, carried.digest), (narrow.http, Digest::new([2; 32])));
        let less = at(
            "2.0.0",
            "acme",
            "[[http]]\nreason = \"r\"\nhost = \"a.example.com\"\npath = \"/health\"\nmethods = [\"GET\"]\nmax-request-bytes-per-hour = 10",
        );
        let cut = super::carried(&asks, &less, Digest::new([2; 32]));
        assert_eq!(cut.http, less.asks(cut.digest).http, "no more than it still asks for");
        let nothing = super::carried(&asks, &super::tests::manifest("acme", ""), Digest::new([2; 32]));
        assert!(nothing.is_nothing());
    }
}
