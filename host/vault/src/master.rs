//! The master key: where the key hierarchy begins.
//!
//! Invariant: it is 32 bytes that are random or come out of Argon2id, is never stored by this crate other than in the
//! file that was asked for, has no `Debug`, and is wiped when dropped. There is no default key, in any build.

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::keys::{KEY_BYTES, KeyBytes, derive, random, random_key};

/// Shortest passphrase, in characters. Length is the only rule, as NIST SP 800-63B advises.
pub const MIN_PASSPHRASE_CHARS: usize = 12;

/// Memory for a new passphrase, in KiB (64 MiB, the second recommendation of RFC 9106).
const DEFAULT_MEMORY_KIB: u32 = 64 * 1024;
/// Passes for a new passphrase.
const DEFAULT_PASSES: u32 = 3;
/// The least memory, in KiB (19 MiB, OWASP), so that an edited keyring cannot ask for a cheap key.
const MIN_MEMORY_KIB: u32 = 19 * 1024;
/// The most memory, in KiB (1 GiB), so that an edited keyring cannot exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// The fewest and the most passes.
const PASSES: std::ops::RangeInclusive<u32> = 2..=16;
/// The fewest and the most lanes.
const LANES: std::ops::RangeInclusive<u32> = 1..=16;
/// Bytes of the salt.
const SALT_BYTES: usize = 16;

/// How a passphrase becomes a master key. Not secret; kept in the keyring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KdfParams {
    algorithm: KdfAlgorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// Hexadecimal.
    salt: String,
}

/// The one algorithm that there is: Argon2id, version 0x13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KdfAlgorithm {
    #[serde(rename = "argon2id-19")]
    Argon2id,
}

impl KdfParams {
    /// The recommended parameters with a new random salt.
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self {
            algorithm: KdfAlgorithm::Argon2id,
            memory_kib: DEFAULT_MEMORY_KIB,
            passes: DEFAULT_PASSES,
            lanes: 1,
            salt: HEXLOWER.encode(&random::<SALT_BYTES>()?),
        })
    }

    /// The least that is accepted, so that debug builds of the tests are not slow.
    #[cfg(test)]
    pub(crate) fn least() -> Self {
        Self { memory_kib: MIN_MEMORY_KIB, passes: 2, ..Self::generate().unwrap() }
    }

    /// What of these parameters has to be authenticated.
    pub(crate) fn authenticated(&self) -> Vec<u8> {
        let KdfAlgorithm::Argon2id = self.algorithm;
        let numbers = [self.memory_kib, self.passes, self.lanes].map(u32::to_be_bytes);
        crate::keys::framed(&[b"argon2id-19", &numbers.concat(), self.salt.as_bytes()])
    }

    fn key(&self, passphrase: &str) -> Result<KeyBytes, VaultError> {
        let salt = HEXLOWER.decode(self.salt.as_bytes()).map_err(|_| VaultError::Kdf("the salt is no hexadecimal"))?;
        if salt.len() != SALT_BYTES {
            return Err(VaultError::Kdf("the salt has not 16 bytes"));
        }
        if !(MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(&self.memory_kib) {
            return Err(VaultError::Kdf("the memory is out of bounds (19 MiB to 1 GiB)"));
        }
        if !PASSES.contains(&self.passes) || !LANES.contains(&self.lanes) {
            return Err(VaultError::Kdf("passes or lanes are out of bounds"));
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES))
            .map_err(|_| VaultError::Kdf("Argon2 does not accept them"))?;
        let mut key = KeyBytes::default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
            .map_err(|_| VaultError::Kdf("there is not enough memory"))?;
        Ok(key)
    }
}

/// The key that wraps all others.
pub struct MasterKey {
    bytes: KeyBytes,
    /// How it came out of a passphrase; nothing for a random key.
    kdf: Option<KdfParams>,
}

impl MasterKey {
    /// A new random key.
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self { bytes: random_key()?, kdf: None })
    }

    /// The key in 64 hexadecimal digits, as a file or an environment variable holds them; white space around them is
    /// ignored. A key of 32 equal bytes is refused: that is a placeholder, not a key.
    pub fn from_hex(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        if text.len() != KEY_BYTES * 2 {
            return Err(VaultError::NotAKey("this has another length"));
        }
        let mut bytes = KeyBytes::default();
        HEXLOWER_PERMISSIVE
            .decode_mut(text.as_bytes(), bytes.as_mut_slice())
            .map_err(|_| VaultError::NotAKey("this has other characters"))?;
        if bytes.windows(2).all(|pair| pair.first() == pair.last()) {
            return Err(VaultError::NotAKey("this is a placeholder of equal bytes"));
        }
        Ok(Self { bytes, kdf: None })
    }

    /// The key that a passphrase and these parameters give. Takes a second or so, on purpose. White space counts.
    pub fn from_passphrase(passphrase: &str, params: &KdfParams) -> Result<Self, VaultError> {
        if passphrase.chars().count() < MIN_PASSPHRASE_CHARS {
            return Err(VaultError::ShortPassphrase);
        }
        Ok(Self { bytes: params.key(passphrase)?, kdf: Some(params.clone()) })
    }

    /// The 64 hexadecimal digits, for the file.
    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(self.bytes.as_slice()))
    }

    pub(crate) fn kdf(&self) -> Option<&KdfParams> {
        self.kdf.as_ref()
    }

    /// A key for one use within the keyring.
    pub(crate) fn derive(&self, what: &str) -> KeyBytes {
        derive(&self.bytes, &[b"fumehood keyring 1", what.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        MasterKey::from_hex(text).err().unwrap().to_string()
    }

    #[test]
    fn a_key_reads_back_from_its_digits() {
        let key = MasterKey::generate().unwrap();
        let hex = key.to_hex();
        assert!(MasterKey::from_hex(&format!("{}\n", *hex)).unwrap().bytes == key.bytes);
        assert!(MasterKey::from_hex(&hex.to_uppercase()).unwrap().bytes == key.bytes);
        assert!(MasterKey::generate().unwrap().bytes != key.bytes);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let needs = "a master key is 64 hexadecimal digits (32 bytes), and ";
        assert_eq!(refusal(""), format!("{needs}this has another length"));
        assert_eq!(refusal(&"a1".repeat(31)), format!("{needs}this has another length"));
        assert_eq!(refusal(&"xy".repeat(32)), format!("{needs}this has other characters"));
        assert_eq!(refusal(&"00".repeat(32)), format!("{needs}this is a placeholder of equal bytes"));
    }

    #[test]
    fn a_passphrase_gives_one_key_for_each_salt() {
        let params = KdfParams::least();
        let key = MasterKey::from_passphrase("correct horse battery", &params).unwrap();
        assert!(MasterKey::from_passphrase("correct horse battery", &params).unwrap().bytes == key.bytes);
        assert!(MasterKey::from_passphrase("correct horse batterz", &params).unwrap().bytes != key.bytes);
        let salted = KdfParams { salt: "00".repeat(SALT_BYTES), ..params };
        assert!(MasterKey::from_passphrase("correct horse battery", &salted).unwrap().bytes != key.bytes);
    }

    #[test]
    fn weak_and_absurd_parameters_are_refused() {
        let refused = |params: KdfParams| MasterKey::from_passphrase("correct horse battery", &params).is_err();
        let good = KdfParams::generate().unwrap();
        assert!(refused(KdfParams { memory_kib: MIN_MEMORY_KIB - 1, ..good.clone() }));
        assert!(refused(KdfParams { memory_kib: MAX_MEMORY_KIB + 1, ..good.clone() }));
        assert!(refused(KdfParams { passes: 1, ..good.clone() }));
        assert!(refused(KdfParams { passes: 17, ..good.clone() }));
        assert!(refused(KdfParams { lanes: 0, ..good.clone() }));
        assert!(refused(KdfParams { salt: "00".into(), ..good.clone() }));
        assert!(matches!(MasterKey::from_passphrase("short", &good).err(), Some(VaultError::ShortPassphrase)));
    }
}
