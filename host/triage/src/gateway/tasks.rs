//! Whose task is whose: a handle that a server gave to one caller is nothing to another.
//!
//! Invariant: a task is asked about only by the caller whose request began it. What is bound is kept in memory; a task from
//! before a restart is known to nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use fumehood_mcp::gateway::{Client, RpcError, rpc};
use fumehood_store::Scope;
use serde_json::{Map, Value, json};

/// The extension's name among a client's capabilities.
const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// Tasks that are remembered; the oldest are forgotten first.
const TASKS: usize = 10_000;
/// Longest handle, bytes.
const HANDLE: usize = 1_024;

#[derive(Default)]
struct Bound {
    owners: HashMap<(String, String), Scope>,
    order: VecDeque<(String, String)>,
}

/// The owners of tasks, by server and handle.
#[derive(Default)]
pub(super) struct Tasks(Mutex<Bound>);

impl Tasks {
    /// Remember whose task a result begins, where it begins one.
    pub(super) fn begun(&self, caller: &Scope, server: &str, result: &Value) {
        let is_task = result.get("resultType").and_then(Value::as_str) == Some("task");
        let Some(handle) = result.get("taskId").and_then(Value::as_str).filter(|id| is_task && id.len() <= HANDLE)
        else {
            return;
        };
        let key = (server.to_owned(), handle.to_owned());
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who had it first keeps it: a server that gives one handle twice mixes up its callers.
        if bound.owners.contains_key(&key) {
            return;
        }
        bound.owners.insert(key.clone(), caller.clone());
        bound.order.push_back(key);
        if bound.order.len() > TASKS
            && let Some(oldest) = bound.order.pop_front()
        {
            bound.owners.remove(&oldest);
        }
    }

    /// Whether a caller may ask about the task that a request names.
    ///
    /// # Errors
    /// The client has not said that it knows tasks; or there is no such task of this caller.
    pub(super) fn check(
        &self,
        client: &Client<Scope>,
        server: &str,
        params: &Map<String, Value>,
    ) -> Result<(), RpcError> {
        if client.capabilities.get("extensions").is_none_or(|all| all.get(EXTENSION).is_none()) {
            let what = format!("say in your capabilities that you know the extension {EXTENSION}");
            let needed = json!({"requiredCapabilities": {"extensions": {EXTENSION: {}}}});
            return Err(RpcError::new(rpc::MISSING_CAPABILITY, what).with(needed));
        }
        let handle = params.get("taskId").and_then(Value::as_str).unwrap_or_default();
        let bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bound.owners.get(&(server.to_owned(), handle.to_owned())) {
            Some(owner) if *owner == client.caller => Ok(()),
            _ => Err(RpcError::new(rpc::INVALID_PARAMS, "there is no such task of yours")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(tenant: &str, capabilities: Value) -> Client<Scope> {
        Client {
            caller: Scope { tenant: tenant.to_owned(), ..Scope::system() },
            server: None,
            session: None,
            version: "2026-07-28".into(),
            info: Value::Null,
            capabilities,
            user_agent: String::new(),
        }
    }

    #[test]
    fn a_task_is_its_callers_own() {
        let tasks = Tasks::default();
        let knows = json!({"extensions": {EXTENSION: {}}});
        let (one, other) = (client("one", knows.clone()), client("other", knows));
        let about = Map::from_iter([("taskId".to_owned(), json!("7"))]);
        tasks.begun(&one.caller, "a", &json!({"resultType": "task", "taskId": "7"}));
        tasks.begun(&other.caller, "a", &json!({"resultType": "task", "taskId": "7"}));
        assert_eq!(tasks.check(&one, "a", &about), Ok(()));
        assert_eq!(tasks.check(&other, "a", &about).unwrap_err().code, rpc::INVALID_PARAMS);
        assert_eq!(tasks.check(&one, "b", &about).unwrap_err().code, rpc::INVALID_PARAMS);
        assert_eq!(tasks.check(&one, "a", &Map::new()).unwrap_err().code, rpc::INVALID_PARAMS);
        let knows_not = client("one", json!({}));
        assert_eq!(tasks.check(&knows_not, "a", &about).unwrap_err().code, rpc::MISSING_CAPABILITY);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (tasks, one) = (Tasks::default(), client("one", json!({"extensions": {EXTENSION: {}}})));
        for id in 0..=TASKS {
            tasks.begun(&one.caller, "a", &json!({"resultType": "task", "taskId": id.to_string()}));
        }
        let about = |id: usize| Map::from_iter([("taskId".to_owned(), json!(id.to_string()))]);
        assert!(tasks.check(&one, "a", &about(0)).is_err());
        assert!(tasks.check(&one, "a", &about(TASKS)).is_ok());
    }
}
