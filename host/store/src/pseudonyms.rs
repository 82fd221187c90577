//! The incident's book of pseudonyms. Originals are sealed field by field, beside the encryption of the whole file.

use fumehood_redact::{Entry, Kind, same_value};
use fumehood_vault::Place;

use crate::{IncidentId, Scope, Store, StoreError};

const TABLE: &str = "pseudonyms";

/// What a spelling is sealed to; the first has the form that it had when there was but one.
fn row(incident: IncidentId, kind: &str, number: u64, spelling: i64) -> String {
    match spelling {
        0 => format!("{incident}/{kind}/{number}"),
        _ => format!("{incident}/{kind}/{number}/{spelling}"),
    }
}

impl Store {
    /// All pseudonyms of an incident.
    ///
    /// # Errors
    /// What the database or the vault says.
    pub async fn pseudonyms(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<Entry>, StoreError> {
        let tenant = scope.tenant.clone();
        self.read(move |connection, vault| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, number, original, spelling FROM pseudonyms WHERE tenant_id = ?1 AND incident_id = ?2
                 ORDER BY number, spelling",
            )?;
            let mut rows = statement.query((&tenant, incident))?;
            let mut entries = Vec::new();
            while let Some(found) = rows.next()? {
                let (kind, number, sealed): (String, i64, Vec<u8>) = (found.get(0)?, found.get(1)?, found.get(2)?);
                let number = u64::try_from(number).map_err(|_| StoreError::Decode("a pseudonym's number".into()))?;
                let place = row(incident, &kind, number, found.get(3)?);
                let place = Place { tenant: &tenant, table: TABLE, row: &place, column: "original" };
                let original = vault.open(&place, &sealed)?;
                let original =
                    String::from_utf8(original.to_vec()).map_err(|error| StoreError::Decode(error.to_string()))?;
                entries.push(Entry { kind: Kind::new(&kind), number, original });
            }
            Ok(entries)
        })
        .await
    }

    /// Keep new pseudonyms. Part of an action that is on record already.
    ///
    /// # Errors
    /// `Conflict` where another task numbered meanwhile: load the book again and repeat.
    pub async fn add_pseudonyms(
        &self,
        scope: &Scope,
        incident: IncidentId,
        entries: Vec<Entry>,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let owner = scope.clone();
        self.write(move |tx| {
            for entry in &entries {
                let stored = tx.connection.prepare_cached(
                    "SELECT original FROM pseudonyms WHERE incident_id = ?1 AND kind = ?2 AND number = ?3 ORDER BY spelling",
                )?
                .query_map((incident, entry.kind.as_str(), entry.number as i64), |row| row.get::<_, Vec<u8>>(0))?
                .collect::<Result<Vec<_>, _>>()?;
                if let Some(first) = stored.first() {
                    let place = row(incident, entry.kind.as_str(), entry.number, 0);
                    let first = tx.open(&owner, TABLE, &place, "original", first)?;
                    let first = std::str::from_utf8(&first).unwrap_or_default();
                    if !same_value(&entry.kind, first, &entry.original) {
                        return Err(StoreError::Conflict("the pseudonyms of this incident changed meanwhile".into()));
                    }
                }
                let spelling = stored.len() as i64;
                let place = row(incident, entry.kind.as_str(), entry.number, spelling);
                let sealed = tx.seal(&owner, TABLE, &place, "original", entry.original.as_bytes())?;
                tx.connection.prepare_cached(
                    "INSERT INTO pseudonyms (tenant_id, incident_id, kind, number, spelling, original)
                     VALUES (?1,?2,?3,?4,?5,?6)",
                )?
                .execute((&owner.tenant, incident, entry.kind.as_str(), entry.number as i64, spelling, sealed))?;
            }
            Ok(())
        })
        .await
    }
}
