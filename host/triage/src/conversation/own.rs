//! Tools of our own that a model is offered in an incident: the rest of long results, and the resources of MCP servers.
//!
//! Invariant: what they answer is of this incident, masked; what goes to a server with words of the model waits for a
//! person like any other call.

use fumehood_mcp::Ask;
use fumehood_redact::{Origin, Redacted};
use fumehood_runtime::provider;
use fumehood_store::ApprovalId;
use fumehood_store::approvals::Approval;
use fumehood_store::clock;
use fumehood_store::conversation::StoredCall;
use fumehood_store::outside::McpServer;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{APPROVAL_US, Runner};
use crate::TriageError;
use crate::call::Purpose;

/// What every one of them is called.
pub const OWN: &str = "fumehood_";
const READ_RESULT: &str = "fumehood_read_result";
const LIST_RESOURCES: &str = "fumehood_list_resources";
const READ_RESOURCE: &str = "fumehood_read_resource";
/// Lines of a result that are given at once, and their bytes.
const LINES: u64 = 500;
const BYTES: usize = 32 << 10;
/// Pages of a list that are read.
const PAGES: usize = 32;
/// The pin of what is no tool: there is nothing of it that could change.
const RESOURCE_PIN: &[u8] = b"resources/read";

/// What became of a call of one of our own tools.
pub(super) enum Own {
    Said(Redacted),
    Ask(Box<Approval>),
}

/// What is wrong with a call, for the model.
fn wrong(text: &'static str) -> Own {
    Own::Said(Redacted::literal(text))
}

fn tool(name: &str, description: Redacted, properties: Value, required: &[&str]) -> Option<provider::Tool> {
    let schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    // Our own words: there is nothing in them to mask.
    let parameters = fumehood_redact::JsonPlan::new(&schema);
    let spans = parameters.texts().map(|_| Vec::new()).collect();
    let mut book = fumehood_redact::Pseudonyms::new();
    let parameters = parameters.redact(Origin::Reply, &mut book, spans).ok()?.to_redacted();
    Some(provider::Tool { name: name.to_owned(), description, parameters })
}

/// The lines of a text that hold what is looked for, with their numbers, and where to go on.
fn lines_of(text: &str, find: &str, from: u64, count: u64) -> (String, Option<u64>, u64) {
    let find = find.to_lowercase();
    let (mut out, mut given, mut all) = (String::new(), 0, 0);
    let mut next = None;
    for (line, number) in text.lines().zip(1_u64..) {
        all = number;
        if number < from || next.is_some() || !(find.is_empty() || line.to_lowercase().contains(&find)) {
            continue;
        }
        if given == count || out.len() + line.len() > BYTES && given > 0 {
            next = Some(number);
            continue;
        }
        let cut = line.floor_char_boundary(BYTES.min(line.len()));
        out +=
            &format!("{number}: {}{}\n", line.get(..cut).unwrap_or_default(), if cut < line.len() { "…" } else { "" });
        given += 1;
    }
    (out, next, all)
}

impl Runner<'_> {
    /// Our own tools, as the model is offered them; where results were left out, what reads them, too.
    pub(super) async fn own_tools(&self, has_left_out: bool) -> Result<Vec<provider::Tool>, TriageError> {
        let mut tools = Vec::new();
        let approvals = self.app.0.store.approvals(self.scope, self.turn.incident_id).await?;
        if has_left_out || approvals.iter().any(|approval| approval.result.len() > crate::tools::RESULT_BYTES) {
            let text = "Reads or searches a tool's result that was cut. Needs no approval.";
            tools.extend(tool(
                READ_RESULT,
                Redacted::literal(text),
                json!({
                    "result": {"type": "integer", "description": "The number that stands where the result was cut."},
                    "find": {"type": "string", "description": "Only lines that hold this text, in any case."},
                    "from_line": {"type": "integer", "minimum": 1},
                    "lines": {"type": "integer", "minimum": 1, "maximum": LINES},
                }),
                &["result"],
            ));
        }
        let servers = self.with_resources().await?;
        if servers.is_empty() {
            return Ok(tools);
        }
        let names: Vec<&str> = servers.iter().map(|server| server.slug.as_str()).collect();
        let mut list = Redacted::literal("Lists what an MCP server offers to read. Needs no approval. Servers: ");
        let names = self.app.mask_one(self.scope, self.turn.incident_id, Origin::Raw, &names.join(", ")).await?;
        list.push(&names);
        let server = json!({"type": "string", "description": "The server's name."});
        tools.extend(tool(LIST_RESOURCES, list, json!({"server": server}), &["server"]));
        let read = "Reads one of the resources that an MCP server offers. The responder approves each.";
        let uri = json!({"type": "string", "description": "As it was listed, or made from a listed template."});
        tools.extend(tool(
            READ_RESOURCE,
            Redacted::literal(read),
            json!({"server": server, "uri": uri}),
            &["server", "uri"],
        ));
        Ok(tools)
    }

    async fn with_resources(&self) -> Result<Vec<McpServer>, TriageError> {
        let mut servers = self.app.0.store.servers(self.scope).await?;
        servers
            .retain(|server| server.enabled && server.state == "connected" && self.app.offers(server.id, "resources"));
        Ok(servers)
    }

    /// Carry out a call of one of our own tools, or say what has to be approved for it.
    pub(super) async fn own_call(&self, call: &StoredCall) -> Result<Own, TriageError> {
        let Ok(Value::Object(given)) = serde_json::from_str::<Value>(call.arguments.trim()) else {
            return Ok(wrong("The arguments were not a JSON object. Call the tool again with one."));
        };
        match call.name.as_str() {
            READ_RESULT => self.read_result(&given).await,
            LIST_RESOURCES => self.list_resources(&given).await,
            READ_RESOURCE => self.read_resource(call, given).await,
            _ => Ok(wrong("There is no such tool. The tools that exist are those in this request.")),
        }
    }

    async fn read_result(&self, given: &Map<String, Value>) -> Result<Own, TriageError> {
        let number = |key: &str| given.get(key).and_then(Value::as_u64);
        let incident = self.turn.incident_id;
        let approvals = self.app.0.store.approvals(self.scope, incident).await?;
        let at = number("result").and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        let Some(approval) = at.and_then(|at| approvals.get(at)).filter(|one| !one.result.is_empty()) else {
            return Ok(wrong("There is no result of this number."));
        };
        let find = given.get("find").and_then(Value::as_str).unwrap_or_default();
        let (from, count) = (number("from_line").unwrap_or(1), number("lines").unwrap_or(LINES).clamp(1, LINES));
        let whole = self.app.mask_one(self.scope, incident, Origin::Raw, &approval.result).await?;
        let (lines, next, all) = lines_of(whole.as_str(), find, from, count);
        let mut said = match lines.is_empty() {
            true => Redacted::literal("(no such lines)\n"),
            false => self.app.mask_one(self.scope, incident, Origin::Reply, &lines).await?,
        };
        said.push_literal("(of ");
        said.push(&Redacted::count(usize::try_from(all).unwrap_or(usize::MAX)));
        said.push_literal(" lines");
        if let Some(next) = next {
            said.push_literal("; go on from line ");
            said.push(&Redacted::count(usize::try_from(next).unwrap_or(usize::MAX)));
        }
        said.push_literal(")");
        Ok(Own::Said(said))
    }

    async fn server_named(&self, given: &Map<String, Value>) -> Result<Option<McpServer>, TriageError> {
        let name = given.get("server").and_then(Value::as_str).unwrap_or_default();
        Ok(self.with_resources().await?.into_iter().find(|server| server.slug == name || server.name == name))
    }

    /// What a server offers to read. Nothing of the incident goes there.
    async fn list_resources(&self, given: &Map<String, Value>) -> Result<Own, TriageError> {
        let Some(server) = self.server_named(given).await? else {
            return Ok(wrong("There is no such server with resources."));
        };
        let incident = self.turn.incident_id;
        self.status(format!("Asking {} for its resources", server.name));
        let purpose = Purpose {
            incident: Some(incident),
            kind: "tool",
            destination: format!("resources ({})", server.name),
            subject: format!("turn:{}", self.turn.id),
            instance: String::new(),
        };
        let failed = |error: fumehood_mcp::McpError| TriageError::Conflict(error.to_string());
        let connection = match self.app.connect(self.scope, &server, purpose, None, true).await {
            Ok(connection) => connection,
            Err(error) => {
                let said = self.app.masked_problem(self.scope, incident, &failed(error)).await;
                return Ok(Own::Said(self.app.mask_one(self.scope, incident, Origin::Reply, &said).await?));
            }
        };
        let mut lines = String::new();
        for (method, key) in [("resources/list", "resources"), ("resources/templates/list", "resourceTemplates")] {
            let mut cursor = None::<String>;
            for _ in 0..PAGES {
                if lines.len() >= BYTES {
                    break;
                }
                let params = cursor.take().map(|cursor| ("cursor".to_owned(), Value::from(cursor)));
                let ask = Ask { method: method.into(), params: params.into_iter().collect(), ..Ask::default() };
                let page = match connection.pass(ask, self.live.cancel.cancelled()).await {
                    Ok(page) => page,
                    // Not every server with resources has templates.
                    Err(_) if key == "resourceTemplates" => break,
                    Err(error) => {
                        lines += &format!("(not all could be listed: {error})\n");
                        break;
                    }
                };
                for one in page.get(key).and_then(Value::as_array).into_iter().flatten() {
                    let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
                    let uri = if key == "resources" { text("uri") } else { text("uriTemplate") };
                    lines += &format!("{uri} {} {}\n", text("name"), text("description").replace('\n', " "));
                }
                cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
        }
        connection.close().await;
        if lines.is_empty() {
            return Ok(wrong("The server offers no resources now."));
        }
        let mut said = self.app.mask_one(self.scope, incident, Origin::Raw, &lines).await?;
        said.truncate_at(BYTES);
        Ok(Own::Said(said))
    }

    /// What a person has to approve before a resource is read.
    async fn read_resource(&self, call: &StoredCall, given: Map<String, Value>) -> Result<Own, TriageError> {
        let uri = given.get("uri").and_then(Value::as_str).filter(|uri| !uri.is_empty());
        let (Some(server), Some(uri)) = (self.server_named(&given).await?, uri) else {
            return Ok(wrong("Name a server with resources, and the address of one of them."));
        };
        let incident = self.turn.incident_id;
        let masked = self.app.mask_json(self.scope, incident, Origin::Reply, &json!({"uri": uri})).await?;
        let text = masked.to_value().to_string();
        let binding = self.app.binding(&server, Sha256::digest(RESOURCE_PIN).to_vec(), &text)?;
        let now = clock::now_us();
        let counts = masked.count_by_kind().into_iter().map(|(kind, count)| (kind.as_str().to_owned(), count as u64));
        Ok(Own::Ask(Box::new(Approval {
            id: ApprovalId::new(),
            incident_id: incident,
            turn_id: self.turn.id,
            call_id: call.id.clone(),
            server_id: server.id,
            server: server.name,
            method: "resources/read".into(),
            tool: "Read a resource".into(),
            tool_sha256: binding.tool_sha256,
            plugin_sha256: binding.plugin_sha256,
            arguments_sha256: binding.arguments_sha256,
            arguments: text,
            masked: counts.collect(),
            risk: "low".into(),
            for_incident: false,
            state: "pending".into(),
            decided_by: None,
            decided_us: None,
            expires_us: now + APPROVAL_US,
            result: String::new(),
            problem: String::new(),
            created_us: now,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_and_where_to_go_on_is_said() {
        let text = "one\ntwo Error\nthree\nfour error\nfive ERROR";
        assert_eq!(lines_of(text, "", 2, 2), ("2: two Error\n3: three\n".into(), Some(4), 5));
        assert_eq!(lines_of(text, "error", 1, 2), ("2: two Error\n4: four error\n".into(), Some(5), 5));
        assert_eq!(lines_of(text, "error", 5, 2), ("5: five ERROR\n".into(), None, 5));
        assert_eq!(lines_of(text, "nothing", 1, 2), (String::new(), None, 5));
        let long = format!("{}\nshort", "x".repeat(BYTES + 10));
        let (out, next, _) = lines_of(&long, "", 1, 10);
        assert!(out.ends_with("…\n") && next == Some(2), "one long line is cut, and the next is there");
    }

    #[test]
    fn our_tools_are_described_by_their_schema() {
        let made = tool("fumehood_x", Redacted::literal("d"), json!({"a": {"type": "string"}}), &["a"]).unwrap();
        let schema: Value = serde_json::from_str(made.parameters.as_str()).unwrap();
        assert_eq!(schema["properties"]["a"]["type"], "string");
        assert_eq!(schema["required"], json!(["a"]));
    }
}
