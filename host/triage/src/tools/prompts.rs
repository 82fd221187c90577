//! Prompts that MCP servers offer: a responder chooses one, fills in its arguments, and begins a message with what it says.
//!
//! Invariant: no model sees a prompt before a person has looked at it and sent it as their own message. What goes to the
//! server was typed by that person, and leaves masked and on record.

use std::sync::Arc;
use std::time::Duration;

use fumehood_mcp::{Ask, Connection, McpError, visible};
use fumehood_policy::Permission;
use fumehood_redact::Origin;
use fumehood_store::outside::McpServer;
use fumehood_store::{IncidentId, Scope, ServerId};
use serde_json::{Map, Value, json};

use super::call::Piped;
use super::not_let_in;
use crate::call::Purpose;
use crate::{App, TriageError};

/// How long a server may take for its list, a prompt or a completion.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pages of a list that are read, and prompts that are shown.
const PAGES: usize = 16;
const PROMPTS: usize = 200;
/// Arguments of one prompt, and values that are suggested for one.
const ARGUMENTS: usize = 32;
const VALUES: usize = 100;
/// What of a prompt goes into a message, bytes.
const TEXT: usize = 64 << 10;

/// A prompt that a server offers; its words with hidden characters shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedPrompt {
    pub server_id: ServerId,
    pub server: String,
    /// As the server names it.
    pub name: String,
    pub title: String,
    pub description: String,
    pub arguments: Vec<PromptArgument>,
    /// The server suggests values for arguments.
    pub completes: bool,
}

/// An argument of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptArgument {
    /// As the server names it.
    pub name: String,
    pub title: String,
    pub description: String,
    pub required: bool,
}

/// Which prompt of which server, and what was typed for its arguments.
#[derive(Clone, Debug)]
pub struct ChosenPrompt {
    pub server: ServerId,
    pub name: String,
    /// Names and values; those without a value are left out.
    pub arguments: Vec<(String, String)>,
}

fn text(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn argument(of: &Value) -> Option<PromptArgument> {
    let name = of.get("name")?.as_str()?.to_owned();
    let title = of.get("title").and_then(Value::as_str).unwrap_or(&name);
    Some(PromptArgument {
        title: visible(title),
        description: visible(&text(of, "description")),
        required: of.get("required").and_then(Value::as_bool).unwrap_or_default(),
        name,
    })
}

fn prompt(server: &McpServer, completes: bool, of: &Value) -> Option<OfferedPrompt> {
    let name = of.get("name")?.as_str()?.to_owned();
    let title = of.get("title").and_then(Value::as_str).unwrap_or(&name);
    let arguments = of.get("arguments").and_then(Value::as_array).into_iter().flatten();
    Some(OfferedPrompt {
        server_id: server.id,
        server: server.name.clone(),
        title: visible(title),
        description: visible(&text(of, "description")),
        arguments: arguments.filter_map(argument).take(ARGUMENTS).collect(),
        completes,
        name,
    })
}

/// What a prompt says, as one text.
fn said(result: &Value) -> String {
    let messages: Vec<&Value> = result.get("messages").and_then(Value::as_array).into_iter().flatten().collect();
    let one = |message: &Value| {
        let content = message.get("content").unwrap_or(&Value::Null);
        let said = match text(content, "type").as_str() {
            "text" => text(content, "text"),
            "resource" => content.pointer("/resource/text").and_then(Value::as_str).unwrap_or_default().to_owned(),
            "resource_link" => format!("{} {}", text(content, "name"), text(content, "uri")),
            kind => format!(
                "({} is left out: only text can go into a message)",
                if kind.is_empty() { "something" } else { kind }
            ),
        };
        match text(message, "role").as_str() {
            "assistant" => format!("The answer so far:\n{said}"),
            _ => said,
        }
    };
    let all: Vec<String> = messages.into_iter().map(one).collect();
    let mut all = visible(&all.join("\n\n"));
    all.truncate(all.floor_char_boundary(TEXT));
    all
}

impl ChosenPrompt {
    fn arguments(&self) -> Value {
        let given = self.arguments.iter().filter(|(_, value)| !value.is_empty());
        Value::Object(given.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
    }
}

impl App {
    /// Servers that said at their last discovery that they offer prompts.
    async fn with_prompts(&self, scope: &Scope) -> Result<Vec<McpServer>, TriageError> {
        let mut servers = self.0.store.servers(scope).await?;
        servers.retain(|server| server.enabled && server.state == "connected" && self.offers(server.id, "prompts"));
        Ok(servers)
    }

    /// Whether there are servers with prompts.
    ///
    /// # Errors
    /// What the store says.
    pub async fn has_prompts(&self, scope: &Scope) -> Result<bool, TriageError> {
        Ok(self.require(scope, Permission::ApproveTools).is_ok() && !self.with_prompts(scope).await?.is_empty())
    }

    /// The prompts that servers offer now, and what is wrong with those that do not say, by their names. Nothing of the
    /// incident goes there; where its sash is lowered nobody is asked.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn prompts(
        &self,
        scope: &Scope,
        incident: IncidentId,
    ) -> Result<(Vec<OfferedPrompt>, Vec<(String, String)>), TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        if self.incident(scope, incident).await?.sash_lowered_us.is_some() {
            return Ok((Vec::new(), Vec::new()));
        }
        let servers = self.with_prompts(scope).await?;
        let asked = servers.iter().map(|server| async move {
            let list = tokio::time::timeout(PATIENCE, self.prompts_of(scope, server)).await;
            (server, list.unwrap_or(Err(McpError::TimedOut { seconds: PATIENCE.as_secs() })))
        });
        let (mut prompts, mut problems) = (Vec::new(), Vec::new());
        for (server, list) in futures_util::future::join_all(asked).await {
            match list {
                Ok(list) => prompts.extend(list),
                Err(error) => {
                    let error = TriageError::Conflict(error.to_string());
                    problems.push((server.name.clone(), self.masked_problem(scope, incident, &error).await));
                }
            }
        }
        prompts.truncate(PROMPTS);
        Ok((prompts, problems))
    }

    async fn prompts_of(&self, scope: &Scope, server: &McpServer) -> Result<Vec<OfferedPrompt>, McpError> {
        let purpose = Purpose {
            incident: None,
            kind: "discover",
            destination: format!("prompts ({})", server.name),
            subject: format!("mcp-server:{}", server.id),
            instance: String::new(),
        };
        let connection = self.connect(scope, server, purpose, None, true).await?;
        let completes = connection.facts().offers("completions");
        let (mut prompts, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let params = cursor.take().map(|cursor| ("cursor".to_owned(), Value::from(cursor)));
            let ask = Ask { method: "prompts/list".into(), params: params.into_iter().collect(), ..Ask::default() };
            let page = connection.pass(ask, std::future::pending()).await?;
            let listed = page.get("prompts").and_then(Value::as_array).into_iter().flatten();
            prompts.extend(listed.filter_map(|one| prompt(server, completes, one)));
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || prompts.len() >= PROMPTS {
                break;
            }
        }
        connection.close().await;
        Ok(prompts)
    }

    /// What a prompt says with these arguments, masked: the beginning of a message, which nobody has sent yet.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` with what the server, or the way to it, said.
    pub async fn prompt(
        &self,
        scope: &Scope,
        incident: IncidentId,
        chosen: &ChosenPrompt,
    ) -> Result<String, TriageError> {
        let params = json!({"name": chosen.name, "arguments": chosen.arguments()});
        let result = self.ask_typed(scope, incident, chosen, "prompts/get", params).await?;
        if text(&result, "resultType") == "input_required" {
            let what = "The server asks something before it gives this prompt, which is not offered here.";
            return Err(TriageError::Conflict(what.into()));
        }
        let said = said(&result);
        if said.trim().is_empty() {
            return Err(TriageError::Conflict("The server's prompt is empty.".into()));
        }
        Ok(self.mask_one(scope, incident, Origin::Raw, &said).await?.as_str().to_owned())
    }

    /// Values that a server suggests for an argument, by what is typed so far: those that are nobody's data.
    ///
    /// # Errors
    /// As [`App::prompt`].
    pub async fn complete_prompt(
        &self,
        scope: &Scope,
        incident: IncidentId,
        chosen: &ChosenPrompt,
        argument: &str,
    ) -> Result<Vec<String>, TriageError> {
        let typed = chosen.arguments.iter().find(|(name, _)| name == argument).map_or("", |(_, value)| value);
        let mut others = chosen.arguments();
        if let Value::Object(others) = &mut others {
            others.remove(argument);
        }
        let params = json!({
            "ref": {"type": "ref/prompt", "name": chosen.name},
            "argument": {"name": argument, "value": typed},
            "context": {"arguments": others},
        });
        let result = self.ask_typed(scope, incident, chosen, "completion/complete", params).await?;
        let values = result.pointer("/completion/values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).take(VALUES).collect();
        let masked = self.mask(scope, incident, Origin::Raw, &values).await?;
        let plain =
            values.iter().zip(&masked).filter(|(raw, masked)| **raw == masked.as_str() && visible(raw) == **raw);
        Ok(plain.map(|(raw, _)| (*raw).to_owned()).collect())
    }

    /// Ask a server something in words that a person typed in an incident.
    async fn ask_typed(
        &self,
        scope: &Scope,
        incident: IncidentId,
        chosen: &ChosenPrompt,
        method: &str,
        params: Value,
    ) -> Result<Value, TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        self.incident(scope, incident).await?;
        let servers = self.with_prompts(scope).await?;
        let server = servers.into_iter().find(|server| server.id == chosen.server);
        let server = server.ok_or(TriageError::NotFound { what: "server with prompts" })?;
        let masked = self.mask_json(scope, incident, Origin::Raw, &params).await?;
        let counts = masked.count_by_kind().into_iter().map(|(kind, count)| (kind.as_str().to_owned(), count as u64));
        let counts = counts.collect();
        let Value::Object(params) = masked.to_value() else {
            return Err(TriageError::Internal("a request that is no object".into()));
        };
        let subject = format!("mcp-server:{}", server.id);
        let destination =
            format!("{} ({})", if method == "prompts/get" { "prompt" } else { "completion" }, server.name);
        let purpose = Purpose {
            incident: Some(incident),
            kind: "tool",
            destination: destination.clone(),
            subject: subject.clone(),
            instance: String::new(),
        };
        let asked = async {
            let connection = self.connect(scope, &server, purpose, None, true).await?;
            let piped = Piped { incident, destination, subject, method: method.to_owned(), masked: counts };
            let body = Value::Object(params.clone()).to_string();
            let recorded = self.record_piped(scope, &server, piped, body).await;
            recorded.map_err(|error| McpError::Unreachable(error.to_string()))?;
            let answer = pass(&connection, method, params).await;
            connection.close().await;
            answer
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        let answer = answer.unwrap_or(Err(McpError::TimedOut { seconds: PATIENCE.as_secs() }));
        match answer.map_err(|error| not_let_in(&server, error)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let error = TriageError::Conflict(error.to_string());
                Err(TriageError::Conflict(self.masked_problem(scope, incident, &error).await))
            }
        }
    }
}

async fn pass(connection: &Arc<Connection>, method: &str, params: Map<String, Value>) -> Result<Value, McpError> {
    let ask = Ask { method: method.to_owned(), params, ..Ask::default() };
    connection.pass(ask, std::future::pending()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_one_text_with_what_is_hidden_shown() {
        let result = json!({"messages": [
            {"role": "user", "content": {"type": "text", "text": "Look at\u{202e} this"}},
            {"role": "assistant", "content": {"type": "text", "text": "So far so good"}},
            {"role": "user", "content": {"type": "image", "data": "AAAA"}},
            {"role": "user", "content": {"type": "resource", "resource": {"uri": "a://b", "text": "a file"}}},
        ]});
        assert_eq!(
            said(&result),
            "Look at⟨U+202E⟩ this\n\nThe answer so far:\nSo far so good\n\n(image is left out: only text can go into a \
             message)\n\na file"
        );
        assert_eq!(said(&json!({"messages": "none"})), "");
        let long = json!({"messages": [{"role": "user", "content": {"type": "text", "text": "é".repeat(TEXT)}}]});
        assert!(said(&long).len() <= TEXT);
    }
}
