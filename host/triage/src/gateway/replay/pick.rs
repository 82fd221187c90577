//! Which recorded calls can be made again, and what is known of them.

use fumehood_store::calls::{CallFilter, CallRow, KEPT};
use serde_json::{Map, Value};

use super::{Brought, Replay};
use crate::TriageError;

/// Rows that are looked at, at most, and at once.
const LOOKED_AT: usize = 10_000;
const AT_ONCE: usize = 200;
/// Calls that are made again, at most.
const CALLS: usize = 10_000;
/// What a call that ran out of time has brought, whatever the time was.
pub(super) const NO_ANSWER: &str = "there was no answer in time";

/// What is on record of a call.
pub(super) struct Recorded {
    /// As they were sent.
    pub(super) arguments: Option<Value>,
    pub(super) brought: Brought,
}

impl Replay<'_> {
    /// The calls to make, in the order in which they were made; and whether there are others that the limit leaves out.
    pub(super) async fn pick(&mut self) -> Result<(Vec<CallRow>, bool), TriageError> {
        let mut rows = Vec::new();
        if !self.request.calls.is_empty() {
            for id in self.request.calls.clone() {
                let row = self.named(&id).await?;
                if self.can_be_made(&row).await? && !rows.iter().any(|known: &CallRow| known.id == row.id) {
                    rows.push(row);
                }
            }
            rows.sort_by_key(|row| row.number);
            return Ok((rows, false));
        }
        let limit = self.request.limit.clamp(1, CALLS);
        let mut filter = CallFilter {
            server: self.from.clone(),
            subject: self.request.tool.clone(),
            method: "tools/call".into(),
            status: self.request.status.clone(),
            session: self.request.session.clone(),
            client: self.request.client.clone(),
            since_us: self.request.since_us,
            limit: AT_ONCE,
            ..CallFilter::default()
        };
        let mut looked_at = 0;
        // The newest first, until there are enough of them.
        while looked_at < LOOKED_AT {
            let page = self.app.0.store.mcp_calls(self.scope, filter.clone()).await?;
            let Some(last) = page.last() else { break };
            filter.before = Some(last.number);
            looked_at += page.len();
            for row in page {
                // What this command has called itself is no record of what clients ask.
                if row.replay_of.is_none() && self.can_be_made(&row).await? {
                    if rows.len() == limit {
                        rows.reverse();
                        return Ok((rows, true));
                    }
                    rows.push(row);
                }
            }
        }
        rows.reverse();
        Ok((rows, looked_at >= LOOKED_AT))
    }

    /// A call by its id.
    async fn named(&self, id: &str) -> Result<CallRow, TriageError> {
        let (row, ..) = self.app.0.store.mcp_call_bodies(self.scope, id.to_owned()).await?;
        if row.method != "tools/call" || row.server != self.from {
            let what = format!("{id} is no call of a tool of {}, but {} of {}.", self.from, row.method, row.server);
            return Err(TriageError::invalid("call", what));
        }
        Ok(row)
    }

    /// Whether a call can be made; why not is noted.
    async fn can_be_made(&mut self, row: &CallRow) -> Result<bool, TriageError> {
        let why = match self.rule(&row.subject).await? {
            Err(why) => why,
            Ok(_) => match self.recorded(&row.id).await? {
                Ok(_) => return Ok(true),
                Err(why) => why.to_owned(),
            },
        };
        self.leave_out(why);
        Ok(false)
    }

    /// The rule under which a tool may be called now, or why it may not.
    pub(super) async fn rule(&self, tool: &str) -> Result<Result<String, String>, TriageError> {
        let served = self.app.served(self.scope).await?;
        let only = Some(self.target.slug.as_str());
        let Some((_, found)) = served.find(only, tool) else { return Ok(Err(served.why_not(only, tool))) };
        let read_only = found.raw.pointer("/annotations/readOnlyHint").and_then(Value::as_bool) == Some(true);
        if !read_only && !self.request.writes {
            return Ok(Err(format!("{tool} is not known to be read-only; --writes calls it all the same")));
        }
        Ok(Ok(found.rule.clone()))
    }

    /// What is on record of a call, or why that is not enough.
    pub(super) async fn recorded(&self, id: &str) -> Result<Result<(CallRow, Recorded), &'static str>, TriageError> {
        let (row, sent, received) = self.app.0.store.mcp_call_bodies(self.scope, id.to_owned()).await?;
        Ok(read(&row, sent.as_deref(), received.as_deref()).map(|recorded| (row, recorded)))
    }
}

fn read(row: &CallRow, sent: Option<&[u8]>, received: Option<&[u8]>) -> Result<Recorded, &'static str> {
    const GONE: &str = "what was said is not kept any longer";
    const CUT: &str = "more was said than the 1 MiB that is kept";
    const UNREADABLE: &str = "what is kept of it cannot be read";
    const ASKED: &str = "its client was asked something on the way, or it went on as a task";
    let whole = |body: &[u8]| -> Result<Map<String, Value>, &'static str> {
        serde_json::from_slice(body).map_err(|_| if body.len() >= KEPT { CUT } else { UNREADABLE })
    };
    if matches!(row.status.as_str(), "open" | "unknown") {
        return Err("it has no answer on record");
    }
    let mut sent = match sent {
        None => return Err(GONE),
        Some([]) => return Err("it was refused before it was sent"),
        Some(sent) => whole(sent)?,
    };
    if sent.contains_key("requestState") || sent.contains_key("inputResponses") || sent.contains_key("task") {
        return Err(ASKED);
    }
    let brought = match received {
        _ if row.status == "timeout" => Brought::Error { code: None, message: NO_ANSWER.into() },
        None => return Err(GONE),
        Some([]) if row.status == "ok" => return Err(UNREADABLE),
        Some([]) => Brought::Error { code: row.code, message: row.message.clone() },
        Some(received) => {
            let result = whole(received)?;
            if result.get("resultType").and_then(Value::as_str).is_some_and(|kind| kind != "complete") {
                return Err(ASKED);
            }
            Brought::Answer(Value::Object(result))
        }
    };
    Ok(Recorded { arguments: sent.remove("arguments"), brought })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(status: &str) -> CallRow {
        let fields = json!({"number": 1, "id": "a", "time_us": 1, "tenant": "", "caller": "", "session": null, "client": "",
            "client_version": "", "platform": "", "protocol": "", "server": "", "method": "tools/call", "subject": "echo",
            "latency_us": 1, "policy_us": 1, "scan_us": 1, "audit_us": 1, "upstream_us": 1, "status": status,
            "code": -32000, "message": "no", "bytes_in": 1, "bytes_out": 1});
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn what_is_on_record_is_enough_or_it_is_said_why_not() {
        let of = |status: &str, sent: Option<&str>, received: Option<&str>| {
            let read = read(&row(status), sent.map(str::as_bytes), received.map(str::as_bytes));
            read.map(|recorded| (recorded.arguments, recorded.brought))
        };
        let (sent, answer) = (r#"{"name":"echo","arguments":{"a":1},"_meta":{}}"#, r#"{"content":[]}"#);
        let good = of("ok", Some(sent), Some(answer)).unwrap();
        assert_eq!(good, (Some(json!({"a": 1})), Brought::Answer(json!({"content": []}))));
        assert_eq!(of("ok", Some(r#"{"name":"echo"}"#), Some(answer)).unwrap().0, None);
        let refused = Brought::Error { code: Some(-32000), message: "no".into() };
        assert_eq!(of("error", Some(sent), Some("")).unwrap().1, refused);
        let late = Brought::Error { code: None, message: NO_ANSWER.into() };
        assert_eq!(of("timeout", Some(sent), Some("")).unwrap().1, late);

        let long = format!("{{\"arguments\":{{\"a\":\"{}", "x".repeat(KEPT));
        let cases = [
            (of("ok", None, None), "not kept any longer"),
            (of("ok", Some(sent), None), "not kept any longer"),
            (of("error", Some(""), Some("")), "refused before"),
            (of("unknown", Some(sent), None), "no answer"),
            (of("open", Some(sent), None), "no answer"),
            (of("ok", Some(&long[..KEPT]), Some(answer)), "1 MiB"),
            (of("ok", Some(sent), Some(&long[..KEPT])), "1 MiB"),
            (of("ok", Some(sent), Some("{")), "cannot be read"),
            (of("ok", Some(r#"{"requestState":"x"}"#), Some(answer)), "was asked"),
            (of("ok", Some(sent), Some(r#"{"resultType":"input_required"}"#)), "was asked"),
        ];
        for (read, why) in cases {
            assert!(read.as_ref().is_err_and(|said| said.contains(why)), "{why}: {read:?}");
        }
    }
}
