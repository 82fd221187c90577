//! What servers ask in the middle of a call, and what a responder, the model and the server learn of it; long results and
//! resources, which the model reads by tools of our own.

use super::*;

/// A server that asks back, all its tools to be asked for, and a model that obeys.
fn asking(test: &str, era: &str) -> Option<(Bench, std::path::PathBuf)> {
    let bench = bench(test)?;
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&json!({
        "name": "Asking", "transport": "stdio", "command": node().unwrap(),
        "arguments": [program("mcp-asking.mjs"), era, journal],
    }));
    let server = bench.discovered(&id);
    assert_eq!(server["state"], "connected", "{server}");
    bench.decide(&id, "allow", |_| true);
    bench.use_model("obey");
    Some((bench, journal))
}

/// Have the model call a tool; the incident.
fn order(bench: &Bench, call: &str) -> String {
    let incident = bench.client.incident("Asked back");
    bench.say(&incident, &format!("CALL {call}"));
    incident
}

fn chat(bench: &Bench, incident: &str) -> String {
    bench.person.get(&format!("/incidents/{incident}/chat")).expect(200).text()
}

/// The address of the question that waits, once there is one.
fn question(bench: &Bench, incident: &str) -> String {
    wait_for("a question", SETTLE, || {
        let page = chat(bench, incident);
        let form = format!("action=\"/incidents/{incident}/questions/");
        let id = page.split(&form).nth(1)?.split('"').next()?.to_owned();
        Some(format!("/incidents/{incident}/questions/{id}"))
    })
}

/// What the tool brought back, once the turn is over.
fn result(bench: &Bench, incident: &str) -> String {
    let turn = bench.settled(incident);
    assert_eq!(turn["state"], "done", "{turn}");
    turn["messages"].as_array().unwrap().iter().find(|one| one["role"] == "tool").unwrap_or_else(|| panic!("{turn}"))
        ["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_form_is_filled_in_by_the_responder_checked_and_masked() {
    for era in ["legacy", "modern"] {
        let Some((bench, journal)) = asking("form", era) else { return };
        let incident = order(&bench, "mcp_asking_survey {}");
        let question = question(&bench, &incident);
        let page = chat(&bench, &incident);
        for shown in ["Who is on call?", "Europe", "Nodes", "Urgent"] {
            assert!(page.contains(shown), "{shown} is not shown");
        }
        // What does not fit is said beside what was typed, and the server hears nothing.
        let wrong = [("action", "accept"), ("f0", "J"), ("f1", "99"), ("f4", "0")];
        let refused = bench.person.post(&question, &wrong);
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains("2 to"), "{}", refused.text());
        assert!(refused.text().contains("value=\"99\""), "what was typed is gone");
        let viewer = bench.invited("viewer");
        assert_eq!(viewer.post(&question, &[("action", "decline")]).status, 403);
        let good = [
            ("action", "accept"),
            ("f0", "jane.roe@customer-mail.example"),
            ("f1", "2"),
            ("f2", "0"),
            ("f2", "2"),
            ("f3", "true"),
            ("f4", "1"),
        ];
        bench.person.submit(&question, &good);
        let said = result(&bench, &incident);
        assert!(said.contains("us-1") && said.contains("\"mail\""), "{era}: {said}");
        assert_eq!(bench.person.post(&question, &good).status, 409, "a question is answered once");
        let received = std::fs::read_to_string(&journal).unwrap();
        assert!(received.contains("[EMAIL-1]") && !received.contains("jane.roe"), "what the server got is masked");
        let audit = bench.client.get("/api/v1/audit?limit=200").expect(200).text();
        assert!(audit.contains("question.ask") && audit.contains("question.decide"));
    }
}

#[test]
fn a_responder_may_decline_and_an_address_is_shown_before_it_is_opened() {
    let Some((bench, _)) = asking("decline", "legacy") else { return };
    let incident = order(&bench, "mcp_asking_survey {}");
    bench.person.submit(&question(&bench, &incident), &[("action", "decline")]);
    assert!(result(&bench, &incident).contains("decline"));
    let incident = order(&bench, "mcp_asking_visit {}");
    let question = question(&bench, &incident);
    let page = chat(&bench, &incident);
    assert!(page.contains("https://forms.example/sign"), "{page}");
    assert!(page.contains("rel=\"noopener noreferrer\""));
    bench.person.submit(&question, &[("action", "accept")]);
    assert!(result(&bench, &incident).contains("accept"));
}

#[test]
fn the_model_is_asked_for_a_server_only_when_a_person_allows_it() {
    for era in ["legacy", "modern"] {
        let Some((bench, _)) = asking("sampling", era) else { return };
        let incident = order(&bench, "mcp_asking_think {}");
        let ask = question(&bench, &incident);
        let page = chat(&bench, &incident);
        assert!(page.contains("Be brief.") && page.contains("EMAIL-1"), "what the model would be asked is not shown");
        assert!(!contains(&bench.model.received(), b"Be brief."), "the model was asked before anybody allowed it");
        bench.person.submit(&ask, &[("action", "accept")]);
        let said = result(&bench, &incident);
        assert!(said.contains("assistant") || said.contains("answered"), "{said}");
        let received = bench.model.received();
        assert!(contains(&received, b"Be brief.") && !contains(&received, b"jane.roe@"), "masked, or not asked");
        if era == "legacy" {
            let incident = order(&bench, "mcp_asking_think {}");
            bench.person.submit(&question(&bench, &incident), &[("action", "decline")]);
            assert!(result(&bench, &incident).contains("refused"));
        }
    }
}

#[test]
fn there_are_no_roots_and_progress_is_heard() {
    let Some((bench, _)) = asking("roots", "legacy") else { return };
    let incident = order(&bench, "mcp_asking_where {}");
    assert!(result(&bench, &incident).contains("\"roots\":[]"));
    let incident = order(&bench, "mcp_asking_slowly {}");
    assert!(result(&bench, &incident).contains("done"));
}

#[test]
fn a_question_that_is_open_ends_with_the_process() {
    let Some((bench, _)) = asking("question and kill", "legacy") else { return };
    let incident = order(&bench, "mcp_asking_survey {}");
    let question = question(&bench, &incident);
    let bench = bench.killed();
    assert_eq!(bench.person.post(&question, &[("action", "decline")]).status, 409);
    let page = chat(&bench, &incident);
    assert!(!page.contains("/questions/"), "nobody can answer what nobody waits for");
    assert!(page.contains("may have been carried out"), "{page}");
}

#[test]
fn a_long_result_is_kept_whole_and_searched() {
    let Some((bench, _)) = asking("long result", "legacy") else { return };
    let incident = order(&bench, "mcp_asking_long {}");
    let said = result(&bench, &incident);
    assert!(said.len() < 80 << 10 && said.contains("fumehood_read_result"), "{:?}", &said[said.len() - 300..]);
    let page = chat(&bench, &incident);
    let whole = page.split(&format!("/incidents/{incident}/calls/")).nth(1).and_then(|rest| rest.split('"').next());
    let whole = bench.person.get(&format!("/incidents/{incident}/calls/{}", whole.unwrap())).expect(200);
    assert!(whole.header("content-type").starts_with("text/plain"));
    assert!(whole.text().contains("line 4000:"), "the page gives the whole of it");
    bench.use_model("tool");
    bench
        .model
        .control("script", &json!({"tool": "fumehood_read_result", "arguments": {"result": 1, "find": "THE NEEDLE"}}));
    bench.say(&incident, "Where is the needle?");
    let turn = bench.settled(&incident);
    let found = turn["messages"].as_array().unwrap().iter().find(|one| one["role"] == "tool").unwrap().clone();
    let found = found["text"].as_str().unwrap();
    assert!(found.contains("3211: line 3211") && found.lines().count() < 5, "{found}");
}

#[test]
fn the_model_lists_resources_and_reads_one_that_a_person_approved() {
    let Some((bench, journal)) = asking("resources", "legacy") else { return };
    let incident = order(&bench, "fumehood_list_resources {\"server\":\"asking\"}");
    assert!(result(&bench, &incident).contains("note://runbook Runbook"));
    let incident = order(&bench, "fumehood_read_resource {\"server\":\"asking\",\"uri\":\"note://runbook\"}");
    let turn = bench.settled(&incident);
    assert_eq!(turn["state"], "waiting", "{turn}");
    assert!(!std::fs::read_to_string(&journal).unwrap().contains("resources/read"), "read before it was approved");
    let page = chat(&bench, &incident);
    let form = page.split("action=\"").find(|rest| rest.contains("/approve\"")).unwrap();
    let digest = form.split("name=\"digest\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    bench.person.submit(form.split('"').next().unwrap(), &[("digest", digest)]);
    assert!(result(&bench, &incident).contains("Restart the pump first."));
}
