//! kill -9 in the middle of everything: what was acknowledged is there, what was not is whole or not there at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_tests::fixtures::Stream;
use fumehood_tests::machine::kills;
use fumehood_tests::{Client, Data, Launch, Random};
use serde_json::{Value, json};

/// Threads that write while the server is killed.
const WRITERS: u64 = 4;
/// Longest life of a server, ms.
const LIFE_MS: u64 = 500;

/// What a client was told is done.
#[derive(Default)]
struct Acknowledged {
    incidents: Vec<(String, String)>,
    logs: Vec<(String, String)>,
}

#[test]
fn what_was_acknowledged_survives() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    let token = data.token("admin");
    let start = || Launch::new(&data.path()).arg("--checkpoint-file").arg(checkpoints.to_str().unwrap()).start();
    let mut random = Random::from_clock("kill -9");
    let all = Arc::new(Mutex::new(Acknowledged::default()));
    let (mut incidents_seen, mut logs_seen) = (0, 0);
    for round in 0..kills() {
        let server = start();
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, all, stop) = (server.client(&token), Arc::clone(&all), Arc::clone(&stop));
                let seed = random.number();
                std::thread::spawn(move || write(&client, &all, &stop, &format!("{round}-{writer}"), seed))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(1 + random.below(LIFE_MS)));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }

        let server = start();
        let client = server.client(&token);
        let acknowledged = all.lock().unwrap();
        for (id, title) in &acknowledged.incidents[incidents_seen..] {
            assert_eq!(
                client.get(&format!("/api/v1/incidents/{id}")).expect(200).json()["title"],
                *title,
                "round {round}"
            );
        }
        for (id, text) in &acknowledged.logs[logs_seen..] {
            let log = client.get(&format!("/api/v1/logs/{id}")).expect(200).json();
            assert_eq!(log["state"], "ready", "round {round}: {log}");
            let masked = client.get(&format!("/api/v1/logs/{id}/redacted")).expect(200).text();
            assert_eq!(masked, *text, "round {round}");
        }
        incidents_seen = acknowledged.incidents.len();
        logs_seen = acknowledged.logs.len();
        no_half_log(&client);
        // Killed once more at once, while it may still be cleaning up.
        server.kill();
    }
    let output = data.run(&["audit", "verify", "--checkpoint-file", checkpoints.to_str().unwrap()]);
    assert!(output.status.success(), "{}", fumehood_tests::server::text(&output.stdout));
    eprintln!("{} kills, {incidents_seen} incidents and {logs_seen} logs acknowledged and found", kills() * 2);
    assert!(incidents_seen > 0 && logs_seen > 0, "nothing was acknowledged: this test has shown nothing");

    let server = start();
    let total = server.client(&token).get("/api/v1/incidents?limit=1").json()["total"].as_u64().unwrap();
    assert!(total >= incidents_seen as u64);
    assert!(server.stop().success());
}

/// Create incidents and upload small logs until the server is gone.
fn write(client: &Client, all: &Mutex<Acknowledged>, stop: &AtomicBool, name: &str, seed: u64) {
    let mut random = Random::new(seed);
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let title = format!("Incident {name}-{i}");
        let body = fumehood_tests::client::incident(&title).to_string();
        let headers = [("content-type", "application/json")];
        let Ok(answer) = client.try_send("POST", "/api/v1/incidents", &headers, body.as_str()) else {
            return;
        };
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        all.lock().unwrap().incidents.push((id.clone(), title));
        let lines = 1 + random.below(200);
        let text: String = (0..lines).map(|line| format!("{name} {i} {line} all is well so far\n")).collect();
        let Ok(answer) = client.upload_from(&id, "small.log", text.as_bytes()) else {
            return;
        };
        assert_eq!(answer.status, 201, "{}", answer.text());
        let log = answer.json()["id"].as_str().unwrap().to_owned();
        all.lock().unwrap().logs.push((log, text));
    }
}

/// After a start, no log is half there: it is ready, or it has failed and says why.
fn no_half_log(client: &Client) {
    let incidents = client.get("/api/v1/incidents?limit=20").expect(200).json();
    for incident in incidents["incidents"].as_array().unwrap() {
        let logs =
            client.get(&format!("/api/v1/incidents/{}/logs", incident["id"].as_str().unwrap())).expect(200).json();
        for log in logs.as_array().unwrap() {
            match log["state"].as_str() {
                Some("ready") => {}
                Some("failed") => assert!(!log["reason"].as_str().unwrap_or_default().is_empty(), "{log}"),
                _ => panic!("half a log: {log}"),
            }
        }
    }
}

#[test]
fn a_large_upload_that_is_killed_is_gone_and_can_be_repeated() {
    let data = Data::prepared();
    let token = data.token("admin");
    let server = data.start();
    let client = server.client(&token);
    let incident = client.incident("Large");
    let uploader = {
        let (client, incident) = (client.clone(), incident.clone());
        std::thread::spawn(move || client.upload_from(&incident, "large.log", Stream::new(1 << 30, 50)).is_err())
    };
    let logs = |client: &Client| -> Vec<Value> {
        client.get(&format!("/api/v1/incidents/{incident}/logs")).expect(200).json().as_array().unwrap().clone()
    };
    fumehood_tests::machine::wait_for("some of the upload", Duration::from_secs(60), || {
        logs(&client).iter().any(|log| log["received_bytes"].as_i64() > Some(4 << 20)).then_some(())
    });
    server.kill();
    assert!(uploader.join().unwrap(), "an upload that was cut off was acknowledged");

    let server = data.start();
    let client = server.client(&token);
    for log in logs(&client) {
        assert_eq!(log["state"], "failed", "{log}");
        client.get(&format!("/api/v1/logs/{}/redacted", log["id"].as_str().unwrap())).problem(409);
    }
    let again = client.upload_from(&incident, "large.log", Stream::new(8 << 20, 50)).unwrap().expect(201).json();
    assert_eq!((&again["state"], &again["duplicate"]), (&json!("ready"), &Value::Null));
    assert!(server.stop().success());
    assert!(data.run(&["audit", "verify"]).status.success());
}

#[test]
fn an_orderly_end_loses_nothing_that_was_under_way() {
    let data = Data::prepared();
    let token = data.token("admin");
    let server = data.start();
    let client = server.client(&token);
    let incident = client.incident("Under way");
    let uploader = {
        let (client, incident) = (client.clone(), incident.clone());
        std::thread::spawn(move || {
            client.upload_from(&incident, "a.log", Stream::new(4 << 20, 50)).unwrap().expect(201).json()
        })
    };
    std::thread::sleep(Duration::from_millis(60));
    assert!(server.stop().success());
    let log = uploader.join().unwrap();
    let server = data.start();
    let log = server.client(&token).get(&format!("/api/v1/logs/{}", log["id"].as_str().unwrap())).expect(200).json();
    assert_eq!(log["state"], "ready");
}
