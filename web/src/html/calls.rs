//! The record of the gateway, with its charts.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::gateway::{CallFilter, CallRow, CallStats, Grouping, TimeSlot};
use fumehood_triage::store::calls::PART;
use fumehood_triage::store::clock;
use fumehood_triage::tools::visible;
use jiff::Timestamp;

use super::context::{Names, now, when};
use super::session::{Reader, url_encode};
use super::{PageError, page};
use crate::units::{Bytes, Count};
use crate::view::calls::{Bar, CallLine, CallPage, CallsFilter, CallsPage, Chart, HEIGHT, SPANS, StatsRow, WIDTH};
use crate::view::{Crumb, Place};

/// Rows on a page, groups in a table, and stretches of time in a chart.
const PAGE: usize = 100;
const GROUPS: usize = 12;
const SLOTS: usize = 48;
const HOUR_US: i64 = 3_600_000_000;

#[derive(serde::Deserialize, Default)]
pub(crate) struct CallsQuery {
    #[serde(default)]
    server: String,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    session: String,
    #[serde(default)]
    hours: Option<u32>,
    #[serde(default)]
    live: String,
    before: Option<i64>,
}

impl CallsQuery {
    fn hours(&self) -> u32 {
        span(self.hours)
    }

    fn filter(&self, now_us: i64) -> CallFilter {
        CallFilter {
            server: self.server.trim().to_owned(),
            subject: self.tool.trim().to_owned(),
            client: self.client.trim().to_owned(),
            status: self.status.clone(),
            session: self.session.clone(),
            since_us: since_us(self.hours(), now_us),
            ..CallFilter::default()
        }
    }

    /// The address of the page, to which more can be added.
    fn here(&self) -> String {
        let hours = self.hours().to_string();
        let parts = [
            ("server", &self.server),
            ("tool", &self.tool),
            ("client", &self.client),
            ("status", &self.status),
            ("session", &self.session),
            ("hours", &hours),
        ];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let parts: String = parts.map(|(key, value)| format!("{key}={}&", url_encode(value))).collect();
        format!("/servers/calls?{parts}")
    }
}

/// The span of time that was chosen, in hours.
pub(super) fn span(hours: Option<u32>) -> u32 {
    hours.filter(|hours| SPANS.iter().any(|(span, _)| span == hours)).unwrap_or(24)
}

/// When a span of time began.
pub(super) fn since_us(hours: u32, now_us: i64) -> i64 {
    now_us.saturating_sub(i64::from(hours).saturating_mul(HOUR_US))
}

/// A client's name, its version and the AI platform behind it.
pub(super) fn client_parts(name: &str) -> (String, String, String) {
    // A platform is one of ours and has no such character, whatever a client calls itself.
    let mut parts = name.rsplitn(3, PART).map(str::to_owned);
    let (platform, version, client) = (parts.next(), parts.next(), parts.next());
    (client.unwrap_or_default(), version.unwrap_or_default(), platform.unwrap_or_default())
}

/// The AI platform behind a client, where it is known and says more than the client's name.
pub(super) fn platform(client: &str, platform: &str) -> String {
    match platform {
        "other" => String::new(),
        platform if platform.eq_ignore_ascii_case(client) => String::new(),
        platform => platform.to_owned(),
    }
}

/// Who calls; several tokens are told apart.
pub(super) fn caller(actor: &str, names: &Names) -> String {
    match actor.strip_prefix("token:") {
        Some(id) => format!("{} …{}", names.of(actor), id.get(id.len().saturating_sub(6)..).unwrap_or(id)),
        None => names.of(actor),
    }
}

pub(super) fn bytes(count: i64) -> Bytes {
    Bytes(u64::try_from(count).unwrap_or_default())
}

/// A duration as people read it.
fn took(us: i64) -> String {
    match us {
        ..1_000 => format!("{us}\u{a0}µs"),
        1_000..10_000 => format!("{}.{}\u{a0}ms", us / 1_000, us % 1_000 / 100),
        10_000..1_000_000 => format!("{}\u{a0}ms", us / 1_000),
        _ => format!("{}.{}\u{a0}s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

fn micros(us: u64) -> String {
    took(i64::try_from(us).unwrap_or(i64::MAX))
}

pub(super) fn stats_row(stats: CallStats, href: Option<String>) -> StatsRow {
    StatsRow {
        name: visible(&stats.name),
        href,
        calls: Count(stats.calls),
        errors: Count(stats.errors),
        p50: micros(stats.p50_us),
        p95: micros(stats.p95_us),
        p99: micros(stats.p99_us),
        bytes: (Bytes(stats.bytes_in), Bytes(stats.bytes_out)),
    }
}

/// `value` of `most`, in units of a chart's height; something that is there is seen.
fn share(value: u64, most: u64) -> u32 {
    let scaled = value.saturating_mul(u64::from(HEIGHT)).checked_div(most).unwrap_or_default();
    u32::try_from(scaled.min(u64::from(HEIGHT))).unwrap_or(HEIGHT).max(u32::from(value > 0))
}

fn chart(slots: &[TimeSlot], all: &CallStats, now: Timestamp) -> Chart {
    let most = slots.iter().map(|slot| slot.stats.calls).max().unwrap_or_default();
    let slowest = slots.iter().map(|slot| slot.stats.p99_us).max().unwrap_or_default();
    let step = WIDTH / u32::try_from(slots.len().max(1)).unwrap_or(1);
    let left = |at: usize| step.saturating_mul(u32::try_from(at).unwrap_or_default());
    let bar = |(at, slot): (usize, &TimeSlot)| {
        let height = share(slot.stats.calls, most);
        Bar {
            x: left(at),
            width: step.saturating_sub(2),
            top: HEIGHT - height,
            height,
            failed: share(slot.stats.errors, most),
            title: format!(
                "{}: {} calls, {} failed, p50 {}, p99 {}",
                when(slot.from_us, now).absolute(),
                Count(slot.stats.calls),
                Count(slot.stats.errors),
                micros(slot.stats.p50_us),
                micros(slot.stats.p99_us)
            ),
        }
    };
    // A stretch without calls has no latency: the line goes on where there are some.
    let line = |name: &'static str, of: fn(&CallStats) -> u64| {
        let there = slots.iter().enumerate().filter(|(_, slot)| slot.stats.calls > 0);
        // From edge to edge, so that one stretch alone is seen, too.
        let point = |(at, slot): (usize, &TimeSlot)| {
            let height = HEIGHT - share(of(&slot.stats), slowest);
            format!("{},{height} {},{height}", left(at), left(at) + step)
        };
        (name, there.map(point).collect::<Vec<_>>().join(" "), micros(slowest))
    };
    Chart {
        bars: slots.iter().enumerate().map(bar).collect(),
        most: Count(most),
        lines: vec![line("p50", |s| s.p50_us), line("p95", |s| s.p95_us), line("p99", |s| s.p99_us)],
        summary: format!("{} calls, {} failed; at most {} in one stretch", all.calls, all.errors, most),
        from: slots.first().map(|slot| when(slot.from_us, now)),
    }
}

pub(super) fn call_line(row: &CallRow, names: &Names, now: Timestamp) -> CallLine {
    let what = if row.subject.is_empty() { &row.method } else { &row.subject };
    CallLine {
        id: row.id.clone(),
        at: when(row.time_us, now),
        caller: caller(&row.caller, names),
        client: visible(format!("{} {}", row.client, row.client_version).trim()),
        server: row.server.clone(),
        what: visible(what),
        status: row.status.clone(),
        message: visible(&row.message),
        took: row.latency_us.map(took).unwrap_or_default(),
    }
}

pub(crate) async fn calls(reader: Reader, Query(query): Query<CallsQuery>) -> Result<Response, PageError> {
    let (app, scope, now) = (reader.app(), &reader.scope, now());
    let filter = query.filter(clock::now_us());
    let names = reader.names().await?;
    let (slots, all) = app.mcp_over_time(scope, filter.clone(), SLOTS).await?;
    let by_tool = app.mcp_stats(scope, filter.clone(), Grouping::Subject).await?;
    let by_client = app.mcp_stats(scope, filter.clone(), Grouping::ClientParts).await?;
    let servers = super::sessions::servers_since(&reader, filter.since_us).await?;
    let rows = app.mcp_calls(scope, CallFilter { before: query.before, limit: PAGE, ..filter }).await?;
    let here = query.here();
    let older = rows.last().filter(|_| rows.len() == PAGE).map(|last| format!("{here}before={}", last.number));
    let hours = query.hours();
    // A server's short name has no blank in it.
    let tool = |stats: CallStats| {
        let href = stats.name.split_once(' ').map(|(server, tool)| {
            format!("/servers/calls?server={}&tool={}&hours={hours}", url_encode(server), url_encode(tool))
        });
        stats_row(stats, href)
    };
    let client = |stats: CallStats| {
        let (name, version, behind) = client_parts(&stats.name);
        let href = (!name.is_empty()).then(|| format!("/servers/calls?client={}&hours={hours}", url_encode(&name)));
        let parts = [name.clone(), version, platform(&name, &behind)];
        let shown = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        let shown = if shown.is_empty() { "(no name)".to_owned() } else { visible(&shown) };
        StatsRow { name: shown, ..stats_row(stats, href) }
    };
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("Calls")];
    let view = CallsPage {
        frame: reader.frame("Calls through the gateway", Place::Servers, crumbs),
        chart: chart(&slots, &all, now),
        all: stats_row(all, None),
        by_tool: by_tool.into_iter().take(GROUPS).map(tool).collect(),
        by_client: by_client.into_iter().take(GROUPS).map(client).collect(),
        servers,
        gateway: reader.gateway(),
        calls: rows.iter().map(|row| call_line(row, &names, now)).collect(),
        older,
        here,
        filter: CallsFilter {
            live: query.live == "1",
            server: query.server,
            tool: query.tool,
            client: query.client,
            status: query.status,
            session_href: format!("/servers/sessions/{}", url_encode(&query.session)),
            session: query.session,
            hours,
        },
    };
    Ok(page(StatusCode::OK, &view))
}

/// JSON laid out; other text as it is.
fn laid_out(bytes: Option<Vec<u8>>) -> Option<String> {
    let text = String::from_utf8_lossy(&bytes.filter(|bytes| !bytes.is_empty())?).into_owned();
    let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    Some(visible(&value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or(text)))
}

pub(crate) async fn call(reader: Reader, Path(id): Path<String>) -> Result<Response, PageError> {
    let (now, names) = (now(), reader.names().await?);
    let (row, sent, received) = reader.app().mcp_call(&reader.scope, &id).await?;
    let up = Crumb::link("Calls", "/servers/calls");
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), up, Crumb::here("Call")];
    let facts = [
        ("Method", row.method.clone()),
        ("Protocol", row.protocol.clone()),
        ("Platform", platform(&row.client, &row.platform)),
        ("Code", row.code.map(|code| code.to_string()).unwrap_or_default()),
        ("Id", row.id.clone()),
    ];
    let parts =
        [("Policy", row.policy_us), ("Masking", row.scan_us), ("Record", row.audit_us), ("Server", row.upstream_us)];
    let view = CallPage {
        frame: reader.frame("Call", Place::Servers, crumbs),
        facts: facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, visible(&value)))
            .collect(),
        parts: parts.into_iter().filter_map(|(name, us)| Some((name, took(us?)))).collect(),
        session: row.session.as_deref().map(url_encode).unwrap_or_default(),
        sent: laid_out(sent),
        received: laid_out(received),
        bytes: (bytes(row.bytes_in), bytes(row.bytes_out.unwrap_or_default())),
        call: call_line(&row, &names, now),
    };
    Ok(page(StatusCode::OK, &view))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        let shown: Vec<String> = [0, 312, 4_290, 42_900, 1_300_000].into_iter().map(took).collect();
        assert_eq!(shown, ["0\u{a0}µs", "312\u{a0}µs", "4.2\u{a0}ms", "42\u{a0}ms", "1.3\u{a0}s"]);
    }

    #[test]
    fn a_client_is_named_with_what_says_something() {
        let parts = |name: &str| client_parts(&name.replace('|', "\u{1f}"));
        let owned = |parts: [&str; 3]| (parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned());
        assert_eq!(parts("Visual Studio Code|1.2 (x)|vscode"), owned(["Visual Studio Code", "1.2 (x)", "vscode"]));
        assert_eq!(parts("a|b|1|other"), owned(["a\u{1f}b", "1", "other"]));
        assert_eq!(parts("||other"), owned(["", "", "other"]));
        assert_eq!([platform("x", "other"), platform("Codex", "codex"), platform("x", "codex")], ["", "", "codex"]);
    }

    #[test]
    fn a_chart_fits_its_frame_and_shows_what_is_there() {
        let slot = |calls: u64, errors: u64| TimeSlot {
            from_us: 0,
            stats: CallStats { calls, errors, p50_us: calls, p99_us: calls * 2, ..CallStats::default() },
        };
        let slots = [slot(0, 0), slot(1_000_000, 1), slot(5, 5)];
        let chart = chart(&slots, &CallStats::default(), Timestamp::UNIX_EPOCH);
        let heights: Vec<(u32, u32)> = chart.bars.iter().map(|bar| (bar.height, bar.failed)).collect();
        assert_eq!(heights, [(0, 0), (HEIGHT, 1), (1, 1)]);
        assert!(chart.bars.iter().all(|bar| bar.x + bar.width <= WIDTH && bar.top + bar.height == HEIGHT));
        assert_eq!(chart.lines.iter().map(|(_, points, _)| points.split(' ').count()).max(), Some(4));
    }
}
