//! Many plugins: how soon one is stopped, what one that does nothing takes, and whether any of many is starved.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_hostile::{component, with_custom};
use fumehood_policy::{Digest, PluginGrant};
use fumehood_runtime::{Chunk, CompiledCache, Plugin, PluginSource, Runtime, RuntimeConfig, World, limits};
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::measure::{Goal, Report, median, rounds};

/// Plugins that are called at once, and the tasks that call them.
const PLUGINS: usize = 64;
const TASKS: usize = 256;
/// How long they call in a round.
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 7;

fn runtime() -> Runtime {
    let cache = CompiledCache::none();
    let instances = limits::INSTANCES;
    Runtime::new(RuntimeConfig { cache, instances, egress: None, compiler: None, deterministic: false }).unwrap()
}

async fn load(runtime: &Runtime, component: &[u8]) -> Plugin {
    let source = PluginSource { name: "one", version: "1.0.0", world: World::Scanner, component, rules: "{}" };
    runtime.load(source).await.unwrap()
}

fn chunk(text: &str) -> Chunk<'_> {
    Chunk { text, offset: 0, continues_before: false, continues_after: false, name: None }
}

/// From the switch to the end of a call that computes without end, in the middle and at worst.
pub fn kill(report: &mut Report) {
    const LOOP: &str = include_str!("../../../host/runtime/tests/hostile/attacks/loop_in_scan.wat");
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let times = tokio.block_on(async {
        let runtime = runtime();
        let plugin = load(&runtime, &component("scanner", LOOP)).await;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let stop = CancellationToken::new();
            let grant = Arc::new(PluginGrant::nothing("one", Digest::new([0; 32]), 0));
            let host = Arc::new(Host { grant, stop: stop.clone() });
            let kill = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                stop.cancel();
                Instant::now()
            };
            let (result, killed) = tokio::join!(runtime.scan(&plugin, chunk("x"), Some(host)), kill);
            assert!(result.is_err(), "it was stopped");
            times.push(killed.elapsed().as_secs_f64() * 1e3);
        }
        times
    });
    println!(
        "kill switch: a call that computes without end, {ROUNDS} times, {} ms in the middle",
        median(&times).round()
    );
    let worst = times.iter().copied().fold(0.0, f64::max);
    report.number("from the kill switch to the call's end, at worst", "ms", worst, Goal::AtMost(1000.0));
}

/// Resident memory of this process, KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a loaded plugin takes that nobody calls: against the machine code of one, which has to be somewhere.
pub fn idle(report: &mut Report) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bundled = fumehood_bundle::PLUGINS.iter().find(|plugin| plugin.name == "scanner-pii").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = || CompiledCache::new(folder.path().into(), Arc::new(|_, _| [0; 32]));
    tokio.block_on(async {
        let with = |number: usize| with_custom(bundled.component.to_vec(), "number", &number.to_le_bytes());
        let new = || {
            let instances = limits::INSTANCES;
            Runtime::new(RuntimeConfig {
                cache: cache(),
                instances,
                egress: None,
                compiler: None,
                deterministic: false,
            })
        };
        // Compiled before, so that the compiler's leftovers are not what is measured.
        const IDLE: usize = 8;
        let warm = new().unwrap();
        for number in 0..IDLE {
            load(&warm, &with(number)).await;
        }
        drop(warm);
        let code: u64 =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        let runtime = new().unwrap();
        let before = resident();
        let mut loaded = Vec::new();
        for number in 0..IDLE {
            loaded.push(load(&runtime, &with(number)).await);
        }
        let each = (resident() - before) / IDLE as f64;
        let code = code as f64 / 1024.0 / IDLE as f64;
        println!("idle plugins: {IDLE} loaded, {each:.0} KiB each, of {code:.0} KiB of machine code");
        report.number("memory of an idle plugin, in times of its machine code", "", each / code, Goal::AtMost(2.0));
    });
}

/// 64 plugins from 256 tasks against one plugin from as many tasks; and no plugin behind the others.
pub fn many(report: &mut Report) {
    const GOOD: &str = include_str!("../../../host/runtime/tests/hostile/good.wat");
    let text = format!("{}@", "x".repeat(512));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let runtime = runtime();
    let plugins: Vec<Plugin> = tokio.block_on(async {
        let mut plugins = Vec::new();
        for number in 0..PLUGINS {
            let component = with_custom(component("scanner", GOOD), "number", &number.to_le_bytes());
            plugins.push(load(&runtime, &component).await);
        }
        plugins
    });
    // Calls a second, and the calls of the plugin that had the fewest against the middle one's.
    let run = |plugins: &[Plugin]| {
        tokio.block_on(async {
            let end = Instant::now() + ROUND;
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..TASKS {
                let (runtime, plugin, text) = (runtime.clone(), plugins[task % plugins.len()].clone(), text.clone());
                let which = task % plugins.len();
                tasks.spawn(async move {
                    let mut calls = 0_u64;
                    while Instant::now() < end {
                        let output = runtime.scan(&plugin, chunk(&text), None).await.expect("no call fails");
                        assert_eq!(output.findings.len(), 1);
                        calls += 1;
                    }
                    (which, calls)
                });
            }
            let mut each = vec![0.0_f64; plugins.len()];
            while let Some(done) = tasks.join_next().await {
                let (which, calls) = done.unwrap();
                each[which] += calls as f64;
            }
            let least = each.iter().copied().fold(f64::INFINITY, f64::min);
            (each.iter().sum::<f64>() / ROUND.as_secs_f64(), least / median(&each))
        })
    };
    let mut behind = Vec::new();
    let result = rounds(
        ROUNDS,
        || {
            let (rate, least) = run(&plugins);
            behind.push(least);
            rate
        },
        || run(&plugins[..1]).0,
    );
    println!("many plugins: {PLUGINS} from {TASKS} tasks for {} ms a round, no call failed", ROUND.as_millis());
    report.ratio("64 plugins from 256 tasks, against one plugin", "calls/s", &result, Some(Goal::AtLeast(0.8)));
    report.number(
        "calls of the plugin that had the fewest, of the middle one's",
        "",
        median(&behind),
        Goal::AtLeast(0.5),
    );
}
