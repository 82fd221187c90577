//! Why the vault refuses.
//!
//! Invariant: no message repeats key material, a passphrase, or a byte of what was sealed.

use std::io;
use std::path::PathBuf;

use crate::keys::KeyId;

/// Why the vault refuses.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The keyring is whole, and the master key is another one.
    #[error("the master key is not the one that this keyring was made with")]
    WrongKey,
    /// The keyring was damaged or edited.
    #[error("the keyring is damaged: {0}; restore it from a backup, nothing was changed")]
    Corrupt(&'static str),
    /// The keyring is of a version that this program does not know.
    #[error("the keyring has version {0}, and this program reads version {known}", known = crate::keyring::KEYRING_VERSION)]
    Version(u32),
    /// What should be a master key is none.
    #[error("a master key is 64 hexadecimal digits (32 bytes), and {0}")]
    NotAKey(&'static str),
    /// The passphrase is too short.
    #[error("a passphrase has at least {min} characters", min = crate::master::MIN_PASSPHRASE_CHARS)]
    ShortPassphrase,
    /// The parameters of the passphrase are out of bounds.
    #[error("the parameters for the passphrase are refused: {0}")]
    Kdf(&'static str),
    /// The keyring was made with a passphrase, and was to be opened with a key, or the other way round.
    #[error("{0}")]
    OtherSource(&'static str),
    /// The file of the master key can be read or changed by others.
    #[error(
        "the master key file {path} can be used by others than its owner (mode {mode:04o}); run: chmod 600 {shown}",
        path = path.display(), shown = crate::file::shell_word(path)
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file of the master key does not hold one.
    #[error("the master key file {path} was refused, and left as it is: {reason}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of the master key cannot be read or written.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The sealed bytes were not made for this place by this vault, or were changed.
    #[error("the sealed value does not open: it was changed, moved from another place, or sealed under another key")]
    Sealed,
    /// The sealed bytes name a key that the keyring does not have.
    #[error("the sealed value needs key {0}, which the keyring does not have")]
    UnknownKey(KeyId),
    /// A part of a place is over its limit.
    #[error("the {0} of the place is too long")]
    Place(&'static str),
    /// The value is too long to seal.
    #[error("the value has more than {max} bytes", max = crate::vault::MAX_SEALED_BYTES)]
    TooLong,
    /// So much was sealed in this run that nonces could repeat.
    #[error("key {0} has sealed as many values as one run of the server may; restart the server")]
    Exhausted(KeyId),
}

impl From<getrandom::Error> for VaultError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}
