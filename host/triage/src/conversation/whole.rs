//! An answer that nobody watches while it arrives.

use std::sync::Arc;

use fumehood_runtime::CallHost;
use fumehood_runtime::provider::{self, Provider, ToolCall};
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

/// Most of its calls and of what its provider wants back, bytes.
const BESIDE: usize = 2 << 20;

impl Whole {
    /// Ask, and read an answer of at most so many bytes to its end. What it used is told however it ends, once it was asked.
    pub(crate) async fn ask(
        provider: &Provider,
        request: &provider::Request,
        call: Arc<dyn CallHost>,
        model: &Model,
        most: usize,
        cancel: &CancellationToken,
    ) -> (Self, Result<(), TriageError>) {
        let mut whole = Self::default();
        let answer = tokio::select! {
            answer = provider.complete(request, call) => answer.map(Some).map_err(TriageError::from),
            () = cancel.cancelled() => Ok(None),
        };
        let (mut counted, ended) = (
            None,
            match answer {
                // It was refused, and nobody counts that.
                Err(error) => return (whole, Err(error)),
                Ok(None) => Err(stopped()),
                Ok(Some(answer)) => Ok(answer),
            },
        );
        let ended = match ended {
            Ok(answer) => whole.read(answer, model, most, cancel, &mut counted).await,
            Err(error) => Err(error),
        };
        let asked: usize = request.messages.iter().map(size).sum();
        let guessed = || (asked as u64 / BYTES_A_TOKEN, (whole.text.len() + whole.beside()) as u64 / BYTES_A_TOKEN);
        let (input, output) = counted.filter(|(input, output)| input + output > 0).unwrap_or_else(guessed);
        whole.used = (input, output, model.cost(input, output));
        (whole, ended)
    }

    /// Bytes of its calls and of what its provider wants back.
    fn beside(&self) -> usize {
        let kept: usize = self.extensions.iter().map(|(name, value)| name.len() + value.len()).sum();
        kept + self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>()
    }

    async fn read(
        &mut self,
        mut answer: provider::Completion,
        model: &Model,
        most: usize,
        cancel: &CancellationToken,
        counted: &mut Option<(u64, u64)>,
    ) -> Result<(), TriageError> {
        loop {
            let event = tokio::select! {
                event = answer.next() => event?,
                () = cancel.cancelled() => return Err(stopped()),
            };
            let Some(event) = event else { return Ok(()) };
            self.text.push_str(&event.text);
            self.calls.extend(event.tool_calls);
            self.extensions.extend(event.extensions);
            *counted = event.usage.or(*counted);
            if let Some(stop) = event.stop {
                self.stop = stop;
            }
            if self.text.len() > most || self.beside() > BESIDE {
                return Err(TriageError::TooLarge(format!("The answer of {} does not end.", model.model)));
            }
        }
    }
}

fn stopped() -> TriageError {
    TriageError::Cancelled("nobody waits for the answer".into())
}
