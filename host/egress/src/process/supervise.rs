//! Who waits for a process, ends its group and reaps it.
//!
//! Invariant: a group is signalled only while its leader has not been reaped. Until then the leader's number cannot
//! belong to anybody else, so no signal ever reaches a stranger. The supervisor learns of the exit without reaping
//! (`WNOWAIT`), kills what is left of the group, and reaps under the lock that every signal takes.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::ProcessError;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// Its exit code; nothing where a signal ended it.
    pub(super) code: Option<i32>,
}

/// A process that has been started and is supervised.
pub(super) struct Started {
    pub(super) group: Arc<Group>,
    pub(super) exit: watch::Receiver<Option<Exit>>,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// A process group, for as long as its leader has not been reaped.
#[derive(Debug)]
pub(super) struct Group(Mutex<Option<Pid>>);

impl Group {
    /// Signal all of the group; nothing happens once it is gone.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(leader) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // It fails where all of them are dead already, which is what was wanted.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Kill what is left, then let `reap` have the leader; no signal after that.
    fn end(&self, reap: impl FnOnce()) -> Option<Pid> {
        let mut leader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = leader.take();
        if let Some(gone) = gone {
            let _ = kill_process_group(gone, Signal::KILL);
        }
        reap();
        gone
    }
}

/// Start `command`, which asks for a group and pipes of its own.
pub(super) fn start(command: Command, permit: OwnedSemaphorePermit) -> Result<Started, ProcessError> {
    let refused = |error: std::io::Error| ProcessError::Start(error.to_string());
    // Before the start, so that no exit is missed.
    let exits = unix::signal(SignalKind::child()).map_err(refused)?;
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(refused)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = Arc::new(Group(Mutex::new(leader)));
    let (ended, exit) = watch::channel(None);
    let supervised = Supervised { group: Arc::clone(&group), child };
    tokio::spawn(supervised.run(leader, exits, ended, permit));
    Ok(Started { group, exit, stdin, stdout, stderr })
}

struct Supervised {
    group: Arc<Group>,
    child: Child,
}

impl Supervised {
    /// Wait for the leader, end the group, reap, and only then free the place.
    async fn run(
        mut self,
        leader: Option<Pid>,
        mut exits: unix::Signal,
        ended: watch::Sender<Option<Exit>>,
        permit: OwnedSemaphorePermit,
    ) {
        while leader.is_some_and(is_running) && exits.recv().await.is_some() {}
        let mut status = None;
        self.group.end(|| status = self.child.try_wait().ok().flatten());
        if status.is_none() {
            status = self.child.wait().await.ok();
        }
        if let Some(leader) = leader {
            reap_adopted(leader).await;
        }
        drop(permit);
        ended.send_replace(Some(Exit { code: status.and_then(|status| status.code()) }));
    }
}

impl Drop for Supervised {
    /// Also when the runtime shuts down before the process ends: the group first, then the leader (`kill_on_drop`).
    fn drop(&mut self) {
        self.group.end(|| {});
    }
}

/// Whether the leader has not exited yet. Leaves it to be reaped.
fn is_running(leader: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(leader), options), Ok(None) | Err(Errno::INTR))
}

/// Where this server is the init of its container, killed grandchildren become its own and wait to be reaped. Nobody
/// else can have a group of this number while one of them is there.
async fn reap_adopted(leader: Pid) {
    for _ in 0..20 {
        match waitid(WaitId::Pgid(Some(leader)), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(_) => return,
        }
    }
}
