//! News of changes between the eras: a client of each hears of them in its own way, whatever its server speaks.

use std::sync::mpsc::Receiver;

use super::gateway::Caller;
use super::questions::asking;
use super::*;

const RUNBOOK: &str = "note://runbook";
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
        // By the way of all servers, whose resources are called otherwise, nothing changes for this one.
        let all = Caller::new(&bench.server, "/mcp", &bench.data.token("responder"), true);
        assert!(all.call("mcp_asking_poke", &json!({}))["result"].is_object());
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
    caller.hang_up_on("subscriptions/listen", &wish, Duration::from_secs(1));
    // Two have begun, and one of them still listens.
    assert_eq!(said_to_server(&journal, "\"resources/subscribe\""), 2);
    assert!(caller.call("poke", &json!({}))["result"].is_object());
    heard(&stays, "notifications/resources/updated");
    assert_eq!(ended(), 0, "it was ended for whoever still listens");

    let other = Caller::new(&bench.server, "/mcp/asking", &bench.data.token("responder"), true);
    other.hang_up_on("subscriptions/listen", &wish, Duration::from_secs(1));
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
