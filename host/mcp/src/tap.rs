//! Raw answers beside typed ones: rmcp's models drop fields that they do not know.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Value;

/// Answers that are kept until they are taken; a server that answers what nobody asked cannot fill the memory.
const KEPT: usize = 32;

/// The last raw answers, by request id (as JSON text).
#[derive(Debug, Default)]
pub(crate) struct Tap(Mutex<VecDeque<(String, Value)>>);

impl Tap {
    /// Keep a message if it is an answer.
    pub(crate) fn see(&self, message: &Value) {
        let (Some(id), Some(result)) = (message.get("id"), message.get("result")) else { return };
        let Ok(mut kept) = self.0.lock() else { return };
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((id.to_string(), result.clone()));
    }

    /// The raw result of a request, once.
    pub(crate) fn take(&self, id: &str) -> Option<Value> {
        let mut kept = self.0.lock().ok()?;
        let at = kept.iter().position(|(of, _)| of == id)?;
        kept.remove(at).map(|(_, result)| result)
    }
}
