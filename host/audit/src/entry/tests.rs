//! The encoding: stable, injective, and nothing else decodes.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

fn sample() -> Entry {
    Entry {
        index: 7,
        time_us: 1_700_000_000_000_001,
        tenant: "t".into(),
        actor: "system".into(),
        action: "incident.create".into(),
        target: "incident:1".into(),
        phase: Phase::Outcome,
        intent: Some(6),
        result: "ok".into(),
        details: vec![("n".into(), "a\nb".into())],
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let label = "[a-zé:.-]{1,12}";
    let details = prop::collection::vec((label, any::<String>()), 0..4);
    (any::<u32>(), any::<i64>(), [label, label, label, label], 0_u8..4, label, details).prop_map(
        |(index, time_us, [tenant, actor, action, target], phase, result, details)| {
            let index = u64::from(index) + 1;
            let phase = Phase::from_code(phase + 1).unwrap();
            Entry {
                index,
                time_us,
                tenant,
                actor,
                action,
                target,
                phase,
                intent: (phase == Phase::Outcome).then_some(index / 2),
                result: if phase == Phase::Intent { String::new() } else { result },
                details,
            }
        },
    )
}

#[test]
fn the_bytes_of_version_1_do_not_change() {
    assert_eq!(
        HEXLOWER.encode(&sample().encode().unwrap()),
        concat!(
            "01",
            "0000000000000007",
            "00060a24181e4001",
            "02",
            "0000000000000006",
            "00000001",
            "74",
            "00000006",
            "73797374656d",
            "0000000f",
            "696e636964656e742e637265617465",
            "0000000a",
            "696e636964656e743a31",
            "00000002",
            "6f6b",
            "00000001",
            "00000001",
            "6e",
            "00000003",
            "610a62",
        )
    );
}

#[test]
fn moving_a_byte_between_fields_changes_the_bytes() {
    let mut other = sample();
    other.action = "incident.createi".into();
    other.target = "ncident:1".into();
    assert_ne!(other.encode().unwrap(), sample().encode().unwrap());
}

fn refusal(change: impl FnOnce(&mut Entry)) -> String {
    let mut entry = sample();
    change(&mut entry);
    entry.encode().unwrap_err().to_string()
}

#[test]
fn what_is_no_entry_is_not_encoded() {
    assert_eq!(refusal(|e| e.tenant.clear()), "tenant is empty");
    assert_eq!(refusal(|e| e.actor.clear()), "actor is empty");
    assert_eq!(refusal(|e| e.action.clear()), "action is empty");
    assert_eq!(refusal(|e| e.result.clear()), "result is empty");
    assert_eq!(refusal(|e| e.target = "a\nb".into()), "target has a control character");
    assert_eq!(refusal(|e| e.actor = "user:\u{1b}[2J".into()), "actor has a control character");
    assert_eq!(refusal(|e| e.action = "a".repeat(65)), "action has 65 bytes, and at most 64 are allowed");
    assert_eq!(refusal(|e| e.intent = None), "an outcome must name its intent");
    assert_eq!(refusal(|e| e.intent = Some(7)), "an outcome must come after its intent");
    assert_eq!(refusal(|e| e.phase = Phase::Done), "only an outcome names an intent");
    assert_eq!(refusal(|e| (e.phase, e.intent) = (Phase::Intent, None)), "an intent has no result yet");
    assert_eq!(refusal(|e| e.index = MAX_SIZE), "its index is beyond the largest log");
    assert_eq!(
        refusal(|e| e.details = vec![("n".into(), String::new()); 65]),
        "it has 65 details, and at most 64 are allowed"
    );
    assert_eq!(
        refusal(|e| e.details = vec![("n".into(), "x".repeat(4096)); 20]),
        format!("entry has {} bytes, and at most 65536 are allowed", 84 + 20 * (8 + 1 + 4096))
    );
}

#[test]
fn other_bytes_do_not_decode() {
    let whole = sample().encode().unwrap();
    for length in 0..whole.len() {
        assert!(Entry::decode(&whole[..length]).is_err(), "{length} bytes");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        Entry::decode(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 2), EntryError::Version(2));
    assert_eq!(with(17, 9), EntryError::Bytes("the phase is unknown"));
    assert_eq!(with(30, 0xff), EntryError::Bytes("a text is not UTF-8"));
    let mut longer = whole;
    longer.push(0);
    assert_eq!(Entry::decode(&longer), Err(EntryError::Bytes("something follows the last detail")));
}

#[test]
fn clipping_keeps_characters_whole() {
    assert_eq!(clip("short", 5), "short");
    assert_eq!(clip("longer", 5), "lo…");
    assert_eq!(clip("ééé", 5), "é…");
    assert_eq!(clip("longer", 2), "");
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(entry in any_entry()) {
        prop_assert_eq!(Entry::decode(&entry.encode().unwrap()), Ok(entry));
    }

    #[test]
    fn different_entries_have_different_bytes(one in any_entry(), other in any_entry()) {
        prop_assert_eq!(one == other, one.encode() == other.encode());
    }

    #[test]
    fn whatever_decodes_is_canonical(
        entry in any_entry(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = entry.encode().unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        if let Ok(other) = Entry::decode(&bytes) {
            prop_assert_eq!(other.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn a_clipped_text_fits(text in any::<String>(), limit in 0_usize..40) {
        prop_assert!(clip(&text, limit).len() <= limit);
    }
}
