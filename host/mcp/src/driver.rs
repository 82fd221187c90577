//! The driver: one task that owns a transport's machine, tells it what happened, and does what it answers.
//!
//! Invariant: events go in one at a time, and the actions of one are carried out in their order before the next.
//! Everything that an action started is owned by this task and ends with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_egress::{Egress, Output, Process, ProcessSpec};
use fumehood_runtime::effects::{self, Request};
use fumehood_runtime::{Action, CallHost, Event, TransportConnection, TransportRequest};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::transport::SendError;

/// Parts of answers that wait for the machine; a flooding server waits instead of filling the memory.
const INPUTS: usize = 16;
/// After `close`: how long the machine may say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// Largest message, bytes; the contract's bound.
const MESSAGE: usize = 4 << 20;

/// What the client asks of the driver.
pub(crate) enum Command {
    Send { id: u64, data: Vec<u8>, done: oneshot::Sender<Result<(), SendError>> },
    Dropped(u64),
    Close,
}

/// What a request task reports.
enum Input {
    Head { id: u64, status: u16, headers: Vec<(String, String)> },
    Body { id: u64, data: Vec<u8> },
    End { id: u64, code: String, text: String },
}

/// What is known of a connection from outside its task.
#[derive(Default)]
pub(crate) struct Shared {
    /// Failure code and sentence with which the connection, or its last message, failed.
    pub(crate) failure: Mutex<Option<(String, String)>>,
    pub(crate) stderr: Mutex<String>,
}

impl Shared {
    fn fail(&self, code: &str, text: &str) {
        if let Ok(mut failure) = self.failure.lock() {
            *failure = Some((code.to_owned(), crate::error::bounded(text)));
        }
    }
}

pub(crate) struct Driver {
    pub(crate) machine: TransportConnection,
    pub(crate) host: Arc<dyn CallHost>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) process: Option<ProcessSpec>,
    pub(crate) deliver: mpsc::Sender<Value>,
    pub(crate) shared: Arc<Shared>,
}

struct Running {
    driver: Driver,
    process: Option<Process>,
    requests: HashMap<u64, AbortOnDropHandle<()>>,
    timers: HashMap<u64, Instant>,
    sends: HashMap<u64, oneshot::Sender<Result<(), SendError>>>,
    inputs: mpsc::Sender<Input>,
    over: bool,
}

impl Driver {
    /// Run until the connection is over.
    pub(crate) async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let (inputs, mut parts) = mpsc::channel(INPUTS);
        let cancel = self.host.cancellation();
        let shared = Arc::clone(&self.shared);
        let mut running = Running {
            driver: self,
            process: None,
            requests: HashMap::new(),
            timers: HashMap::new(),
            sends: HashMap::new(),
            inputs,
            over: false,
        };
        running.feed(Event { kind: "start", ..Event::default() }).await;
        let mut deadline: Option<Instant> = None;
        while !running.over {
            let timer = running.timers.iter().min_by_key(|(_, at)| **at).map(|(id, at)| (*id, *at));
            let wake = [timer.map(|(_, at)| at), deadline].into_iter().flatten().min();
            tokio::select! {
                () = cancel.cancelled() => {
                    shared.fail("cancelled", "stopped: the sash was lowered, or the call was cancelled");
                    break;
                }
                command = commands.recv(), if deadline.is_none() => match command {
                    Some(Command::Send { id, data, done }) => running.send(id, data, done).await,
                    Some(Command::Dropped(id)) => {
                        running.sends.remove(&id);
                        running.feed(Event { kind: "send-dropped", id, ..Event::default() }).await;
                    }
                    // Also where the client was dropped without a word.
                    Some(Command::Close) | None => {
                        deadline = Some(Instant::now() + GOODBYE);
                        running.feed(Event { kind: "close", ..Event::default() }).await;
                        if running.requests.is_empty() && running.process.is_none() {
                            break;
                        }
                    }
                },
                Some(input) = parts.recv() => {
                    running.input(input).await;
                    if deadline.is_some() && running.requests.is_empty() && running.process.is_none() {
                        break;
                    }
                }
                output = read(&mut running.process), if running.process.is_some() => running.output(output).await,
                () = sleep_until(wake), if wake.is_some() => {
                    if deadline.is_some_and(|at| at <= Instant::now()) {
                        break;
                    }
                    if let Some((id, _)) = timer {
                        running.timers.remove(&id);
                        running.feed(Event { kind: "timer", id, ..Event::default() }).await;
                    }
                }
            }
        }
        if let Some(process) = running.process.take() {
            running.keep_stderr(&process);
            process.kill().await;
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

async fn read(process: &mut Option<Process>) -> Output {
    match process {
        Some(process) => process.read().await,
        None => std::future::pending().await,
    }
}

impl Running {
    async fn send(&mut self, id: u64, data: Vec<u8>, done: oneshot::Sender<Result<(), SendError>>) {
        if data.len() > MESSAGE {
            let text = format!("the message has {} bytes, and at most {MESSAGE} are sent", data.len());
            let _ = done.send(Err(SendError { code: "too-large".into(), text }));
            return;
        }
        self.sends.insert(id, done);
        self.feed(Event { kind: "message", id, data, ..Event::default() }).await;
    }

    async fn input(&mut self, input: Input) {
        let event = match input {
            Input::Head { id, status, headers } if self.requests.contains_key(&id) => {
                Event { kind: "response", id, status, headers, ..Event::default() }
            }
            Input::Body { id, data } if self.requests.contains_key(&id) => Event { kind: "body", id, data, ..Event::default() },
            Input::End { id, code, text } if self.requests.remove(&id).is_some() => {
                Event { kind: "response-end", id, code, text, ..Event::default() }
            }
            // Of a request that was cancelled meanwhile.
            _ => return,
        };
        self.feed(event).await;
    }

    async fn output(&mut self, output: Output) {
        match output {
            Output::Stdout(bytes) => self.feed(Event { kind: "process-output", data: bytes.to_vec(), ..Event::default() }).await,
            Output::Exit { code } => {
                if let Some(process) = self.process.take() {
                    self.keep_stderr(&process);
                }
                let status = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(255);
                let text = match code {
                    Some(code) => format!("the process ended with exit code {code}"),
                    None => "the process was ended by a signal".into(),
                };
                self.feed(Event { kind: "process-exit", status, text, ..Event::default() }).await;
            }
        }
    }

    fn keep_stderr(&self, process: &Process) {
        if let Ok(mut stderr) = self.driver.shared.stderr.lock() {
            *stderr = process.stderr_tail();
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
            Err(error) => self.end("internal", &error.to_string()),
        }
    }

    fn end(&mut self, code: &str, text: &str) {
        if !code.is_empty() {
            self.driver.shared.fail(code, text);
        }
        self.over = true;
    }

    async fn carry_out(&mut self, action: Action) {
        match action.kind.as_str() {
            "request" => match action.request {
                Some(request) => self.request(action.id, request),
                None => self.end("internal", "the transport asked for a request without one"),
            },
            "cancel" => drop(self.requests.remove(&action.id)),
            "spawn" => self.spawn(),
            "write" => self.write(&action.data).await,
            "close-input" => {
                if let Some(process) = &mut self.process {
                    process.close_input();
                }
            }
            "deliver" => match serde_json::from_slice::<Value>(&action.data) {
                Ok(message) => {
                    if self.driver.deliver.send(message).await.is_err() {
                        self.over = true;
                    }
                }
                Err(_) => tracing::debug!("a transport delivered something that is no JSON; it was skipped"),
            },
            "sent" => {
                if let Some(done) = self.sends.remove(&action.id) {
                    let _ = done.send(Ok(()));
                }
            }
            "failed" => {
                if action.code != "cancelled" {
                    self.driver.shared.fail(&action.code, &action.text);
                }
                if let Some(done) = self.sends.remove(&action.id) {
                    let _ = done.send(Err(SendError { code: action.code, text: crate::error::bounded(&action.text) }));
                }
            }
            "timer" if action.number == 0 => drop(self.timers.remove(&action.id)),
            "timer" => {
                self.timers.insert(action.id, Instant::now() + Duration::from_millis(action.number));
            }
            "closed" => self.end(&action.code, &action.text),
            other => {
                let text = format!("the transport asked for `{}`, which this version does not know", crate::error::bounded(other));
                self.end("internal", &text);
            }
        }
    }

    fn request(&mut self, id: u64, request: TransportRequest) {
        let (host, egress, inputs) = (Arc::clone(&self.driver.host), Arc::clone(&self.driver.egress), self.inputs.clone());
        let task = tokio::spawn(async move {
            let outgoing = Request {
                method: request.method,
                url: request.url,
                headers: request.headers,
                body: request.body,
                first_byte_ms: request.first_byte_ms,
                idle_ms: Some(request.idle_ms),
            };
            let (code, text) = match exchange(&host, &egress, outgoing, id, &inputs).await {
                Ok(()) => (String::new(), String::new()),
                Err(failure) => (failure.code, failure.message),
            };
            let _ = inputs.send(Input::End { id, code, text }).await;
        });
        self.requests.insert(id, AbortOnDropHandle::new(task));
    }

    fn spawn(&mut self) {
        let Some(spec) = self.driver.process.take() else {
            return self.end("denied", "this server has no process to start");
        };
        match self.driver.egress.spawn(spec) {
            Ok(process) => self.process = Some(process),
            Err(error) => self.end("unavailable", &error.to_string()),
        }
    }

    async fn write(&mut self, data: &[u8]) {
        let Some(process) = &mut self.process else {
            return self.end("unavailable", "the process is not running");
        };
        if let Err(error) = process.write(data).await {
            let text = error.to_string();
            if let Some(process) = self.process.take() {
                self.keep_stderr(&process);
            }
            self.end("unavailable", &text);
        }
    }
}

async fn exchange(
    host: &Arc<dyn CallHost>,
    egress: &Egress,
    request: Request,
    id: u64,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), effects::Failure> {
    let mut response = effects::send(host, egress, request).await?;
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
