//! The open vault: what the data keys do.
//!
//! Invariant: a sealed value opens only with its key, at its [`Place`](crate::Place), unchanged; no pair of key and
//! nonce is used for two values. Every key serves one purpose, and every domain of a code has a key of its own.
//!
//! A sealed value: version (1 byte, value 1), key id (4, big end first), salt of the run (16), nonce (12), ciphertext,
//! tag (16). The cipher is AES-256-GCM under a key that is derived (HKDF-Expand) from the data key and the salt, which
//! is random and new each time the vault is opened. So the count of values under one key begins at zero with each run
//! and needs no storing, and a run that was killed, or a database that was restored from a backup, cannot bring a count
//! back that was already used up.

use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hmac::Mac;
use secrecy::SecretString;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::keyring::DataKey;
use crate::keys::{KEY_BYTES, KeyId, Purpose, derive, framed, hmac, random};
use crate::{Place, VaultError};

/// How many values one run seals under one key: NIST SP 800-38D allows 2^32 with random nonces; this stays below.
pub const MAX_SEALS: u64 = (1 << 32) - 1;
/// Longest value, in bytes. A field is sealed in one piece; what is larger is cut into chunks by its owner.
pub const MAX_SEALED_BYTES: usize = 64 * 1024 * 1024;
/// How much longer a sealed value is than the plain one, in bytes.
pub const SEAL_OVERHEAD_BYTES: usize = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

const SEAL_VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + 4 + SALT_BYTES;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Which key makes a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacKey {
    /// For compiled plugins and other caches.
    Cache,
    /// For sessions and what goes with them.
    Session,
    /// For blinded search terms.
    Search,
}

/// The keys of one purpose: at least one, the newest in use.
struct KeySet {
    current: DataKey,
    /// Newest first.
    older: Vec<DataKey>,
}

impl KeySet {
    /// Take the keys of `purpose`, which are in the order of their ids, out of all.
    fn take(all: &mut Vec<DataKey>, purpose: Purpose) -> Result<Self, VaultError> {
        let mut keys: Vec<_> = all.extract_if(.., |key| key.purpose == purpose).collect();
        let current = keys.pop().ok_or(VaultError::Corrupt("a purpose has no key"))?;
        keys.reverse();
        Ok(Self { current, older: keys })
    }

    fn newest_first(&self) -> impl Iterator<Item = &DataKey> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

/// The keys, ready to use. Made by [`Keyring::open`](crate::Keyring::open); wiped when dropped.
pub struct Vault {
    database: KeySet,
    field: KeySet,
    audit_sign: KeySet,
    cache_mac: KeySet,
    session: KeySet,
    search: KeySet,
    sealer: Sealer,
}

/// What seals in this run.
struct Sealer {
    cipher: Aes256Gcm,
    header: [u8; HEADER_BYTES],
    seals: AtomicU64,
}

impl Vault {
    pub(crate) fn new(mut keys: Vec<DataKey>) -> Result<Self, VaultError> {
        let mut take = |purpose| KeySet::take(&mut keys, purpose);
        let field = take(Purpose::Field)?;
        let mut header = [0; HEADER_BYTES];
        let id = field.current.id.0.to_be_bytes();
        let salt = random::<SALT_BYTES>()?;
        for (to, from) in header.iter_mut().zip([SEAL_VERSION].iter().chain(&id).chain(&salt)) {
            *to = *from;
        }
        let cipher = field_cipher(&field.current, &salt);
        Ok(Self {
            database: take(Purpose::Database)?,
            audit_sign: take(Purpose::AuditSign)?,
            cache_mac: take(Purpose::CacheMac)?,
            session: take(Purpose::Session)?,
            search: take(Purpose::Search)?,
            field,
            sealer: Sealer { cipher, header, seals: AtomicU64::new(0) },
        })
    }

    /// The id of the key that is in use for `purpose`.
    pub fn key_id(&self, purpose: Purpose) -> KeyId {
        let set = match purpose {
            Purpose::Database => &self.database,
            Purpose::Field => &self.field,
            Purpose::AuditSign => &self.audit_sign,
            Purpose::CacheMac => &self.cache_mac,
            Purpose::Session => &self.session,
            Purpose::Search => &self.search,
        };
        set.current.id
    }

    /// The raw key of the encrypted database: 64 hexadecimal digits, for `PRAGMA key = "x'…'"`.
    pub fn database_key_hex(&self) -> SecretString {
        hex(&self.database.current)
    }

    /// The database keys that were in use before, newest first: for a database that was not yet written anew.
    pub fn older_database_keys_hex(&self) -> Vec<(KeyId, SecretString)> {
        self.database.older.iter().map(|key| (key.id, hex(key))).collect()
    }

    /// Seal a value for its place; the result is [`SEAL_OVERHEAD_BYTES`] longer.
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        if plaintext.len() > MAX_SEALED_BYTES {
            return Err(VaultError::TooLong);
        }
        let Sealer { cipher, header, seals } = &self.sealer;
        let aad = place.associated_data(header)?;
        let nonce = random::<NONCE_BYTES>()?;
        seals
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < MAX_SEALS).then_some(count + 1))
            .map_err(|_| VaultError::Exhausted(self.field.current.id))?;
        let sealed =
            cipher.encrypt((&nonce).into(), Payload { msg: plaintext, aad: &aad }).map_err(|_| VaultError::TooLong)?;
        Ok([header.as_slice(), &nonce, &sealed].concat())
    }

    /// Open a value at its place. Fails with [`VaultError::Sealed`] for any change and any other place.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (header, rest) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or(VaultError::Sealed)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Sealed)?;
        let aad = place.associated_data(header)?;
        let payload = Payload { msg: sealed, aad: &aad };
        let opened = if *header == self.sealer.header {
            self.sealer.cipher.decrypt(nonce.into(), payload)
        } else {
            let (&version, rest) = header.split_first().ok_or(VaultError::Sealed)?;
            let (id, salt) = rest.split_first_chunk::<4>().ok_or(VaultError::Sealed)?;
            if version != SEAL_VERSION {
                return Err(VaultError::Sealed);
            }
            let id = KeyId(u32::from_be_bytes(*id));
            let key = self.field.newest_first().find(|key| key.id == id).ok_or(VaultError::UnknownKey(id))?;
            field_cipher(key, salt).decrypt(nonce.into(), payload)
        };
        opened.map(Zeroizing::new).map_err(|_| VaultError::Sealed)
    }

    /// How many values this run has sealed, of [`MAX_SEALS`].
    pub fn seals(&self) -> u64 {
        self.sealer.seals.load(Ordering::Relaxed)
    }

    /// The key that signs checkpoints.
    pub fn signing_key(&self) -> SigningKey {
        signing_key(&self.audit_sign.current)
    }

    /// The public keys of all signing keys there have been, newest first.
    pub fn verifying_keys(&self) -> Vec<VerifyingKey> {
        self.audit_sign.newest_first().map(|key| signing_key(key).verifying_key()).collect()
    }

    /// The code (HMAC-SHA-256) of a list of byte strings, under the cache key. See [`Vault::mac_with`].
    pub fn mac(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.mac_with(MacKey::Cache, domain, parts)
    }

    /// Whether `tag` is what [`Vault::mac`] gives, in constant time.
    pub fn verify_mac(&self, domain: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.verify_mac_with(MacKey::Cache, domain, parts, tag)
    }

    /// The code of a list of byte strings. `domain` says what it is a code of; each has a key of its own, so a code from
    /// one domain is never good in another. The parts are framed: where one ends matters.
    pub fn mac_with(&self, key: MacKey, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let set = match key {
            MacKey::Cache => &self.cache_mac,
            MacKey::Session => &self.session,
            MacKey::Search => &self.search,
        };
        let derived = derive(&set.current.bytes, &[b"fumehood mac 1", domain.as_bytes()]);
        hmac(&derived).chain_update(framed(parts)).finalize().into_bytes().into()
    }

    /// Whether `tag` is what [`Vault::mac_with`] gives, in constant time.
    pub fn verify_mac_with(&self, key: MacKey, domain: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac_with(key, domain, parts).ct_eq(tag).into()
    }
}

fn field_cipher(key: &DataKey, salt: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new((&*derive(&key.bytes, &[b"fumehood field run 1", salt])).into())
}

fn signing_key(key: &DataKey) -> SigningKey {
    SigningKey::from_bytes(&derive(&key.bytes, &[b"fumehood audit sign 1"]))
}

/// Encoded into a buffer of the exact size, which becomes the secret without being copied.
fn hex(key: &DataKey) -> SecretString {
    let mut digits = String::with_capacity(KEY_BYTES * 2);
    HEXLOWER.encode_append(key.bytes.as_slice(), &mut digits);
    SecretString::from(digits)
}

#[cfg(test)]
mod tests;
