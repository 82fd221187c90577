//! Connections to a server over pipes that come and go, by a goodbye and by a crash: nothing of them is left, no process
//! of the server's whole family, no descriptor and no thread of ours.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fumehood_tests::fakes::{node, program};
use fumehood_tests::machine::wait_for;
use serde_json::json;

use super::gateway::Caller;
use super::servers::running;
use super::{Bench, SETTLE, bench};

/// Connections that are opened and end in some way.
const ROUNDS: usize = 100;
/// Callers at once.
const CALLERS: usize = 4;

/// Entries of a folder of `/proc`.
fn entries(pid: u32, folder: &str) -> usize {
    fs::read_dir(Path::new("/proc").join(pid.to_string()).join(folder)).unwrap().count()
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
    let settled = || wait_for("what discovery holds", SETTLE, || (running(&mark).len() <= 4 * 4).then_some(()));
    many(20);
    settled();
    assert!(bench.discovered(early)["reason"].as_str().unwrap().contains("exit code 7"));
    let (descriptors, threads) = (entries(pid, "fd"), entries(pid, "task"));
    many(ROUNDS);
    settled();
    // Threads of blocking work end when they have been idle for a while; connections of these clients, too.
    wait_for("as many descriptors as before", SETTLE, || (entries(pid, "fd") <= descriptors).then_some(()));
    wait_for("as many threads as before", SETTLE, || (entries(pid, "task") <= threads).then_some(()));
    assert_eq!(zombies(pid), Vec::<String>::new());
    ids.iter().for_each(|id| bench.remove_server(id));
    wait_for("the end of every process", SETTLE, || running(&mark).is_empty().then_some(()));
    wait_for("the end of every zombie", Duration::from_secs(10), || zombies(pid).is_empty().then_some(()));
}
