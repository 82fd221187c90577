//! A tool's call while it runs: its progress, and what its server asks on the way: something of the responder, or an answer
//! of the model.
//!
//! Invariant: whatever a server asks, a person of the incident has seen and decided about before anything goes back; what
//! goes back is masked, on disk, and of the kind that the server asked for.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fumehood_mcp::{Ask, Asked, Connection, FieldKind, Incoming, McpError, Patience, Sample, elicited};
use fumehood_policy::Permission;
use fumehood_redact::Origin;
use fumehood_runtime::provider;
use fumehood_store::approvals::Approval;
use fumehood_store::outside::McpServer;
use fumehood_store::questions::Question;
use fumehood_store::{IncidentId, QuestionId, Scope, clock};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::CALL;
use crate::call::Purpose;
use crate::conversation::{Whole, destination};
use crate::{App, TriageError};

/// How often a server may ask in one call.
const QUESTIONS: usize = 16;
/// Requests of any kind that it may make in one call; beyond it each is refused at once.
const REQUESTS: usize = 256;
/// How often progress is shown.
const SHOWN: Duration = Duration::from_millis(250);
/// How long a question waits for a person.
const WAIT: Duration = Duration::from_secs(1800);
/// What the model may answer to a server, bytes.
const SAMPLED: usize = 64 << 10;
/// Messages of a server that wait to be read.
pub(super) const SAID: usize = 64;
/// The one request of its connection.
const TICKET: u64 = 1;
/// Of a progress message, characters that are shown.
const PROGRESS: usize = 120;

/// The only answer to what roots there are.
fn roots() -> Value {
    json!({"roots": []})
}

/// What a server may ask of us in an incident.
pub(super) fn offers() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}})
}

/// A question as the responder sees it: the server's words masked.
#[derive(Clone, Debug)]
pub struct ShownQuestion {
    pub question: Question,
    /// Masked; of a choice the values are the numbers under which they are given back. Where it could not be read any more,
    /// nothing.
    pub asked: Option<Asked>,
}

/// What a person says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What was typed or chosen for each field, by its number.
    Accept(Vec<Vec<String>>),
    Decline,
    Dismiss,
}

/// One call on its way.
pub(super) struct Dialogue<'a> {
    pub(super) app: &'a App,
    pub(super) scope: &'a Scope,
    pub(super) approval: &'a Approval,
    pub(super) server: &'a McpServer,
    pub(super) connection: &'a Connection,
    pub(super) cancel: CancellationToken,
    /// Told what is going on.
    pub(super) status: &'a (dyn Fn(String) + Send + Sync),
    pub(super) asked: AtomicUsize,
}

impl Dialogue<'_> {
    /// Ask the server, and answer what it asks meanwhile; the raw result.
    pub(super) async fn carry_out(
        &self,
        mut params: Map<String, Value>,
        mut said: mpsc::Receiver<Incoming>,
    ) -> Result<Value, McpError> {
        if self.cancel.is_cancelled() {
            return Err(McpError::Cancelled);
        }
        let patience = Patience::of(CALL);
        for _ in 0..QUESTIONS {
            let ask = Ask {
                method: self.approval.method.clone(),
                params: params.clone(),
                ticket: TICKET,
                progress: true,
                patience: Some(Arc::clone(&patience)),
            };
            let result = tokio::select! {
                result = self.connection.pass(ask, self.cancel.cancelled()) => result?,
                never = self.hear(&mut said, &patience) => match never {},
            };
            if result.get("resultType").and_then(Value::as_str) != Some("input_required") {
                return Ok(result);
            }
            // A server of the newer era asks by way of its answer, and is asked again with ours.
            let mut responses = Map::new();
            for (key, question) in result.get("inputRequests").and_then(Value::as_object).into_iter().flatten() {
                let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
                let about = question.get("params").cloned().unwrap_or_default();
                let answer = self.answer(method, about, &patience).await.map_err(|error| {
                    let why = error.get("message").and_then(Value::as_str).unwrap_or_default();
                    McpError::Protocol(format!("it asks {}, and: {why}", method.chars().take(64).collect::<String>()))
                })?;
                responses.insert(key.clone(), answer);
            }
            params.insert("inputResponses".into(), Value::Object(responses));
            match result.get("requestState") {
                Some(state) => params.insert("requestState".into(), state.clone()),
                None => params.remove("requestState"),
            };
            let body = Value::Object(params.clone()).to_string();
            let recorded = self.app.record_stdio_departure(self.scope, self.server, self.approval, body).await;
            recorded.map_err(|error| McpError::Protocol(error.to_string()))?;
        }
        Err(McpError::Protocol(format!("it asked back {QUESTIONS} times in one call")))
    }

    /// Take what the server says of its own accord, for as long as the call runs.
    async fn hear(&self, said: &mut mpsc::Receiver<Incoming>, patience: &Arc<Patience>) -> Infallible {
        let mut answers: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        let (mut requests, mut shown) = (0_usize, None::<Instant>);
        loop {
            tokio::select! {
                message = said.recv() => match message {
                    Some(message) => match message.id.clone() {
                        Some(id) => {
                            requests += 1;
                            if requests > REQUESTS || answers.len() >= QUESTIONS {
                                self.connection.answer(&id, Err(failure(-32603, "too many requests in one call")));
                            } else {
                                answers.push(Box::pin(self.asked_for(id, message, patience)));
                            }
                        }
                        None if message.method == "notifications/progress" => {
                            patience.again();
                            // Each is masked before it is shown, which is dear where there is a flood of them.
                            if shown.is_none_or(|at| at.elapsed() >= SHOWN) {
                                shown = Some(Instant::now());
                                self.told(&message).await;
                            }
                        }
                        None => {}
                    },
                    // The connection is over, and the request that it carries tells why.
                    None => std::future::pending().await,
                },
                Some(()) = answers.next(), if !answers.is_empty() => {}
            }
        }
    }

    /// Show how far the call is.
    async fn told(&self, message: &Incoming) {
        let of = |key: &str| message.params.get(key).and_then(Value::as_f64);
        let mut text = format!("{} on {} runs", self.approval.tool, self.approval.server);
        match (of("progress"), of("total")) {
            (Some(done), Some(all)) if all > 0.0 => {
                text += &format!(", {:.0} %", (done / all * 100.0).clamp(0.0, 100.0))
            }
            _ => {}
        }
        if let Some(said) = message.params.get("message").and_then(Value::as_str) {
            let said: String = said.chars().filter(|c| !c.is_control()).take(PROGRESS).collect();
            if let Ok(masked) = self.app.mask_passing(self.scope, self.approval.incident_id, &said).await {
                text += &format!(": {}", masked.as_str());
            }
        }
        (self.status)(text);
    }

    async fn asked_for(&self, id: Value, message: Incoming, patience: &Arc<Patience>) {
        let mut answer = self.answer(&message.method, message.params, patience).await;
        let (Ok(said) | Err(said)) = &answer;
        let recorded = self.app.record_stdio_departure(self.scope, self.server, self.approval, said.to_string()).await;
        if let Err(error) = recorded {
            answer = Err(failure(-32603, &format!("it was not answered: {error}")));
        }
        if !self.connection.answer(&id, answer) {
            tracing::debug!("a server asked something and did not wait for the answer");
        }
    }

    /// What is answered to a question, or why it is not.
    async fn answer(&self, method: &str, params: Value, patience: &Arc<Patience>) -> Result<Value, Value> {
        if method == "roots/list" {
            return Ok(roots());
        }
        let asked = match Asked::read(method, &params) {
            None => return Err(failure(-32601, "not offered by this client")),
            Some(Err(problem)) => return Err(failure(-32602, &problem)),
            Some(Ok(asked)) => asked,
        };
        if self.asked.fetch_add(1, Ordering::Relaxed) >= QUESTIONS {
            return Err(failure(-32603, "too many questions in one call"));
        }
        // People take their time; whatever else a server asks is answered at once.
        let _pause = patience.pause();
        let answered = match self.of_person(&asked, &params).await {
            // A person has seen what the model will be asked, and allowed it.
            Ok((id, Some(_))) if matches!(asked, Asked::Sample(_)) => self.of_model(id, &asked).await,
            Ok((_, Some(answer))) => Ok(answer),
            Ok((_, None)) => return Err(failure(-1, "the person declined")),
            Err(error) => Err(error),
        };
        answered.map_err(|error| {
            tracing::debug!(code = error.code(), "a server's question was not answered");
            failure(-32603, "it could not be answered")
        })
    }

    /// Put a question before a person and wait for what they say; nothing where the model shall not be asked.
    async fn of_person(&self, asked: &Asked, params: &Value) -> Result<(QuestionId, Option<Value>), TriageError> {
        let (store, now) = (&self.app.0.store, clock::now_us());
        let question = Question {
            id: QuestionId::new(),
            incident_id: self.approval.incident_id,
            approval_id: self.approval.id,
            kind: asked.kind().into(),
            asked: params.to_string(),
            state: "pending".into(),
            answer: String::new(),
            decided_by: None,
            expires_us: now + i64::try_from(WAIT.as_micros()).unwrap_or(i64::MAX),
            created_us: now,
        };
        let id = question.id;
        let what = match asked {
            Asked::Sample(_) => "wants to ask the model something",
            _ => "asks you something",
        };
        let (tool, server) = (&self.approval.tool, &self.approval.server);
        let mut decided = self.app.0.decided.subscribe();
        store.put_question(self.scope, question, format!("{server} {what} while {tool} runs")).await?;
        (self.status)(format!("{server} {what}"));
        let patience = tokio::time::sleep(WAIT);
        tokio::pin!(patience);
        loop {
            let now = store.question(self.scope, id).await?;
            match now.state.as_str() {
                "pending" => {}
                "accepted" | "declined" | "cancelled" => {
                    (self.status)(format!("{tool} on {server} runs"));
                    let answer = serde_json::from_str(&now.answer).ok();
                    return Ok((id, answer.filter(|_| now.state == "accepted" || now.kind != "sample")));
                }
                _ => break,
            }
            tokio::select! {
                _ = decided.changed() => {}
                () = &mut patience => store.end_question(self.scope, id, "expired").await?,
                // The call is over with it, and closes what nobody has answered.
                () = self.cancel.cancelled() => {
                    return Err(TriageError::Conflict("The call was stopped before the question was answered.".into()));
                }
            }
        }
        Ok((id, (asked.kind() != "sample").then(|| elicited("cancel", None))))
    }

    /// Have the model answer a server.
    async fn of_model(&self, id: QuestionId, asked: &Asked) -> Result<Value, TriageError> {
        let Asked::Sample(sample) = asked else { return Err(TriageError::Internal("no request for the model".into())) };
        let (app, scope, incident) = (self.app, self.scope, self.approval.incident_id);
        app.within_budget(scope, incident).await?;
        let model = app.chain(scope, incident).await?.into_iter().next().ok_or_else(|| app.no_model())?;
        let purpose = Purpose {
            incident: Some(incident),
            kind: "model",
            destination: destination(&model),
            subject: format!("question:{id}"),
            instance: String::new(),
        };
        let call = app.call(scope, purpose, app.model_reach(&model)?, Some(self.cancel.clone()));
        let request = self.request(&model.model, sample).await?;
        let provider = app.provider(&model)?;
        let (answer, ended) = Whole::ask(&provider, &request, call, &model, SAMPLED, &self.cancel).await;
        let (input, output, cost) = answer.used;
        app.0.store.add_usage(scope, self.approval.turn_id, input, output, cost).await?;
        ended?;
        let masked = app.mask_one(scope, incident, Origin::Reply, &answer.text).await?;
        let reason = if answer.stop == "length" { "maxTokens" } else { "endTurn" };
        let content = json!({"type": "text", "text": masked.as_str()});
        let said = json!({"role": "assistant", "content": content, "model": model.model, "stopReason": reason});
        app.0.store.keep_answer(scope, id, said.to_string()).await?;
        Ok(said)
    }

    async fn request(&self, model: &str, sample: &Sample) -> Result<provider::Request, TriageError> {
        let mask = |text: &str| {
            let text = text.to_owned();
            async move { self.app.mask_one(self.scope, self.approval.incident_id, Origin::Raw, &text).await }
        };
        let message = provider::Message::plain;
        let mut messages = Vec::new();
        if !sample.system.is_empty() {
            messages.push(message("system", mask(&sample.system).await?));
        }
        for (assistant, text) in &sample.messages {
            messages.push(message(if *assistant { "assistant" } else { "user" }, mask(text).await?));
        }
        let tokens = u32::try_from(sample.max_tokens).unwrap_or(u32::MAX);
        Ok(provider::Request { model: model.to_owned(), messages, tools: Vec::new(), max_output_tokens: Some(tokens) })
    }
}

/// The protocol's error.
fn failure(code: i64, message: &str) -> Value {
    json!({"code": code, "message": message})
}

/// What stands in a question and what a person is shown of it: titles, descriptions and texts masked, choices numbered.
async fn masked(app: &App, scope: &Scope, incident: IncidentId, asked: Asked) -> Result<Asked, TriageError> {
    let mask = |texts: Vec<String>| async move {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let masked = app.mask(scope, incident, Origin::Raw, &texts).await?;
        Ok::<_, TriageError>(masked.into_iter().map(|text| text.as_str().to_owned()).collect::<Vec<_>>().into_iter())
    };
    Ok(match asked {
        Asked::Form { message, mut fields } => {
            let mut texts = vec![message];
            for field in &fields {
                texts.extend([field.title.clone(), field.description.clone()]);
                texts.extend(field.default.iter().cloned());
                if let FieldKind::Choice { choices, .. } = &field.kind {
                    texts.extend(choices.iter().map(|(_, title)| title.clone()));
                }
            }
            let mut texts = mask(texts).await?;
            let mut next = || texts.next().unwrap_or_default();
            let message = next();
            for field in &mut fields {
                (field.title, field.description) = (next(), next());
                // What would be masked is not offered as the answer.
                let shown: Vec<String> = field.default.iter().map(|_| next()).collect();
                match &mut field.kind {
                    FieldKind::Choice { choices, .. } => {
                        let number = |value: &String| choices.iter().position(|(known, _)| known == value);
                        field.default = field.default.iter().filter_map(number).map(|at| at.to_string()).collect();
                        for (at, choice) in choices.iter_mut().enumerate() {
                            *choice = (at.to_string(), next());
                        }
                    }
                    _ if shown != field.default => field.default.clear(),
                    _ => {}
                }
            }
            Asked::Form { message, fields }
        }
        Asked::Url { message, url } => {
            let mut texts = mask(vec![message, url]).await?;
            let mut next = || texts.next().unwrap_or_default();
            Asked::Url { message: next(), url: next() }
        }
        Asked::Sample(mut sample) => {
            let mut texts = vec![sample.system];
            texts.extend(sample.messages.iter().map(|(_, text)| text.clone()));
            let mut texts = mask(texts).await?;
            sample.system = texts.next().unwrap_or_default();
            for (_, text) in &mut sample.messages {
                *text = texts.next().unwrap_or_default();
            }
            Asked::Sample(sample)
        }
    })
}

fn method_of(kind: &str) -> &'static str {
    if kind == "sample" { "sampling/createMessage" } else { "elicitation/create" }
}

fn read(question: &Question) -> Option<Asked> {
    Asked::read(method_of(&question.kind), &serde_json::from_str(&question.asked).ok()?)?.ok()
}

impl App {
    /// What servers have asked in the calls of an incident, as a responder sees it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or what masking says.
    pub async fn questions(&self, scope: &Scope, incident: IncidentId) -> Result<Vec<ShownQuestion>, TriageError> {
        self.incident(scope, incident).await?;
        let mut shown = Vec::new();
        for mut question in self.0.store.questions(scope, incident).await? {
            if question.state == "pending" && question.expires_us <= clock::now_us() {
                question.state = "expired".into();
            }
            let asked = match read(&question) {
                Some(raw) => Some(masked(self, scope, incident, raw).await?),
                None => None,
            };
            shown.push(ShownQuestion { question, asked });
        }
        Ok(shown)
    }

    /// The address that a server wants a person to open, as it is: for the browser of whoever opens it, and for no page.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` where the question does not wait for somebody to open one.
    pub async fn question_address(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: QuestionId,
    ) -> Result<String, TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        let question = self.0.store.question(scope, id).await?;
        let waits = question.state == "pending" && question.expires_us > clock::now_us();
        match read(&question) {
            Some(Asked::Url { url, .. }) if waits && question.incident_id == incident => Ok(url),
            _ => Err(TriageError::NotFound { what: "question with an address" }),
        }
    }

    /// Answer what a server asked, once.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`; `Invalid` names the field and what is wrong with it.
    pub async fn answer_question(
        &self,
        scope: &Scope,
        incident: IncidentId,
        id: QuestionId,
        reply: Reply,
    ) -> Result<(), TriageError> {
        self.require(scope, Permission::ApproveTools)?;
        let question = self.0.store.question(scope, id).await?;
        if question.incident_id != incident {
            return Err(TriageError::NotFound { what: "question" });
        }
        let (state, answer) = match reply {
            Reply::Accept(given) => ("accepted", self.accepted(scope, &question, &given).await?),
            Reply::Decline => ("declined", elicited("decline", None)),
            Reply::Dismiss => ("cancelled", elicited("cancel", None)),
        };
        self.0.store.decide_question(scope, id, state, answer.to_string()).await?;
        self.0.decided.send_modify(|count| *count += 1);
        Ok(())
    }

    /// What a server is told where a person accepts.
    async fn accepted(&self, scope: &Scope, question: &Question, given: &[Vec<String>]) -> Result<Value, TriageError> {
        let asked = read(question).ok_or(TriageError::NotFound { what: "question" })?;
        let Asked::Form { fields, .. } = asked else { return Ok(elicited("accept", None)) };
        let mut content = Map::new();
        for (field, given) in fields.iter().zip(given.iter().map(Some).chain(std::iter::repeat(None))) {
            let given = given.cloned().unwrap_or_default();
            let chosen = match &field.kind {
                FieldKind::Choice { choices, .. } => given
                    .iter()
                    .filter(|text| !text.is_empty())
                    .map(|text| text.parse().ok().and_then(|at: usize| choices.get(at)).map(|(value, _)| value.clone()))
                    .map(|value| value.unwrap_or_default())
                    .collect(),
                _ => given,
            };
            let wrong = |problem: String| TriageError::invalid("answer", format!("{}: {problem}", field.title));
            let Some(value) = field.answer(&chosen).map_err(wrong)? else { continue };
            let masked = self.mask_json(scope, question.incident_id, Origin::Raw, &value).await?.to_value();
            if masked != value && !matches!(&field.kind, FieldKind::Text { format, .. } if format.is_empty()) {
                return Err(wrong(format!(
                    "what would be sent is {masked}, because it is masked before it leaves, and the server does not take \
                     that here. Leave it out, or decline."
                )));
            }
            content.insert(field.key.clone(), masked);
        }
        Ok(elicited("accept", Some(content)))
    }
}
