//! Builds hostile components from WebAssembly text.
//!
//! An attack is a fragment of a core module: what it does not define of its world's functions is added from
//! `worlds/<world>.wat`, and the whole is wrapped for the contract in `wit/`. A text that begins with `(component` is
//! taken as it is. Worlds go by their names: `scanner`, `transport`, `provider`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be built is a mistake in a test, which fails by panicking"
)]

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The component that the text describes.
#[must_use]
pub fn component(world: &str, text: &str) -> Vec<u8> {
    if text.lines().any(|line| line.starts_with("(component")) {
        return wat::parse_str(text).expect("a component in text form");
    }
    let module = module(world, text);
    encode(world, &wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}")))
}

/// The whole core module of a fragment.
fn module(world: &str, text: &str) -> String {
    let parts = match world {
        "scanner" => include_str!("../worlds/scanner.wat"),
        "transport" => include_str!("../worlds/transport.wat"),
        "provider" => include_str!("../worlds/provider.wat"),
        other => panic!("no attack is built as {other}"),
    };
    let mut module = format!("(module\n{text}\n");
    for part in parts.split("\n;; part ").skip(1) {
        let (name, body) = part.split_once('\n').expect("a part has a body");
        let brought = ["func", "memory"].iter().any(|what| text.contains(&format!("({what} {name} ")));
        if !brought {
            module.push_str(body);
        }
    }
    module.push(')');
    module
}

/// A core module as a component of a world.
fn encode(world: &str, module: &[u8]) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    for package in ["types", "log", "http", "kv", "config", "scanner", "provider", "transport"] {
        resolve.push_dir(wit.join(format!("{package}-0.1.0"))).expect("the contract parses");
    }
    let ours =
        resolve.push_str("hostile.wit", include_str!("../worlds/hostile.wit")).expect("the hostile worlds parse");
    let id = resolve.select_world(&[ours], Some(world)).expect("the world is there");
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8).expect("the world can be embedded");
    // Not validated here: what is not valid is an attack, too.
    let encoder = ComponentEncoder::default().validate(false).module(&module).expect("the module fits the world");
    let mut encoder = encoder;
    encoder.encode().expect("the component can be encoded")
}

/// A component with more core modules, each with one instance, behind its own.
#[must_use]
pub fn with_modules(mut component: Vec<u8>, more: &[&str]) -> Vec<u8> {
    const HEADER: usize = 8;
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCE: u8 = 2;
    let (mut at, mut modules) = (HEADER, 0u8);
    while at < component.len() {
        modules += u8::from(component[at] == CORE_MODULE);
        let (size, after) = read_leb(&component, at + 1);
        at = after + size;
    }
    for text in more {
        section(&mut component, CORE_MODULE, &wat::parse_str(text).expect("a module"));
        // One instance, made from a module, with nothing handed in.
        section(&mut component, CORE_INSTANCE, &[1, 0, modules, 0]);
        modules += 1;
    }
    component
}

/// A component with a custom section at its end.
#[must_use]
pub fn with_custom(mut component: Vec<u8>, name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    leb(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(content);
    section(&mut component, 0, &body);
    component
}

/// A scanner with so many functions beside its own, each with a branch table of so many targets: small to send, and much
/// to compile.
#[must_use]
pub fn compile_bomb(functions: usize, targets: usize) -> Vec<u8> {
    let table = "$out ".repeat(targets);
    let one = format!("(func (param i32) (block $out (br_table {table}(local.get 0))))\n");
    component("scanner", &one.repeat(functions))
}

fn read_leb(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        value |= usize::from(bytes[at] & 0x7f) << shift;
        at += 1;
        if bytes[at - 1] < 0x80 {
            return (value, at);
        }
        shift += 7;
    }
}

fn leb(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn section(component: &mut Vec<u8>, id: u8, content: &[u8]) {
    component.push(id);
    leb(component, content.len());
    component.extend_from_slice(content);
}
