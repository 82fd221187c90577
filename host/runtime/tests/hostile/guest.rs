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
    let encoder = ComponentEncoder::default().validate(true).module(&module).expect("the module fits the world");
    let mut encoder = encoder;
    encoder.encode().expect("the component can be encoded")
}
