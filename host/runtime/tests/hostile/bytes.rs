//! What is given as a component and is none, and compiled forms that were touched.

use std::sync::Arc;

use fumehood_runtime::{CompiledCache, LoadError, World, limits};
use sha2::{Digest as _, Sha256};

use crate::guest;
use crate::harness::{Room, block_on, scan, shown};

/// Every world refuses the bytes, with the same words; then the host serves on.
fn refused(bytes: &[u8], says: &str) {
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        for world in [World::Scanner, World::Provider, World::Integration, World::Transport] {
            let error = room.load(world, bytes).await.err().expect("it is refused");
            assert_eq!(error.to_string(), says, "{}", world.name());
        }
        honest.answers(&room).await;
    });
}

#[test]
fn nothing_at_all() {
    refused(b"", "hostile is not a WebAssembly component: it does not begin with a component header");
}

#[test]
fn garbage() {
    let bytes: Vec<u8> = (0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    refused(&bytes, "hostile is not a WebAssembly component: it does not begin with a component header");
}

#[test]
fn a_program_of_this_machine() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let head = &bytes[..bytes.len().min(1 << 20)];
    refused(head, "hostile is not a WebAssembly component: it does not begin with a component header");
}

#[test]
fn a_core_module() {
    let module = wat::parse_str("(module (func (export \"scan\")))").unwrap();
    refused(
        &module,
        "hostile is not a WebAssembly component: it is a core module; build for wasm32-wasip2, or wrap it with \
         `wasm-tools component new`",
    );
}

#[test]
fn one_byte_over_the_limit() {
    let mut bytes = wat::parse_str("(component)").unwrap();
    bytes.resize(limits::COMPONENT_BYTES + 1, 0);
    refused(&bytes, "hostile: 67108865 bytes is over the limit of 67108864 bytes for a component");
}

#[test]
fn machine_code_of_the_same_engine() {
    // The compiled form, as this very engine makes it, without its tag.
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let room = Room::with(1, cache(folder.path(), 1));
        room.honest().await;
    });
    let artefact = std::fs::read(only_file(folder.path())).unwrap();
    refused(
        &artefact[32..],
        "hostile is a precompiled artefact, not a WebAssembly component; Fumehood compiles plugins itself and loads no \
         foreign machine code",
    );
}

#[test]
fn cut_short_anywhere() {
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        let whole = guest::component(World::Scanner, include_str!("good.wat"));
        // Where the cut leaves whole sections, what is left may be a component, which then is no scanner.
        for end in (0..whole.len()).step_by(7) {
            let error = room.load(World::Scanner, &whole[..end]).await.err();
            let named = matches!(
                error,
                Some(LoadError::NotAComponent { .. } | LoadError::World { .. } | LoadError::Compile { .. })
            );
            assert!(named, "cut at {end}: {error:?}");
        }
        honest.answers(&room).await;
    });
}

#[test]
fn flipped_anywhere() {
    // Nothing is asked of the result but that there is one: no panic, no hang, and the host serves on.
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        let whole = guest::component(World::Scanner, include_str!("good.wat"));
        for at in (8..whole.len()).step_by(5) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            if let Ok(plugin) = room.load(World::Scanner, &bytes).await {
                let _ = scan(&room, &plugin, None).await;
            }
        }
        honest.answers(&room).await;
    });
}

fn cache(folder: &std::path::Path, key: u8) -> CompiledCache {
    CompiledCache::new(
        folder.to_path_buf(),
        Arc::new(move |what, bytes| {
            Sha256::new().chain_update([key]).chain_update(what).chain_update(bytes).finalize().into()
        }),
    )
}

fn only_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn a_compiled_form_that_was_touched_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let component = guest::component(World::Scanner, include_str!("good.wat"));
    block_on(async {
        // Another runtime each time, as after a start.
        let load = async |key: u8| {
            let room = Room::with(1, cache(folder.path(), key));
            let plugin = room.load(World::Scanner, &component).await.unwrap();
            let output = scan(&room, &plugin, None).await.unwrap();
            assert_eq!(shown(&output.findings), "EMAIL 13..14 1 rule");
            plugin.from_cache()
        };
        assert!(!load(1).await, "the first time there is none");
        assert!(load(1).await, "the second time it is there");
        let path = only_file(folder.path());
        let good = std::fs::read(&path).unwrap();
        for at in [0, 31, 32, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(!load(1).await, "byte {at} was flipped");
            assert!(load(1).await, "it was made anew");
        }
        std::fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(!load(1).await, "it was cut short");
        std::fs::write(&path, b"").unwrap();
        assert!(!load(1).await, "it was emptied");
        assert!(!load(2).await, "it was made with another key");
    });
}
