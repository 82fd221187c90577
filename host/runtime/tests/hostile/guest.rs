//! Builds hostile components from WebAssembly text.
//!
//! An attack is a fragment of a core module: what it does not define of its world's functions is added from
//! `worlds/<world>.wat`, and the whole is wrapped for the contract in `wit/`. A text that begins with `(component` is
//! taken as it is.

use std::path::Path;

use fumehood_runtime::World;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The component that the text describes.
pub fn component(world: World, text: &str) -> Vec<u8> {
    if text.lines().any(|line| line.starts_with("(component")) {
        return wat::parse_str(text).expect("a component in text form");
    }
    let module = module(world, text);
    encode(world, &wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}")))
}

/// The whole core module of a fragment.
fn module(world: World, text: &str) -> String {
    let parts = match world {
        World::Scanner => include_str!("worlds/scanner.wat"),
        World::Transport => include_str!("worlds/transport.wat"),
        World::Provider => include_str!("worlds/provider.wat"),
        World::Integration => panic!("no attack is an integration"),
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
pub fn encode(world: World, module: &[u8]) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    for package in ["types", "log", "http", "kv", "config", "scanner", "provider", "transport"] {
        resolve.push_dir(wit.join(format!("{package}-0.1.0"))).expect("the contract parses");
    }
    let ours = resolve.push_str("hostile.wit", include_str!("worlds/hostile.wit")).expect("the hostile worlds parse");
    let id = resolve.select_world(&[ours], Some(world.name())).expect("the world is there");
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8).expect("the world can be embedded");
    // Not validated here: what is not valid is an attack, too.
    let encoder = ComponentEncoder::default().validate(false).module(&module).expect("the module fits the world");
    let mut encoder = encoder;
    encoder.encode().expect("the component can be encoded")
}

/// A component with more core modules, each with one instance, behind its own.
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

fn section(component: &mut Vec<u8>, id: u8, content: &[u8]) {
    component.push(id);
    let mut size = content.len();
    while size >= 0x80 {
        component.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    component.push(size as u8);
    component.extend_from_slice(content);
}
