//! Models.

use rusqlite::Row;

use super::{drop_credential, nets};
use crate::record::Change;
use crate::{CredentialId, ModelId, Scope, Store, StoreError};

/// A model at a provider.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Model {
    pub id: ModelId,
    pub name: String,
    pub plugin: String,
    pub base_url: String,
    /// Networks behind the address that are not public, as they were when a person named it: what the plugin may dial.
    pub private_nets: Vec<String>,
    pub model: String,
    /// What the plugin is told beside address and model: its own settings.
    pub settings: std::collections::BTreeMap<String, String>,
    pub credential_id: Option<CredentialId>,
    pub created_us: i64,
    pub checked_us: Option<i64>,
    /// What the last test said; empty for fine.
    pub problem: String,
    /// The lowest that is on is asked first.
    pub position: i64,
    pub enabled: bool,
    /// What a person says that it holds, tokens; nothing for what its server says.
    pub context_tokens: Option<i64>,
    /// What its server said at the last test that it holds, tokens.
    pub listed_tokens: Option<i64>,
    /// Millionths of the currency for a million tokens; nothing where it is not known.
    pub input_price: Option<i64>,
    pub output_price: Option<i64>,
}

impl Model {
    /// What it holds, tokens: what a person says, and otherwise its server; nothing where neither does.
    pub fn holds(&self) -> Option<u64> {
        self.context_tokens
            .or(self.listed_tokens)
            .and_then(|tokens| u64::try_from(tokens).ok())
            .filter(|held| *held > 0)
    }

    /// What tokens cost, in millionths of the currency.
    pub fn cost(&self, input: u64, output: u64) -> i64 {
        let of = |tokens: u64, price: Option<i64>| {
            let cost = i128::from(tokens) * i128::from(price.unwrap_or(0));
            // Never less than it was.
            i64::try_from((cost + 999_999) / 1_000_000).unwrap_or(i64::MAX)
        };
        of(input, self.input_price).saturating_add(of(output, self.output_price))
    }
}

fn model(row: &Row<'_>) -> rusqlite::Result<Model> {
    Ok(Model {
        id: row.get(0)?,
        name: row.get(1)?,
        plugin: row.get(2)?,
        base_url: row.get(3)?,
        model: row.get(4)?,
        credential_id: row.get(5)?,
        created_us: row.get(6)?,
        checked_us: row.get(7)?,
        problem: row.get(8)?,
        private_nets: nets(row, 9)?,
        settings: serde_json::from_str(&row.get::<_, String>(10)?).unwrap_or_default(),
        position: row.get(11)?,
        enabled: row.get(12)?,
        context_tokens: row.get(13)?,
        input_price: row.get(14)?,
        output_price: row.get(15)?,
        listed_tokens: row.get(16)?,
    })
}

const MODEL: &str = "id, name, plugin, base_url, model, credential_id, created_us, checked_us, problem, private_nets, \
                     settings, position, enabled, context_tokens, input_price, output_price, listed_tokens";

impl Store {
    /// Set a model up.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn create_model(&self, scope: &Scope, new: Model) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("model.create", format!("model:{}", new.id)), move |tx| {
            tx.connection.execute(
                "INSERT INTO models (id, tenant_id, name, plugin, base_url, model, credential_id, created_us, problem,
                 private_nets, settings, context_tokens, input_price, output_price, position)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,'',?9,?10,?11,?12,?13,
                 (SELECT coalesce(max(position) + 1, 0) FROM models WHERE tenant_id = ?2))",
                rusqlite::params![
                    new.id,
                    tenant,
                    new.name,
                    new.plugin,
                    new.base_url,
                    new.model,
                    new.credential_id,
                    tx.now_us,
                    serde_json::to_string(&new.private_nets)?,
                    serde_json::to_string(&new.settings)?,
                    new.context_tokens,
                    new.input_price,
                    new.output_price,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Write a model anew; `dropped` is a credential that it no longer uses.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update_model(
        &self,
        scope: &Scope,
        new: Model,
        dropped: Option<CredentialId>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.change(scope, Change::new("model.update", format!("model:{}", new.id)), move |tx| {
            let changed = tx.connection.execute(
                "UPDATE models SET name = ?3, base_url = ?4, model = ?5, credential_id = ?6, checked_us = NULL, problem = '',
                 private_nets = ?7, plugin = ?8, settings = ?9, context_tokens = ?10, input_price = ?11, output_price = ?12,
                 listed_tokens = NULL
                 WHERE tenant_id = ?1 AND id = ?2",
                rusqlite::params![
                    tenant,
                    new.id,
                    new.name,
                    new.base_url,
                    new.model,
                    new.credential_id,
                    serde_json::to_string(&new.private_nets)?,
                    new.plugin,
                    serde_json::to_string(&new.settings)?,
                    new.context_tokens,
                    new.input_price,
                    new.output_price,
                ],
            )?;
            drop_credential(tx.connection, &tenant, dropped)?;
            if changed == 0 { Err(StoreError::not_found("model", new.id)) } else { Ok(()) }
        })
        .await
    }

    /// Switch a model on or off.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn enable_model(&self, scope: &Scope, id: ModelId, enabled: bool) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("model.enable", format!("model:{id}")).with("enabled", enabled);
        self.change(scope, change, move |tx| {
            let changed = tx
                .connection
                .execute("UPDATE models SET enabled = ?3 WHERE tenant_id = ?1 AND id = ?2", (tenant, id, enabled))?;
            if changed == 0 { Err(StoreError::not_found("model", id)) } else { Ok(()) }
        })
        .await
    }

    /// Have a model asked before, or after, the one that stands beside it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn move_model(&self, scope: &Scope, id: ModelId, up: bool) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        let change = Change::new("model.move", format!("model:{id}")).with("up", up);
        self.change(scope, change, move |tx| {
            let sql = "SELECT id FROM models WHERE tenant_id = ?1 ORDER BY position, created_us, id";
            let mut order: Vec<ModelId> =
                tx.connection.prepare(sql)?.query_map([&tenant], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let at = order.iter().position(|one| *one == id).ok_or_else(|| StoreError::not_found("model", id))?;
            let to = if up { at.saturating_sub(1) } else { (at + 1).min(order.len() - 1) };
            order.swap(at, to);
            for (position, id) in (0_i64..).zip(order) {
                tx.connection.execute(
                    "UPDATE models SET position = ?3 WHERE tenant_id = ?1 AND id = ?2",
                    (&tenant, id, position),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// All models, the first one first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn models(&self, scope: &Scope) -> Result<Vec<Model>, StoreError> {
        self.list(
            scope,
            format!("SELECT {MODEL} FROM models WHERE tenant_id = ?1 ORDER BY position, created_us, id"),
            model,
        )
        .await
    }

    /// Keep what a test said, and what the server says that the model holds.
    ///
    /// # Errors
    /// Why nothing was written.
    pub async fn model_checked(
        &self,
        scope: &Scope,
        id: ModelId,
        problem: String,
        holds: Option<u64>,
    ) -> Result<(), StoreError> {
        let tenant = scope.tenant.clone();
        self.write(move |tx| {
            tx.connection.execute(
                "UPDATE models SET checked_us = ?3, problem = ?4, listed_tokens = ?5 WHERE tenant_id = ?1 AND id = ?2",
                (tenant, id, tx.now_us, problem, holds.and_then(|tokens| i64::try_from(tokens).ok())),
            )?;
            Ok(())
        })
        .await
    }

    /// Remove a model and its credential. Its turns stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_model(&self, scope: &Scope, id: ModelId) -> Result<(), StoreError> {
        self.remove(scope, "model.remove", "model", id.to_string(), "models").await
    }
}
