//! Who may do what in the house: roles and permissions, in one table.
//!
//! Invariant: a permission that the table does not give is not given. No model, tool or agent has a role; what
//! [`Permission::needs_person`] marks is refused to API tokens, too, whatever their role.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a person or a token is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works incidents.
    Responder,
    /// Keeps plugins, servers and integrations running.
    Operator,
    /// Decides what plugins may do, and reads the record.
    Security,
    /// Everything, and the people.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Responder, Self::Operator, Self::Security, Self::Admin];

    /// The name, as it is stored and written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Operator => "operator",
            Self::Security => "security",
            Self::Admin => "admin",
        }
    }

    /// Whether this role has a permission.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        self == Self::Admin || permission.roles().contains(&self)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Not the name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, responder, operator, security and admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Something that is not everybody's to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Incidents, logs with their masks, documents, timelines.
    ReadIncidents,
    /// Create and change incidents, upload logs, work the whys, edit documents.
    WriteIncidents,
    /// Accept and reject findings.
    ReviewFindings,
    /// See originals behind pseudonyms.
    RevealOriginals,
    /// Have text sent to a model.
    RunModel,
    /// Approve or deny what a model wants to call.
    ApproveTools,
    /// Call the tools of MCP servers through the gateway, under the rules that people set.
    CallTools,
    /// Publish to an integration.
    Publish,
    /// See plugins, servers and integrations, their state and numbers.
    ReadPlugins,
    /// Read plugins' logs, which may hold raw text.
    ReadPluginLogs,
    /// Install, upgrade, roll back and remove plugins.
    ManagePlugins,
    /// Register and remove MCP servers.
    ManageServers,
    /// Set up providers and integrations, and store their credentials.
    ManageIntegrations,
    /// Throw a kill switch.
    StopPlugins,
    /// Change grants and what tools are revealed.
    ManageGrants,
    /// Change the organisation's ceiling, and the publishers that are trusted.
    ManageCeiling,
    /// Change the organisation's rules: what counts as personal or secret.
    ManageRules,
    /// Read the audit log and its checkpoints.
    ReadAudit,
    /// Accounts and their roles.
    ManagePeople,
    /// API tokens.
    ManageTokens,
    /// Keys, retention and the server's settings.
    ManageSettings,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 21] = [
        Self::ReadIncidents,
        Self::WriteIncidents,
        Self::ReviewFindings,
        Self::RevealOriginals,
        Self::RunModel,
        Self::ApproveTools,
        Self::CallTools,
        Self::Publish,
        Self::ReadPlugins,
        Self::ReadPluginLogs,
        Self::ManagePlugins,
        Self::ManageServers,
        Self::ManageIntegrations,
        Self::StopPlugins,
        Self::ManageGrants,
        Self::ManageCeiling,
        Self::ManageRules,
        Self::ReadAudit,
        Self::ManagePeople,
        Self::ManageTokens,
        Self::ManageSettings,
    ];

    /// The table: which roles have it, beside the administrator.
    const fn roles(self) -> &'static [Role] {
        use Role::{Operator, Responder, Security, Viewer};
        match self {
            Self::ReadIncidents => &[Viewer, Responder, Operator, Security],
            Self::WriteIncidents
            | Self::ReviewFindings
            | Self::RevealOriginals
            | Self::RunModel
            | Self::ApproveTools
            | Self::CallTools
            | Self::Publish => &[Responder],
            Self::ReadPlugins => &[Viewer, Responder, Operator, Security],
            Self::ReadPluginLogs | Self::ManagePlugins | Self::ManageServers | Self::ManageIntegrations => &[Operator],
            Self::StopPlugins => &[Operator, Security],
            Self::ManageGrants | Self::ManageCeiling | Self::ManageRules | Self::ReadAudit => &[Security],
            Self::ManagePeople | Self::ManageTokens | Self::ManageSettings => &[],
        }
    }

    /// Whether only a person who is signed in may do it, and no API token: what installs, grants, widens, approves,
    /// reveals, or makes others able to.
    #[must_use]
    pub const fn needs_person(self) -> bool {
        matches!(
            self,
            Self::RevealOriginals
                | Self::ApproveTools
                | Self::ManagePlugins
                | Self::ManageServers
                | Self::ManageIntegrations
                | Self::ManageGrants
                | Self::ManageCeiling
                | Self::ManageRules
                | Self::ManagePeople
                | Self::ManageTokens
                | Self::ManageSettings
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, so that no change of it goes unseen. `*` marks what needs a person.
    const GOLDEN: &str = "\
ReadIncidents       viewer responder operator security admin
WriteIncidents      responder admin
ReviewFindings      responder admin
RevealOriginals*    responder admin
RunModel            responder admin
ApproveTools*       responder admin
CallTools           responder admin
Publish             responder admin
ReadPlugins         viewer responder operator security admin
ReadPluginLogs      operator admin
ManagePlugins*      operator admin
ManageServers*      operator admin
ManageIntegrations* operator admin
StopPlugins         operator security admin
ManageGrants*       security admin
ManageCeiling*      security admin
ManageRules*        security admin
ReadAudit           security admin
ManagePeople*       admin
ManageTokens*       admin
ManageSettings*     admin
";

    #[test]
    fn the_table_is_as_agreed() {
        let mut table = String::new();
        for permission in Permission::ALL {
            let star = if permission.needs_person() { "*" } else { "" };
            let roles: Vec<&str> =
                Role::ALL.into_iter().filter(|role| role.may(permission)).map(Role::as_str).collect();
            table += &format!("{:<19} {}\n", format!("{permission:?}{star}"), roles.join(" "));
        }
        assert_eq!(table, GOLDEN);
    }

    #[test]
    fn all_lists_every_permission_once() {
        let distinct: std::collections::BTreeSet<_> = Permission::ALL.into_iter().collect();
        assert_eq!(distinct.len(), Permission::ALL.len());
        // the last of the enumeration; a new one must be added to the list
        assert_eq!(Permission::ManageSettings as usize + 1, Permission::ALL.len());
    }

    #[test]
    fn names_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
