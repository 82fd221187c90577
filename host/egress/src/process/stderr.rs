//! The newest bytes of a process's standard error, always taken in, so that it never blocks on them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits;

/// The newest [`limits::STDERR_BYTES`].
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

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
        kept.extend(bytes);
        let over = kept.len().saturating_sub(limits::STDERR_BYTES);
        kept.drain(..over);
    }

    /// As text; bytes that are not UTF-8 replaced.
    pub(super) fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
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
    }
}
