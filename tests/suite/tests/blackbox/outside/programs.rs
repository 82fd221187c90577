//! Programs of servers over stdio: started only while they hold what a person has approved; servers switched off and on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::caller::Caller;
use super::servers::running;
use super::*;

/// A server that is a script of its own.
fn script(bench: &Bench, words: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let (path, journal) = (bench.data.beside("server"), bench.data.beside("journal"));
    let fake = program("mcp-stdio.mjs");
    let text = format!(
        "#!/bin/sh\n# {words}\nexec {} {} ok {}\n",
        node().unwrap().display(),
        fake.to_str().unwrap(),
        journal.to_str().unwrap()
    );
    write(&path, &text);
    (path, journal)
}

fn write(path: &Path, text: &str) {
    // As an update does it: another file of the same name.
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&next, path).unwrap();
}

fn starts(journal: &Path) -> usize {
    std::fs::read_to_string(journal).unwrap_or_default().matches("\"initialize\"").count()
}

/// What the page would approve.
fn offered(bench: &Bench, id: &str) -> Option<String> {
    let page = bench.person.get(&format!("/servers/{id}")).expect(200).text();
    let field = page.split("name=\"sha256\" value=\"").nth(1)?;
    Some(field.split('"').next()?.to_owned())
}

#[test]
fn a_program_that_was_exchanged_is_not_started_until_a_person_has_approved_it() {
    let Some(bench) = bench("pinned program") else { return };
    let (path, journal) = script(&bench, "one");
    let fields = json!({"name": "Pinned", "transport": "stdio", "command": path});
    let id = bench.add_server(&fields);
    let server = bench.discovered(&id);
    assert_eq!(server["state"], "connected", "{server}");
    bench.decide(&id, "allow", |_| true);
    assert_eq!(offered(&bench, &id), None, "there is nothing to approve");
    let caller = Caller::new(&bench.server, "/mcp/pinned", &bench.data.token("responder"), true);
    assert!(caller.call("echo", &json!({"text": "x"}))["result"].is_object());

    script(&bench, "two");
    let before = starts(&journal);
    bench.person.submit(&format!("/servers/{id}/reconnect"), &[]);
    let server = bench.discovered(&id);
    assert_eq!(server["state"], "changed", "{server}");
    // A caller without a connection gets none, and is told why.
    let other = Caller::new(&bench.server, "/mcp/pinned", &bench.data.token("responder"), true);
    let answer = other.call("echo", &json!({"text": "x"}));
    let said = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(said.contains("is not the one that was approved"), "{said}");
    assert_eq!(starts(&journal), before, "it was started");
    // The edit form does not approve it by the way.
    let form: Vec<(&str, &str)> =
        vec![("name", "Pinned"), ("transport", "stdio"), ("command", path.to_str().unwrap()), ("arguments", "")];
    bench.person.submit(&format!("/servers/{id}"), &form);
    assert_eq!(bench.discovered(&id)["state"], "changed");

    // It changes once more between the look and the decision.
    let seen = offered(&bench, &id).expect("the page offers what is there now");
    script(&bench, "three");
    let approve = format!("/servers/{id}/program");
    assert_eq!(bench.person.post(&approve, &[("sha256", &seen)]).status, 409);
    assert_eq!(starts(&journal), before, "it was started");
    let seen = offered(&bench, &id).unwrap();
    for role in ["viewer", "responder", "security"] {
        assert_eq!(bench.invited(role).post(&approve, &[("sha256", &seen)]).status, 403, "{role}");
    }
    bench.person.submit(&approve, &[("sha256", &seen)]);
    let server = bench.discovered(&id);
    assert_eq!((&server["state"], &server["tools"]), (&json!("connected"), &json!(2)), "{server}");
    assert!(starts(&journal) > before);
    let answer = other.call("echo", &json!({"text": "x"}));
    assert!(answer["result"].is_object(), "what was decided about its tools stays: {answer}");
    let decided = bench.audit("mcp-server.program");
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert!(decided[0].to_string().contains(&seen), "{decided:?}");
}

/// What took a program's place and is no file is not waited for, and holds nothing up.
#[test]
fn a_pipe_in_the_place_of_a_program_is_refused_at_once() {
    let Some(bench) = bench("pipe for a program") else { return };
    let (path, journal) = script(&bench, "one");
    let id = bench.add_server(&json!({"name": "Pinned", "transport": "stdio", "command": path}));
    assert_eq!(bench.discovered(&id)["state"], "connected");
    let before = starts(&journal);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    bench.person.submit(&format!("/servers/{id}/reconnect"), &[]);
    let server = bench.discovered(&id);
    assert_eq!(server["state"], "unreachable", "{server}");
    assert!(server["reason"].as_str().unwrap().contains("not a regular file"), "{server}");
    assert!(bench.person.get(&format!("/servers/{id}")).expect(200).text().contains("not a regular file"));
    assert_eq!(starts(&journal), before);
}

#[test]
fn a_program_changed_while_the_server_was_down_is_not_started() {
    let Some(bench) = bench("pinned at start") else { return };
    let (path, journal) = script(&bench, "one");
    let id = bench.add_server(&json!({"name": "Pinned", "transport": "stdio", "command": path}));
    assert_eq!(bench.discovered(&id)["state"], "connected");
    let before = starts(&journal);
    script(&bench, "two");
    let bench = bench.restarted();
    let server = wait_for("the look at the program", SETTLE, || {
        let server = bench.server(&id);
        (server["state"] == "changed").then_some(server)
    });
    assert!(server["reason"].as_str().unwrap().contains("Nothing was started"), "{server}");
    assert_eq!(starts(&journal), before);
}

#[test]
fn a_server_that_is_switched_off_is_not_offered_called_or_started() {
    let Some(bench) = bench("switched off") else { return };
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), true);
    assert!(caller.call("echo", &json!({"text": "x"}))["result"].is_object());
    bench.person.submit(&format!("/servers/{id}/enable"), &[("enabled", "no")]);
    let mark = journal.to_str().unwrap().to_owned();
    wait_for("the end of its program", SETTLE, || running(&mark).is_empty().then_some(()));
    let answer = caller.call("echo", &json!({"text": "x"}));
    assert!(answer["error"].is_object(), "{answer}");
    let all = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), true);
    assert!(all.tools().iter().all(|tool| tool.starts_with("fumehood_")), "{:?}", all.tools());
    assert_eq!(bench.person.post(&format!("/servers/{id}/reconnect"), &[]).status, 409);
    assert!(running(&mark).is_empty(), "it runs");
    let page = bench.person.get(&format!("/servers/{id}")).text();
    assert!(page.contains("Switched off") && page.contains("Switch on"), "{page}");
    bench.person.submit(&format!("/servers/{id}/enable"), &[("enabled", "yes")]);
    assert_eq!(bench.discovered(&id)["state"], "connected");
    assert!(caller.call("echo", &json!({"text": "x"}))["result"].is_object(), "what was decided stays");
}
