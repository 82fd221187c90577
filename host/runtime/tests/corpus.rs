//! Components that were compiled for released versions of the contract still load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that meets what it did not expect has to fail"
)]

use std::path::Path;

use fumehood_policy::Manifest;
use fumehood_runtime::{CompiledCache, PluginSource, Runtime, RuntimeConfig, inspect};

#[test]
fn every_plugin_of_the_corpus_loads() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let config = RuntimeConfig {
        cache: CompiledCache::none(),
        instances: 4,
        egress: None,
        compiler: None,
        deterministic: false,
    };
    let runtime = Runtime::new(config).expect("an engine");
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut worlds = std::collections::BTreeSet::new();
    for version in std::fs::read_dir(corpus).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(version.path()).unwrap().flatten() {
            let (path, component) = (file.path(), std::fs::read(file.path()).unwrap());
            let name = path.display().to_string();
            let seen = inspect(&name, &component).expect("it is understood");
            Manifest::parse(seen.manifest.as_deref().expect("it carries a manifest"))
                .expect("its manifest is understood");
            let source =
                PluginSource { name: &name, version: "1.0.0", world: seen.world, component: &component, rules: "{}" };
            executor.block_on(runtime.load(source)).expect("it loads");
            worlds.insert(seen.world.name());
        }
    }
    assert_eq!(worlds.into_iter().collect::<Vec<_>>(), ["integration", "provider", "scanner", "transport"]);
}
