//! The keyring: the data keys, wrapped by the master key, as a JSON document.
//!
//! Invariant: the document is useless without the master key and whole under it: every key is bound to its purpose and
//! id, and a code over the document shows a key that was added, removed, exchanged or taken from an older copy of
//! another keyring. A wrong master key is told from a damaged document by the check value. Nothing here writes a file:
//! the caller does so atomically and keeps the old document until the new one is durable.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use data_encoding::HEXLOWER;
use hmac::Mac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::keys::{KEY_BYTES, KeyBytes, KeyId, Purpose, framed, hmac, random, random_key};
use crate::master::{KdfParams, MasterKey};
use crate::vault::Vault;

/// The version that is written and read.
pub const KEYRING_VERSION: u32 = 1;

/// The most keys of a keyring; more than years of rotation need, so that an edited document cannot exhaust anything.
const MAX_KEYS: usize = 4096;
/// Bytes of the nonce before a wrapped key.
const NONCE_BYTES: usize = 12;
/// Bytes of the tag behind it.
const TAG_BYTES: usize = 16;

/// The keys, wrapped. Not secret by itself, but to be kept as carefully as the database: without it nothing opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyring {
    version: u32,
    /// How the master key comes out of a passphrase; null for a random master key.
    kdf: Option<KdfParams>,
    /// A value that only the right master key gives, in hexadecimal.
    check: String,
    /// In the order in which they were made; the last of a purpose is in use, the others only open and verify.
    keys: Vec<WrappedKey>,
    /// The code over all of the above, in hexadecimal.
    mac: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedKey {
    purpose: Purpose,
    id: KeyId,
    /// Nonce, ciphertext and tag, in hexadecimal.
    wrapped: String,
}

/// A data key in the clear.
pub(crate) struct DataKey {
    pub(crate) purpose: Purpose,
    pub(crate) id: KeyId,
    pub(crate) bytes: KeyBytes,
}

impl Keyring {
    /// A new keyring with one new key for each purpose.
    pub fn create(master: &MasterKey) -> Result<Self, VaultError> {
        let mut keys = Vec::with_capacity(Purpose::ALL.len());
        for (id, purpose) in (1..).map(KeyId).zip(Purpose::ALL) {
            keys.push(DataKey { purpose, id, bytes: random_key()? });
        }
        Self::wrap(master, &keys)
    }

    /// Read a document. Whether it is whole is known only when it is opened.
    pub fn from_json(json: &str) -> Result<Self, VaultError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |_| VaultError::Corrupt("it is not the JSON document of a keyring");
        // The version first: a later one may have other fields.
        let Versioned { version } = serde_json::from_str(json).map_err(damaged)?;
        if version != KEYRING_VERSION {
            return Err(VaultError::Version(version));
        }
        serde_json::from_str(json).map_err(damaged)
    }

    /// The document, with a newline at its end.
    pub fn to_json(&self) -> String {
        // Strings and numbers always serialise; an empty document would be refused at the next start.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// The parameters for the passphrase; nothing where the master key is a random one.
    pub fn kdf(&self) -> Option<&KdfParams> {
        self.kdf.as_ref()
    }

    /// The master key that a passphrase gives for this keyring. Whether it is the right one, [`Keyring::open`] says.
    pub fn master_from_passphrase(&self, passphrase: &str) -> Result<MasterKey, VaultError> {
        let params = self
            .kdf
            .as_ref()
            .ok_or(VaultError::OtherSource("this keyring was made with a master key, not with a passphrase"))?;
        MasterKey::from_passphrase(passphrase, params)
    }

    /// Unwrap all keys. Fails with [`VaultError::WrongKey`] where the document is whole and the master key another one,
    /// and with [`VaultError::Corrupt`] where the document was changed.
    pub fn open(&self, master: &MasterKey) -> Result<Vault, VaultError> {
        Vault::new(self.unwrap_all(master)?)
    }

    /// The same data keys under a new master key, and how to derive that one. The old document opens with the old key
    /// until the caller has removed it.
    pub fn rewrap(&self, old: &MasterKey, new: &MasterKey) -> Result<Self, VaultError> {
        Self::wrap(new, &self.unwrap_all(old)?)
    }

    /// With a further key for `purpose`, which is in use from the next opening on. The older ones stay, to open what
    /// they sealed. A new database key takes effect only where the database is written anew under it.
    pub fn rotate(&self, master: &MasterKey, purpose: Purpose) -> Result<Self, VaultError> {
        let mut keys = self.unwrap_all(master)?;
        let last = keys.iter().map(|key| key.id.0).max().unwrap_or_default();
        let id = last.checked_add(1).filter(|_| keys.len() < MAX_KEYS);
        let id = KeyId(id.ok_or(VaultError::Corrupt("it has as many keys as it can hold"))?);
        keys.push(DataKey { purpose, id, bytes: random_key()? });
        Self::wrap(master, &keys)
    }

    fn wrap(master: &MasterKey, keys: &[DataKey]) -> Result<Self, VaultError> {
        let cipher = wrapping_cipher(master);
        let mut wrapped = Vec::with_capacity(keys.len());
        for key in keys {
            let nonce = random::<NONCE_BYTES>()?;
            let aad = associated_data(key.purpose, key.id);
            let payload = Payload { msg: key.bytes.as_slice(), aad: &aad };
            let sealed =
                cipher.encrypt((&nonce).into(), payload).map_err(|_| VaultError::Corrupt("a key cannot be wrapped"))?;
            let bytes = [nonce.as_slice(), &sealed].concat();
            wrapped.push(WrappedKey { purpose: key.purpose, id: key.id, wrapped: HEXLOWER.encode(&bytes) });
        }
        let mut keyring = Self {
            version: KEYRING_VERSION,
            kdf: master.kdf().cloned(),
            check: HEXLOWER.encode(check_value(master).as_slice()),
            keys: wrapped,
            mac: String::new(),
        };
        keyring.mac = HEXLOWER.encode(&keyring.code(master).finalize().into_bytes());
        Ok(keyring)
    }

    fn unwrap_all(&self, master: &MasterKey) -> Result<Vec<DataKey>, VaultError> {
        if self.version != KEYRING_VERSION {
            return Err(VaultError::Version(self.version));
        }
        if self.keys.len() > MAX_KEYS {
            return Err(VaultError::Corrupt("it has too many keys"));
        }
        let cipher = wrapping_cipher(master);
        let check = HEXLOWER.decode(self.check.as_bytes()).unwrap_or_default();
        if !bool::from(check.ct_eq(check_value(master).as_slice())) {
            // The check value itself may be what was damaged: then a key still unwraps.
            return Err(if self.keys.iter().any(|key| key.unwrap_with(&cipher).is_some()) {
                VaultError::Corrupt("its check value was changed")
            } else {
                VaultError::WrongKey
            });
        }
        let mac = HEXLOWER.decode(self.mac.as_bytes()).unwrap_or_default();
        if self.code(master).verify_slice(&mac).is_err() {
            return Err(VaultError::Corrupt("it was changed after it was written"));
        }
        let mut last = KeyId(0);
        let mut keys = Vec::with_capacity(self.keys.len());
        for wrapped in &self.keys {
            let bytes = wrapped.unwrap_with(&cipher).ok_or(VaultError::Corrupt("a key does not unwrap"))?;
            if wrapped.id <= last {
                return Err(VaultError::Corrupt("its key ids are out of order"));
            }
            last = wrapped.id;
            keys.push(DataKey { purpose: wrapped.purpose, id: wrapped.id, bytes });
        }
        Ok(keys)
    }

    fn code(&self, master: &MasterKey) -> impl Mac + use<> {
        let kdf = self.kdf.as_ref().map(KdfParams::authenticated).unwrap_or_default();
        let version = self.version.to_be_bytes();
        let mut mac = hmac(&master.derive("document"));
        mac.update(&framed(&[&version, &kdf, self.check.as_bytes()]));
        for key in &self.keys {
            let id = key.id.0.to_be_bytes();
            mac.update(&framed(&[key.purpose.name().as_bytes(), &id, key.wrapped.as_bytes()]));
        }
        mac
    }
}

impl WrappedKey {
    fn unwrap_with(&self, cipher: &Aes256Gcm) -> Option<KeyBytes> {
        let bytes = HEXLOWER.decode(self.wrapped.as_bytes()).ok()?;
        if bytes.len() != NONCE_BYTES + KEY_BYTES + TAG_BYTES {
            return None;
        }
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let aad = associated_data(self.purpose, self.id);
        let opened = cipher.decrypt(nonce.into(), Payload { msg: sealed, aad: &aad }).ok().map(Zeroizing::new)?;
        let mut key = KeyBytes::default();
        for (byte, opened) in key.iter_mut().zip(opened.iter()) {
            *byte = *opened;
        }
        Some(key)
    }
}

fn wrapping_cipher(master: &MasterKey) -> Aes256Gcm {
    Aes256Gcm::new((&*master.derive("wrap")).into())
}

fn check_value(master: &MasterKey) -> KeyBytes {
    master.derive("check")
}

fn associated_data(purpose: Purpose, id: KeyId) -> Vec<u8> {
    framed(&[b"fumehood wrapped key 1", purpose.name().as_bytes(), &id.0.to_be_bytes()])
}

#[cfg(test)]
mod tests;
