//! What a component is, read from its bytes: nothing of it is compiled, and nothing runs.
//!
//! Invariant: what stands here was read from the binary, never from what the plugin says of itself. The manifest is the
//! one exception, and is kept apart as the text that it is.

use fumehood_policy::{MANIFEST_SECTION, MAX_MANIFEST_BYTES};
use wasmparser::{Encoding, Parser, Payload};

use crate::error::{LoadError, shown};
use crate::limits;
use crate::load::{World, import_allowed};

/// The version of each package of the contract that this host has: major, minor, patch.
pub const CONTRACT: [(&str, [u64; 3]); 9] = [
    ("types", [0, 1, 0]),
    ("log", [0, 1, 0]),
    ("http", [0, 1, 0]),
    ("kv", [0, 1, 0]),
    ("config", [0, 1, 0]),
    ("scanner", [0, 1, 0]),
    ("provider", [0, 1, 0]),
    ("integration", [0, 1, 0]),
    ("transport", [0, 1, 0]),
];

/// Imports that are looked at, and exports. A world has some thirty.
const NAMES: usize = 512;

/// A component, as its bytes show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// By what it exports.
    pub world: World,
    /// Names of what it imports, sorted.
    pub imports: Vec<String>,
    /// Names of what it exports, sorted.
    pub exports: Vec<String>,
    /// Core modules in it, nested ones too.
    pub core_modules: usize,
    /// The manifest that it carries.
    pub manifest: Option<String>,
    /// Size, bytes.
    pub bytes: usize,
}

impl Inspection {
    /// What of the contract it imports, without WASI and shared records: `log`, `http`, …
    pub fn capabilities(&self) -> Vec<&str> {
        let ours = self.imports.iter().filter_map(|import| import.strip_prefix("fumehood:")?.split('/').next());
        ours.filter(|package| *package != "types").collect()
    }
}

/// Read a component.
///
/// # Errors
/// [`LoadError`] where it is none, is too large, or imports what its world may not have.
pub fn inspect(name: &str, component: &[u8]) -> Result<Inspection, LoadError> {
    let mut seen = read(name, component, World::Scanner)?;
    seen.world = world_of(name, &seen.exports)?;
    check_names(name, seen.world, &seen.imports)?;
    Ok(seen)
}

/// Read a component that is meant for a world. Whether it has what that world exports is left to the linker.
pub(crate) fn inspect_as(name: &str, component: &[u8], world: World) -> Result<Inspection, LoadError> {
    let seen = read(name, component, world)?;
    check_names(name, world, &seen.imports)?;
    Ok(seen)
}

fn read(name: &str, component: &[u8], world: World) -> Result<Inspection, LoadError> {
    let plugin = || shown(name);
    if component.len() > limits::COMPONENT_BYTES {
        return Err(LoadError::TooLarge { plugin: plugin(), size: component.len(), limit: limits::COMPONENT_BYTES });
    }
    if wasmtime::Engine::detect_precompiled(component).is_some() {
        return Err(LoadError::Precompiled { plugin: plugin() });
    }
    check_is_component(name, component)?;
    let broken = |reason: String| LoadError::NotAComponent { plugin: plugin(), reason: shown(&reason) };
    let (mut imports, mut exports, mut manifest) = (Vec::new(), Vec::new(), None);
    let (mut depth, mut core_modules) = (0_usize, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| broken(error.to_string()))? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                core_modules += usize::from(encoding == Encoding::Module);
            }
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    if imports.len() >= NAMES {
                        return Err(broken(format!("it imports more than {NAMES} names")));
                    }
                    imports.push(import.map_err(|error| broken(error.to_string()))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    if exports.len() >= NAMES {
                        return Err(broken(format!("it exports more than {NAMES} names")));
                    }
                    exports.push(export.map_err(|error| broken(error.to_string()))?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 1 && section.name() == MANIFEST_SECTION => {
                if manifest.is_some() {
                    return Err(broken("it carries two manifests".into()));
                }
                if section.data().len() > MAX_MANIFEST_BYTES {
                    return Err(broken(format!("its manifest is larger than {} KiB", MAX_MANIFEST_BYTES >> 10)));
                }
                let text = std::str::from_utf8(section.data());
                manifest = Some(text.map_err(|_| broken("its manifest is not UTF-8".into()))?.to_owned());
            }
            _ => {}
        }
    }
    imports.sort();
    exports.sort();
    Ok(Inspection { world, imports, exports, core_modules, manifest, bytes: component.len() })
}

/// A component with a manifest in it, in the place of the one that it may have had.
///
/// # Errors
/// [`LoadError::NotAComponent`].
pub fn with_manifest(name: &str, component: &[u8], manifest: &str) -> Result<Vec<u8>, LoadError> {
    check_is_component(name, component)?;
    let broken = |reason: String| LoadError::NotAComponent { plugin: shown(name), reason: shown(&reason) };
    let mut bare = Vec::with_capacity(component.len() + manifest.len() + 64);
    let (mut depth, mut copied) = (0_usize, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| broken(error.to_string()))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 1 && section.name() == MANIFEST_SECTION => {
                // The section's own range begins behind its id and its length.
                let start =
                    section_start(component, section.range().start).ok_or_else(|| broken("a section".into()))?;
                bare.extend_from_slice(component.get(copied..start).unwrap_or_default());
                copied = section.range().end;
            }
            _ => {}
        }
    }
    bare.extend_from_slice(component.get(copied..).unwrap_or_default());
    let section = wasm_encoder::CustomSection { name: MANIFEST_SECTION.into(), data: manifest.as_bytes().into() };
    wasm_encoder::ComponentSection::append_to_component(&section, &mut bare);
    Ok(bare)
}

/// Where the section whose contents begin at `at` begins itself: its id (0) and its length in LEB 128 stand before.
fn section_start(component: &[u8], at: usize) -> Option<usize> {
    (2..=6).map(|back| at.checked_sub(back)).find_map(|start| {
        let start = start?;
        let length = component.get(start + 1..at)?;
        let (last, others) = length.split_last()?;
        let whole = *component.get(start)? == 0 && last & 0x80 == 0 && others.iter().all(|byte| byte & 0x80 != 0);
        whole.then_some(start)
    })
}

pub(crate) fn check_is_component(plugin: &str, bytes: &[u8]) -> Result<(), LoadError> {
    // The component preamble: magic, version 13, layer 1.
    let reason = match bytes.get(..8) {
        Some([0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00]) => return Ok(()),
        Some([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) => {
            "it is a core module; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
        }
        _ => "it does not begin with a component header",
    };
    Err(LoadError::NotAComponent { plugin: shown(plugin), reason: reason.into() })
}

/// The world, by the one `fumehood:<world>/guest` that is exported.
fn world_of(plugin: &str, exports: &[String]) -> Result<World, LoadError> {
    let found = |world: &World| exports.iter().any(|export| package(export) == Some((world.name(), "guest")));
    let worlds: Vec<World> = World::ALL.into_iter().filter(found).collect();
    match worlds.as_slice() {
        [world] => {
            let guest = exports.iter().find(|export| package(export) == Some((world.name(), "guest")));
            guest.map_or(Ok(()), |name| check_version(plugin, name, "exports"))?;
            Ok(*world)
        }
        [] => Err(LoadError::NotAComponent {
            plugin: shown(plugin),
            reason:
                "it exports none of fumehood:scanner/guest, fumehood:provider/guest, fumehood:integration/guest and \
                     fumehood:transport/guest"
                    .into(),
        }),
        _ => Err(LoadError::NotAComponent {
            plugin: shown(plugin),
            reason: "it exports the guests of two worlds; a plugin has one".into(),
        }),
    }
}

/// Package and interface of `fumehood:package/interface@version`.
fn package(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("fumehood:")?.split('@').next()?.split_once('/')
}

fn check_names(plugin: &str, world: World, imports: &[String]) -> Result<(), LoadError> {
    for import in imports {
        check_version(plugin, import, "imports")?;
        let (allowed, hint) = import_allowed(world, import);
        if !allowed {
            let (plugin, import) = (shown(plugin), shown(import));
            return Err(LoadError::Import { plugin, import, world: world.name(), hint });
        }
    }
    Ok(())
}

/// Refuse what was built for a contract that this host does not have, and say which host does. Contract and host count
/// their minor versions together.
fn check_version(plugin: &str, name: &str, does: &'static str) -> Result<(), LoadError> {
    let Some((package, _)) = package(name) else { return Ok(()) };
    let Some((_, ours)) = CONTRACT.iter().find(|(known, _)| *known == package) else { return Ok(()) };
    let version = name.split_once('@').map(|(_, version)| version).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
    let (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(());
    };
    let theirs = [major, minor, patch];
    // Within 0.x every minor version is another contract; from 1.0 on a host has all the minor versions before its own.
    let older = if ours[0] == 0 { theirs[..2] < ours[..2] } else { theirs[0] < ours[0] };
    let newer = if ours[0] == 0 { theirs[..2] > ours[..2] } else { theirs > *ours };
    let (plugin, name) = (shown(plugin), shown(name));
    if newer {
        return Err(LoadError::TooNew { plugin, needs: format!("{major}.{minor}.0"), does, name });
    }
    if older {
        let ours = format!("{}.{}.{}", ours[0], ours[1], ours[2]);
        return Err(LoadError::TooOld { plugin, does, name, ours });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(imports: &str, exports: &str) -> Vec<u8> {
        let imports: String =
            imports.split_whitespace().map(|name| format!(r#"(import "{name}" (instance))"#)).collect();
        let exports: String = exports
            .split_whitespace()
            .enumerate()
            .map(|(at, name)| format!(r#"(instance $i{at}) (export "{name}" (instance $i{at}))"#))
            .collect();
        wat::parse_str(format!("(component {imports} {exports})")).unwrap()
    }

    const SCANNER: &str = "fumehood:scanner/guest@0.1.0";

    #[test]
    fn a_component_is_read_from_its_bytes() {
        let bytes = component("fumehood:log/log@0.1.0 fumehood:types/types@0.1.0 wasi:io/error@0.2.6", SCANNER);
        let seen = inspect("a", &bytes).unwrap();
        assert_eq!((seen.world, seen.capabilities(), seen.manifest.clone()), (World::Scanner, vec!["log"], None));
        let with = with_manifest("a", &bytes, "name = \"x\"").unwrap();
        assert_eq!(inspect("a", &with).unwrap().manifest.as_deref(), Some("name = \"x\""));
        let again = with_manifest("a", &with, &"y".repeat(300)).unwrap();
        assert_eq!(inspect("a", &again).unwrap().manifest, Some("y".repeat(300)));
        assert_eq!(with_manifest("a", &again, "name = \"x\"").unwrap(), with, "it replaces the one before");
    }

    #[test]
    fn what_is_refused_says_why() {
        let error = |imports, exports| inspect("acme", &component(imports, exports)).unwrap_err().to_string();
        assert_eq!(
            error("fumehood:log/log@0.2.0", SCANNER),
            "acme needs Fumehood 0.2.0 or newer because it imports fumehood:log/log@0.2.0"
        );
        assert_eq!(
            error("", "fumehood:scanner/guest@1.3.0"),
            "acme needs Fumehood 1.3.0 or newer because it exports fumehood:scanner/guest@1.3.0"
        );
        assert_eq!(
            error("fumehood:log/log@0.0.9", SCANNER),
            "acme was built for a contract that is gone: it imports fumehood:log/log@0.0.9, and this host has 0.1.0; \
             build it again"
        );
        assert!(error("fumehood:http/http@0.1.0", SCANNER).starts_with("acme imports fumehood:http/http@0.1.0, which"));
        assert!(error("", "a:b/c").contains("it exports none of"));
        assert!(error("", &format!("{SCANNER} fumehood:provider/guest@0.1.0")).contains("two worlds"));
        assert!(matches!(inspect("a", b"\0asm\x01\0\0\0"), Err(LoadError::NotAComponent { .. })));
        assert!(matches!(inspect("a", b""), Err(LoadError::NotAComponent { .. })));
    }

    #[test]
    fn a_manifest_inside_a_nested_component_is_not_the_components() {
        let inner = with_manifest("a", &component("", ""), "stolen").unwrap();
        let mut outer = component("", SCANNER);
        wasm_encoder::ComponentSection::append_to_component(
            &wasm_encoder::RawSection { id: 4, data: &inner },
            &mut outer,
        );
        assert_eq!(inspect("a", &outer).unwrap().manifest, None);
    }
}
