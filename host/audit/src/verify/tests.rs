//! Logs edited by someone who holds the database key, and what the verifier says. Each expected sentence or fault is
//! exact, so a weaker detection fails the test.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;

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
            if frontier.size() % EVERY == 0 {
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
            *row = super::tests::row(&entry);
        }
        self
    }

    fn verify(&self) -> Result<Report, Fault> {
        let key = VerifierKey::new(ORIGIN, signing_key().verifying_key()).unwrap();
        let mut verifier = Verifier::new(vec![key]);
        for note in &self.stored {
            verifier.stored_checkpoint(note)?;
        }
        verifier.outside_file(self.outside.as_bytes())?;
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
            "The log is in order: 18 entries, root {}.\nThe last of 4 stored checkpoints covers 16.\nOutside \
             checkpoints cover the first 16; the 2 after them could have been rewritten by someone who holds the \
             database and the signing key, or cut off.\nEvery intent has its outcome.\n",
            report.root
        )
    );
    assert_eq!(Log::honest(0).verify().unwrap().entries, 0);
}

#[test]
fn an_edited_entry_is_named() {
    let mut log = Log::honest(18);
    log.rows[9].bytes = row(&entry(9, "edited")).bytes;
    let fault = log.fault();
    assert_eq!(fault, Fault { index: Some(9), what: FaultKind::Edited });
    assert_eq!(
        fault.to_string(),
        "Entry 9: its bytes do not match the leaf hash stored with it, so one of the two was edited after it was \
         written."
    );
    log.rows[9] = row(&entry(9, "edited"));
    let fault = log.fault();
    let what = FaultKind::Rewritten { note: outside_for(12), size: 12 };
    assert_eq!(fault, Fault { index: Some(8), what });
    assert_eq!(
        fault.to_string(),
        "Entry 8: the first 12 entries do not have the root that was signed in the outside checkpoint on line 13. An \
         entry between this one and 11 was edited, inserted, deleted or replaced, and the hashes were made to fit."
    );
}

#[test]
fn every_flipped_bit_of_every_row_is_found() {
    let honest = Log::honest(8);
    for at in 0..honest.rows.len() {
        for bit in 0..honest.rows[at].bytes.len() * 8 {
            let mut log = honest.clone();
            log.rows[at].bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(log.fault(), Fault { index: Some(at as u64), what: FaultKind::Edited });
            log.rows[at].hash = leaf_hash(&log.rows[at].bytes);
            let fault = log.fault();
            // Hashes made to fit: the form gives it away, or the next checkpoint does.
            let index = fault.index.unwrap();
            assert!(index == at as u64 || index == at as u64 / EVERY * EVERY || index == at as u64 + 1, "{fault}");
        }
    }
}

#[test]
fn a_deleted_entry_is_named() {
    let mut log = Log::honest(18);
    log.rows.remove(6);
    assert_eq!(log.fault(), Fault { index: Some(6), what: FaultKind::Deleted { found: 7 } });
    for (index, row) in log.rows.iter_mut().enumerate() {
        row.index = index as u64;
    }
    assert_eq!(log.fault(), Fault { index: Some(6), what: FaultKind::HoldsLater { holds: 7 } });
    let fault = log.covered_up().fault();
    assert_eq!(fault.index, Some(4));
    assert!(matches!(fault.what, FaultKind::Rewritten { size: 8, .. }), "{fault}");
}

#[test]
fn an_inserted_entry_is_named() {
    let mut log = Log::honest(18);
    log.rows.insert(7, row(&Entry { index: 7, ..entry(2, "new") }));
    // The forged row comes first under its index, so its successor is the one that comes twice.
    assert_eq!(log.fault(), Fault { index: Some(4), what: FaultKind::Rewritten { note: outside_for(8), size: 8 } });
    let mut log = Log::honest(18);
    log.rows.insert(6, row(&Entry { index: 6, ..entry(2, "new") }));
    assert_eq!(log.fault(), Fault { index: Some(6), what: FaultKind::Duplicated });
    for (index, row) in log.rows.iter_mut().enumerate() {
        row.index = index as u64;
    }
    assert_eq!(log.fault(), Fault { index: Some(7), what: FaultKind::HoldsEarlier { holds: 6 } });
    let fault = log.covered_up().fault();
    assert_eq!(fault.index, Some(4), "{fault}");
}

#[test]
fn swapped_entries_are_named() {
    let mut log = Log::honest(18);
    log.rows.swap(10, 14);
    assert_eq!(log.fault(), Fault { index: Some(10), what: FaultKind::Deleted { found: 14 } });
    let (a, b) = (log.rows[10].clone(), log.rows[14].clone());
    (log.rows[10].index, log.rows[14].index) = (b.index.min(a.index), b.index.max(a.index));
    assert_eq!(log.fault(), Fault { index: Some(10), what: FaultKind::HoldsLater { holds: 14 } });
    let fault = log.covered_up().fault();
    assert_eq!(fault, Fault { index: Some(8), what: FaultKind::Rewritten { note: outside_for(12), size: 12 } });
}

#[test]
fn duplicated_and_reordered_rows_are_named() {
    let mut log = Log::honest(18);
    log.rows.insert(6, log.rows[5].clone());
    assert_eq!(log.fault(), Fault { index: Some(5), what: FaultKind::Duplicated });
    let mut log = Log::honest(18);
    log.rows.insert(6, log.rows[2].clone());
    let fault = log.fault();
    assert_eq!(fault, Fault { index: Some(6), what: FaultKind::Reordered { found: 2 } });
    assert_eq!(
        fault.to_string(),
        "Entry 6: in its place comes index 2, which was passed before: rows were reordered or inserted."
    );
}

#[test]
fn a_renumbered_row_is_named() {
    let mut log = Log::honest(18);
    log.rows[17].index = 18;
    assert_eq!(log.fault(), Fault { index: Some(17), what: FaultKind::Deleted { found: 18 } });
    log.rows[17] = row(&Entry { index: 18, ..entry(18, "") });
    log.rows[17].index = 17;
    assert_eq!(log.fault(), Fault { index: Some(17), what: FaultKind::HoldsLater { holds: 18 } });
}

#[test]
fn a_truncated_log_contradicts_its_own_checkpoints() {
    let mut log = Log::honest(18);
    log.rows.truncate(14);
    log.outside.clear();
    let stored = Note { origin: Origin::Stored, place: 4 };
    let fault = log.fault();
    assert_eq!(
        fault,
        Fault { index: Some(14), what: FaultKind::Truncated { note: stored, size: 16, entries: 14 } }
    );
    assert_eq!(
        fault.to_string(),
        "Entry 14: it is missing. The log ends after 14 entries, and stored checkpoint no. 4 covers 16: the end was \
         cut off."
    );
}

#[test]
fn a_log_rolled_back_with_its_checkpoints_contradicts_the_outside() {
    let later = Log::honest(18);
    for size in 0..16 {
        let log = Log { outside: later.outside.clone(), ..Log::honest(size) };
        let what = FaultKind::RolledBack { note: outside_for(16), size: 16, entries: size };
        assert_eq!(log.fault(), Fault { index: Some(size), what });
    }
    // Nothing signed covers the last two entries, and the report says so.
    let log = Log { outside: later.outside, ..Log::honest(16) };
    assert_eq!(log.verify().unwrap().covered_by_outside, Some(16));
}

#[test]
fn without_an_outside_checkpoint_a_rollback_is_not_seen_and_the_report_says_so() {
    let mut log = Log::honest(9);
    log.outside.clear();
    let report = log.verify().unwrap();
    assert_eq!(report.covered_by_outside, None);
    assert!(report.to_string().contains(
        "No outside checkpoint was given, so a database that was replaced by an older copy would look the same."
    ));
}

#[test]
fn a_fork_is_named_with_both_checkpoints() {
    let mut fork = Log::of((0..18).map(|index| entry(index, if index < 9 { "" } else { "fork" })));
    fork.outside = Log::honest(18).outside;
    let stored = Note { origin: Origin::Stored, place: 3 };
    let fault = fork.fault();
    let what = FaultKind::Forked { one: outside_for(12), other: stored, size: 12 };
    assert_eq!(fault, Fault { index: Some(8), what });
    assert_eq!(
        fault.to_string(),
        "Entry 8: the outside checkpoint on line 13 and stored checkpoint no. 3 are both signed for 12 entries and have \
         different roots: the log was forked here or later, for instance by restoring a copy and going on, or the \
         signing key is in other hands."
    );
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
    let keys = [2, 1].map(|seed| {
        VerifierKey::new(ORIGIN, SigningKey::from_bytes(&[seed; 32]).verifying_key()).unwrap()
    });
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
    assert!(report.to_string().contains("The last note of the outside file, on line 7, is incomplete and was left out."));
}

#[test]
fn intents_and_outcomes_belong_together() {
    let report = Log::honest(17).verify().unwrap();
    assert_eq!(report.unknown_outcomes, [16]);
    assert!(report.to_string().contains("1 intents have no outcome, the first is entry 16"));

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is done to the rows that an outside checkpoint covers, and however well it is covered up, it is found,
    /// and no entry before the last good checkpoint is accused.
    #[test]
    fn no_change_to_covered_rows_is_missed(
        size in 4_u64..40, at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        how in 0_u8..6, cover_up in any::<bool>(), keep_stored in any::<bool>(),
    ) {
        let honest = Log::honest(size);
        let covered = (size / EVERY * EVERY) as usize;
        let (at, to) = (at.index(covered), to.index(covered));
        let mut log = honest.clone();
        match how {
            0 => log.rows[at] = row(&entry(at as u64, "edited")),
            1 => { log.rows.remove(at); }
            2 => { let copy = log.rows[to].clone(); log.rows.insert(at, copy); }
            3 => log.rows.swap(at, to),
            4 => log.rows.truncate(at),
            _ => log.rows[at].index = to as u64,
        }
        if cover_up { log = log.covered_up(); }
        if !keep_stored { log.stored.clear(); }
        prop_assume!(log.rows != honest.rows);
        let first_change = log.rows.iter().zip(&honest.rows).take_while(|(a, b)| a == b).count() as u64;
        let fault = log.verify().err();
        prop_assert!(fault.is_some());
        let index = fault.as_ref().and_then(|fault| fault.index);
        prop_assert!(index.is_some_and(|index| index + 1 >= first_change / EVERY * EVERY), "{:?}", fault);
        prop_assert!(index.is_some_and(|index| index <= first_change + 1), "{:?}", fault);
    }
}
