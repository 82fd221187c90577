//! `fumehood audit verify`: good records are good, and what was done to one with the tools of someone who can write to
//! the disk is found. What is done to rows inside the encrypted database is the store's own tests' business.

use std::path::Path;

use fumehood_tests::machine::{copy_folder, snapshot};
use fumehood_tests::server::text;
use fumehood_tests::{Data, Launch, Random};

struct Verdict {
    code: Option<i32>,
    said: String,
}

fn verify(data: &Data, outside: Option<&Path>) -> Verdict {
    let mut arguments = vec!["audit", "verify"];
    if let Some(path) = outside {
        arguments.extend(["--checkpoint-file", path.to_str().unwrap()]);
    }
    let output = data.run(&arguments);
    Verdict { code: output.status.code(), said: text(&output.stdout) + &text(&output.stderr) }
}

/// Do something that is recorded, and stop.
fn work(data: &Data, checkpoints: &Path, titles: std::ops::Range<u32>) {
    let server = Launch::new(&data.path()).arg("--checkpoint-file").arg(checkpoints.to_str().unwrap()).start();
    let client = server.client(&data.token("admin"));
    for i in titles {
        client.incident(&format!("Incident {i}"));
    }
    assert!(server.stop().success());
}

/// The number of entries that `ok` names.
fn entries(verdict: &Verdict) -> u64 {
    let line = verdict.said.lines().find(|line| line.starts_with("ok")).unwrap_or_else(|| panic!("{}", verdict.said));
    line.split(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty()).unwrap().parse().unwrap()
}

fn remove_database(data: &Data) {
    for name in ["fumehood.db", "fumehood.db-wal", "fumehood.db-shm"] {
        let _ = std::fs::remove_file(data.path().join(name));
    }
}

fn restore_database(from: &Path, data: &Data) {
    remove_database(data);
    for name in ["fumehood.db", "fumehood.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), data.path().join(name)).unwrap();
        }
    }
}

#[test]
fn a_good_record_is_ok_while_the_server_runs_and_after() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    let server = Launch::new(&data.path()).arg("--checkpoint-file").arg(checkpoints.to_str().unwrap()).start();
    let client = server.client(&data.token("admin"));
    let before = entries(&verify(&data, None));
    for i in 0..20 {
        client.incident(&format!("Incident {i}"));
    }
    let running = verify(&data, Some(&checkpoints));
    assert_eq!(running.code, Some(0), "{}", running.said);
    assert!(entries(&running) >= before + 20, "{}", running.said);
    assert!(server.stop().success());
    let stopped = verify(&data, Some(&checkpoints));
    assert_eq!(stopped.code, Some(0), "{}", stopped.said);
    let note = std::fs::read_to_string(&checkpoints).unwrap();
    assert!(note.contains("\n\u{2014} "), "checkpoints are signed notes: {note}");
}

#[test]
fn verifying_changes_nothing() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    work(&data, &checkpoints, 0..3);
    let files = |data: &Data| {
        let all = snapshot(&data.path()).into_iter();
        // SQLite makes and removes its shared-memory index as it reads.
        all.filter(|(path, bytes)| !path.to_string_lossy().ends_with("-shm") && !bytes.is_empty()).collect::<Vec<_>>()
    };
    let before = files(&data);
    assert_eq!(verify(&data, Some(&checkpoints)).code, Some(0));
    assert_eq!(before, files(&data));
}

#[test]
fn a_database_that_was_rolled_back_is_found_with_a_checkpoint_from_outside() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    let old = data.beside("old");
    work(&data, &checkpoints, 0..5);
    copy_folder(&data.path(), &old);
    work(&data, &checkpoints, 5..10);
    assert_eq!(verify(&data, Some(&checkpoints)).code, Some(0));

    restore_database(&old, &data);
    let found = verify(&data, Some(&checkpoints));
    assert_eq!(found.code, Some(1), "{}", found.said);
    assert!(found.said.contains("bad"), "{}", found.said);
    assert!(found.said.contains(|c: char| c.is_ascii_digit()), "the first bad entry is named: {}", found.said);
    // Without one it cannot be told, and the program says so instead of promising.
    let alone = verify(&data, None);
    assert_eq!(alone.code, Some(0));
    assert!(alone.said.contains("without a checkpoint file"), "{}", alone.said);
}

#[test]
fn a_record_that_was_rolled_back_and_continued_is_found() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    let elsewhere = data.beside("elsewhere");
    let old = data.beside("old");
    work(&data, &checkpoints, 0..5);
    copy_folder(&data.path(), &old);
    work(&data, &checkpoints, 5..8);
    // The fork is longer than the truth, and has checkpoints of its own, signed with the right key.
    restore_database(&old, &data);
    work(&data, &elsewhere, 100..130);
    assert_eq!(verify(&data, Some(&elsewhere)).code, Some(0));
    let found = verify(&data, Some(&checkpoints));
    assert_eq!(found.code, Some(1), "{}", found.said);
}

#[test]
fn a_checkpoint_file_that_was_edited_is_found() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    work(&data, &checkpoints, 0..5);
    let good = std::fs::read(&checkpoints).unwrap();
    let mut random = Random::from_clock("edited checkpoint file");
    for _ in 0..24 {
        let mut bad = good.clone();
        let at = random.below(bad.len() as u64) as usize;
        // One bit, and never one that only makes white space of white space.
        bad[at] ^= 1 << random.below(7);
        std::fs::write(&checkpoints, &bad).unwrap();
        let found = verify(&data, Some(&checkpoints));
        assert_ne!(found.code, Some(0), "byte {at} became {:#04x}: {}", bad[at], found.said);
        assert!(!found.said.contains("panicked"), "{}", found.said);
    }
    std::fs::write(&checkpoints, b"").unwrap();
    assert_ne!(verify(&data, Some(&checkpoints)).code, None);
    assert_eq!(verify(&data, Some(&data.beside("missing"))).code, Some(2));
}

#[test]
fn checkpoints_of_another_installation_prove_nothing_here() {
    let (data, other) = (Data::prepared(), Data::empty());
    let (checkpoints, foreign) = (data.beside("checkpoints"), data.beside("foreign"));
    work(&data, &checkpoints, 0..2);
    work(&other, &foreign, 0..2);
    assert_eq!(verify(&data, Some(&foreign)).code, Some(1));
    // And the other's database does not open with this one's key.
    restore_database(&other.path(), &data);
    let found = verify(&data, Some(&checkpoints));
    assert!(found.code.is_some_and(|code| code != 0), "{}", found.said);
}

#[test]
fn a_damaged_page_is_found_and_nothing_is_repaired() {
    let data = Data::prepared();
    work(&data, &data.beside("checkpoints"), 0..200);
    let good = std::fs::read(data.database()).unwrap();
    let pages = good.len() / 4096;
    assert!(pages > 20, "{pages} pages: the database was not brought up to date at the end");
    for step in 0..5 {
        let mut bad = good.clone();
        // Every fifth page, a different fifth each time: some of them hold the record.
        for page in (step..pages).step_by(5) {
            bad[page * 4096 + 2000] ^= 1;
        }
        std::fs::write(data.database(), &bad).unwrap();
        let found = verify(&data, None);
        assert!(found.code.is_some_and(|code| code != 0), "pages {step}, {}, … : {}", step + 5, found.said);
        assert!(!found.said.contains("panicked"), "{}", found.said);
        assert_eq!(std::fs::read(data.database()).unwrap(), bad);
    }
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    std::fs::write(data.database(), &cut).unwrap();
    assert!(verify(&data, None).code.is_some_and(|code| code != 0));
}

#[test]
fn a_checkpoint_file_that_is_gone_is_told_by_the_page_too() {
    let data = Data::prepared();
    let checkpoints = data.beside("checkpoints");
    let server = Launch::new(&data.path()).arg("--checkpoint-file").arg(checkpoints.to_str().unwrap()).start();
    let admin = fumehood_tests::Person::first(&server);
    admin.submit("/audit/verify", &[]);
    let page = admin.get("/audit").expect(200).text();
    assert!(page.contains("The log is in order"), "{page}");
    std::fs::remove_file(&checkpoints).unwrap();
    admin.submit("/audit/verify", &[]);
    let page = admin.get("/audit").expect(200).text();
    assert!(page.contains("cannot be read") && !page.contains("The log is in order"), "{page}");
    assert_eq!(verify(&data, Some(&checkpoints)).code, Some(2));
    // Nor is one that was emptied, or holds something else, a proof of anything.
    for text in ["", "\n\n", "not a checkpoint\n"] {
        std::fs::write(&checkpoints, text).unwrap();
        let verdict = verify(&data, Some(&checkpoints));
        assert_eq!(verdict.code, Some(1), "{text:?}: {}", verdict.said);
    }
}
