//! What holds for all models: where they may be, and what an incident may spend on them.

use fumehood_policy::Permission;
use fumehood_store::outside::{ModelRules, Used};
use fumehood_store::{IncidentId, Scope};

use super::model::{decimal, price};
use crate::plugins::StayHere;
use crate::{App, TriageError};

/// What a person writes.
#[derive(Clone, Debug, Default)]
pub struct ModelRulesFields {
    /// Only models on this machine are asked.
    pub local_only: bool,
    /// Tokens for an incident, as typed; empty for no limit.
    pub token_budget: String,
    /// The same of the currency.
    pub cost_budget: String,
}

/// What an incident has used, of what it may.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub used: Used,
    /// Of all budgets that it has; nothing for no limit.
    pub tokens: Option<i64>,
    /// The same in millionths of the currency.
    pub cost: Option<i64>,
}

impl Spent {
    /// What is used up, in words; nothing where there is some left.
    pub fn problem(&self) -> Option<String> {
        if let Some(most) = self.tokens.filter(|most| self.used.tokens >= *most) {
            return Some(format!("This incident has used {} tokens of the {most} that it may.", self.used.tokens));
        }
        let most = self.cost.filter(|most| self.used.cost >= *most)?;
        Some(format!("This incident has cost {} of the {} that it may.", decimal(self.used.cost), decimal(most)))
    }
}

impl App {
    /// What holds for all models, and whether the organisation's ceiling keeps them on this machine.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn model_rules(&self, scope: &Scope) -> Result<(ModelRules, StayHere), TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok((self.0.store.model_rules(scope).await?, self.0.plugins.models_stay_here()))
    }

    /// Write anew what holds for all models, from here on.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`.
    pub async fn set_model_rules(&self, scope: &Scope, fields: ModelRulesFields) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        let token_budget = match fields.token_budget.trim().replace([' ', ',', '_', '\''], "").as_str() {
            "" => None,
            text => {
                Some(text.parse().ok().filter(|tokens| (1..=1_000_000_000_000).contains(tokens)).ok_or_else(|| {
                    TriageError::invalid(
                        "token_budget",
                        "Write a number of tokens, for example 2000000, or nothing for no limit.",
                    )
                })?)
            }
        };
        let cost_budget = price("cost_budget", &fields.cost_budget).map_err(|_| {
            TriageError::invalid("cost_budget", "Write an amount, for example 12.50, or nothing for no limit.")
        })?;
        let (app, scope) = (self.clone(), scope.clone());
        // To its end, also where nobody waits for it any more: what is stored and what holds must not part.
        let done = self.0.tasks.spawn(async move {
            let _one = app.0.plugins.rules_change().await;
            let before = app.0.store.model_rules(&scope).await?;
            // Where the ceiling says so, the switch was not shown.
            let forced = app.0.plugins.models_stay_here().forced;
            let local_only = if forced { before.local_only } else { fields.local_only };
            if local_only {
                app.0.plugins.keep_models_here(true);
            }
            app.0.store.set_model_rules(&scope, ModelRules { local_only, token_budget, cost_budget }).await?;
            app.0.plugins.keep_models_here(local_only);
            Ok(())
        });
        done.await.map_err(|error| TriageError::Internal(error.to_string()))?
    }

    /// What an incident has used, of what it may.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn spent(&self, scope: &Scope, incident: IncidentId) -> Result<Spent, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let (rules, used) = (self.0.store.model_rules(scope).await?, self.0.store.used(scope, incident).await?);
        let all = |budget: Option<i64>| budget.map(|budget| budget.saturating_mul(used.budgets));
        Ok(Spent { used, tokens: all(rules.token_budget), cost: all(rules.cost_budget) })
    }

    /// Give an incident as much again to spend.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn raise_budget(&self, scope: &Scope, incident: IncidentId) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageIntegrations)?;
        Ok(self.0.store.raise_budget(scope, incident).await?)
    }

    /// Fail where an incident may spend nothing more.
    pub(crate) async fn within_budget(&self, scope: &Scope, incident: IncidentId) -> Result<(), TriageError> {
        match self.spent(scope, incident).await?.problem() {
            None => Ok(()),
            Some(problem) => Err(TriageError::OverBudget(format!("{problem} An operator can give it as much again."))),
        }
    }
}
