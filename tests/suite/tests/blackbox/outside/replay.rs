//! Recorded calls, made again: what is the same and what differs, what is left out and why, and that a call which is made
//! again is a call like any other, under the same rules and on the same record.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use fumehood_tests::Data;
use fumehood_tests::machine::wait_for;
use fumehood_tests::server::text;
use serde_json::{Value, json};

use super::caller::{Caller, ended, record};
use super::{Bench, SETTLE, bench, hostile};

fn tool(name: &str, read_only: bool) -> Value {
    let annotations = if read_only { json!({"readOnlyHint": true}) } else { json!({}) };
    json!({"name": name, "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "annotations": annotations})
}

fn says(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// A server whose tools and answers stand in a file; all tools but `reboot` say that they are read-only.
struct Scripted {
    id: String,
    file: PathBuf,
    journal: PathBuf,
}

impl Scripted {
    fn new(bench: &Bench, name: &str, answers: &Value) -> Self {
        let (file, journal) =
            (bench.data.beside(&format!("{name}.json")), bench.data.beside(&format!("{name}.journal")));
        let mut scripted = Self { id: String::new(), file, journal };
        scripted.script(answers);
        let mode = format!("scripted:{}", scripted.file.display());
        scripted.id = bench.add_server(&hostile(name, &mode, &scripted.journal));
        assert_eq!(bench.discovered(&scripted.id)["state"], "connected");
        scripted
    }

    fn script(&self, answers: &Value) {
        let tools: Vec<Value> = answers.as_object().unwrap().keys().map(|name| tool(name, name != "reboot")).collect();
        std::fs::write(&self.file, json!({"tools": tools, "answers": answers}).to_string()).unwrap();
    }

    /// Calls that have reached it.
    fn calls(&self) -> Vec<Value> {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let messages = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        messages.filter(|message| message["method"] == "tools/call").map(|message| message["params"].clone()).collect()
    }
}

fn replay(data: &Data, arguments: &[&str]) -> Output {
    data.run(&[&["mcp", "replay"], arguments].concat())
}

/// The calls that were made again by their tool, the summary, and the exit code.
fn replayed(data: &Data, arguments: &[&str]) -> (Vec<Value>, Value, i32) {
    let output = replay(data, &[arguments, &["--json"]].concat());
    let mut lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{}", text(&output.stderr)));
    assert_eq!(summary["event"], "summary");
    assert!(lines.iter().all(|line| line["event"] == "call"), "{lines:?}");
    (lines, summary, output.status.code().unwrap())
}

fn verdict(calls: &[Value], tool: &str) -> String {
    let verdicts: Vec<&str> =
        calls.iter().filter(|call| call["tool"] == tool).map(|call| call["verdict"].as_str().unwrap()).collect();
    verdicts.join(" ")
}

fn why(summary: &Value) -> Vec<(u64, String)> {
    let all = summary["left_out"].as_array().unwrap().iter();
    all.map(|one| (one["calls"].as_u64().unwrap(), one["why"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn calls_are_made_again_and_what_is_answered_otherwise_is_told() {
    let Some(bench) = bench("replay") else { return };
    let times = |at: &str| says(&json!({"rows": [{"n": 1, "at": at}], "at": at}).to_string());
    let mail = |a: &str, b: &str| says(&format!("{a}@kunde.example wrote to {b}@kunde.example"));
    let before = json!({
        "constant": says("as ever $text"), "words": says("all is well"), "times": times("10:00"), "breaks": says("fine"),
        "heals": {"code": -32000, "message": "no space for jane.roe@example.com"}, "numbers": says(r#"{"a": 1, "b": [2]}"#),
        "people": mail("zora", "yann"), "others": mail("zora", "yann"), "first": mail("quirin", "rosa"),
        "reboot": says("rebooting"), "tags": {"content": [{"type": "text", "text": "x", "_meta": {"n": 1}}], "_meta": {"n": 1}},
    });
    let scripted = Scripted::new(&bench, "scripted", &before);
    bench.decide(&scripted.id, "allow", |_| true);
    let token = bench.data.token("responder");
    let alone = Caller::new(&bench.server, "/mcp/scripted", &token, true);
    let together = Caller::new(&bench.server, "/mcp", &token, false);
    // The caller has read of others first, so that the numbers of pseudonyms are not those of a first answer.
    for name in
        ["first", "constant", "words", "times", "breaks", "heals", "numbers", "people", "others", "reboot", "tags"]
    {
        alone.call(name, &json!({"text": "mail ada.lovelace@kunde.example"}));
    }
    together.call("mcp_scripted_constant", &json!({"text": "again"}));
    alone.call("none", &json!({}));
    let viewer = Caller::new(&bench.server, "/mcp/scripted", &bench.data.token("viewer"), true);
    assert!(viewer.call("constant", &json!({}))["error"].is_object());
    ended(&bench.data, "tools/call", 14);
    let reached = scripted.calls().len();

    let (calls, summary, code) = replayed(&bench.data, &["--server", "scripted"]);
    assert_eq!((calls.len(), code, &summary["same"]), (11, 0, &json!(11)), "{calls:?}");
    let mut left_out = why(&summary);
    left_out.sort_unstable();
    let expected = [
        (1, "it was refused before it was sent".to_owned()),
        (1, "reboot is not known to be read-only; --writes calls it all the same".to_owned()),
    ];
    assert_eq!(left_out, expected, "a call of what nobody knows is no server's");
    let made: Vec<Value> = scripted.calls().split_off(reached);
    assert_eq!(made.len(), 11);
    assert!(made.iter().all(|call| call["name"] != "reboot"), "what may change something is called where asked only");
    // What was sent goes out as it went out before, in the same order, and nothing else of the request.
    let first: Vec<Value> =
        scripted.calls()[..reached].iter().filter(|call| call["name"] != "reboot").cloned().collect();
    let said =
        |calls: &[Value]| -> Vec<Value> { calls.iter().map(|call| json!([call["name"], call["arguments"]])).collect() };
    assert_eq!(said(&made), said(&first));
    assert!(made[0]["arguments"]["text"].as_str().unwrap().contains("[EMAIL-"), "{made:?}");

    // Each is on record, and in the audit log, as a call of its own.
    let session = summary["session"].as_str().unwrap();
    let rows = record(&bench.data, &["logs", "--session", session, "-n", "100"]);
    assert_eq!(rows.len(), 11);
    for row in &rows {
        let call = calls.iter().find(|call| call["replay"] == row["id"]).unwrap();
        assert_eq!(row["replay_of"], call["call"]);
        assert_eq!((&row["client"], &row["caller"]), (&json!("fumehood-replay"), &json!("operator")), "{row}");
        assert_eq!((&row["server"], &row["subject"]), (&json!("scripted"), &call["tool"]));
        assert_eq!(row["status"], if row["subject"] == "heals" { "error" } else { "ok" });
    }
    let audit = bench.client.get("/api/v1/audit?limit=500").expect(200).text();
    let again = calls.iter().filter(|call| audit.contains(call["call"].as_str().unwrap())).count();
    assert_eq!((again, audit.matches("replay_of").count()), (11, 11));
    let shown = bench.data.run(&["mcp", "show", rows[0]["id"].as_str().unwrap()]);
    assert!(!text(&shown.stdout).contains("kunde.example"), "{}", text(&shown.stdout));
    let sessions = record(&bench.data, &["sessions"]);
    let own = sessions.iter().find(|one| one["id"] == session).unwrap();
    assert_eq!((&own["calls"], &own["errors"], own["ended_us"].is_null()), (&json!(11), &json!(1), false), "{own}");

    // What it made itself is no record of what clients ask.
    let mut after = before.clone();
    after["words"] = says("all is \u{1b}[2Jlost\u{202e}");
    after["times"] = times("11:30");
    after["breaks"] =
        json!({"content": [{"type": "text", "text": "broken for jane.roe@example.com"}], "isError": true});
    after["heals"] = says("there is space");
    after["numbers"] = says(r#"{"b":[2.0],"a":1}"#);
    after["people"] = mail("zora", "zora");
    after["tags"] = says("x");
    scripted.script(&after);
    let (calls, summary, code) = replayed(&bench.data, &["--server", "scripted", "--ignore", "at"]);
    assert_eq!((calls.len(), code), (11, 1));
    for same in ["constant", "times", "numbers", "others", "first", "tags"] {
        let expected = if same == "constant" { "same same" } else { "same" };
        assert_eq!(verdict(&calls, same), expected, "{same}: {calls:?}");
    }
    for (tool, expected) in [("words", "differs"), ("people", "differs"), ("breaks", "failed"), ("heals", "mended")] {
        assert_eq!(verdict(&calls, tool), expected, "{tool}: {calls:?}");
    }
    let counted = ["same", "differs", "failed", "mended"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(counted, [7, 2, 1, 1]);
    assert!(summary["p50_then_us"].as_u64() > Some(0) && summary["p50_now_us"].as_u64() > Some(0), "{summary}");
    let people = calls.iter().find(|call| call["tool"] == "people").unwrap();
    assert_eq!(people["differences"][0]["pointer"], "/content/0/text", "{people}");
    let (old, new) = (&people["differences"][0]["old"], &people["differences"][0]["new"]);
    let recorded: Value =
        serde_json::from_slice(&bench.data.run(&["mcp", "show", people["call"].as_str().unwrap()]).stdout).unwrap();
    assert_eq!(*old, recorded["received"]["content"][0]["text"], "differences are told in the record's own names");
    assert!(new.as_str().unwrap().starts_with(old.as_str().unwrap().split(' ').next().unwrap()), "{people}");
    assert_eq!(verdict(&replayed(&bench.data, &["--server", "scripted"]).0, "times"), "differs");
    let some = [
        "--server",
        "scripted",
        "--ignore",
        "/content/0/text/rows/*/at",
        "--ignore",
        "/content/0/text/at",
        "--tool",
        "times",
    ];
    let (calls, _, code) = replayed(&bench.data, &some);
    assert_eq!((calls.len(), code), (1, 0), "{calls:?}");

    // On a terminal: masked, and nothing of it is an order to the terminal.
    let output = replay(&bench.data, &["--server", "scripted", "--ignore", "at"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(!shown.contains(['\u{1b}', '\u{202e}']) && shown.contains("lost⟨U+202E⟩"), "{shown}");
    assert!(!shown.contains("kunde.example") && !shown.contains("jane.roe"), "{shown}");
    for word in [
        "11 calls: 7 same, 2 differ, 1 failed, 1 mended; p50 ",
        "2 calls left out:\n",
        "      1  it was refused before it was sent\n",
        "      1  reboot is not known to be read-only; --writes calls it all the same\n",
        "      - \"all is well\"\n",
        "    now: broken for [EMAIL-",
        "    then: no space for [EMAIL-",
        "/content/0/text\n",
    ] {
        assert!(shown.contains(word), "{word:?} is not in:\n{shown}");
    }

    // Fewer of them: the newest, one by its id, those that ended in some way.
    let (calls, ..) = replayed(&bench.data, &["--server", "scripted", "-n", "2"]);
    assert_eq!(calls.iter().map(|call| call["tool"].as_str().unwrap()).collect::<Vec<_>>(), ["tags", "constant"]);
    let id = calls[0]["call"].as_str().unwrap();
    assert_eq!(replayed(&bench.data, &["--server", "scripted", "--call", id]).0.len(), 1);
    assert_eq!(replayed(&bench.data, &["--server", "scripted", "--status", "error"]).0.len(), 1);
    let writes = replayed(&bench.data, &["--server", "scripted", "--tool", "reboot", "--writes"]);
    assert_eq!((verdict(&writes.0, "reboot"), writes.2), ("same".to_owned(), 0));
    assert_eq!(scripted.calls().iter().filter(|call| call["name"] == "reboot").count(), 2);
}

#[test]
fn what_holds_for_calls_now_holds_for_those_that_are_made_again() {
    let Some(bench) = bench("replay rules") else { return };
    let before =
        json!({"asked": says("a"), "denied": says("d"), "changed": says("c"), "gone": says("g"), "kept": says("k")});
    let old = Scripted::new(&bench, "old", &before);
    bench.decide(&old.id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/old", &bench.data.token("responder"), true);
    for name in before.as_object().unwrap().keys() {
        caller.call(name, &json!({"text": "AB-4711"}));
    }
    ended(&bench.data, "tools/call", 5);

    // Another server is under rules of its own; it has to be known, and what it offers has to be seen.
    let mut now = before.clone();
    now.as_object_mut().unwrap().remove("gone");
    now["kept"] = says("other");
    let new = Scripted::new(&bench, "new", &now);
    let against = ["--server", "old", "--against", "new"];
    let (_, summary, code) = replayed(&bench.data, &against);
    assert_eq!((code, why(&summary).len(), &summary["calls"]), (2, 5, &json!(0)), "nobody has looked: {summary}");
    bench.decide(&new.id, "allow", |name| name == "changed" || name == "kept");
    bench.decide(&new.id, "ask", |name| name == "asked");
    bench.decide(&new.id, "deny", |name| name == "denied");
    let (calls, summary, code) = replayed(&bench.data, &against);
    assert_eq!(code, 1);
    let verdicts = ["asked", "changed", "kept"].map(|tool| verdict(&calls, tool));
    assert_eq!(verdicts, ["same", "same", "differs"], "{calls:?}");
    let mut reasons = why(&summary);
    reasons.sort_unstable();
    assert_eq!(reasons, [(1, "denied is denied by a rule".to_owned()), (1, "there is no tool gone".to_owned())]);
    assert_eq!((&summary["server"], &summary["against"]), (&json!("old"), &json!("new")));

    // A tool that is not what a person has seen any more is found out before it is called.
    let called = new.calls().len();
    let script: Value = serde_json::from_slice(&std::fs::read(&new.file).unwrap()).unwrap();
    let mut script = script;
    for tool in script["tools"].as_array_mut().unwrap().iter_mut().filter(|tool| tool["name"] == "changed") {
        tool["description"] = "Does something else.".into();
    }
    std::fs::write(&new.file, script.to_string()).unwrap();
    let (calls, summary, _) = replayed(&bench.data, &against);
    assert_eq!((calls.len(), verdict(&calls, "changed")), (2, String::new()));
    assert!(why(&summary).iter().any(|(_, why)| why.contains("not what a person has seen any more")), "{summary}");
    assert!(new.calls()[called..].iter().all(|call| call["name"] != "changed"));

    // What today's rules hold back does not leave because it once did.
    let ticket = "[[type]]\nname = \"TICKET\"\npattern = '\\bAB-\\d{4}\\b'\nmatches = [\"AB-4711\"]\n";
    bench.person.submit("/settings/detection", &[("name", "tickets.toml"), ("toml", ticket)]);
    let (calls, summary, code) = replayed(&bench.data, &against);
    assert_eq!((calls.len(), code), (0, 2));
    assert!(why(&summary).contains(&(2, "today's rules would mask more of what was sent".to_owned())), "{summary}");

    // The record outlives the registration.
    bench.person.submit("/settings/detection/tickets.toml/remove", &[]);
    bench.remove_server(&old.id);
    assert_eq!(replayed(&bench.data, &against).0.len(), 2);
    let another = record(&bench.data, &["logs", "--server", "old"])[0]["id"].as_str().unwrap().to_owned();
    let refusals: [(&[&str], &str); 6] = [
        (&["--server", "old"], "There is no MCP server called old. Registered: new."),
        (&["--server", "old", "--against", "none"], "There is no MCP server called none."),
        (&["--server", "new", "--call", "made-up"], "There is no such call"),
        (&["--server", "new", "--call", &another], "is no call of a tool of new"),
        (&["--server", "new", "--ignore", ""], "JSON pointer"),
        (&["--server", "new", "--since", "yesterday"], "is no time"),
    ];
    for (arguments, why) in refusals {
        let output = replay(&bench.data, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(why), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let nothing = replay(&bench.data, &["--server", "new", "--tool", "none"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stdout).contains("nothing was compared"), "{}", text(&nothing.stdout));
    // A misspelt option is one, too.
    assert_eq!(replay(&bench.data, &["--sever", "new"]).status.code(), Some(2));

    // Where no server runs the command does it itself.
    let Bench { server, data, .. } = bench;
    assert!(server.stop().success());
    let (calls, _, code) = replayed(&data, &against);
    assert_eq!((calls.len(), code), (2, 1));
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_without_end() {
    let Some(bench) = bench("replay patience") else { return };
    let before = json!({"before": says("b"), "silent": says("s"), "after": says("a")});
    let scripted = Scripted::new(&bench, "scripted", &before);
    bench.decide(&scripted.id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/scripted", &bench.data.token("responder"), true);
    for name in ["before", "silent", "after"] {
        caller.call(name, &json!({}));
    }
    ended(&bench.data, "tools/call", 3);
    let mut now = before.clone();
    now["silent"] = Value::Null;
    scripted.script(&now);
    let (calls, _, code) = replayed(&bench.data, &["--server", "scripted", "--timeout", "1"]);
    assert_eq!(code, 1);
    let verdicts = ["before", "silent", "after"].map(|tool| verdict(&calls, tool));
    assert_eq!(verdicts, ["same", "failed", "same"], "{calls:?}");
    assert_eq!(calls[1]["status_now"], "timeout");

    // Stopped in the middle: what was done is told, and the server hears that nobody waits.
    let reached = scripted.calls().len();
    let mut command: Command = bench.data.command(&["mcp", "replay", "--server", "scripted"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let silent = || scripted.calls()[reached..].iter().any(|call| call["name"] == "silent");
    wait_for("the call that is not answered", SETTLE, || silent().then_some(()));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(130), "{out}{err}");
    assert!(out.contains("1 call: 1 same") && err.contains("It was stopped."), "{out}{err}");
    let last = &record(&bench.data, &["logs", "--tool", "silent", "-n", "1"])[0];
    assert_eq!((&last["status"], last["replay_of"].is_string()), (&json!("error"), true), "{last}");
    assert!(std::fs::read_to_string(&scripted.journal).unwrap().contains("notifications/cancelled"));

    // Cut off: the running server stops by itself.
    let reached = scripted.calls().len();
    let mut command: Command = bench.data.command(&["mcp", "replay", "--server", "scripted"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let silent = || scripted.calls()[reached..].iter().any(|call| call["name"] == "silent");
    wait_for("the call that is not answered", SETTLE, || silent().then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the end of the call", SETTLE, || {
        let sessions = record(&bench.data, &["sessions"]);
        let open = record(&bench.data, &["logs", "--status", "open"]);
        let ours = |one: &&Value| one["client"] == "fumehood-replay";
        (open.is_empty() && sessions.iter().filter(ours).all(|one| !one["ended_us"].is_null())).then_some(())
    });
    bench.is_well();
}
