//! What a person decides about the tools of a server, and what they see when they do.

use fumehood_mcp::{Difference, Known, RawTool, Warning, differences, tool_sha256, warnings};
use fumehood_policy::{Digest, Permission};
use fumehood_store::outside::{SeenTool, Standing, Tool, ToolChange, ToolDecision};
use fumehood_store::{Scope, ServerId, StoreError};

use crate::{App, TriageError};

/// A tool as a person looks at it.
#[derive(Clone, Debug)]
pub struct ToolReview {
    pub tool: Tool,
    pub standing: Standing,
    /// The pin of what is shown; a decision is about this and nothing else.
    pub sha256: String,
    pub warnings: Vec<Warning>,
    /// Between what was decided about and what the server says now; and how many more there are.
    pub differences: (Vec<Difference>, usize),
}

impl ToolReview {
    fn of(tool: Tool) -> Self {
        let shown = tool.seen.as_ref().or(tool.pinned.as_ref());
        Self {
            standing: tool.standing(),
            sha256: shown.map(pin).unwrap_or_default(),
            warnings: serde_json::from_value(tool.warnings.clone()).unwrap_or_default(),
            differences: match (&tool.pinned, &tool.seen) {
                (Some(old), Some(new)) => differences(old, new),
                _ => (Vec::new(), 0),
            },
            tool,
        }
    }
}

/// The hash of a tool object, as it is shown and typed.
fn pin(raw: &serde_json::Value) -> String {
    Digest::new(tool_sha256(raw)).to_string()
}

/// A person's word about one tool.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub name: String,
    /// [`ToolReview::sha256`] of what they saw.
    pub sha256: String,
    /// `allow`, `ask` or `deny`.
    pub rule: String,
}

impl App {
    /// A server's tools with all that is known of them; those that wait for a person first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn tool_reviews(&self, scope: &Scope, id: ServerId) -> Result<Vec<ToolReview>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        let tools = self.0.store.tools(scope, Some(id)).await?;
        let mut reviews: Vec<ToolReview> = tools.into_iter().map(ToolReview::of).collect();
        reviews.sort_by_key(|review| (!review.standing.waits(), review.standing == Standing::Gone));
        Ok(reviews)
    }

    /// Decide about tools: each is pinned to what the person saw, and offered or not by its rule.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`; `Conflict` where a tool is no longer what was shown; nothing is decided then.
    pub async fn decide_tools(&self, scope: &Scope, id: ServerId, verdicts: Vec<Verdict>) -> Result<(), TriageError> {
        self.require(scope, Permission::ManageServers)?;
        if verdicts.is_empty() {
            return Err(TriageError::invalid("tool", "Choose at least one tool."));
        }
        self.0.store.server(scope, id).await?;
        let known = self.0.store.tools(scope, Some(id)).await?;
        let mut decisions = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            if !matches!(verdict.rule.as_str(), "allow" | "ask" | "deny") {
                return Err(TriageError::invalid("rule", "A tool is set to allow, ask or deny."));
            }
            let tool = known.iter().find(|tool| tool.name == verdict.name);
            let shown = tool.and_then(|tool| tool.seen.as_ref().or(tool.pinned.as_ref()));
            let shown = shown.ok_or_else(|| StoreError::not_found("tool", &verdict.name))?;
            if pin(shown) != verdict.sha256 {
                return Err(TriageError::Conflict(format!(
                    "The server has changed {} since you looked. Nothing was decided; look at it again.",
                    verdict.name
                )));
            }
            decisions.push(ToolDecision {
                name: verdict.name,
                seen: shown.clone(),
                sha256: verdict.sha256,
                rule: verdict.rule,
            });
        }
        let decided = self.0.store.decide_tools(scope, id, decisions).await;
        self.0.tools.served.forget();
        Ok(decided?)
    }

    /// How the tools of servers changed, newest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn tool_changes(
        &self,
        scope: &Scope,
        server: Option<ServerId>,
        tool: Option<String>,
        since_us: i64,
        limit: usize,
    ) -> Result<Vec<(ServerId, ToolChange)>, TriageError> {
        self.require(scope, Permission::ReadIncidents)?;
        Ok(self.0.store.tool_changes(scope, server, tool, since_us, limit).await?)
    }

    /// What a server offers, with what a person should look at.
    pub(super) async fn seen(
        &self,
        scope: &Scope,
        id: ServerId,
        tools: Vec<RawTool>,
    ) -> Result<Vec<SeenTool>, TriageError> {
        let servers = self.0.store.servers(scope).await?;
        let known = self.0.store.tools(scope, None).await?;
        let name = |id: ServerId| servers.iter().find(|server| server.id == id).map_or("", |server| &server.name);
        let here = name(id);
        let known: Vec<Known<'_>> = known
            .iter()
            .filter_map(|tool| {
                let gone = tool.server_id == id && !tools.iter().any(|now| now.name == tool.name);
                let raw = tool.seen.as_ref().or(tool.pinned.as_ref())?;
                Some(Known { server: name(tool.server_id), name: &tool.name, raw, gone })
            })
            .collect();
        let seen = |tool: &RawTool| SeenTool {
            name: tool.name.clone(),
            warnings: serde_json::to_value(warnings(tool, &known, here)).unwrap_or_default(),
            raw: tool.raw.clone(),
        };
        Ok(tools.iter().map(seen).collect())
    }
}
