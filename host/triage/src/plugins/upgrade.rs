//! What another version of a plugin changes: what it asks for, what its binary imports, and who made it.

use fumehood_policy::{Change, Digest, Direction, Manifest, PluginGrant, diff};
use fumehood_runtime::Inspection;

/// A version, as far as it is compared.
pub(super) struct Side<'a> {
    pub manifest: &'a Manifest,
    pub inspection: &'a Inspection,
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
    all.extend(diff(&old.manifest.asks(none), &new.manifest.asks(none)).changes);
    for import in had.iter().filter(|import| !has.contains(import)) {
        all.push(change(Direction::Narrowing, format!("imports {import}")));
    }
    all.sort_by_key(|change| change.direction);
    all
}

/// Whether any of them allows what was not allowed.
pub(super) fn widens(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.direction == Direction::Widening)
}

/// The grant of the old version for the new one, whose requests go no further: of what was granted, that which it still
/// asks for.
pub(super) fn carried(old: &PluginGrant, new: &Manifest, digest: Digest) -> PluginGrant {
    let asks = new.asks(digest);
    let mut carried = PluginGrant { digest, plugin: new.name.clone(), ..old.clone() };
    // A rule that was granted stays where the new version asks for something within it, or for more.
    carried.http.retain(|rule| asks.http.iter().any(|ask| ask.covers(rule) || rule.covers(ask)));
    carried.configured.retain(|rule| asks.configured.iter().any(|ask| ask.covers(rule) || rule.covers(ask)));
    carried.credentials.retain(|rule| asks.credentials.iter().any(|ask| ask.handle == rule.handle));
    carried.processes.retain(|rule| asks.processes.iter().any(|ask| ask.covers(rule) || rule.covers(ask)));
    carried.kv_bytes = carried.kv_bytes.min(asks.kv_bytes);
    carried.configured_process &= asks.configured_process;
    carried
}

#[cfg(test)]
mod tests {
    use super::*;
    use fumehood_runtime::World;

    fn manifest(publisher: &str, rest: &str) -> Manifest {
        Manifest::parse(&format!(
            "name = \"desk\"\nversion = \"1.0.0\"\npublisher = \"{publisher}\"\nworld = \"integration\"\n\
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
        let side = |(manifest, inspection)| Side { manifest, inspection };
        changes(&side(old), &side(new)).iter().map(ToString::to_string).collect()
    }

    const GET: &str = "[[http]]\nreason = \"r\"\nhost = \"a.example.com\"\nmethods = [\"GET\"]";

    #[test]
    fn capabilities_imports_publisher_and_hosts_are_compared() {
        let (old, less) = (manifest("acme", GET), manifest("acme", ""));
        let (with, without) = (inspection(&["log", "http"]), inspection(&["log"]));
        assert!(between((&old, &with), (&old, &with)).is_empty());
        let gone = between((&old, &with), (&less, &without));
        assert!(gone.iter().all(|line| line.starts_with("gone: ")) && gone.len() == 2, "{gone:?}");
        let other = manifest("evil", &GET.replace("a.example", "b.example"));
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
        let nothing = super::carried(&asks, &super::tests::manifest("acme", ""), Digest::new([2; 32]));
        assert!(nothing.is_nothing());
    }
}
