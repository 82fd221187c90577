//! Processes that exit, hang, flood or talk nonsense: each gives an error that names what happened.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_mcp::{Endpoint, McpError};
use tokio::time::timeout;

use crate::fake_process::{server, spec};
use crate::support::{Bench, call, call_with, eventually};

async fn opening(way: &str) -> (Bench, McpError) {
    let (bench, endpoint) = server(way).await;
    let error = bench.open(endpoint).await.err().expect("it cannot be opened");
    (bench, error)
}

async fn discovering(way: &str) -> McpError {
    let (bench, endpoint) = server(way).await;
    let connection = bench.open(endpoint).await.unwrap();
    let error = connection.discover().await.expect_err("no list");
    connection.close().await;
    error
}

#[tokio::test]
async fn a_server_that_exits_at_once_is_named_with_its_exit_code_and_its_words_are_kept() {
    let (bench, error) = opening("exits-at-once").await;
    assert!(matches!(&error, McpError::Closed(text) if text.contains("exit code 3")), "{error}");
    assert_eq!(error.state(), "unreachable");
    assert!(!error.to_string().contains("licence"), "its words are not in the error");
    assert_eq!(bench.heard.written(), ["no licence found", "giving up."]);
}

#[tokio::test]
async fn a_server_that_refuses_the_handshake_is_quoted_on_one_line() {
    let (_bench, error) = opening("refuses").await;
    assert_eq!(error.to_string(), "The server answered with an error: the database is locked at line 3 (-32000)");
    assert_eq!(error.state(), "error");
}

#[tokio::test]
async fn a_command_that_is_not_there_or_not_granted_is_not_started() {
    let bench = Bench::stdio(Path::new("/nowhere/server"), &[]).await;
    let error = bench.open(Endpoint::Stdio(spec("/nowhere/server".into(), Vec::new(), ""))).await.err().unwrap();
    assert!(matches!(&error, McpError::Unreachable(text) if text.contains("does not exist")), "{error}");
    // Withdrawn since.
    let (bench, endpoint) = server("plain").await;
    bench.host.grant.lock().unwrap().processes.clear();
    let error = bench.open(endpoint).await.err().unwrap();
    assert!(matches!(&error, McpError::Unreachable(text) if text.contains("transport-stdio")), "{error}");
}

#[tokio::test]
async fn garbage_between_messages_does_no_harm() {
    let (bench, endpoint) = server("garbage").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert_eq!(connection.discover().await.unwrap().len(), 2);
    connection.close().await;
    assert!(bench.host.log.lock().unwrap().iter().any(|line| line.contains("Welcome!")), "an operator can read it");
}

#[tokio::test]
async fn a_server_without_tools_is_an_error_with_a_name() {
    assert!(matches!(discovering("empty").await, McpError::NoTools));
    assert!(matches!(discovering("no-such-method").await, McpError::NoTools));
}

#[tokio::test]
async fn lists_without_shape_or_end_are_errors() {
    for (way, what) in [
        ("malformed", "has no tools"),
        ("nameless", "no name"),
        ("circle", "in a circle"),
        ("endless", "does not end"),
        ("too-many", "more than 1000 tools"),
        ("too-large", "4 MiB"),
    ] {
        let error = discovering(way).await;
        assert!(matches!(&error, McpError::Protocol(text) if text.contains(what)), "{way}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_is_named_with_its_exit_code() {
    let (bench, endpoint) = server("dies").await;
    let connection = bench.open(endpoint).await.unwrap();
    let error = call(&connection, "echo").await.unwrap_err();
    assert!(matches!(&error, McpError::Closed(text) if text.contains("exit code 7")), "{error}");
    assert_eq!(bench.heard.written(), ["Traceback: out of cheese"]);
    eventually("the end", || !connection.is_alive()).await;
    let again = call(&connection, "echo").await.unwrap_err();
    assert!(matches!(&again, McpError::Closed(text) if text.contains("exit code 7")), "{again}");
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection_and_one_below_it_does_not() {
    let (bench, endpoint) = server("large").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert_eq!(call(&connection, "echo").await.unwrap().text.len(), 3 << 20);
    connection.close().await;
    let (bench, endpoint) = server("huge").await;
    let connection = bench.open(endpoint).await.unwrap();
    let error = call(&connection, "echo").await.unwrap_err();
    assert!(matches!(&error, McpError::Protocol(text) if text.contains("longer than")), "{error}");
    eventually("the end", || !connection.is_alive()).await;
}

#[tokio::test]
async fn a_message_of_ours_over_the_limit_is_refused_and_the_connection_goes_on() {
    let (bench, endpoint) = server("plain").await;
    let connection = bench.open(endpoint).await.unwrap();
    for size in [4 << 20, 5 << 20] {
        let arguments = serde_json::json!({"text": "x".repeat(size)}).as_object().unwrap().clone();
        let error = call_with(&connection, "echo", arguments, Default::default()).await.unwrap_err();
        assert!(matches!(&error, McpError::Protocol(text) if text.contains("bytes")), "{error}");
    }
    assert!(call(&connection, "echo").await.is_ok(), "one failure says nothing about the next call");
    connection.close().await;
}

/// Everything that is written to the program's log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_servers_words_do_not_reach_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    // All tasks of this test run on its thread.
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let (bench, endpoint) = server("chatty").await;
    let connection = bench.open(endpoint).await.unwrap();
    assert_eq!(connection.discover().await.unwrap().len(), 2);
    let error = call(&connection, "echo").await.unwrap_err().to_string();
    assert!(error.contains("xyzzy to"), "{error}");
    connection.close().await;
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("Service initialized as client"), "rmcp's own lines are seen: {written}");
    assert!(!written.contains("xyzzy"), "{written}");
}

#[tokio::test]
async fn a_flood_is_survived() {
    let (bench, endpoint) = server("floods").await;
    let connection = timeout(Duration::from_secs(30), bench.open(endpoint)).await.unwrap().unwrap();
    for _ in 0..3 {
        timeout(Duration::from_secs(20), call(&connection, "echo")).await.unwrap().unwrap();
    }
    timeout(Duration::from_secs(11), connection.close()).await.unwrap();
}

#[tokio::test]
async fn odd_answers_are_read_as_far_as_they_go() {
    for (way, expected) in [
        ("fails", "true no such city"),
        ("twice", "false first"),
        ("broken", "The server answered with an error: its answer could not be read (-32603)"),
        ("asks", "asks questions of its own"),
    ] {
        let (bench, endpoint) = server(way).await;
        let connection = bench.open(endpoint).await.unwrap();
        let said = match call(&connection, "echo").await {
            Ok(result) => format!("{} {}", result.is_error, result.text),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{way}: {said}");
        connection.close().await;
    }
}
