//! Measures a scan: `speed RULES.json [ROUNDS] [TEXT]` prepares the rules and scans a text of log lines (or the file
//! TEXT) so many times. `speed --cases RULES.json CASES.jsonl` scans cases (`{"id":…,"text":…,"name":…}`) and writes for
//! each what was found, as JSON.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool for developers, which may stop where its input is wrong"
)]

use std::fmt::Write as _;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "--cases") {
        let scanner = prepare(&arguments[1]);
        for line in std::fs::read_to_string(&arguments[2]).unwrap().lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = case["text"].as_str().unwrap();
            let found: Vec<_> = scanner
                .scan(text, case["name"].as_str(), false, false)
                .iter()
                .map(|f| serde_json::json!([f.kind, f.start, f.end, f.detector.as_ref(), &text[f.start..f.end]]))
                .collect();
            println!("{}", serde_json::json!({"id": case["id"], "found": found}));
        }
        return;
    }
    let begin = Instant::now();
    let scanner = prepare(&arguments[0]);
    println!("prepared in {:.2} s, {:.1} MB of patterns", begin.elapsed().as_secs_f64(), scanner.memory() as f64 / 1e6);
    let rounds: usize = arguments.get(1).map_or(5, |n| n.parse().unwrap());
    let text = arguments.get(2).map_or_else(log, |path| std::fs::read_to_string(path).unwrap());
    for (what, size) in [("windows of 1 MiB", 1 << 20), ("windows of 64 KiB", 64 << 10), ("windows of 4 KiB", 4 << 10)]
    {
        let begin = Instant::now();
        let (mut findings, mut bytes) = (0, 0);
        for _ in 0..rounds {
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (window, after) = rest.split_at(rest.floor_char_boundary(size));
                findings += scanner.scan(window, Some("app.log"), false, false).len();
                bytes += window.len();
                rest = after;
            }
        }
        let megabytes = bytes as f64 / 1e6;
        println!(
            "{what}: {megabytes:.1} MB, {findings} findings, {:.1} MB/s",
            megabytes / begin.elapsed().as_secs_f64()
        );
    }
}

fn prepare(path: &str) -> scanner_rules::Scanner {
    let rules = if path == "-" { TYPES.to_owned() } else { std::fs::read_to_string(path).unwrap() };
    scanner_rules::prepare(&rules).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    })
}

/// Eight megabytes of lines as services write them, without a secret.
fn log() -> String {
    let mut text = String::new();
    let mut seed = 12345_u64;
    let mut random = move |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    const WORDS: &[&str] = &[
        "request",
        "completed",
        "order",
        "shipped",
        "payment",
        "retry",
        "cache",
        "miss",
        "worker",
        "started",
        "queue",
        "empty",
        "connection",
        "closed",
        "by",
        "peer",
        "user",
        "logged",
        "out",
        "monkey",
        "session",
        "expired",
        "token",
        "refreshed",
        "author",
        "updated",
        "index",
        "rebuilt",
        "in",
        "milliseconds",
        "disk",
        "usage",
        "normal",
        "the",
    ];
    while text.len() < 8 << 20 {
        let (n, m) = (random(100_000), random(1000));
        let _ = match random(4) {
            0 => write!(
                text,
                "2026-03-0{} 12:{:02}:{:02}.{m:03} INFO [worker-{}] c.a.Service - ",
                1 + n % 9,
                n % 60,
                m % 60,
                n % 8
            ),
            1 => write!(text, "10.0.{}.{} - - \"GET /v1/orders/{n}?page={m} HTTP/1.1\" 200 {n} ", n % 255, m % 255),
            2 => write!(
                text,
                "level=info ts=17{n:08} caller=main.go:{m} msg=\"handled\" status=200 dur={m}ms id={n:08x}{m:04x} "
            ),
            _ => write!(text, "{{\"level\":\"warn\",\"trace\":\"{n:08x}{m:08x}\",\"count\":{m},\"ok\":true}} "),
        };
        for _ in 0..random(12) {
            text.push_str(WORDS[random(WORDS.len() as u64) as usize]);
            text.push(' ');
        }
        text.push('\n');
    }
    text
}

/// Twenty types as an organisation might have them.
const TYPES: &str = r#"{"types":[
{"name":"T01","pattern":"\\bE-(\\d{6})\\b"},
{"name":"T02","pattern":"\\bACME-[A-Z]{2}-\\d{4,8}\\b"},
{"name":"T03","pattern":"\\bcust_[a-z0-9]{12}\\b"},
{"name":"T04","pattern":"\\b[A-Z]{2}\\d{6}[A-D]\\b","words":["passport","national insurance"]},
{"name":"T05","pattern":"\\b\\d{3} \\d{3} \\d{4}\\b","validator":"mod11","words":["nhs"]},
{"name":"T06","pattern":"(?i)\\bbadge[:= ]+(\\d{5})\\b"},
{"name":"T07","pattern":"\\bPOL\\d{9}\\b"},
{"name":"T08","pattern":"\\bKD-\\d{4}-\\d{4}\\b"},
{"name":"T09","pattern":"(?-u)\\b[0-9A-F]{4}:[0-9A-F]{4}:[0-9A-F]{4}\\b"},
{"name":"T10","pattern":"\\b[A-Z]{3}[0-9]{7}\\b"},
{"name":"T11","pattern":"\\b\\d{11}\\b","validator":"cpf"},
{"name":"T12","pattern":"jira/browse/([A-Z]+-\\d+)"},
{"name":"T13","pattern":"\\bmrn[ #:]*(\\d{7,8})\\b"},
{"name":"T14","pattern":"corp\\\\[a-z]{3,8}"},
{"name":"T15","pattern":"\\bsvc-[a-z]+-(?:prod|test)\\b"},
{"name":"T16","pattern":"[a-z]+\\.[a-z]+@acme\\.example"},
{"name":"T17","pattern":"\\bINV/\\d{4}/\\d+\\b"},
{"name":"T18","pattern":"\\bDE\\d{9}\\b"},
{"name":"T19","pattern":"(?i)contract (?:no|number)[.: ]+([A-Z0-9-]{6,})"},
{"name":"T20","pattern":"\\btenant:([0-9a-f]{24})\\b"}]}"#;
