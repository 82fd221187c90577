//! From a component's bytes to something that can be called: checked, pre-initialised, compiled, cached.
//!
//! Invariant: a component that asks for more than its world may have is refused before any of its code runs, and
//! machine code is only ever our own (see `cache`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

use crate::CacheKey;
use crate::compile::in_child;
use crate::engine::Runtime;
use crate::error::{LoadError, reason, shown};
use crate::inspect::{Inspection, inspect_as};
use crate::state::State;
use crate::worlds;
use crate::worlds::prepare::{self, Prepared};

/// What kind of plugin a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    Scanner,
    Provider,
    Integration,
    Transport,
}

impl World {
    /// As the contract names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Provider => "provider",
            Self::Integration => "integration",
            Self::Transport => "transport",
        }
    }

    /// Host packages that the world may import, beside `types` and its own.
    const fn imports(self) -> &'static [&'static str] {
        match self {
            Self::Scanner => &["log"],
            Self::Provider => &["log", "http", "config"],
            Self::Integration => &["log", "http", "kv", "config"],
            Self::Transport => &["log", "config"],
        }
    }
}

/// A component to load.
pub struct PluginSource<'a> {
    /// For messages and the record.
    pub name: &'a str,
    pub version: &'a str,
    pub world: World,
    pub component: &'a [u8],
    /// For scanners: the rules that `prepare` is given, as JSON.
    pub rules: &'a str,
}

/// A loaded plugin; cheap to clone.
#[derive(Clone)]
pub struct Plugin(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) world: World,
    pub(crate) digest: [u8; 32],
    pub(crate) prepared: [u8; 32],
    pub(crate) from_cache: bool,
    pub(crate) inspection: Inspection,
    /// The rules, where `prepare` is run in each instance.
    pub(crate) prepare_each_time: Option<String>,
    pub(crate) entry: worlds::Entry,
}

impl Plugin {
    pub fn name(&self) -> &str {
        &self.0.name
    }
    pub fn version(&self) -> &str {
        &self.0.version
    }
    pub fn world(&self) -> World {
        self.0.world
    }
    /// SHA-256 of the component as it was given, before preparation and compilation.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }
    /// SHA-256 of the component and of the rules that it is prepared with: two of which it is the same do the same.
    pub fn prepared(&self) -> [u8; 32] {
        self.0.prepared
    }
    /// `sha256:` and 64 hexadecimal digits.
    pub fn digest_text(&self) -> String {
        use std::fmt::Write as _;
        self.0.digest.iter().fold(String::from("sha256:"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
    /// Whether the compiled form came from the cache.
    pub fn from_cache(&self) -> bool {
        self.0.from_cache
    }
    /// What it imports and exports, read from its bytes.
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }
}

impl Runtime {
    /// Check, prepare, compile and link a component. Compiling takes seconds of computing, so callers run this where
    /// blocking is allowed; a cached component takes milliseconds.
    ///
    /// # Errors
    /// Any [`LoadError`]; nothing of the component ran unless it is a scanner, whose `prepare` runs with `log` alone.
    pub async fn load(&self, source: PluginSource<'_>) -> Result<Plugin, LoadError> {
        let name = source.name;
        let seen = inspect_as(name, source.component, source.world)?;
        let key = self.cache_key(&source);
        let engine = &self.0.engine;
        // What an organisation's rules hold may be confidential: their image stays in memory.
        let kept = source.rules.len() <= "{}".len();
        let cached = self.0.cache.get(&key).filter(|_| kept).and_then(|artefact| {
            let loaded = deserialize(engine, &artefact);
            loaded
                .inspect_err(|error| tracing::warn!(%error, "a compiled plugin did not load; it is compiled anew"))
                .ok()
        });
        let ((component, each_time), made) = match cached {
            Some(component) => (component, None),
            None => {
                let artefact = match (&self.0.compiler, &self.0.egress) {
                    (Some(child), Some(egress)) => in_child(egress, child, &source).await?,
                    _ => self.make(&source).await?,
                };
                let component = deserialize(engine, &artefact)
                    .map_err(|error| LoadError::Compile { plugin: name.into(), reason: reason(&error) })?;
                (component, Some(artefact))
            }
        };
        check_imports(engine, &source, &component)?;
        let linker = match source.world {
            World::Scanner => &self.0.scanner,
            World::Provider => &self.0.provider,
            World::Integration => &self.0.integration,
            World::Transport => &self.0.transport,
        };
        let world_error = |error: wasmtime::Error| LoadError::World {
            plugin: name.into(),
            world: source.world.name(),
            reason: reason(&error),
        };
        let pre: InstancePre<State> = linker.instantiate_pre(&component).map_err(world_error)?;
        let entry = worlds::Entry::new(source.world, pre).map_err(world_error)?;
        if let Some(artefact) = made.as_ref().filter(|_| kept) {
            self.0.cache.put(&key, artefact);
        }
        let digest: [u8; 32] = Sha256::digest(source.component).into();
        Ok(Plugin(Arc::new(Loaded {
            name: name.into(),
            version: source.version.into(),
            world: source.world,
            digest,
            prepared: Sha256::new().chain_update(digest).chain_update(source.rules).finalize().into(),
            from_cache: made.is_none(),
            inspection: seen,
            prepare_each_time: each_time.then(|| source.rules.to_owned()),
            entry,
        })))
    }

    /// Whether a component was compiled and prepared before, so that nothing of it runs when it is loaded.
    pub fn is_prepared(&self, source: &PluginSource<'_>) -> bool {
        self.0.cache.get(&self.cache_key(source)).is_some()
    }

    /// Machine code from a component, in this process.
    pub(crate) async fn make(&self, source: &PluginSource<'_>) -> Result<Vec<u8>, LoadError> {
        // A panic in what takes foreign bytes apart is a refusal of these bytes, not the end of the host.
        let made = AssertUnwindSafe(self.compile(source)).catch_unwind().await;
        made.unwrap_or_else(|_| {
            let plugin = source.name.into();
            Err(LoadError::NotAComponent { plugin, reason: "it cannot be taken apart".into() })
        })
    }

    /// A scanner is prepared first. One byte stands behind the machine code: whether `prepare` is run in each instance.
    async fn compile(&self, source: &PluginSource<'_>) -> Result<Vec<u8>, LoadError> {
        let prepared = match source.world {
            World::Scanner => Some(prepare::prepare(self, source).await?),
            _ => None,
        };
        let (bytes, each_time) = match &prepared {
            Some(Prepared::Image(bytes)) => (bytes.as_slice(), false),
            Some(Prepared::EachTime) => (source.component, true),
            None => (source.component, false),
        };
        let compiled = self.0.engine.precompile_component(bytes);
        let mut artefact =
            compiled.map_err(|error| LoadError::Compile { plugin: source.name.into(), reason: reason(&error) })?;
        artefact.push(u8::from(each_time));
        Ok(artefact)
    }

    fn cache_key(&self, source: &PluginSource<'_>) -> CacheKey {
        use std::hash::{Hash, Hasher};
        // wasmtime's own view of what makes compiled code compatible: version, target, flags, features.
        struct Feed(Sha256);
        impl Hasher for Feed {
            fn finish(&self) -> u64 {
                0
            }
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }
        }
        let mut feed = Feed(Sha256::new());
        feed.0.update(b"fumehood compiled plugin 2\0");
        self.0.engine.precompile_compatibility_hash().hash(&mut feed);
        for part in [source.world.name().as_bytes(), source.rules.as_bytes(), source.component] {
            feed.0.update((part.len() as u64).to_le_bytes());
            feed.0.update(part);
        }
        CacheKey(feed.0.finalize().into())
    }
}

/// The component in an artefact, and whether `prepare` is run in each of its instances.
fn deserialize(engine: &Engine, artefact: &[u8]) -> wasmtime::Result<(Component, bool)> {
    let (each_time, artefact) = artefact.split_last().ok_or_else(|| wasmtime::Error::msg("it is empty"))?;
    #[expect(unsafe_code, reason = "the bytes were made by this engine and authenticated by the cache")]
    // SAFETY: `artefact` comes from `precompile_component` of an engine with the same compatibility hash, either just
    // now or through `CompiledCache::get`, which verified it with a key from the vault.
    let component = unsafe { Component::deserialize(engine, artefact) };
    component.map(|component| (component, *each_time != 0))
}

/// Refuse imports that the world may not have, with the way out where there is one.
pub(crate) fn check_imports(
    engine: &Engine,
    source: &PluginSource<'_>,
    component: &Component,
) -> Result<(), LoadError> {
    let ty = component.component_type();
    for (import, _) in ty.imports(engine) {
        let (allowed, hint) = import_allowed(source.world, import);
        if !allowed {
            return Err(LoadError::Import {
                plugin: source.name.into(),
                import: shown(import),
                world: source.world.name(),
                hint,
            });
        }
    }
    Ok(())
}

pub(crate) fn import_allowed(world: World, import: &str) -> (bool, &'static str) {
    let Some((namespace, rest)) = import.split_once(':') else {
        return (false, "");
    };
    let package = rest.split(['/', '@']).next().unwrap_or_default();
    match namespace {
        "fumehood" => (package == "types" || package == world.name() || world.imports().contains(&package), ""),
        "wasi" => match package {
            "io" | "cli" | "clocks" | "filesystem" | "random" => (true, ""),
            "http" => (
                false,
                "; build without it (componentize-qjs and componentize-py: --stub-wasi; ComponentizeJS: --disable all) and use fumehood:http",
            ),
            "sockets" => (
                false,
                "; build without it (Rust: do not use std::net; componentize-qjs and componentize-py: --stub-wasi) and use fumehood:http",
            ),
            _ => (false, ""),
        },
        _ => (false, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_imports_what_the_design_says_and_nothing_else() {
        for (world, import, allowed) in [
            (World::Scanner, "fumehood:log/log@0.1.0", true),
            (World::Scanner, "fumehood:http/http@0.1.0", false),
            (World::Scanner, "fumehood:config/config@0.1.0", false),
            (World::Scanner, "wasi:random/insecure-seed@0.2.6", true),
            (World::Scanner, "wasi:sockets/tcp@0.2.0", false),
            (World::Provider, "fumehood:http/http@0.1.0", true),
            (World::Provider, "fumehood:kv/kv@0.1.0", false),
            (World::Integration, "fumehood:kv/kv@0.1.0", true),
            (World::Transport, "fumehood:http/http@0.1.0", false),
            (World::Transport, "wasi:http/types@0.2.0", false),
            (World::Transport, "acme:secret/door", false),
        ] {
            assert_eq!(import_allowed(world, import).0, allowed, "{} {import}", world.name());
        }
    }
}
