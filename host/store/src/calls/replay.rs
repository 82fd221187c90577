//! Calls that are made again.

use fumehood_audit::Phase;
use rusqlite::params;

use super::{NewCall, begin, called};
use crate::{Scope, Store, StoreError};

impl Store {
    /// Put on record that a tool is called again, as in the call `of` and under `rule`; only when this returns may it be.
    ///
    /// # Errors
    /// Why it could not be written: the call must not be made.
    pub async fn begin_replay(&self, scope: &Scope, call: NewCall, of: String, rule: String) -> Result<(), StoreError> {
        let scope = scope.clone();
        self.write(move |tx| {
            begin(tx, &scope, &call)?;
            tx.connection
                .prepare_cached("UPDATE mcp_calls SET replay_of = ?2 WHERE id = ?1")?
                .execute(params![call.id, of])?;
            let change = called(&call).with("replay_of", &of).with("rule", &rule);
            tx.record(&scope, Phase::Event, None, change, "ok").map(drop)
        })
        .await
    }
}
