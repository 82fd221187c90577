//! Findings that are known and accepted: what is in a baseline is not reported again.
//!
//! Invariant: a baseline holds no value, only a mark of file, type and value, keyed with its own salt: a value that changes
//! is a new finding, and one that moves in its file is not. Who has the file can check a guess, so it is for the place where
//! the values are.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use fumehood_redact::Kind;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::report::Found;

/// HMAC-SHA-256 over parts, each with its length before it.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// What names a finding in a baseline.
pub fn mark(salt: &[u8; 32], file: &str, kind: &Kind, value: &str) -> String {
    let mark = hmac(salt, &[file.as_bytes(), kind.as_str().as_bytes(), value.as_bytes()]);
    data_encoding::HEXLOWER.encode(mark.get(..16).unwrap_or_default())
}

/// The known findings, each with how often it is known.
pub struct Baseline {
    salt: [u8; 32],
    known: BTreeMap<String, Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    /// For whoever reads the file.
    file: String,
    #[serde(rename = "type")]
    kind: String,
    times: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    fumehood_baseline: u32,
    salt: String,
    findings: BTreeMap<String, Entry>,
}

impl Baseline {
    /// An empty one, with a salt of its own.
    pub fn new() -> anyhow::Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        Ok(Self { salt, known: BTreeMap::new() })
    }

    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot = || {
            format!("the baseline {} cannot be used; make one with --write-baseline {}", path.display(), path.display())
        };
        let json = std::fs::read_to_string(path).with_context(cannot)?;
        let file: File = serde_json::from_str(&json).with_context(cannot)?;
        let salt = data_encoding::HEXLOWER.decode(file.salt.as_bytes()).ok().and_then(|salt| salt.try_into().ok());
        let salt = salt.context("its salt is not 32 bytes in hexadecimal").with_context(cannot)?;
        anyhow::ensure!(file.fumehood_baseline == 1, "{}", cannot());
        Ok(Self { salt, known: file.findings })
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let salt = data_encoding::HEXLOWER.encode(&self.salt);
        let file = File { fumehood_baseline: 1, salt, findings: self.known.clone() };
        let mut json = serde_json::to_string_pretty(&file)?;
        json.push('\n');
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = || format!("the baseline {} cannot be written", path.display());
        let mut new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        std::io::Write::write_all(&mut new, json.as_bytes()).with_context(cannot)?;
        new.persist(path).map_err(|error| error.error).with_context(cannot)?;
        Ok(())
    }

    pub const fn salt(&self) -> [u8; 32] {
        self.salt
    }

    pub fn with_salt_of(&mut self, other: &Self) {
        self.salt = other.salt;
    }

    pub fn add(&mut self, found: &Found) {
        let Some(mark) = &found.mark else { return };
        let entry = Entry { file: found.file.clone(), kind: found.kind.to_string(), times: 0 };
        self.known.entry(mark.clone()).or_insert(entry).times += 1;
    }

    /// Whether a finding is known; each time uses one up.
    pub fn takes(&mut self, found: &Found) -> bool {
        match found.mark.as_ref().and_then(|mark| self.known.get_mut(mark)) {
            Some(entry) if entry.times > 0 => {
                entry.times -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_files_types_and_values_apart() {
        let (salt, password) = ([7; 32], Kind::new("PASSWORD"));
        let one = mark(&salt, "a.env", &password, "hunter2");
        assert_eq!(one, mark(&salt, "a.env", &password, "hunter2"));
        for other in [
            mark(&[8; 32], "a.env", &password, "hunter2"),
            mark(&salt, "b.env", &password, "hunter2"),
            mark(&salt, "a.env", &Kind::new("OTHER"), "hunter2"),
            mark(&salt, "a.env", &password, "hunter3"),
        ] {
            assert_ne!(one, other);
        }
    }
}
