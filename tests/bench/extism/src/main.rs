//! The same scanner on the same text, on a fresh instance each time: in the runtime, and under the crate `extism`.
//!
//! Both have compiled it before. What each does by its nature is counted: the runtime restores the scanner as it was when
//! its rules were prepared; under extism an instance has nothing but its code, so it prepares them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fumehood_runtime::{Chunk, CompiledCache, PluginSource, Runtime, RuntimeConfig, World, limits};

const ROUNDS: usize = 15;
const GOAL: f64 = 10.0;

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let guest = std::env::args().nth(1).expect("the path of the guest");
    let text = "203.0.113.7 - - GET /orders?mail=ana@ops.example HTTP/1.1 200 token=Xk29fooBarBaz77 \n".repeat(12);
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = Runtime::new(RuntimeConfig {
        cache: CompiledCache::none(),
        instances: limits::INSTANCES,
        egress: None,
        compiler: None,
        deterministic: false,
    })
    .unwrap();
    let bundled = fumehood_bundle::PLUGINS.iter().find(|plugin| plugin.name == "scanner-pii").unwrap();
    let source = PluginSource {
        name: "scanner-pii",
        version: "1.0.0",
        world: World::Scanner,
        component: bundled.component,
        rules: "{}",
    };
    let plugin = executor.block_on(runtime.load(source)).unwrap();
    let ours = || {
        let chunk = Chunk { text: &text, offset: 0, continues_before: false, continues_after: false, name: None };
        executor.block_on(runtime.scan(&plugin, chunk, None)).unwrap().findings.len()
    };
    let manifest = extism::Manifest::new([extism::Wasm::data(std::fs::read(Path::new(&guest)).unwrap())]);
    // What the scanner's crate imports as a component stands in its module, too; nothing calls it here.
    let log = extism::Function::new(
        "log",
        [extism::ValType::I32, extism::ValType::I32, extism::ValType::I32],
        [],
        extism::UserData::new(()),
        |_, _, _, _: extism::UserData<()>| Ok(()),
    );
    let log = log.with_namespace("fumehood:log/log@0.1.0");
    let builder = extism::PluginBuilder::new(manifest).with_wasi(false).with_functions([log]);
    let compiled = Arc::new(extism::CompiledPlugin::new(builder).unwrap());
    let theirs = || {
        let mut fresh = extism::Plugin::new_from_compiled(&compiled).unwrap();
        fresh.call::<&str, String>("scan", &text).unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(ours(), theirs(), "both find the same");
    let timed = |call: &dyn Fn() -> usize, times: usize| {
        let began = Instant::now();
        for _ in 0..times {
            call();
        }
        began.elapsed().as_secs_f64() * 1e6 / times as f64
    };
    let (mut us, mut them, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        us.push(timed(&ours, 200));
        them.push(timed(&theirs, 10));
        ratios.push(them[them.len() - 1] / us[us.len() - 1]);
    }
    let ratio = median(&mut ratios);
    let verdict = if ratio >= GOAL { "" } else { ", MISSED" };
    println!("the same scanner on a fresh instance, {} bytes with {} findings, {ROUNDS} rounds", text.len(), ours());
    println!(
        "against extism: ours {:.1} µs, extism {:.1} µs, {ratio:.1} times faster (goal at least {GOAL}{verdict})",
        median(&mut us),
        median(&mut them)
    );
}
