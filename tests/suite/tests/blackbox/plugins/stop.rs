//! The kill switch, and who may do what.

use std::process::Stdio;
use std::time::{Duration, Instant};

use fumehood_tests::Person;
use fumehood_tests::server::text;

use super::{House, example, scanner_manifest};

#[test]
fn a_stopped_scanner_lets_nothing_in_and_stays_stopped_over_a_start() {
    let Some(component) = example("a_stopped_scanner", "rust-scanner") else { return };
    let house = House::new();
    house.ok(&["install", &house.packed(&component, &scanner_manifest("1.0.0", "example"))]);
    house.ok(&["approve", "rust-scanner", "--all"]);
    for (target, switch) in
        [("rust-scanner", "plugin:rust-scanner"), ("publisher:example", "publisher:example"), ("all", "all")]
    {
        let began = Instant::now();
        house.ok(&["stop", target, "--reason", "it looks odd"]);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let refused = house.masked("EMP-123456\n").unwrap_err();
        assert!(
            refused.contains(&format!("is stopped by the kill switch `{switch}` (it looks odd). Nothing was done.")),
            "{refused}"
        );
        if target == "all" {
            break;
        }
        house.ok(&["resume", target]);
        assert!(house.masked("EMP-123456\n").unwrap().starts_with("[EMPLOYEE_ID-1]"));
    }
    let House { data, server, .. } = house;
    assert!(server.stop().success());
    let server = data.start();
    let client = server.client(&data.token("admin"));
    let incident = client.incident("Later");
    let answer = client.upload(&incident, "a.log", b"x\n");
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(answer.text().contains("kill switch `all`"), "{}", answer.text());
}

#[test]
fn a_stop_that_meets_a_resume_is_either_thrown_or_not() {
    let House { data, mut server, .. } = House::new();
    let thrown = || text(&data.run(&["plugin", "list"]).stdout).contains("kill switch thrown: plugin:scanner-pii");
    for _ in 0..8 {
        assert!(data.run(&["plugin", "stop", "scanner-pii"]).status.success());
        let both = ["resume", "stop"].map(|what| {
            let mut command = data.command(&["plugin", what, "scanner-pii"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        for mut child in both {
            child.wait().unwrap();
        }
        // What holds is what is written down: after a start it is the same.
        let before = thrown();
        assert!(server.stop().success());
        server = data.start();
        assert_eq!(thrown(), before);
    }
}

#[test]
fn no_token_installs_grants_or_resumes() {
    let house = House::new();
    // The API has no operation that would: all that speaks of plugins reads.
    let document = house.client.get("/api/v1/openapi.json").expect(200).json();
    let operations = document["paths"].as_object().unwrap();
    let plugins: Vec<&String> = operations.keys().filter(|path| path.contains("plugin")).collect();
    assert_eq!(plugins, ["/plugins"]);
    assert_eq!(operations["/plugins"].as_object().unwrap().keys().collect::<Vec<_>>(), ["get"]);
    // The pages are for sessions: a token there is nobody.
    for path in
        ["/plugins", "/plugins/stop", "/plugins/resume", "/plugins/scanner-pii/grant", "/plugins/scanner-pii/approve"]
    {
        let answer = house.client.send("POST", path, &serde_json::json!({ "target": "all" }));
        assert!(matches!(answer.status, 401 | 403 | 415 | 303), "{path}: {}", answer.status);
    }
    assert!(!house.ok(&["list"]).contains("kill switch"));
}

#[test]
fn a_grant_is_decided_by_security_and_an_installation_by_operators() {
    let Some(component) = example("a_grant_is_decided", "rust-integration") else { return };
    let house = House::new();
    let manifest = "name = \"desk\"\nversion = \"1.0.0\"\npublisher = \"example\"\nworld = \"integration\"\n\
                    description = \"Desk\"\n[[http]]\nreason = \"Tickets\"\nhost = \"*.example.com\"\nmethods = [\"GET\"]\n";
    let said = house.ok(&["install", &house.packed(&component, manifest)]);
    let digest = said.split("sha256:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let admin = Person::first(&house.server);
    let join = |role: &str| {
        let invited = admin.submit("/settings/people/invite", &[("note", ""), ("role", role)]).text();
        let link = invited.split("data-copy=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        Person::join(&house.server, &link, role, &format!("{role}@ops.example"))
    };
    let (operator, security) = (join("operator"), join("security"));
    let approval =
        [("digest", digest.as_str()), ("ask-1", "on"), ("ask-1-host", "desk.example.com"), ("ask-1-methods", "GET")];
    assert_eq!(operator.post("/plugins/desk/approve", &approval).status, 403);
    let wider =
        [("digest", digest.as_str()), ("ask-1", "on"), ("ask-1-host", "*.com.example"), ("ask-1-methods", "GET")];
    let answer = security.post("/plugins/desk/approve", &wider);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("goes further than it asks for"), "{}", answer.text());
    assert!(answer.text().contains("*.com.example"), "what was typed stays");
    assert_eq!(security.post("/plugins/desk/approve", &approval).status, 303);
    let page = security.get("/plugins/desk").expect(200).text();
    assert!(page.contains("https://desk.example.com/"), "{page}");
    assert_eq!(security.post("/plugins/desk/rollback", &[]).status, 403);
    assert_eq!(operator.post("/plugins/desk/grant", &approval).status, 403);
    assert_eq!(operator.post("/plugins/stop", &[("target", "plugin:desk"), ("reason", "")]).status, 303);
    assert_eq!(security.post("/plugins/resume", &[("target", "plugin:desk")]).status, 303);
    let entries = house.audit("plugin.approve");
    let text = entries[0].to_string();
    assert!(text.contains("may GET to https://desk.example.com/"), "the record says what was granted: {text}");
}
