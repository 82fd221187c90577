//! kill -9 while several callers call: what was answered and what a server saw is on record, and the counters of the
//! sessions are those of their rows.

use std::collections::HashMap;
use std::time::Duration;

use fumehood_tests::Random;
use fumehood_tests::machine::kills;
use serde_json::{Value, json};

use super::caller::{Caller, record};
use super::{bench, hostile};

/// Callers at once.
const CALLERS: usize = 4;
/// Longest life of a server under load, ms.
const LIFE_MS: u64 = 900;

/// One caller's calls, one after the other, until the server is gone: how many were answered.
fn call_on(caller: &Caller, name: &str) -> usize {
    let mut answered = 0;
    loop {
        let text = format!("{name}-{answered}");
        let called = json!({"name": "echo", "arguments": {"text": text}});
        let Ok(answer) = caller.try_ask(1, "tools/call", &called) else { return answered };
        // A server that is being killed with ours may be told as an error; it is an answer all the same.
        if answer["error"].is_null() {
            assert_eq!(answer["result"]["content"][0]["text"], text, "{answer}");
        }
        answered += 1;
    }
}

#[test]
fn every_call_that_was_answered_or_seen_has_its_row_after_a_kill() {
    let Some(mut bench) = bench("kill under load") else { return };
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let token = bench.data.token("responder");
    let mut random = Random::from_clock("kill -9 under load");
    let (mut all_answered, mut all_seen, mut unknown) = (0, 0, 0);
    for round in 0..kills() {
        std::fs::write(&journal, "").unwrap();
        let callers: Vec<(String, Caller)> = (0..CALLERS)
            .map(|caller| {
                let caller_name = format!("round{round}caller{caller}");
                (caller_name, Caller::new(&bench.server, "/mcp/hostile", &token, false))
            })
            .collect();
        let life = Duration::from_millis(50 + random.below(LIFE_MS));
        let mut answered: HashMap<String, (String, usize)> = HashMap::new();
        std::thread::scope(|scope| {
            let calling: Vec<_> = callers.iter().map(|(name, caller)| scope.spawn(|| call_on(caller, name))).collect();
            std::thread::sleep(life);
            let pid = rustix::process::Pid::from_raw(i32::try_from(bench.server.pid()).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            for ((name, caller), calls) in callers.iter().zip(calling) {
                answered.insert(caller.session.clone(), (name.clone(), calls.join().unwrap()));
            }
        });
        bench = bench.killed();
        // What the server saw, by then complete: its processes end with their input.
        fumehood_tests::machine::wait_for("the end of the server's processes", super::SETTLE, || {
            let mine = super::servers::running(journal.to_str().unwrap());
            // Discovery has connected anew.
            (mine.len() <= 1).then_some(())
        });
        let seen = std::fs::read_to_string(&journal).unwrap();
        let sessions = record(&bench.data, &["sessions", "-n", "1000"]);
        for (session, (name, count)) in &answered {
            let rows = record(&bench.data, &["logs", "--session", session, "-n", "10000"]);
            let calls: Vec<&Value> = rows.iter().filter(|row| row["method"] == "tools/call").collect();
            let saw =
                seen.lines().filter(|line| line.contains("tools/call") && line.contains(&format!("{name}-"))).count();
            let ended = calls.iter().filter(|row| row["status"] == "ok").count();
            let open = calls.iter().filter(|row| row["status"] == "unknown").count();
            let said = format!("{name}: {count} answered, {saw} seen, {} on record, {ended} as ended", calls.len());
            assert!(calls.len() >= saw && calls.len() >= *count, "{said}");
            // One at a time: no more than the last was under way.
            assert!(calls.len() <= count + 1 && saw <= calls.len(), "{said}");
            assert!(
                calls.iter().all(|row| ["ok", "unknown", "error"].contains(&row["status"].as_str().unwrap())),
                "{said}"
            );
            let wrong = rows.iter().filter(|row| row["status"] != "ok").count();
            let counted = sessions.iter().find(|row| row["id"] == session.as_str()).expect("the session is on record");
            assert_eq!(
                (counted["calls"].as_u64(), counted["errors"].as_u64()),
                (Some(rows.len() as u64), Some(wrong as u64)),
                "{said}: {counted}"
            );
            assert!(!counted["ended_us"].is_null(), "a session outlives its server: {counted}");
            (all_answered, all_seen, unknown) = (all_answered + count, all_seen + saw, unknown + open);
        }
    }
    eprintln!("{} kills: {all_answered} calls answered, {all_seen} seen, {unknown} of unknown end", kills());
    assert!(all_answered > 0 && all_seen > 0, "nothing was called: this test has shown nothing");
    let open = record(&bench.data, &["logs", "--status", "open"]);
    assert_eq!(open, Vec::<Value>::new());
    assert!(bench.server.stop().success());
    assert!(bench.data.run(&["audit", "verify"]).status.success());
}
