//! The newest bytes of a process's standard error, always taken in, so that it never blocks on them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits;

/// Longest line whose end is waited for, bytes.
const LINE: usize = 4 << 10;

/// The newest [`limits::STDERR_BYTES`].
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    newest: VecDeque<u8>,
    /// All that ever came, bytes.
    total: u64,
}

impl Tail {
    /// Take in all of `stderr`, until it ends.
    pub(super) async fn fill(self, mut stderr: impl AsyncRead + Unpin) {
        let mut scratch = vec![0; 4 << 10];
        while let Ok(count @ 1..) = stderr.read(&mut scratch).await {
            self.push(scratch.get(..count).unwrap_or_default());
        }
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.newest.extend(bytes);
        kept.total = kept.total.saturating_add(bytes.len() as u64);
        let over = kept.newest.len().saturating_sub(limits::STDERR_BYTES);
        kept.newest.drain(..over);
    }

    /// As text; bytes that are not UTF-8 replaced.
    pub(super) fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.newest.make_contiguous()).into_owned()
    }

    /// What came after the first `seen` bytes and is kept, in whole lines, and where to go on. With `last`, or where a line
    /// does not end, what is not a whole line, too.
    pub(super) fn since(&self, seen: u64, last: bool) -> (u64, String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total = kept.total;
        let newest = kept.newest.make_contiguous();
        let new = usize::try_from(total.saturating_sub(seen)).unwrap_or(usize::MAX).min(newest.len());
        let new = newest.get(newest.len() - new..).unwrap_or_default();
        let whole = match new.iter().rposition(|byte| *byte == b'\n') {
            _ if last => new.len(),
            Some(end) => end + 1,
            None if new.len() > LINE => new.len(),
            None => 0,
        };
        let text = String::from_utf8_lossy(new.get(..whole).unwrap_or_default()).into_owned();
        (total - (new.len() - whole) as u64, text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_newest_bytes_are_kept(pieces in prop::collection::vec("[a-z]{0,9000}", 0..6)) {
            let tail = Tail::default();
            for piece in &pieces {
                tail.push(piece.as_bytes());
            }
            let all = pieces.concat();
            prop_assert_eq!(tail.text(), &all[all.len().saturating_sub(limits::STDERR_BYTES)..]);
        }

        #[test]
        fn whoever_looks_often_sees_every_line_once(pieces in prop::collection::vec("[a-zé\n]{0,60}", 0..40)) {
            let (tail, mut seen, mut lines) = (Tail::default(), 0, String::new());
            for piece in &pieces {
                tail.push(piece.as_bytes());
                let (now, new) = tail.since(seen, false);
                prop_assert!(new.is_empty() || new.ends_with('\n'));
                seen = now;
                lines += &new;
            }
            lines += &tail.since(seen, true).1;
            prop_assert_eq!(lines, pieces.concat());
        }
    }

    #[test]
    fn of_a_flood_the_newest_is_seen_and_a_line_without_end_is_not_waited_for() {
        let tail = Tail::default();
        tail.push(&vec![b'x'; limits::STDERR_BYTES]);
        tail.push(b"\nlast\n");
        let (seen, text) = tail.since(0, false);
        assert_eq!((seen, text.len()), (limits::STDERR_BYTES as u64 + 6, limits::STDERR_BYTES));
        assert!(text.ends_with("x\nlast\n"));
        tail.push(&vec![b'y'; LINE]);
        assert_eq!(tail.since(seen, false), (seen, String::new()));
        tail.push(b"y");
        assert_eq!(tail.since(seen, false).1.len(), LINE + 1);
    }
}
