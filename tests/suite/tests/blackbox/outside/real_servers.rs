//! MCP servers and a client that others wrote: added as their users would, looked at, allowed, and used through the
//! gateway, under the names of all servers together and of each alone, in both eras.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fumehood_tests::fakes::node;
use fumehood_tests::machine::{skip, wait_for};
use serde_json::{Value, json};

use super::caller::{Caller, record};
use super::{Bench, SETTLE, bench};

/// A file of a package, once it is installed.
fn npm(test: &str, path: &str) -> Option<PathBuf> {
    installed(test, "FUMEHOOD_REAL_NPM", path)
}

fn python(test: &str, name: &str) -> Option<PathBuf> {
    installed(test, "FUMEHOOD_REAL_PYTHON", name)
}

fn installed(test: &str, variable: &str, path: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(|folder| Path::new(&folder).join(path)).filter(|path| path.is_file());
    if found.is_none() {
        skip(test, &format!("{path} is not installed; `tests/run` does it"));
    }
    found
}

const EVERYTHING: &str = "@modelcontextprotocol/server-everything/dist/index.js";
const INSPECTOR: &str = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";

/// The reference server over HTTP; it ends with this.
struct Listening {
    child: Child,
    url: String,
}

impl Listening {
    fn start(program: &Path, transport: &str) -> Self {
        // The port that was free a moment ago may be taken by now.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(node().unwrap());
            command.arg(program).arg(transport).env("PORT", port.to_string());
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let came = wait_for("a server that listens", SETTLE, || match child.try_wait().unwrap() {
                Some(_) => Some(false),
                None => TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
            });
            if came {
                return Self { child, url: format!("http://127.0.0.1:{port}") };
            }
        }
        panic!("no port for {}", program.display());
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Add a server, look at its tools, and allow them.
fn added(bench: &Bench, server: &Value) -> Vec<String> {
    let id = bench.add_server(server);
    let found = bench.discovered(&id);
    assert_eq!(found["state"], "connected", "{found}");
    assert_eq!(found["tools"], found["waiting"], "nobody has looked at them: {found}");
    let names = bench.decide(&id, "allow", |_| true);
    assert_eq!(names.len() as u64, found["tools"].as_u64().unwrap(), "{names:?}");
    assert_eq!(bench.server(&id)["waiting"], 0);
    names
}

fn stdio(name: &str, command: &Path, arguments: &[&str]) -> Value {
    json!({"name": name, "transport": "stdio", "command": command, "arguments": arguments})
}

/// The text of a result that is no error.
#[track_caller]
fn text(answer: &Value) -> String {
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
    let parts = answer["result"]["content"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// A client, and how it names what a server offers.
struct Reach {
    caller: Caller,
    server: &'static str,
    together: bool,
}

impl Reach {
    /// Of all servers together and of one alone, in both eras.
    fn all(bench: &Bench, server: &'static str) -> Vec<Self> {
        let token = bench.data.token("responder");
        let ways = [(true, false), (true, true), (false, false), (false, true)];
        let reach = |(together, modern): (bool, bool)| {
            let path = if together { "/mcp".to_owned() } else { format!("/mcp/{server}") };
            Self { caller: Caller::new(&bench.server, &path, &token, modern), server, together }
        };
        ways.into_iter().map(reach).collect()
    }

    /// The name of a tool or a prompt.
    fn name(&self, own: &str) -> String {
        if self.together { format!("mcp_{}_{}", self.server, own.replace('-', "_")) } else { own.to_owned() }
    }

    fn uri(&self, own: &str) -> String {
        if self.together { format!("{}+{own}", self.server) } else { own.to_owned() }
    }

    fn call(&self, tool: &str, arguments: Value) -> Value {
        self.caller.call(&self.name(tool), &arguments)
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.caller.ask(method, &params);
        assert!(answer["result"].is_object(), "{method} {params}: {answer}");
        answer["result"].clone()
    }

    /// What a list names, of this server.
    fn listed(&self, method: &str, key: &str, field: &str) -> Vec<String> {
        let result = self.ask(method, json!({}));
        let all = result[key].as_array().unwrap_or_else(|| panic!("{result}"));
        let names = all.iter().map(|one| one[field].as_str().unwrap().to_owned());
        names.filter(|name| !name.starts_with("fumehood_")).collect()
    }
}

/// All that the reference server has: tools, resources, templates, prompts, completion.
fn everything_works(bench: &Bench, server: &'static str, tools: &[String]) {
    for reach in Reach::all(bench, server) {
        let listed = reach.caller.tools();
        for tool in tools {
            assert!(listed.contains(&reach.name(tool)), "{tool} is not in {listed:?}");
        }
        assert_eq!(text(&reach.call("echo", json!({"message": "hello there"}))), "Echo: hello there");
        assert!(text(&reach.call("get-sum", json!({"a": 2, "b": 40}))).contains("42"));
        let structured = reach.call("get-structured-content", json!({"location": "Chicago"}));
        assert!(structured["result"]["structuredContent"]["temperature"].is_number(), "{structured}");
        let image = reach.call("get-tiny-image", json!({}));
        let parts = image["result"]["content"].as_array().unwrap_or_else(|| panic!("{image}"));
        let image = parts.iter().find(|part| part["type"] == "image").unwrap_or_else(|| panic!("{parts:?}"));
        // A picture passes as it is.
        assert!(image["data"].as_str().unwrap().starts_with("iVBORw0KGgo"), "{image}");
        let wrong = reach.call("get-sum", json!({"a": "two"}));
        assert!(wrong["error"].is_object() || wrong["result"]["isError"] == true, "{wrong}");

        let resources = reach.listed("resources/list", "resources", "uri");
        let document = reach.uri("demo://resource/static/document/architecture.md");
        assert!(resources.contains(&document), "{resources:?}");
        let read = reach.ask("resources/read", json!({"uri": document}));
        assert_eq!(read["contents"][0]["uri"], document, "{read}");
        assert!(read["contents"][0]["text"].as_str().unwrap().contains("Everything"), "{read}");
        let templates = reach.listed("resources/templates/list", "resourceTemplates", "uriTemplate");
        assert!(templates.contains(&reach.uri("demo://resource/dynamic/text/{resourceId}")), "{templates:?}");
        let made = reach.ask("resources/read", json!({"uri": reach.uri("demo://resource/dynamic/text/7")}));
        assert!(made["contents"][0]["text"].as_str().unwrap().contains("Resource 7"), "{made}");
        let links = reach.call("get-resource-links", json!({"count": 2}));
        let parts = links["result"]["content"].as_array().unwrap_or_else(|| panic!("{links}"));
        let link = parts.iter().find_map(|part| part["uri"].as_str()).unwrap_or_else(|| panic!("{links}"));
        // A link in a result can be followed as it stands.
        reach.ask("resources/read", json!({"uri": link}));

        let prompts = reach.listed("prompts/list", "prompts", "name");
        assert!(prompts.contains(&reach.name("args-prompt")), "{prompts:?}");
        let arguments = json!({"city": "Springfield", "state": "Oregon"});
        let prompt = reach.ask("prompts/get", json!({"name": reach.name("args-prompt"), "arguments": arguments}));
        let said = prompt["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(said.contains("Springfield, Oregon"), "{prompt}");
        let of = json!({"type": "ref/prompt", "name": reach.name("completable-prompt")});
        let completed =
            reach.ask("completion/complete", json!({"ref": of, "argument": {"name": "department", "value": "E"}}));
        assert_eq!(completed["completion"]["values"], json!(["Engineering"]), "{completed}");
    }
    let rows = record(&bench.data, &["logs", "--server", server, "-n", "1000"]);
    let methods = ["tools/call", "resources/read", "prompts/get", "completion/complete"];
    for method in methods {
        assert!(rows.iter().any(|row| row["method"] == method && row["status"] == "ok"), "{method} is not on record");
    }
}

#[test]
fn the_reference_server_works_over_pipes() {
    const TEST: &str = "server-everything over pipes";
    let Some(program) = npm(TEST, EVERYTHING) else { return };
    let Some(bench) = bench(TEST) else { return };
    let tools = added(&bench, &stdio("everything", &node().unwrap(), &[program.to_str().unwrap(), "stdio"]));
    assert!(tools.len() >= 10, "{tools:?}");
    everything_works(&bench, "everything", &tools);
}

#[test]
fn the_reference_server_works_over_streamable_http() {
    const TEST: &str = "server-everything over HTTP";
    let Some(program) = npm(TEST, EVERYTHING) else { return };
    let Some(bench) = bench(TEST) else { return };
    let listening = Listening::start(&program, "streamableHttp");
    let url = format!("{}/mcp", listening.url);
    let tools = added(&bench, &json!({"name": "everything", "transport": "http", "url": url, "auth": "none"}));
    everything_works(&bench, "everything", &tools);
}

#[test]
fn the_reference_server_works_over_http_and_sse() {
    const TEST: &str = "server-everything over HTTP+SSE";
    let Some(program) = npm(TEST, EVERYTHING) else { return };
    let Some(bench) = bench(TEST) else { return };
    let listening = Listening::start(&program, "sse");
    let url = format!("{}/sse", listening.url);
    let tools = added(&bench, &json!({"name": "everything", "transport": "sse", "url": url, "auth": "none"}));
    everything_works(&bench, "everything", &tools);
}

#[test]
fn a_repository_is_worked_on_through_mcp_server_git() {
    const TEST: &str = "mcp-server-git";
    let Some(program) = python(TEST, "mcp-server-git") else { return };
    let Some(bench) = bench(TEST) else { return };
    if !Path::new("/usr/bin/git").exists() {
        return skip(TEST, "there is no /usr/bin/git, which a program without an environment finds");
    }
    let folder = bench.data.beside("repository");
    std::fs::create_dir(&folder).unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("/usr/bin/git").current_dir(&folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["config", "user.name", "Pool Keeper"]);
    git(&["config", "user.email", "jane.roe@customer-mail.example"]);
    std::fs::write(folder.join("pool.toml"), "size = 10\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "The pool has ten connections"]);
    let path = folder.to_str().unwrap();
    let tools = added(&bench, &stdio("git", &program, &["--repository", path]));
    assert!(tools.iter().any(|tool| tool == "git_commit"), "{tools:?}");
    for (round, reach) in Reach::all(&bench, "git").into_iter().enumerate() {
        let call = |tool: &str, more: Value| {
            let mut arguments = json!({"repo_path": path});
            arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            text(&reach.call(tool, arguments))
        };
        let size = format!("size = {}\n", 20 + round);
        std::fs::write(folder.join("pool.toml"), &size).unwrap();
        assert!(call("git_status", json!({})).contains("pool.toml"));
        assert!(call("git_diff_unstaged", json!({})).contains(&format!("+{}", size.trim())));
        call("git_add", json!({"files": ["pool.toml"]}));
        let message = format!("Size {}", 20 + round);
        call("git_commit", json!({"message": message}));
        assert_eq!(git(&["log", "-1", "--format=%s"]).trim(), message);
        assert!(git(&["status", "--porcelain"]).is_empty());
        let log = call("git_log", json!({"max_count": 2}));
        assert!(log.contains(&message) && !log.contains("customer-mail"), "{log}");
        // Outside of the repository that it was given the server itself says no, and that is told.
        let refused = reach.call("git_status", json!({"repo_path": "/"}));
        assert!(refused["result"]["isError"] == true || refused["error"].is_object(), "{refused}");
    }
}

#[test]
fn times_are_told_by_mcp_server_time() {
    const TEST: &str = "mcp-server-time";
    let Some(program) = python(TEST, "mcp-server-time") else { return };
    let Some(bench) = bench(TEST) else { return };
    added(&bench, &stdio("time", &program, &["--local-timezone", "Europe/Berlin"]));
    for reach in Reach::all(&bench, "time") {
        let now: Value =
            serde_json::from_str(&text(&reach.call("get_current_time", json!({"timezone": "Asia/Tokyo"})))).unwrap();
        assert_eq!(now["timezone"], "Asia/Tokyo", "{now}");
        assert!(now["datetime"].as_str().unwrap().ends_with("+09:00"), "{now}");
        let arguments = json!({"source_timezone": "Asia/Tokyo", "time": "12:30", "target_timezone": "Asia/Kolkata"});
        let converted: Value = serde_json::from_str(&text(&reach.call("convert_time", arguments))).unwrap();
        assert_eq!(converted["time_difference"], "-3.5h", "{converted}");
        assert!(converted["target"]["datetime"].as_str().unwrap().contains("T09:00:00"), "{converted}");
        let wrong = reach.call("get_current_time", json!({"timezone": "Mars/Olympus"}));
        assert!(wrong["result"]["isError"] == true || wrong["error"].is_object(), "{wrong}");
    }
}

/// One page, for whoever asks; nothing for robots. Ends with the test's process.
fn page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            lines.read_line(&mut line).unwrap();
            let mut header = String::new();
            while lines.read_line(&mut header).is_ok_and(|read| read > 2) {
                header.clear();
            }
            let html = "<!doctype html><html><head><title>Runbook</title></head><body><article><h1>Pool runbook</h1>\
                <p>When the pool is exhausted, ask max.mustermann@kunde.example and restart it.</p></article></body></html>";
            let (status, body) =
                if line.starts_with("GET /runbook") { ("200 OK", html) } else { ("404 Not Found", "") };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://localhost:{}", address.port())
}

#[test]
fn pages_are_fetched_and_masked_through_mcp_server_fetch() {
    const TEST: &str = "mcp-server-fetch";
    let Some(program) = python(TEST, "mcp-server-fetch") else { return };
    let Some(bench) = bench(TEST) else { return };
    let site = page();
    // Where it finds Node.js it downloads packages for it; it can do without.
    let alone = ["-i", "PATH=/nowhere", program.to_str().unwrap(), "--allow-private-ips"];
    added(&bench, &stdio("fetch", Path::new("/usr/bin/env"), &alone));
    for reach in Reach::all(&bench, "fetch") {
        let said = text(&reach.call("fetch", json!({"url": format!("{site}/runbook")})));
        assert!(said.contains("When the pool is exhausted, ask [EMAIL-"), "{said}");
        assert!(!said.contains("mustermann"), "{said}");
        let prompt = reach
            .ask("prompts/get", json!({"name": reach.name("fetch"), "arguments": {"url": format!("{site}/runbook")}}));
        assert!(prompt.to_string().contains("pool is exhausted") && !prompt.to_string().contains("mustermann"));
        let missing = reach.call("fetch", json!({"url": format!("{site}/nothing")}));
        assert!(missing["result"]["isError"] == true || missing["error"].is_object(), "{missing}");
    }
}

/// The inspector in front of the gateway: what it printed.
fn inspected(program: &Path, bench: &Bench, path: &str, token: &str, arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(node().unwrap());
    let url = format!("{}{path}", bench.server.url());
    command.env("HOME", bench.data.beside("home")).stdin(Stdio::null()).arg(program);
    command.args(["--cli", &url, "--transport", "http", "--header", &format!("Authorization: Bearer {token}")]);
    let output = command.args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!("{out}{err}"));
    }
    Ok(serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
}

#[test]
fn the_inspector_uses_servers_through_the_gateway() {
    const TEST: &str = "inspector";
    let Some(inspector) = npm(TEST, INSPECTOR) else { return };
    let Some(program) = npm(TEST, EVERYTHING) else { return };
    let Some(bench) = bench(TEST) else { return };
    added(&bench, &stdio("everything", &node().unwrap(), &[program.to_str().unwrap(), "stdio"]));
    let token = bench.data.token("responder");
    // Most of its time it waits: all at once.
    std::thread::scope(|scope| {
        for (path, prefix, uris) in [("/mcp", "mcp_everything_", "everything+"), ("/mcp/everything", "", "")] {
            let (inspector, bench, token) = (&inspector, &bench, &token);
            let inspect = move |arguments: &[&str]| {
                let said = inspected(inspector, bench, path, token, arguments);
                said.unwrap_or_else(|said| panic!("{path} {arguments:?}: {said}"))
            };
            scope.spawn(move || {
                let tools = inspect(&["--method", "tools/list"]);
                let names = tools["tools"].as_array().unwrap().iter();
                let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
                assert!(names.contains(&format!("{prefix}echo").as_str()), "{names:?}");
                assert_eq!(names.contains(&"fumehood_search_incidents"), path == "/mcp", "{names:?}");
                let echo = format!("{prefix}echo");
                let called =
                    inspect(&["--method", "tools/call", "--tool-name", &echo, "--tool-arg", "message=through"]);
                assert_eq!(called["content"][0]["text"], "Echo: through", "{called}");
            });
            scope.spawn(move || {
                let uri = format!("{uris}demo://resource/static/document/features.md");
                let read = inspect(&["--method", "resources/read", "--uri", &uri]);
                assert_eq!(read["contents"][0]["uri"], uri, "{read}");
                let prompt = if prefix.is_empty() { "simple-prompt".into() } else { format!("{prefix}simple_prompt") };
                let got = inspect(&["--method", "prompts/get", "--prompt-name", &prompt]);
                assert!(got["messages"][0]["content"]["text"].is_string(), "{got}");
            });
        }
    });
    let refused = inspected(&inspector, &bench, "/mcp", "wrong", &["--method", "tools/list"]).unwrap_err();
    assert!(refused.contains("auth"), "{refused}");
    // It says who it is.
    let rows = record(&bench.data, &["logs", "--method", "tools/call"]);
    assert!(
        rows.len() == 2 && rows.iter().all(|row| row["status"] == "ok" && row["platform"] == "inspector"),
        "{rows:?}"
    );
}

/// Programs in Python can take a while on a busy machine: that one was asked in the newer era and took its time is no
/// reason to take it for one of the older era, which it is not any more once it has read the question.
#[test]
fn a_server_of_the_newer_era_that_is_slow_to_start_is_connected() {
    const TEST: &str = "slow start";
    let Some(program) = python(TEST, "mcp-server-time") else { return };
    let Some(bench) = bench(TEST) else { return };
    let slowly = ["-c", "sleep 12; exec \"$0\"", program.to_str().unwrap()];
    added(&bench, &stdio("time", Path::new("/bin/sh"), &slowly));
    let caller = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), true);
    let now = text(&caller.call("mcp_time_get_current_time", &json!({"timezone": "Asia/Tokyo"})));
    assert!(now.contains("Asia/Tokyo"), "{now}");
}
