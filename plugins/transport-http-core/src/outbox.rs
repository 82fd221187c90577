//! Actions on their way to the host.
//!
//! Invariant: actions leave in the order in which they came, and one answer never exceeds what the contract allows.

use crate::contract::Action;
use crate::limits::{MAX_ANSWER_ACTIONS, MAX_ANSWER_BYTES, MAX_OUTBOX_BYTES};
use crate::wire;
use std::collections::VecDeque;

/// What an action weighs besides its data.
const ACTION_BYTES: usize = 256;

/// A queue of actions, with its weight.
#[derive(Debug, Default)]
pub struct Outbox {
    actions: VecDeque<Action>,
    bytes: usize,
}

impl Outbox {
    /// Append an action.
    pub fn push(&mut self, action: Action) {
        self.bytes += weight(&action);
        self.actions.push_back(action);
    }

    /// Whether the host does not keep up.
    pub fn is_over(&self) -> bool {
        self.bytes > MAX_OUTBOX_BYTES
    }

    /// Whether one answer would not take more.
    pub fn is_full(&self) -> bool {
        self.bytes > MAX_ANSWER_BYTES || self.actions.len() > MAX_ANSWER_ACTIONS
    }

    /// Drop HTTP request `id`, or take it back where it has not left yet.
    pub fn cancel(&mut self, id: u64) {
        let queued =
            self.actions.iter().position(|action| matches!(action, Action::Request { id: other, .. } if *other == id));
        match queued.and_then(|at| self.actions.remove(at)) {
            Some(action) => self.bytes = self.bytes.saturating_sub(weight(&action)),
            None => self.push(Action::Cancel { id }),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Drop what is only of use to a client that still listens.
    pub fn drop_deliveries(&mut self) {
        self.actions.retain(|action| !matches!(action, Action::Deliver { .. } | Action::Timer { .. }));
        self.bytes = self.actions.iter().map(weight).sum();
    }

    /// As much as one answer takes.
    pub fn take(&mut self) -> Vec<Action> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.actions.front() {
            let weight = weight(next);
            if taken.len() >= MAX_ANSWER_ACTIONS || (!taken.is_empty() && bytes + weight > MAX_ANSWER_BYTES) {
                break;
            }
            bytes += weight;
            self.bytes = self.bytes.saturating_sub(weight);
            taken.extend(self.actions.pop_front());
        }
        taken
    }
}

fn weight(action: &Action) -> usize {
    let data = match action {
        Action::Request { request, .. } => {
            let headers: usize = request.headers.iter().map(wire::weight).sum();
            headers + request.url.len() + request.body.as_ref().map_or(0, Vec::len)
        }
        Action::Deliver { data, .. } => data.len(),
        Action::Failed { text, www_authenticate, .. } => text.len() + www_authenticate.as_ref().map_or(0, String::len),
        Action::Closed { text, .. } => text.len(),
        Action::Cancel { .. } | Action::Sent { .. } | Action::Timer { .. } => 0,
    };
    data + ACTION_BYTES
}
