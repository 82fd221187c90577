//! `fumehood mcp replay`: recorded calls, made again by the server that runs, or by this process where none does.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use fumehood_triage::gateway::{ReplayEvent, ReplayRequest, ReplaySummary, ReplayedCall, Verdict};
use fumehood_triage::{App, Scope, TriageError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::mcp::{line, plain, since_us, took, when};
use crate::cli::ReplayArgs;
use crate::control::{self, Answer, Request};
use crate::data;
use crate::settings::Settings;

/// What goes on that waits to be shown.
const EVENTS: usize = 16;
/// Of one side of a difference, characters on a terminal.
const SHOWN: usize = 160;
/// What a shell says of a command that was interrupted.
const INTERRUPTED: u8 = 130;

pub fn run(settings: &Settings, args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let request = ReplayRequest {
        server: args.server.clone(),
        against: text(&args.against),
        tool: text(&args.tool),
        status: text(&args.status),
        session: text(&args.session),
        client: text(&args.client),
        since_us: since_us(&args.since)?,
        calls: args.calls.clone(),
        limit: args.limit.into(),
        writes: args.writes,
        ignore: args.ignore.clone(),
        timeout_s: args.timeout.into(),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new()?.block_on(replay(settings, request, args.json))
}

async fn replay(settings: &Settings, request: ReplayRequest, json: bool) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let interrupts = tokio::spawn(interrupted(stop.clone()));
    let (say, mut heard) = mpsc::channel(EVENTS);
    let asked = async {
        match control::open(&settings.data).await {
            Some(stream) => remote(stream, request, &stop, say).await,
            None => local(settings, request, &stop, say).await,
        }
    };
    let mut shown = Shown { json, live: std::io::stderr().is_terminal(), calls: 0, began: false };
    let showing = async {
        let mut written = Ok(());
        while let Some(event) = heard.recv().await {
            if written.is_ok() {
                written = shown.event(&event);
                if written.is_err() {
                    // Nobody reads any longer.
                    stop.cancel();
                }
            }
        }
        written
    };
    let (summary, written) = tokio::join!(Box::pin(asked), showing);
    interrupts.abort();
    written?;
    shown.clear();
    let summary = summary?;
    shown.summary(&summary)?;
    Ok(ExitCode::from(if stop.is_cancelled() { INTERRUPTED } else { code(&summary) }))
}

/// 0 where all is as before, 1 where something is not, 2 where that cannot be said.
fn code(summary: &ReplaySummary) -> u8 {
    match summary {
        ReplaySummary { stopped: Some(_), .. } | ReplaySummary { calls: 0, .. } => 2,
        summary => u8::from(summary.same < summary.calls),
    }
}

/// The first interruption ends it in order, the second one at once.
async fn interrupted(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        let _ = writeln!(std::io::stderr(), "\nstopping; once more to end at once");
        stop.cancel();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(INTERRUPTED.into());
    }
}

/// Have the running server do it.
async fn remote(
    stream: UnixStream,
    request: ReplayRequest,
    stop: &CancellationToken,
    say: mpsc::Sender<ReplayEvent>,
) -> anyhow::Result<ReplaySummary> {
    const UNCLEAR: &str = "the server's answer is not understood";
    let (read, mut write) = stream.into_split();
    let mut text = serde_json::to_string(&Request::Replay(request))?;
    text.push('\n');
    write.write_all(text.as_bytes()).await?;
    let (mut lines, mut told) = (BufReader::new(read).lines(), false);
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.ok().flatten().context("the server ended before it had answered")?,
            () = stop.cancelled(), if !told => {
                told = true;
                write.write_all(b"stop\n").await?;
                continue;
            }
        };
        match serde_json::from_str(&line).context(UNCLEAR)? {
            Answer::Part(event) => {
                let _ = say.send(serde_json::from_str(&event).context(UNCLEAR)?).await;
            }
            Answer::Ok(summary) => return serde_json::from_str(&summary).context(UNCLEAR),
            Answer::Error(message) => bail!("{message}"),
        }
    }
}

/// Do it here, where no server runs.
async fn local(
    settings: &Settings,
    request: ReplayRequest,
    stop: &CancellationToken,
    say: mpsc::Sender<ReplayEvent>,
) -> anyhow::Result<ReplaySummary> {
    if !settings.data.join(data::KEYRING).exists() {
        bail!("{} is no data folder; name the server's own with --data", settings.data.display());
    }
    let vault = data::open_or_create(settings)?;
    let app = App::open(super::app_config(settings, Arc::new(|_, _, _, _| {}))?, vault).await?;
    let done = app.replay(&Scope::operator(), request, stop.clone(), say).await;
    app.shut_down().await;
    Ok(done?)
}

/// Do it for whoever asks over the socket, and tell what goes on; a word from there, or its end, stops it.
pub async fn serve(
    app: &App,
    request: ReplayRequest,
    reader: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
) -> Answer {
    let (scope, stop) = (Scope::operator(), CancellationToken::new());
    let (say, mut heard) = mpsc::channel(EVENTS);
    let running = Box::pin(app.replay(&scope, request, stop.clone(), say));
    let telling = async {
        while let Some(event) = heard.recv().await {
            let part = serde_json::to_string(&event).map(Answer::Part);
            let Ok(mut text) = part.and_then(|part| serde_json::to_string(&part)) else { continue };
            text.push('\n');
            if write.write_all(text.as_bytes()).await.is_err() {
                stop.cancel();
            }
        }
    };
    let listening = async {
        let _ = reader.read_u8().await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        (done, ()) = async { tokio::join!(running, telling) } => answer(done),
        () = listening => Answer::Error("it was stopped".into()),
    }
}

/// The same without a word on the way.
pub async fn carry_out(app: &App, request: ReplayRequest) -> Answer {
    let (say, _) = mpsc::channel(1);
    answer(Box::pin(app.replay(&Scope::operator(), request, CancellationToken::new(), say)).await)
}

fn answer(done: Result<ReplaySummary, TriageError>) -> Answer {
    match done.map(|summary| serde_json::to_string(&summary)) {
        Ok(Ok(text)) => Answer::Ok(text),
        Ok(Err(error)) => Answer::Error(error.to_string()),
        Err(error) => Answer::Error(error.to_string()),
    }
}

/// What is on the terminal.
struct Shown {
    json: bool,
    /// Somebody looks at standard error: what goes on stands in its last line.
    live: bool,
    calls: usize,
    /// The head of the table is there.
    began: bool,
}

impl Shown {
    /// Take the last line away.
    fn clear(&self) {
        if self.live {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn event(&mut self, event: &ReplayEvent) -> anyhow::Result<()> {
        let mut out = std::io::stderr().lock();
        match event {
            ReplayEvent::Picked { calls, more } => {
                self.calls = *calls;
                let others = if *more { "; there are older ones, which --limit leaves out" } else { "" };
                let _ = writeln!(out, "making {} again{others}", count(*calls, "call"));
            }
            ReplayEvent::Begun { number, tool } if self.live => {
                let _ = write!(out, "\r\x1b[K[{number}/{}] {}", self.calls, plain(tool));
                let _ = out.flush();
            }
            ReplayEvent::Begun { .. } => {}
            ReplayEvent::Call(call) => {
                drop(out);
                self.clear();
                self.call(call)?;
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &ReplayedCall) -> anyhow::Result<()> {
        if self.json {
            return line(&tagged("call", call)?);
        }
        if !self.began {
            self.began = true;
            line(&format!("{:<8} {:<32} {:<10} {:<10} {:<20} CALL", "", "TOOL", "THEN", "NOW", "RECORDED"))?;
        }
        line(&format!(
            "{:<8} {:<32} {:<10} {:<10} {:<20} {}",
            call.verdict.name(),
            plain(&call.tool),
            call.then_us.map_or_else(|| "–".to_owned(), took),
            took(i64::try_from(call.now_us).unwrap_or(i64::MAX)),
            when(call.time_us),
            plain(&call.call),
        ))?;
        match call.verdict {
            Verdict::Failed => line(&format!("    now: {}", cut(&plain(&call.message))))?,
            Verdict::Mended => line(&format!("    then: {}", cut(&plain(&call.message))))?,
            Verdict::Same | Verdict::Differs => {}
        }
        for one in &call.differences {
            line(&format!("    {}", if one.pointer.is_empty() { "(all of it)".into() } else { plain(&one.pointer) }))?;
            for (mark, side) in [("-", &one.old), ("+", &one.new)] {
                if let Some(value) = side {
                    line(&format!("      {mark} {}", cut(&plain(&value.to_string()))))?;
                }
            }
        }
        if call.more > 0 {
            line(&format!("    … and {} more", count(call.more, "difference")))?;
        }
        Ok(())
    }

    fn summary(&self, summary: &ReplaySummary) -> anyhow::Result<()> {
        if self.json {
            return line(&tagged("summary", summary)?);
        }
        let parts = [
            (summary.same, "same"),
            (summary.differs, "differ"),
            (summary.failed, "failed"),
            (summary.mended, "mended"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(calls, _)| *calls > 0).map(|(calls, what)| format!("{calls} {what}")).collect();
        if summary.calls == 0 {
            line("no call was made, so nothing was compared")?;
        } else {
            let time = |us: u64| took(i64::try_from(us).unwrap_or(i64::MAX));
            let at = if summary.server == summary.against {
                String::new()
            } else {
                format!(" of {} at {}", plain(&summary.server), plain(&summary.against))
            };
            line(&format!(
                "{}{at}: {}; p50 {} then, {} now",
                count(summary.calls, "call"),
                parts.join(", "),
                time(summary.p50_then_us),
                time(summary.p50_now_us)
            ))?;
        }
        let left_out = summary.left_out.iter().map(|one| one.calls).sum();
        if left_out > 0 {
            line(&format!("{} left out:", count(left_out, "call")))?;
        }
        for one in &summary.left_out {
            line(&format!("  {:>5}  {}", one.calls, plain(&one.why)))?;
        }
        if summary.same < summary.calls {
            line(&format!(
                "whole answers: fumehood mcp show ID; these calls: fumehood mcp logs --session {}",
                summary.session
            ))?;
        }
        if let Some(why) = &summary.stopped {
            writeln!(std::io::stderr(), "it ended before the last call: {}", plain(why))?;
        }
        Ok(())
    }
}

/// `1 call`, `2 calls`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An object with the name of what it is.
fn tagged(event: &str, value: &impl serde::Serialize) -> anyhow::Result<String> {
    let mut tagged = json!({"event": event});
    if let (Value::Object(all), Value::Object(fields)) = (&mut tagged, serde_json::to_value(value)?) {
        all.extend(fields);
    }
    Ok(tagged.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_all_is_as_before() {
        let summary = |calls, same, stopped: Option<&str>| ReplaySummary {
            calls,
            same,
            stopped: stopped.map(str::to_owned),
            ..ReplaySummary::default()
        };
        assert_eq!(code(&summary(3, 3, None)), 0);
        assert_eq!(code(&summary(3, 2, None)), 1);
        assert_eq!(code(&summary(0, 0, None)), 2, "nothing was compared");
        assert_eq!(code(&summary(3, 3, Some("the server is gone"))), 2);
        assert_eq!([count(1, "call"), count(2, "call")], ["1 call", "2 calls"]);
        assert_eq!(cut(&"é".repeat(200)).chars().count(), SHOWN + 1);
    }
}
