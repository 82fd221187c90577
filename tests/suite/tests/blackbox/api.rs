//! The JSON API: incidents, the audit log, problem details, the OpenAPI document, headers, hosts.

use std::time::Duration;

use fumehood_tests::client::{incident, raw};
use fumehood_tests::{Data, Server};
use serde_json::{Value, json};

/// What answers without a token, and nothing else does: how the server is, and the description of the API, which holds
/// no data and is linked from a page (a browser sends no bearer token).
const OPEN: [&str; 2] = ["/health", "/api/v1/openapi.json"];

fn admin() -> (Data, Server, fumehood_tests::Client) {
    let data = Data::prepared();
    let server = data.start();
    let client = server.client(&data.token("admin"));
    (data, server, client)
}

/// An id that nothing has.
pub const NOTHING: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Every operation of the OpenAPI document: method in capitals, path with its parameters filled in by ids of nothing.
pub fn operations(document: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let mut filled = String::new();
            for part in path.split_inclusive('}') {
                match part.split_once('{') {
                    Some((before, _)) => filled.push_str(&format!("{before}{NOTHING}")),
                    None => filled.push_str(part),
                }
            }
            let prefix = document["servers"][0]["url"].as_str().unwrap_or_default().trim_end_matches('/');
            let full =
                if filled.starts_with("/api/") || filled == "/health" { filled } else { format!("{prefix}{filled}") };
            let full = if full.starts_with("/api/") || full == "/health" { full } else { format!("/api/v1{full}") };
            all.push((method.to_uppercase(), full));
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn an_incident_is_created_read_listed_and_changed() {
    let (_data, _server, client) = admin();
    let made = client.send("POST", "/api/v1/incidents", &incident("Orders fail")).expect(201).json();
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/incidents/{id}");
    let read = client.get(&path).expect(200).json();
    for (field, value) in incident("Orders fail").as_object().unwrap() {
        assert_eq!(&read[field], value, "{field}");
    }
    assert_eq!(read["number"], 1);
    assert!(read["created_at"].as_str().unwrap().ends_with('Z'), "times are RFC 3339 in UTC");

    let second = client.incident("Größe 📈 \u{202e}\"<b>\"");
    let all = client.get("/api/v1/incidents").expect(200).json();
    assert_eq!(all["total"], 2);
    assert_eq!(all["incidents"].as_array().unwrap().len(), 2);
    let page = client.get("/api/v1/incidents?limit=1&sort=number").expect(200).json();
    assert_eq!((page["total"].as_i64(), page["incidents"].as_array().unwrap().len()), (Some(2), 1));
    assert_eq!(client.get("/api/v1/incidents?q=Orders").json()["incidents"][0]["id"], id);
    assert_eq!(client.get("/api/v1/incidents?status=closed").json()["total"], 0);
    assert_eq!(client.get(&format!("/api/v1/incidents/{second}")).json()["title"], "Größe 📈 \u{202e}\"<b>\"");

    let version = read["version"].as_i64().unwrap();
    let changed = client.send("PATCH", &path, &json!({"version": version, "status": "resolved"})).expect(200).json();
    assert_eq!((&changed["status"], &changed["title"]), (&json!("resolved"), &json!("Orders fail")));
    // The other session read the version before.
    client.send("PATCH", &path, &json!({"version": version, "status": "closed"})).problem(409);
    assert_eq!(client.get(&path).json()["status"], "resolved");

    let timeline = client.get(&format!("{path}/timeline")).expect(200).json();
    assert!(timeline.as_array().unwrap().len() >= 2, "{timeline}");
}

#[test]
fn the_sash_is_lowered_and_raised() {
    let (_data, _server, client) = admin();
    let path = format!("/api/v1/incidents/{}", client.incident("Sash"));
    for lowered in [true, false] {
        let answer = client.send("PUT", &format!("{path}/sash"), &json!({"lowered": lowered})).expect(200).json();
        assert_eq!(answer["sash_lowered"], lowered);
    }
}

#[test]
fn whys_and_the_document_are_kept() {
    let (_data, _server, client) = admin();
    let path = format!("/api/v1/incidents/{}", client.incident("Whys"));
    for (question, root) in [("Why did orders fail?", false), ("Why was the pool empty?", true)] {
        let why = json!({"question": question, "answer": "Because.", "root_cause": root});
        client.send("POST", &format!("{path}/whys"), &why).ok();
    }
    let whys = client.get(&format!("{path}/whys")).expect(200).json();
    assert_eq!(whys.as_array().unwrap().len(), 2);
    assert_eq!(whys[1]["root_cause"], true);
    let written = json!({"title": "RCA", "markdown": "# Why\n\nThe pool was empty.\n", "version": 0});
    client.send("PUT", &format!("{path}/document"), &written).ok();
    client.send("PUT", &format!("{path}/document"), &written).problem(409);
    assert!(client.get(&format!("{path}/document.md")).expect(200).text().contains("The pool was empty."));
}

#[test]
fn every_error_is_a_problem_document() {
    let (_data, server, client) = admin();
    let id = client.incident("Errors");
    let one = format!("/api/v1/incidents/{id}");
    let nothing = &format!("/api/v1/incidents/{NOTHING}");
    client.get(nothing).problem(404);
    client.get("/api/v1/incidents/not-an-id").problem(404);
    client.get("/api/v1/incidents/%ff").problem(400);
    client.get("/api/v1/no/such/operation").problem(404);
    client.get("/api/v1").problem(404);
    client.send("DELETE", "/api/v1/audit", &Value::Null).problem(405);
    client.send("DELETE", &one, &Value::Null).problem(405);
    for (query, field) in [
        ("incidents?limit=many", "limit"),
        ("incidents?limit=0", "limit"),
        ("incidents?limit=201", "limit"),
        ("incidents?sort=bogus", "sort"),
        ("incidents?status=bogus", "status"),
        ("incidents?bogus=1", "bogus"),
        ("audit?limit=501", "limit"),
    ] {
        assert_eq!(client.get(&format!("/api/v1/{query}")).problem(422)["field"], field, "{query}");
    }
    for path in ["/api", "/api/", "/api/v1/", "/api/v2/incidents"] {
        client.get(path).problem(404);
    }
    client.send("POST", &format!("{nothing}/logs?name=a.log"), &Value::Null).problem(404);
    client.try_send("POST", &format!("{one}/logs"), &[], "text\n").unwrap().problem(422);

    let post =
        |headers: &[(&str, &str)], body: &str| client.try_send("POST", "/api/v1/incidents", headers, body).unwrap();
    let is_json = [("content-type", "application/json")];
    post(&is_json, "{\"title\":").problem(400);
    post(&is_json, "").problem(400);
    post(&[("content-type", "text/plain")], "{\"title\":\"x\"}").problem(415);
    post(&is_json, &format!("{{\"title\":\"{}\"}}", "x".repeat(3 << 20))).problem(413);
    post(&is_json, &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).problem(422);
    for (field, value) in [
        ("title", json!("")),
        ("title", json!("x".repeat(10_000))),
        ("title", json!("two\nlines")),
        ("severity", json!("terrible")),
        ("status", json!("gone")),
        ("tags", json!(["x".repeat(1_000)])),
        ("title", json!(5)),
        ("unknown", json!(1)),
    ] {
        let mut body = incident("Valid");
        body[field] = value;
        let problem = client.send("POST", "/api/v1/incidents", &body).problem(422);
        assert!(problem["detail"].as_str().unwrap().len() > 5, "{problem}");
    }
    assert_eq!(client.get("/api/v1/incidents").json()["total"], 1, "nothing that was refused was kept");
    server.stranger().get("/api/v1/incidents").problem(401);
    assert_eq!(server.stranger().get("/api/v1/incidents").header("www-authenticate"), "Bearer");
}

#[test]
fn the_document_has_every_operation_that_is_promised() {
    let (_data, _server, client) = admin();
    let document = client.get("/api/v1/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let all = operations(&document);
    let has = |method: &str, path: &str| {
        let parts = |path: &str| {
            path.split('/').map(|part| if part.len() == 36 { "{id}" } else { part }.to_owned()).collect::<Vec<_>>()
        };
        assert!(
            all.iter().any(|(known, other)| known == method && parts(other).join("/") == path),
            "{method} {path} is not in the document: {all:?}"
        );
    };
    has("POST", "/api/v1/incidents");
    has("GET", "/api/v1/incidents");
    has("GET", "/api/v1/incidents/{id}");
    has("POST", "/api/v1/incidents/{id}/logs");
    has("GET", "/api/v1/logs/{id}/findings");
    has("GET", "/api/v1/logs/{id}/redacted");
    has("GET", "/api/v1/audit");
    // And each that is in the document is there: it is another answer than that of a path which nobody serves.
    for (method, path) in &all {
        let answer = client.try_send(method, path, &[("content-type", "application/json")], "{}").unwrap();
        let gone = answer.status == 404 && answer.text().contains("no such operation");
        assert!(!gone && answer.status != 405, "{method} {path} is documented, and not served");
        assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.text());
    }
}

#[test]
fn nothing_that_holds_data_answers_without_a_token() {
    let (_data, server, client) = admin();
    let document = client.get("/api/v1/openapi.json").json();
    let stranger = server.stranger();
    stranger.get("/health").expect(200);
    let mut all = operations(&document);
    all.push(("GET".into(), "/api/v1/openapi.json".into()));
    for (method, path) in all.iter().filter(|(_, path)| !OPEN.contains(&path.as_str())) {
        for token in [None, Some("wrong"), Some("")] {
            let who = fumehood_tests::Client::new(server.url(), token);
            let answer = who.try_send(method, path, &[("content-type", "application/json")], "{}").unwrap();
            assert_eq!(answer.status, 401, "{method} {path} with the token {token:?}: {}", answer.text());
        }
    }
}

#[test]
fn every_answer_carries_the_strict_headers() {
    let (_data, server, client) = admin();
    for path in ["/", "/health", "/api/v1/incidents", "/api/v1/openapi.json", "/sign-in", "/nowhere"] {
        let answer = client.get(path);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.header("referrer-policy").is_empty(), "{path}");
        assert!(answer.header("server").is_empty(), "{path} says what it is built from");
    }
    assert!(server.stranger().get("/").status != 200, "the front page asks who is there");
}

#[test]
fn a_request_for_another_host_is_refused() {
    let (_data, server, _client) = admin();
    let ask = |host: &str| {
        let request = format!("GET /sign-in HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(server.address(), request.as_bytes(), Duration::from_secs(5))
    };
    assert!(ask(server.address()).starts_with("HTTP/1.1 200"));
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "169.254.169.254"] {
        let answer = ask(host);
        assert!(answer.starts_with("HTTP/1.1 421") || answer.starts_with("HTTP/1.1 400"), "{host:?}: {answer}");
    }
    // Probes of a load balancer come by another name.
    let probe = raw(
        server.address(),
        b"GET /health HTTP/1.1\r\nHost: 10.0.0.7\r\nConnection: close\r\n\r\n",
        Duration::from_secs(5),
    );
    assert!(probe.starts_with("HTTP/1.1 200"), "{probe}");
}

#[test]
fn a_change_from_another_site_is_refused() {
    let (_data, server, _client) = admin();
    let stranger = server.stranger();
    let form = "application/x-www-form-urlencoded";
    for headers in [
        [("content-type", form), ("origin", "https://evil.example")].as_slice(),
        &[("content-type", form), ("origin", "null")],
        &[("content-type", form), ("origin", server.url()), ("sec-fetch-site", "cross-site")],
        &[("content-type", form), ("sec-fetch-site", "same-site")],
        &[("content-type", form)],
    ] {
        let answer = stranger.try_send("POST", "/sign-in", headers, "email=a%40b.example&password=x").unwrap();
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
    }
}

#[test]
fn broken_requests_leave_the_server_standing() {
    let (_data, server, client) = admin();
    let host = server.address();
    let long = format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X-A: b\r\n".repeat(10_000));
    for bytes in [
        b"\x00\x01\x02\x03\r\n\r\n".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish",
        long.as_bytes(),
        many.as_bytes(),
    ] {
        raw(host, bytes, Duration::from_secs(3));
        client.get("/api/v1/incidents").expect(200);
    }
}

#[test]
fn every_change_is_in_the_audit_log() {
    let (_data, _server, client) = admin();
    let newest =
        |client: &fumehood_tests::Client| client.get("/api/v1/audit?limit=1").expect(200).json()["entries"][0].clone();
    let mut last = newest(&client)["index"].as_u64().unwrap();
    let id = client.incident("Recorded");
    let path = format!("/api/v1/incidents/{id}");
    let log = client.upload(&id, "a.log", b"from jane.roe@customer-mail.example\n").expect(201).json();
    let decide = format!("/api/v1/logs/{}/decisions", log["id"].as_str().unwrap());
    let changes: [(&str, String, Value); 5] = [
        ("PATCH", path.clone(), json!({"version": 1, "severity": "low"})),
        ("PUT", format!("{path}/sash"), json!({"lowered": true})),
        ("POST", decide, json!({"type": "EMAIL", "verdict": "accepted"})),
        ("POST", format!("{path}/whys"), json!({"question": "Why?"})),
        ("PUT", format!("{path}/document"), json!({"title": "t", "markdown": "m", "version": 0})),
    ];
    for (method, path, body) in &changes {
        client.send(method, path, body).ok();
        let entry = newest(&client);
        let index = entry["index"].as_u64().unwrap();
        assert!(index > last, "{method} {path} left no entry");
        assert!(entry["actor"].as_str().is_some_and(|actor| !actor.is_empty()), "{entry}");
        last = index;
    }
    // Reading leaves none, and the numbers have no gap.
    client.get(&path).ok();
    assert_eq!(newest(&client)["index"].as_u64().unwrap(), last);
    let entries = client.get("/api/v1/audit?limit=500").json()["entries"].clone();
    let indexes: Vec<u64> = entries.as_array().unwrap().iter().map(|entry| entry["index"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (0..=last).rev().take(indexes.len()).collect();
    assert_eq!(indexes, expected);
    let text = entries.to_string();
    assert!(!text.contains("jane.roe@customer-mail.example"), "the record holds a value that was to be masked");
}
