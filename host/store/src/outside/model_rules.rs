//! What holds for all models, and what incidents have used of it.

use rusqlite::OptionalExtension as _;

use crate::record::Change;
use crate::{IncidentId, Scope, Store, StoreError};

/// What holds for all models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelRules {
    /// Only models on this machine are asked.
    pub local_only: bool,
    /// What an incident may use, tokens in and out together; nothing for no limit.
    pub token_budget: Option<i64>,
    /// What an incident may cost, millionths of the currency; nothing for no limit.
    pub cost_budget: Option<i64>,
}

/// What an incident's turns have used, and its conversations that were asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// In and out together.
    pub tokens: i64,
    /// Millionths of the currency.
    pub cost: i64,
    /// How many budgets it has: one, and each that it was given beyond it.
    pub budgets: i64,
}

impl Store {
    /// What holds for all models.
    ///
    /// # Errors
    /// What the database says.
    pub async fn model_rules(&self, scope: &Scope) -> Result<ModelRules, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = "SELECT local_only, token_budget, cost_budget FROM model_rules WHERE tenant_id = ?1";
            let found = connection.query_row(sql, [tenant], |row| {
                Ok(ModelRules { local_only: row.get(0)?, token_budget: row.get(1)?, cost_budget: row.get(2)? })
            });
            Ok(found.optional()?.unwrap_or_default())
        })
        .await
    }

    /// Write anew what holds for all models.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn set_model_rules(&self, scope: &Scope, rules: ModelRules) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let said = |budget: Option<i64>| budget.map_or_else(|| "none".to_owned(), |budget| budget.to_string());
        let change = Change::new("models.rules", "models".to_owned())
            .with("local_only", rules.local_only)
            .with("token_budget", said(rules.token_budget))
            .with("cost_budget", said(rules.cost_budget));
        self.change(scope, change, move |tx| {
            tx.connection.execute(
                "INSERT INTO model_rules (tenant_id, local_only, token_budget, cost_budget) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (tenant_id) DO UPDATE SET local_only = excluded.local_only,
                 token_budget = excluded.token_budget, cost_budget = excluded.cost_budget",
                (tenant, rules.local_only, rules.token_budget, rules.cost_budget),
            )?;
            Ok(())
        })
        .await
    }

    /// What an incident's turns have used so far.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn used(&self, scope: &Scope, incident: IncidentId) -> Result<Used, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, _| {
            let sql = "SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0), budgets FROM incidents LEFT JOIN
                       (SELECT input_tokens + output_tokens AS tokens, cost FROM turns
                        WHERE tenant_id = ?1 AND incident_id = ?2
                        UNION ALL SELECT input_tokens + output_tokens, cost FROM replays
                        WHERE tenant_id = ?1 AND incident_id = ?2)
                       WHERE incidents.tenant_id = ?1 AND incidents.id = ?2 GROUP BY incidents.id";
            let found = connection.query_row(sql, (tenant, incident), |row| {
                Ok(Used { tokens: row.get(0)?, cost: row.get(1)?, budgets: row.get(2)? })
            });
            found.optional()?.ok_or_else(|| StoreError::not_found("incident", incident))
        })
        .await
    }

    /// Give an incident one more budget.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn raise_budget(&self, scope: &Scope, incident: IncidentId) -> Result<(), StoreError> {
        let owner = scope.clone();
        self.change(scope, Change::new("incident.budget", format!("incident:{incident}")), move |tx| {
            let sql = "UPDATE incidents SET budgets = budgets + 1 WHERE tenant_id = ?1 AND id = ?2";
            if tx.connection.execute(sql, (&owner.tenant, incident))? == 0 {
                return Err(StoreError::not_found("incident", incident));
            }
            tx.event(&owner, incident, "model", "Given as much again to spend on models", "chat")
        })
        .await
    }
}
