//! Calls that wait for their client: a server of the older era has asked something in the middle of a call, and a client
//! of the newer era answers with its next request.
//!
//! Invariant: a call that waits belongs to whoever made it, is gone on with once, and ends by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fumehood_mcp::{Incoming, McpError, Patience, Pause};
use fumehood_store::Scope;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::upstream::Upstream;

/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(600);
/// Calls that wait at once.
const CALLS: usize = 256;
/// Marks our own state among those of servers.
const MARK: &str = "fumehood-held-";

/// A call that is going on.
pub(super) struct HeldCall {
    pub(super) caller: Scope,
    pub(super) server: String,
    pub(super) task: AbortOnDropHandle<Result<Value, McpError>>,
    pub(super) questions: mpsc::Receiver<Incoming>,
    pub(super) upstream: Arc<Upstream>,
    /// The question that waits, and its id on the server's side.
    pub(super) asked: Value,
    pub(super) since: Instant,
    /// The server's time for its answer, which stands still while the client is asked.
    pub(super) patience: Arc<Patience>,
    pub(super) paused: Option<Pause>,
}

/// All of them, by the state that the client was given.
#[derive(Default)]
pub(super) struct HeldCalls(Mutex<HashMap<String, HeldCall>>);

impl HeldCalls {
    /// Whether a state is one of ours.
    pub(super) fn is_ours(state: &str) -> bool {
        state.starts_with(MARK)
    }

    /// Keep a call; the state to come back with. Nothing where too many wait.
    pub(super) fn keep(&self, call: HeldCall) -> Option<String> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|_, call| call.since.elapsed() < PATIENCE);
        if calls.len() >= CALLS {
            return None;
        }
        let state = format!("{MARK}{}", uuid::Uuid::new_v4().simple());
        calls.insert(state.clone(), call);
        Some(state)
    }

    /// Go on with a call.
    pub(super) fn take(&self, state: &str, caller: &Scope, server: &str) -> Option<HeldCall> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|_, call| call.since.elapsed() < PATIENCE);
        calls.get(state).filter(|call| call.caller == *caller && call.server == server)?;
        calls.remove(state)
    }
}
