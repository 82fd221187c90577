//! What is masked before it leaves, and before somebody reads it who may not see originals.

use fumehood_tests::fixtures::contains;
use serde_json::json;

use super::{bench, hostile};

#[test]
fn what_a_server_says_in_an_error_is_masked_for_every_reader() {
    let Some(bench) = bench("tool errors") else { return };
    let journal = bench.data.beside("mcp-journal");
    let id = bench.add_server(&hostile("Hostile", "piierror", &journal));
    bench.approved(&id);
    bench.use_model("tool");
    let incident = bench.client.incident("Errors");
    bench.say(&incident, "Go");
    assert_eq!(bench.settled(&incident)["state"], "waiting");
    let page = bench.person.get(&format!("/incidents/{incident}/chat")).text();
    let call = page.split("/calls/").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let digest = page.split("name=\"digest\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    bench.person.submit(&format!("/incidents/{incident}/calls/{call}/approve"), &[("digest", digest)]);
    assert_eq!(bench.settled(&incident)["state"], "done");
    let viewer = bench.server.client(&bench.data.token("viewer"));
    let seen = [
        viewer.get(&format!("/api/v1/incidents/{incident}/timeline")).text(),
        viewer.get(&format!("/api/v1/incidents/{incident}/turns")).text(),
        bench.person.get(&format!("/incidents/{incident}/timeline")).text(),
        bench.person.get(&format!("/incidents/{incident}/chat")).text(),
    ];
    for text in seen {
        assert!(!text.contains("jane.roe") && !text.contains("hunter2"), "{text}");
    }
    assert!(!contains(&bench.model.received(), b"hunter2"), "the model was sent it");
}

#[test]
fn a_value_that_is_known_does_not_stop_a_turn_in_any_encoding() {
    let Some(bench) = bench("encoded values") else { return };
    bench.use_model("plain");
    let incident = bench.client.incident("Encoded");
    let log = "ERROR mail to jane.roe@customer-mail.example failed\n\
               ERROR mail to Jane.Roe@Customer-Mail.example failed again\n\
               ERROR q=jane.roe%2540customer-mail.example\n\
               ERROR body=amFuZS5yb2VAY3VzdG9tZXItbWFpbC5leGFtcGxl\n\
               ERROR {\"to\":\"jane.roe\\u0040customer-mail.example\"}\n";
    bench.client.upload(&incident, "a.log", log.as_bytes()).expect(201);
    for _ in 0..2 {
        bench.say(&incident, "Why?");
        let turn = bench.settled(&incident);
        assert_eq!(turn["state"], "done", "{turn}");
    }
    let received = bench.model.received();
    for planted in ["jane.roe", "amFuZS5yb2V"] {
        assert!(!contains(&received, planted.as_bytes()), "{planted} left");
    }
}

#[test]
fn a_finding_that_is_accepted_again_is_held_again() {
    let Some(bench) = bench("held again") else { return };
    bench.use_model("echo");
    let incident = bench.client.incident("Held");
    let log = bench.client.upload(&incident, "a.log", b"login password=hunter2!Zx9Qw failed\n").expect(201).json();
    let log = format!("/api/v1/logs/{}", log["id"].as_str().unwrap());
    let decide = |verdict: &str| {
        bench
            .client
            .send("POST", &format!("{log}/decisions"), &json!({"type": "PASSWORD", "verdict": verdict}))
            .expect(200);
    };
    decide("rejected");
    assert!(bench.client.get(&format!("{log}/redacted")).text().contains("hunter2!Zx9Qw"));
    decide("accepted");
    bench.say(&incident, "Is hunter2!Zx9Qw the password?");
    assert_eq!(bench.settled(&incident)["state"], "done");
    assert!(!contains(&bench.model.received(), b"hunter2!Zx9Qw"), "an accepted value left");
}

#[test]
fn text_that_was_appended_as_utf16_is_scanned() {
    let Some(bench) = bench("UTF-16 tail") else { return };
    bench.use_model("plain");
    let incident = bench.client.incident("Mixed");
    let mut log = "INFO started, all is well\n".repeat(400).into_bytes();
    let tail = "ERROR jane.roe@customer-mail.example password=hunter2!Zx9Qw\n";
    log.extend(tail.encode_utf16().flat_map(u16::to_le_bytes));
    let made = bench.client.upload(&incident, "a.log", &log).expect(201).json();
    let masked =
        bench.client.get(&format!("/api/v1/logs/{}/redacted", made["id"].as_str().unwrap())).expect(200).text();
    assert!(masked.contains("ERROR [EMAIL-1] password=[PASSWORD-1]"), "{}", &masked[masked.len() - 200..]);
    bench.say(&incident, "Why?");
    assert_eq!(bench.settled(&incident)["state"], "done");
    let received: Vec<u8> = bench.model.received().into_iter().filter(|byte| *byte != 0).collect();
    assert!(!contains(&received, b"hunter2"), "it left");
}

#[test]
fn a_log_of_many_different_values_is_masked_as_fast_as_it_is_read() {
    let Some(bench) = bench("many values") else { return };
    bench.use_model("plain");
    let incident = bench.client.incident("Many");
    let log: String = (0..100_000).map(|n| format!("WARN no answer to user{n}.x{n}@customer-mail.example\n")).collect();
    let made = bench.client.upload(&incident, "a.log", log.as_bytes()).expect(201).json();
    let masked =
        bench.client.get(&format!("/api/v1/logs/{}/redacted", made["id"].as_str().unwrap())).expect(200).text();
    assert!(masked.ends_with("[EMAIL-100000]\n") && !masked.contains("customer-mail"));
    // With all of them known: what is asked now is masked and checked against every one.
    bench.say(&incident, "Who is user77.x77@customer-mail.example?");
    assert_eq!(bench.settled(&incident)["state"], "done");
    assert!(!contains(&bench.model.received(), b"user77.x77"));
}
