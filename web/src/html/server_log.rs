//! What goes on with an MCP server, as it goes on.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::TriageError;
use fumehood_triage::server_log::{Heard, ServerLine};
use fumehood_triage::store::ServerId;
use jiff::Timestamp;

use super::context::{now, when};
use super::session::Reader;
use super::{PageError, id, page};
use crate::units::Id;
use crate::view::servers::{LogLine, ServerLog, ServerLogFragment};

/// Of the newest lines, bytes that are shown.
const SHOWN: usize = 40 << 10;

/// Whether a part follows what goes on.
#[derive(serde::Deserialize, Default)]
pub(crate) struct LiveQuery {
    #[serde(default)]
    live: String,
}

impl LiveQuery {
    pub(super) fn is_live(&self) -> bool {
        self.live == "1"
    }
}

fn line(line: ServerLine, now: Timestamp) -> LogLine {
    let (word, tone) = match line.heard {
        Heard::Connecting => ("connecting", "pending"),
        Heard::Connected => ("connected", "connected"),
        Heard::Failed => ("failed", "failed"),
        Heard::Closed => ("closed", "plain"),
        Heard::Wrote => ("stderr", ""),
        Heard::Changed => ("changed", "flag"),
        Heard::Said(level) => match level {
            "warning" => (level, "flag"),
            "error" | "critical" | "alert" | "emergency" => (level, "failed"),
            _ => (level, ""),
        },
    };
    LogLine { at: when(line.time_us, now), word, tone, text: line.text }
}

/// What fits on a page, newest first, and whether something does not.
fn fitting(lines: Vec<ServerLine>) -> (Vec<ServerLine>, bool) {
    let (all, mut bytes) = (lines.len(), 0);
    let fits = |line: &ServerLine| {
        bytes += line.text.len();
        bytes <= SHOWN
    };
    let lines: Vec<ServerLine> = lines.into_iter().take_while(fits).collect();
    let cut = lines.len() < all;
    (lines, cut)
}

/// The part of a server's page; nothing for whoever may not read logs.
pub(super) async fn part(reader: &Reader, server: ServerId, live: bool) -> Result<Option<ServerLog>, PageError> {
    let lines = match reader.app().server_log(&reader.scope, server).await {
        Ok(lines) => lines,
        Err(TriageError::Forbidden(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (now, (lines, cut)) = (now(), fitting(lines));
    let lines = lines.into_iter().map(|one| line(one, now)).collect();
    Ok(Some(ServerLog { id: Id::new(server.to_string()), lines, cut, live }))
}

pub(crate) async fn log(
    reader: Reader,
    Path(text): Path<String>,
    Query(query): Query<LiveQuery>,
) -> Result<Response, PageError> {
    reader.needs(fumehood_triage::Permission::ReadPluginLogs)?;
    let server: ServerId = id(&text, "MCP server")?;
    let log = part(&reader, server, query.is_live()).await?.ok_or(TriageError::NotFound { what: "log" })?;
    Ok(page(StatusCode::OK, &ServerLogFragment { log }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_the_newest_lines_and_says_that_there_are_more() {
        let lines = |count: usize, bytes: usize| -> Vec<ServerLine> {
            (0..count as u64)
                .map(|number| ServerLine { number, time_us: 0, heard: Heard::Wrote, text: "x".repeat(bytes) })
                .collect()
        };
        assert!(!fitting(lines(3, 10)).1);
        let (shown, cut) = fitting(lines(200, 4_096));
        assert_eq!((shown.len(), shown.first().map(|line| line.number), cut), (10, Some(0), true));
    }
}
