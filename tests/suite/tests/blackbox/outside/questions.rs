//! What servers ask in the middle of a call, and what a responder, the model and the server learn of it; long results and
//! resources, which the model reads by tools of our own.

use super::*;

/// A server that asks back, all its tools to be asked for, and a model that obeys.
pub(super) fn asking(test: &str, era: &str) -> Option<(Bench, std::path::PathBuf)> {
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
        for action in ["question.ask", "question.decide"] {
            assert_eq!(bench.audit(action).len(), 1, "{action}");
        }
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
    assert!(page.contains("rel=\"noopener noreferrer\"") && !page.contains("href=\"https://forms.example"), "{page}");
    // It stands on no page: the browser is led there.
    let open = bench.person.get(&format!("{question}/open"));
    assert_eq!((open.status, open.header("location")), (303, "https://forms.example/sign?id=7"));
    assert_eq!(bench.invited("viewer").get(&format!("{question}/open")).status, 403);
    bench.person.submit(&question, &[("action", "accept")]);
    assert_eq!(bench.person.get(&format!("{question}/open")).status, 404, "it does not wait any more");
    assert!(result(&bench, &incident).contains("accept"));
}

/// A prompt of a server becomes the beginning of a message: what is typed for it leaves masked, what it says is shown
/// masked, and no model sees it before a person has sent it.
#[test]
fn a_prompt_of_a_server_is_the_draft_of_a_message() {
    for era in ["legacy", "modern"] {
        let Some((bench, journal)) = asking("prompts", era) else { return };
        let incident = bench.client.incident("Handing over");
        let page = bench.person.get(&format!("/incidents/{incident}/chat")).expect(200).text();
        let prompts = format!("/incidents/{incident}/prompts");
        assert!(page.contains(&format!("href=\"{prompts}\"")), "{page}");
        let page = bench.person.get(&prompts).expect(200).text();
        assert!(page.contains("Hand over a component") && page.contains("What the next shift has to know."), "{page}");
        let id = bench.client.get("/api/v1/servers").json()[0]["id"].as_str().unwrap().to_owned();
        let said = |component: &str, note: &str| {
            let fields = [
                ("server", id.as_str()),
                ("name", "handover"),
                ("k0", "component"),
                ("v0", component),
                ("k1", "note"),
                ("v1", note),
                ("at", "0"),
            ];
            (bench.person.post(&prompts, &fields), bench.person.post(&format!("{prompts}/complete"), &fields).text())
        };
        let (refused, suggested) = said("p", "");
        assert!(suggested.contains("value=\"paint\"") && suggested.contains("value=\"pump\""), "{suggested}");
        assert_eq!(refused.status, 409);
        let page = refused.text();
        assert!(
            page.contains("there is no component p") && page.contains("value=\"p\""),
            "what was typed is lost: {page}"
        );

        let (used, suggested) = said("pump", "call jane.roe@customer-mail.example");
        assert!(suggested.contains("pump") && !suggested.contains("paint"), "{suggested}");
        assert_eq!(used.status, 200);
        let page = used.text();
        let draft = page.split("<textarea id=\"text\"").nth(1).unwrap().split("</textarea>").next().unwrap();
        assert!(draft.contains("Sum up the pump for") && draft.contains("EMAIL-"), "{draft}");
        assert!(!page.contains("customer-mail.example"), "{page}");
        let sent = std::fs::read_to_string(&journal).unwrap();
        assert!(sent.contains("prompts/get") && !sent.contains("jane.roe@"), "{sent}");
        let departures = bench.client.get(&format!("/api/v1/incidents/{incident}/departures")).expect(200).text();
        assert!(departures.contains("prompt (Asking)"), "{departures}");
        assert!(!contains(&bench.model.received(), b"Sum up"), "the model was told");
        bench.client.send("PUT", &format!("/api/v1/incidents/{incident}/sash"), &json!({"lowered": true})).expect(200);
        assert_eq!(said("pump", "").0.status, 409, "nothing leaves when the sash is lowered");
    }
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
