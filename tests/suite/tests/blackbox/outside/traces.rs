//! Traces, as a strict collector gets them.

use super::caller::Caller;
use super::*;

#[test]
fn a_call_is_one_trace_from_the_client_to_the_server_and_says_nothing_raw() {
    let Some(collector) = Fake::start("otlp.mjs") else { return skip("traces", "there is no Node.js for the fakes") };
    let data = Data::prepared();
    let server = Launch::new(&data.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .start();
    let client = server.client(&data.token("admin"));
    let person = Person::first(&server);
    let journal = data.beside("journal");
    let model = Fake::start("model.mjs").unwrap();
    let bench = Bench { server, client, person, model, data };
    let id = bench.add_server(&hostile("Hostile", "ok", &journal));
    bench.discovered(&id);
    bench.decide(&id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/hostile", &bench.data.token("responder"), false);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let params = json!({
        "name": "echo", "arguments": {"text": "secret words of jane.roe@customer-mail.example"},
        "_meta": {"traceparent": format!("00-{trace}-00f067aa0ba902b7-01"), "tracestate": "rojo=1"},
    });
    assert!(caller.ask("tools/call", &params)["result"].is_object());
    let unknown = caller.call("jane.roe@customer-mail.example", &json!({}));
    assert!(unknown["error"].is_object());
    let spans = wait_for("spans", SETTLE, || {
        let all = collector.control("spans", &Value::Null);
        let mine: Vec<Value> =
            all.as_array().into_iter().flatten().filter(|span| span["traceId"] == trace).cloned().collect();
        (mine.len() >= 2).then_some(mine)
    });
    let of = |kind: &str| spans.iter().find(|span| span["kind"] == kind).unwrap_or_else(|| panic!("{spans:?}"));
    let (ours, upstream) = (of("server"), of("client"));
    assert_eq!((&ours["parentSpanId"], &ours["name"]), (&json!("00f067aa0ba902b7"), &json!("tools/call echo")));
    assert_eq!(upstream["parentSpanId"], ours["spanId"]);
    // The server was told which span asks it.
    let sent = std::fs::read_to_string(&journal).unwrap();
    assert!(sent.contains(&format!("00-{trace}-{}-01", upstream["spanId"].as_str().unwrap())), "{sent}");
    assert!(sent.contains("rojo=1"));
    assert_eq!(collector.control("refused", &Value::Null), json!([]), "the collector takes all of it");
    let all = collector.control("spans", &Value::Null).to_string();
    assert!(!all.contains("jane.roe") && !all.contains("secret words"), "{all}");
    let metrics = bench.client.get("/metrics").expect(200).text();
    assert!(metrics.contains("fumehood_trace_spans_dropped_total 0"), "{metrics}");
}

#[test]
fn a_collector_that_is_away_costs_nobody_anything() {
    let data = Data::prepared();
    let server = Launch::new(&data.path()).env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").start();
    server.client(&data.token("viewer")).get("/api/v1/incidents").expect(200);
    let begun = Instant::now();
    assert!(server.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(15), "the end waits for the collector");
    let said = Launch::new(&data.path()).env("OTEL_EXPORTER_OTLP_ENDPOINT", "no address").refuse();
    assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
}
