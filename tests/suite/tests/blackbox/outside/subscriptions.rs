//! News of changes between the eras: a client of each hears of them in its own way, whatever its server speaks.

use std::sync::mpsc::Receiver;

use super::caller::Caller;
use super::questions::asking;
use super::*;

const RUNBOOK: &str = "note://runbook";
/// How long a client listens that then goes away.
const HELD: Duration = Duration::from_secs(1);
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The next message of a method.
fn heard(stream: &Receiver<Value>, method: &str) -> Value {
    loop {
        let said = stream.recv_timeout(SETTLE).unwrap_or_else(|_| panic!("{method} was not heard"));
        if said["method"] == method {
            return said["params"].clone();
        }
    }
}

fn said_to_server(journal: &std::path::Path, what: &str) -> usize {
    std::fs::read_to_string(journal).unwrap_or_default().matches(what).count()
}

#[test]
fn a_newer_client_hears_of_changes_on_its_stream_whatever_its_server_speaks() {
    for era in ["legacy", "modern"] {
        let Some((bench, journal)) = asking("stream of changes", era) else { return };
        let caller = Caller::new(&bench.server, "/mcp/asking", &bench.data.token("responder"), true);
        let wish = json!({"notifications": {
            "toolsListChanged": false, "promptsListChanged": true, "resourceSubscriptions": [RUNBOOK, "note://nothing"],
        }});
        let stream = caller.stream(Some((77, "subscriptions/listen", &wish)));
        let acknowledged = heard(&stream, "notifications/subscriptions/acknowledged");
        assert_eq!(acknowledged["_meta"][SUBSCRIPTION], 77, "{era}: {acknowledged}");
        assert_eq!(acknowledged["notifications"]["promptsListChanged"], true, "{era}: {acknowledged}");
        // What the server did not take is not promised.
        assert_eq!(acknowledged["notifications"]["resourceSubscriptions"], json!([RUNBOOK]), "{era}: {acknowledged}");
        assert!(caller.call("poke", &json!({}))["result"].is_object());
        for method in ["notifications/prompts/list_changed", "notifications/resources/updated"] {
            let news = heard(&stream, method);
            assert_eq!(news["_meta"][SUBSCRIPTION], 77, "{era}: {news}");
        }
        // A stream that wants nothing of it hears nothing of it.
        let other =
            caller.stream(Some((78, "subscriptions/listen", &json!({"notifications": {"toolsListChanged": true}}))));
        heard(&other, "notifications/subscriptions/acknowledged");
        assert!(caller.call("poke", &json!({}))["result"].is_object());
        heard(&stream, "notifications/resources/updated");
        std::thread::sleep(Duration::from_millis(300));
        assert!(other.try_recv().is_err(), "{era}: it hears what it did not ask for");
        let subscribed = said_to_server(&journal, "\"resources/subscribe\"");
        assert_eq!(subscribed, if era == "legacy" { 2 } else { 0 });
    }
}

/// A client that goes away ends its subscriptions at the server, and those of nobody else.
#[test]
fn what_nobody_wants_to_hear_any_more_is_ended_at_the_server() {
    let Some((bench, journal)) = asking("end of a stream", "legacy") else { return };
    let caller = Caller::new(&bench.server, "/mcp/asking", &bench.data.token("responder"), true);
    let wish = json!({"notifications": {"resourceSubscriptions": [RUNBOOK]}});
    let ended = || said_to_server(&journal, "\"resources/unsubscribe\"");
    let stays = caller.stream(Some((77, "subscriptions/listen", &wish)));
    heard(&stays, "notifications/subscriptions/acknowledged");
    caller.hang_up_on("subscriptions/listen", &wish, HELD);
    // Two have begun, and one of them still listens.
    assert_eq!(said_to_server(&journal, "\"resources/subscribe\""), 2);
    assert!(caller.call("poke", &json!({}))["result"].is_object());
    heard(&stays, "notifications/resources/updated");
    assert_eq!(ended(), 0, "it was ended for whoever still listens");

    let other = Caller::new(&bench.server, "/mcp/asking", &bench.data.token("responder"), true);
    other.hang_up_on("subscriptions/listen", &wish, HELD);
    wait_for("the end at the server", SETTLE, || (ended() == 1).then_some(()));
}

#[test]
fn an_older_client_hears_of_changes_in_its_session_whatever_its_server_speaks() {
    for era in ["legacy", "modern"] {
        let Some((bench, journal)) = asking("session of changes", era) else { return };
        let caller = Caller::new(&bench.server, "/mcp/asking", &bench.data.token("responder"), false);
        // It is connected by now.
        assert!(caller.ask("resources/list", &json!({}))["result"].is_object());
        let session = caller.stream(None);
        let refused = caller.ask("resources/subscribe", &json!({"uri": "note://nothing"}));
        assert!(refused["error"].is_object(), "{refused}");
        let answer = caller.ask("resources/subscribe", &json!({"uri": RUNBOOK}));
        assert_eq!(answer["result"], json!({}), "{era}: {answer}");
        assert!(caller.call("poke", &json!({}))["result"].is_object());
        let news = heard(&session, "notifications/resources/updated");
        assert_eq!(news["uri"], RUNBOOK, "{era}: {news}");
        assert!(news["_meta"][SUBSCRIPTION].is_null(), "{era}: another era's words: {news}");
        // The server ends what it was asked for, and is asked again.
        assert!(caller.call("hangup", &json!({}))["result"].is_object());
        wait_for("the news after the stream's end", SETTLE, || {
            caller.call("poke", &json!({}));
            std::thread::sleep(Duration::from_millis(200));
            session.try_iter().any(|said| said["method"] == "notifications/resources/updated").then_some(())
        });
        assert_eq!(caller.ask("resources/unsubscribe", &json!({"uri": RUNBOOK}))["result"], json!({}));
        if era == "modern" {
            wait_for("the end of its stream", SETTLE, || {
                (said_to_server(&journal, "notifications/cancelled") > 0).then_some(())
            });
        }
        assert!(caller.call("poke", &json!({}))["result"].is_object());
        heard(&session, "notifications/prompts/list_changed");
        let rest: Vec<Value> = session.try_iter().collect();
        assert!(!rest.iter().any(|said| said["method"] == "notifications/resources/updated"), "{era}: {rest:?}");
    }
}

/// Whoever speaks to all servers hears of resources by the names that they have there.
#[test]
fn a_stream_of_all_servers_hears_of_their_resources_and_of_what_people_decide() {
    for era in ["legacy", "modern"] {
        let Some((bench, journal)) = asking("stream of all", era) else { return };
        let token = bench.data.token("responder");
        let caller = Caller::new(&bench.server, "/mcp", &token, true);
        let ours = format!("asking+{RUNBOOK}");
        let wish = json!({"notifications": {
            "toolsListChanged": true, "promptsListChanged": true,
            "resourceSubscriptions": [ours, "asking+note://nothing", "nobody+note://runbook", RUNBOOK],
        }});
        let stream = caller.stream(Some((77, "subscriptions/listen", &wish)));
        let acknowledged = heard(&stream, "notifications/subscriptions/acknowledged");
        assert_eq!(acknowledged["_meta"][SUBSCRIPTION], 77, "{era}: {acknowledged}");
        // What is not told is not promised.
        assert_eq!(
            acknowledged["notifications"],
            json!({"toolsListChanged": true, "promptsListChanged": false, "resourceSubscriptions": [ours]}),
            "{era}"
        );
        assert!(caller.call("mcp_asking_poke", &json!({}))["result"].is_object());
        let news = heard(&stream, "notifications/resources/updated");
        assert_eq!((&news["uri"], &news["_meta"][SUBSCRIPTION]), (&json!(ours), &json!(77)), "{era}: {news}");
        // One who speaks to this server alone, beside it, knows the resource by its own name.
        let alone = Caller::new(&bench.server, "/mcp/asking", &token, true);
        let wish = json!({"notifications": {"resourceSubscriptions": [RUNBOOK]}});
        let beside = alone.stream(Some((5, "subscriptions/listen", &wish)));
        heard(&beside, "notifications/subscriptions/acknowledged");
        assert!(caller.call("mcp_asking_poke", &json!({}))["result"].is_object());
        assert_eq!(heard(&beside, "notifications/resources/updated")["uri"], RUNBOOK, "{era}");

        denied(&bench, "visit");
        let news = heard(&stream, "notifications/tools/list_changed");
        assert_eq!(news["_meta"][SUBSCRIPTION], 77, "{era}: {news}");
        let rest: Vec<Value> = stream.try_iter().chain(beside.try_iter()).collect();
        assert!(!rest.iter().any(|said| said["method"] == "notifications/prompts/list_changed"), "{era}: {rest:?}");

        // Going away ends at the server what nobody else listens to. A stream there is ended by the next one, too.
        if era == "legacy" {
            let other = Caller::new(&bench.server, "/mcp", &bench.data.token("admin"), true);
            other.hang_up_on(
                "subscriptions/listen",
                &json!({"notifications": {"resourceSubscriptions": [ours]}}),
                HELD,
            );
            let ended = || said_to_server(&journal, "\"resources/unsubscribe\"");
            wait_for("the end at the server", SETTLE, || (ended() == 1).then_some(()));
        }
    }
}

/// What people decide about tools is news to whoever has read the list.
#[test]
fn a_session_hears_when_a_person_has_decided_on_its_tools() {
    let Some((bench, _)) = asking("decided tools", "legacy") else { return };
    for path in ["/mcp", "/mcp/asking"] {
        let caller = Caller::new(&bench.server, path, &bench.data.token("responder"), false);
        let name = if path == "/mcp" { "mcp_asking_visit" } else { "visit" };
        let offered = || {
            let list = caller.ask("tools/list", &json!({}));
            list["result"]["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == name)
        };
        assert!(offered());
        let session = caller.stream(None);
        // What changes nothing that is offered is no news.
        bench.decide(&server(&bench), "allow", |tool| tool == "visit");
        denied(&bench, "visit");
        heard(&session, "notifications/tools/list_changed");
        assert!(!offered(), "the news came before the change");
        bench.decide(&server(&bench), "allow", |tool| tool == "visit");
        heard(&session, "notifications/tools/list_changed");
        assert!(offered(), "the news came before the change");
        std::thread::sleep(Duration::from_secs(1));
        assert!(session.try_iter().all(|said| said["method"] != "notifications/tools/list_changed"), "it is told once");
    }
}

fn server(bench: &Bench) -> String {
    bench.client.get("/api/v1/servers").expect(200).json()[0]["id"].as_str().unwrap().to_owned()
}

fn denied(bench: &Bench, tool: &str) {
    assert_eq!(bench.decide(&server(bench), "deny", |name| name == tool), [tool]);
}
