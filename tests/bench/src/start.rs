//! A second start against a first: from the spawn to the line that says where the server listens.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::measure::{Goal, Report, Rounds, median};

/// Data folders; on each there is one first start.
const FOLDERS: usize = 3;
/// Starts on a folder after its first; the round's value is their median.
const SECOND: usize = 5;

pub fn run(report: &mut Report, binary: &Path, folder: &Path) {
    let mut rounds = Rounds::default();
    for _ in 0..FOLDERS {
        let place = tempfile::Builder::new().prefix("bench-start-").tempdir_in(folder).unwrap();
        let data = place.path().join("data");
        rounds.reference.push(start(binary, &data));
        rounds.ours.push(median(&(0..SECOND).map(|_| start(binary, &data)).collect::<Vec<_>>()));
    }
    report.ratio("second start against a first", "ms", &rounds, Some(Goal::AtMost(0.05)));
}

/// Start, wait for the line, end in order. Milliseconds to the line.
fn start(binary: &Path, data: &Path) -> f64 {
    let began = Instant::now();
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
    for variable in ["FUMEHOOD_MASTER_KEY", "FUMEHOOD_PASSPHRASE", "FUMEHOOD_KEY_FILE"] {
        command.env_remove(variable);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let taken = began.elapsed().as_secs_f64() * 1e3;
    assert!(line.starts_with("listening on "), "the server started: {line:?}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success(), "the server ended in order");
    taken
}
