//! Too much of what is allowed: news without end, sessions that nobody ends, calls faster than the limit. None of it
//! costs more than a bounded part, and nobody else's.

use std::time::Duration;

use fumehood_tests::fakes::Fake;
use fumehood_tests::machine::wait_for;
use serde_json::{Value, json};

use super::caller::{Caller, record};
use super::faults::{Faulty, HTTP, STDIO, faulty};
use super::{SETTLE, bench, bench_with, hostile};

/// How often the server was asked for its tools.
fn lists(faulty: &Faulty) -> u64 {
    match &faulty.fake {
        Some(fake) => fake.control("lists", &Value::Null).as_u64().unwrap(),
        None => std::fs::read_to_string(&faulty.journal).unwrap().matches("LIST").count() as u64,
    }
}

#[test]
fn a_thousand_notices_of_changed_tools_are_a_few_reads_and_the_changed_tool_is_refused() {
    for transport in [HTTP, STDIO] {
        for modern in [false, true] {
            let Some(faulty) = faulty("storm of notices", transport) else { return };
            let caller = faulty.caller(modern);
            assert_eq!(caller.call("echo", &json!({"text": "x"}))["result"]["content"][0]["text"], "x");
            let before = lists(&faulty);
            let answer = caller.call("fail", &json!({"fault": "storm"}));
            assert_eq!(answer["result"]["content"][0]["text"], "storm", "{answer}");
            // News are read after they are heard.
            let changed = || {
                let server = faulty.bench.server(&faulty.id);
                (server["waiting"] == 1).then_some(server)
            };
            wait_for("the changed tool", SETTLE, changed);
            let refused = caller.call("echo", &json!({"text": "after"}));
            let said = refused["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused}"));
            assert!(said.contains("echo is not what a person has seen any more"), "{said}");
            assert_eq!(caller.call("fail", &json!({"fault": "twice"}))["result"]["content"][0]["text"], "twice");
            assert_eq!(caller.tools(), ["fail"], "a changed tool is listed");
            faulty.the_rest_is_well("a storm");
            let read = lists(&faulty) - before;
            assert!((1..=20).contains(&read), "the tools were read {read} times");
            if faulty.fake.is_none() {
                let journal = std::fs::read_to_string(&faulty.journal).unwrap();
                assert!(!journal.contains("after"), "the changed tool was called: {journal}");
            }
            faulty.over();
        }
    }
}

/// A client that is started again and again, and never says goodbye.
#[test]
fn sessions_that_nobody_ends_make_room_and_refuse_nobody() {
    let Some(faulty) = faulty("sessions left behind", HTTP) else { return };
    let fake = faulty.fake.as_ref().unwrap();
    let other = Caller::new(&faulty.bench.server, "/mcp/faulty", &faulty.bench.data.token("responder"), false);
    let works = |caller: &Caller, text: &str| {
        let answer = caller.call("echo", &json!({"text": text}));
        assert_eq!(answer["result"]["content"][0]["text"], text, "{answer}");
    };
    works(&other, "somebody else");
    // Each has a connection of its own to the server, of which one caller has at most 24.
    let left: Vec<Caller> = (0..70)
        .map(|i| {
            let caller = faulty.caller(false);
            works(&caller, &format!("session {i}"));
            caller
        })
        .collect();
    let open = || fake.control("sessions", &Value::Null)["open"].as_u64().unwrap();
    wait_for("the end of connections that made room", SETTLE, || (open() <= 24 + 8).then_some(()));
    // The oldest has lost its connection, and gets another.
    works(&left[0], "still here");
    works(&other, "nobody's room but their own");

    // Of one caller's sessions 200 are kept: the one that nobody has used for longest ends.
    let more: Vec<Caller> = (0..140).map(|_| Caller::new(&faulty.bench.server, "/mcp", &faulty.token, false)).collect();
    let gone = left[1].send("ping", &json!({}));
    assert_eq!(gone.status, 404, "{}", gone.text());
    works(&faulty.caller(false), "anew");
    works(&left[69], "the last of them");
    assert_eq!(more[139].ask("ping", &json!({}))["result"], json!({}));
    works(&other, "not theirs");
    let sessions = record(&faulty.bench.data, &["sessions", "-n", "1000"]);
    let row = sessions.iter().find(|row| row["id"] == left[1].session.as_str()).expect("a session is on record");
    assert!(!row["ended_us"].is_null(), "{row}");
    let refused: Vec<Value> = record(&faulty.bench.data, &["logs", "--status", "error", "-n", "1000"]);
    assert!(refused.iter().all(|row| row["method"] == "ping"), "somebody was refused: {refused:?}");
    drop((left, other, more));
    faulty.over();
}

#[test]
fn a_caller_over_its_limit_is_told_when_to_come_back_and_nobody_else_is() {
    let calls = |argument: &'static str| {
        let bench = bench_with("limits", &[argument, "1"])?;
        let id = bench.add_server(&hostile("Hostile", "ok", &bench.data.beside("journal")));
        bench.discovered(&id);
        bench.decide(&id, "allow", |_| true);
        Some(bench)
    };
    for (argument, of) in [("--mcp-calls-per-minute", "tools"), ("--mcp-tool-calls-per-minute", "this tool")] {
        let Some(bench) = calls(argument) else { return };
        let caller = |modern| Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), modern);
        let (mine, theirs) = (caller(false), caller(true));
        let echo = |caller: &Caller| caller.call("echo", &json!({"text": "x"}));
        assert!(echo(&mine)["result"].is_object());
        let refused = echo(&mine);
        let wait = refused["error"]["data"]["retryAfterMs"].as_u64().unwrap_or_else(|| panic!("{refused}"));
        assert!((1..=60_000).contains(&wait), "{refused}");
        let said = format!("at most 1 calls of {of} in a minute; try again in {wait} ms");
        assert_eq!((&refused["error"]["code"], &refused["error"]["message"]), (&json!(-32050), &json!(said)));
        // Another tool counts for the caller, and not for the tool.
        let other = mine.call("restart_service", &json!({"service": "db"}));
        assert_eq!(other["result"].is_object(), of == "this tool", "{other}");
        assert!(mine.tools().len() == 2, "what is no call is not counted");
        assert!(echo(&theirs)["result"].is_object(), "another caller is not affected");
        assert_eq!(echo(&theirs)["error"]["code"], -32050);
        // It did not reach the server, and is on record.
        let received = std::fs::read_to_string(bench.data.beside("journal")).unwrap();
        let reached = received.matches("tools/call").count();
        assert_eq!(reached, if of == "this tool" { 3 } else { 2 }, "{received}");
        let rows = wait_for("the record", SETTLE, || {
            let rows = record(&bench.data, &["logs", "--method", "tools/call"]);
            (rows.len() == 5 && rows.iter().all(|row| row["status"] != "open")).then_some(rows)
        });
        let refusals = rows.iter().filter(|row| row["code"] == -32050).count();
        assert_eq!(refusals, 5 - reached, "{rows:?}");
    }
}

/// Whoever waits as long as it was told to comes through.
#[test]
fn whoever_waits_as_told_is_let_through() {
    let Some(bench) = bench_with("waiting for the limit", &["--mcp-calls-per-minute", "15"]) else { return };
    let caller = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), true);
    let call = || caller.call("fumehood_search_incidents", &json!({}));
    // 15 in a minute are one at once; on a machine that takes 4 s for each, none is too many.
    let Some(refused) = (0..50).map(|_| call()).find(|answer| answer["error"].is_object()) else {
        return fumehood_tests::machine::skip("waiting for the limit", "this machine is too slow to call too often");
    };
    let wait = refused["error"]["data"]["retryAfterMs"].as_u64().unwrap_or_else(|| panic!("{refused}"));
    assert!((1..=4_000).contains(&wait), "{refused}");
    std::thread::sleep(Duration::from_millis(wait));
    let answer = call();
    assert!(answer["result"].is_object(), "after {wait} ms: {answer}");
}

#[test]
fn messages_go_where_a_server_over_http_and_sse_says_at_its_own_origin_only() {
    let Some(bench) = bench("HTTP+SSE") else { return };
    let fake = Fake::start("mcp-faults.mjs").unwrap();
    let away = Fake::start("mcp-faults.mjs").unwrap();
    fake.control("elsewhere", &json!({"url": format!("{}/rpc/somewhere/else", away.url())}));
    let add = |name: &str, path: &str| {
        let url = format!("{}{path}", fake.url());
        bench.add_server(&json!({"name": name, "transport": "sse", "url": url, "auth": "none"}))
    };
    let id = add("older", "/sse");
    let server = bench.discovered(&id);
    assert_eq!((&server["state"], &server["tools"]), (&json!("connected"), &json!(2)), "{server}");
    bench.decide(&id, "allow", |_| true);
    for modern in [false, true] {
        let caller = Caller::new(&bench.server, "/mcp/older", &bench.data.token("responder"), modern);
        let answer = caller.call("echo", &json!({"text": "elsewhere"}));
        assert_eq!(answer["result"]["content"][0]["text"], "elsewhere", "{answer}");
    }
    let received = String::from_utf8_lossy(&fake.received()).into_owned();
    assert!(received.contains("POST /rpc/somewhere/else?session="), "{received}");
    assert!(!received.contains("POST /sse"), "{received}");
    assert_eq!(fake.control("violations", &Value::Null), json!([]));

    let server = bench.discovered(&add("leading away", "/sse-away"));
    assert!(["error", "unreachable"].contains(&server["state"].as_str().unwrap()), "{server}");
    assert!(server["reason"].as_str().unwrap().contains("origin"), "{server}");
    assert_eq!(away.received(), b"", "another origin was sent something");
}
