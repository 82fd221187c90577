//! Scans JSON lines (`{"id":…,"text":…}`) from standard input and writes findings in the format of
//! `fumehood scan --format jsonl`; with `--merge FOUND` unites them with what another scanner found (a file of the same
//! format); with `--speed N`, scans all texts joined N times and writes megabytes a second.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool for developers, which may stop where its input is wrong"
)]

use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Instant;

fn main() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let documents: Vec<serde_json::Value> = input.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let scanner = scanner_prose::prepare("{}").unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == "--speed") {
        let rounds: usize = arguments.get(2).map_or(10, |n| n.parse().unwrap());
        let mut text = String::new();
        for document in &documents {
            text.push_str(document["text"].as_str().unwrap());
            text.push('\n');
        }
        let begin = Instant::now();
        let mut findings = 0;
        for _ in 0..rounds {
            findings += scanner.scan(&text, false, false).len();
        }
        let seconds = begin.elapsed().as_secs_f64();
        let megabytes = (text.len() * rounds) as f64 / 1e6;
        println!("{megabytes:.1} MB, {findings} findings, {:.1} MB/s", megabytes / seconds);
        return;
    }
    let mut others = std::collections::BTreeMap::new();
    if arguments.get(1).is_some_and(|argument| argument == "--merge") {
        for line in std::fs::read_to_string(&arguments[2]).unwrap().lines() {
            let found: serde_json::Value = serde_json::from_str(line).unwrap();
            let spans: Vec<String> = found["spans"].as_array().unwrap().iter().map(ToString::to_string).collect();
            others.insert(found["id"].to_string(), spans.join(","));
        }
    }
    for document in &documents {
        let found = scanner.scan(document["text"].as_str().unwrap(), false, false);
        let mut spans = others.remove(&document["id"].to_string()).unwrap_or_default();
        for f in found {
            let comma = if spans.is_empty() { "" } else { "," };
            write!(
                spans,
                r#"{comma}{{"type":"{}","start":{},"end":{},"confidence":{:.2},"detector":"{}"}}"#,
                f.kind.name(),
                f.start,
                f.end,
                f.confidence,
                f.detector
            )
            .unwrap();
        }
        println!(r#"{{"id":{},"spans":[{spans}]}}"#, document["id"]);
    }
}
