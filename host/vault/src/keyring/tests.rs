//! Keyrings: right and wrong keys, damage of every kind, new master keys, rotation.

use super::*;
use crate::Place;

const PLACE: Place<'static> = Place { tenant: "t", table: "a", row: "1", column: "c" };

fn master(byte: u8) -> MasterKey {
    MasterKey::from_hex(&format!("{}{byte:02x}", "0f".repeat(31))).unwrap()
}

fn refusal(keyring: &Keyring, master: &MasterKey) -> VaultError {
    keyring.open(master).err().unwrap()
}

#[test]
fn a_keyring_opens_with_its_key_after_a_round_trip() {
    let keyring = Keyring::create(&master(1)).unwrap();
    let json = keyring.to_json();
    assert_eq!(Keyring::from_json(&json).unwrap(), keyring);
    let sealed = keyring.open(&master(1)).unwrap().seal(&PLACE, b"value").unwrap();
    let again = Keyring::from_json(&json).unwrap().open(&master(1)).unwrap();
    assert_eq!(*again.open(&PLACE, &sealed).unwrap(), b"value");
}

#[test]
fn two_keyrings_share_no_key() {
    let open = || Keyring::create(&master(1)).unwrap().unwrap_all(&master(1)).unwrap();
    let (one, other) = (open(), open());
    let all: std::collections::HashSet<_> = one.iter().chain(&other).map(|key| *key.bytes).collect();
    assert_eq!(all.len(), 2 * Purpose::ALL.len());
}

#[test]
fn a_wrong_key_is_told_from_damage() {
    let keyring = Keyring::create(&master(1)).unwrap();
    let refused = refusal(&keyring, &master(2));
    assert!(matches!(refused, VaultError::WrongKey));
    assert_eq!(refused.to_string(), "the master key is not the one that this keyring was made with");

    let mut damaged = keyring.clone();
    damaged.check = "00".repeat(32);
    assert!(matches!(refusal(&damaged, &master(1)), VaultError::Corrupt("its check value was changed")));
    assert!(matches!(refusal(&damaged, &master(2)), VaultError::WrongKey));

    let mut damaged = keyring;
    damaged.keys[2].wrapped.replace_range(30..31, "x");
    let refused = refusal(&damaged, &master(1));
    assert_eq!(
        refused.to_string(),
        "the keyring is damaged: it was changed after it was written; restore it from a backup, nothing was changed"
    );
}

#[test]
fn every_changed_character_is_found() {
    let json = Keyring::create(&master(1)).unwrap().to_json();
    for at in 0..json.len() {
        for with in [b'0', b'f', b'7', b' '] {
            let mut bytes = json.clone().into_bytes();
            if bytes[at] == with || (bytes[at].is_ascii_whitespace() && with == b' ') {
                continue;
            }
            bytes[at] = with;
            let refused = Keyring::from_json(&String::from_utf8(bytes).unwrap())
                .and_then(|keyring| keyring.open(&master(1)).map(|_| ()));
            assert!(
                matches!(refused, Err(VaultError::Corrupt(_) | VaultError::Version(_))),
                "byte {at} as {:?}: {refused:?}",
                char::from(with)
            );
        }
    }
}

#[test]
fn keys_cannot_be_removed_exchanged_or_brought_in() {
    let keyring = Keyring::create(&master(1)).unwrap();
    let changed = |change: &dyn Fn(&mut Keyring)| {
        let mut copy = keyring.clone();
        change(&mut copy);
        assert!(matches!(refusal(&copy, &master(1)), VaultError::Corrupt(_)));
        // Even with a code made to fit, which takes the master key, a key serves its own purpose and id only.
        copy.mac = HEXLOWER.encode(&copy.code(&master(1)).finalize().into_bytes());
        assert!(matches!(refusal(&copy, &master(1)), VaultError::Corrupt(_)));
    };
    changed(&|copy| drop(copy.keys.pop()));
    changed(&|copy| copy.keys.swap(0, 1));
    changed(&|copy| copy.keys[0].purpose = Purpose::Session);
    changed(&|copy| copy.keys[5].id = KeyId(9));
    changed(&|copy| {
        let wrapped = copy.keys[0].wrapped.clone();
        copy.keys[1].wrapped = wrapped;
    });
    changed(&|copy| {
        let last = copy.keys[5].clone();
        copy.keys.push(last);
    });
    changed(&|copy| (copy.keys[3].purpose, copy.keys[4].purpose) = (Purpose::Session, Purpose::CacheMac));
    changed(&|copy| {
        let wrapped = copy.keys[0].clone();
        copy.keys.push(WrappedKey { id: KeyId(7), ..wrapped });
    });
    changed(&|copy| {
        let first = copy.keys[0].clone();
        copy.keys.push(first);
    });
}

#[test]
fn other_documents_are_refused() {
    assert!(matches!(Keyring::from_json("").err(), Some(VaultError::Corrupt(_))));
    assert!(matches!(Keyring::from_json("{}").err(), Some(VaultError::Corrupt(_))));
    let json = Keyring::create(&master(1)).unwrap().to_json();
    let later = json.replacen("\"version\": 1", "\"version\": 2, \"more\": true", 1);
    let refused = Keyring::from_json(&later).err().unwrap();
    assert_eq!(refused.to_string(), "the keyring has version 2, and this program reads version 1");
    let extended = json.replacen("\"version\": 1", "\"version\": 1, \"more\": true", 1);
    assert!(matches!(Keyring::from_json(&extended).err(), Some(VaultError::Corrupt(_))));
}

#[test]
fn a_new_master_key_opens_the_same_keys_and_the_old_one_no_longer() {
    let keyring = Keyring::create(&master(1)).unwrap();
    let sealed = keyring.open(&master(1)).unwrap().seal(&PLACE, b"value").unwrap();
    let rewrapped = keyring.rewrap(&master(1), &master(2)).unwrap();
    assert_eq!(*rewrapped.open(&master(2)).unwrap().open(&PLACE, &sealed).unwrap(), b"value");
    assert!(matches!(refusal(&rewrapped, &master(1)), VaultError::WrongKey));
    keyring.open(&master(1)).unwrap();
    assert!(matches!(keyring.rewrap(&master(2), &master(3)).err(), Some(VaultError::WrongKey)));
}

#[test]
fn from_a_key_to_a_passphrase_and_back() {
    let params = KdfParams::least();
    let passphrase = "correct horse battery";
    let keyring = Keyring::create(&master(1)).unwrap();
    assert!(matches!(keyring.master_from_passphrase(passphrase).err(), Some(VaultError::OtherSource(_))));

    let phrase_key = MasterKey::from_passphrase(passphrase, &params).unwrap();
    let with_phrase = keyring.rewrap(&master(1), &phrase_key).unwrap();
    assert_eq!(with_phrase.kdf(), Some(&params));
    let read = Keyring::from_json(&with_phrase.to_json()).unwrap();
    read.open(&read.master_from_passphrase(passphrase).unwrap()).unwrap();
    let wrong = read.master_from_passphrase("correct horse batterz").unwrap();
    assert!(matches!(refusal(&read, &wrong), VaultError::WrongKey));

    let back = with_phrase.rewrap(&phrase_key, &master(2)).unwrap();
    assert_eq!(back.kdf(), None);
    back.open(&master(2)).unwrap();
}

#[test]
fn after_rotation_old_values_open_and_new_ones_use_the_new_key() {
    let keyring = Keyring::create(&master(1)).unwrap();
    let old = keyring.open(&master(1)).unwrap();
    let sealed = old.seal(&PLACE, b"value").unwrap();
    let rotated = keyring.rotate(&master(1), Purpose::Field).unwrap().open(&master(1)).unwrap();
    assert_eq!(*rotated.open(&PLACE, &sealed).unwrap(), b"value");
    assert_eq!(rotated.key_id(Purpose::Field), KeyId(7));
    assert_eq!(rotated.key_id(Purpose::Database), KeyId(1));
    let newer = rotated.seal(&PLACE, b"value").unwrap();
    assert!(matches!(old.open(&PLACE, &newer).err(), Some(VaultError::UnknownKey(KeyId(7)))));

    let rotated = keyring.rotate(&master(1), Purpose::AuditSign).unwrap().open(&master(1)).unwrap();
    assert!(rotated.signing_key().verifying_key() != old.signing_key().verifying_key());
    assert_eq!(rotated.verifying_keys(), [rotated.signing_key().verifying_key(), old.signing_key().verifying_key()]);
}
