//! On whose behalf something is done. Every store method takes one.

use fumehood_policy::{Permission, Role};

use crate::{TokenId, UserId};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    User(UserId),
    Token(TokenId),
    /// The program itself: start-up, background discovery.
    System,
    /// A command on the machine, through the socket or the data folder.
    Operator,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
            Self::System => f.write_str("system"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// Tenant, actor and role of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub tenant: String,
    pub actor: Actor,
    pub role: Role,
}

/// The tenant of an installation that has one.
pub const DEFAULT_TENANT: &str = "default";

impl Scope {
    /// The program itself.
    pub fn system() -> Self {
        Self { tenant: DEFAULT_TENANT.into(), actor: Actor::System, role: Role::Admin }
    }

    /// A command on the machine.
    pub fn operator() -> Self {
        Self { tenant: DEFAULT_TENANT.into(), actor: Actor::Operator, role: Role::Admin }
    }

    /// Whether the role may do something; the answer to "who may" is in one table, in `policy`.
    pub fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }
}
