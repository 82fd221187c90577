//! Recorded calls of tools, made again: whether a server still answers as it did, or whether another one does.
//!
//! Invariant: what holds for a call through the gateway holds here. The tool is as a person has seen it and not denied, the
//! call is on record before it is made, what comes back is masked. What was sent goes out as it went out before, and only
//! where today's rules would not mask more of it. A tool that may change something is called where that was asked for, and
//! nobody is asked twice: the operator's command is the decision.

mod compare;
mod line;
mod pick;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_mcp::gateway::{MODERN, rpc};
use fumehood_mcp::{Ask, Difference, McpError, Patience};
use fumehood_policy::Permission;
use fumehood_redact::{Kind, Lookalikes};
use fumehood_store::Scope;
use fumehood_store::calls::{CallEnd, CallRow, NewCall};
use fumehood_store::outside::McpServer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::compare::Verdict;
use self::compare::{Brought, Comparison, Ignored, labels_in};
use self::line::Line;
use self::pick::Recorded;
use super::masking::{Books, Way};
use super::recorder::micros;
use super::{MESSAGE, kept, translate};
use crate::{App, TriageError};

/// Who makes the calls, on the record.
const CLIENT: &str = "fumehood-replay";
/// One call, where nothing else is asked for, and at most.
const PATIENCE_S: u64 = 120;
const PATIENCE_AT_MOST_S: u64 = 3_600;
/// What of a result is the protocol's own, and no text.
const PASSED: [&str; 3] = ["_meta", "isError", "resultType"];

/// Which calls, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ReplayRequest {
    /// The server that was called.
    pub server: String,
    /// The one to call now; empty for the same.
    pub against: String,
    pub tool: String,
    pub status: String,
    pub session: String,
    pub client: String,
    pub since_us: i64,
    /// These and no others, by their ids.
    pub calls: Vec<String>,
    /// So many, the newest.
    pub limit: usize,
    /// Tools, too, that are not known to change nothing.
    pub writes: bool,
    /// What is not compared: JSON pointers and names of fields.
    pub ignore: Vec<String>,
    /// For one call, seconds; 0 for the usual.
    pub timeout_s: u64,
}

/// What goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ReplayEvent {
    /// So many calls are made now; `more` where there are others that the limit leaves out.
    Picked { calls: usize, more: bool },
    /// One begins, counted from 1.
    Begun { number: usize, tool: String },
    /// One has ended.
    Call(Box<ReplayedCall>),
}

/// A call that was made again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayedCall {
    /// The one on record.
    pub call: String,
    pub time_us: i64,
    /// The new one.
    pub replay: String,
    pub tool: String,
    pub verdict: Verdict,
    pub status_then: String,
    pub status_now: String,
    /// The server with its transport, microseconds.
    pub then_us: Option<i64>,
    pub now_us: u64,
    /// What the one that failed said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// With what is on record under `old`.
    pub differences: Vec<Difference>,
    /// Differences that are not told.
    pub more: usize,
}

/// Calls that were not made again, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub why: String,
    pub calls: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReplaySummary {
    pub server: String,
    pub against: String,
    /// The session of all of them on the record; empty where no call was made.
    pub session: String,
    pub calls: usize,
    pub same: usize,
    pub differs: usize,
    pub failed: usize,
    pub mended: usize,
    /// Of calls whose times are known then and now, microseconds.
    pub p50_then_us: u64,
    pub p50_now_us: u64,
    /// Those that occur most first.
    pub left_out: Vec<LeftOut>,
    /// Why not all of them were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

impl App {
    /// Make recorded calls again and compare what they bring. Ends early, and in order, with `stop`. `say` may be closed.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, and where the server cannot be reached or nothing can be put on record.
    pub async fn replay(
        &self,
        scope: &Scope,
        request: ReplayRequest,
        stop: CancellationToken,
        say: mpsc::Sender<ReplayEvent>,
    ) -> Result<ReplaySummary, TriageError> {
        for permission in [Permission::ManageServers, Permission::CallTools, Permission::ReadPluginLogs] {
            self.require(scope, permission)?;
        }
        let ignored = request.ignore.iter().map(|text| {
            let what =
                "What is not to be compared is named by a JSON pointer, which begins with /, or by a field's name.";
            Ignored::parse(text).ok_or_else(|| TriageError::invalid("ignore", what))
        });
        let ignored = ignored.collect::<Result<Vec<_>, _>>()?;
        let (from, target) = self.replay_servers(scope, &request).await?;
        let mut kinds = Lookalikes::new();
        let detection = self.detection(scope, None).await.map_err(TriageError::Conflict)?;
        for kind in self.0.plugins.kinds().iter().chain(detection.kinds()) {
            kinds.know(&Kind::new(&kind.name));
        }
        let session = uuid::Uuid::new_v4().simple().to_string();
        let mut replay = Replay {
            app: self,
            scope,
            request,
            from,
            target,
            kinds,
            ignored,
            session,
            left_out: BTreeMap::new(),
            done: Vec::new(),
        };
        let (rows, more) = replay.pick().await?;
        let _ = say.send(ReplayEvent::Picked { calls: rows.len(), more }).await;
        let stopped = replay.run(rows, &stop, &say).await?;
        Ok(replay.summary(stopped))
    }

    /// The name of the server that was called, and the server that is called now.
    async fn replay_servers(&self, scope: &Scope, request: &ReplayRequest) -> Result<(String, McpServer), TriageError> {
        let servers = self.0.store.servers(scope).await?;
        let named = |name: &str| servers.iter().find(|server| server.slug == name || server.name == name);
        // One that is not registered any more has its record still.
        let from = named(&request.server).map_or_else(|| request.server.clone(), |server| server.slug.clone());
        let name = if request.against.is_empty() { &request.server } else { &request.against };
        let target = named(name).cloned().ok_or_else(|| {
            let mut names: Vec<&str> = servers.iter().map(|server| server.slug.as_str()).collect();
            names.sort_unstable();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            TriageError::invalid("server", format!("There is no MCP server called {name}. Registered: {there}."))
        })?;
        if !target.enabled {
            return Err(TriageError::Conflict(format!("{} is switched off. Switch it on, on its page.", target.name)));
        }
        if target.auth_kind == "oauth-each" {
            let what = format!(
                "At {} each person signs in, and this command is nobody. With one sign-in for everybody its calls can be \
                 made again.",
                target.name
            );
            return Err(TriageError::Conflict(what));
        }
        Ok((from, target))
    }
}

/// Calls on their way.
struct Replay<'a> {
    app: &'a App,
    scope: &'a Scope,
    request: ReplayRequest,
    /// The name of the server that was called.
    from: String,
    target: McpServer,
    /// What reads as a pseudonym.
    kinds: Lookalikes,
    ignored: Vec<Ignored>,
    session: String,
    left_out: BTreeMap<String, usize>,
    /// How each was, and its times.
    done: Vec<(Verdict, Option<i64>, u64)>,
}

/// What became of one call.
enum Became {
    Call(Box<ReplayedCall>),
    LeftOut(String),
    /// Nobody waits for it any longer.
    Stopped,
}

const STOPPED: &str = "It was stopped.";

impl Replay<'_> {
    fn leave_out(&mut self, why: impl Into<String>) {
        *self.left_out.entry(why.into()).or_default() += 1;
    }

    /// Make the calls; says why it has ended before the last.
    async fn run(
        &mut self,
        rows: Vec<CallRow>,
        stop: &CancellationToken,
        say: &mpsc::Sender<ReplayEvent>,
    ) -> Result<Option<String>, TriageError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let mut line = tokio::select! {
            opened = self.open() => opened?,
            () = stop.cancelled() => return Ok(Some(STOPPED.into())),
        };
        let ended = self.run_on(&mut line, rows, stop, say).await;
        line.close().await;
        if let Err(error) = self.app.0.store.end_mcp_session(self.scope, self.session.clone()).await {
            tracing::warn!(%error, "the end of a replay could not be put on record");
        }
        ended
    }

    async fn run_on(
        &mut self,
        line: &mut Line,
        rows: Vec<CallRow>,
        stop: &CancellationToken,
        say: &mpsc::Sender<ReplayEvent>,
    ) -> Result<Option<String>, TriageError> {
        for (at, row) in rows.into_iter().enumerate() {
            if stop.is_cancelled() {
                return Ok(Some(STOPPED.into()));
            }
            // Changed, switched off or removed meanwhile.
            let now = self.app.0.store.server(self.scope, self.target.id).await;
            if !now.is_ok_and(|now| now.enabled && now.is_reached_alike(&self.target)) {
                return Ok(Some(format!("{} was changed or switched off meanwhile.", self.target.name)));
            }
            if !line.is_alive() {
                line.close().await;
                // A server that broke down over one call may answer the others.
                *line = match self.open().await {
                    Ok(opened) => opened,
                    Err(error) => return Ok(Some(error.to_string())),
                };
            }
            if line.has_changed() {
                self.look(line).await?;
            }
            let _ = say.send(ReplayEvent::Begun { number: at + 1, tool: row.subject.clone() }).await;
            match self.again(line, &row, stop).await? {
                Became::Call(call) => {
                    self.done.push((call.verdict, call.then_us, call.now_us));
                    let _ = say.send(ReplayEvent::Call(call)).await;
                }
                Became::LeftOut(why) => self.leave_out(why),
                Became::Stopped => return Ok(Some(STOPPED.into())),
            }
        }
        Ok(None)
    }

    /// One call.
    async fn again(&self, line: &Line, row: &CallRow, stop: &CancellationToken) -> Result<Became, TriageError> {
        let began = Instant::now();
        // As the tool is at this moment: opening the connection may have found that it has changed.
        let rule = match self.rule(&row.subject).await? {
            Ok(rule) => rule,
            Err(why) => return Ok(Became::LeftOut(why)),
        };
        let recorded = match self.recorded(&row.id).await? {
            Ok((_, recorded)) => recorded,
            Err(why) => return Ok(Became::LeftOut(why.into())),
        };
        let mut end = CallEnd {
            id: uuid::Uuid::now_v7().to_string(),
            session: Some(self.session.clone()),
            policy_us: micros(began),
            ..CallEnd::default()
        };
        let scanning = Instant::now();
        let books = self.books(&recorded);
        if !self.may_leave(&books, &recorded.arguments).await? {
            return Ok(Became::LeftOut("today's rules would mask more of what was sent".into()));
        }
        end.scan_us = micros(scanning);
        let mut params = Map::from_iter([("name".to_owned(), Value::from(row.subject.as_str()))]);
        if let Some(arguments) = &recorded.arguments {
            params.insert("arguments".into(), arguments.clone());
        }
        let writing = Instant::now();
        self.begin(line, row, rule, &end.id, &params).await?;
        end.audit_us = micros(writing);
        let asking = Instant::now();
        let answer = self.ask(line, params, stop).await;
        end.upstream_us = micros(asking);
        let given_up = stop.is_cancelled() && matches!(answer, Err(McpError::Cancelled));
        let scanning = Instant::now();
        let mut new = self.masked(&books, row, answer, &mut end).await;
        end.scan_us += micros(scanning);
        end.latency_us = micros(began);
        let (id, now_us, status_now) = (end.id.clone(), end.upstream_us, end.status);
        self.app.0.store.end_calls(&self.scope.tenant, Arc::new(vec![(None, end)])).await?;
        if given_up {
            return Ok(Became::Stopped);
        }
        let mut old = recorded.brought;
        if let Brought::Answer(value) = &mut old {
            // What was masked by the rules of then is compared as it would be by those of now.
            self.mask_result(&books, value).await?;
            let scheme = translate::scheme_of(&self.from);
            if let Brought::Answer(new) = &mut new
                && is_apart(value, &scheme)
            {
                translate::prefix_uris(new, &scheme);
            }
        }
        let sent = recorded.arguments.unwrap_or_default();
        let comparison = Comparison { kinds: &self.kinds, ignored: &self.ignored, sent: &sent };
        let (verdict, differences, more) = comparison.compare(&old, &new);
        let problem = match verdict {
            Verdict::Failed => new.problem(),
            Verdict::Mended => old.problem(),
            Verdict::Same | Verdict::Differs => None,
        };
        Ok(Became::Call(Box::new(ReplayedCall {
            call: row.id.clone(),
            time_us: row.time_us,
            replay: id,
            tool: row.subject.clone(),
            verdict,
            status_then: row.status.clone(),
            status_now: status_now.to_owned(),
            then_us: row.upstream_us,
            now_us,
            message: problem.unwrap_or_default().chars().take(MESSAGE).collect(),
            differences,
            more,
        })))
    }

    /// A book that has given the pseudonyms of a call already.
    fn books(&self, recorded: &Recorded) -> Books {
        let mut labels = labels_in(&self.kinds, recorded.arguments.as_ref().unwrap_or(&Value::Null));
        match &recorded.brought {
            Brought::Answer(value) => labels.extend(labels_in(&self.kinds, value)),
            Brought::Error { message, .. } => labels.extend(labels_in(&self.kinds, &message.as_str().into())),
        }
        Books::reserving(self.scope.actor.to_string(), labels)
    }

    /// Whether the rules of now leave what was sent as it is.
    async fn may_leave(&self, books: &Books, arguments: &Option<Value>) -> Result<bool, TriageError> {
        let Some(arguments) = arguments else { return Ok(true) };
        let asked = Value::Object(Map::from_iter([("arguments".to_owned(), arguments.clone())]));
        let mut masked = asked.clone();
        books.mask(self.app, self.scope, Way::ToServer, &mut masked).await?;
        Ok(masked == asked)
    }

    /// Put the call on record; only then may it be made.
    async fn begin(
        &self,
        line: &Line,
        row: &CallRow,
        rule: String,
        id: &str,
        params: &Map<String, Value>,
    ) -> Result<(), TriageError> {
        let sent = serde_json::to_vec(params).unwrap_or_default();
        let call = NewCall {
            id: id.to_owned(),
            caller: self.scope.actor.to_string(),
            session: Some(self.session.clone()),
            client: CLIENT.into(),
            client_version: env!("CARGO_PKG_VERSION").into(),
            platform: "fumehood".into(),
            protocol: line.protocol(),
            server: self.target.slug.clone(),
            method: "tools/call".into(),
            subject: row.subject.clone(),
            bytes_in: sent.len() as u64,
            sent,
            passed_by: None,
        };
        Ok(self.app.0.store.begin_replay(self.scope, call, row.id.clone(), rule).await?)
    }

    /// Ask the server; once more where its token was refused and there is a new one.
    async fn ask(&self, line: &Line, params: Map<String, Value>, stop: &CancellationToken) -> Result<Value, McpError> {
        let seconds = match self.request.timeout_s {
            0 => PATIENCE_S,
            seconds => seconds.min(PATIENCE_AT_MOST_S),
        };
        let ask = || Ask {
            method: "tools/call".into(),
            params: params.clone(),
            patience: Some(Patience::of(Duration::from_secs(seconds))),
            ..Ask::default()
        };
        let connection = &line.connection;
        let answer = connection.pass(ask(), stop.cancelled()).await;
        if matches!(answer, Err(McpError::Auth(_)))
            && self.target.signs_in()
            && let Some(said) = connection.challenge()
            && self.app.token_refused(self.scope, &self.target, &said).await
        {
            return connection.pass(ask(), stop.cancelled()).await;
        }
        answer
    }

    /// What a call brought, masked, and its end for the record.
    async fn masked(
        &self,
        books: &Books,
        row: &CallRow,
        answer: Result<Value, McpError>,
        end: &mut CallEnd,
    ) -> Brought {
        let brought = match answer {
            Ok(mut result) => match self.mask_result(books, &mut result).await {
                Ok(()) => Brought::Answer(result),
                Err(error) => Brought::Error {
                    code: Some(rpc::INTERNAL),
                    message: format!("what was answered could not be masked: {error}"),
                },
            },
            Err(error) => self.masked_error(books, row, error).await,
        };
        match &brought {
            Brought::Answer(result) => {
                let text = result.to_string();
                end.status = if brought.problem().is_some() { "error" } else { "ok" };
                if end.status == "error" {
                    end.message = "the tool reported an error".into();
                }
                end.bytes_out = text.len() as u64;
                end.received = kept(text.as_bytes());
            }
            Brought::Error { code, message } => {
                end.status = if code.is_none() { "timeout" } else { "error" };
                end.code = Some(code.unwrap_or(rpc::INTERNAL));
                end.message.clone_from(message);
                end.bytes_out = message.len() as u64;
            }
        }
        brought
    }

    /// What went wrong, as it stands on record for calls through the gateway.
    async fn masked_error(&self, books: &Books, row: &CallRow, error: McpError) -> Brought {
        let (code, message) = match error {
            McpError::Tool { code: rpc::RESOURCE_NOT_FOUND, message, .. } if row.protocol == MODERN => {
                (Some(rpc::INVALID_PARAMS), message)
            }
            McpError::Tool { code, message, .. } => (Some(code), message),
            McpError::TimedOut { .. } => (None, pick::NO_ANSWER.to_owned()),
            error => (Some(rpc::INTERNAL), error.to_string()),
        };
        let message = self.app.without_credentials(self.scope, message).await;
        let mut said = Value::Object(Map::from_iter([("message".to_owned(), Value::from(message))]));
        let masked = books.mask(self.app, self.scope, Way::ToCaller, &mut said).await;
        let message = match (masked, said.get("message").and_then(Value::as_str)) {
            (Ok(()), Some(message)) => message.chars().take(MESSAGE).collect(),
            _ => "it failed, and what was said about it could not be masked".to_owned(),
        };
        Brought::Error { code, message }
    }

    async fn mask_result(&self, books: &Books, result: &mut Value) -> Result<(), TriageError> {
        let mut passed = Map::new();
        if let Value::Object(fields) = result {
            passed.extend(PASSED.iter().filter_map(|name| fields.remove_entry(*name)));
        }
        books.mask(self.app, self.scope, Way::ToCaller, result).await?;
        if let Value::Object(fields) = result {
            fields.extend(passed);
        }
        Ok(())
    }

    fn summary(self, stopped: Option<String>) -> ReplaySummary {
        let count = |wanted: Verdict| self.done.iter().filter(|(verdict, ..)| *verdict == wanted).count();
        let times = self.done.iter().filter_map(|(_, then, now)| Some((u64::try_from((*then)?).ok()?, *now)));
        let (then, now): (Vec<u64>, Vec<u64>) = times.unzip();
        let mut left_out: Vec<LeftOut> =
            self.left_out.iter().map(|(why, calls)| LeftOut { why: why.clone(), calls: *calls }).collect();
        left_out.sort_by_key(|one| std::cmp::Reverse(one.calls));
        ReplaySummary {
            calls: self.done.len(),
            same: count(Verdict::Same),
            differs: count(Verdict::Differs),
            failed: count(Verdict::Failed),
            mended: count(Verdict::Mended),
            p50_then_us: middle(then),
            p50_now_us: middle(now),
            session: if self.done.is_empty() { String::new() } else { self.session },
            server: self.from,
            against: self.target.slug,
            left_out,
            stopped,
        }
    }
}

/// The smallest value that half of all are at most; 0 for none.
fn middle(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or_default()
}

/// Whether a result came by way of all servers together, where the URIs of each have a scheme of their own.
fn is_apart(result: &Value, scheme: &str) -> bool {
    let parts = || result.get("content").and_then(Value::as_array).into_iter().flatten();
    let uri = |part: &Value| {
        let uri = part.get("uri").or_else(|| part.pointer("/resource/uri"));
        uri.and_then(Value::as_str).map(|uri| uri.strip_prefix(scheme).is_some_and(|rest| rest.starts_with('+')))
    };
    parts().filter_map(uri).next().is_some() && parts().filter_map(uri).all(|apart| apart)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_middle_is_a_value_that_was_measured() {
        assert_eq!(middle(vec![]), 0);
        assert_eq!(middle(vec![7]), 7);
        assert_eq!(middle(vec![3, 1, 2]), 2);
        assert_eq!(middle(vec![4, 3, 1, 2]), 2);
    }

    #[test]
    fn a_result_of_all_servers_together_is_known_by_its_uris() {
        let link =
            |uri: &str| json!({"content": [{"type": "text", "text": "x"}, {"type": "resource_link", "uri": uri}]});
        let embedded = json!({"content": [{"type": "resource", "resource": {"uri": "time+file:///a", "text": ""}}]});
        assert!(is_apart(&link("time+file:///a"), "time") && is_apart(&embedded, "time"));
        assert!(!is_apart(&link("file:///a"), "time") && !is_apart(&link("timely+a:b"), "time"));
        assert!(!is_apart(&json!({"content": [{"type": "text", "text": "time+a"}]}), "time"));
    }
}
