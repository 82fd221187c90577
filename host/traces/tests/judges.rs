//! What is sent, judged by what others wrote: the definition of the protocol as OpenTelemetry publishes it, and a
//! collector (rotel). `FUMEHOOD_OTLP_JUDGE` is a Python that has `opentelemetry-proto` and `rotel`; `tests/run` makes one.
//! And by a collector of our own, which refuses what real ones let pass (`tests/fakes/otlp.mjs`, with `FUMEHOOD_NODE`).

#![cfg(feature = "exporter")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use fumehood_traces::{
    Attribute, Collector, Context, Failure, HttpMethod, HttpVersion, IdOf, Kind, Method, Name, Nanos, Phase, PostError,
    Propagation, Purpose, RequestId, Rule, Scheme, Settings, Tracer, Transport,
};
use http::{HeaderMap, Request, Response};

/// What a test needs; without it the test says so and is counted as skipped.
fn needed(variable: &str, test: &str, reason: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        eprintln!("SKIPPED {test}: {reason} ({variable})");
        if let Some(path) = std::env::var_os("FUMEHOOD_SKIPS") {
            let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
            file.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
        }
    }
    value
}

fn judge(test: &str) -> Option<String> {
    needed("FUMEHOOD_OTLP_JUDGE", test, "no Python with opentelemetry-proto and rotel")
}

/// Keeps what is sent, or passes it on to a collector.
#[derive(Default)]
struct Kept {
    bodies: Mutex<Vec<Bytes>>,
    onward: Option<u16>,
}

#[async_trait::async_trait]
impl Collector for Kept {
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Vec<u8>>, PostError> {
        self.bodies.lock().unwrap().push(request.body().clone());
        let Some(port) = self.onward else { return Ok(Response::new(Vec::new())) };
        let failed = |error: std::io::Error| PostError { message: error.to_string(), again: true };
        let (status, body) = exchange(port, &request).map_err(failed)?;
        Ok(Response::builder().status(status).body(body).unwrap())
    }
}

/// One request of HTTP/1.1, by hand: nothing in this crate dials.
#[expect(clippy::disallowed_methods, reason = "the test's own connection to its own process")]
fn exchange(port: u16, request: &Request<Bytes>) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "POST {} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: {}\r\n",
        request.uri().path(),
        request.body().len()
    )?;
    for (name, value) in request.headers() {
        write!(stream, "{name}: {}\r\n", value.to_str().unwrap())?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(request.body())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.as_bytes().to_vec()).unwrap_or_default();
    Ok((status, body))
}

/// A source of ids that gives the same ones each time.
#[derive(Clone, Default)]
struct Counting(std::sync::Arc<std::sync::atomic::AtomicU8>);

impl fumehood_traces::Randomness for Counting {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).wrapping_add(1));
        true
    }
}

/// Spans with all that a span can have.
fn spans(tracer: &Tracer) {
    let now = Nanos::from_micros(1_790_000_000_000_000);
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    headers.insert("tracestate", "rojo=1".parse().unwrap());
    let came = Propagation::default().read_headers(&headers);

    let mut web =
        tracer.start(Name::http(HttpMethod::Post, Some("/mcp/{server}")), Kind::Server, &Context::default(), now);
    for one in [
        Attribute::http_method(HttpMethod::Post),
        Attribute::http_route("/mcp/{server}"),
        Attribute::scheme(Scheme::Https),
        Attribute::http_version(HttpVersion::Http2),
    ] {
        web.set(one);
    }
    web.answered(500);

    let mut call = tracer.start(Name::mcp(Method::ToolsCall, Some("get_weather")), Kind::Server, &came, now);
    call.link(web.context());
    for one in [
        Attribute::method(Method::ToolsCall),
        Attribute::session("191c4850af6c49e08843a3f6c80e5046"),
        Attribute::protocol_version("2025-11-25"),
        Attribute::tool("get_weather"),
        Attribute::executes_tool(),
        Attribute::prompt("analyze-code"),
        Attribute::server("weather"),
        Attribute::rule(Rule::Allow),
        Attribute::transport(Transport::Pipe),
        Attribute::http(),
        Attribute::server_address("mcp.example.com"),
        Attribute::server_port(443),
        Attribute::request_bytes(0),
        Attribute::response_bytes(u64::MAX),
        Attribute::took(Phase::Scan, 17),
        Attribute::findings(3),
        Attribute::attempts(1),
        Attribute::id(IdOf::Call, 0x0198_c2d4_7c1e_7a77_8b52_0242_ac12_0002),
        Attribute::tool("ünicode"),
    ] {
        call.set(one);
    }
    call.set(Attribute::request_id(RequestId::Number(i64::MIN)));
    call.fail_with_code(-32602);

    let mut plugin = call.child(Name::fixed("plugin http"), Kind::Client, now);
    plugin.set(Attribute::plugin("transport-http"));
    plugin.set(Attribute::plugin_digest([7; 32]));
    plugin.set(Attribute::plugin_function("send"));
    plugin.set(Attribute::purpose(Purpose::Tool));
    plugin.fail(Failure::Timeout);
    let mut well = call.child(Name::fixed("scan"), Kind::Internal, now);
    well.succeed();
    for (span, later) in [(well, 1), (plugin, 2), (call, 3), (web, 4)] {
        span.end(Nanos(now.0 + later));
    }
}

/// What an exporter sends of these spans.
async fn sent(protocol: &str, collector: &Kept) -> Tracer {
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:4318".to_owned()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        "OTEL_RESOURCE_ATTRIBUTES" => Some("deployment.environment.name=pr%C3%BCfung%20\"1\"".to_owned()),
        _ => None,
    };
    let settings = Settings::read("1.2.3", get).unwrap().unwrap();
    let (tracer, exporter) = Tracer::with_exporter(settings, Counting::default());
    spans(&tracer);
    exporter.run(collector, async {}, Duration::from_secs(30)).await;
    tracer
}

#[tokio::test]
async fn what_is_sent_is_as_the_protocol_defines_it() {
    let Some(python) = judge("what_is_sent_is_as_the_protocol_defines_it") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for protocol in ["http/json", "http/protobuf"] {
        let kept = Kept::default();
        sent(protocol, &kept).await;
        let bodies = kept.bodies.into_inner().unwrap();
        assert_eq!(bodies.len(), 1);
        let file = folder.path().join(protocol.replace('/', "."));
        std::fs::write(&file, &bodies[0]).unwrap();
        files.push(file);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge.py");
    let out = Command::new(&python).arg(script).args(&files).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "4");

    // The judge can tell: a field by another name, a number that is none, and another message are refused.
    let json = std::fs::read_to_string(&files[0]).unwrap();
    for (from, to) in [
        ("\"startTimeUnixNano\"", "\"start_time\""),
        ("\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\""),
        ("\"intValue\":\"443\"", "\"intValue\":443"),
        ("get_weather", "get_whether"),
        ("4bf92f35", "4bf92f"),
    ] {
        assert!(json.contains(from), "{from} is not in {json}");
        std::fs::write(&files[0], json.replace(from, to)).unwrap();
        let out = Command::new(&python).arg(script).args(&files).output().unwrap();
        assert!(!out.status.success(), "{to} was taken");
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_collector_takes_what_is_sent() {
    let Some(python) = judge("a_collector_takes_what_is_sent") else { return };
    let find = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let found = Command::new(&python).args(["-c", find]).output().unwrap();
    let program = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    let (http, grpc) = (free_port(), free_port());
    let mut collector = Command::new(&program)
        .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
        .args([
            "--otlp-http-endpoint",
            &format!("127.0.0.1:{http}"),
            "--otlp-grpc-endpoint",
            &format!("127.0.0.1:{grpc}"),
        ])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = collector.stdout.take().unwrap();
    let _running = Running(collector);
    #[expect(clippy::disallowed_methods, reason = "the test's own connection to its own process")]
    let listens = || TcpStream::connect(("127.0.0.1", http)).is_ok();
    tokio::time::timeout(Duration::from_secs(30), async {
        while !listens() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the collector does not listen");
    for protocol in ["http/json", "http/protobuf"] {
        let tracer = sent(protocol, &Kept { onward: Some(http), ..Kept::default() }).await;
        let numbers = tracer.numbers();
        assert_eq!((numbers.exported(), numbers.failed(), numbers.rejected()), (4, 0, 0), "{protocol}");
    }
    // It says what it understood: a line of each part of a span.
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || BufReader::new(said).lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let mut heard = String::new();
    for part in ["4bf92f3577b34da6a3ce929d0e0e4736", "tools/call get_weather", "gen_ai.tool.name", "-32602", "weather"]
    {
        while !heard.contains(part) {
            let line =
                lines.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("it never said {part}: {heard}"));
            heard.push_str(&line);
            heard.push('\n');
        }
    }
}

/// What the fake says under a name.
fn said(port: u16, name: &str) -> serde_json::Value {
    let request = Request::post(format!("/__{name}")).body(Bytes::new()).unwrap();
    let (status, body) = exchange(port, &request).unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_strict_collector_refuses_none_of_it() {
    let test = "a_strict_collector_refuses_none_of_it";
    let Some(node) = needed("FUMEHOOD_NODE", test, "Node.js 22 is missing") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fakes/otlp.mjs");
    let script = std::fs::canonicalize(script).unwrap();
    let mut fake =
        Running(Command::new(node).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(fake.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    for protocol in ["http/json", "http/protobuf"] {
        let tracer = sent(protocol, &Kept { onward: Some(port), ..Kept::default() }).await;
        assert_eq!(said(port, "refused"), serde_json::json!([]), "{protocol}");
        assert_eq!(tracer.numbers().exported(), 4, "{protocol}");
    }
    // The same spans came twice, once in each encoding, and were found to be the same.
    let spans = said(port, "spans");
    assert_eq!((spans.as_array().map(Vec::len), said(port, "again")), (Some(4), 4.into()));
    let call = spans.as_array().unwrap().iter().find(|span| span["name"] == "tools/call get_weather").unwrap();
    assert_eq!(call["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(call["attributes"]["gen_ai.tool.name"], "_OTHER");
    assert_eq!((&call["message"], &call["events"], &call["traceState"]), (&"".into(), &0.into(), &"".into()));
}
