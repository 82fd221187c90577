//! The kill switch: for one plugin, for a publisher's, for all.
//!
//! Invariant: it holds from the moment that it is thrown, before it is on disk. Calls in flight are cancelled, and every
//! effect asks for the grant anew, which is nothing from then on.

use fumehood_policy::{Permission, is_plugin_name};
use fumehood_store::plugins::Stop;
use fumehood_store::{Actor, Scope, clock};

use crate::{App, TriageError};

/// Longest reason, in characters.
const REASON: usize = 200;

/// Check what a switch is for.
fn check_target(target: &str) -> Result<(), TriageError> {
    let named = target.strip_prefix("publisher:").or_else(|| target.strip_prefix("plugin:"));
    if target == "all" || named.is_some_and(is_plugin_name) {
        return Ok(());
    }
    Err(TriageError::invalid("target", "Say what to stop: all, publisher:NAME or plugin:NAME."))
}

impl App {
    /// Throw a kill switch: `all`, `publisher:NAME` or `plugin:NAME`.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`; where it could not be put on disk the switch holds all the same, until the next start.
    pub async fn stop_plugins(&self, scope: &Scope, target: &str, reason: &str) -> Result<(), TriageError> {
        self.require(scope, Permission::StopPlugins)?;
        check_target(target)?;
        let reason: String = reason.trim().chars().filter(|c| !c.is_control()).take(REASON).collect();
        let stop = Stop {
            target: target.to_owned(),
            reason: reason.clone(),
            time_us: clock::now_us(),
            actor: scope.actor.to_string(),
        };
        self.0.plugins.change(|now| {
            now.stops.retain(|old| old.target != stop.target);
            now.stops.push(stop);
        });
        self.0.plugins.cancel_stopped();
        // It holds already; only the order of what is written down is at stake.
        let _switching = self.0.plugins.switching.lock().await;
        self.0.store.stop_plugins(scope, target, reason).await.map_err(|error| {
            TriageError::Conflict(format!(
                "Stopped, and it could not be written down ({error}): it holds until the server is started again."
            ))
        })
    }

    /// Put a kill switch back. Never by an API token: what was stopped starts again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn resume_plugins(&self, scope: &Scope, target: &str) -> Result<(), TriageError> {
        self.require(scope, Permission::StopPlugins)?;
        if matches!(scope.actor, Actor::Token(_)) {
            return Err(TriageError::Forbidden(Permission::StopPlugins));
        }
        check_target(target)?;
        let _switching = self.0.plugins.switching.lock().await;
        // One that is thrown from here on stays thrown.
        let put_back: Vec<Stop> =
            self.0.plugins.now().stops.iter().filter(|stop| stop.target == target).cloned().collect();
        self.0.store.resume_plugins(scope, target).await?;
        self.0.plugins.change(|now| now.stops.retain(|stop| !put_back.contains(stop)));
        Ok(())
    }

    /// The kill switches that are thrown.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn plugin_stops(&self, scope: &Scope) -> Result<Vec<Stop>, TriageError> {
        self.require(scope, Permission::ReadPlugins)?;
        Ok(self.0.plugins.now().stops.clone())
    }
}
