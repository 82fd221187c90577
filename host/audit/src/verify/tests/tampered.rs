//! Logs edited by someone who holds the database key, and what the verifier says. Each expected sentence or fault is
//! exact, so a weaker detection fails the test.

use proptest::prelude::*;

use super::*;

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
    let verifier = honest.verifier().unwrap();
    for at in 0..honest.rows.len() {
        for bit in 0..honest.rows[at].bytes.len() * 8 {
            let mut log = honest.clone();
            log.rows[at].bytes[bit / 8] ^= 1 << (bit % 8);
            let fault = log.verify_rows(verifier.clone()).unwrap_err();
            assert_eq!(fault, Fault { index: Some(at as u64), what: FaultKind::Edited });
            log.rows[at].hash = leaf_hash(&log.rows[at].bytes);
            let fault = log.verify_rows(verifier.clone()).unwrap_err();
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
fn a_forged_row_is_named_rather_than_the_outcome_that_no_longer_fits() {
    let mut log = Log::honest(16);
    let copy = log.rows[10].clone();
    log.rows.insert(12, copy);
    log.stored.clear();
    let fault = log.covered_up().fault();
    let what = FaultKind::Rewritten { note: outside_for(16), size: 16 };
    assert_eq!(fault, Fault { index: Some(12), what });
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
        Fault { index: Some(14), what: FaultKind::Truncated { note: stored, size: 16, entries: 14, confirmed: 12 } }
    );
    assert_eq!(
        fault.to_string(),
        "Entry 14: it is missing. The log ends after 14 entries, and stored checkpoint no. 4 covers 16: the end was \
         cut off, or entries were deleted and the rest renumbered. The first 12 entries are as they were signed."
    );
}

#[test]
fn a_log_rolled_back_with_its_checkpoints_contradicts_the_outside() {
    let later = Log::honest(18);
    for size in 0..16 {
        let log = Log { outside: later.outside.clone(), ..Log::honest(size) };
        let what =
            FaultKind::RolledBack { note: outside_for(16), size: 16, entries: size, confirmed: size / EVERY * EVERY };
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
fn what_no_checkpoint_covers_can_be_changed_unseen_and_the_report_says_so() {
    let mut log = Log::honest(18);
    log.rows[17] = row(&entry(17, "edited"));
    log.rows.push(row(&entry(18, "added")));
    let report = log.verify().unwrap();
    assert_eq!((report.entries, report.covered_by_outside), (19, Some(16)));
    assert!(report.to_string().contains("3 entries after it are not signed yet."), "{report}");
    assert!(report.to_string().contains("added or cut off what follows: 3 entries now."), "{report}");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

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
        // An entry that was only added behind what is covered is not a change to it.
        prop_assume!(log.rows.get(..covered) != honest.rows.get(..covered));
        let first_change = log.rows.iter().zip(&honest.rows).take_while(|(a, b)| a == b).count() as u64;
        let fault = log.verify().err();
        prop_assert!(fault.is_some());
        let index = fault.as_ref().and_then(|fault| fault.index);
        prop_assert!(index.is_some_and(|index| index + 1 >= first_change / EVERY * EVERY), "{:?}", fault);
        // A log that was made shorter and renumbered shows it only at its end, and then says what is still sure.
        let blamed = match fault.as_ref().map(|fault| &fault.what) {
            Some(FaultKind::Truncated { confirmed, .. } | FaultKind::RolledBack { confirmed, .. }) => Some(*confirmed),
            _ => index,
        };
        prop_assert!(blamed.is_some_and(|index| index <= first_change + 1), "{:?}", fault);
    }
}
