//! Signed checkpoints: the C2SP forms `signed-note` and `tlog-checkpoint`, signed with Ed25519.
//!
//! ```text
//! fumehood.example/audit          the origin, which is also the name of the key
//! 1204                            the number of entries
//! CsUYapGGPo4dkMgIAUqom/…         the root of the tree, Base 64
//! time_us 1763697600000000        when, microseconds since 1970 UTC
//!
//! — fumehood.example/audit Az3g…  Base 64 of the four-byte key id and the signature
//! ```
//!
//! Invariant: nothing that a note claims is available as a [`Checkpoint`] before a signature by a known key has been
//! verified over exactly the bytes that were read. Parsing is strict, so one checkpoint has one text.
//!
//! Further extension lines and signatures of others (witnesses) may follow in a note; they are kept and ignored.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::tree::{Hash, MAX_SIZE};

/// Longest note, in bytes: room for sixteen signatures, which the specification asks for, even post-quantum ones.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;
/// Longest origin, in bytes.
pub const MAX_ORIGIN_BYTES: usize = 256;

/// What opens a signature line: an em dash and a space.
pub(crate) const SIGNATURE_PREFIX: &str = "— ";
/// What opens the extension line with the time.
const TIME_PREFIX: &str = "time_us ";
/// The signature type of Ed25519 in `signed-note`.
const ED25519: u8 = 1;

/// Why a checkpoint is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The origin cannot name a key.
    #[error("the origin must have 1 to {MAX_ORIGIN_BYTES} bytes without spaces, control characters and “+”")]
    Origin,
    /// The size is beyond the largest log.
    #[error("the size is beyond the largest log")]
    Size,
    /// The text is not a checkpoint.
    #[error("it is not a signed checkpoint: {0}")]
    Malformed(&'static str),
    /// No signature is by the key that was given.
    #[error("it is not signed by the key {0}")]
    UnknownKey(String),
    /// A signature claims to be by the key that was given, and is not.
    #[error("its signature by the key {0} is wrong")]
    BadSignature(String),
    /// The text is not a verifier key.
    #[error("it is not a verifier key of the form <name>+<8 hexadecimal digits>+<Base 64>")]
    VerifierKey,
}

/// What a log commits to: its first `size` entries have this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    time_us: i64,
}

impl Checkpoint {
    /// A checkpoint to sign. `origin` identifies the log for ever and is best a URL without its scheme.
    pub fn new(origin: &str, size: u64, root: Hash, time_us: i64) -> Result<Self, CheckpointError> {
        if !is_key_name(origin) {
            return Err(CheckpointError::Origin);
        }
        if size > MAX_SIZE {
            return Err(CheckpointError::Size);
        }
        Ok(Self { origin: origin.to_owned(), size, root, time_us })
    }

    /// Which log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of their tree.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// When it was made, in microseconds since 1970 UTC. Informative: nothing is decided by it.
    pub fn time_us(&self) -> i64 {
        self.time_us
    }

    /// Sign. The caller makes sure that the checkpoint continues every one that this key has signed before.
    pub fn sign(&self, key: &SigningKey) -> SignedCheckpoint {
        let text = self.text();
        let id = key_id(&self.origin, &key.verifying_key());
        let signature = key.sign(text.as_bytes()).to_bytes().to_vec();
        let signatures = vec![NoteSignature { name: self.origin.clone(), id, signature }];
        SignedCheckpoint { claimed: self.clone(), text, signatures }
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n{TIME_PREFIX}{}\n", self.origin, self.size, self.root.to_base64(), self.time_us)
    }

    /// The four lines, and extension lines of others after them.
    fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.lines();
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let origin = next().ok_or(CheckpointError::Malformed("there is no origin line"))?;
        let size = next().and_then(canonical::<u64>).ok_or(CheckpointError::Malformed("the size is no number"))?;
        let root = next()
            .and_then(|line| BASE64.decode(line.as_bytes()).ok())
            .and_then(|bytes| Hash::from_slice(&bytes))
            .ok_or(CheckpointError::Malformed("the root is not the Base 64 of 32 bytes"))?;
        let time_us = next()
            .and_then(|line| line.strip_prefix(TIME_PREFIX))
            .and_then(canonical::<i64>)
            .ok_or(CheckpointError::Malformed("the line with the time is missing"))?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Malformed("an extension line is empty"));
        }
        Self::new(origin, size, root, time_us)
    }
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: u32,
    signature: Vec<u8>,
}

/// A checkpoint with its signatures: the note. [`fmt::Display`] writes it as it is kept and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    claimed: Checkpoint,
    /// What was signed, as it was read or made.
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedCheckpoint {
    /// Read one note, nothing before or after it.
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        use CheckpointError::Malformed;
        if note.len() > MAX_NOTE_BYTES {
            return Err(Malformed("it is too long"));
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(Malformed("it has a control character"));
        }
        let end = note.rfind("\n\n").ok_or(Malformed("there is no blank line before the signatures"))?;
        let (text, rest) = note.split_at_checked(end + 1).ok_or(Malformed("it ends early"))?;
        let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n'));
        let signatures = lines
            .ok_or(Malformed("the last line is cut off"))?
            .split('\n')
            .map(|line| NoteSignature::parse(line).ok_or(Malformed("a signature line is not one")))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { claimed: Checkpoint::from_text(text)?, text: text.to_owned(), signatures })
    }

    /// The checkpoint, once its signature by `key` has been verified. The key's name is the origin. A signature that
    /// names this key and is wrong refuses the whole note, also beside a good one.
    pub fn verify(&self, key: &VerifyingKey) -> Result<&Checkpoint, CheckpointError> {
        let name = &self.claimed.origin;
        let id = key_id(name, key);
        let shown = || format!("{name}+{id:08x}");
        let mut known = self.signatures.iter().filter(|one| one.name == *name && one.id == id).peekable();
        if known.peek().is_none() {
            return Err(CheckpointError::UnknownKey(shown()));
        }
        for one in known {
            let signature =
                Signature::from_slice(&one.signature).map_err(|_| CheckpointError::BadSignature(shown()))?;
            key.verify_strict(self.text.as_bytes(), &signature).map_err(|_| CheckpointError::BadSignature(shown()))?;
        }
        Ok(&self.claimed)
    }

    /// What the note says of itself, **unverified**: for messages about a note that was refused, and for nothing else.
    pub fn claimed(&self) -> &Checkpoint {
        &self.claimed
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        if !is_key_name(name) || signature.is_empty() {
            return None;
        }
        Some(Self { name: name.to_owned(), id: u32::from_be_bytes(*id), signature: signature.to_vec() })
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for one in &self.signatures {
            let mut bytes = one.id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&one.signature);
            writeln!(f, "{SIGNATURE_PREFIX}{} {}", one.name, BASE64.encode(&bytes))?;
        }
        Ok(())
    }
}

/// A log's public key with its name, in the text form that tools around signed notes share:
/// `<origin>+<key id>+<Base 64 of the type and the key>`. It holds no secret; an auditor keeps it outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    origin: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Name a key.
    pub fn new(origin: &str, key: VerifyingKey) -> Result<Self, CheckpointError> {
        if !is_key_name(origin) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { origin: origin.to_owned(), key })
    }

    /// The log's origin, which is the key's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.origin, key_id(&self.origin, &self.key), BASE64.encode(&bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let parse = || {
            let mut parts = text.splitn(3, '+');
            let (origin, id, encoded) = (parts.next()?, parts.next()?, parts.next()?);
            let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
            let (&kind, key) = bytes.split_first()?;
            let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
            let fits = kind == ED25519 && !key.is_weak() && id == format!("{:08x}", key_id(origin, &key));
            fits.then_some((origin, key))
        };
        let (origin, key) = parse().ok_or(CheckpointError::VerifierKey)?;
        Self::new(origin, key)
    }
}

/// The key id of `signed-note`: the first four bytes of SHA-256 over name, newline, type and key.
pub fn key_id(name: &str, key: &VerifyingKey) -> u32 {
    let digest =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
    digest.first_chunk::<4>().map_or(0, |id| u32::from_be_bytes(*id))
}

fn is_key_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    (1..=MAX_ORIGIN_BYTES).contains(&name.len()) && !name.contains(forbidden)
}

/// A number in the one form that it is written in: no sign for positive ones, no leading zero.
fn canonical<T: FromStr + fmt::Display>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests;
