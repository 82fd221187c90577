//! Sealing as an attacker with write access to the database sees it, and the codes.

use std::collections::HashSet;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::{Keyring, MasterKey};

const PLACE: Place<'static> = Place { tenant: "acme", table: "incident", row: "1", column: "title" };

fn master() -> MasterKey {
    MasterKey::from_hex(&"0123456789abcdef".repeat(4)).unwrap()
}

fn vault() -> Vault {
    Keyring::create(&master()).unwrap().open(&master()).unwrap()
}

#[test]
fn a_value_moved_to_another_place_does_not_open() {
    let vault = vault();
    let sealed = vault.seal(&PLACE, b"value").unwrap();
    assert_eq!(*vault.open(&PLACE, &sealed).unwrap(), b"value");
    for other in [
        Place { tenant: "other", ..PLACE },
        Place { table: "finding", ..PLACE },
        Place { row: "2", ..PLACE },
        Place { column: "summary", ..PLACE },
        Place { tenant: "", ..PLACE },
        // The same bytes, cut elsewhere.
        Place { tenant: "acmei", table: "ncident", ..PLACE },
        Place { row: "1t", column: "itle", ..PLACE },
        Place { tenant: PLACE.table, table: PLACE.tenant, ..PLACE },
    ] {
        let refused = vault.open(&other, &sealed).err().unwrap();
        assert_eq!(
            refused.to_string(),
            "the sealed value does not open: it was changed, moved from another place, or sealed under another key"
        );
    }
}

#[test]
fn a_value_with_any_flipped_bit_or_missing_byte_does_not_open() {
    let vault = vault();
    let sealed = vault.seal(&PLACE, b"some value").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = vault.open(&PLACE, &flipped).err().unwrap();
        assert!(matches!(refused, VaultError::Sealed | VaultError::UnknownKey(_)), "bit {bit}: {refused}");
    }
    for length in 0..sealed.len() {
        assert!(matches!(vault.open(&PLACE, &sealed[..length]).err(), Some(VaultError::Sealed)));
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert!(vault.open(&PLACE, &longer).is_err());
}

#[test]
fn a_value_of_another_vault_does_not_open() {
    let sealed = vault().seal(&PLACE, b"value").unwrap();
    assert!(matches!(vault().open(&PLACE, &sealed).err(), Some(VaultError::Sealed)));
}

#[test]
fn a_value_opens_in_a_later_run() {
    let keyring = Keyring::create(&master()).unwrap();
    let (first, second) = (keyring.open(&master()).unwrap(), keyring.open(&master()).unwrap());
    let sealed = first.seal(&PLACE, b"value").unwrap();
    assert_eq!(*second.open(&PLACE, &sealed).unwrap(), b"value");
    assert_ne!(first.sealer.header, second.sealer.header, "each run has a salt of its own");
}

#[test]
fn no_nonce_comes_twice() {
    let vault = vault();
    let nonces: HashSet<_> = (0..50_000)
        .map(|_| vault.seal(&PLACE, b"").unwrap()[HEADER_BYTES..HEADER_BYTES + NONCE_BYTES].to_vec())
        .collect();
    assert_eq!(nonces.len(), 50_000);
    assert_eq!(vault.seals(), 50_000);
}

#[test]
fn a_run_that_sealed_too_much_seals_no_more_and_still_opens() {
    let vault = vault();
    let sealed = vault.seal(&PLACE, b"value").unwrap();
    vault.sealer.seals.store(MAX_SEALS - 1, Ordering::Relaxed);
    vault.seal(&PLACE, b"last").unwrap();
    for _ in 0..2 {
        let refused = vault.seal(&PLACE, b"one more").err().unwrap();
        assert_eq!(
            refused.to_string(),
            "key 2 has sealed as many values as one run of the server may; restart the server"
        );
    }
    assert_eq!(vault.seals(), MAX_SEALS);
    assert_eq!(*vault.open(&PLACE, &sealed).unwrap(), b"value");
}

#[test]
fn what_is_too_long_is_refused() {
    let vault = vault();
    let row = "r".repeat(1025);
    let refused = vault.seal(&Place { row: &row, ..PLACE }, b"").err().unwrap();
    assert_eq!(refused.to_string(), "the row of the place is too long");
    assert!(matches!(vault.seal(&PLACE, &vec![0; MAX_SEALED_BYTES + 1]).err(), Some(VaultError::TooLong)));
    assert_eq!(vault.seals(), 0);
}

#[test]
fn the_database_key_is_64_digits_and_stays() {
    let keyring = Keyring::create(&master()).unwrap();
    let key = || keyring.open(&master()).unwrap().database_key_hex();
    assert_eq!(key().expose_secret().len(), 64);
    assert!(key().expose_secret().bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(key().expose_secret(), key().expose_secret());
    let rotated = keyring.rotate(&master(), Purpose::Database).unwrap().open(&master()).unwrap();
    assert_ne!(rotated.database_key_hex().expose_secret(), key().expose_secret());
    let older = rotated.older_database_keys_hex();
    assert_eq!(older.len(), 1);
    assert_eq!((older[0].0, older[0].1.expose_secret()), (KeyId(1), key().expose_secret()));
}

#[test]
fn older_keys_come_newest_first() {
    let keyring = Keyring::create(&master()).unwrap();
    let twice = keyring.rotate(&master(), Purpose::Database).unwrap().rotate(&master(), Purpose::Database).unwrap();
    let vault = twice.open(&master()).unwrap();
    assert_eq!(vault.key_id(Purpose::Database), KeyId(8));
    let ids: Vec<_> = vault.older_database_keys_hex().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [KeyId(7), KeyId(1)]);
}

#[test]
fn secrets_are_not_shown() {
    let vault = vault();
    let key = vault.database_key_hex();
    assert!(!format!("{key:?}").contains(key.expose_secret()));
}

#[test]
fn codes_are_separate_by_key_domain_and_framing() {
    let vault = vault();
    let base = vault.mac("wasm cache", &[b"ab", b"c"]);
    assert_eq!(base, vault.mac("wasm cache", &[b"ab", b"c"]));
    assert!(vault.verify_mac("wasm cache", &[b"ab", b"c"], &base));
    let others = [
        vault.mac("wasm cache", &[b"a", b"bc"]),
        vault.mac("wasm cache", &[b"abc"]),
        vault.mac("wasm cache", &[b"ab", b"c", b""]),
        vault.mac("wasm cach", &[b"ab", b"c"]),
        vault.mac_with(MacKey::Session, "wasm cache", &[b"ab", b"c"]),
        vault.mac_with(MacKey::Search, "wasm cache", &[b"ab", b"c"]),
    ];
    for other in others {
        assert_ne!(base, other);
        assert!(!vault.verify_mac("wasm cache", &[b"ab", b"c"], &other));
    }
    assert!(!vault.verify_mac("wasm cache", &[b"ab", b"c"], &base[..31]));
    assert!(!vault.verify_mac("wasm cache", &[b"ab", b"c"], &[]));
    assert!(!vault.verify_mac_with(MacKey::Session, "wasm cache", &[b"ab", b"c"], &base));
}

#[test]
fn a_vault_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&vault());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn opening_undoes_sealing(
        value in prop::collection::vec(any::<u8>(), 0..2000),
        tenant in ".{0,20}", table in ".{0,20}", row in ".{0,20}", column in ".{0,20}",
    ) {
        let vault = vault();
        let place = Place { tenant: &tenant, table: &table, row: &row, column: &column };
        let sealed = vault.seal(&place, &value).unwrap();
        prop_assert_eq!(sealed.len(), value.len() + SEAL_OVERHEAD_BYTES);
        prop_assert_eq!(&*vault.open(&place, &sealed).unwrap(), &value);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(vault().open(&PLACE, &bytes).is_err());
    }
}
