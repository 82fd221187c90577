//! What each role may do over the API, read off the list of operations: an operation that is not in the table fails.
//! What only a person may do (set up what is reached) is refused to every token, the administrator's too.

use fumehood_tests::{Data, Person};
use serde_json::Value;

use crate::api::{NOTHING, operations};

const EVERYBODY: &[&str] = &["viewer", "responder", "operator", "security", "admin"];

/// Whether `role` gets past the check for an operation; nothing where the operation is not known here.
///
/// The table is about refusal only: an operation that is let through may still answer 404 or 422.
fn may(role: &str, method: &str, path: &str) -> Option<bool> {
    let path: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').filter(|part| part.len() != 36).collect();
    let among = |roles: &[&str]| Some(role == "admin" || roles.contains(&role));
    match (method, path.as_slice()) {
        ("GET", ["incidents" | "logs", ..]) => among(EVERYBODY),
        ("GET", ["model" | "servers" | "plugins"]) => among(EVERYBODY),
        (_, ["incidents" | "logs", ..]) => among(&["responder"]),
        ("PUT", ["model"]) | ("POST" | "DELETE", ["servers", ..]) => Some(false),
        ("GET", ["audit", ..]) => among(&["security"]),
        _ => None,
    }
}

#[test]
fn every_operation_is_tried_as_every_role() {
    let data = Data::prepared();
    let server = data.start();
    let admin = server.client(&data.token("admin"));
    let document = admin.get("/api/v1/openapi.json").expect(200).json();
    // Objects that are there, so that it is the role which decides.
    let incident = admin.incident("Tried by everybody");
    let log = admin.upload(&incident, "a.log", b"from jane.roe@customer-mail.example\n").expect(201).json();
    let log = log["id"].as_str().unwrap();
    let mut wrong = Vec::new();
    for role in EVERYBODY {
        let client = server.client(&data.token(role));
        for (method, path) in operations(&document) {
            if path == "/health" {
                continue;
            }
            let Some(allowed) = may(role, &method, &path) else { panic!("{method} {path} is in no table of roles") };
            let there = path.replacen(NOTHING, if path.contains("/logs/") { log } else { &incident }, 1);
            let there = if there.ends_with("/logs") { format!("{there}?name=b.log") } else { there };
            let answer = client.send(&method, &there, &example(&method, &path));
            if allowed == (answer.status == 403) {
                wrong.push(format!(
                    "{role}: {method} {path} gave {}, allowed: {allowed}: {}",
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A body that is valid, so that the role is what is judged.
fn example(method: &str, path: &str) -> Value {
    let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split('/').filter(|part| part.len() != 36).collect();
    match (method, parts.as_slice()) {
        ("GET" | "DELETE", _) => Value::Null,
        ("POST", ["incidents"]) => fumehood_tests::client::incident("As a role"),
        ("PATCH", _) => serde_json::json!({"version": 1, "title": "x"}),
        (_, [.., "sash"]) => serde_json::json!({"lowered": true}),
        (_, [.., "decisions"]) => serde_json::json!({"type": "EMAIL", "verdict": "accepted"}),
        (_, [.., "turns"]) => serde_json::json!({"text": "why?"}),
        (_, [.., "whys"]) => serde_json::json!({"question": "why?"}),
        (_, [.., "document"]) => serde_json::json!({"title": "t", "markdown": "m", "version": 0}),
        (_, [.., "generate"]) => serde_json::json!({"version": 0}),
        (_, [.., "publish"]) => serde_json::json!({}),
        (_, ["model"]) => {
            serde_json::json!({"base_url": "http://127.0.0.1:9/v1", "model": "plain"})
        }
        (_, ["servers"]) => {
            serde_json::json!({"name": "x", "transport": "stdio", "command": "/bin/cat"})
        }
        _ => Value::Null,
    }
}

#[test]
fn a_role_holds_for_the_command_line_as_well() {
    let data = Data::prepared();
    let server = data.start();
    let viewer = server.client(&data.token("viewer"));
    viewer.send("POST", "/api/v1/incidents", &fumehood_tests::client::incident("No")).problem(403);
    assert_eq!(viewer.get("/api/v1/incidents").json()["total"], 0);
    for role in ["responder", "operator", "security", "admin"] {
        server.client(&data.token(role)).get("/api/v1/incidents").expect(200);
    }
}

/// The pages, read off the table of routes: a route that is in no table of roles fails.
fn pages() -> Vec<(&'static str, &'static str)> {
    let source = include_str!("../../../../web/src/html/mod.rs");
    let mut found = Vec::new();
    for route in source.split(".route(\"").skip(1) {
        let (path, rest) = route.split_once('"').unwrap();
        let handlers = rest.split('\n').next().unwrap();
        for (word, method) in [("get(", "GET"), ("post(", "POST")] {
            if handlers.contains(word) {
                found.push((method, path));
            }
        }
    }
    // Its path is the use case's to know, for it is told to others.
    found.push(("GET", "/oauth/callback"));
    assert!(found.len() > 60, "the table of routes is read: {found:?}");
    found
}

/// Who gets past the check for a page; nothing where the page is not known here.
fn may_page(method: &str, path: &str) -> Option<&'static [&'static str]> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    Some(match (method, parts.as_slice()) {
        ("GET", ["oauth", "callback"]) => EVERYBODY,
        ("GET", ["incidents", "{id}", "rules"]) => &["responder"],
        ("GET", ["incidents", "new"] | ["incidents", "{id}", "questions" | "prompts", ..]) => &["responder"],
        ("GET", ["" | "incidents" | "plugins" | "integrations" | "keyboard" | "palette" | "account", ..]) => EVERYBODY,
        ("GET" | "POST", ["servers", "waiting", ..]) => &["responder"],
        ("GET", ["servers", "new"] | ["servers", "{id}", "edit" | "log"]) => &["operator"],
        ("GET", ["servers", "calls" | "sessions" | "clients", ..]) => &["operator"],
        ("GET", ["servers", ..] | ["settings"] | ["settings", "models", ..]) => EVERYBODY,
        ("GET" | "POST", ["audit", ..]) => &["security"],
        ("GET", ["settings", "detection"]) | ("POST", ["settings", "detection", "try"]) => &["responder", "security"],
        ("POST", ["settings", "detection", ..]) => &["security"],
        ("GET" | "POST", ["settings", "people" | "tokens", ..]) => &[],
        ("POST", ["settings" | "servers" | "integrations", ..]) => &["operator"],
        ("POST", ["plugins", "stop" | "resume"]) => &["operator", "security"],
        ("POST", ["plugins", "{name}", "approve" | "grant" | "allow"]) => &["security"],
        ("POST", ["plugins", ..]) => &["operator"],
        ("POST", ["incidents", "{id}", "document", "preview"] | ["account"]) => EVERYBODY,
        ("POST", ["incidents", "{id}", "budget"]) => &["operator"],
        ("POST", ["incidents", ..]) => &["responder"],
        _ => return None,
    })
}

/// Fields of every form at once, so that it is the role which decides.
const FIELDS: &[(&str, &str)] = &[
    ("title", "t"),
    ("severity", "low"),
    ("status", "open"),
    ("version", "1"),
    ("to", "raised"),
    ("text", "why?"),
    ("verdict", "accepted"),
    ("kind", "EMAIL"),
    ("label", "[EMAIL-1]"),
    ("question", "why?"),
    ("markdown", "m"),
    ("name", "n"),
    ("role", "viewer"),
    ("note", ""),
    ("base_url", "http://127.0.0.1:9/v1"),
    ("model", "m"),
    ("target", "plugin:nothing-of-this-name"),
    ("digest", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("enabled", "no"),
    ("sha256", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("attempt", ""),
    ("remedy", ""),
    ("up", "1"),
];

#[test]
fn every_page_is_tried_as_every_role() {
    let data = Data::prepared();
    let server = data.start();
    let admin = Person::first(&server);
    let client = server.client(&data.token("admin"));
    let mut wrong = Vec::new();
    for role in EVERYBODY {
        let invited = admin.submit("/settings/people/invite", &[("note", ""), ("role", role)]).text();
        let link = invited.split("data-copy=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        let person = Person::join(&server, &link, role, &format!("as-{role}@ops.example"));
        let incident = client.incident("Tried by everybody");
        let log = client.upload(&incident, "a.log", b"from jane.roe@customer-mail.example\n").expect(201).json();
        let log = log["id"].as_str().unwrap();
        for (method, path) in pages() {
            if path.starts_with("/sign-") || path.ends_with("/stream") {
                continue;
            }
            let Some(roles) = may_page(method, path) else { panic!("{method} {path} is in no table of roles") };
            let allowed = *role == "admin" || roles.contains(role);
            let there = path.replacen("{id}", if path.starts_with("/incidents") { &incident } else { NOTHING }, 1);
            let there = there.replace("{name}", "scanner-pii").replace("{log}", log).replace("{finding}", "EMAIL-5-35");
            let there: String = there
                .split('/')
                .map(|part| if part.starts_with('{') { NOTHING } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let answer = if method == "GET" { person.get(&there) } else { person.post(&there, FIELDS) };
            // What is not there is not told from what one may not do.
            let refused = matches!(answer.status, 403 | 404 | 415 | 400);
            if allowed && answer.status == 403 || !allowed && !refused || answer.status >= 500 {
                wrong.push(format!("{role}: {method} {there} gave {}, allowed: {allowed}", answer.status));
            }
        }
    }
    let stranger = Person::stranger(&server);
    for (method, path) in pages().into_iter().filter(|(_, path)| !path.starts_with("/sign-") && *path != "/") {
        let there: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { NOTHING } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let answer = if method == "GET" { stranger.get(&there) } else { stranger.post(&there, FIELDS) };
        let to_sign_in = answer.status == 303 && answer.header("location").starts_with("/sign-in");
        if !to_sign_in && answer.status != 401 {
            wrong.push(format!("a stranger: {method} {there} gave {}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
