//! Logs in order, checkpoints that cannot be trusted, and intents without outcomes. What was done to rows is in
//! `tampered`.

use ed25519_dalek::SigningKey;

use super::*;
use crate::checkpoint::Checkpoint;

mod tampered;

const ORIGIN: &str = "fumehood.example/audit";
/// Checkpoints are made after every so many entries.
const EVERY: u64 = 4;

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    index: u64,
    bytes: Vec<u8>,
    hash: Hash,
}

/// A database and what was copied out of it.
#[derive(Clone, Debug, PartialEq)]
struct Log {
    rows: Vec<Row>,
    stored: Vec<String>,
    outside: String,
}

/// Entry `index` of the honest log: intent, outcome, event, event, and again; `salt` makes another history.
fn entry(index: u64, salt: &str) -> Entry {
    let (phase, intent, result) = match index % 4 {
        0 => (Phase::Intent, None, ""),
        1 => (Phase::Outcome, Some(index - 1), "ok"),
        _ => (Phase::Event, None, ""),
    };
    Entry {
        index,
        time_us: 1_000 + index as i64,
        tenant: "acme".into(),
        actor: "user:1".into(),
        action: "incident.create".into(),
        target: format!("incident:{index}{salt}"),
        phase,
        intent,
        result: result.into(),
        details: vec![],
    }
}

fn row(entry: &Entry) -> Row {
    let bytes = entry.encode().unwrap();
    Row { index: entry.index, hash: leaf_hash(&bytes), bytes }
}

fn note(size: u64, root: Hash) -> String {
    Checkpoint::new(ORIGIN, size, root, 5).unwrap().sign(&signing_key()).to_string()
}

impl Log {
    fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut log = Self { rows: vec![], stored: vec![], outside: String::new() };
        let mut frontier = Frontier::new();
        for entry in entries {
            let row = row(&entry);
            frontier.append(row.hash);
            log.rows.push(row);
            if frontier.size().is_multiple_of(EVERY) {
                log.stored.push(note(frontier.size(), frontier.root()));
            }
        }
        log.outside = log.stored.concat();
        log
    }

    fn honest(size: u64) -> Self {
        Self::of((0..size).map(|index| entry(index, "")))
    }

    /// Make everything fit but what was signed: rows numbered afresh and hashes computed again.
    fn covered_up(mut self) -> Self {
        for (index, row) in self.rows.iter_mut().enumerate() {
            let mut entry = Entry::decode(&row.bytes).unwrap();
            entry.index = index as u64;
            entry.intent = entry.intent.map(|intent| intent.min(entry.index.saturating_sub(1)));
            if entry.intent == Some(entry.index) {
                // An outcome cannot be the first of all.
                (entry.phase, entry.intent) = (Phase::Event, None);
            }
            *row = self::row(&entry);
        }
        self
    }

    fn verify(&self) -> Result<Report, Fault> {
        self.verify_rows(self.verifier()?)
    }

    fn verifier(&self) -> Result<Verifier, Fault> {
        let key = VerifierKey::new(ORIGIN, signing_key().verifying_key()).unwrap();
        let mut verifier = Verifier::new(vec![key]);
        for note in &self.stored {
            verifier.stored_checkpoint(note)?;
        }
        verifier.outside_file(self.outside.as_bytes())?;
        Ok(verifier)
    }

    fn verify_rows(&self, mut verifier: Verifier) -> Result<Report, Fault> {
        for row in &self.rows {
            verifier.entry(row.index, &row.bytes, row.hash.as_bytes())?;
        }
        verifier.finish()
    }

    fn fault(&self) -> Fault {
        self.verify().unwrap_err()
    }
}

fn outside(line: usize) -> Note {
    Note { origin: Origin::Outside, place: line }
}

/// The note of the honest outside file that covers `size` entries; each has six lines.
fn outside_for(size: u64) -> Note {
    outside((size / EVERY - 1) as usize * 6 + 1)
}

#[test]
fn an_honest_log_is_in_order() {
    let report = Log::honest(18).verify().unwrap();
    assert_eq!(report.entries, 18);
    assert_eq!(report.last_checkpoint_size, Some(16));
    assert_eq!(report.covered_by_outside, Some(16));
    assert_eq!((report.stored_checkpoints, report.outside_checkpoints), (4, 4));
    assert_eq!(report.unknown_outcomes, Vec::<u64>::new());
    assert_eq!((report.first_time_us, report.last_time_us), (Some(1_000), Some(1_017)));
    assert_eq!(
        report.to_string(),
        format!(
            "The log is in order: 18 entries, root {}.\nThe last of 4 stored checkpoints covers 16; 2 entries after it are \
             not signed yet.\nOutside checkpoints cover the first 16; whoever can write the database could have changed, \
             added or cut off what follows: 2 entries now.\nEvery intent has its outcome.\n",
            report.root.to_base64()
        )
    );
    assert_eq!(Log::honest(0).verify().unwrap().entries, 0);
}

#[test]
fn checkpoints_that_cannot_be_trusted_are_refused() {
    let honest = Log::honest(9);
    let other_key = Checkpoint::new(ORIGIN, 8, empty_root(), 5).unwrap().sign(&SigningKey::from_bytes(&[2; 32]));
    let mut log = honest.clone();
    log.stored.push(other_key.to_string());
    let fault = log.fault();
    let note = Note { origin: Origin::Stored, place: 3 };
    assert!(
        matches!(&fault.what, FaultKind::BadCheckpoint { note: at, error: CheckpointError::UnknownKey(_) } if *at == note),
        "{fault}"
    );

    let mut log = honest.clone();
    log.outside = log.outside.replacen("\n8\n", "\n9\n", 1);
    let fault = log.fault();
    assert!(
        matches!(&fault.what, FaultKind::BadCheckpoint { note, error: CheckpointError::BadSignature(_) } if *note == outside(7)),
        "{fault}"
    );

    let mut log = honest.clone();
    log.stored = vec![Checkpoint::new("other.example", 0, empty_root(), 5).unwrap().sign(&signing_key()).to_string()];
    assert!(matches!(log.fault().what, FaultKind::OtherLog { .. }));

    let mut log = honest.clone();
    log.stored = vec![note_of_zero()];
    assert!(matches!(log.fault().what, FaultKind::EmptyRoot { .. }));

    let mut log = honest;
    log.outside.insert_str(0, "junk\n\n— x y\n");
    assert!(matches!(&log.fault().what, FaultKind::BadCheckpoint { note, .. } if *note == outside(1)));
}

fn note_of_zero() -> String {
    note(0, leaf_hash(b"not empty"))
}

#[test]
fn a_checkpoint_after_the_entries_is_refused() {
    let log = Log::honest(4);
    let key = VerifierKey::new(ORIGIN, signing_key().verifying_key()).unwrap();
    let mut verifier = Verifier::new(vec![key]);
    verifier.entry(0, &log.rows[0].bytes, log.rows[0].hash.as_bytes()).unwrap();
    let fault = verifier.stored_checkpoint(&log.stored[0]).unwrap_err();
    assert!(matches!(fault.what, FaultKind::TooLate { .. }));
}

#[test]
fn an_older_key_still_verifies_its_checkpoints() {
    let log = Log::honest(4);
    let keys =
        [2, 1].map(|seed| VerifierKey::new(ORIGIN, SigningKey::from_bytes(&[seed; 32]).verifying_key()).unwrap());
    let mut verifier = Verifier::new(keys.to_vec());
    verifier.stored_checkpoint(&log.stored[0]).unwrap();
}

#[test]
fn a_torn_outside_note_is_reported() {
    let mut log = Log::honest(9);
    let end = log.outside.len() - 10;
    log.outside.truncate(end);
    let report = log.verify().unwrap();
    assert_eq!((report.torn_outside_line, report.covered_by_outside), (Some(7), Some(4)));
    assert!(
        report.to_string().contains("The last note of the outside file, on line 7, is incomplete and was left out.")
    );
}

#[test]
fn intents_and_outcomes_belong_together() {
    let report = Log::honest(17).verify().unwrap();
    assert_eq!(report.unknown_outcomes, [16]);
    let text = report.to_string();
    assert!(text.contains("covers 16; 1 entry after it is not signed yet.\n"), "{text}");
    assert!(text.contains("cut off what follows: 1 entry now.\n"), "{text}");
    assert!(
        text.ends_with("1 intent has no outcome, entry 16: it is under way, or was cut off and may have happened.\n"),
        "{text}"
    );

    let text = Log::of([entry(0, ""), entry(4, "")].map(|one| Entry { index: one.index / 4, ..one })).verify().unwrap();
    assert!(text.to_string().contains("2 intents have no outcome, the first is entry 0"), "{text}");
    assert!(
        Log::honest(4).verify().unwrap().to_string().contains("The stored checkpoint covers 4; every entry is signed.")
    );

    let outcome = |index, intent| Entry { index, intent: Some(intent), ..entry(1, "") };
    let twice = Log::of([entry(0, ""), entry(1, ""), outcome(2, 0)]);
    assert_eq!(twice.fault(), Fault { index: Some(2), what: FaultKind::OutcomeTwice { intent: 0 } });
    let of_an_event = Log::of([entry(0, ""), entry(1, ""), entry(2, ""), outcome(3, 2)]);
    assert_eq!(of_an_event.fault(), Fault { index: Some(3), what: FaultKind::OutcomeWithoutIntent { intent: 2 } });
    let many = (0..130).map(|index| entry(index, "")).chain([outcome(130, 128)]);
    assert_eq!(Log::of(many).fault().what, FaultKind::OutcomeTwice { intent: 128 });
}

#[test]
fn the_first_fault_stays() {
    let log = Log::honest(4);
    let mut verifier = Verifier::new(vec![]);
    let fault = verifier.entry(1, &log.rows[1].bytes, log.rows[1].hash.as_bytes()).unwrap_err();
    assert_eq!(verifier.entry(0, &log.rows[0].bytes, log.rows[0].hash.as_bytes()), Err(fault.clone()));
    assert_eq!(verifier.finish(), Err(fault));
}

#[test]
fn what_can_still_be_trusted_is_told() {
    let mut log = Log::honest(18);
    log.rows[9] = row(&entry(9, "edited"));
    let mut verifier = log.verifier().unwrap();
    assert!(log.rows.iter().any(|row| { verifier.entry(row.index, &row.bytes, row.hash.as_bytes()).is_err() }));
    assert_eq!(verifier.confirmed(), 8);
}

#[test]
fn an_outcome_that_does_not_fit_comes_before_a_later_fault() {
    let mut log = Log::of([
        entry(0, ""),
        Entry { index: 1, ..entry(2, "") },
        Entry { intent: Some(1), index: 2, ..entry(1, "") },
    ]);
    log.rows.push(row(&entry(4, "")));
    let what = FaultKind::OutcomeWithoutIntent { intent: 1 };
    assert_eq!(log.fault(), Fault { index: Some(2), what });
}

#[test]
fn two_stored_checkpoints_that_contradict_each_other_are_a_fork() {
    let mut log = Log::honest(9);
    log.outside.clear();
    log.stored.push(note(8, leaf_hash(b"other history")));
    let stored = |place| Note { origin: Origin::Stored, place };
    let what = FaultKind::Forked { one: stored(3), other: stored(2), size: 8 };
    assert_eq!(log.fault(), Fault { index: Some(4), what });
}

#[test]
fn a_stored_checkpoint_that_is_ahead_is_named_before_an_outside_one() {
    let mut log = Log::honest(9);
    log.rows.truncate(6);
    log.outside = Log::honest(12).outside;
    let note = Note { origin: Origin::Stored, place: 2 };
    let what = FaultKind::Truncated { note, size: 8, entries: 6, confirmed: 4 };
    assert_eq!(log.fault(), Fault { index: Some(6), what });
}
