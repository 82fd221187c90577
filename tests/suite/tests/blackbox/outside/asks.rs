//! Calls through the gateway whose tool is set to ask: they wait for a person, and what was approved is done once.

use super::caller::{Caller, ended, record};
use super::*;

/// The form of the call that waits: its address without the verb, and the digest.
pub(super) fn waiting(bench: &Bench) -> (String, String) {
    wait_for("a call that waits", SETTLE, || {
        let page = bench.person.get("/servers/waiting").expect(200).text();
        let form = page.split("action=\"").find(|rest| rest.contains("/approve\""))?;
        let digest = form.split("name=\"digest\" value=\"").nth(1)?.split('"').next()?;
        Some((form.split("/approve\"").next()?.to_owned(), digest.to_owned()))
    })
}

fn nothing_waits(bench: &Bench) -> bool {
    !bench.person.get("/servers/waiting").expect(200).text().contains("/approve\"")
}

fn prepared(test: &str) -> Option<(Bench, std::path::PathBuf)> {
    let bench = bench(test)?;
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.discovered(&id);
    bench.decide(&id, "ask", |_| true);
    Some((bench, journal))
}

fn calls(journal: &std::path::Path) -> usize {
    std::fs::read_to_string(journal).unwrap_or_default().matches("tools/call").count()
}

#[test]
fn a_call_waits_until_a_person_has_approved_it_as_it_is() {
    for modern in [false, true] {
        let Some((bench, journal)) = prepared("gateway approval") else { return };
        let caller = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), modern);
        let (answer, before) = std::thread::scope(|scope| {
            let call = scope
                .spawn(|| caller.call("mcp_hostile_echo", &json!({"text": "mail jane.roe@customer-mail.example"})));
            let (form, digest) = waiting(&bench);
            let before = calls(&journal);
            let page = bench.person.get("/servers/waiting").text();
            assert!(page.contains("EMAIL-1") && !page.contains("jane.roe@"), "{page}");
            assert!(
                bench.person.get("/incidents").text().contains("class=\"badge\""),
                "nobody is told that a call waits"
            );
            let viewer = bench.invited("viewer");
            assert_eq!(viewer.post(&format!("{form}/approve"), &[("digest", &digest)]).status, 403);
            let other = "0".repeat(64);
            assert_eq!(bench.person.post(&format!("{form}/approve"), &[("digest", &other)]).status, 409);
            bench.person.submit(&format!("{form}/approve"), &[("digest", &digest)]);
            assert_eq!(bench.person.post(&format!("{form}/approve"), &[("digest", &digest)]).status, 409);
            (call.join().unwrap(), before)
        });
        assert_eq!(before, 0, "the server was asked before anybody had approved it");
        assert_eq!(answer["result"]["content"][0]["text"], "mail jane.roe@customer-mail.example", "{answer}");
        assert_eq!(calls(&journal), 1);
        assert!(nothing_waits(&bench));
        let row = ended(&bench.data, "tools/call", 1).remove(0);
        assert_eq!(row["status"], "ok", "{row}");
        for action in ["mcp-call.ask", "mcp-call.approve", "mcp-call.use", "mcp.call"] {
            assert!(!bench.audit(action).is_empty(), "{action} is not on record");
        }
    }
}

#[test]
fn a_call_that_is_denied_is_not_made() {
    let Some((bench, journal)) = prepared("gateway denial") else { return };
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), false);
    let answer = std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.call("restart_service", &json!({"service": "db"})));
        let (form, digest) = waiting(&bench);
        bench.person.submit(&format!("{form}/deny"), &[("digest", &digest)]);
        call.join().unwrap()
    });
    assert!(answer["error"]["message"].as_str().unwrap().contains("denied"), "{answer}");
    assert_eq!(calls(&journal), 0);
    assert_eq!(ended(&bench.data, "tools/call", 1)[0]["status"], "error");
    assert_eq!(bench.audit("mcp-call.deny").len(), 1);
    assert_eq!(bench.audit("mcp.call"), Vec::<Value>::new(), "it is on record as made");
}

#[test]
fn a_caller_that_went_away_comes_back_for_what_was_approved_and_only_once() {
    let Some((bench, journal)) = prepared("gateway comes back") else { return };
    let token = bench.data.token("responder");
    let caller = Caller::new(&bench.server, "/mcp/hostile", &token, true);
    let arguments = json!({"service": "db"});
    caller.hang_up("restart_service", &arguments, Duration::from_millis(600));
    let (form, digest) = waiting(&bench);
    // While it waits, the same call is not asked about twice.
    caller.hang_up("restart_service", &arguments, Duration::from_millis(600));
    assert_eq!(bench.person.get("/servers/waiting").text().matches("/approve\"").count(), 1);
    bench.person.submit(&format!("{form}/approve"), &[("digest", &digest)]);
    assert_eq!(calls(&journal), 0, "nobody waited for it");
    // Another caller, and another call, are not what was approved.
    let other = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("admin"), true);
    other.hang_up("restart_service", &arguments, Duration::from_millis(600));
    caller.hang_up("restart_service", &json!({"service": "web"}), Duration::from_millis(600));
    assert_eq!(calls(&journal), 0);
    let answer = caller.call("restart_service", &arguments);
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(calls(&journal), 1);
    // Used up: the next waits again.
    caller.hang_up("restart_service", &arguments, Duration::from_millis(600));
    assert_eq!(calls(&journal), 1);
}

/// What nobody has seen who approved a call does not go along with it.
#[test]
fn what_a_client_says_aside_is_not_sent_with_an_approved_call() {
    let Some((bench, journal)) = prepared("gateway aside") else { return };
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), false);
    let params = json!({
        "name": "restart_service", "arguments": {"service": "db"}, "_meta": {"progressToken": 7, "vendor/force": true},
    });
    std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.send("tools/call", &params).text());
        let (form, digest) = waiting(&bench);
        bench.person.submit(&format!("{form}/approve"), &[("digest", &digest)]);
        assert!(call.join().unwrap().contains("\"result\""));
    });
    let sent = std::fs::read_to_string(&journal).unwrap();
    assert_eq!(calls(&journal), 1);
    assert!(sent.contains("progressToken") && !sent.contains("vendor/force"), "{sent}");
}

/// Whoever may not ask any more, and what is not there any more, is past approving.
#[test]
fn a_call_that_waits_ends_with_its_token_and_with_its_server() {
    let Some((bench, journal)) = prepared("gateway withdrawn") else { return };
    let started = || std::fs::read_to_string(&journal).unwrap_or_default().matches("initialize").count();
    for modern in [false, true] {
        let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), modern);
        let (answer, form, digest) = std::thread::scope(|scope| {
            let call = scope.spawn(|| {
                let params = json!({"name": "restart_service", "arguments": {"service": "db"}});
                caller.send("tools/call", &params).text()
            });
            let (form, digest) = waiting(&bench);
            let tokens = bench.person.get("/settings/tokens").expect(200).text();
            // The newest stands first.
            let revoke = tokens.split("action=\"").find(|rest| rest.contains("/revoke\"")).unwrap();
            bench.person.submit(revoke.split('"').next().unwrap(), &[]);
            (call.join().unwrap(), form, digest)
        });
        assert!(!answer.contains("\"result\""), "{answer}");
        assert!(nothing_waits(&bench));
        assert_eq!(bench.person.post(&format!("{form}/approve"), &[("digest", &digest)]).status, 409);
        assert_eq!(calls(&journal), 0);
    }
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), true);
    let id = bench.client.get("/api/v1/servers").json()[0]["id"].as_str().unwrap().to_owned();
    let (answer, before) = std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.call("restart_service", &json!({"service": "db"})));
        let (form, digest) = waiting(&bench);
        bench.person.submit(&format!("/servers/{id}/enable"), &[("enabled", "no")]);
        let before = started();
        // The caller is told at once, and nothing is left to decide.
        let answer = call.join().unwrap();
        assert_eq!(bench.person.post(&format!("{form}/approve"), &[("digest", &digest)]).status, 409);
        (answer, before)
    });
    assert!(answer["error"].is_object(), "{answer}");
    assert_eq!((started(), calls(&journal)), (before, 0), "it was started again after it was switched off");
}

#[test]
fn what_nobody_can_judge_is_not_asked_about_and_what_is_hidden_is_seen() {
    let Some((bench, journal)) = prepared("gateway readable") else { return };
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), true);
    let answer = caller.call("echo", &json!({"text": "word ".repeat(8_000)}));
    let said = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(said.contains("at most 32768 can be judged"), "{said}");
    assert!(nothing_waits(&bench));
    caller.hang_up("echo", &json!({"text": "/srv/\u{202e}txt.etad"}), Duration::from_millis(600));
    waiting(&bench);
    let page = bench.person.get("/servers/waiting").text();
    assert!(page.contains("/srv/⟨U+202E⟩txt.etad"), "{page}");
    assert_eq!(calls(&journal), 0);
}

#[test]
fn what_is_recorded_after_the_answer_is_as_complete() {
    let Some(bench) = bench_with("record after", &["--mcp-record", "after"]) else { return };
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), false);
    for at in 0..20 {
        assert!(caller.call("echo", &json!({"text": format!("call {at}")}))["result"].is_object());
    }
    let rows = ended(&bench.data, "tools/call", 20);
    assert!(rows.iter().all(|row| row["status"] == "ok" && row["server"] == "hostile"), "{rows:?}");
    let shown = bench.data.run(&["mcp", "show", rows[0]["id"].as_str().unwrap()]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown["sent"]["arguments"]["text"].as_str().unwrap().starts_with("call "), "{shown}");
    assert!(bench.audit("mcp.call").len() >= 20, "that a tool was called stays provable");
    for session in record(&bench.data, &["sessions"]) {
        let rows = record(&bench.data, &["logs", "--session", session["id"].as_str().unwrap(), "-n", "1000"]);
        assert_eq!(session["calls"].as_u64(), Some(rows.len() as u64));
    }
}
