//! Typed identifiers: UUID v7, so that they sort by creation.

/// Text that is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no identifier")]
pub struct BadId(pub String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new identifier, later than all before it.
            #[expect(clippy::new_without_default, reason = "each one differs")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }

            /// As a number, for handles that pass through other rooms.
            pub fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// The inverse of `as_u128`.
            pub fn from_u128(number: u128) -> Self {
                Self(uuid::Uuid::from_u128(number))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                uuid::Uuid::parse_str(text).map(Self).map_err(|_| BadId(text.chars().take(64).collect()))
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.0.to_string().into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|error: BadId| rusqlite::types::FromSqlError::Other(Box::new(error)))
            }
        }
    )*};
}

ids! {
    IncidentId, LogId, UserId, TokenId, TurnId, MessageId, ApprovalId, DepartureId,
    /// The handle by which plugins name a credential.
    CredentialId,
    ModelId, ServerId, IntegrationId, WhyId, EvidenceId,
    /// Names a sign-in link, and does not sign in.
    LinkId,
    RulesId,
    QuestionId, AskId, ReplayId,
}
