//! Plugins that were brought in, at work: chosen in the settings, asked by people, held by their grants.

use fumehood_tests::Person;
use fumehood_tests::fakes::{Fake, node, program};
use fumehood_tests::machine::{skip, wait_for};
use serde_json::{Value, json};

use super::{House, built, example};

/// A house with a publisher's integration that runs and is set up at a fake Desk; nothing where either is missing.
fn desk(test: &str, language: &str, more: &str) -> Option<(House, Person, Fake, String)> {
    let name = format!("{language}-integration");
    let component = example(test, &name)?;
    let Some(desk) = Fake::start("desk.mjs") else {
        skip(test, "there is no Node.js for the fakes");
        return None;
    };
    let house = House::new();
    let person = Person::first(&house.server);
    let manifest = format!(
        "name = \"{name}\"\nversion = \"1.0.0\"\npublisher = \"example\"\nworld = \"integration\"\ndescription = \"Desk\"\n\
         [[http]]\nreason = \"Tickets\"\nsetting = \"base-url\"\nmethods = [\"GET\", \"POST\"]\n{more}\
         [kv]\nbytes = 65536\nreason = \"Remembers\"\n[[setting]]\nkey = \"team\"\nlabel = \"Team\"\n"
    );
    house.ok(&["install", &house.packed(&component, &manifest)]);
    house.ok(&["approve", &name, "--all"]);
    let base = format!("{}/api", desk.url());
    let fields = |token| [("base_url", base.as_str()), ("token", token), ("project", "OPS"), ("s-team", "ops")];
    let path = format!("/integrations/{name}");
    let refused = person.post(&path, &fields("desk-token")[..3]);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("Team: this has to be filled in."), "{}", refused.text());
    person.submit(&path, &fields("desk-token"));
    Some((house, person, desk, name))
}

fn document(house: &House, person: &Person) -> String {
    let incident = house.client.incident("Checkout is down");
    let fields = [("title", "Post-mortem"), ("markdown", "# It broke\n\nana@ops.example saw it."), ("version", "0")];
    person.submit(&format!("/incidents/{incident}/document"), &fields);
    incident
}

/// The integration that the page of the document offers.
fn target(person: &Person, incident: &str) -> String {
    let page = person.get(&format!("/incidents/{incident}/document")).expect(200).text();
    page.split("publish\" name=\"to\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn publishes(language: &str) {
    let Some((house, person, desk, name)) = desk(&format!("publishes_with_{language}"), language, "") else { return };
    let tested = person.submit(&format!("/integrations/{name}/test"), &[]).text();
    assert!(tested.contains("Signed in as Ana at Desk.") && tested.contains("Operations"), "{tested}");
    let incident = document(&house, &person);
    let path = format!("/api/v1/incidents/{incident}/document/publish");
    // Nobody said where to: nowhere that was not named.
    let unnamed = house.client.send("POST", &path, &json!({})).expect(409);
    assert!(unnamed.text().contains("Say where to publish"), "{}", unnamed.text());
    for to in [Some(target(&person, &incident)), None] {
        let published = house.client.send("POST", &path, &json!({ "to": to }));
        assert_eq!(published.expect(200).json()["state"], "published");
    }
    let tickets = desk.control("tickets", &Value::Null);
    assert_eq!(tickets.as_array().unwrap().len(), 1, "exactly once: {tickets}");
    assert!(tickets[0]["body"].as_str().unwrap().contains("[EMAIL-1] saw it."), "{tickets}");
    let page = person.get(&format!("/incidents/{incident}/document")).expect(200).text();
    assert!(page.contains(&format!("Update {name} / OPS")) || page.contains("Update OPS"), "{page}");
    // What it did is on record, each effect with the digest and the grant.
    let call = house.audit("plugin.call");
    assert!(call.iter().any(|one| one["target"] == format!("plugin:{name}")), "{call:?}");
    let kept = house.audit("effect.kv").iter().any(|one| one.to_string().contains(&name));
    assert!(kept || language != "rust", "what it keeps is on record");
    // In use: it is not removed under an integration that is set up.
    assert!(house.refused(&["remove", &name]).contains("is in use by"));
}

#[test]
fn an_integration_in_rust_publishes_exactly_once() {
    publishes("rust");
}

#[test]
fn an_integration_in_python_publishes_exactly_once() {
    publishes("python");
}

#[test]
fn an_integration_in_javascript_publishes_exactly_once() {
    publishes("javascript");
}

#[test]
fn a_ceilings_hour_holds_over_all_rules_and_over_a_kill() {
    let Some((house, person, desk, name)) = desk("a_ceilings_hour", "rust", "") else { return };
    let test = |person: &Person| person.post(&format!("/integrations/{name}/test"), &[]).text();
    assert!(test(&person).contains("Signed in as Ana"));
    let keys = std::fs::read_to_string(house.data.path().join("policy.toml")).unwrap();
    // Room for one more test, and not for two; of answers there is enough.
    house.policy(&format!("[[all.http]]\nallow-private = [\"127.0.0.0/8\"]\nmax-request-bytes-per-hour = 500\n{keys}"));
    let shown = house.ok(&["show", &name]);
    assert!(shown.contains("the ceiling leaves: only what it may send anything to any host"), "{shown}");
    let mut said = String::new();
    for _ in 0..8 {
        said = test(&person);
        if !said.contains("Signed in as Ana") {
            break;
        }
    }
    let spent = "has used up the 500 bytes that the organisation’s ceiling has for an hour";
    let plain = |text: &str| text.replace("&#39;", "’").replace('\'', "’").replace("&#x27;", "’");
    assert!(plain(&said).contains(spent), "{said}");
    let asked = desk.received().len();
    // Killed without a word: the hour is not given back.
    let House { data, server, .. } = house;
    server.kill();
    let server = data.start();
    let person = person.moved_to(&server);
    let said = test(&person);
    assert!(plain(&said).contains(spent), "{said}");
    assert_eq!(desk.received().len(), asked, "nothing more left");
    let shown = fumehood_tests::server::text(&data.run(&["plugin", "show", &name]).stdout);
    assert!(shown.contains("refused") && shown.contains("ceiling"), "{shown}");
}

#[test]
fn a_ceiling_is_named_where_it_is_what_stands_in_the_way() {
    let Some((house, person, _desk, name)) = desk("a_ceiling_is_named", "rust", "") else { return };
    let keys = std::fs::read_to_string(house.data.path().join("policy.toml")).unwrap();
    let test = || {
        let text = person.post(&format!("/integrations/{name}/test"), &[]).text();
        text.replace("&#39;", "'").replace("&#x27;", "'")
    };
    let by_ceiling = "this is granted, but the organisation's ceiling does not allow it";
    for ceiling in [
        "http = []",
        "credentials = []",
        // The address is a private one, which the ceiling's rule does not name.
        "http = [{ methods = [\"GET\", \"POST\"] }]",
    ] {
        house.policy(&format!("[all]\n{ceiling}\n{keys}"));
        let said = test();
        assert!(said.contains(by_ceiling), "{ceiling}: {said}");
    }
    // A key that cannot be read is a mistake in the policy, and nothing of it comes into force.
    let path = house.data.path().join("policy.toml");
    std::fs::write(&path, "[publishers.example]\nkeys = [\"ed25519:AAAA\"]\n").unwrap();
    wait_for("the mistake to be seen", std::time::Duration::from_secs(10), || {
        house.ok(&["list"]).contains("a key of the publisher `example` in policy.toml cannot be read").then_some(())
    });
    assert!(test().contains(by_ceiling), "what was in force stays in force");
}

#[test]
fn who_decides_on_what_is_not_there_any_more_is_shown_what_is() {
    let Some((house, person, _desk, name)) = desk("who_decides", "rust", "") else { return };
    let shown = house.ok(&["show", &name]);
    let digest = shown.split("sha256:").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let page = person.get(&format!("/plugins/{name}")).expect(200).text();
    let generation = page.split("name=\"generation\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = |generation: &str| {
        let fields =
            [("digest", digest.as_str()), ("generation", generation), ("ask-1", "on"), ("ask-1-methods", "GET")];
        person.post(&format!("/plugins/{name}/grant"), &fields)
    };
    // Somebody else takes all of it away; the page that was open before cannot bring it back.
    house.ok(&["grant", &name, "--nothing"]);
    let stale = form(&generation);
    assert_eq!(stale.status, 409);
    assert!(stale.text().contains("The grant was changed meanwhile. Nothing was saved"), "{}", stale.text());
    assert!(house.ok(&["show", &name]).contains("  1  -"), "nothing is granted");
    let page = person.get(&format!("/plugins/{name}")).expect(200).text();
    let now = page.split("name=\"generation\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(form(&now).status, 303);
    // A file that was made from an older grant is not taken either.
    let grant = house.ok(&["show", &name, "--grant"]);
    let file = house.data.beside("grant.json");
    std::fs::write(&file, grant).unwrap();
    house.ok(&["grant", &name, "--nothing"]);
    let error = house.refused(&["grant", &name, "--grant", &file.display().to_string()]);
    assert!(error.contains("The grant was changed meanwhile"), "{error}");
}

#[test]
fn a_provider_that_was_installed_answers_and_stops() {
    let test = "a_provider_that_was_installed";
    let Some(component) = built(test, "provider_openai") else { return };
    let Some(model) = Fake::start("model.mjs") else { return skip(test, "there is no Node.js for the fakes") };
    let house = House::new();
    let person = Person::first(&house.server);
    let manifest = "name = \"acme-provider\"\nversion = \"1.0.0\"\npublisher = \"example\"\nworld = \"provider\"\n\
                    description = \"Ours\"\n[[http]]\nreason = \"Asks\"\nsetting = \"base-url\"\nmethods = [\"GET\", \"POST\"]\n\
                    [[setting]]\nkey = \"tier\"\nlabel = \"Tier\"\noptional = true\n";
    house.ok(&["install", &house.packed(&component, manifest)]);
    let base = format!("{}/v1", model.url());
    let fields =
        [("plugin", "acme-provider"), ("base_url", base.as_str()), ("model", "plain"), ("api_key", "sk-fake-key")];
    let early = person.post("/settings/models", &fields);
    assert_eq!(early.status, 422);
    assert!(early.text().contains("There is no provider acme-provider that runs."), "{}", early.text());
    house.ok(&["approve", "acme-provider", "--all"]);
    assert!(person.get("/settings/models/new?plugin=acme-provider").expect(200).text().contains("Tier"));
    let saved = person.post("/settings/models", &fields);
    assert_eq!(saved.status, 303, "{}", saved.text());
    let test = format!("{}/test", saved.header("location"));
    assert!(person.post(&test, &[]).expect(200).text().contains("Works"));
    let incident = house.client.incident("Asked");
    let turns = format!("/api/v1/incidents/{incident}/turns");
    house.client.send("POST", &turns, &json!({ "text": "What broke?" })).expect(202);
    let settled = || {
        wait_for("the end of the turn", std::time::Duration::from_secs(60), || {
            let turn = house.client.get(&turns).expect(200).json().as_array()?.last()?.clone();
            (turn["state"] != "running").then_some(turn)
        })
    };
    assert_eq!(settled()["state"], "done", "{}", settled());
    let departed = house
        .audit("departure")
        .iter()
        .chain(&house.audit("effect.http"))
        .any(|one| one.to_string().contains("acme-provider"));
    assert!(departed || house.audit("plugin.call").iter().any(|one| one["target"] == "plugin:acme-provider"));
    house.ok(&["stop", "acme-provider"]);
    house.client.send("POST", &turns, &json!({ "text": "And now?" })).expect(202);
    let turn = settled();
    assert_eq!(turn["state"], "failed");
    assert!(turn.to_string().contains("is stopped by the kill switch `plugin:acme-provider`"), "{turn}");
    assert!(house.refused(&["remove", "acme-provider"]).contains("is in use by"));
}

#[test]
fn a_transport_that_was_installed_reaches_a_server() {
    let test = "a_transport_that_was_installed";
    let Some(component) = built(test, "transport_stdio") else { return };
    let Some(node) = node() else { return skip(test, "there is no Node.js for the fakes") };
    let house = House::new();
    let person = Person::first(&house.server);
    let manifest = "name = \"acme-stdio\"\nversion = \"1.0.0\"\npublisher = \"example\"\nworld = \"transport\"\n\
                    description = \"Ours\"\n[[process]]\nreason = \"Starts the server\"\nsetting = \"command\"\n";
    house.ok(&["install", &house.packed(&component, manifest)]);
    house.ok(&["approve", "acme-stdio", "--all"]);
    let journal = house.data.beside("journal").display().to_string();
    let arguments = format!("{}\nok\n{journal}", program("mcp-stdio.mjs").display());
    let node = node.display().to_string();
    let fields = |transport: &'static str| {
        [
            ("name", "acme"),
            ("transport", transport),
            ("plugin", "acme-stdio"),
            ("command", node.as_str()),
            ("arguments", arguments.as_str()),
            ("url", "https://mcp.example.com/"),
        ]
    };
    let wrong = person.post("/servers", &fields("http"));
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("acme-stdio asks for stdio only"), "{}", wrong.text());
    person.submit("/servers", &fields("stdio"));
    let server = wait_for("the discovery", std::time::Duration::from_secs(60), || {
        let all = house.client.get("/api/v1/servers").expect(200).json();
        all.as_array()?.iter().find(|one| one["state"] != "pending").cloned()
    });
    assert_eq!(server["state"], "connected", "{server}");
    let started = house.audit("effect.process");
    let text = started
        .iter()
        .map(Value::to_string)
        .find(|one| one.contains("acme-stdio") && one.contains("\"phase\":\"intent\""))
        .expect("its start is on record");
    assert!(text.contains("sha256"), "with the hash of its arguments: {text}");
    // A pinned digest: the program that is there is another one.
    let digest = house.ok(&["show", "acme-stdio"]);
    let digest = digest.split("sha256:").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let grant = json!({
        "plugin": "acme-stdio", "digest": digest, "generation": 1,
        "processes": [{ "path": node, "digest": "00".repeat(32), "arguments": "free" }],
    });
    let file = house.data.beside("grant.json");
    std::fs::write(&file, grant.to_string()).unwrap();
    house.ok(&["grant", "acme-stdio", "--grant", &file.display().to_string()]);
    let id = server["id"].as_str().unwrap();
    person.submit(&format!("/servers/{id}/reconnect"), &[]);
    let after = wait_for("the refusal", std::time::Duration::from_secs(60), || {
        let all = house.client.get("/api/v1/servers").expect(200).json();
        all.as_array()?.iter().find(|one| one["state"] != "pending" && one["state"] != "connected").cloned()
    });
    assert!(after["reason"].as_str().unwrap().contains("tried to start"), "{after}");
    assert!(!house.audit("effect.denied").is_empty());
}

#[test]
fn what_was_turned_down_does_not_come_back_by_the_folder() {
    let Some(component) = example("what_was_turned_down", "rust-scanner") else { return };
    let house = House::new();
    let folder = house.data.path().join("plugins");
    std::fs::create_dir_all(&folder).unwrap();
    let packed = house.packed(&component, &super::scanner_manifest("1.0.0", "example"));
    std::fs::copy(format!("{packed}.sig"), folder.join("s.wasm.sig")).unwrap();
    std::fs::copy(&packed, folder.join("s.wasm")).unwrap();
    let wait = |data: &fumehood_tests::Data, what: &str, said: &str| {
        wait_for(what, std::time::Duration::from_secs(30), || {
            fumehood_tests::server::text(&data.run(&["plugin", "list"]).stdout).contains(said).then_some(())
        });
    };
    wait(&house.data, "the component to be taken in", "rust-scanner               1.0.0");
    assert!(house.refused(&["approve", "rust-scanner@", "--all"]).contains("at least eight digits"));
    house.ok(&["refuse", "rust-scanner"]);
    let House { data, server, .. } = house;
    assert!(server.stop().success());
    let server = data.start();
    wait(&data, "the file to be seen", "s.wasm: it was turned down");
    let client = server.client(&data.token("admin"));
    let refusals = client.get("/api/v1/audit?action=plugin.install&limit=200").expect(200).json();
    let refusals = refusals["entries"].as_array().unwrap().iter().filter(|one| one["result"] == "refused").count();
    assert_eq!(refusals, 0, "nothing is on record as refused that was only seen again");
    // Whoever wants it after all says so, and it waits for another look.
    let again = data.run(&["plugin", "install", &packed]);
    assert!(fumehood_tests::server::text(&again.stdout).contains("waits for an approval"));
}

#[test]
fn a_scanner_is_not_run_at_its_installation_while_all_are_stopped() {
    let Some(component) = example("a_scanner_is_not_run", "rust-scanner") else { return };
    let house = House::new();
    house.ok(&["stop", "all"]);
    let packed = house.packed(&component, &super::scanner_manifest("1.0.0", "example"));
    let error = house.refused(&["install", &packed]);
    assert!(error.contains("is stopped by the kill switch `all`. Put that back first."), "{error}");
    house.ok(&["resume", "all"]);
    house.ok(&["install", &packed]);
    assert_eq!(house.audit("plugin.ask").len(), 2, "that it was asked is on record, before and after");
    house.ok(&["approve", "rust-scanner", "--all"]);
    house.ok(&["install", &house.packed(&component, &super::scanner_manifest("1.0.1", "example"))]);
    assert!(house.ok(&["show", "rust-scanner"]).starts_with("rust-scanner 1.0.1"));
    // Going back needs nothing to be run: it was prepared before.
    house.ok(&["stop", "rust-scanner"]);
    assert!(house.ok(&["rollback", "rust-scanner"]).contains("1.0.0 runs again"));
    assert!(house.ok(&["show", "rust-scanner"]).contains("stopped"));
    house.ok(&["resume", "rust-scanner"]);
    assert_eq!(house.masked("EMP-123456\n").unwrap(), "[EMPLOYEE_ID-1]\n");
}

#[test]
fn what_was_recorded_is_a_case_for_the_authors_tests() {
    let Some((house, person, _desk, name)) = desk("what_was_recorded", "rust", "") else { return };
    assert!(person.submit(&format!("/integrations/{name}/test"), &[]).text().contains("Signed in as Ana"));
    let incident = document(&house, &person);
    let publish = format!("/api/v1/incidents/{incident}/document/publish");
    house.client.send("POST", &publish, &json!({ "to": target(&person, &incident) })).expect(200);
    // An author's folder, with what was recorded as its only tests.
    let project = house.data.beside("project");
    let example = fumehood_tests::machine::root().join(format!("plugins/examples/{name}"));
    for folder in ["dist", "tests"] {
        std::fs::create_dir_all(project.join(folder)).unwrap();
    }
    for file in ["fumehood.toml".to_owned(), format!("dist/{name}.wasm")] {
        std::fs::copy(example.join(&file), project.join(&file)).unwrap();
    }
    let functions = ["test-connection", "list-projects", "publish-document"];
    let recorded = wait_for("the calls' ends", std::time::Duration::from_secs(10), || {
        let listed = house.ok(&["recording", &name]);
        functions.iter().all(|function| listed.contains(function)).then_some(listed)
    });
    for function in functions {
        let line = recorded.lines().find(|line| line.contains(function)).unwrap();
        let call = line.split_whitespace().next().unwrap();
        let case = house.ok(&["recording", &name, call]);
        assert!(!case.contains("desk-token") && case.contains("(credential)"), "{case}");
        assert!(!case.contains("ana@ops.example"), "what left was masked: {case}");
        assert!(!case.contains("session-of-the-service"), "a session is left out: {case}");
        std::fs::write(project.join(format!("tests/{function}.toml")), case).unwrap();
    }
    let project = project.display().to_string();
    let said = house.ok(&["test", &project]);
    assert!(said.contains("3 passed, 0 failed"), "{said}");
    assert_eq!(house.audit("plugin.recording").len(), 3, "that it was read is on record");
    let unknown = house.refused(&["recording", &name, "999999"]);
    assert!(unknown.contains("call of this plugin"), "{unknown}");
}
