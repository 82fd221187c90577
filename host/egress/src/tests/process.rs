//! Real processes: what they inherit, how they end, what they cannot hold up.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::{Output, Pinned, Process, ProcessError, ProcessSpec};

fn command(command: &str, arguments: &[&str]) -> ProcessSpec {
    ProcessSpec {
        command: PathBuf::from(command),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: Vec::new(),
        folder: PathBuf::from("/"),
        pinned: None,
    }
}

fn shell(script: &str) -> ProcessSpec {
    command("/bin/sh", &["-c", script])
}

fn start(spec: ProcessSpec) -> Process {
    egress().spawn(spec).unwrap()
}

/// All that it says until it exits, and its exit code.
async fn run(process: &mut Process) -> (String, Option<i32>) {
    let mut said = Vec::new();
    loop {
        match process.read().await {
            Output::Stdout(bytes) => {
                assert!((1..=64 << 10).contains(&bytes.len()));
                said.extend_from_slice(&bytes);
            }
            Output::Exit { code } => return (String::from_utf8_lossy(&said).into_owned(), code),
        }
    }
}

/// The process numbers that it says on its first lines.
async fn numbers(process: &mut Process, count: usize) -> Vec<u32> {
    let mut said = String::new();
    loop {
        if said.ends_with('\n') && said.lines().count() >= count {
            return said.lines().take(count).map(|line| line.parse().unwrap()).collect();
        }
        match process.read().await {
            Output::Stdout(bytes) => said.push_str(std::str::from_utf8(&bytes).unwrap()),
            Output::Exit { code } => panic!("exited with {code:?} after {said}"),
        }
    }
}

/// `R`, `S`, `Z` and so on; nothing where there is no such process.
fn state(number: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Dead, if perhaps not yet reaped by whoever is to.
fn is_dead(number: u32) -> bool {
    matches!(state(number), None | Some('Z' | 'X'))
}

async fn until_dead(numbers: &[u32]) {
    eventually("processes die", || numbers.iter().all(|number| is_dead(*number))).await;
}

fn written(number: u32) -> u64 {
    let counts = fs::read_to_string(format!("/proc/{number}/io")).unwrap();
    counts.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_written_comes_back_and_closing_the_input_ends_it() {
    let mut cat = start(command("/bin/cat", &[]));
    cat.write(b"one\n").await.unwrap();
    assert_eq!(cat.read().await, Output::Stdout("one\n".into()));
    cat.close_input();
    assert_eq!(cat.read().await, Output::Exit { code: Some(0) });
    assert_eq!(cat.read().await, Output::Exit { code: Some(0) });
    assert_eq!(cat.write(b"two\n").await, Err(ProcessError::InputClosed));
}

#[tokio::test]
async fn it_gets_what_it_was_given_and_nothing_else() {
    assert!(std::env::vars().count() > 0, "an empty environment of ours would show nothing");
    let mut spec = command("/usr/bin/env", &[]);
    spec.environment = vec![("ONE".to_owned(), "a b".to_owned()), ("TWO".to_owned(), "$HOME".to_owned())];
    assert_eq!(run(&mut start(spec)).await, ("ONE=a b\nTWO=$HOME\n".to_owned(), Some(0)));

    let mut spec = command("/bin/echo", &["a  b", "$(id)", "*", ";true"]);
    assert_eq!(run(&mut start(spec.clone())).await, ("a  b $(id) * ;true\n".to_owned(), Some(0)));
    spec.folder = "/usr/../usr".into();
    spec.command = "/bin/pwd".into();
    spec.arguments.clear();
    assert_eq!(run(&mut start(spec)).await, ("/usr\n".to_owned(), Some(0)));
}

/// What our own descriptors stand for, as far as they close on exec; all that this program opens does.
fn closing_on_exec() -> Vec<String> {
    const CLOEXEC: u32 = 0o2_000_000;
    let closes = |number: &str| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        flags.is_some_and(|flags| u32::from_str_radix(flags.trim(), 8).unwrap() & CLOEXEC != 0)
    };
    let ours = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let ours = ours.filter(|entry| closes(entry.file_name().to_str().unwrap()));
    ours.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_str()?.to_owned())).collect()
}

#[tokio::test]
async fn it_inherits_no_file_and_no_socket() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let _socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _sibling = start(command("/bin/cat", &[]));
    let ours = closing_on_exec();
    assert!(ours.contains(&file.path().to_str().unwrap().to_owned()));
    for kind in ["socket:", "pipe:"] {
        assert!(ours.iter().any(|target| target.starts_with(kind)), "{ours:?}");
    }
    let (listing, code) = run(&mut start(command("/bin/ls", &["-l", "/proc/self/fd"]))).await;
    assert_eq!(code, Some(0));
    let theirs: Vec<_> = listing.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    assert!(theirs.len() >= 4, "{listing}");
    for target in theirs {
        assert!(!ours.contains(&target.to_owned()), "{target}\n{listing}");
    }
}

#[tokio::test]
async fn no_sibling_keeps_an_input_open() {
    let mut first = start(command("/bin/cat", &[]));
    let _second = start(command("/bin/cat", &[]));
    first.close_input();
    assert_eq!(run(&mut first).await, (String::new(), Some(0)));
}

#[tokio::test]
async fn exits_are_told_apart() {
    assert_eq!(run(&mut start(shell("echo out; exit 7"))).await, ("out\n".to_owned(), Some(7)));
    assert_eq!(run(&mut start(shell("kill -9 $$"))).await, (String::new(), None));
    let error = egress().spawn(command("cat", &[])).unwrap_err();
    assert_eq!(error.code(), "invalid");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("no-interpreter");
    fs::write(&script, "#!/nowhere/at/all\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = egress().spawn(command(script.to_str().unwrap(), &[])).unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(error.to_string().starts_with("the process could not be started: "), "{error}");
}

#[tokio::test]
async fn killing_takes_the_whole_group() {
    let mut process = start(shell("sleep 100 & echo $!; (sleep 100 & echo $!; wait) & sleep 100 & echo $$; wait"));
    let group = numbers(&mut process, 3).await;
    assert!(group.iter().all(|number| !is_dead(*number)));
    let begun = Instant::now();
    process.kill().await;
    assert!(begun.elapsed() < Duration::from_millis(1500), "SIGTERM was enough");
    until_dead(&group).await;
}

#[tokio::test]
async fn a_process_that_ignores_the_polite_signal_is_killed_after_two_seconds() {
    let mut process = start(shell("trap '' TERM; echo $$; while :; do sleep 0.1; done"));
    let group = numbers(&mut process, 1).await;
    let begun = Instant::now();
    process.kill().await;
    let took = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(4)).contains(&took), "{took:?}");
    assert_eq!(state(group[0]), None, "reaped when `kill` returns");
}

#[tokio::test]
async fn a_process_may_finish_what_it_says_in_parting() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    // It writes more than a pipe holds before it puts down its proof.
    let script = format!(
        "trap 'head -c 300000 /dev/zero; echo done > {}; exit 0' TERM; echo $$; while :; do sleep 0.1; done",
        proof.display()
    );
    let mut process = start(shell(&script));
    numbers(&mut process, 1).await;
    process.kill().await;
    assert_eq!(fs::read_to_string(proof).unwrap(), "done\n");
}

#[tokio::test]
async fn dropping_kills_the_whole_group_at_once() {
    let mut process = start(shell("trap '' TERM; sleep 100 & echo $!; echo $$; wait"));
    let group = numbers(&mut process, 2).await;
    let begun = Instant::now();
    drop(process);
    until_dead(&group).await;
    assert!(begun.elapsed() < Duration::from_millis(1500));
}

#[tokio::test]
async fn the_group_ends_with_its_leader() {
    let mut process = start(shell("sleep 100 & echo $!; exit 3"));
    let group = numbers(&mut process, 1).await;
    let begun = Instant::now();
    assert_eq!(process.read().await, Output::Exit { code: Some(3) });
    assert!(begun.elapsed() < Duration::from_millis(900), "no pipe was left open");
    until_dead(&group).await;
}

#[tokio::test]
async fn a_stray_that_left_the_group_cannot_hold_up_the_exit() {
    let mut process = start(shell("setsid sleep 6 & echo said; exit 0"));
    let begun = Instant::now();
    assert_eq!(run(&mut process).await, ("said\n".to_owned(), Some(0)));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_process_that_closes_its_output_is_not_waited_for() {
    let mut process = start(shell("echo $$; exec >&-; sleep 100"));
    let group = numbers(&mut process, 1).await;
    let begun = Instant::now();
    assert_eq!(process.read().await, Output::Exit { code: None });
    let took = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(4)).contains(&took), "{took:?}");
    until_dead(&group).await;
}

#[tokio::test]
async fn a_hundred_leave_nothing() {
    let egress = Egress::new(EgressConfig { processes: 4, ..EgressConfig::default() }).unwrap();
    let mut all = Vec::new();
    for round in 0..100 {
        let script = "sleep 100 & echo $!; echo $$; read line";
        eventually("a place is free", || egress.0.processes.available_permits() > 0).await;
        let mut process = egress.spawn(shell(script)).unwrap();
        all.extend(numbers(&mut process, 2).await);
        match round % 4 {
            0 => process.kill().await,
            1 => drop(process),
            2 => {
                process.write(b"go\n").await.unwrap();
                assert_eq!(process.read().await, Output::Exit { code: Some(0) });
            }
            // Its exit is noticed although nobody reads.
            _ => process.close_input(),
        }
    }
    eventually("all places are free", || egress.0.processes.available_permits() == 4).await;
    until_dead(&all).await;
    for leader in all.chunks(2).map(|pair| pair[1]) {
        assert_eq!(state(leader), None, "{leader} is not reaped");
    }
}

#[tokio::test]
async fn there_are_only_so_many_at_once() {
    let egress = Egress::new(EgressConfig { processes: 2, ..EgressConfig::default() }).unwrap();
    let first = egress.spawn(command("/bin/cat", &[])).unwrap();
    let _second = egress.spawn(command("/bin/cat", &[])).unwrap();
    let error = egress.spawn(command("/bin/cat", &[])).unwrap_err();
    assert_eq!((error.code(), &error), ("unavailable", &ProcessError::TooMany { limit: 2 }));
    assert_eq!(error.to_string(), "2 processes are running, which is the limit; stop one first");
    first.kill().await;
    egress.spawn(command("/bin/cat", &[])).unwrap();
}

#[tokio::test]
async fn a_flood_waits_until_it_is_read() {
    let mut process = start(shell("echo $$; exec yes"));
    let Output::Stdout(said) = process.read().await else { panic!("it exited") };
    let number = std::str::from_utf8(&said).unwrap().lines().next().unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = written(number);
    assert!(first < 512 << 10, "{first} bytes were taken in though nobody read");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((written(number), state(number)), (first, Some('S')));
    let mut read = 0;
    while read < 1 << 20 {
        let Output::Stdout(bytes) = process.read().await else { panic!("it exited") };
        read += bytes.len();
    }
}

#[tokio::test]
async fn a_process_that_does_not_listen_times_out() {
    let config = EgressConfig { process_write: Duration::from_millis(300), ..EgressConfig::default() };
    let egress = Egress::new(config).unwrap();
    let mut process = egress.spawn(command("/bin/sleep", &["100"])).unwrap();
    let error = process.write(&vec![b'x'; 1 << 20]).await.unwrap_err();
    assert_eq!(error.to_string(), "the process did not take what was written to it within 300 ms");
    assert_eq!(error.code(), "outcome-unknown");
    assert_eq!(process.write(b"x").await, Err(ProcessError::InputClosed));

    // One that floods meanwhile is held back at the limit.
    let mut process = egress.spawn(shell("echo $$; exec yes")).unwrap();
    let Output::Stdout(said) = process.read().await else { panic!("it exited") };
    let number = std::str::from_utf8(&said).unwrap().lines().next().unwrap().parse().unwrap();
    assert_eq!(process.write(&vec![b'x'; 1 << 20]).await.unwrap_err().code(), "outcome-unknown");
    let taken = written(number);
    assert!(taken < (9 << 20), "{taken} bytes were taken in");

    let mut process = egress.spawn(shell("exec <&-; sleep 0.1; exit 0")).unwrap();
    let error = process.write(&vec![b'x'; 1 << 20]).await.unwrap_err();
    assert!(matches!(error, ProcessError::Write(_)), "{error}");
}

#[tokio::test]
async fn speaking_and_listening_do_not_lock_up() {
    let message: Vec<u8> = (0..4 << 20).map(|number: u32| number as u8).collect();
    let mut cat = start(command("/bin/cat", &[]));
    cat.write(&message).await.unwrap();
    cat.close_input();
    let mut back = Vec::new();
    while let Output::Stdout(bytes) = cat.read().await {
        back.extend_from_slice(&bytes);
    }
    assert!(back == message);
}

#[tokio::test]
async fn a_write_that_is_given_up_half_way_closes_the_input() {
    let mut process = start(command("/bin/sleep", &["100"]));
    let whole = vec![b'x'; 1 << 20];
    assert!(tokio::time::timeout(Duration::from_millis(50), process.write(&whole)).await.is_err());
    assert_eq!(process.write(b"x").await, Err(ProcessError::InputClosed));
}

#[tokio::test]
async fn the_end_of_standard_error_is_there_when_the_exit_is_told() {
    let mut process = start(shell("head -c 1000000 /dev/zero >&2; echo the reason >&2; exit 1"));
    assert_eq!(run(&mut process).await, (String::new(), Some(1)));
    let tail = process.stderr_tail();
    assert!(tail.ends_with("\0the reason\n"));
    assert_eq!(tail.len(), 16 << 10);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn grandchildren_that_become_ours_are_reaped() {
    // As if this were the init of a container.
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).unwrap();
    let mut process = start(shell("(sleep 100 & echo $!; exec sleep 100) & echo $!; sleep 0.1; exit 0"));
    let group = numbers(&mut process, 2).await;
    assert_eq!(process.read().await, Output::Exit { code: Some(0) });
    assert_eq!(group.iter().map(|number| state(*number)).collect::<Vec<_>>(), [None, None]);
}

#[tokio::test]
async fn a_process_can_be_moved_between_tasks() {
    let task = tokio::spawn(async {
        let mut cat = start(command("/bin/cat", &[]));
        cat.write(b"x").await.unwrap();
        let said = cat.read().await;
        cat.kill().await;
        said
    });
    assert_eq!(task.await.unwrap(), Output::Stdout("x".into()));
}

#[tokio::test]
async fn a_pinned_program_runs_as_it_was_looked_at_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    let pinned = || {
        let mut spec = command(path.to_str().unwrap(), &["one"]);
        spec.pinned = Some(Pinned::open(&path).unwrap());
        spec
    };
    let refused =
        |spec: ProcessSpec| Egress::new(EgressConfig::default()).unwrap().spawn(spec).unwrap_err().to_string();
    std::fs::copy("/bin/echo", &path).unwrap();
    assert_eq!(run(&mut start(pinned())).await, ("one\n".to_owned(), Some(0)), "from its descriptor");
    let spec = pinned();
    // Another file in its place.
    std::fs::copy("/bin/false", folder.path().join("other")).unwrap();
    std::fs::rename(folder.path().join("other"), &path).unwrap();
    assert!(refused(spec).contains("it was changed after it was looked at"));
    // The very file was written to.
    let spec = pinned();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(10).unwrap();
    assert!(refused(spec).contains("it was changed after it was looked at"));
    // A script goes by its path, so that has to lead to the same file.
    std::fs::write(&path, "#!/bin/sh\necho script\n").unwrap();
    assert_eq!(run(&mut start(pinned())).await, ("script\n".to_owned(), Some(0)));
    let spec = pinned();
    std::fs::copy("/bin/false", folder.path().join("other")).unwrap();
    std::fs::rename(folder.path().join("other"), &path).unwrap();
    assert!(refused(spec).contains("it was changed after it was looked at"));
}
