//! `fumehood mcp …`: the record of the gateway, as a table, as JSON or as a live tail.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fumehood_store::calls::SessionFilter;
use fumehood_store::clock;
use fumehood_triage::gateway::{CallFilter, CallRow, CallStats, Grouping, SessionRow};
use fumehood_triage::{App, Scope, TriageError};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::{By, CallFilters, McpCommand};
use crate::control::{McpRequest, Request};
use crate::settings::Settings;

/// How often a live tail looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long a live tail waits for the end of a request, microseconds.
const OPEN_US: i64 = 10_000_000;

pub fn run(settings: &Settings, command: McpCommand) -> anyhow::Result<ExitCode> {
    match command {
        McpCommand::Logs { filters, limit, follow, json } => {
            let request = query("logs", &filters, limit)?;
            let rows: Vec<CallRow> = ask(settings, &request)?;
            if !json {
                line(&HEAD.join(""))?;
            }
            // The newest at the end, where people look for it.
            rows.iter().rev().try_for_each(|row| show(row, json))?;
            if follow {
                let after = rows.iter().map(|row| row.number).max().unwrap_or(0);
                tail(settings, &request, after, json)?;
            }
        }
        McpCommand::Slow { filters, limit, over_ms, json } => {
            let request =
                McpRequest { over_us: over_ms.saturating_mul(1_000).max(1), ..query("logs", &filters, limit)? };
            let rows: Vec<CallRow> = ask(settings, &request)?;
            if !json {
                line(&HEAD.join(""))?;
            }
            rows.iter().try_for_each(|row| show(row, json))?;
        }
        McpCommand::Stats { filters, by, json } => {
            let request = McpRequest { by: by_name(by).into(), ..query("stats", &filters, 0)? };
            let stats: Vec<CallStats> = ask(settings, &request)?;
            stats_table(&stats, by_name(by), json)?;
        }
        McpCommand::Clients { filters, json } => {
            let request = McpRequest { by: "client".into(), ..query("stats", &filters, 0)? };
            let stats: Vec<CallStats> = ask(settings, &request)?;
            stats_table(&stats, "client", json)?;
        }
        McpCommand::Sessions { since, limit, json } => {
            let request =
                McpRequest { what: "sessions".into(), since_us: since_us(&since)?, limit, ..McpRequest::default() };
            let sessions: Vec<SessionRow> = ask(settings, &request)?;
            if json {
                return print_json(&sessions);
            }
            line(&format!(
                "{:<20} {:<32} {:<28} {:<11} {:>7} {:>7} {:>10} {:>10}  STATE",
                "LAST", "SESSION", "CLIENT", "PROTOCOL", "CALLS", "ERRORS", "IN", "OUT"
            ))?;
            for one in sessions {
                let client = plain(&format!("{} {} ({})", one.client, one.client_version, one.platform));
                let state = if one.ended_us.is_some() { "ended" } else { "open" };
                line(&format!(
                    "{:<20} {:<32} {:<28} {:<11} {:>7} {:>7} {:>10} {:>10}  {state}",
                    when(one.last_us),
                    one.id,
                    client,
                    one.protocol,
                    one.calls,
                    one.errors,
                    one.bytes_in,
                    one.bytes_out
                ))?;
            }
        }
        McpCommand::Schema { server, tool, since, limit, json } => {
            let request = McpRequest {
                what: "schema".into(),
                server: server.unwrap_or_default(),
                tool: tool.unwrap_or_default(),
                since_us: since_us(&since)?,
                limit,
                ..McpRequest::default()
            };
            let changes: Vec<Value> = ask(settings, &request)?;
            if json {
                return print_json(&changes);
            }
            for change in &changes {
                let text = |key: &str| plain(change.get(key).and_then(Value::as_str).unwrap_or_default());
                let at = change.get("time_us").and_then(Value::as_i64).unwrap_or_default();
                line(&format!(
                    "{} {} {}: {} ({})",
                    when(at),
                    text("server"),
                    text("tool"),
                    text("change"),
                    text("actor")
                ))?;
                for one in change.get("differences").and_then(Value::as_array).into_iter().flatten() {
                    let side = |key: &str| {
                        one.get(key).filter(|value| !value.is_null()).map(|value| plain(&value.to_string()))
                    };
                    let pointer = plain(one.get("pointer").and_then(Value::as_str).unwrap_or_default());
                    line(&format!("    {pointer}"))?;
                    if let Some(old) = side("old") {
                        line(&format!("      - {old}"))?;
                    }
                    if let Some(new) = side("new") {
                        line(&format!("      + {new}"))?;
                    }
                }
            }
        }
        McpCommand::Replay(args) => return super::replay::run(settings, &args),
        McpCommand::Serve { stdio: _, server, url, token_file } => {
            return super::bridge::run(settings, server.as_deref(), url.as_deref(), token_file.as_deref());
        }
        McpCommand::Show { id } => {
            let request = McpRequest { what: "show".into(), session: id, ..McpRequest::default() };
            print_json(&ask::<Value>(settings, &request)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Show requests as they end, for as long as somebody looks. One that stays open for long is shown as such.
fn tail(settings: &Settings, request: &McpRequest, mut after: i64, json: bool) -> anyhow::Result<()> {
    let mut shown = std::collections::BTreeSet::new();
    loop {
        wait();
        let rows: Vec<CallRow> = ask(settings, &McpRequest { after: Some(after), limit: 1_000, ..request.clone() })?;
        let old = clock::now_us() - OPEN_US;
        let mut all_before = true;
        for row in &rows {
            if row.status == "open" && row.time_us > old {
                all_before = false;
                continue;
            }
            if shown.insert(row.number) {
                show(row, json)?;
            }
            if all_before {
                after = row.number;
            }
        }
        shown.retain(|number| *number > after);
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing else goes on in this program: it looks again after a while")]
fn wait() {
    std::thread::sleep(LOOK);
}

fn query(what: &str, filters: &CallFilters, limit: usize) -> anyhow::Result<McpRequest> {
    Ok(McpRequest {
        what: what.into(),
        server: filters.server.clone().unwrap_or_default(),
        tool: filters.tool.clone().unwrap_or_default(),
        method: filters.method.clone().unwrap_or_default(),
        status: filters.status.clone().unwrap_or_default(),
        session: filters.session.clone().unwrap_or_default(),
        client: filters.client.clone().unwrap_or_default(),
        since_us: since_us(&filters.since)?,
        limit,
        ..McpRequest::default()
    })
}

fn ask<T: serde::de::DeserializeOwned>(settings: &Settings, request: &McpRequest) -> anyhow::Result<T> {
    let answer = super::asked(settings, Request::Mcp(request.clone()), Vec::new())?;
    serde_json::from_str(&answer).context("the server's answer is not understood")
}

/// A stretch of time back from now (`90s`, `15m`, `24h`, `7d`), or a moment.
pub(super) fn since_us(text: &Option<String>) -> anyhow::Result<i64> {
    let Some(text) = text else { return Ok(0) };
    let seconds = |unit: &str| match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    if let (Ok(number), Some(seconds)) = (number.parse::<i64>(), seconds(unit)) {
        return Ok(clock::now_us() - number.saturating_mul(seconds).saturating_mul(1_000_000));
    }
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(at.as_microsecond()),
        Err(_) => bail!("`{text}` is no time; it looks like 15m, 24h, 7d or 2026-11-22T10:00:00Z"),
    }
}

fn by_name(by: By) -> &'static str {
    match by {
        By::Tool => "tool",
        By::Client => "client",
        By::Server => "server",
        By::Method => "method",
    }
}

pub(super) fn when(us: i64) -> String {
    Timestamp::from_microsecond(us).map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// A stranger's text on a terminal: no control characters.
pub(super) fn plain(text: &str) -> String {
    fumehood_triage::tools::visible(text).replace(['\n', '\r', '\t'], " ")
}

/// Microseconds as people read them.
pub(super) fn took(us: i64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

const HEAD: [&str; 3] = [
    "TIME                 STATUS     TOOK       POLICY     SCAN       AUDIT      UPSTREAM   ",
    "SERVER           METHOD                   WHAT                             CLIENT",
    "",
];

fn show(row: &CallRow, json: bool) -> anyhow::Result<()> {
    if json {
        return line(&serde_json::to_string(row)?);
    }
    let time = |us: Option<i64>| us.map_or_else(|| "–".to_owned(), took);
    let said = if row.message.is_empty() { String::new() } else { format!("  {}", plain(&row.message)) };
    line(&format!(
        "{:<20} {:<10} {:<10} {:<10} {:<10} {:<10} {:<10} {:<16} {:<24} {:<32} {}{said}",
        when(row.time_us),
        row.status,
        time(row.latency_us),
        time(row.policy_us),
        time(row.scan_us),
        time(row.audit_us),
        time(row.upstream_us),
        plain(&row.server),
        plain(&row.method),
        plain(&row.subject),
        plain(&format!("{} {}", row.client, row.client_version)),
    ))
}

fn stats_table(stats: &[CallStats], by: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(&stats).map(drop);
    }
    line(&format!(
        "{:<44} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}  LAST",
        by.to_uppercase(),
        "CALLS",
        "ERRORS",
        "P50",
        "P95",
        "P99",
        "MAX"
    ))?;
    for one in stats {
        let time = |us: u64| took(i64::try_from(us).unwrap_or(i64::MAX));
        let name = if one.name.is_empty() { "(gateway)".to_owned() } else { plain(&one.name) };
        line(&format!(
            "{name:<44} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}  {}",
            one.calls,
            one.errors,
            time(one.p50_us),
            time(one.p95_us),
            time(one.p99_us),
            time(one.max_us),
            when(one.last_us)
        ))?;
    }
    Ok(())
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<ExitCode> {
    line(&serde_json::to_string_pretty(value)?)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{}", text.trim_end())?)
}

/// Answer a question on an open application.
pub async fn carry_out(app: &App, request: McpRequest) -> Result<String, TriageError> {
    let scope = Scope::operator();
    let filter = CallFilter {
        server: request.server.clone(),
        subject: request.tool.clone(),
        method: request.method.clone(),
        status: request.status.clone(),
        session: request.session.clone(),
        client: request.client.clone(),
        since_us: request.since_us,
        slower_than_us: i64::try_from(request.over_us).unwrap_or(i64::MAX),
        after: request.after,
        before: None,
        limit: request.limit,
    };
    let value = match request.what.as_str() {
        "logs" => serde_json::to_value(app.mcp_calls(&scope, filter).await?),
        "stats" => {
            let by = match request.by.as_str() {
                "client" => Grouping::Client,
                "server" => Grouping::Server,
                "method" => Grouping::Method,
                _ => Grouping::Subject,
            };
            serde_json::to_value(app.mcp_stats(&scope, filter, by).await?)
        }
        "sessions" => {
            let sessions =
                SessionFilter { since_us: request.since_us, limit: request.limit, ..SessionFilter::default() };
            serde_json::to_value(app.mcp_sessions(&scope, sessions).await?)
        }
        "schema" => serde_json::to_value(schema(app, &scope, &request).await?),
        "show" => {
            let (row, sent, received) = app.mcp_call(&scope, &request.session).await?;
            let said = |body: Option<Vec<u8>>| {
                body.map(|body| {
                    serde_json::from_slice::<Value>(&body)
                        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into())
                })
            };
            Ok(json!({"call": row, "sent": said(sent), "received": said(received)}))
        }
        other => return Err(TriageError::Conflict(format!("this server does not know `mcp {other}`"))),
    };
    let value = value.map_err(|error| TriageError::Internal(error.to_string()))?;
    Ok(value.to_string())
}

async fn schema(app: &App, scope: &Scope, request: &McpRequest) -> Result<Vec<Value>, TriageError> {
    let servers = app.servers(scope).await?;
    let wanted = servers.iter().find(|server| server.slug == request.server || server.name == request.server);
    if !request.server.is_empty() && wanted.is_none() {
        return Err(TriageError::NotFound { what: "MCP server of this name" });
    }
    let tool = Some(request.tool.clone()).filter(|tool| !tool.is_empty());
    let changes =
        app.tool_changes(scope, wanted.map(|server| server.id), tool, request.since_us, request.limit).await?;
    let out = changes.into_iter().map(|(id, change)| {
        let server = servers.iter().find(|server| server.id == id).map_or("(removed)", |server| &server.slug);
        let differences = match (&change.old, &change.new) {
            (Some(old), Some(new)) => fumehood_triage::tools::differences(old, new).0,
            _ => Vec::new(),
        };
        json!({"time_us": change.time_us, "server": server, "tool": change.tool, "change": change.change,
            "actor": change.actor, "old": change.old, "new": change.new, "differences": differences})
    });
    Ok(out.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time_and_moments_are_read() {
        let now = clock::now_us();
        let back = |text: &str| now - since_us(&Some(text.into())).unwrap();
        assert!((back("15m") - 900_000_000).abs() < 5_000_000);
        assert!((back("7d") - 7 * 86_400_000_000).abs() < 5_000_000);
        assert_eq!(since_us(&Some("1970-01-01T00:00:01Z".into())).unwrap(), 1_000_000);
        for wrong in ["", "m", "15", "15 parsecs", "é"] {
            assert!(since_us(&Some(wrong.into())).is_err(), "{wrong}");
        }
        assert_eq!([took(7), took(1_500), took(2_340_000)], ["7 µs", "1.5 ms", "2.34 s"]);
    }
}
