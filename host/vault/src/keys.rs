//! The keys themselves: 32 secret bytes, what they are for, and what is derived from them.
//!
//! Invariant: key bytes are wiped when dropped and have no `Debug`; every use derives its own key, so that no key
//! serves two algorithms or two purposes.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::VaultError;

/// Bytes of every key.
pub const KEY_BYTES: usize = 32;

/// 32 secret bytes that are wiped when dropped.
pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// What a data key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The raw key of the encrypted database.
    Database,
    /// Fields that are sealed one by one.
    Field,
    /// The seed of the key that signs checkpoints.
    AuditSign,
    /// Authenticates compiled plugins and other caches.
    CacheMac,
    /// Authenticates sessions and what goes with them.
    Session,
    /// Blinds search terms.
    Search,
}

impl Purpose {
    /// Every purpose; a keyring has at least one key for each.
    pub const ALL: [Self; 6] =
        [Self::Database, Self::Field, Self::AuditSign, Self::CacheMac, Self::Session, Self::Search];

    /// The name in the keyring and in what is authenticated. Never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Field => "field",
            Self::AuditSign => "audit-sign",
            Self::CacheMac => "cache-mac",
            Self::Session => "session",
            Self::Search => "search",
        }
    }
}

/// The id of a data key: counts from 1, unique in its keyring, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A new key.
pub(crate) fn random_key() -> Result<KeyBytes, VaultError> {
    let mut bytes = KeyBytes::default();
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// HMAC-SHA-256 under a 32-byte key. Unlike the constructor that takes a slice this cannot fail: HMAC pads a key that is
/// shorter than a block with zeros, which is what is done here.
pub(crate) fn hmac(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    for (padded, byte) in block.iter_mut().zip(key) {
        *padded = *byte;
    }
    Hmac::new((&*block).into())
}

/// Derive a key: HKDF-Expand of RFC 5869 for one block (32 bytes) with `key`, which is uniformly random, as the
/// pseudorandom key. The parts of `info` are prefixed with their lengths, so that no two lists are confused.
pub(crate) fn derive(key: &[u8; KEY_BYTES], info: &[&[u8]]) -> KeyBytes {
    let mut mac = hmac(key);
    mac.update(&framed(info));
    mac.update(&[1]);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The parts one after the other, each with its length in eight bytes, big end first: injective for lists.
pub(crate) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn purposes_are_written_as_they_are_named() {
        for purpose in Purpose::ALL {
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.name());
        }
    }

    proptest! {
        #[test]
        fn derivation_is_hkdf_expand(key: [u8; KEY_BYTES], a: Vec<u8>, b: Vec<u8>) {
            let mut theirs = [0; KEY_BYTES];
            let hkdf = hkdf::Hkdf::<Sha256>::from_prk(&key).unwrap();
            hkdf.expand(&framed(&[&a, &b]), &mut theirs).unwrap();
            prop_assert_eq!(*derive(&key, &[&a, &b]), theirs);
        }

        #[test]
        fn framing_is_injective(one: Vec<Vec<u8>>, other: Vec<Vec<u8>>) {
            fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
                parts.iter().map(Vec::as_slice).collect()
            }
            prop_assert_eq!(framed(&slices(&one)) == framed(&slices(&other)), one == other);
        }
    }
}
