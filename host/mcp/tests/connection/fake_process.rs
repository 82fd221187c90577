//! MCP servers over standard input and output: this test binary, started again with a way to behave.
//!
//! The harness that it starts under prints a few lines of its own first; a transport skips what is no message, so every
//! test here shows that, too.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;

use fumehood_egress::ProcessSpec;
use fumehood_mcp::Endpoint;
use serde_json::{Value, json};

use crate::support::Bench;

const WAY: &str = "FAKE_SERVER_WAY";

/// A server that behaves in this way, and a bench that may start it.
pub async fn server(way: &str) -> (Bench, Endpoint) {
    let command = std::env::current_exe().unwrap().canonicalize().unwrap();
    let arguments: Vec<String> =
        ["--exact", "fake_process::serve_if_asked_to", "--nocapture"].map(str::to_owned).into();
    let bench = Bench::stdio(&command, &arguments).await;
    (bench, Endpoint::Stdio(spec(command, arguments, way)))
}

pub fn spec(command: PathBuf, arguments: Vec<String>, way: &str) -> ProcessSpec {
    ProcessSpec { command, arguments, environment: vec![(WAY.into(), way.into())], folder: "/".into(), pinned: None }
}

/// Not a test: the server itself.
#[test]
fn serve_if_asked_to() {
    if let Ok(way) = std::env::var(WAY) {
        // Ends the line that the harness has begun.
        say_line("");
        serve(&way);
        std::process::exit(0);
    }
}

fn say_line(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn say(message: &Value) {
    say_line(&message.to_string());
}

fn answer(id: &Value, result: Value) {
    say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
}

fn refuse(id: &Value, code: i64, message: &str) {
    say(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}));
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn sleep_forever() -> ! {
    loop {
        std::thread::park();
    }
}

fn hear() -> Option<Value> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(count) if count > 0 => serde_json::from_str(&line).ok(),
        _ => None,
    }
}

/// A tool with more than any typed model knows.
pub fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Says what it was told",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string", "x-mask": true}}},
        "x-vendor": {"cost": 3}
    })
}

fn serve(way: &str) {
    if way == "exits-at-once" {
        complain("no licence found");
        complain("giving up.");
        std::process::exit(3);
    }
    if way == "chatty" {
        say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "xyzzy before"}}));
        say(&json!({"jsonrpc": "2.0", "method": "xyzzy/made-up", "params": {}}));
        complain("xyzzy aside");
    }
    if way == "floods" {
        std::thread::spawn(|| {
            loop {
                say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x".repeat(900)}}));
            }
        });
    }
    let mut late = None;
    while let Some(message) = hear() {
        let (method, id) = (message["method"].as_str().unwrap_or_default(), message["id"].clone());
        match (method, way) {
            ("server/discover", "modern") => answer(
                &id,
                json!({
                    "resultType": "complete",
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "fake", "version": "1"},
                    "ttlMs": 0, "cacheScope": "private"
                }),
            ),
            ("server/discover", "answers-late") => late = Some(id),
            ("server/discover", _) => refuse(&id, -32601, "Method not found"),
            ("initialize", _) => {
                if let Some(late) = late.take() {
                    refuse(&late, -32601, "Method not found");
                }
                if way == "garbage" {
                    garbage(&id);
                }
                if way == "refuses" {
                    refuse(&id, -32000, "the database is locked\nat line 3");
                    continue;
                }
                answer(
                    &id,
                    json!({
                        "protocolVersion": "2025-06-18",
                        "capabilities": {"tools": {}},
                        "serverInfo": {"name": "fake", "version": "1"}
                    }),
                );
                if way == "deaf" {
                    // `notifications/initialized` is taken; nothing after it.
                    hear();
                    hear_nothing_more();
                }
            }
            ("tools/list", _) => list(way, &message, &id),
            ("tools/call", _) => call(way, &message, &id),
            ("notifications/cancelled", _) => complain(&format!("cancelled {}", message["params"]["requestId"])),
            _ => {}
        }
    }
    match way {
        // The end of its input is a plea to end; this one does not hear it.
        "stubborn" => sleep_forever(),
        _ => complain("input closed"),
    }
}

fn hear_nothing_more() -> ! {
    complain("deaf from here on");
    sleep_forever()
}

fn garbage(id: &Value) {
    for line in ["Welcome!", "{\"level\":\"info\"}", "[]", "null", "{", "{\"jsonrpc\":\"2.0\"}", "\u{0}\u{1}"] {
        say_line(line);
    }
    // Answers to nobody, and one without a shape.
    answer(&json!(999), json!({"tools": []}));
    answer(&json!("x"), json!({}));
    say(&json!({"jsonrpc": "2.0", "id": id, "method": 7}));
    say(&json!({"jsonrpc": "2.0", "result": {}}));
}

fn list(way: &str, message: &Value, id: &Value) {
    let cursor = message["params"]["cursor"].as_str();
    let page = match (way, cursor) {
        ("modern", _) => {
            let version = &message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
            let mut echo = tool("echo");
            echo["x-version"] = version.clone();
            json!({"resultType": "complete", "tools": [echo], "ttlMs": 0, "cacheScope": "private"})
        }
        ("no-such-method", _) => return refuse(id, -32601, "Method not found"),
        ("empty", _) => json!({"tools": []}),
        ("malformed", _) => json!({"tools": {"echo": {}}}),
        ("nameless", _) => json!({"tools": [{"description": "who am I?"}]}),
        ("circle", _) => json!({"tools": [tool("echo")], "nextCursor": "again"}),
        ("endless", cursor) => {
            let page: u32 = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            json!({"tools": [tool(&format!("t{page}"))], "nextCursor": (page + 1).to_string()})
        }
        ("too-many", _) => {
            let tools: Vec<Value> = (0..1_001).map(|at| json!({"name": format!("t{at}")})).collect();
            json!({"tools": tools})
        }
        ("too-large", cursor) => {
            let mut big = tool(cursor.unwrap_or("first"));
            big["description"] = "d".repeat(3 << 20).into();
            json!({"tools": [big], "nextCursor": "second"})
        }
        (_, None) => json!({"tools": [tool("echo")], "nextCursor": "two"}),
        (_, Some(_)) => json!({"tools": [tool("add")]}),
    };
    answer(id, page);
}

#[allow(clippy::zombie_processes, reason = "the group is for the host to end: that is what is tested")]
fn call(way: &str, message: &Value, id: &Value) {
    let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
    let arguments = &message["params"]["arguments"];
    match way {
        "hangs" => complain(&format!("asked {id}")),
        "dies" => {
            complain("Traceback: out of cheese");
            std::process::exit(7);
        }
        "huge" => answer(id, text("h".repeat(5 << 20))),
        "large" => answer(id, text("l".repeat(3 << 20))),
        "fails" => answer(id, json!({"isError": true, "content": [{"type": "text", "text": "no such city"}]})),
        "chatty" => {
            say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "xyzzy within"}}));
            say(
                &json!({"jsonrpc": "2.0", "id": "xyzzy", "method": "elicitation/create", "params": {"message": "xyzzy?"}}),
            );
            hear();
            refuse(&json!(4711), -32000, "xyzzy to nobody");
            refuse(&json!(null), -32000, "xyzzy to anybody");
            refuse(id, -32000, "xyzzy to you");
        }
        "talks" => {
            let level = json!({"level": "warning", "data": "disk is nearly full"});
            say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": level}));
            say(&json!({"jsonrpc": "2.0", "id": "r", "method": "roots/list"}));
            let refused = hear().unwrap_or_default();
            complain(&format!("refused with {}", refused["error"]["code"]));
            answer(id, text("told".into()));
        }
        "broken" => say(&json!({"jsonrpc": "2.0", "id": id, "error": "boom"})),
        "twice" => {
            answer(id, text("first".into()));
            answer(id, text("second".into()));
        }
        "asks" => answer(id, json!({"resultType": "input_required", "inputRequests": {}})),
        "questions" => {
            let mut answers = Vec::new();
            for (at, method) in
                ["ping", "sampling/createMessage", "elicitation/create", "roots/list"].iter().enumerate()
            {
                say(&json!({"jsonrpc": "2.0", "id": format!("q{at}"), "method": method, "params": {}}));
                let answer = hear().unwrap_or_default();
                answers.push(answer["error"]["code"].as_i64().unwrap_or(0).to_string());
            }
            answer(id, text(answers.join(" ")));
        }
        "stubborn" => {
            let shell = "trap '' TERM; sleep 1000 & echo $!; wait";
            let mut child = std::process::Command::new("/bin/sh")
                .args(["-c", shell])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let pids = format!("{} {} {}", std::process::id(), child.id(), line.trim());
            answer(id, text(pids));
        }
        _ => answer(id, text(format!("you said {arguments}"))),
    }
}
