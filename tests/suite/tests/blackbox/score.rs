//! The scanner's score on labelled documents, through the built binary.
//!
//! The floors lie below what is reached, and above what others reach on the same documents: they catch a change that
//! loses something, they are no target.

use std::process::{Command, Stdio};

use fumehood_tests::Data;
use fumehood_tests::machine::{shared, skip};
use fumehood_tests::server::text;

/// Row of the scorer, least precision, least recall.
const FLOORS: [(&str, f64, f64); 2] = [("structured", 0.95, 0.95), ("secrets", 0.95, 0.80)];
/// Of the look-alikes, at most this part may be marked.
const LOOK_ALIKES: f64 = 0.02;

#[test]
fn labelled_documents_are_scored_above_the_floors() {
    let found = (shared("tools/score_pii.py"), shared("data/pii-dev.jsonl.gz"));
    let (Some(tool), Some(gold)) = found else {
        return skip("score", "the labelled documents and their scorer are not beside this checkout");
    };
    let score = |arguments: &[&std::path::Path]| {
        let output = Command::new("python3").arg(&tool).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let data = Data::prepared();
    let (docs, spans) = (data.beside("docs.jsonl"), data.beside("spans.jsonl"));
    std::fs::write(&docs, score(&["--docs".as_ref(), &gold])).unwrap();
    let mut command = data.command(&["scan", "--format", "jsonl", docs.to_str().unwrap()]);
    let status = command.stdin(Stdio::null()).stdout(std::fs::File::create(&spans).unwrap()).status().unwrap();
    assert!(status.success());
    let table = score(&[&gold, &spans]);
    eprintln!("{table}");

    // `structured   n   2341 P 0.987 R 0.991 F1 0.989 leak 0.009`
    let after = |row: &str, name: &str| -> f64 {
        let line = table.lines().find(|line| line.starts_with(row)).unwrap();
        let mut words = line.split_whitespace().skip_while(|word| *word != name);
        words.nth(1).unwrap().parse().unwrap()
    };
    for (row, precision, recall) in FLOORS {
        assert!(after(row, "P") >= precision, "precision of {row} fell below {precision}:\n{table}");
        assert!(after(row, "R") >= recall, "recall of {row} fell below {recall}:\n{table}");
    }
    assert!(after("hard negatives", "=") <= LOOK_ALIKES, "too many look-alikes are marked:\n{table}");
}
