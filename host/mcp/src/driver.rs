//! The driver: one task that owns a transport's machine, tells it what happened, and does what it answers.
//!
//! Invariants: events go in one at a time, and the actions of one are carried out in their order before the next.
//! Everything that an action started is owned by this task and ends with it. Whatever the task waits for, it ends when
//! the call is cancelled, and at most [`GOODBYE`] after the client has closed or was dropped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_egress::{Egress, Keep, Output, Process, ProcessSpec};
use fumehood_runtime::effects::{self, EffectOutcome, EffectRequest, Request};
use fumehood_runtime::{Action, CallHost, Event, TransportConnection, TransportRequest};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::client::Challenge;
use crate::error::{McpError, bounded};
use crate::grant;
use crate::transport::SendError;
use crate::witness::Witness;

/// Parts of answers that wait for the machine; a flooding server waits instead of filling the memory.
const INPUTS: usize = 16;
/// After the client has closed: how long the machine may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(4);
/// After a process has closed its input: how long it may take to end, so that its exit code can be told.
const DYING: Duration = Duration::from_secs(2);
/// How often the standard error of a process is looked at.
const STDERR: Duration = Duration::from_secs(1);
/// Largest message, bytes; the contract's bound.
pub(crate) const MESSAGE: usize = 4 << 20;
/// Requests of one connection at once. The transport that ships asks for 80 at most.
const REQUESTS: usize = 128;
/// Timers of one connection.
const TIMERS: usize = 1_024;
/// Longest timer: beyond the life of any connection, and within what a clock can add.
const LONGEST_TIMER: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the client asks of the driver.
pub(crate) enum Command {
    Send { id: u64, data: Vec<u8>, done: oneshot::Sender<Result<(), SendError>> },
    Dropped(u64),
}

/// What a request task reports.
enum Input {
    Head { id: u64, status: u16, headers: Vec<(String, String)> },
    Body { id: u64, data: Vec<u8> },
    End { id: u64, code: String, text: String },
}

/// A message of the server.
pub(crate) struct Delivered {
    pub(crate) data: Vec<u8>,
    /// The client's message in whose answer it came; 0 where that is not known.
    pub(crate) with: u64,
}

/// What is known of a connection from outside its task.
pub(crate) struct Shared {
    /// Why the connection is over; the first reason counts.
    failure: Mutex<Option<McpError>>,
    /// What the server said the last time that it did not take a credential.
    pub(crate) challenge: Challenge,
    witness: Option<Arc<dyn Witness>>,
}

impl Shared {
    pub(crate) fn new(challenge: Challenge, witness: Option<Arc<dyn Witness>>) -> Self {
        Self { failure: Mutex::default(), challenge, witness }
    }

    pub(crate) fn failure(&self) -> Option<McpError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn fail(&self, error: McpError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

pub(crate) struct Driver {
    pub(crate) machine: TransportConnection,
    pub(crate) host: Arc<dyn CallHost>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) process: Option<ProcessSpec>,
    /// Messages as the machine delivers them.
    pub(crate) deliver: mpsc::Sender<Delivered>,
    pub(crate) shared: Arc<Shared>,
    /// Cancelled when the client closes or is dropped.
    pub(crate) ending: CancellationToken,
}

struct Running {
    driver: Driver,
    process: Option<Process>,
    /// When a process that no longer listens is given up, and why.
    dying: Option<(Instant, String)>,
    requests: HashMap<u64, AbortOnDropHandle<()>>,
    /// The client's message that each request was made for, and the one that is being sent.
    sent_with: HashMap<u64, u64>,
    /// Requests that are answered by a stream of events.
    streams: HashSet<u64>,
    sending: u64,
    timers: HashMap<u64, Instant>,
    sends: HashMap<u64, oneshot::Sender<Result<(), SendError>>>,
    /// What the client has no room for yet. Until it has, nothing more is read from the server, so this holds what one
    /// event brought; but what the client wants to send is taken on, because it may send before it receives.
    backlog: VecDeque<Delivered>,
    inputs: mpsc::Sender<Input>,
    /// Sockets between the requests of this connection.
    keep: Keep,
    /// Bytes of the process's standard error that the witness has heard.
    heard: u64,
    over: bool,
}

impl Driver {
    /// Run until the connection is over. Everything that it started has ended when this returns.
    pub(crate) async fn run(self, commands: mpsc::Receiver<Command>) {
        let (inputs, parts) = mpsc::channel(INPUTS);
        let cancel = self.host.cancellation();
        let (ending, shared) = (self.ending.clone(), Arc::clone(&self.shared));
        let mut running = Running {
            driver: self,
            process: None,
            dying: None,
            requests: HashMap::new(),
            sent_with: HashMap::new(),
            streams: HashSet::new(),
            sending: 0,
            timers: HashMap::new(),
            sends: HashMap::new(),
            backlog: VecDeque::new(),
            inputs,
            keep: Keep::default(),
            heard: 0,
            over: false,
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => shared.fail(McpError::Cancelled),
            () = goodbye(&ending) => {}
            () = running.serve(commands, parts) => {}
        }
        // Whoever still waits learns that the connection is closed.
        running.requests.clear();
        running.sends.clear();
        running.tell_stderr(true);
        if let Some(process) = running.process.take() {
            process.kill().await;
        }
        if let Some(witness) = &shared.witness {
            witness.ended(shared.failure().as_ref());
        }
    }
}

async fn goodbye(ending: &CancellationToken) {
    ending.cancelled().await;
    tokio::time::sleep(GOODBYE).await;
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn read(process: &mut Option<Process>) -> Output {
    match process {
        Some(process) => process.read().await,
        None => std::future::pending().await,
    }
}

impl Running {
    async fn serve(&mut self, mut commands: mpsc::Receiver<Command>, mut parts: mpsc::Receiver<Input>) {
        let (ending, deliver) = (self.driver.ending.clone(), self.driver.deliver.clone());
        let mut closing = false;
        let mut stderr = tokio::time::interval(STDERR);
        stderr.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.feed(Event { kind: "start", ..Event::default() }).await;
        while !self.over {
            let timer = self.timers.iter().min_by_key(|(_, at)| **at).map(|(id, at)| (*id, *at));
            let dying = self.dying.as_ref().map(|(at, _)| *at);
            let room = self.backlog.is_empty();
            // In this order, so that neither a flood of answers nor one of output holds up the client.
            tokio::select! {
                biased;
                Some(command) = commands.recv() => self.command(command).await,
                () = ending.cancelled(), if !closing => {
                    closing = true;
                    self.feed(Event { kind: "close", ..Event::default() }).await;
                }
                place = deliver.reserve(), if !room => match (place, self.backlog.pop_front()) {
                    (Ok(place), Some(message)) => place.send(message),
                    _ => self.over = true,
                },
                () = sleep_until(timer.map(|(_, at)| at)), if timer.is_some() && (room || closing) => {
                    if let Some((id, _)) = timer {
                        self.timers.remove(&id);
                        self.feed(Event { kind: "timer", id, ..Event::default() }).await;
                    }
                }
                () = sleep_until(dying), if dying.is_some() => {
                    let text = self.dying.take().map(|(_, text)| text).unwrap_or_default();
                    self.end(McpError::Closed(bounded(&text)));
                }
                _ = stderr.tick(), if self.process.is_some() => self.tell_stderr(false),
                Some(input) = parts.recv(), if room => self.input(input).await,
                output = read(&mut self.process), if room && self.process.is_some() => self.output(output).await,
            }
            if closing && self.requests.is_empty() && self.process.is_none() {
                break;
            }
        }
        // Whoever still waits to send learns that the connection is closed; what had come already is handed on.
        self.sends.clear();
        self.requests.clear();
        while let Some(message) = self.backlog.pop_front() {
            if deliver.send(message).await.is_err() {
                break;
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Send { id, data, done } if data.len() > MESSAGE => {
                let text = format!("message {id} has {} bytes, and at most {MESSAGE} are sent", data.len());
                let _ = done.send(Err(SendError { code: "too-large".into(), text }));
            }
            Command::Send { id, data, done } => {
                self.sends.insert(id, done);
                self.sending = id;
                self.feed(Event { kind: "message", id, data, ..Event::default() }).await;
                self.sending = 0;
            }
            Command::Dropped(id) => {
                self.sends.remove(&id);
                self.feed(Event { kind: "send-dropped", id, ..Event::default() }).await;
            }
        }
    }

    async fn input(&mut self, input: Input) {
        let event = match input {
            Input::Head { id, status, headers } if self.requests.contains_key(&id) => {
                if matches!(status, 401 | 403) {
                    self.driver.shared.challenge.keep(status, &headers);
                }
                if is_event_stream(&headers) {
                    self.streams.insert(id);
                }
                Event { kind: "response", id, status, headers, ..Event::default() }
            }
            Input::Body { id, data } if self.requests.contains_key(&id) => {
                Event { kind: "body", id, data, ..Event::default() }
            }
            Input::End { id, code, text } if self.requests.remove(&id).is_some() => {
                Event { kind: "response-end", id, code, text, ..Event::default() }
            }
            // Of a request that was cancelled meanwhile.
            _ => return,
        };
        let over =
            (event.kind == "response-end").then(|| (event.id, self.streams.remove(&event.id) && event.code.is_empty()));
        self.feed(event).await;
        if let Some((id, streamed)) = over
            && let Some(with) = self.sent_with.remove(&id)
            && streamed
        {
            // Whoever waits for an answer that has not come on its stream learns that it will come by another way.
            self.backlog.push_back(Delivered { data: Vec::new(), with });
        }
    }

    async fn output(&mut self, output: Output) {
        let event = match output {
            Output::Stdout(bytes) => Event { kind: "process-output", data: bytes.to_vec(), ..Event::default() },
            Output::Exit { code } => {
                self.tell_stderr(true);
                self.process = None;
                self.dying = None;
                let status = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(255);
                Event { kind: "process-exit", status, ..Event::default() }
            }
        };
        self.feed(event).await;
    }

    /// Tell of what the process has written to its standard error; `last` where nothing more will come.
    fn tell_stderr(&mut self, last: bool) {
        let (Some(process), Some(witness)) = (&self.process, &self.driver.shared.witness) else { return };
        let (heard, lines) = process.stderr_since(self.heard, last);
        self.heard = heard;
        if !lines.is_empty() {
            witness.wrote(&lines);
        }
    }

    /// Tell the machine what happened and do what it answers.
    async fn feed(&mut self, event: Event) {
        match self.driver.machine.handle(event).await {
            Ok(actions) => {
                for action in actions {
                    if self.over {
                        break;
                    }
                    self.carry_out(action).await;
                }
            }
            Err(error) => self.end(McpError::Plugin(error)),
        }
    }

    fn end(&mut self, error: McpError) {
        self.driver.shared.fail(error);
        self.over = true;
    }

    /// The machine asked for something that no transport may.
    fn misbehaved(&mut self, what: &str) {
        self.end(McpError::Closed(format!("the transport {what}, so it was stopped")));
    }

    async fn carry_out(&mut self, action: Action) {
        match action.kind.as_str() {
            "request" => match action.request {
                Some(request) => self.request(action.id, request),
                None => self.misbehaved("asked for a request without one"),
            },
            "cancel" => {
                self.requests.remove(&action.id);
                self.sent_with.remove(&action.id);
                self.streams.remove(&action.id);
            }
            "spawn" => self.spawn().await,
            "write" => self.write(&action.data).await,
            "close-input" => {
                if let Some(process) = &mut self.process {
                    process.close_input();
                }
            }
            "deliver" if action.data.len() > MESSAGE => self.misbehaved("delivered a message over its limit"),
            "deliver" => {
                let with = self.sent_with.get(&action.id).copied().unwrap_or_default();
                self.backlog.push_back(Delivered { data: action.data, with });
            }
            "sent" => self.settle(action.id, Ok(())),
            "failed" => {
                let error = SendError { code: action.code, text: bounded(&action.text) };
                self.settle(action.id, Err(error));
            }
            "timer" if action.number == 0 => drop(self.timers.remove(&action.id)),
            "timer" => {
                let delay = Duration::from_millis(action.number).min(LONGEST_TIMER);
                self.timers.insert(action.id, Instant::now() + delay);
                if self.timers.len() > TIMERS {
                    self.misbehaved("set too many timers");
                }
            }
            "closed" if action.code.is_empty() => self.over = true,
            "closed" => self.end(McpError::of_end(&action.code, &action.text)),
            other => self.misbehaved(&format!("asked for `{}`, which this version does not know", bounded(other))),
        }
    }

    fn settle(&mut self, id: u64, result: Result<(), SendError>) {
        if let Some(done) = self.sends.remove(&id) {
            let _ = done.send(result);
        }
    }

    fn request(&mut self, id: u64, request: TransportRequest) {
        if self.requests.len() >= REQUESTS {
            return self.misbehaved("asked for too many requests at once");
        }
        let (host, egress) = (Arc::clone(&self.driver.host), Arc::clone(&self.driver.egress));
        let (inputs, keep) = (self.inputs.clone(), self.keep.clone());
        let task = tokio::spawn(async move {
            let outgoing = Request {
                method: request.method,
                url: request.url,
                headers: request.headers,
                body: request.body,
                first_byte_ms: request.first_byte_ms,
                idle_ms: Some(request.idle_ms),
            };
            let (code, text) = match exchange(&host, &egress, &keep, outgoing, id, &inputs).await {
                Ok(()) => (String::new(), String::new()),
                Err(failure) => (failure.code, failure.message),
            };
            let _ = inputs.send(Input::End { id, code, text }).await;
        });
        if self.sending != 0 {
            self.sent_with.insert(id, self.sending);
        }
        self.requests.insert(id, AbortOnDropHandle::new(task));
    }

    async fn spawn(&mut self) {
        let Some(mut spec) = self.driver.process.take() else {
            return self.misbehaved("asked for a process that is not registered, or a second time");
        };
        // As it stands now: it may have been withdrawn since the connection was asked for.
        let grant = self.driver.host.grant();
        let path = spec.command.to_string_lossy().into_owned();
        let grant::Allowed { rule, program } = match grant::process(&grant, &spec).await {
            Ok(allowed) => allowed,
            Err(grant::Refused::Denied(denial, digest)) => {
                let attempt = effects::Attempt::Process(&path, digest, &spec.arguments);
                let failure = self.driver.host.denied(*denial, attempt).await;
                return self.end(McpError::Unreachable(bounded(&failure.message)));
            }
            Err(grant::Refused::Unreadable(reason)) => return self.end(McpError::Unreachable(bounded(&reason))),
        };
        spec.pinned = program;
        let arguments: Vec<u8> = spec
            .arguments
            .iter()
            .flat_map(|one| (one.len() as u64).to_le_bytes().into_iter().chain(one.bytes()))
            .collect();
        let effect = EffectRequest {
            method: effects::SPAWN,
            rule: &rule,
            generation: grant.generation,
            url: &path,
            headers: &[],
            body: &arguments,
        };
        let token = match self.driver.host.before(effect).await {
            Ok(token) => token,
            Err(failure) => return self.end(McpError::Unreachable(bounded(&failure.message))),
        };
        if self.driver.host.grant() != grant || self.driver.host.cancellation().is_cancelled() {
            let result = "denied".into();
            self.driver.host.after(token, EffectOutcome { result, ..EffectOutcome::default() });
            let reason = "the plugin's grant was changed while the program was about to start; it was not started";
            return self.end(McpError::Unreachable(reason.into()));
        }
        let started = self.driver.egress.spawn(spec);
        let result = if started.is_ok() { "ok" } else { "unavailable" };
        self.driver.host.after(token, EffectOutcome { result: result.into(), ..EffectOutcome::default() });
        match started {
            Ok(process) => self.process = Some(process),
            Err(error) => self.end(McpError::Unreachable(bounded(&error.to_string()))),
        }
    }

    async fn write(&mut self, data: &[u8]) {
        // After a failure nothing more is written; the exit, or the end of the wait for it, tells the client.
        if self.dying.is_some() {
            return;
        }
        let Some(process) = &mut self.process else {
            return self.misbehaved("wrote to a process that does not run");
        };
        if let Err(error) = process.write(data).await {
            self.dying = Some((Instant::now() + DYING, error.to_string()));
        }
    }
}

/// Whether an answer is a stream of events, by its head.
fn is_event_stream(headers: &[(String, String)]) -> bool {
    let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    kind.is_some_and(|(_, kind)| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

async fn exchange(
    host: &Arc<dyn CallHost>,
    egress: &Egress,
    keep: &Keep,
    request: Request,
    id: u64,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), effects::Failure> {
    let mut response = effects::send_kept(host, egress, keep, request).await?;
    let head = Input::Head { id, status: response.status(), headers: response.headers().to_vec() };
    if inputs.send(head).await.is_err() {
        return Ok(());
    }
    while let Some(bytes) = response.next_chunk().await? {
        if inputs.send(Input::Body { id, data: bytes.to_vec() }).await.is_err() {
            break;
        }
    }
    Ok(())
}
