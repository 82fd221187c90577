//! The gateway, as other people's clients reach it: who may come in, what they see and may call, what passes masked, what
//! is on record afterwards, and that nothing which works with a server directly fails through Fumehood.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fumehood_tests::Data;
use fumehood_tests::fakes::node;
use fumehood_tests::machine::{self, skip, wait_for};
use serde_json::{Value, json};

use super::caller::{Caller, ERAS, ended, record};
use super::{SETTLE, bench, hostile};

#[test]
fn only_who_has_a_token_comes_in_and_only_by_our_own_name() {
    let Some(bench) = bench("gateway entrance") else { return };
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let url = format!("{}/mcp", bench.server.url());
    let post = |token: &str, headers: &[(&str, &str)]| {
        let mut request = agent.post(&url).header("content-type", "application/json");
        request = request.header("accept", "application/json, text/event-stream");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(ping).unwrap()
    };
    for token in ["", "wrong"] {
        let refused = post(token, &[]);
        assert_eq!(refused.status().as_u16(), 401);
        let says = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(says.contains("/.well-known/oauth-protected-resource/mcp"), "{says}");
    }
    let token = bench.data.token("responder");
    assert_eq!(post(&token, &[]).status().as_u16(), 400, "a session is needed");
    assert_eq!(post(&token, &[("origin", "http://evil.example")]).status().as_u16(), 403);
    assert_eq!(post(&token, &[("mcp-session-id", "made-up")]).status().as_u16(), 404);
    let metadata = bench.client.get("/.well-known/oauth-protected-resource/mcp").expect(200).json();
    assert_eq!(metadata["resource"], url);
    let metrics = bench.client.get("/metrics").expect(200).text();
    assert!(metrics.contains("fumehood_mcp_record_queue 0"), "{metrics}");
}

#[test]
fn a_session_is_its_callers_own() {
    let Some(bench) = bench("gateway sessions") else { return };
    let mine = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), false);
    let mut theirs = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), false);
    theirs.session.clone_from(&mine.session);
    assert_eq!(theirs.send("ping", &json!({})).status, 404);
    assert_eq!(mine.send("ping", &json!({})).expect(200).json()["result"], json!({}));
}

#[test]
fn a_caller_sees_and_calls_what_people_have_allowed_and_all_of_it_is_on_record() {
    for modern in [false, true] {
        let Some(bench) = bench("gateway rules") else { return };
        let journal = bench.data.beside("journal");
        let id = bench.add_server(&hostile("Hostile", "ok", &journal));
        bench.discovered(&id);
        let caller = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), modern);
        assert_eq!(caller.tools(), Vec::<String>::new(), "nobody has looked at them");
        let refused = caller.call("mcp_hostile_echo", &json!({"text": "x"}));
        assert!(refused["error"]["message"].as_str().unwrap().contains("waits until a person"), "{refused}");
        bench.decide(&id, "allow", |name| name == "echo");
        bench.decide(&id, "ask", |name| name == "restart_service");
        assert_eq!(caller.tools(), ["mcp_hostile_echo", "mcp_hostile_restart_service"]);
        let answer = caller.call("mcp_hostile_echo", &json!({"text": "hello there"}));
        assert_eq!(answer["result"]["content"][0]["text"], "hello there", "{answer}");
        let denied = std::thread::scope(|scope| {
            let call = scope.spawn(|| caller.call("mcp_hostile_restart_service", &json!({"service": "db"})));
            let (form, digest) = super::asks::waiting(&bench);
            bench.person.submit(&format!("{form}/deny"), &[("digest", &digest)]);
            call.join().unwrap()
        });
        assert!(denied["error"]["message"].as_str().unwrap().contains("denied"), "{denied}");
        assert!(caller.call("mcp_hostile_none", &json!({}))["error"]["code"] == -32602);
        let viewer = Caller::new(&bench.server, "/mcp", &bench.data.token("viewer"), modern);
        assert_eq!(viewer.tools().len(), 2);
        assert!(viewer.call("mcp_hostile_echo", &json!({"text": "x"}))["error"].is_object(), "a viewer calls nothing");

        // One server under its own names.
        let alone = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), modern);
        assert_eq!(alone.tools(), ["echo", "restart_service"]);
        assert_eq!(alone.call("echo", &json!({"text": "again"}))["result"]["content"][0]["text"], "again");
        let calls = std::fs::read_to_string(&journal).unwrap().matches("tools/call").count();
        assert_eq!(calls, 2, "only what is allowed reaches the server");

        let rows = ended(&bench.data, "tools/call", 6);
        let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
        assert_eq!((count("ok"), count("error")), (2, 4), "{rows:?}");
        let good = rows.iter().find(|row| row["status"] == "ok").unwrap();
        assert_eq!(
            (&good["server"], &good["subject"], &good["client"]),
            (&json!("hostile"), &json!("echo"), &json!("suite"))
        );
        let parts: i64 =
            ["policy_us", "scan_us", "audit_us", "upstream_us"].iter().map(|part| good[part].as_i64().unwrap()).sum();
        assert!(parts > 0 && parts <= good["latency_us"].as_i64().unwrap(), "{good}");
        let stats = record(&bench.data, &["stats", "--tool", "echo"]);
        // Two that were answered, and the viewer's, which was refused.
        assert_eq!((&stats[0]["calls"], &stats[0]["errors"]), (&json!(3), &json!(1)), "{stats:?}");
        if !modern {
            for session in record(&bench.data, &["sessions"]) {
                let id = session["id"].as_str().unwrap();
                let rows = record(&bench.data, &["logs", "--session", id, "-n", "1000"]);
                let wrong = rows.iter().filter(|row| row["status"] != "ok").count();
                assert_eq!(
                    (session["calls"].as_u64(), session["errors"].as_u64()),
                    (Some(rows.len() as u64), Some(wrong as u64))
                );
            }
        }
        let changes = record(&bench.data, &["schema", "hostile"]);
        assert!(
            changes.iter().any(|change| change["change"] == "appeared" && change["new"]["name"] == "echo"),
            "{changes:?}"
        );
        let output = bench.data.run(&["mcp", "show", good["id"].as_str().unwrap()]);
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(shown["sent"]["arguments"]["text"].is_string(), "{shown}");
    }
}

#[test]
fn incidents_are_found_read_noted_and_begun_through_the_gateway() {
    let Some(bench) = bench("gateway incidents") else { return };
    let incident = bench.client.incident("Pool of max.mustermann@kunde.example is empty");
    let log = "first\nlogin of max.mustermann@kunde.example failed\nlast\n";
    bench.client.upload(&incident, "app.log", log.as_bytes()).ok();
    let number = bench.client.get(&format!("/api/v1/incidents/{incident}")).expect(200).json()["number"].clone();
    let caller = |role: &str| Caller::new(&bench.server, "/mcp", &bench.data.token(role), true);
    let (viewer, responder) = (caller("viewer"), caller("responder"));
    let done = |caller: &Caller, tool: &str, arguments: Value| {
        let answer = caller.call(tool, &arguments);
        let result = &answer["result"];
        assert!(result.is_object(), "{answer}");
        assert!(!answer.to_string().contains("mustermann"), "{answer}");
        (
            result["isError"] != true,
            if result["isError"] == true { result["content"].clone() } else { result["structuredContent"].clone() },
        )
    };
    let (_, found) = done(&viewer, "fumehood_search_incidents", json!({"query": "Pool", "status": "open"}));
    assert_eq!(
        (found["incidents"].as_array().unwrap().len(), &found["incidents"][0]["number"]),
        (1, &number),
        "{found}"
    );
    // Nobody finds out by searching what a mask hides.
    let (_, hidden) = done(&viewer, "fumehood_search_incidents", json!({"query": "max.m"}));
    assert_eq!(hidden["incidents"], json!([]));
    assert!(found["incidents"][0]["title"].as_str().unwrap().contains("[EMAIL-1]"), "{found}");
    let (_, logs) = done(&viewer, "fumehood_read_log", json!({"incident": number}));
    let id = wait_for("the log", SETTLE, || {
        let (_, logs) = done(&viewer, "fumehood_read_log", json!({"incident": format!("INC-{number}")}));
        (logs["logs"][0]["state"] == "ready").then(|| logs["logs"][0]["id"].clone())
    });
    assert_eq!(logs["logs"][0]["name"], "app.log");
    let (_, lines) =
        done(&viewer, "fumehood_read_log", json!({"incident": incident, "log": id, "from": 2, "lines": 1}));
    assert_eq!(
        (&lines["lines"][0]["text"], &lines["next"]),
        (&json!("login of [EMAIL-1] failed"), &json!(3)),
        "{lines}"
    );

    // A role does here what it does elsewhere.
    let note = json!({"incident": number, "text": "Rolled back at 10:02."});
    assert!(!done(&viewer, "fumehood_add_note", note.clone()).0);
    assert!(done(&responder, "fumehood_add_note", note).0);
    let (_, timeline) = done(&viewer, "fumehood_read_timeline", json!({"incident": number}));
    assert!(timeline.to_string().contains("Rolled back at 10:02."), "{timeline}");
    let (good, begun) = done(&responder, "fumehood_start_triage", json!({"title": "Latency of checkout"}));
    assert!(good && begun["number"].as_i64() > number.as_i64(), "{begun}");
    for wrong in [
        json!({}),
        json!({"incident": 4711}),
        json!({"incident": number, "lines": "many"}),
        json!({"incident": number, "file": "x"}),
    ] {
        let (good, said) = done(&viewer, "fumehood_read_log", wrong);
        assert!(!good && said[0]["text"].as_str().unwrap().len() > 20, "{said}");
    }

    // With the sash lowered nothing of it comes out.
    bench.client.send("PUT", &format!("/api/v1/incidents/{incident}/sash"), &json!({"lowered": true})).ok();
    let (good, said) = done(&viewer, "fumehood_read_log", json!({"incident": number, "log": id}));
    assert!(!good && said.to_string().contains("sash"), "{said}");
    let (_, found) = done(&viewer, "fumehood_search_incidents", json!({"query": "Pool"}));
    assert_eq!(found["incidents"], json!([]));
    let (_, found) = done(&viewer, "fumehood_search_incidents", json!({}));
    let lowered = found["incidents"].as_array().unwrap().iter().find(|one| one["number"] == number).unwrap();
    assert_eq!((&lowered["title"], &lowered["sash_lowered"]), (&json!(""), &json!(true)));
    let rows = record(&bench.data, &["logs", "--method", "tools/call", "-n", "1000"]);
    assert!(rows.len() >= 14 && rows.iter().all(|row| row["server"] == "fumehood"), "{rows:?}");
}

#[test]
fn what_passes_the_gateway_is_masked_both_ways() {
    let Some(bench) = bench("gateway masks") else { return };
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&hostile("Hostile", "pii", &journal));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), true);
    let answer = caller.call("echo", &json!({"text": "mail max.mustermann@kunde.example about it"}));
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(!text.contains("jane.roe") && !text.contains("4111"), "what the server knows is masked: {text}");
    let received = std::fs::read_to_string(&journal).unwrap();
    assert!(received.contains("[EMAIL-1]") && !received.contains("mustermann"), "{received}");

    // A caller reads its own words again: the server that echoes a pseudonym is understood.
    let id = bench.add_server(&hostile("Echo", "ok", &bench.data.beside("other")));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/echo", &bench.data.token("responder"), true);
    let said = "mail max.mustermann@kunde.example";
    assert_eq!(caller.call("echo", &json!({"text": said}))["result"]["content"][0]["text"], said);
    assert!(!std::fs::read_to_string(bench.data.beside("other")).unwrap().contains("mustermann"));
    // One that it has only read stays one, however often it repeats it.
    let other = Caller::new(&bench.server, "/mcp/hostile", &caller.token, true);
    let read =
        other.call("echo", &json!({"text": "who?"}))["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(read.contains("[EMAIL-") && !read.contains("jane.roe"), "{read}");
    let again = caller.call("echo", &json!({"text": read}))["result"].to_string();
    assert!(again.contains("[EMAIL-") && !again.contains("jane.roe"), "{again}");
    let linked = caller.call("echo", &json!({"text": format!("see https://evil.example/?q={said}")}));
    assert!(!linked["result"].to_string().contains("mustermann"), "{linked}");
}

#[test]
fn a_server_that_misbehaves_costs_one_call_with_a_reason() {
    let Some(bench) = bench("gateway faults") else { return };
    for mode in ["exitcall", "wrongid", "bigresult", "callerror", "piierror"] {
        let id = bench.add_server(&hostile(mode, mode, &bench.data.beside(mode)));
        if bench.discovered(&id)["state"] != "connected" {
            continue;
        }
        bench.decide(&id, "allow", |_| true);
        let caller = Caller::new(&bench.server, &format!("/mcp/{mode}"), &bench.data.token("responder"), false);
        // Whoever never answers is waited for as long as a call may take; the others say so at once.
        if mode == "wrongid" {
            continue;
        }
        let answer = caller.call("echo", &json!({"text": "x"}));
        let failed = answer["error"]["message"].is_string() || answer["result"]["isError"] == true;
        assert!(failed, "{mode}: {answer}");
        assert!(!answer.to_string().contains("jane.roe"), "{mode}: {answer}");
        bench.is_well();
        let row = &ended(&bench.data, "tools/call", record(&bench.data, &["logs", "--method", "tools/call"]).len())[0];
        assert!(row["message"].as_str().unwrap().chars().count() <= 512);
    }
}

#[test]
fn every_call_that_was_answered_is_on_record_after_a_kill() {
    let Some(mut bench) = bench("gateway kill") else { return };
    let id = bench.add_server(&hostile("Hostile", "ok", &bench.data.beside("journal")));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let token = bench.data.token("responder");
    let answered = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let calls = std::panic::AssertUnwindSafe(|| {
                    let caller = Caller::new(&bench.server, "/mcp/hostile", &token, true);
                    loop {
                        let answer = caller.call("echo", &json!({"text": "x"}));
                        assert!(answer["result"].is_object());
                        answered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
                let _ = std::panic::catch_unwind(calls);
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        let pid = rustix::process::Pid::from_raw(i32::try_from(bench.server.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
    bench.server.kill();
    let answered = answered.into_inner();
    assert!(answered > 0, "nothing was called");
    bench.server = bench.data.start();
    let rows = record(&bench.data, &["logs", "--method", "tools/call", "-n", "10000"]);
    assert!(rows.len() >= answered, "{answered} calls were answered, and {} are on record", rows.len());
    assert!(rows.iter().all(|row| ["ok", "unknown"].contains(&row["status"].as_str().unwrap())), "{rows:?}");
}

/// The fixture of the conformance suite; it ends with this.
struct Fixture {
    child: Child,
    url: String,
}

impl Fixture {
    fn start(program: &Path) -> Self {
        let mut child = Command::new(program).arg("0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, url }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn judged(url: &str, era: &str, token: Option<&str>, out: &Path) {
    let judge = machine::root().join("tests/conformance/judge.mjs");
    let mut command = Command::new(node().unwrap());
    command.arg(judge).args(["server", "--url", url, "--requirements", era]);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(out, output.stdout).unwrap();
}

/// The public suite, against a server directly and through the gateway: nothing that passes there fails here.
#[test]
fn nothing_that_conforms_directly_fails_through_the_gateway() {
    const TEST: &str = "conformance";
    let Some(program) = std::env::var_os("FUMEHOOD_MCP_FIXTURE").map(PathBuf::from) else {
        return skip(TEST, "the fixture of the conformance suite is not built; `tests/run` does it");
    };
    let Some(bench) = bench(TEST) else { return };
    let fixture = Fixture::start(&program);
    let server = json!({"name": "fixture", "transport": "http", "url": fixture.url, "auth": "none"});
    let id = bench.add_server(&server);
    assert_eq!(bench.discovered(&id)["state"], "connected");
    bench.decide(&id, "allow", |_| true);
    let token = bench.data.token("responder");
    for era in ERAS {
        let (direct, through) = (bench.data.beside("direct.json"), bench.data.beside("through.json"));
        judged(&fixture.url, era, None, &direct);
        judged(&format!("{}/mcp/fixture", bench.server.url()), era, Some(&token), &through);
        let checks: Value = serde_json::from_slice(&std::fs::read(&direct).unwrap()).unwrap();
        let passed = checks.as_object().unwrap().values().filter(|status| **status == "SUCCESS").count();
        assert!(passed >= 80, "the fixture itself passes {passed} checks only, in {era}");
        let judge = machine::root().join("tests/conformance/judge.mjs");
        let output = Command::new(node().unwrap())
            .arg(judge)
            .args(["delta", "--direct", direct.to_str().unwrap(), "--through", through.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{era}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A client that speaks over the pipes of `fumehood mcp serve --stdio`.
struct Piped {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Piped {
    fn start(url: &str, data: &Data, token: &str, more: &[&str]) -> Self {
        let mut command = data.command(&[&["mcp", "serve", "--stdio", "--url", url], more].concat());
        command.env("FUMEHOOD_TOKEN", token).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (send, lines) = std::sync::mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        Self { child, lines }
    }

    fn say(&mut self, message: &Value) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{message}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(SETTLE).unwrap()).unwrap()
    }

    fn ask(&mut self, id: i64, method: &str, params: Value) -> Value {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }
}

#[test]
fn a_client_over_pipes_reaches_the_same_tools_in_both_eras() {
    let Some(bench) = bench("gateway over pipes") else { return };
    let id = bench.add_server(&hostile("Hostile", "ok", &bench.data.beside("journal")));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let token = bench.data.token("responder");
    let mut old = Piped::start(bench.server.url(), &bench.data, &token, &["--server", "hostile"]);
    let hello =
        json!({"protocolVersion": ERAS[0], "capabilities": {}, "clientInfo": {"name": "pipes", "version": "1"}});
    assert_eq!(old.ask(1, "initialize", hello)["result"]["protocolVersion"], ERAS[0]);
    old.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let called = old.ask(2, "tools/call", json!({"name": "echo", "arguments": {"text": "over pipes"}}));
    assert_eq!(called["result"]["content"][0]["text"], "over pipes", "{called}");
    old.say(&json!("no message"));
    let mut new = Piped::start(bench.server.url(), &bench.data, &token, &[]);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": ERAS[1], "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "pipes", "version": "2"}});
    let listed = new.ask(7, "tools/list", json!({"_meta": meta}));
    assert!(listed["result"]["tools"].as_array().unwrap().len() >= 6, "{listed}");
    let arguments = json!({"text": "Größe"});
    let called = new.ask(8, "tools/call", json!({"name": "mcp_hostile_echo", "arguments": arguments, "_meta": meta}));
    assert_eq!(called["result"]["content"][0]["text"], "Größe", "{called}");
    // Its session ends with the client.
    drop(old.child.stdin.take());
    assert!(wait_for("the end", SETTLE, || old.child.try_wait().unwrap()).success());
    wait_for("the end of the session", SETTLE, || {
        let sessions = record(&bench.data, &["sessions"]);
        sessions.iter().all(|session| !session["ended_us"].is_null()).then_some(())
    });
    drop(new.child.stdin.take());
    assert!(wait_for("the end", SETTLE, || new.child.try_wait().unwrap()).success());

    // Whatever is wrong, each request gets an answer that says what it is.
    let mut wrong = Piped::start(bench.server.url(), &bench.data, "made-up", &[]);
    let refused = wrong.ask(1, "tools/list", json!({"_meta": meta}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("token"), "{refused}");
    let mut away = Piped::start("http://127.0.0.1:1", &bench.data, &token, &[]);
    let refused = away.ask(1, "tools/list", json!({"_meta": meta}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("cannot be reached"), "{refused}");
    for piped in [&mut wrong, &mut away] {
        drop(piped.child.stdin.take());
        let _ = piped.child.wait();
    }
}
