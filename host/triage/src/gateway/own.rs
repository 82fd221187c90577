//! Fumehood's own tools: what it knows of incidents, for clients of the gateway.
//!
//! Invariant: each does what its caller's role may do and nothing else; what is read comes out as a model would see it, with
//! the incident's own pseudonyms; while an incident's sash is lowered nothing of it comes out.

use std::time::Instant;

use fumehood_mcp::gateway::{RpcError, rpc};
use fumehood_redact::Origin;
use fumehood_store::incidents::{Incident, IncidentFields, IncidentFilter};
use fumehood_store::{IncidentId, LogId, Scope};
use serde_json::{Map, Value, json};

use super::recorder::micros;
use super::{Exchange, GatewayBackend};
use crate::viewer::Window;
use crate::{App, TriageError};

/// As they are named on record.
pub(super) const SERVER: &str = "fumehood";
/// Lines of a log, and bytes of a line, that one call brings.
const LINES: u64 = 500;
const LINE: usize = 2 << 10;
/// Incidents that one search brings.
const FOUND: u64 = 50;
/// Events of a timeline that one call brings, the newest.
const EVENTS: usize = 200;
/// Longest note, bytes.
const NOTE: usize = 4 << 10;

/// A tool as clients see it: name, title, what it does, its arguments, those that are needed, whether it only reads.
struct Own {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    properties: fn() -> Value,
    required: &'static [&'static str],
    reads: bool,
}

const INCIDENT: &str = "Number of the incident, such as 42, or its id.";

const OWN: [Own; 5] = [
    Own {
        name: "fumehood_search_incidents",
        title: "Search incidents",
        description: "Finds incidents by words, state and severity. Personal data and secrets are masked.",
        properties: || {
            json!({
                "query": {"type": "string", "description": "Words in title, description, category or tags."},
                "status": {"type": "string", "enum": crate::incidents::STATUSES},
                "severity": {"type": "string", "enum": crate::incidents::SEVERITIES},
                "limit": {"type": "integer", "minimum": 1, "maximum": FOUND, "default": 20},
            })
        },
        required: &[],
        reads: true,
    },
    Own {
        name: "fumehood_read_log",
        title: "Read a masked log",
        description: "Reads lines of an incident's log, masked. Without `log` it lists the incident's logs.",
        properties: || {
            json!({
                "incident": {"type": ["integer", "string"], "description": INCIDENT},
                "log": {"type": "string", "description": "Id of the log."},
                "from": {"type": "integer", "minimum": 1, "default": 1, "description": "First line."},
                "lines": {"type": "integer", "minimum": 1, "maximum": LINES, "default": 100},
            })
        },
        required: &["incident"],
        reads: true,
    },
    Own {
        name: "fumehood_read_timeline",
        title: "Read a timeline",
        description: "What happened in an incident, the last 200 events, oldest first, masked.",
        properties: || json!({"incident": {"type": ["integer", "string"], "description": INCIDENT}}),
        required: &["incident"],
        reads: true,
    },
    Own {
        name: "fumehood_add_note",
        title: "Add a note",
        description: "Adds a note to an incident's timeline, where people read it.",
        properties: || {
            json!({
                "incident": {"type": ["integer", "string"], "description": INCIDENT},
                "text": {"type": "string", "maxLength": NOTE},
            })
        },
        required: &["incident", "text"],
        reads: false,
    },
    Own {
        name: "fumehood_start_triage",
        title: "Start a triage",
        description: "Creates an incident and asks Fumehood's model a first question about it, if there is one. People go \
                      on with it in Fumehood.",
        properties: || {
            json!({
                "title": {"type": "string", "maxLength": 200},
                "description": {"type": "string"},
                "severity": {"type": "string", "enum": crate::incidents::SEVERITIES, "default": "medium"},
                "question": {"type": "string", "description": "What the model is asked first."},
            })
        },
        required: &["title"],
        reads: false,
    },
];

/// Whether a name is one of ours.
pub(super) fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| own.name == name)
}

/// The tools as clients are told them.
pub(super) fn tools() -> impl Iterator<Item = Value> {
    OWN.iter().map(|own| {
        json!({
            "name": own.name, "title": own.title, "description": own.description,
            "inputSchema": {
                "type": "object", "properties": (own.properties)(), "required": own.required, "additionalProperties": false,
            },
            "annotations": {"readOnlyHint": own.reads, "destructiveHint": false, "openWorldHint": false},
        })
    })
}

/// The arguments of a call, read strictly: what is not known is an error that names it.
struct Arguments<'a>(&'a Map<String, Value>);

impl<'a> Arguments<'a> {
    fn of(own: &Own, given: &'a Map<String, Value>) -> Result<Self, TriageError> {
        let properties = (own.properties)();
        if let Some(unknown) = given.keys().find(|key| properties.get(key.as_str()).is_none()) {
            let known: Vec<&String> = properties.as_object().map(|all| all.keys().collect()).unwrap_or_default();
            let message = format!("There is no argument {unknown:.64}; there are {known:?}.");
            return Err(TriageError::invalid("arguments", message));
        }
        match own.required.iter().find(|key| given.get(**key).is_none_or(Value::is_null)) {
            Some(missing) => Err(TriageError::invalid("arguments", format!("The argument {missing} is missing."))),
            None => Ok(Self(given)),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, TriageError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(TriageError::invalid("arguments", format!("{key} is a text."))),
        }
    }

    fn number(&self, key: &str, most: u64, otherwise: u64) -> Result<u64, TriageError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(otherwise),
            Some(value) => value
                .as_u64()
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| TriageError::invalid("arguments", format!("{key} is a whole number from 1 to {most}."))),
        }
    }
}

impl GatewayBackend {
    /// Call one of our own tools; put on record before anything is done.
    pub(super) async fn call_own(&self, exchange: &mut Exchange, name: &str) -> Result<Value, RpcError> {
        let client = exchange.request.client.clone();
        SERVER.clone_into(&mut exchange.spent.server);
        exchange.spent.is_known = true;
        let params = exchange.request.params.clone();
        // The record is for operators, who see no originals.
        let mut kept = params.clone();
        self.mask_arguments(&client.caller, &mut kept).await.map_err(super::refusal)?;
        self.begin(exchange, &kept).await?;
        let given = params.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
        let began = Instant::now();
        let done = Box::pin(self.app.own_tool(&client.caller, name, &given)).await;
        exchange.spent.upstream_us += micros(began);
        let result = match done {
            Ok(value) => json!({"content": [{"type": "text", "text": value.to_string()}], "structuredContent": value}),
            Err(error @ (TriageError::Internal(_) | TriageError::DiskFull)) => {
                return Err(RpcError::new(rpc::INTERNAL, error.to_string()));
            }
            // For the model to read and to do better.
            Err(error) => json!({"content": [{"type": "text", "text": error.to_string()}], "isError": true}),
        };
        Ok(self.finished(exchange, result))
    }
}

impl App {
    async fn own_tool(&self, scope: &Scope, name: &str, given: &Map<String, Value>) -> Result<Value, TriageError> {
        let own = OWN.iter().find(|own| own.name == name).ok_or(TriageError::NotFound { what: "tool" })?;
        let given = Arguments::of(own, given)?;
        match name {
            "fumehood_search_incidents" => self.own_search(scope, &given).await,
            "fumehood_read_log" => self.own_log(scope, &given).await,
            "fumehood_read_timeline" => self.own_timeline(scope, &given).await,
            "fumehood_add_note" => self.own_note(scope, &given).await,
            _ => self.own_triage(scope, &given).await,
        }
    }

    /// The incident that is meant, by its number or id; nothing comes out of one whose sash is lowered.
    async fn own_incident(&self, scope: &Scope, given: &Arguments<'_>) -> Result<Incident, TriageError> {
        let unknown = || TriageError::invalid("arguments", "There is no such incident: give its number or its id.");
        let text = match given.0.get("incident") {
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.trim().trim_start_matches("INC-").to_owned(),
            _ => return Err(unknown()),
        };
        let incident = match (text.parse::<i64>(), text.parse::<IncidentId>()) {
            (Ok(number), _) => self.0.store.incident_by_number(scope, number).await?.ok_or_else(unknown)?,
            (_, Ok(id)) => self.incident(scope, id).await.map_err(|_| unknown())?,
            _ => return Err(unknown()),
        };
        if incident.sash_lowered_us.is_some() {
            return Err(TriageError::Conflict("The sash of this incident is lowered: nothing of it leaves.".into()));
        }
        Ok(incident)
    }

    async fn own_search(&self, scope: &Scope, given: &Arguments<'_>) -> Result<Value, TriageError> {
        let filter = IncidentFilter {
            text: given.text("query")?,
            status: given.text("status")?,
            severity: given.text("severity")?,
            limit: usize::try_from(given.number("limit", FOUND, 20)?).unwrap_or(1),
            ..IncidentFilter::default()
        };
        let query = filter.text.clone().unwrap_or_default().trim().to_lowercase();
        let (incidents, _) = self.incidents(scope, filter).await?;
        let mut found = Vec::with_capacity(incidents.len());
        for one in incidents {
            // One whose sash is lowered is there, and says nothing: nor is it found by what it says.
            let lowered = one.sash_lowered_us.is_some();
            let masked = match lowered {
                true => Vec::new(),
                false => {
                    let tags = one.tags.join("\n");
                    let texts = [one.title.as_str(), &one.category, &tags, &one.description];
                    self.mask(scope, one.id, Origin::Raw, &texts).await?
                }
            };
            // Whoever sees a mask must not find out what is behind it, letter by letter.
            if !query.is_empty() && !masked.iter().any(|text| text.as_str().to_lowercase().contains(&query)) {
                continue;
            }
            let text = |at: usize| masked.get(at).map(|text| text.as_str().to_owned()).unwrap_or_default();
            found.push(json!({
                "number": one.number, "id": one.id.to_string(), "status": one.status, "severity": one.severity,
                "title": text(0), "category": text(1), "tags": text(2).lines().collect::<Vec<_>>(),
                "created": fumehood_store::clock::rfc3339(one.created_us), "sash_lowered": lowered,
            }));
        }
        Ok(json!({"incidents": found}))
    }

    async fn own_log(&self, scope: &Scope, given: &Arguments<'_>) -> Result<Value, TriageError> {
        let from = given.number("from", u64::MAX, 1)?;
        let count = given.number("lines", LINES, 100)?;
        let incident = self.own_incident(scope, given).await?;
        let Some(log) = given.text("log")? else {
            let logs = self.logs(scope, incident.id).await?;
            let names: Vec<&str> = logs.iter().map(|log| log.name.as_str()).collect();
            let names = self.mask(scope, incident.id, Origin::Raw, &names).await?;
            let logs = logs.iter().zip(names).map(|(log, name)| {
                json!({"id": log.id.to_string(), "name": name.as_str(), "state": log.state, "lines": log.lines})
            });
            return Ok(json!({"logs": logs.collect::<Vec<_>>()}));
        };
        let unknown =
            || TriageError::invalid("arguments", "This incident has no such log; call it without `log` for a list.");
        let id: LogId = log.parse().map_err(|_| unknown())?;
        let file = self.log(scope, id).await.map_err(|_| unknown())?;
        if file.incident_id != incident.id {
            return Err(unknown());
        }
        if file.state != "ready" {
            return Err(TriageError::Conflict(format!("This log is {}, so it cannot be read yet.", file.state)));
        }
        let lines = self.masked_lines(scope, id, from, count, Window::of(LINE)).await?;
        let next = lines.last().map(|line| line.number + 1);
        let lines: Vec<Value> = lines
            .iter()
            .map(|line| json!({"line": line.number, "text": line.text.as_str(), "cut": line.clipped}))
            .collect();
        let all = u64::try_from(file.lines).unwrap_or_default();
        Ok(json!({"lines": lines, "of": all, "next": next.filter(|next| *next <= all)}))
    }

    async fn own_timeline(&self, scope: &Scope, given: &Arguments<'_>) -> Result<Value, TriageError> {
        let incident = self.own_incident(scope, given).await?;
        let mut events = self.timeline(scope, incident.id).await?;
        let before = events.len().saturating_sub(EVENTS);
        events.drain(..before);
        let said: Vec<&str> = events.iter().map(|event| event.summary.as_str()).collect();
        let said = self.mask(scope, incident.id, Origin::Raw, &said).await?;
        let events = events.iter().zip(said).map(|(event, said)| {
            json!({"time": fumehood_store::clock::rfc3339(event.time_us), "kind": event.kind, "what": said.as_str()})
        });
        Ok(json!({"incident": incident.number, "events": events.collect::<Vec<_>>(), "earlier": before}))
    }

    async fn own_note(&self, scope: &Scope, given: &Arguments<'_>) -> Result<Value, TriageError> {
        let text = given.text("text")?.unwrap_or_default().trim().to_owned();
        let incident = self.own_incident(scope, given).await?;
        self.add_note(scope, incident.id, text).await?;
        Ok(json!({"incident": incident.number, "added": true}))
    }

    /// Add a note to an incident's timeline.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`.
    async fn add_note(&self, scope: &Scope, incident: IncidentId, text: String) -> Result<(), TriageError> {
        self.require(scope, fumehood_policy::Permission::WriteIncidents)?;
        if text.is_empty() || text.len() > NOTE {
            return Err(TriageError::invalid("text", format!("A note has 1 to {NOTE} bytes.")));
        }
        Ok(self.0.store.add_note(scope, incident, text).await?)
    }

    async fn own_triage(&self, scope: &Scope, given: &Arguments<'_>) -> Result<Value, TriageError> {
        let fields = IncidentFields {
            title: given.text("title")?.unwrap_or_default(),
            description: given.text("description")?.unwrap_or_default(),
            severity: given.text("severity")?.unwrap_or_else(|| "medium".into()),
            status: "open".into(),
            ..IncidentFields::default()
        };
        let question = given.text("question")?.filter(|question| !question.trim().is_empty());
        let incident = self.create_incident(scope, fields).await?;
        let asked = match question {
            Some(question) => match self.say(scope, incident.id, &question).await {
                Ok(_) => "asked".to_owned(),
                // The incident is there all the same; people go on with it.
                Err(error) => format!("not asked: {error}"),
            },
            None => "not asked".to_owned(),
        };
        Ok(json!({
            "number": incident.number, "id": incident.id.to_string(), "path": format!("/incidents/{}", incident.id),
            "question": asked,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tools_are_described_as_they_are_read() {
        let mut names = std::collections::HashSet::new();
        for (own, tool) in OWN.iter().zip(tools()) {
            assert!(names.insert(own.name) && is_own(own.name) && own.name.starts_with("fumehood_"));
            for key in own.required {
                assert!(tool["inputSchema"]["properties"][key].is_object(), "{key} of {} is not described", own.name);
            }
        }
        assert!(!is_own("mcp_fumehood_add_note"));
    }

    #[test]
    fn arguments_are_read_strictly() {
        let read = |given: Value| {
            let given = given.as_object().cloned().unwrap();
            let read = Arguments::of(&OWN[1], &given)?;
            Ok::<_, TriageError>((read.text("log")?, read.number("lines", LINES, 100)?))
        };
        assert_eq!(read(json!({"incident": 1, "lines": 7})).unwrap(), (None, 7));
        for (given, word) in [
            (json!({}), "incident is missing"),
            (json!({"incident": 1, "line": 2}), "no argument line"),
            (json!({"incident": 1, "lines": 0}), "from 1 to 500"),
            (json!({"incident": 1, "lines": 501}), "from 1 to 500"),
            (json!({"incident": 1, "lines": "7"}), "from 1 to 500"),
            (json!({"incident": 1, "log": 7}), "log is a text"),
        ] {
            let said = read(given).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
