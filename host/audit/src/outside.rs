//! The outside file: checkpoints, one note after the other, as they were copied out of the server.
//!
//! Invariant: a note that was written whole is never lost because the one after it was not. The writer appends, so only
//! the last note can be torn by a crash; it is reported, and [`OutsideFile::whole_bytes`] says where the file has to be
//! cut before the next note is appended. Anything else that is no note is an error that names its line.

use crate::checkpoint::{CheckpointError, SIGNATURE_PREFIX, SignedCheckpoint};

/// A note with the line of the file that it begins on, counting from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideNote {
    /// Where it begins.
    pub line: usize,
    /// The note, its signature not yet verified.
    pub note: SignedCheckpoint,
}

/// What an outside file holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OutsideFile {
    /// The notes in the order of the file.
    pub notes: Vec<OutsideNote>,
    /// The line on which a torn last note begins, if there is one.
    pub torn_line: Option<usize>,
    /// How many bytes of the file are whole notes. Whoever appends cuts the file here first.
    pub whole_bytes: usize,
}

/// Something in an outside file that is no note and is not its torn end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct OutsideError {
    /// Where it begins, counting from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: CheckpointError,
}

impl OutsideFile {
    /// Read a file. Blank lines between notes are allowed. Takes bytes, because a torn end may be no UTF-8.
    pub fn parse(file: &[u8]) -> Result<Self, OutsideError> {
        let mut found = Self::default();
        let mut pending = Pending::default();
        let mut lines = file.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let blank = line == b"\n";
            if blank && pending.bytes.is_empty() {
                found.whole_bytes += line.len();
                continue;
            }
            if pending.bytes.is_empty() {
                pending.line = number + 1;
            }
            pending.bytes.extend_from_slice(line);
            pending.in_signatures |= blank;
            // A note ends with its last signature line: the next line, if there is one, opens the next note.
            let signed = |line: &[u8]| line.starts_with(SIGNATURE_PREFIX.as_bytes());
            let goes_on = lines.peek().is_some_and(|(_, next)| signed(next));
            if !(pending.in_signatures && signed(line)) || goes_on {
                continue;
            }
            match pending.note() {
                Ok(note) => {
                    found.whole_bytes += pending.bytes.len();
                    found.notes.push(OutsideNote { line: pending.line, note });
                    pending = Pending::default();
                }
                // A line that the file ends in the middle of may be torn; a line with its newline was written so.
                Err(_) if !line.ends_with(b"\n") => break,
                Err(error) => {
                    return Err(OutsideError { line: pending.line, error });
                }
            }
        }
        if !pending.bytes.is_empty() {
            if !begins_a_note(&pending.bytes) {
                let error = CheckpointError::Malformed("its end is neither a note nor the beginning of one");
                return Err(OutsideError { line: pending.line, error });
            }
            found.torn_line = Some(pending.line);
        }
        Ok(found)
    }
}

/// The note that is being read.
#[derive(Default)]
struct Pending {
    line: usize,
    bytes: Vec<u8>,
    in_signatures: bool,
}

impl Pending {
    fn note(&self) -> Result<SignedCheckpoint, CheckpointError> {
        let text = std::str::from_utf8(&self.bytes).map_err(|_| CheckpointError::Malformed("it is not UTF-8"))?;
        SignedCheckpoint::parse(text)
    }
}

/// Digits of a root hash, and of a key id with an Ed25519 signature, in base64.
const ROOT_DIGITS: usize = 44;
const SIGNATURE_DIGITS: usize = 92;

/// Whether a note as we write it can begin so. A crash leaves nothing else: what was edited is not taken for torn.
fn begins_a_note(bytes: &[u8]) -> bool {
    let is_base64 = |text: &[u8]| text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    // What follows `lead`, where the line has all of it; nothing where the line ends within it.
    let after = |line: &[u8], lead: &[u8]| match line.strip_prefix(lead) {
        Some(rest) => Some(rest.to_vec()),
        None => lead.starts_with(line).then(Vec::new),
    };
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let origin = lines.first().copied().unwrap_or_default();
    lines.iter().enumerate().all(|(number, line)| {
        let ended = number + 1 < lines.len();
        let empty = ended && line.is_empty();
        match number {
            0 => !empty && line.iter().all(|b| !b.is_ascii_control() && !matches!(b, b' ' | b'+')),
            1 => !empty && line.iter().all(u8::is_ascii_digit),
            2 => is_base64(line) && if ended { line.len() == ROOT_DIGITS } else { line.len() <= ROOT_DIGITS },
            3 => after(line, b"time_us ").is_some_and(|time| time.iter().all(u8::is_ascii_digit)),
            4 => line.is_empty(),
            5 => {
                let lead = [SIGNATURE_PREFIX.as_bytes(), origin, b" "].concat();
                after(line, &lead).is_some_and(|text| is_base64(&text) && text.len() <= SIGNATURE_DIGITS)
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::tree::leaf_hash;
    use ed25519_dalek::SigningKey;

    fn note(size: u64) -> String {
        let key = SigningKey::from_bytes(&[1; 32]);
        Checkpoint::new("log.example", size, leaf_hash(b""), 0).unwrap().sign(&key).to_string()
    }

    fn sizes(file: &OutsideFile) -> Vec<u64> {
        file.notes.iter().map(|one| one.note.claimed().size()).collect()
    }

    #[test]
    fn notes_are_read_one_after_the_other() {
        let file = OutsideFile::parse(format!("{}{}\n{}", note(1), note(2), note(3)).as_bytes()).unwrap();
        assert_eq!(sizes(&file), [1, 2, 3]);
        assert_eq!(file.notes.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 7, 14]);
        assert_eq!(file.torn_line, None);
        assert_eq!(OutsideFile::parse(b"").unwrap(), OutsideFile::default());
    }

    #[test]
    fn a_torn_end_is_reported_wherever_it_is_torn() {
        let whole = format!("{}{}", note(1), note(2));
        let last = note(3);
        for length in 1..last.len() {
            let file = [whole.as_bytes(), &last.as_bytes()[..length]].concat();
            let file = OutsideFile::parse(&file).unwrap();
            assert_eq!(sizes(&file), [1, 2], "{length} bytes");
            assert_eq!(file.torn_line, Some(13), "{length} bytes");
            assert_eq!(file.whole_bytes, whole.len(), "{length} bytes");
        }
    }

    #[test]
    fn a_torn_note_in_the_middle_is_an_error_that_names_its_line() {
        let torn = &note(2)[..20];
        let file = format!("{}{torn}{}", note(1), note(3));
        let refused = OutsideFile::parse(file.as_bytes()).unwrap_err();
        assert_eq!(refused.line, 7);
        assert!(refused.to_string().starts_with("line 7: it is not a signed checkpoint: "), "{refused}");
    }

    #[test]
    fn no_edited_bit_is_taken_for_a_torn_end() {
        let file = format!("{}{}", note(1), note(2)).into_bytes();
        for at in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let Ok(read) = OutsideFile::parse(&bad) else { continue };
            assert_eq!(read.torn_line, None, "bit {at}");
            let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
            assert!(read.notes.iter().any(|one| one.note.clone().verify(&key).is_err()), "bit {at}");
        }
    }

    #[test]
    fn what_is_no_note_is_an_error_or_torn() {
        assert_eq!(OutsideFile::parse(b"\xff\xfe").unwrap().torn_line, Some(1));
        assert!(OutsideFile::parse(b"a b").is_err());
        assert!(OutsideFile::parse("a\n\n— b c\n".as_bytes()).is_err());
    }
}
