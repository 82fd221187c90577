//! The model's every mood: each costs one turn, with a message.

use std::time::Duration;

use fumehood_tests::fixtures::contains;
use serde_json::{Value, json};

use super::bench;

#[test]
fn an_answer_arrives_whole_however_it_was_cut() {
    let Some(bench) = bench("split") else { return };
    for (model, expected) in [("plain", "every worker waited for a free connection."), ("split", "Größe 📈 naïve end")]
    {
        bench.use_model(model);
        let incident = bench.client.incident(model);
        bench.say(&incident, "Why?");
        let turn = bench.settled(&incident);
        assert_eq!(turn["state"], "done", "{turn}");
        assert!(bench.answer(&turn).contains(expected), "{turn}");
    }
}

#[test]
fn a_model_that_misbehaves_costs_one_turn_with_a_message() {
    let Some(bench) = bench("misbehaving model") else {
        return;
    };
    for model in [
        "error200",
        "disconnect",
        "noend",
        "rubbish",
        "hugeline",
        "unauthorized",
        "limited",
        "quota",
        "html",
        "broken",
        "missing",
        "long",
    ] {
        bench.use_model(model);
        let incident = bench.client.incident(model);
        bench.say(&incident, "Why?");
        let turn = bench.settled(&incident);
        assert_eq!(turn["state"], "failed", "{model}: {turn}");
        let problem = turn["problem"].as_str().unwrap();
        assert!(problem.len() > 15, "{model} is not explained: {turn}");
        assert!(!problem.contains("panicked") && !problem.contains("sk-fake-key"), "{model}: {problem}");
        if ["error200", "disconnect", "noend"].contains(&model) {
            assert!(bench.answer(&turn).contains("It began well"), "{model}: what had come is kept: {turn}");
        }
        eprintln!("{model}: {problem}");
        bench.is_well();
    }
    // The same incident goes on once the model is well again.
    let incident = bench.client.incident("again");
    bench.use_model("broken");
    bench.say(&incident, "Why?");
    bench.settled(&incident);
    bench.use_model("plain");
    bench.say(&incident, "Why?");
    assert_eq!(bench.settled(&incident)["state"], "done");
}

#[test]
fn a_turn_that_does_not_end_is_stopped() {
    let Some(bench) = bench("stopped turn") else {
        return;
    };
    for model in ["slow", "stall", "endless"] {
        bench.use_model(model);
        let incident = bench.client.incident(model);
        bench.say(&incident, "Why?");
        std::thread::sleep(Duration::from_millis(700));
        let turn = bench.last_turn(&incident);
        bench.is_well();
        if turn["state"] == "running" {
            let path = format!("/api/v1/incidents/{incident}/turns/{}/stop", turn["id"].as_str().unwrap());
            bench.client.send("POST", &path, &Value::Null).expect(204);
        } else {
            assert_eq!(model, "endless", "{turn}");
        }
        let turn = bench.settled(&incident);
        assert!(["stopped", "failed"].contains(&turn["state"].as_str().unwrap()), "{model}: {turn}");
    }
}

#[test]
fn a_turn_that_was_killed_says_so_after_the_start() {
    let Some(bench) = bench("killed turn") else {
        return;
    };
    bench.use_model("slow");
    let incident = bench.client.incident("Killed");
    bench.say(&incident, "Why?");
    std::thread::sleep(Duration::from_millis(500));
    let token = bench.data.token("admin");
    bench.server.kill();
    let server = bench.data.start();
    let client = server.client(&token);
    let turns = client.get(&format!("/api/v1/incidents/{incident}/turns")).expect(200).json();
    let turn = turns.as_array().unwrap().last().expect("the turn was acknowledged").clone();
    assert!(["failed", "stopped"].contains(&turn["state"].as_str().unwrap()), "{turn}");
    assert!(!turn["problem"].as_str().unwrap().is_empty(), "{turn}");
    assert!(contains(turn["messages"].to_string().as_bytes(), b"Why?"), "what was said is kept: {turn}");
}

#[test]
fn an_orderly_end_leaves_nothing_without_an_outcome() {
    let Some(bench) = bench("orderly end") else {
        return;
    };
    bench.use_model("stall");
    let incident = bench.client.incident("Ended");
    bench.say(&incident, "Why?");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(bench.last_turn(&incident)["state"], "running");
    let token = bench.data.token("admin");
    assert!(bench.server.stop().success());
    let verified = bench.data.run(&["audit", "verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && !said.contains("no outcome"), "{said}");
    let server = bench.data.start();
    let turns = server.client(&token).get(&format!("/api/v1/incidents/{incident}/turns")).expect(200).json();
    assert_eq!(turns[0]["state"], "stopped", "{turns}");
}

#[test]
fn a_lowered_sash_lets_nothing_out() {
    let Some(bench) = bench("sash") else { return };
    bench.use_model("slow");
    let incident = bench.client.incident("Sash");
    let sash = |lowered: bool| {
        bench
            .client
            .send("PUT", &format!("/api/v1/incidents/{incident}/sash"), &json!({"lowered": lowered}))
            .expect(200)
    };
    bench.say(&incident, "Why?");
    std::thread::sleep(Duration::from_millis(400));
    sash(true);
    let turn = bench.settled(&incident);
    assert!(
        ["stopped", "failed"].contains(&turn["state"].as_str().unwrap()),
        "what was in flight is cancelled: {turn}"
    );
    let before = bench.model.received().len();
    let answer =
        bench.client.send("POST", &format!("/api/v1/incidents/{incident}/turns"), &json!({"text": "And now?"}));
    if answer.status == 202 {
        assert_ne!(bench.settled(&incident)["state"], "done");
    } else {
        answer.problem(409);
    }
    assert_eq!(bench.model.received().len(), before, "something left while the sash was down");
    sash(false);
    bench.use_model("plain");
    bench.say(&incident, "And now?");
    assert_eq!(bench.settled(&incident)["state"], "done");
}
