//! An answer that nobody watches while it arrives.

use fumehood_runtime::provider::{self, ToolCall};
use fumehood_store::outside::Model;
use tokio_util::sync::CancellationToken;

use super::answer::BYTES_A_TOKEN;
use super::request::size;
use crate::TriageError;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall<String>>,
    /// What its provider wants back.
    pub(crate) extensions: Vec<(String, String)>,
    pub(crate) stop: String,
    /// Tokens in and out, and what they cost: counted, or guessed by the bytes where nobody counts.
    pub(crate) used: (u64, u64, i64),
}

impl Whole {
    /// Read an answer of at most so many bytes to its end.
    pub(crate) async fn read(
        mut answer: provider::Completion,
        request: &provider::Request,
        model: &Model,
        most: usize,
        cancel: &CancellationToken,
    ) -> Result<Self, TriageError> {
        let (mut whole, mut counted) = (Self::default(), None);
        loop {
            let event = tokio::select! {
                event = answer.next() => event?,
                () = cancel.cancelled() => return Err(TriageError::Cancelled("nobody waits for the answer".into())),
            };
            let Some(event) = event else { break };
            whole.text.push_str(&event.text);
            whole.calls.extend(event.tool_calls);
            whole.extensions.extend(event.extensions);
            counted = event.usage.or(counted);
            whole.stop = event.stop.unwrap_or(whole.stop);
            let kept: usize = whole.extensions.iter().map(|(name, value)| name.len() + value.len()).sum();
            let calls: usize = whole.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
            if whole.text.len() + calls + kept > most {
                return Err(TriageError::TooLarge(format!("The answer of {} does not end.", model.model)));
            }
        }
        let asked: usize = request.messages.iter().map(size).sum();
        let guessed = || (asked as u64 / BYTES_A_TOKEN, whole.text.len() as u64 / BYTES_A_TOKEN);
        let (input, output) = counted.filter(|(input, output)| input + output > 0).unwrap_or_else(guessed);
        whole.used = (input, output, model.cost(input, output));
        Ok(whole)
    }
}
