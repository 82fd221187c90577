//! Notes: the specification's own example, our own round trip, and every way to spoil one.

use proptest::prelude::*;

use super::*;
use crate::tree::leaf_hash;

const ORIGIN: &str = "fumehood.example/audit";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn sample() -> SignedCheckpoint {
    Checkpoint::new(ORIGIN, 1204, leaf_hash(b"x"), 1_763_697_600_000_000).unwrap().sign(&key(1))
}

#[test]
fn a_note_reads_back() {
    let note = sample().to_string();
    let parsed = SignedCheckpoint::parse(&note).unwrap();
    assert_eq!(parsed, sample());
    let checkpoint = parsed.verify(&key(1).verifying_key()).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (1204, leaf_hash(b"x")));
    assert!(note.starts_with("fumehood.example/audit\n1204\n"), "{note}");
    assert!(note.contains("\ntime_us 1763697600000000\n\n— fumehood.example/audit "), "{note}");
}

#[test]
fn a_key_reads_back_and_has_the_id_of_the_specification() {
    // The key of Go's checksum database, the best-known verifier key of this form.
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let known: VerifierKey = text.parse().unwrap();
    assert_eq!(known.to_string(), text);
    assert_eq!(known.origin(), "sum.golang.org");
    for wrong in [
        "",
        "sum.golang.org",
        "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ] {
        assert_eq!(wrong.parse::<VerifierKey>(), Err(CheckpointError::VerifierKey), "{wrong}");
    }
}

#[test]
fn another_key_does_not_verify() {
    let refused = sample().verify(&key(2).verifying_key()).unwrap_err();
    assert!(matches!(refused, CheckpointError::UnknownKey(_)), "{refused}");
}

#[test]
fn a_wrong_signature_beside_a_good_one_refuses_the_note() {
    let mut note = sample();
    let mut wrong = note.signatures[0].clone();
    wrong.signature[5] ^= 1;
    note.signatures.push(wrong);
    let refused = note.verify(&key(1).verifying_key()).unwrap_err();
    assert!(matches!(refused, CheckpointError::BadSignature(_)), "{refused}");
}

#[test]
fn signatures_and_extensions_of_others_are_ignored() {
    let mut note = sample();
    note.signatures.insert(0, NoteSignature { name: "witness.example".into(), id: 7, signature: vec![1; 72] });
    let parsed = SignedCheckpoint::parse(&note.to_string()).unwrap();
    parsed.verify(&key(1).verifying_key()).unwrap();

    let text = format!("{}later extension\n", sample().text);
    let signature = key(1).sign(text.as_bytes()).to_bytes().to_vec();
    let id = key_id(ORIGIN, &key(1).verifying_key());
    let signatures = vec![NoteSignature { name: ORIGIN.into(), id, signature }];
    let note = SignedCheckpoint { claimed: sample().claimed, text, signatures };
    let parsed = SignedCheckpoint::parse(&note.to_string()).unwrap();
    assert_eq!(parsed.verify(&key(1).verifying_key()).unwrap().size(), 1204);
}

#[test]
fn other_forms_are_refused() {
    let note = sample().to_string();
    for (from, to) in [
        ("\n1204\n", "\n01204\n"),
        ("\n1204\n", "\n+1204\n"),
        ("\n1204\n", "\n-1\n"),
        ("\n1204\n", "\n9223372036854775808\n"),
        ("time_us 1763697600000000", "time_us  1763697600000000"),
        ("time_us 1763697600000000\n", ""),
        ("fumehood.example/audit\n", "fumehood example/audit\n"),
        ("fumehood.example/audit\n", "\n"),
        ("— ", "- "),
        ("\n\n", "\n"),
        ("\n", "\r\n"),
    ] {
        let spoilt = note.replacen(from, to, 1);
        assert_ne!(spoilt, note);
        assert!(SignedCheckpoint::parse(&spoilt).is_err(), "{spoilt}");
    }
    assert!(SignedCheckpoint::parse(&format!("{note}x")).is_err());
    assert!(Checkpoint::new("a+b", 0, leaf_hash(b""), 0).is_err());
    assert!(Checkpoint::new("", 0, leaf_hash(b""), 0).is_err());
    assert!(Checkpoint::new("a", u64::MAX, leaf_hash(b""), 0).is_err());
}

proptest! {
    #[test]
    fn no_flipped_bit_verifies(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = sample().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(parsed) = String::from_utf8(bytes).map_err(|_| ()).and_then(|n| SignedCheckpoint::parse(&n).map_err(|_| ())) {
            prop_assert!(parsed.verify(&key(1).verifying_key()).is_err());
        }
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        let _ = SignedCheckpoint::parse(&text);
        let _ = text.parse::<VerifierKey>();
    }

    #[test]
    fn what_parses_is_canonical(cut in any::<prop::sample::Index>()) {
        let note = sample().to_string();
        let mut end = cut.index(note.len());
        while !note.is_char_boundary(end) { end -= 1; }
        prop_assert!(SignedCheckpoint::parse(&note[..end]).is_err());
    }
}

#[test]
fn a_key_that_anyone_can_sign_for_is_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = VerifierKey::new(ORIGIN, VerifyingKey::from_bytes(&identity).unwrap()).unwrap();
    assert!(weak.key().is_weak());
    assert_eq!(weak.to_string().parse::<VerifierKey>(), Err(CheckpointError::VerifierKey));
}
