//! A large upload goes through in constant memory, and can be cancelled.

use std::time::Duration;

use fumehood_tests::Data;
use fumehood_tests::fixtures::Stream;
use fumehood_tests::machine::{peak_memory, soak, wait_for};

/// What the server may use at its peak, bytes.
const PEAK: u64 = 400 << 20;

#[test]
fn a_large_upload_streams_through_and_is_read_back() {
    let size: u64 = if soak() { 2 << 30 } else { 256 << 20 };
    let data = Data::prepared();
    let server = data.start();
    let client = server.client(&data.token("admin"));
    let incident = client.incident("Large");
    let mut log = Stream::new(size, 500);
    let begun = std::time::Instant::now();
    let answer = client.upload_from(&incident, "large.log", &mut log).unwrap().expect(201).json();
    let took = begun.elapsed();
    let peak = peak_memory(server.pid()).unwrap();
    eprintln!(
        "{} MiB in {took:?} ({:.1} MB/s), peak {} MiB",
        size >> 20,
        log.given as f64 / 1e6 / took.as_secs_f64(),
        peak >> 20
    );
    assert_eq!(answer["text_bytes"], log.given);
    assert!(peak < PEAK, "peak of {} MiB", peak >> 20);

    let id = answer["id"].as_str().unwrap();
    let kinds = client.get(&format!("/api/v1/logs/{id}/findings?limit=1")).expect(200).json()["kinds"].clone();
    assert_eq!(kinds[0]["total"], log.planted, "{kinds}");
    let begun = std::time::Instant::now();
    let masked = client.get(&format!("/api/v1/logs/{id}/redacted")).expect(200).body;
    let took = begun.elapsed();
    let rate = masked.len() as f64 / 1e6 / took.as_secs_f64();
    eprintln!("masked text of {} distinct values read in {took:?} ({rate:.1} MB/s)", log.planted);
    // Each value gets its pseudonym at this first reading: that must not be one transaction each.
    assert!(rate > 10.0, "the masked text comes at {rate:.1} MB/s");
    assert!(!fumehood_tests::fixtures::contains(&masked, b"@customer-mail.example"));
    let peak = peak_memory(server.pid()).unwrap();
    assert!(peak < PEAK, "peak of {} MiB after reading it back", peak >> 20);
    assert!(server.stop().success());
}

#[test]
fn an_upload_is_cancelled_and_leaves_nothing() {
    let data = Data::prepared();
    let server = data.start();
    let client = server.client(&data.token("admin"));
    let incident = client.incident("Cancelled");
    let uploader = {
        let (client, incident) = (client.clone(), incident.clone());
        std::thread::spawn(move || client.upload_from(&incident, "large.log", Stream::new(4 << 30, 500)))
    };
    let log = wait_for("some of the upload", Duration::from_secs(60), || {
        let logs = client.get(&format!("/api/v1/incidents/{incident}/logs")).json();
        let log = logs[0].clone();
        (log["received_bytes"].as_i64() > Some(1 << 20)).then_some(log)
    });
    let path = format!("/api/v1/logs/{}", log["id"].as_str().unwrap());
    client.send("POST", &format!("{path}/cancel"), &serde_json::Value::Null).expect(204);
    // The answer may not get through to a client that is still writing; the state is what counts.
    if let Ok(answer) = uploader.join().unwrap() {
        answer.problem(409);
    }
    wait_for("the end of the upload", Duration::from_secs(20), || {
        (client.get(&path).json()["state"] == "cancelled").then_some(())
    });
    client.get(&format!("{path}/redacted")).problem(409);
    client.upload(&incident, "next.log", b"and on\n").expect(201);
}
