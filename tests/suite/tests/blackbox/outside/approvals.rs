//! What a person approves: one call, or a tool that changes nothing for the whole incident.

use super::*;

/// The form of the call that waits in an incident: its address without the verb, and the digest.
fn waiting(bench: &Bench, incident: &str) -> (String, String) {
    let page = bench.person.get(&format!("/incidents/{incident}/chat")).expect(200).text();
    let form = page.split("action=\"").find(|rest| rest.contains("/approve\"")).expect("a call that waits");
    let digest = form.split("name=\"digest\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    (form.split("/approve\"").next().unwrap().to_owned(), digest.to_owned())
}

fn ordered(bench: &Bench, incident: &str, order: &str) -> Value {
    bench.say(incident, order);
    bench.settled(incident)
}

#[test]
fn a_tool_that_changes_nothing_is_approved_for_an_incident_and_nothing_else_is() {
    let Some(bench) = bench("approval for an incident") else { return };
    let journal = bench.data.beside("journal");
    let id = bench.add_server(&hostile("Hostile", "reads", &journal));
    bench.approved(&id);
    bench.use_model("obey");
    let incident = bench.client.incident("Approved once");
    let turn = ordered(&bench, &incident, "CALL mcp_hostile_echo {\"text\": \"one\"}");
    assert_eq!(turn["state"], "waiting", "{turn}");
    let page = bench.person.get(&format!("/incidents/{incident}/chat")).text();
    assert!(page.contains("low risk") && page.contains("For this incident"), "{page}");
    let (form, digest) = waiting(&bench, &incident);
    bench.person.submit(&format!("{form}/approve"), &[("digest", &digest), ("here", "1")]);
    assert_eq!(bench.settled(&incident)["state"], "done");
    // Other arguments of the same tool go by it, and the record says by whom.
    let turn = ordered(&bench, &incident, "CALL mcp_hostile_echo {\"text\": \"two\"}");
    assert_eq!(turn["state"], "done", "{turn}");
    let timeline = bench.client.get(&format!("/api/v1/incidents/{incident}/timeline")).expect(200).text();
    assert!(timeline.contains("Approved for this incident before: echo on Hostile"), "{timeline}");
    assert_eq!(bench.audit("approval.approve-here").len(), 1);
    // Not in another incident.
    let other = bench.client.incident("Another");
    assert_eq!(ordered(&bench, &other, "CALL mcp_hostile_echo {\"text\": \"three\"}")["state"], "waiting");
    // Nor what may destroy something, whatever the form says.
    let turn = ordered(&bench, &incident, "CALL mcp_hostile_restart_service {\"service\": \"db\"}");
    assert_eq!(turn["state"], "waiting", "{turn}");
    let page = bench.person.get(&format!("/incidents/{incident}/chat")).text();
    assert!(page.contains("high risk"), "{page}");
    let (danger, digest) = waiting(&bench, &incident);
    assert_eq!(bench.person.post(&format!("{danger}/approve"), &[("digest", &digest), ("here", "1")]).status, 409);
    assert_eq!(bench.last_turn(&incident)["state"], "waiting", "it was approved all the same");
    bench.person.submit(&format!("{danger}/deny"), &[("digest", &digest)]);
    bench.settled(&incident);
    assert!(!std::fs::read_to_string(&journal).unwrap().contains("\"db\""), "it was called");
    // Until somebody wants to be asked again.
    bench.person.submit(&format!("{form}/ask-again"), &[]);
    assert_eq!(ordered(&bench, &incident, "CALL mcp_hostile_echo {\"text\": \"four\"}")["state"], "waiting");
}
