//! Processes that an operator registered (MCP servers over standard input and output, the compiler's child).
//!
//! Invariant: a process runs without a shell, with exactly the environment it was given, no file or socket that this
//! server has opened but its three pipes, and as the leader of a process group of its own. When it exits, is killed,
//! or its [`Process`] is dropped, the whole group gets SIGKILL, the leader is reaped, and only then is its place free
//! for another. What it writes is taken in only as fast as it is read, apart from [`limits::EARLY_OUTPUT_BYTES`].
//!
//! Descriptors that this server itself was started with, and that do not close on exec, are passed on like its user
//! and its limits: closing them is up to what starts the server (systemd and container runtimes pass none).
//!
//! If this server is itself killed with SIGKILL, nobody is left to signal the group: the process then sees the end of
//! its standard input, which is the signal to exit that MCP prescribes. A process that ignores it outlives us, as does
//! one that has left its group (`setsid`); stronger needs a supervisor (a systemd unit, a container).

mod error;
mod spec;
mod stderr;
mod supervise;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

pub use error::ProcessError;
pub use spec::{Pinned, ProcessSpec, Programs};

use crate::limits;
use stderr::Tail;
use supervise::Group;

/// What a process said or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes of its standard output, at least one and at most 64 KiB.
    Stdout(Bytes),
    /// It has ended, and so has its group. Said again at each further call.
    Exit {
        /// Its exit code; nothing where a signal ended it.
        code: Option<i32>,
    },
}

/// A running process. Dropping it kills its whole group at once.
pub struct Process {
    group: Arc<Group>,
    exit: watch::Receiver<Option<supervise::Exit>>,
    /// Nothing once it is closed, or a write has failed or was given up half-way.
    input: Option<ChildStdin>,
    /// Nothing once it has ended.
    stdout: Option<ChildStdout>,
    scratch: Box<[u8]>,
    /// Output that came while a write waited.
    early: BytesMut,
    tail: Tail,
    /// Nothing once standard error has ended.
    tail_task: Option<AbortOnDropHandle<()>>,
    /// After its exit: when to stop waiting for the rest of its output. Before: when to kill it for closing its output.
    deadline: Option<Instant>,
    write_limit: Duration,
}

/// Start a process; see [`crate::Egress::spawn`].
pub(crate) fn spawn(
    places: &Arc<Semaphore>,
    limit: usize,
    write_limit: Duration,
    spec: ProcessSpec,
) -> Result<Process, ProcessError> {
    let command = spec.command()?;
    let permit = Arc::clone(places).try_acquire_owned().map_err(|_| ProcessError::TooMany { limit })?;
    let supervise::Started { group, exit, stdin, stdout, stderr } = supervise::start(command, permit)?;
    if let Some(pinned) = &spec.pinned
        && let Err(error) = pinned.check(&spec.command)
    {
        group.signal(Signal::KILL);
        return Err(ProcessError::Invalid(format!("the command `{}` was stopped: {error}", spec.command.display())));
    }
    let tail = Tail::default();
    let tail_task = stderr.map(|stderr| AbortOnDropHandle::new(tokio::spawn(tail.clone().fill(stderr))));
    Ok(Process {
        group,
        exit,
        input: stdin,
        stdout,
        scratch: vec![0; limits::CHUNK_BYTES].into_boxed_slice(),
        early: BytesMut::new(),
        tail,
        tail_task,
        deadline: None,
        write_limit,
    })
}

impl Process {
    /// Write all of `data` to its standard input.
    ///
    /// Dropping the future half-way closes the input, since half a message may be written.
    ///
    /// # Errors
    /// [`ProcessError::InputClosed`], [`ProcessError::Write`], [`ProcessError::WriteTimeout`]; after any of them the
    /// input is closed.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), ProcessError> {
        let mut input = self.input.take().ok_or(ProcessError::InputClosed)?;
        let (stdout, scratch, early) = (&mut self.stdout, &mut self.scratch, &mut self.early);
        let whole = async {
            let write = async {
                input.write_all(data).await?;
                input.flush().await
            };
            tokio::pin!(write);
            loop {
                let room = early.len() < limits::EARLY_OUTPUT_BYTES;
                tokio::select! {
                    biased;
                    written = &mut write => return written,
                    count = read(stdout, scratch), if room && stdout.is_some() => match scratch.get(..count) {
                        Some(bytes) if count > 0 => early.extend_from_slice(bytes),
                        _ => *stdout = None,
                    },
                }
            }
        };
        match timeout(self.write_limit, whole).await {
            Ok(Ok(())) => {
                self.input = Some(input);
                Ok(())
            }
            Ok(Err(error)) => Err(ProcessError::Write(error.to_string())),
            Err(_) => Err(ProcessError::WriteTimeout { limit: self.write_limit }),
        }
    }

    /// Close its standard input: the polite way to ask it to exit.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Wait for what it says or does next. May be dropped while it waits and called again; nothing is lost.
    ///
    /// A process that closes its output has nothing more to say: it is killed unless it exits within two seconds.
    pub async fn read(&mut self) -> Output {
        loop {
            if !self.early.is_empty() {
                let count = self.early.len().min(limits::CHUNK_BYTES);
                return Output::Stdout(self.early.split_to(count).freeze());
            }
            let exited = self.exited();
            if let Some(exit) = exited
                && self.stdout.is_none()
                && self.tail_task.is_none()
            {
                self.close_input();
                return Output::Exit { code: exit.code };
            }
            if self.deadline.is_none() {
                self.deadline = match (exited, &self.stdout) {
                    (Some(_), _) => Some(Instant::now() + limits::PROCESS_DRAIN),
                    (None, None) => Some(Instant::now() + limits::PROCESS_GRACE),
                    (None, Some(_)) => None,
                };
            }
            let deadline = self.deadline;
            tokio::select! {
                biased;
                count = read(&mut self.stdout, &mut self.scratch), if self.stdout.is_some() => {
                    match self.scratch.get(..count) {
                        Some(bytes) if count > 0 => return Output::Stdout(Bytes::copy_from_slice(bytes)),
                        _ => self.stdout = None,
                    }
                }
                // A new deadline counts from the exit.
                _ = self.exit.wait_for(Option::is_some), if exited.is_none() => self.deadline = None,
                () = finished(&mut self.tail_task), if exited.is_some() && self.tail_task.is_some() => {
                    self.tail_task = None;
                }
                () = until(deadline), if deadline.is_some() => if exited.is_some() {
                    // Somebody outside the group holds the pipes open.
                    self.stdout = None;
                    self.tail_task = None;
                } else {
                    self.group.signal(Signal::KILL);
                    self.deadline = Some(Instant::now() + limits::PROCESS_GRACE);
                },
            }
        }
    }

    /// The newest 16 KiB of its standard error. Raw text of a stranger: show it to the operator, never log it.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.tail.text()
    }

    /// What it wrote to its standard error after the first `seen` bytes, as far as it is among the newest 16 KiB, in whole
    /// lines; with the number of bytes to go on from. With `last` the line that is not finished is among them.
    #[must_use]
    pub fn stderr_since(&self, seen: u64, last: bool) -> (u64, String) {
        self.tail.since(seen, last)
    }

    /// End the whole group: close the input, SIGTERM, SIGKILL after two seconds or as soon as the leader has exited.
    /// Returns when it is reaped.
    pub async fn kill(mut self) {
        self.input = None;
        self.group.signal(Signal::TERM);
        let grace = Instant::now() + limits::PROCESS_GRACE;
        let exit = async {
            while self.exited().is_none() {
                // What it says in parting is read, so that it does not block on it.
                tokio::select! {
                    _ = self.exit.wait_for(Option::is_some) => {}
                    count = read(&mut self.stdout, &mut self.scratch), if self.stdout.is_some() => if count == 0 {
                        self.stdout = None;
                    },
                }
            }
        };
        if timeout_at(grace, exit).await.is_err() {
            self.group.signal(Signal::KILL);
            // The kernel may keep it in a call that cannot be interrupted; the supervisor goes on waiting then.
            drop(timeout(limits::PROCESS_GRACE, self.exit.wait_for(Option::is_some)).await);
        }
    }

    /// How it ended, if it has. A supervisor that is gone (the runtime is shutting down) has killed it.
    fn exited(&self) -> Option<supervise::Exit> {
        let exit = *self.exit.borrow();
        exit.or_else(|| self.exit.has_changed().is_err().then_some(supervise::Exit { code: None }))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("group", &self.group)
            .field("input_open", &self.input.is_some())
            .field("exit", &*self.exit.borrow())
            .finish_non_exhaustive()
    }
}

/// Read once; 0 for the end, for which a broken pipe counts as well.
async fn read(stdout: &mut Option<ChildStdout>, scratch: &mut [u8]) -> usize {
    match stdout {
        Some(stdout) => stdout.read(scratch).await.unwrap_or(0),
        None => 0,
    }
}

async fn finished(task: &mut Option<AbortOnDropHandle<()>>) {
    if let Some(task) = task {
        drop(task.await);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
