//! Connections to a server over pipes that come and go, by a goodbye and by a crash: nothing of them is left, no process
//! of the server's whole family, no descriptor and no thread of ours.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use fumehood_tests::fakes::{node, program};
use fumehood_tests::machine::wait_for;
use serde_json::json;

use super::caller::Caller;
use super::servers::running;
use super::{Bench, SETTLE, bench};

/// Connections that are opened and end in some way.
const ROUNDS: usize = 100;
/// Idle connections of clients, readers of the database and threads of a pool come and go; what leaks with a way to end
/// does so in every fourth round, 25 times.
const SLACK: usize = 16;
/// Callers at once.
const CALLERS: usize = 4;

/// Threads of a process.
fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// Open descriptors of a process, by what they are of.
fn descriptors(pid: u32) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map_while(Result::ok) {
        // One that was closed meanwhile is none.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        // `pipe:[4711]`, `anon_inode:[eventpoll]`, a path.
        let kind =
            if target.starts_with('/') { target } else { target.split(':').next().unwrap_or_default().to_owned() };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// Children of a process that have ended and that nobody has waited for.
fn zombies(parent: u32) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let stats = all.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // `pid (name) state parent …`, and the name may hold anything.
    let ended = stats.filter(|stat| {
        let rest: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        matches!(rest.as_slice(), ["Z", of, ..] if of.parse() == Ok(parent))
    });
    ended.collect()
}

/// A server of the fake family; its id.
fn family(bench: &Bench, mode: &str, mark: &str) -> String {
    let server = json!({"name": mode, "transport": "stdio", "command": node().unwrap(),
        "arguments": [program("mcp-family.mjs"), mode, mark]});
    let id = bench.add_server(&server);
    if bench.discovered(&id)["state"] == "connected" {
        bench.decide(&id, "allow", |_| true);
    }
    id
}

#[test]
fn a_hundred_starts_closes_and_crashes_leave_nothing_behind() {
    let Some(bench) = bench("leaks") else { return };
    let mark = format!("family-of-{}-{}", std::process::id(), bench.server.pid());
    let modes = ["ok", "crash", "abort", "early", "stubborn"];
    let ids = modes.map(|mode| family(&bench, mode, &mark));
    let early = &ids[3];
    let tokens: Vec<String> = (0..CALLERS).map(|_| bench.data.token("responder")).collect();
    let one = |token: &str, mode: &str| {
        if mode == "early" {
            // Callers are soon told without a start; whoever presses the button starts it each time.
            bench.person.submit(&format!("/servers/{early}/reconnect"), &[]);
            return;
        }
        let caller = Caller::new(&bench.server, &format!("/mcp/{mode}"), token, false);
        let answer = caller.call("echo", &json!({"text": mode}));
        match mode {
            "ok" | "stubborn" => assert_eq!(answer["result"]["content"][0]["text"], mode, "{answer}"),
            _ => assert!(answer["error"]["message"].as_str().unwrap().contains("ended"), "{mode}: {answer}"),
        }
        assert_eq!(caller.leave(), 204);
    };
    let many = |rounds: usize| {
        std::thread::scope(|scope| {
            for (number, token) in tokens.iter().enumerate() {
                scope.spawn(move || {
                    for round in (number..rounds).step_by(CALLERS) {
                        // Whoever does not go when asked costs seconds: a few of them.
                        let mode = if round % 21 == 20 { "stubborn" } else { modes[(round + round / CALLERS) % 4] };
                        one(token, mode);
                    }
                });
            }
        });
    };
    let pid = bench.server.pid();
    // Discovery keeps a connection to each that can be reached, of a leader and three more.
    let settled = || wait_for("what discovery holds", SETTLE, || (running(&mark).len() == 4 * 4).then_some(()));
    many(20);
    settled();
    assert!(bench.discovered(early)["reason"].as_str().unwrap().contains("exit code 7"));
    let (before, threads_before) = (descriptors(pid), threads(pid));
    many(ROUNDS);
    settled();
    wait_for("as many descriptors and threads as before", SETTLE, || {
        let now = descriptors(pid);
        let more = now.values().sum::<usize>().saturating_sub(before.values().sum());
        let well = now["pipe"] <= before["pipe"] && more <= SLACK && threads(pid) <= threads_before + SLACK;
        if !well {
            eprintln!("{threads_before} {before:?}, and now {} {now:?}", threads(pid));
        }
        well.then_some(())
    });
    assert_eq!(zombies(pid), Vec::<String>::new());
    ids.iter().for_each(|id| bench.remove_server(id));
    wait_for("the end of every process", SETTLE, || running(&mark).is_empty().then_some(()));
    wait_for("the end of every zombie", Duration::from_secs(10), || zombies(pid).is_empty().then_some(()));
}
