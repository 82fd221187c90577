//! Talking to the model about an incident: turns, rounds, tool calls, and who listens.
//!
//! Invariants: what is sent is built from [`Redacted`] parts each time; a turn is one task, and an incident has one
//! turn at a time; what the model said so far is on disk at least once a second; a tool call waits in the store, not in
//! memory, so that it survives a restart.

mod advice;
mod answer;
mod own;
mod replay;
mod request;
mod turn;
mod whole;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use fumehood_policy::Permission;
use fumehood_store::approvals::Approval;
use fumehood_store::conversation::{Message, Turn};
use fumehood_store::outside::Model;
use fumehood_store::{IncidentId, Scope, TurnId, clock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::own::OWN;
pub(crate) use self::whole::Whole;
use crate::{App, TriageError};

/// Rounds of one turn: answers of the model with the calls that they ask for.
pub const MAX_ROUNDS: usize = 12;
/// Tool calls in one answer.
const MAX_CALLS: usize = 8;
/// Longest message of a person, bytes.
const MAX_TEXT: usize = 64 << 10;
/// How long a tool call waits for a person, microseconds.
const APPROVAL_US: i64 = 24 * 3600 * 1_000_000;

/// A turn that runs: who listens is told when something changed, and reads it from [`App::talk`].
pub(crate) struct Live {
    changed: watch::Sender<u64>,
    /// The message that is arriving, ahead of the store.
    arriving: Mutex<Option<Message>>,
    status: Mutex<String>,
    cancel: CancellationToken,
    /// Results that the last request had no room for.
    left_out: AtomicUsize,
}

/// The conversation as it stands.
#[derive(Clone, Debug)]
pub struct Talk {
    pub turns: Vec<Turn>,
    pub messages: Vec<Message>,
    pub approvals: Vec<Approval>,
    /// What the running turn is doing, in a few words.
    pub status: String,
}

impl App {
    /// Say something to the model; the answer arrives in the background.
    ///
    /// # Errors
    /// `Forbidden`, `NotSetUp`, `Invalid`, `Conflict` (sash, or a turn that runs).
    pub async fn say(&self, scope: &Scope, incident: IncidentId, text: &str) -> Result<TurnId, TriageError> {
        self.require(scope, Permission::RunModel)?;
        let text = text.trim();
        if text.is_empty() {
            return Err(TriageError::invalid("text", "Write what you want to know."));
        }
        if text.len() > MAX_TEXT {
            return Err(TriageError::invalid("text", "A message has at most 64 KiB. Attach longer text as a log."));
        }
        let model = self.chain(scope, incident).await?.into_iter().next().ok_or_else(|| self.no_model())?;
        let turn = self.0.store.begin_turn(scope, incident, (model.id, model.model), text.into()).await?;
        self.spawn_turn(scope, turn.clone());
        Ok(turn.id)
    }

    /// Ask again after a failed or stopped turn, with the same words.
    ///
    /// # Errors
    /// As [`App::say`].
    pub async fn retry(&self, scope: &Scope, incident: IncidentId, turn: TurnId) -> Result<TurnId, TriageError> {
        self.require(scope, Permission::RunModel)?;
        let messages = self.0.store.messages(scope, incident).await?;
        let asked = messages.into_iter().find(|message| message.turn_id == turn && message.role == "user");
        let asked = asked.ok_or(TriageError::NotFound { what: "turn in this incident" })?;
        self.say(scope, incident, &asked.text).await
    }

    /// Stop a turn. What arrived is kept; calls that wait are denied by nobody and expire.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn stop_turn(&self, scope: &Scope, incident: IncidentId, id: TurnId) -> Result<(), TriageError> {
        self.require(scope, Permission::RunModel)?;
        let turn = self.0.store.turn(scope, id).await?;
        if turn.incident_id != incident {
            return Err(TriageError::NotFound { what: "turn in this incident" });
        }
        if let Some(live) = self.live(id) {
            live.cancel.cancel();
            return Ok(());
        }
        if turn.state == "waiting" || turn.state == "running" {
            self.0.store.set_turn(scope, id, "stopped", scope.actor.to_string(), "").await?;
        }
        Ok(())
    }

    fn live(&self, id: TurnId) -> Option<Arc<Live>> {
        self.0.turns.lock().ok()?.get(&id).cloned()
    }

    /// The conversation of an incident, the arriving message included.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn talk(&self, scope: &Scope, incident: IncidentId) -> Result<Talk, TriageError> {
        self.incident(scope, incident).await?;
        let store = &self.0.store;
        let turns = store.turns(scope, incident).await?;
        let mut messages = store.messages(scope, incident).await?;
        let mut approvals = store.approvals(scope, incident).await?;
        let now = clock::now_us();
        for approval in &mut approvals {
            if approval.state == "pending" && approval.expires_us <= now {
                approval.state = "expired".into();
            }
        }
        let mut status = String::new();
        if let Some(live) = turns.last().and_then(|turn| self.live(turn.id)) {
            if let Ok(text) = live.status.lock() {
                status.clone_from(&text);
            }
            if let Ok(arriving) = live.arriving.lock()
                && let Some(message) = arriving.as_ref()
            {
                match messages.iter_mut().find(|known| known.id == message.id) {
                    Some(known) => known.clone_from(message),
                    None => messages.push(message.clone()),
                }
            }
        }
        Ok(Talk { turns, messages, approvals, status })
    }

    /// Tells when a running turn has changed; nothing where it does not run.
    pub fn listen(&self, id: TurnId) -> Option<watch::Receiver<u64>> {
        self.live(id).map(|live| live.changed.subscribe())
    }

    /// Run a turn that the store has just set running.
    pub(crate) fn spawn_turn(&self, scope: &Scope, turn: Turn) {
        let cancel = self.sash(turn.incident_id).child_token();
        let live = Arc::new(Live {
            changed: watch::Sender::new(0),
            arriving: Mutex::new(None),
            status: Mutex::new("Preparing what is sent".into()),
            left_out: AtomicUsize::new(0),
            cancel,
        });
        if let Ok(mut turns) = self.0.turns.lock() {
            turns.insert(turn.id, Arc::clone(&live));
        }
        let (app, scope) = (self.clone(), scope.clone());
        self.0.tasks.spawn(async move {
            let result = Runner { app: &app, scope: &scope, turn: &turn, live: &live }.run().await;
            let (state, problem, advice) = match result {
                Ok(Step::Waiting) => ("", String::new(), ""),
                Ok(Step::Done) => ("done", String::new(), ""),
                Err(_) if app.sash(turn.incident_id).is_cancelled() => ("stopped", "sash".into(), ""),
                Err(_) if live.cancel.is_cancelled() => ("stopped", String::new(), ""),
                Err(error) => {
                    ("failed", app.masked_problem(&scope, turn.incident_id, &error).await, advice::about(&error))
                }
            };
            if !state.is_empty()
                && let Err(error) = app.0.store.set_turn(&scope, turn.id, state, problem, advice).await
            {
                tracing::error!(%error, "the end of a turn could not be written");
            }
            if let Ok(mut turns) = app.0.turns.lock()
                && turns.get(&turn.id).is_some_and(|known| Arc::ptr_eq(known, &live))
            {
                // Another decision may have set the same turn running by now.
                turns.remove(&turn.id);
            }
            // Whoever listens sees the sender go, and reads the end from the store.
            drop(live);
        });
    }
}

enum Step {
    Done,
    Waiting,
}

/// One turn on its way.
struct Runner<'a> {
    app: &'a App,
    scope: &'a Scope,
    turn: &'a Turn,
    live: &'a Live,
}

/// `gpt-4.1 at api.example.com`.
pub fn destination(model: &Model) -> String {
    let host = url::Url::parse(&model.base_url).ok().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    });
    format!("{} at {}", model.model, host.unwrap_or_default())
}
