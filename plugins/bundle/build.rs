//! Builds the plugins that ship, for `wasm32-wasip2`, and hands their bytes to the crate: one file is the product.
//!
//! This is the only build script that calls cargo. It uses a target folder of its own that is stable between builds,
//! and none of the outer build's flags, so that the components do not depend on how the host is built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a build script stops by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Crate name of each plugin that ships.
const PLUGINS: [&str; 12] = [
    "scanner-pii",
    "scanner-prose",
    "scanner-rules",
    "provider-openai",
    "provider-azure",
    "provider-anthropic",
    "provider-gemini",
    "provider-ollama",
    "transport-http",
    "transport-sse",
    "transport-stdio",
    "integration-confluence",
];
const TARGET: &str = "wasm32-wasip2";
/// A folder with `<plugin>.wasm` files to use instead of building.
const PREBUILT: &str = "FUMEHOOD_PLUGINS_DIR";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let root = manifest.join("../..").canonicalize().unwrap();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    println!("cargo:rerun-if-env-changed={PREBUILT}");
    // Relative to this package: clones that share a target folder must not watch each other's files.
    for watched in ["wit", "Cargo.lock", "Cargo.toml", "rust-toolchain.toml"] {
        println!("cargo:rerun-if-changed=../../{watched}");
    }
    println!("cargo:rerun-if-changed=../sdk");
    println!("cargo:rerun-if-changed=../transport-http-core");
    println!("cargo:rerun-if-changed=../plugin-core");
    println!("cargo:rerun-if-changed=../provider-core");
    println!("cargo:rerun-if-changed=../openai-core");
    for plugin in PLUGINS {
        println!("cargo:rerun-if-changed=../{plugin}");
    }
    let built = match env::var_os(PREBUILT) {
        Some(folder) => PathBuf::from(folder),
        None => build(&root, &out),
    };
    for plugin in PLUGINS {
        let name = if env::var_os(PREBUILT).is_some() { plugin.into() } else { plugin.replace('-', "_") };
        let from = built.join(format!("{name}.wasm"));
        let bytes = fs::read(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let is_component = bytes.get(..8) == Some(b"\0asm\x0d\0\x01\0");
        if !is_component && env::var("PROFILE").as_deref() == Ok("release") && env::var_os("CLIPPY_ARGS").is_none() {
            panic!("{} is not a WebAssembly component; a release build refuses placeholders", from.display());
        }
        fs::write(out.join(format!("{plugin}.wasm")), bytes).unwrap();
    }
}

fn build(root: &Path, out: &Path) -> PathBuf {
    // OUT_DIR is <target>/<profile>/build/<crate>-<hash>/out: go up to <target>, whatever the profile.
    let target_dir = out.ancestors().nth(4).unwrap().join("plugins");
    ensure_target();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--locked", "--profile", "guest", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target_dir);
    for plugin in PLUGINS {
        cargo.args(["-p", plugin]);
    }
    if env::var("CARGO_NET_OFFLINE").as_deref() == Ok("true") {
        cargo.arg("--offline");
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let outer = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "RUSTC_WRAPPER"]
            .contains(&text.as_ref())
            || ["RUSTC_WORKSPACE_WRAPPER", "CARGO_INCREMENTAL", "CLIPPY_ARGS", "RUSTC"].contains(&text.as_ref())
            || text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_FEATURE_")
            || text.starts_with("CARGO_CFG_");
        if outer {
            cargo.env_remove(&name);
        }
    }
    cargo.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "-Ctarget-feature=+simd128");
    let output = cargo.output().expect("cargo starts");
    if !output.status.success() {
        panic!(
            "the plugins could not be built for {TARGET}:\n{}\nTo see it alone: cargo build --profile guest --target {TARGET} -p scanner-pii",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    target_dir.join(TARGET).join("guest")
}

/// rustup installs the target that `rust-toolchain.toml` names, unless automatic installation is switched off.
fn ensure_target() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output().ok();
    let installed = sysroot.is_some_and(|output| {
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        sysroot.join("lib/rustlib").join(TARGET).join("lib").exists()
    });
    if installed {
        return;
    }
    println!("cargo:warning=the Rust target {TARGET} is missing; asking rustup to install it");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status().is_ok_and(|status| status.success());
    if !added {
        panic!("the Rust target {TARGET} is missing and could not be installed. Run: rustup target add {TARGET}");
    }
}
