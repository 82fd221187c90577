//! Writes what the model sees of each candidate for a name, for `data/train.py`: reads JSON lines
//! (`{"id":…,"text":…}`) from standard input, writes `{"id":…,"candidates":[[start,end,score,[features]]]}`. With
//! `--names`, writes the names of the features, one a line.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool for developers, which may stop where its input is wrong"
)]

use std::fmt::Write as _;
use std::io::Read as _;

fn main() {
    if std::env::args().any(|argument| argument == "--names") {
        (0..scanner_prose::FEATURES).for_each(|n| println!("{}", scanner_prose::feature_name(n)));
        return;
    }
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let scanner = scanner_prose::prepare("{}").unwrap();
    for line in input.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut out = String::new();
        for c in scanner.judge(document["text"].as_str().unwrap()) {
            let comma = if out.is_empty() { "" } else { "," };
            write!(out, "{comma}[{},{},{:.2},{:?}]", c.start, c.end, c.score, c.features).unwrap();
        }
        println!(r#"{{"id":{},"candidates":[{out}]}}"#, document["id"]);
    }
}
