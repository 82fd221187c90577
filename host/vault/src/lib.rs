//! Keys: the master key, the keyring that it wraps, and the vault that comes out.
//!
//! Purpose: everything that is encrypted, signed or authenticated is so with a key from here, and each key has one
//! purpose. Pure but for the system's random bytes and the master key file.
//!
//! Invariant: no secret has a `Debug`, appears in an error, or outlives its owner in memory; no key is a default; what
//! is sealed opens only at its own place.
//!
//! ```text
//! MasterKey  (file 0600, environment, or passphrase through Argon2id)
//!   └─ wraps, AES-256-GCM ─ Keyring (JSON beside the database; holds nothing usable without the master key)
//!                             └─ opens into Vault: database key, sealed fields, signing key, authentication codes
//! ```
//!
//! What it does not protect from: someone who reads this process's memory, and someone who puts an older keyring with
//! its older database back (see `fumehood-audit` for that).
//!
//! ```
//! use fumehood_vault::{Keyring, MasterKey, Place};
//! # fn main() -> Result<(), fumehood_vault::VaultError> {
//! let master = MasterKey::generate()?;
//! let keyring = Keyring::create(&master)?;
//! let vault = Keyring::from_json(&keyring.to_json())?.open(&master)?;
//! let place = Place { tenant: "acme", table: "incident", row: "1", column: "title" };
//! let sealed = vault.seal(&place, b"disk full")?;
//! assert_eq!(*vault.open(&place, &sealed)?, b"disk full");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod file;
mod keyring;
mod keys;
mod master;
mod place;
mod vault;

pub use error::VaultError;
pub use keyring::{KEYRING_VERSION, Keyring};
pub use keys::{KEY_BYTES, KeyId, Purpose};
pub use master::{KdfParams, MIN_PASSPHRASE_CHARS, MasterKey};
pub use place::Place;
pub use vault::{MAX_SEALED_BYTES, MAX_SEALS, MacKey, SEAL_OVERHEAD_BYTES, Vault};
