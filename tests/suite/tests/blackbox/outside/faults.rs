//! A server that goes wrong in the middle of a call, in every way and over both transports: whoever called is told what
//! it was, in time; everybody else notices nothing; the call is on record with its end; no process is left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fumehood_tests::fakes::{Fake, node, program};
use fumehood_tests::machine::{soak, wait_for};
use serde_json::{Value, json};

use super::caller::{Caller, ended, record};
use super::servers::running;
use super::{Bench, SETTLE, bench, hostile};

/// How long a caller may wait to be told of a fault that shows; far below the 120 s for one that does not.
const TOLD: Duration = Duration::from_secs(45);

/// What becomes of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Becomes {
    /// It does no harm.
    Answer,
    /// An error that says this.
    Error(&'static str),
}
use Becomes::{Answer, Error};

/// A server that goes wrong on demand, and one beside it that does not.
pub(super) struct Faulty {
    pub(super) bench: Bench,
    /// Of the server over HTTP.
    pub(super) fake: Option<Fake>,
    /// Of the server over pipes.
    pub(super) journal: PathBuf,
    pub(super) id: String,
    /// Of the server that does nothing wrong.
    other: String,
    pub(super) token: String,
    beside: Caller,
}

pub(super) const HTTP: &str = "http";
pub(super) const STDIO: &str = "stdio";

pub(super) fn faulty(test: &str, transport: &'static str) -> Option<Faulty> {
    let bench = bench(test)?;
    let journal = bench.data.beside("faults");
    std::fs::write(&journal, "").unwrap();
    let fake = if transport == HTTP { Fake::start("mcp-faults.mjs") } else { None };
    let id = bench.add_server(&match &fake {
        Some(fake) => {
            json!({"name": "faulty", "transport": HTTP, "url": format!("{}/mcp", fake.url()), "auth": "none"})
        }
        None => json!({"name": "faulty", "transport": STDIO, "command": node().unwrap(),
            "arguments": [program("mcp-faults.mjs"), "--stdio", journal]}),
    });
    let other = bench.add_server(&hostile("Beside", "ok", &bench.data.beside("journal")));
    for id in [&id, &other] {
        assert_eq!(bench.discovered(id)["state"], "connected");
        bench.decide(id, "allow", |_| true);
    }
    let token = bench.data.token("responder");
    let beside = Caller::new(&bench.server, "/mcp/beside", &token, false);
    Some(Faulty { fake, journal, id, other, beside, token, bench })
}

impl Faulty {
    pub(super) fn caller(&self, modern: bool) -> Caller {
        Caller::new(&self.bench.server, "/mcp/faulty", &self.token, modern)
    }

    /// Everybody else notices nothing.
    pub(super) fn the_rest_is_well(&self, when: &str) {
        let answer = self.beside.call("echo", &json!({"text": when}));
        assert_eq!(answer["result"]["content"][0]["text"], when, "{answer}");
        self.bench.server.stranger().get("/health").expect(200);
    }

    /// The row of the newest call of `fail`, once it has ended.
    fn row(&self, count: usize) -> Value {
        wait_for("the end of the call on record", SETTLE, || {
            let rows = record(&self.bench.data, &["logs", "--tool", "fail", "-n", "1000"]);
            assert!(rows.len() <= count, "more rows than calls: {rows:?}");
            rows.into_iter().last().filter(|row| row["status"] != "open").filter(|_| count > 0)
        })
    }

    /// The process of a connection over pipes, of which there is one for each of a caller's sessions.
    fn processes(&self) -> Vec<u32> {
        running(self.journal.to_str().unwrap())
    }

    /// Nothing was done wrong towards the server, and once it is removed nothing of it is left.
    pub(super) fn over(self) {
        self.bench.remove_server(&self.id);
        wait_for("the end of every process", SETTLE, || self.processes().is_empty().then_some(()));
        let said = std::fs::read_to_string(&self.journal).unwrap();
        assert!(!said.contains("VIOLATION"), "{said}");
        if let Some(fake) = &self.fake {
            assert_eq!(fake.control("violations", &Value::Null), json!([]));
        }
    }
}

/// Every fault that shows, in both eras; the connection is as good as new after each.
fn shows(test: &str, transport: &'static str, faults: &[(&str, Becomes)]) {
    let Some(faulty) = faulty(test, transport) else { return };
    if let Some(fake) = &faulty.fake {
        fake.control("elsewhere", &json!({"url": format!("{}/elsewhere", faulty.bench.model.url())}));
    }
    let (mut calls, before) = (0, faulty.processes().len());
    for modern in [false, true] {
        let caller = faulty.caller(modern);
        for (fault, becomes) in faults {
            let began = Instant::now();
            let answer = caller.call("fail", &json!({"fault": fault}));
            let took = began.elapsed();
            calls += 1;
            assert!(took < TOLD, "{fault}: the caller waited for {took:?}");
            let row = faulty.row(calls);
            assert_eq!(row["server"], "faulty", "{row}");
            match becomes {
                Answer => {
                    assert_eq!(answer["result"]["content"][0]["text"], *fault, "{fault}: {answer}");
                    assert_eq!(row["status"], "ok", "{fault}: {row}");
                }
                Error(part) => {
                    assert_eq!(answer["error"]["code"], -32603, "{fault}: {answer}");
                    let message = answer["error"]["message"].as_str().unwrap();
                    assert!(message.contains(part), "{fault}: {message}");
                    assert_eq!((&row["status"], &row["code"]), (&json!("error"), &json!(-32603)), "{fault}: {row}");
                    assert!(row["message"].as_str().unwrap().contains(part), "{fault}: {row}");
                }
            }
            faulty.the_rest_is_well(fault);
            // The same client, without doing anything about it.
            let answer = caller.call("echo", &json!({"text": "again"}));
            assert_eq!(answer["result"]["content"][0]["text"], "again", "after {fault}: {answer}");
            wait_for("the end of what went wrong", SETTLE, || {
                // One for each era, once both have connected.
                (faulty.processes().len() <= before + 1 + usize::from(modern)).then_some(())
            });
        }
    }
    let received = String::from_utf8_lossy(&faulty.bench.model.received()).into_owned();
    assert!(!received.contains("/elsewhere"), "a redirect was followed: {received}");
    faulty.over();
}

#[test]
fn a_server_over_http_that_goes_wrong_costs_that_call_and_the_caller_is_told_why() {
    let faults = [
        ("twice", Answer),
        ("drop", Error("broke the connection before it answered")),
        ("cut", Error("broke off before its answer was complete")),
        ("cutsse", Error("broke off before its answer was complete")),
        ("garbage", Error("JSON that does not answer the request")),
        ("wrongid", Error("JSON that does not answer the request")),
        ("e500", Error("HTTP 500")),
        ("redirect", Error("redirects are not followed")),
        ("endless", Error("more than the 4128768 bytes that one message may have")),
        ("flood", Error("more of its own accord than anybody can read")),
    ];
    shows("faults over HTTP", HTTP, &faults);
}

#[test]
fn a_server_over_pipes_that_goes_wrong_costs_that_call_and_the_caller_is_told_why() {
    let faults = [
        ("twice", Answer),
        ("garbage", Answer),
        ("wrongid", Answer),
        ("drop", Error("ended with exit code 4")),
        ("cut", Error("ended with exit code 4")),
        ("endless", Error("a line longer than 4128768 bytes")),
        ("flood", Error("more of its own accord than anybody can read")),
    ];
    shows("faults over pipes", STDIO, &faults);
}

/// Faults that do not show: a caller waits until it has had enough, or, in the long form, as long as there is patience.
fn waits(test: &str, transport: &'static str, faults: &[&str]) {
    let Some(faulty) = faulty(test, transport) else { return };
    let (mut calls, before) = (0, faulty.processes().len());
    for (modern, fault) in [false, true].iter().flat_map(|modern| faults.iter().map(|fault| (*modern, *fault))) {
        // A caller of its own for each.
        let token = faulty.bench.data.token("responder");
        let caller = Caller::new(&faulty.bench.server, "/mcp/faulty", &token, modern);
        let (arguments, began) = (json!({"fault": fault}), Instant::now());
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| match (soak(), modern) {
                (false, true) => {
                    caller.hang_up("fail", &arguments, Duration::from_secs(2));
                    Value::Null
                }
                _ => caller.ask_as(7, "tools/call", &json!({"name": "fail", "arguments": arguments})),
            });
            wait_for("the call", SETTLE, || {
                let rows = record(&faulty.bench.data, &["logs", "--tool", "fail", "--status", "open"]);
                (rows.len() == 1).then_some(())
            });
            faulty.the_rest_is_well(fault);
            if !soak() && !modern {
                assert_eq!(caller.send("notifications/cancelled", &json!({"requestId": 7})).status, 202);
            }
            asked.join().unwrap()
        });
        calls += 1;
        let (row, said) = (faulty.row(calls), answer["error"]["message"].as_str().unwrap_or_default());
        if soak() {
            assert!(began.elapsed() < Duration::from_secs(150), "{fault}: {:?}", began.elapsed());
            assert!(said.contains("no answer within 120 s"), "{fault}: {answer}");
            assert_eq!(row["status"], "timeout", "{fault}: {row}");
        } else {
            assert!(modern || said.contains("Stopped before the server had answered"), "{fault}: {answer}");
            assert_eq!(row["status"], "error", "{fault}: {row}");
        }
        faulty.the_rest_is_well(fault);
        if !modern {
            assert_eq!(caller.leave(), 204);
            let last = || faulty.processes().len() <= before;
            wait_for("the end of the session's process", SETTLE, || last().then_some(()));
        }
    }
    faulty.over();
}

#[test]
fn nobody_waits_longer_than_they_want_for_a_server_over_http() {
    waits("no answer over HTTP", HTTP, &["hang", "half"]);
}

#[test]
fn nobody_waits_longer_than_they_want_for_a_server_over_pipes() {
    waits("no answer over pipes", STDIO, &["hang", "half"]);
}

/// Lists of several servers do not wait for the one that does not answer, and no empty list stands for what was not told.
#[test]
fn a_list_that_does_not_come_is_an_error_and_no_empty_list() {
    let Some(faulty) = faulty("no list", STDIO) else { return };
    faulty.bench.person.submit(&format!("/servers/{}/remove", faulty.other), &[]);
    let caller = Caller::new(&faulty.bench.server, "/mcp", &faulty.token, true);
    let answer = caller.ask("resources/list", &json!({}));
    let said = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(said.contains("faulty: it gave no list within 20 s"), "{said}");
    let rows = ended(&faulty.bench.data, "resources/list", 1);
    assert_eq!(rows[0]["status"], "error", "{rows:?}");
    faulty.over();
}

/// 5 MiB of descriptions are nothing that a model could read.
#[test]
fn a_server_with_endless_descriptions_is_refused_with_the_reason() {
    for transport in [HTTP, STDIO] {
        let Some(faulty) = faulty("huge descriptions", transport) else { return };
        let flag = format!("{}.huge", faulty.journal.display());
        let huge = |on: bool| match &faulty.fake {
            Some(fake) => drop(fake.control("huge", &json!({"on": on}))),
            None if on => std::fs::write(&flag, "").unwrap(),
            None => std::fs::remove_file(&flag).unwrap(),
        };
        huge(true);
        // Whoever connects now is told; the page says it, too.
        let client = Caller::new(&faulty.bench.server, "/mcp", &faulty.token, false);
        let answer = client.call("mcp_faulty_echo", &json!({"text": "x"}));
        let said = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(said.contains("4128768 bytes"), "{said}");
        faulty.bench.person.submit(&format!("/servers/{}/reconnect", faulty.id), &[]);
        let server = faulty.bench.discovered(&faulty.id);
        assert!(server["state"] == "error" && server["reason"].as_str().unwrap().contains("4128768 bytes"), "{server}");
        faulty.the_rest_is_well("huge");
        huge(false);
        faulty.bench.person.submit(&format!("/servers/{}/reconnect", faulty.id), &[]);
        assert_eq!(faulty.bench.discovered(&faulty.id)["state"], "connected");
        assert_eq!(client.call("mcp_faulty_echo", &json!({"text": "x"}))["result"]["content"][0]["text"], "x");
        faulty.over();
    }
}
