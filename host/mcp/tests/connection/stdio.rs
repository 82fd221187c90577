//! Over a process: both eras, discovery, calls, and that nothing is left behind.

use std::path::Path;
use std::time::Duration;

use fumehood_mcp::{McpError, tool_sha256};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::fake_process::{server, tool};
use crate::support::{call, call_with, eventually};

fn alive(pid: &str) -> bool {
    // A process that has ended but was not reaped by its parent (not ours) does not count.
    let state = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[tokio::test]
async fn an_older_server_is_discovered_with_all_pages_and_called() {
    let (bench, endpoint) = server("plain").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert!(connection.is_alive());
    let tools = connection.discover().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["echo", "add"]);
    assert_eq!(tools[0].raw, tool("echo"), "fields that no model knows are kept");
    assert_eq!(tools[0].sha256, tool_sha256(&tool("echo")));
    let arguments = json!({"text": "grüße", "n": 12345678901234567_u64}).as_object().unwrap().clone();
    let result = call_with(&connection, "echo", arguments, CancellationToken::new()).await.unwrap();
    assert_eq!(result.text, r#"you said {"n":12345678901234567,"text":"grüße"}"#);
    assert!(!result.is_error);
    connection.close().await;
    assert!(!connection.is_alive());
    assert!(matches!(call(&connection, "echo").await, Err(McpError::Closed(_))));
    assert_eq!(bench.heard.written(), ["input closed"], "it was asked to end, not killed");
}

#[tokio::test]
async fn a_newer_server_is_spoken_to_in_its_own_era() {
    let (bench, endpoint) = server("modern").await;
    let connection = bench.open(endpoint).await.unwrap();
    let tools = connection.discover().await.unwrap();
    assert_eq!(tools[0].raw["x-version"], json!("2026-07-28"), "each request names its version");
    assert!(call(&connection, "echo").await.unwrap().text.starts_with("you said"));
    connection.close().await;
}

#[tokio::test]
async fn a_server_that_answers_the_probe_late_still_connects() {
    let (bench, endpoint) = server("answers-late").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert_eq!(connection.discover().await.unwrap().len(), 2);
    connection.close().await;
}

#[tokio::test]
async fn calls_at_the_same_time_get_their_own_answers() {
    let (bench, endpoint) = server("plain").await;
    let connection = std::sync::Arc::new(bench.open(endpoint).await.unwrap());
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..64 {
        let connection = std::sync::Arc::clone(&connection);
        calls.spawn(async move {
            let arguments = json!({"n": at}).as_object().unwrap().clone();
            let result = call_with(&connection, "echo", arguments, CancellationToken::new()).await.unwrap();
            assert_eq!(result.text, format!(r#"you said {{"n":{at}}}"#));
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    connection.close().await;
}

#[tokio::test]
async fn the_server_may_ping_and_nothing_else() {
    let (bench, endpoint) = server("questions").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert_eq!(call(&connection, "ask").await.unwrap().text, "0 -32601 -32601 -32601");
    connection.close().await;
}

#[tokio::test]
async fn a_witness_hears_what_is_no_answer_and_questions_are_refused_all_the_same() {
    let (bench, endpoint) = server("talks").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert_eq!(call(&connection, "talk").await.unwrap().text, "told");
    connection.close().await;
    eventually("the end", || bench.heard.all().iter().any(|line| line.starts_with("ended"))).await;
    let heard = bench.heard.all();
    assert_eq!(heard[0], r#"said notifications/message {"data":"disk is nearly full","level":"warning"}"#, "{heard:?}");
    let rest: Vec<&str> = heard[1..].iter().map(String::as_str).collect();
    assert_eq!(rest, ["wrote refused with -32601", "wrote input closed", "ended "]);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_upstream_and_the_connection_goes_on() {
    let (mut bench, endpoint) = server("hangs").await;
    bench.call_timeout = Duration::from_millis(300);
    let connection = bench.open(endpoint).await.unwrap();
    assert!(matches!(call(&connection, "echo").await, Err(McpError::TimedOut { .. })));
    let heard = |what: &'static str, times: usize| {
        let tail = || bench.heard.written();
        async move { eventually(what, || tail().iter().filter(|line| line.starts_with(what)).count() == times).await }
    };
    heard("cancelled", 1).await;
    // By the responder.
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
    });
    let result = call_with(&connection, "echo", serde_json::Map::new(), cancel.clone()).await;
    assert!(matches!(result, Err(McpError::Cancelled)));
    heard("cancelled", 2).await;
    // Already stopped: nothing is sent.
    assert!(matches!(call_with(&connection, "echo", serde_json::Map::new(), cancel).await, Err(McpError::Cancelled)));
    heard("asked", 2).await;
    // By whoever drops the future.
    assert!(timeout(Duration::from_millis(50), call(&connection, "echo")).await.is_err());
    heard("cancelled", 3).await;
    assert_eq!(connection.discover().await.unwrap().len(), 2);
    connection.close().await;
}

#[tokio::test]
async fn closing_ends_the_whole_group_however_stubborn() {
    let (bench, endpoint) = server("stubborn").await;
    let connection = bench.open(endpoint).await.unwrap();
    let pids = call(&connection, "start").await.unwrap().text;
    assert!(pids.split(' ').all(alive), "{pids}");
    let start = Instant::now();
    connection.close().await;
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    eventually("the end of all processes", || !pids.split(' ').any(alive)).await;
}

#[tokio::test]
async fn dropping_ends_the_whole_group() {
    let (bench, endpoint) = server("stubborn").await;
    let connection = bench.open(endpoint).await.unwrap();
    let pids = call(&connection, "start").await.unwrap().text;
    drop(connection);
    eventually("the end of all processes", || !pids.split(' ').any(alive)).await;
}

#[tokio::test]
async fn the_sash_ends_everything_at_once() {
    let (bench, endpoint) = server("hangs").await;
    let connection = std::sync::Arc::new(bench.open(endpoint).await.unwrap());
    let waiting = std::sync::Arc::clone(&connection);
    let call = tokio::spawn(async move { call(&waiting, "echo").await });
    eventually("the call's arrival", || bench.heard.written().iter().any(|line| line.starts_with("asked"))).await;
    let start = Instant::now();
    bench.host.cancel.cancel();
    assert!(matches!(call.await.unwrap(), Err(McpError::Cancelled)));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    eventually("the end of the connection", || !connection.is_alive()).await;
    assert!(matches!(connection.discover().await, Err(McpError::Cancelled)));
}

#[tokio::test]
async fn the_sash_does_not_wait_for_a_server_that_does_not_listen() {
    let (bench, endpoint) = server("deaf").await;
    let connection = std::sync::Arc::new(bench.open(endpoint).await.unwrap());
    let waiting = std::sync::Arc::clone(&connection);
    // More than a pipe holds, so that the write waits.
    let arguments = json!({"text": "x".repeat(1 << 20)}).as_object().unwrap().clone();
    let call = tokio::spawn(async move { call_with(&waiting, "echo", arguments, CancellationToken::new()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.host.cancel.cancel();
    let result = timeout(Duration::from_secs(4), call).await.expect("within seconds").unwrap();
    assert!(matches!(result, Err(McpError::Cancelled)), "{result:?}");
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_does_not_listen() {
    let (bench, endpoint) = server("deaf").await;
    let connection = std::sync::Arc::new(bench.open(endpoint).await.unwrap());
    let waiting = std::sync::Arc::clone(&connection);
    let arguments = json!({"text": "x".repeat(1 << 20)}).as_object().unwrap().clone();
    let call = tokio::spawn(async move { call_with(&waiting, "echo", arguments, CancellationToken::new()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    timeout(Duration::from_secs(11), connection.close()).await.expect("within its bound");
    let result = timeout(Duration::from_secs(1), call).await.expect("with the connection").unwrap();
    assert!(matches!(result, Err(McpError::Closed(_))), "{result:?}");
}

#[tokio::test]
async fn opening_and_dropping_many_times_leaves_nothing() {
    let before = children();
    for _ in 0..12 {
        let (bench, endpoint) = server("plain").await;
        let connection = bench.open(endpoint).await.unwrap();
        drop(connection);
        eventually("its end", || children() == before).await;
    }
}

fn children() -> usize {
    let me = std::process::id().to_string();
    let of_me = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1).map(str::to_owned));
        parent == Some(me.clone())
    };
    std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(of_me).filter(|of_me| *of_me).count()
}
