//! Over streamable HTTP: both eras, credentials, refusals, and what breaks on the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_mcp::McpError;
use fumehood_runtime::effects::{Header, HeaderValue};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::fake_process::tool;
use crate::fake_web::{Reply, Seen, Web, newer, older};
use crate::support::{Bench, SECRET, call, call_with, eventually};

fn key() -> Vec<Header> {
    vec![Header { name: "authorization".into(), value: HeaderValue::Credential("key".into()) }]
}

/// A server of the older era that answers calls in another way.
async fn calls_get(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Web, Bench) {
    let web = Web::start(move |request| match request.rpc() {
        "tools/call" => reply(request),
        _ => older(request, false),
    })
    .await;
    let bench = Bench::http(web.port).await;
    (web, bench)
}

#[tokio::test]
async fn an_older_server_is_discovered_called_and_its_session_ended() {
    let web = Web::start(|request| older(request, true)).await;
    let bench = Bench::http(web.port).await;
    let connection = bench.open_url(&web.url(), key()).await.unwrap();
    let tools = connection.discover().await.unwrap();
    assert_eq!(tools[0].raw, tool("echo"));
    let arguments = json!({"text": "hi"}).as_object().unwrap().clone();
    let result = call_with(&connection, "echo", arguments, CancellationToken::new()).await.unwrap();
    assert_eq!((result.text.as_str(), &result.raw["x-trace"]), (r#"you said {"text":"hi"}"#, &json!("t")));
    connection.close().await;
    bench.settled().await;
    let seen = web.seen.lock().unwrap().clone();
    let rpcs: Vec<&str> = seen.iter().map(Seen::rpc).filter(|rpc| !rpc.is_empty()).collect();
    assert_eq!(rpcs, ["server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call"]);
    assert!(seen.iter().all(|request| request.header("authorization") == SECRET), "each request has the credential");
    assert!(seen.iter().any(|request| request.method == "DELETE" && request.header("mcp-session-id") == "s-1"));
    let list = seen.iter().find(|request| request.rpc() == "tools/list").unwrap();
    assert_eq!((list.header("mcp-session-id"), list.header("mcp-protocol-version")), ("s-1", "2025-11-25"));
    let departures = bench.host.departures.lock().unwrap().clone();
    assert_eq!(departures.before.len(), seen.len(), "each request is on record before it leaves");
    assert!(!format!("{departures:?}").contains("s3cr3t"), "the credential is not");
}

#[tokio::test]
async fn a_newer_server_is_spoken_to_in_its_own_era() {
    let web = Web::start(newer).await;
    let bench = Bench::http(web.port).await;
    let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
    assert_eq!(connection.discover().await.unwrap()[0].name, "echo");
    assert_eq!(call(&connection, "echo").await.unwrap().text, "done");
    connection.close().await;
    bench.settled().await;
    assert_eq!(web.rpcs(), ["server/discover", "tools/list", "tools/call"], "no handshake, no session");
    let seen = web.seen.lock().unwrap().clone();
    assert_eq!((seen[2].header("mcp-method"), seen[2].header("mcp-name")), ("tools/call", "echo"));
    assert_eq!(seen[2].header("mcp-protocol-version"), "2026-07-28");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (status, expected) in [
        (401, "The server did not let us in: "),
        (403, "The server did not let us in: "),
        (503, "The server cannot be reached: "),
        (429, "The server cannot be reached: "),
    ] {
        let web = Web::start(move |_| Reply::Status(status, "")).await;
        let bench = Bench::http(web.port).await;
        let error = bench.open_url(&web.url(), key()).await.err().unwrap().to_string();
        assert!(error.starts_with(expected) && error.contains(&status.to_string()), "{status}: {error}");
        assert!(!error.contains(".."), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
        bench.settled().await;
    }
}

#[tokio::test]
async fn a_wrong_path_or_a_web_page_is_named() {
    let web = Web::start(|_| Reply::Status(404, "")).await;
    let bench = Bench::http(web.port).await;
    let error = bench.open_url(&web.url(), Vec::new()).await.err().unwrap();
    assert!(matches!(&error, McpError::Unreachable(text) if text.contains("404")), "{error:?}");
    let web = Web::start(|_| Reply::Status(200, "content-type: text/html\r\n")).await;
    let bench = Bench::http(web.port).await;
    let error = bench.open_url(&web.url(), Vec::new()).await.err().unwrap();
    assert!(matches!(&error, McpError::Protocol(text) if text.contains("web page")), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_not_granted_is_unreachable() {
    let web = Web::start(newer).await;
    let bench = Bench::http(web.port).await;
    // Another path than the granted one.
    let elsewhere = format!("http://127.0.0.1:{}/other", web.port);
    let error = bench.open_url(&elsewhere, Vec::new()).await.err().unwrap();
    assert!(matches!(error, McpError::Unreachable(_)), "{error:?}");
    assert!(web.seen.lock().unwrap().is_empty(), "nothing left");
    // A port where nobody listens.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let bench = Bench::http(port).await;
    let error = bench.open_url(&format!("http://127.0.0.1:{port}/mcp"), Vec::new()).await.err().unwrap();
    assert_eq!((error.state(), matches!(error, McpError::Unreachable(_))), ("unreachable", true), "{error:?}");
    bench.settled().await;
    // No URL at all.
    let error = bench.open_url("not a url", Vec::new()).await.err().unwrap();
    assert!(matches!(&error, McpError::Plugin(failed) if failed.code() == "invalid"), "{error:?}");
}

#[tokio::test]
async fn a_call_that_broke_on_the_way_may_have_been_carried_out() {
    for reply in ["cut", "500"] {
        let (web, bench) = calls_get(move |_| match reply {
            "cut" => Reply::CutShort,
            _ => Reply::Status(500, ""),
        })
        .await;
        let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
        let error = call(&connection, "echo").await.unwrap_err();
        assert!(matches!(error, McpError::Closed(_)), "{reply}: {error:?}");
        assert_eq!(connection.discover().await.unwrap().len(), 1, "the next request is another matter");
        assert_eq!(web.rpcs().iter().filter(|rpc| *rpc == "tools/call").count(), 1, "it is not sent again");
        connection.close().await;
        bench.settled().await;
    }
}

#[tokio::test]
async fn an_error_of_one_call_says_nothing_about_the_next() {
    let failing = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&failing);
    let (web, bench) = calls_get(move |request| match now.swap(false, Ordering::SeqCst) {
        true => Reply::Status(429, "retry-after: 1\r\n"),
        false => Reply::Json(request.error(-32602, "no such tool")),
    })
    .await;
    let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
    assert!(matches!(call(&connection, "echo").await, Err(McpError::Unreachable(_))));
    let error = call(&connection, "echo").await.unwrap_err();
    assert_eq!(error.to_string(), "The server answered with an error: no such tool (-32602)");
    connection.close().await;
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_its_connection_closed() {
    let (web, mut bench) = calls_get(|_| Reply::Hang).await;
    bench.call_timeout = Duration::from_millis(300);
    let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
    assert!(matches!(call(&connection, "echo").await, Err(McpError::TimedOut { .. })));
    eventually("the cancellation upstream", || web.rpcs().iter().any(|rpc| rpc == "notifications/cancelled")).await;
    eventually("the end of its connection", || *web.open.lock().unwrap() == 0).await;
    bench.settled().await;
    connection.close().await;
}

#[tokio::test]
async fn the_sash_ends_requests_at_once() {
    let (web, bench) = calls_get(|_| Reply::Hang).await;
    let connection = Arc::new(bench.open_url(&web.url(), Vec::new()).await.unwrap());
    let waiting = Arc::clone(&connection);
    let call = tokio::spawn(async move { call(&waiting, "echo").await });
    eventually("the call's arrival", || web.rpcs().iter().any(|rpc| rpc == "tools/call")).await;
    let start = Instant::now();
    bench.host.cancel.cancel();
    assert!(matches!(call.await.unwrap(), Err(McpError::Cancelled)));
    eventually("the end of its connection", || *web.open.lock().unwrap() == 0).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    bench.settled().await;
    assert!(matches!(connection.discover().await, Err(McpError::Cancelled)));
    assert_eq!(web.rpcs().iter().filter(|rpc| *rpc == "tools/list").count(), 0, "nothing leaves any more");
}

#[tokio::test]
async fn dropping_ends_requests() {
    let (web, bench) = calls_get(|_| Reply::Hang).await;
    let connection = Arc::new(bench.open_url(&web.url(), Vec::new()).await.unwrap());
    let waiting = Arc::clone(&connection);
    let call = tokio::spawn(async move { call(&waiting, "echo").await });
    eventually("the call's arrival", || web.rpcs().iter().any(|rpc| rpc == "tools/call")).await;
    call.abort();
    drop(connection);
    eventually("the end of its connection", || *web.open.lock().unwrap() == 0).await;
    bench.settled().await;
}

#[tokio::test]
async fn a_flood_in_an_answer_is_bounded() {
    let (web, mut bench) = calls_get(|_| Reply::Flood).await;
    bench.call_timeout = Duration::from_secs(10);
    let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
    let error = timeout(Duration::from_secs(15), call(&connection, "echo")).await.unwrap().unwrap_err();
    assert!(matches!(&error, McpError::Closed(text) if text.contains("max_response_bytes")), "{error:?}");
    eventually("the end of its connection", || *web.open.lock().unwrap() == 0).await;
    timeout(Duration::from_secs(11), connection.close()).await.unwrap();
    bench.settled().await;
}

#[tokio::test]
async fn the_grant_is_asked_for_each_request() {
    let web = Web::start(|request| older(request, false)).await;
    let bench = Bench::http(web.port).await;
    let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
    assert!(call(&connection, "echo").await.is_ok());
    bench.host.grant.lock().unwrap().http.clear();
    let error = call(&connection, "echo").await.unwrap_err();
    assert!(matches!(&error, McpError::Unreachable(text) if text.contains("transport-http")), "{error:?}");
    assert_eq!(web.rpcs().iter().filter(|rpc| *rpc == "tools/call").count(), 1);
    connection.close().await;
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_renewed_without_a_word() {
    let forgotten = Arc::new(Mutex::new(true));
    let once = Arc::clone(&forgotten);
    let web = Web::start(move |request| match request.rpc() {
        "tools/call" if std::mem::take(&mut *once.lock().unwrap()) => Reply::Status(404, ""),
        _ => older(request, true),
    })
    .await;
    let bench = Bench::http(web.port).await;
    let connection = bench.open_url(&web.url(), Vec::new()).await.unwrap();
    assert_eq!(call(&connection, "echo").await.unwrap().text, "you said {}");
    assert_eq!(web.rpcs().iter().filter(|rpc| *rpc == "initialize").count(), 2);
    connection.close().await;
    bench.settled().await;
}
