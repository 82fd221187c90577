//! What leaves and who answers: a server with the fake model beside it, and a search of every byte that left, was logged
//! or was stored for the values that were planted.

mod approvals;
mod asks;
mod caller;
mod conformance_client;
mod faults;
mod gateway;
mod kill_under_load;
mod leaks;
mod masking;
mod model;
mod pins;
mod programs;
mod providers;
mod questions;
mod real_servers;
mod replay;
mod servers;
mod sign_ins;
mod storms;
mod subscriptions;
mod traces;

use std::time::{Duration, Instant};

use fumehood_tests::fakes::{Fake, node, program};
use fumehood_tests::fixtures::contains;
use fumehood_tests::machine::{skip, snapshot, wait_for};
use fumehood_tests::{Client, Data, Launch, Person, Plants, Server};
use serde_json::{Value, json};

/// How long a turn or a discovery may take to come to a state that a person can act on.
const SETTLE: Duration = Duration::from_secs(90);

/// A server with the fake model beside it.
struct Bench {
    server: Server,
    client: Client,
    person: Person,
    model: Fake,
    data: Data,
}

/// A server with the fake model beside it; nothing without Node.js.
fn bench(test: &str) -> Option<Bench> {
    bench_with(test, &[])
}

/// The same, the server started with arguments.
fn bench_with(test: &str, arguments: &[&str]) -> Option<Bench> {
    let Some(model) = Fake::start("model.mjs") else {
        skip(test, "there is no Node.js for the fakes");
        return None;
    };
    let data = Data::prepared();
    let server = arguments.iter().fold(Launch::new(&data.path()), |launch, argument| launch.arg(*argument)).start();
    let client = server.client(&data.token("admin"));
    let person = Person::first(&server);
    Some(Bench { server, client, person, model, data })
}

impl Bench {
    fn use_model(&self, name: &str) {
        let base = format!("{}/v1", self.model.url());
        // The one that there is, or the first.
        let list = self.person.get("/settings/models").expect(200).text();
        let known = list.split("href=\"/settings/models/").skip(1).filter_map(|rest| rest.split('"').next());
        let known = known.into_iter().find(|id| *id != "new" && !id.contains('?'));
        let path = known.map_or_else(|| "/settings/models".to_owned(), |id| format!("/settings/models/{id}"));
        self.person.submit(&path, &[("base_url", &base), ("model", name), ("api_key", "sk-fake-key")]);
        let set = self.client.get("/api/v1/model").expect(200).json();
        assert_eq!(set["model"], name, "the model was not set: {set}");
    }

    fn say(&self, incident: &str, text: &str) {
        self.client.send("POST", &format!("/api/v1/incidents/{incident}/turns"), &json!({"text": text})).expect(202);
    }

    fn last_turn(&self, incident: &str) -> Value {
        let turns = self.client.get(&format!("/api/v1/incidents/{incident}/turns")).expect(200).json();
        turns.as_array().unwrap().last().cloned().unwrap_or_default()
    }

    /// The last turn, once it is in another state than `running`.
    fn settled(&self, incident: &str) -> Value {
        wait_for("the end of the turn", SETTLE, || {
            let turn = self.last_turn(incident);
            (turn["state"] != "running" && !turn.is_null()).then_some(turn)
        })
    }

    fn answer(&self, turn: &Value) -> String {
        let said = turn["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant");
        said.map(|message| message["text"].as_str().unwrap_or_default()).collect()
    }

    /// Entries of the audit log with this action, the newest first.
    fn audit(&self, action: &str) -> Vec<Value> {
        let found = self.client.get(&format!("/api/v1/audit?action={action}&limit=200")).expect(200).json();
        found["entries"].as_array().unwrap().clone()
    }

    /// Register a server over the form; its id.
    fn add_server(&self, server: &Value) -> String {
        let field = |name: &str| server[name].as_str().unwrap_or_default();
        let arguments: Vec<&str> =
            server["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for name in ["name", "transport", "command", "url", "auth", "header", "secret"] {
            fields.push((name, field(name)));
        }
        let lines = arguments.join("\n");
        fields.push(("arguments", &lines));
        self.person.submit("/servers", &fields);
        let all = self.client.get("/api/v1/servers").expect(200).json();
        let found = all.as_array().unwrap().iter().find(|one| one["name"] == server["name"]);
        found.unwrap_or_else(|| panic!("{server} was not registered: {all}"))["id"].as_str().unwrap().to_owned()
    }

    /// Remove a server over the form.
    fn remove_server(&self, id: &str) {
        self.person.submit(&format!("/servers/{id}/remove"), &[]);
        let all = self.client.get("/api/v1/servers").expect(200).json();
        assert!(!all.as_array().unwrap().iter().any(|one| one["id"] == *id), "{id} was not removed: {all}");
    }

    /// The same, ended in order and started again.
    fn restarted(self) -> Self {
        let Self { server, person, model, data, .. } = self;
        assert!(server.stop().success());
        let server = data.start();
        let client = server.client(&data.token("admin"));
        Self { person: person.moved_to(&server), server, client, model, data }
    }

    /// The same, killed and started again.
    fn killed(self) -> Self {
        let Self { server, person, model, data, .. } = self;
        server.kill();
        let server = data.start();
        let client = server.client(&data.token("admin"));
        Self { person: person.moved_to(&server), server, client, model, data }
    }

    /// Another person, who was invited.
    fn invited(&self, role: &str) -> Person {
        let email = format!("{role}@ops.example");
        let link = crate::people::invite(&self.person, &email, role);
        Person::join(&self.server, &link, role, &email)
    }

    fn server(&self, id: &str) -> Value {
        let all = self.client.get("/api/v1/servers").expect(200).json();
        all.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone()
    }

    fn discovered(&self, id: &str) -> Value {
        wait_for("the end of the discovery", SETTLE, || {
            let server = self.server(id);
            (server["state"] != "pending").then_some(server)
        })
    }

    /// As [`Self::discovered`], and every tool that waits is approved as it is shown.
    fn approved(&self, id: &str) -> Value {
        let server = self.discovered(id);
        self.decide(id, "ask", |_| true);
        server
    }

    /// Decide about the tools that wait, as the page shows them; gives their names.
    fn decide(&self, id: &str, rule: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let page = self.person.get(&format!("/servers/{id}")).expect(200).text();
        let shown = page.split("name=\"tool\" value=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let mut keys: Vec<String> = shown.map(unescaped).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| key.split_once(' ').is_some_and(|(_, name)| wanted(name)));
        let mut fields = vec![("rule", rule)];
        fields.extend(keys.iter().map(|key| ("tool", key.as_str())));
        self.person.submit(&format!("/servers/{id}/tools"), &fields);
        keys.iter().filter_map(|key| Some(key.split_once(' ')?.1.to_owned())).collect()
    }

    /// The server still answers at once.
    fn is_well(&self) {
        let begun = Instant::now();
        self.client.get("/api/v1/incidents").expect(200);
        assert!(begun.elapsed() < Duration::from_secs(2), "an answer took {:?}", begun.elapsed());
    }
}

/// Text as it stands in an attribute of a page.
fn unescaped(text: &str) -> String {
    let text = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#38;", "&").replace("&amp;", "&")
}

fn hostile(name: &str, mode: &str, journal: &std::path::Path) -> Value {
    json!({
        "name": name, "transport": "stdio", "command": node().unwrap(),
        "arguments": [program("mcp-stdio.mjs"), mode, journal],
    })
}

#[test]
fn nothing_that_was_planted_leaves_or_is_logged_or_lies_open() {
    let Some(bench) = bench("canary") else { return };
    bench.use_model("echo");
    let plants = Plants::new(77);
    let say = |i: usize| plants.values[i % plants.values.len()].1.clone();
    let fields = json!({
        "title": format!("Mail to {} bounced", say(0)), "description": plants.lines(), "severity": "low",
        "category": format!("from {}", say(1)), "tags": [say(0)],
    });
    let incident =
        bench.client.send("POST", "/api/v1/incidents", &fields).expect(201).json()["id"].as_str().unwrap().to_owned();
    let name = format!("{}.log", say(0).replace('@', "%40"));
    bench.client.upload(&incident, &name, plants.lines().as_bytes()).expect(201);
    bench.say(&incident, &format!("Look at this again:\n{}", plants.lines()));
    let turn = bench.settled(&incident);
    assert_eq!(turn["state"], "done", "{turn}");

    let departures = bench.client.get(&format!("/api/v1/incidents/{incident}/departures")).expect(200).json();
    let model =
        departures.as_array().unwrap().iter().find(|one| one["kind"] == "model").expect("a departure to the model");
    assert!(!model["masked"].as_array().unwrap().is_empty(), "{model}");
    let path = format!("/api/v1/incidents/{incident}/departures/{}/body", model["id"].as_str().unwrap());
    let shown = bench.client.get(&path).expect(200).body;
    let received = bench.model.received();
    assert!(contains(&received, b"EMAIL-1"), "the model was sent nothing of the incident");
    assert!(contains(&received, &shown), "what is shown as sent is not what was received");

    let mut everything = vec![
        ("the model received".to_owned(), received),
        ("standard error".to_owned(), bench.server.log().into_bytes()),
    ];
    everything.push(("the API's audit log".into(), bench.client.get("/api/v1/audit?limit=500").expect(200).body));
    everything
        .push(("the API's conversation".into(), bench.client.get(&format!("/api/v1/incidents/{incident}/turns")).body));
    assert!(bench.server.stop().success());
    everything
        .extend(snapshot(&bench.data.path()).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));
    for (place, bytes) in &everything {
        if let Some(value) = plants.leak(bytes) {
            panic!("{value} is in: {place}");
        }
        assert!(!contains(bytes, b"sk-fake-key") || place == "the model received", "the model's key is in: {place}");
    }
}
