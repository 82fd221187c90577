//! Talking to the model about an incident: turns, rounds, tool calls, and who listens.
//!
//! Invariants: what is sent is built from [`Redacted`] parts each time; a turn is one task, and an incident has one
//! turn at a time; what the model said so far is on disk at least once a second; a tool call waits in the store, not in
//! memory, so that it survives a restart.

mod own;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fumehood_policy::Permission;
use fumehood_redact::{Origin, Redacted};
use fumehood_runtime::provider;
use fumehood_store::approvals::Approval;
use fumehood_store::conversation::{Kept, Message, StoredCall, Turn};
use fumehood_store::outside::Model;
use fumehood_store::{ApprovalId, IncidentId, MessageId, Scope, TurnId, clock};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::own::OWN;
use crate::call::Purpose;
use crate::prompt::fenced;
use crate::settings::no_model;
use crate::tools::{Catalogue, OfferedTool};
use crate::{App, TriageError};

/// Rounds of one turn: answers of the model with the calls that they ask for.
pub const MAX_ROUNDS: usize = 12;
/// Tool calls in one answer.
const MAX_CALLS: usize = 8;
/// Longest message of a person, bytes.
const MAX_TEXT: usize = 64 << 10;
/// Most that is kept for a provider with one answer, bytes.
const MAX_KEPT: usize = 2 << 20;
/// Longest answer of a model that is kept, bytes.
const MAX_ANSWER: usize = 512 << 10;
/// How often an answer that arrives is written down.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// How long a tool call waits for a person, microseconds.
const APPROVAL_US: i64 = 24 * 3600 * 1_000_000;

/// A turn that runs: who listens is told when something changed, and reads it from [`App::talk`].
pub(crate) struct Live {
    changed: watch::Sender<u64>,
    /// The message that is arriving, ahead of the store.
    arriving: Mutex<Option<Message>>,
    status: Mutex<String>,
    cancel: CancellationToken,
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
        let model = self.chain(scope, incident).await?.into_iter().next().ok_or_else(no_model)?;
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
            self.0.store.set_turn(scope, id, "stopped", scope.actor.to_string()).await?;
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
            cancel,
        });
        if let Ok(mut turns) = self.0.turns.lock() {
            turns.insert(turn.id, Arc::clone(&live));
        }
        let (app, scope) = (self.clone(), scope.clone());
        self.0.tasks.spawn(async move {
            let result = Runner { app: &app, scope: &scope, turn: &turn, live: &live }.run().await;
            let (state, problem) = match result {
                Ok(Step::Waiting) => ("", String::new()),
                Ok(Step::Done) => ("done", String::new()),
                Err(_) if app.sash(turn.incident_id).is_cancelled() => ("stopped", "sash".into()),
                Err(_) if live.cancel.is_cancelled() => ("stopped", String::new()),
                Err(error) => ("failed", app.masked_problem(&scope, turn.incident_id, &error).await),
            };
            if !state.is_empty()
                && let Err(error) = app.0.store.set_turn(&scope, turn.id, state, problem).await
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

/// Whether another model may have an answer where one failed so: its server, its key or its size were in the way, and not
/// what was asked.
fn may_be_others(error: &TriageError) -> bool {
    const OF_THE_MODEL: [&str; 10] = [
        "auth",
        "denied",
        "forbidden",
        "not-found",
        "protocol",
        "quota",
        "rate-limited",
        "timeout",
        "too-large",
        "unavailable",
    ];
    matches!(error, TriageError::Plugin(_)) && OF_THE_MODEL.contains(&error.code())
}

/// The name of a tool as providers take it; of what is none, what is left.
fn plain_name(name: &str) -> String {
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(64).collect();
    if plain.is_empty() { "unnamed".to_owned() } else { plain }
}

impl Runner<'_> {
    async fn run(&self) -> Result<Step, TriageError> {
        let mut chain = self.app.chain(self.scope, self.turn.incident_id).await?;
        // A turn that goes on, after a person has decided, goes on with the model that asked.
        if let Some(at) = chain.iter().position(|model| model.id == self.turn.model_id) {
            chain.drain(..at);
        }
        let mut chain = VecDeque::from(chain);
        self.run_decided_calls().await?;
        loop {
            let rounds = self.rounds().await?;
            if rounds >= MAX_ROUNDS {
                return Err(TriageError::Conflict(format!(
                    "The model asked for tools {MAX_ROUNDS} times without an answer. Ask something narrower."
                )));
            }
            let catalogue = self.app.catalogue(self.scope).await?;
            let answer = self.ask_one_of(&mut chain, &catalogue).await?;
            if answer.tool_calls.is_empty() {
                return Ok(Step::Done);
            }
            if self.put_before_person(&answer, &catalogue).await? {
                return Ok(Step::Waiting);
            }
            self.run_decided_calls().await?;
        }
    }

    async fn rounds(&self) -> Result<usize, TriageError> {
        let messages = self.app.0.store.messages(self.scope, self.turn.incident_id).await?;
        Ok(messages.iter().filter(|message| message.turn_id == self.turn.id && message.role == "assistant").count())
    }

    fn status(&self, text: impl Into<String>) {
        if let Ok(mut status) = self.live.status.lock() {
            *status = text.into();
        }
        self.live.changed.send_modify(|count| *count += 1);
    }

    /// Carry out what was approved, and turn every decided call into a message for the model.
    async fn run_decided_calls(&self) -> Result<(), TriageError> {
        let store = &self.app.0.store;
        let incident = self.turn.incident_id;
        let mine = |all: Vec<Approval>| {
            all.into_iter().filter(|approval| approval.turn_id == self.turn.id).collect::<Vec<_>>()
        };
        for approval in mine(store.approvals(self.scope, incident).await?) {
            if approval.state == "approved" {
                self.status(format!("{} on {} runs", approval.tool, approval.server));
                let status = |text: String| self.status(text);
                self.app.run_call(self.scope, &approval, self.live.cancel.clone(), &status).await?;
            }
        }
        let messages = store.messages(self.scope, incident).await?;
        for approval in mine(store.approvals(self.scope, incident).await?) {
            let told = messages.iter().any(|message| {
                message.turn_id == self.turn.id && message.tool_call_id.as_deref() == Some(approval.call_id.as_str())
            });
            if told || approval.state == "pending" {
                continue;
            }
            let masked = self.app.mask_result(self.scope, &approval).await?;
            self.tool_message(&approval.call_id, &masked).await?;
        }
        Ok(())
    }

    async fn tool_message(&self, call_id: &str, text: &Redacted) -> Result<(), TriageError> {
        let message = Message {
            id: MessageId::new(),
            turn_id: self.turn.id,
            role: "tool".into(),
            text: text.as_str().to_owned(),
            tool_calls: Vec::new(),
            tool_call_id: Some(call_id.to_owned()),
            kept: None,
            complete: true,
            created_us: clock::now_us(),
        };
        Ok(self.app.0.store.put_message(self.scope, self.turn.incident_id, message).await?)
    }

    /// Ask the first model, and the next where it cannot answer; those before the one that did are not asked again in this
    /// turn. One that has begun to answer is the last.
    async fn ask_one_of(&self, chain: &mut VecDeque<Model>, catalogue: &Catalogue) -> Result<Message, TriageError> {
        loop {
            let model = chain.front().ok_or_else(no_model)?;
            let mut message = self.empty_answer();
            let asked = self.ask(model, catalogue, &mut message).await;
            let has_begun = !message.text.is_empty() || !message.tool_calls.is_empty();
            let error = match asked {
                Ok(()) => return Ok(message),
                Err(error) if has_begun || chain.len() == 1 || !may_be_others(&error) => return Err(error),
                Err(error) => error,
            };
            let failed = chain.pop_front().map(|model| model.model).unwrap_or_default();
            let next = chain.front().ok_or_else(no_model)?;
            tracing::warn!(code = error.code(), "a model could not answer; the next is asked");
            let summary = format!("{failed} could not answer ({}); {} was asked instead", error.code(), next.model);
            self.status(format!("{failed} could not answer; asking {}", next.model));
            let link = format!("chat#turn-{}", self.turn.id);
            let (store, incident) = (&self.app.0.store, self.turn.incident_id);
            store.turn_goes_to(self.scope, self.turn.id, (next.id, next.model.clone())).await?;
            store.note(self.scope, incident, "model", summary, link).await?;
        }
    }

    fn empty_answer(&self) -> Message {
        Message {
            id: MessageId::new(),
            turn_id: self.turn.id,
            role: "assistant".into(),
            text: String::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            kept: None,
            complete: false,
            created_us: clock::now_us(),
        }
    }

    /// Send the conversation and take the answer in.
    async fn ask(&self, model: &Model, catalogue: &Catalogue, message: &mut Message) -> Result<(), TriageError> {
        self.status("Preparing what is sent");
        let request = self.request(model, catalogue).await?;
        let purpose = Purpose {
            incident: Some(self.turn.incident_id),
            kind: "model",
            destination: destination(model),
            subject: format!("turn:{}", self.turn.id),
            instance: String::new(),
        };
        let call = self.app.call(self.scope, purpose, self.app.model_reach(model)?, Some(self.live.cancel.clone()));
        self.status(format!("Waiting for {}", model.model));
        let provider = self.app.provider(model)?;
        let mut answer = tokio::select! {
            answer = provider.complete(&request, call) => answer?,
            () = self.live.cancel.cancelled() => return Err(TriageError::Cancelled("the turn was stopped".into())),
        };
        let result = self.take_in(&mut answer, message, model).await;
        // Nothing came, and another model may be asked.
        if !message.text.is_empty() || !message.tool_calls.is_empty() {
            message.complete = true;
            self.show(message);
            self.app.0.store.put_message(self.scope, self.turn.incident_id, message.clone()).await?;
        }
        if let Ok(mut arriving) = self.live.arriving.lock() {
            *arriving = None;
        }
        result
    }

    async fn take_in(
        &self,
        answer: &mut provider::Completion,
        message: &mut Message,
        model: &Model,
    ) -> Result<(), TriageError> {
        let mut written = Instant::now();
        let mut stop = None;
        loop {
            let event = tokio::select! {
                event = answer.next() => event?,
                () = self.live.cancel.cancelled() => return Err(TriageError::Cancelled("the turn was stopped".into())),
            };
            let Some(event) = event else { break };
            if !event.text.is_empty() {
                if message.text.is_empty() {
                    self.status(format!("{} answers", model.model));
                }
                message.text.push_str(&event.text);
                if message.text.len() > MAX_ANSWER {
                    return Err(TriageError::TooLarge(
                        "The model's answer does not end; it was stopped at 512 KiB and kept.".into(),
                    ));
                }
            }
            for call in event.tool_calls {
                // An id of our own: models repeat theirs, and what they make up does not go out again unseen.
                let id = format!("call_{}", MessageId::new().to_string().replace('-', ""));
                message.tool_calls.push(StoredCall { id, name: plain_name(&call.name), arguments: call.arguments });
            }
            if !event.extensions.is_empty() {
                let kept = message.kept.get_or_insert_with(|| Kept {
                    plugin: model.plugin.clone(),
                    model: model.model.clone(),
                    values: Vec::new(),
                });
                kept.values.extend(event.extensions);
                let bytes: usize = kept.values.iter().map(|(name, value)| name.len() + value.len()).sum();
                if bytes > MAX_KEPT {
                    return Err(TriageError::TooLarge(
                        "The model wants more than 2 MiB of its thoughts back. What it said is kept.".into(),
                    ));
                }
            }
            if let Some((input, output)) = event.usage {
                let cost = model.cost(input, output);
                self.app.0.store.add_usage(self.scope, self.turn.id, input, output, cost).await?;
            }
            stop = event.stop.or(stop);
            self.show(message);
            if written.elapsed() > WRITE_EVERY {
                self.app.0.store.put_message(self.scope, self.turn.incident_id, message.clone()).await?;
                written = Instant::now();
            }
        }
        match stop.as_deref() {
            Some("length") => Err(TriageError::TooLarge(
                "The model stopped because its answer reached the longest that it may write. What arrived is kept."
                    .into(),
            )),
            Some("filtered") => {
                Err(TriageError::Conflict("The model's provider held the answer back by its content filter.".into()))
            }
            _ if message.tool_calls.len() > MAX_CALLS => Err(TriageError::TooLarge(format!(
                "The model asked for more than {MAX_CALLS} tool calls at once. Nothing was called."
            ))),
            _ if message.text.trim().is_empty() && message.tool_calls.is_empty() => Err(TriageError::Conflict(
                "The model answered with nothing. Ask again, or check which model is set up.".into(),
            )),
            _ => Ok(()),
        }
    }

    fn show(&self, message: &Message) {
        if let Ok(mut arriving) = self.live.arriving.lock() {
            *arriving = Some(message.clone());
        }
        self.live.changed.send_modify(|count| *count += 1);
    }

    /// The whole conversation, masked anew.
    async fn request(&self, model: &Model, catalogue: &Catalogue) -> Result<provider::Request, TriageError> {
        let incident_id = self.turn.incident_id;
        let incident = self.app.0.store.incident(self.scope, incident_id).await?;
        let system = self.app.system_prompt(self.scope, &incident, &catalogue.problems).await?;
        let mut messages = vec![provider::Message::plain("system", system)];
        let history = self.app.0.store.messages(self.scope, incident_id).await?;
        for message in answered(history) {
            messages.push(self.lower(&message, model).await?);
        }
        let mut tools = Vec::with_capacity(catalogue.tools.len());
        for tool in &catalogue.tools {
            let schema = self.app.mask_json(self.scope, incident_id, Origin::Raw, &tool.schema).await?;
            tools.push(provider::Tool {
                name: tool.name.clone(),
                description: self.app.mask_one(self.scope, incident_id, Origin::Raw, &tool.description).await?,
                parameters: schema.to_redacted(),
            });
        }
        tools.extend(self.own_tools().await?);
        Ok(provider::Request { model: model.model.clone(), messages, tools, max_output_tokens: None })
    }

    async fn lower(&self, message: &Message, model: &Model) -> Result<provider::Message, TriageError> {
        // What a person types is raw; what the model wrote, and tool results as they were masked, hold our pseudonyms.
        let origin = Origin::Reply;
        let incident = self.turn.incident_id;
        let mut tool_calls = Vec::with_capacity(message.tool_calls.len());
        for call in &message.tool_calls {
            tool_calls.push(provider::ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: self.app.mask_one(self.scope, incident, origin, &call.arguments).await?,
            });
        }
        let role = match message.role.as_str() {
            "assistant" => "assistant",
            "tool" => "tool",
            _ => "user",
        };
        let mut text = self.app.mask_one(self.scope, incident, origin, &message.text).await?;
        if role == "tool" {
            text = fenced("tool result", &text);
        }
        let extensions = match &message.kept {
            // To another provider, or model, it says nothing, and whatever it says is nobody else's.
            Some(kept) if (&kept.plugin, &kept.model) == (&model.plugin, &model.model) => {
                self.app.given_back(self.scope, incident, &kept.values).await?
            }
            _ => Vec::new(),
        };
        Ok(provider::Message { role, text, tool_calls, tool_call_id: message.tool_call_id.clone(), extensions })
    }

    /// Put the model's calls before a person. `false` where nobody has to decide: a rule allows them, or none of them can
    /// be asked for and the model was told why.
    async fn put_before_person(&self, answer: &Message, catalogue: &Catalogue) -> Result<bool, TriageError> {
        let mut asks = Vec::new();
        for call in &answer.tool_calls {
            if call.name.starts_with(OWN) {
                match self.own_call(call).await? {
                    own::Own::Said(text) => self.tool_message(&call.id, &text).await?,
                    own::Own::Ask(approval) => asks.push(*approval),
                }
                continue;
            }
            let Some(tool) = catalogue.tools.iter().find(|tool| tool.name == call.name) else {
                let mut text =
                    Redacted::literal("There is no such tool. The tools that exist are those in this request.");
                for (server, problem) in &catalogue.problems {
                    let known = format!(" {server}: {problem}.");
                    text.push(&self.app.mask_one(self.scope, self.turn.incident_id, Origin::Raw, &known).await?);
                }
                self.not_called(call, "there is no such tool", &text).await?;
                continue;
            };
            let arguments = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
            match serde_json::from_str::<serde_json::Value>(arguments) {
                Ok(value @ serde_json::Value::Object(_)) => asks.push(self.approval(call, tool, &value).await?),
                _ => {
                    let text = Redacted::literal("The arguments were not a JSON object. Call the tool again with one.");
                    self.not_called(call, "its arguments were not a JSON object", &text).await?;
                }
            }
        }
        if asks.is_empty() {
            return Ok(false);
        }
        Ok(self.app.0.store.ask(self.scope, self.turn.id, asks).await?)
    }

    /// Tell the model, and the timeline, why a call that it asked for was not put before a person.
    async fn not_called(&self, call: &StoredCall, reason: &str, text: &Redacted) -> Result<(), TriageError> {
        self.tool_message(&call.id, text).await?;
        let name: String = call.name.chars().filter(|c| !c.is_control()).take(80).collect();
        let summary = format!("Not called: {name}: {reason}");
        let link = format!("chat#turn-{}", self.turn.id);
        Ok(self.app.0.store.note(self.scope, self.turn.incident_id, "tool", summary, link).await?)
    }

    async fn approval(
        &self,
        call: &StoredCall,
        tool: &OfferedTool,
        arguments: &serde_json::Value,
    ) -> Result<Approval, TriageError> {
        let incident = self.turn.incident_id;
        let masked = self.app.mask_json(self.scope, incident, Origin::Reply, arguments).await?;
        let text = masked.to_value().to_string();
        let server = self.app.0.store.server(self.scope, tool.server_id).await?;
        let binding = self.app.binding(&server, tool.sha256.clone(), &text)?;
        let now = clock::now_us();
        let allowed = tool.rule == "allow";
        let counts = masked.count_by_kind().into_iter().map(|(kind, count)| (kind.as_str().to_owned(), count as u64));
        Ok(Approval {
            id: ApprovalId::new(),
            incident_id: incident,
            turn_id: self.turn.id,
            call_id: call.id.clone(),
            server_id: tool.server_id,
            server: tool.server.clone(),
            method: "tools/call".into(),
            tool: tool.tool.clone(),
            tool_sha256: binding.tool_sha256,
            plugin_sha256: binding.plugin_sha256,
            arguments_sha256: Sha256::digest(text.as_bytes()).to_vec(),
            arguments: text,
            masked: counts.collect(),
            state: if allowed { "approved".into() } else { "pending".into() },
            decided_by: allowed.then(|| "rule".to_owned()),
            decided_us: allowed.then_some(now),
            expires_us: now + APPROVAL_US,
            result: String::new(),
            problem: String::new(),
            created_us: now,
        })
    }
}

/// The messages in which every call has its answer: a provider refuses a conversation with calls left open (a turn that
/// was stopped while one waited).
fn answered(history: Vec<Message>) -> Vec<Message> {
    let told: std::collections::HashSet<String> =
        history.iter().filter_map(|message| message.tool_call_id.clone()).collect();
    let mut kept = Vec::with_capacity(history.len());
    let mut open = std::collections::HashSet::new();
    for mut message in history {
        match message.role.as_str() {
            "assistant" => {
                let asked = message.tool_calls.len();
                message.tool_calls.retain(|call| told.contains(&call.id));
                // It belongs to exactly these calls.
                message.kept = message.kept.take().filter(|_| message.complete && message.tool_calls.len() == asked);
                open.extend(message.tool_calls.iter().map(|call| call.id.clone()));
                if message.text.trim().is_empty() && message.tool_calls.is_empty() {
                    continue;
                }
            }
            "tool" if !message.tool_call_id.as_ref().is_some_and(|id| open.remove(id)) => continue,
            _ => {}
        }
        kept.push(message);
    }
    kept
}

/// `gpt-4.1 at api.example.com`.
pub fn destination(model: &Model) -> String {
    let host = url::Url::parse(&model.base_url).ok().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    });
    format!("{} at {}", model.model, host.unwrap_or_default())
}
