//! A granted request: by a plugin through the runtime, and by the same client called directly.
//!
//! The plugin is the hostile integration of `tests/hostile/outlaw`, which here does what it was granted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_egress::{Egress, EgressConfig, HttpRequest};
use fumehood_policy::{Digest, Manifest, PluginGrant};
use fumehood_runtime::{CompiledCache, Integration, PluginSource, Runtime, RuntimeConfig, World, limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::measure::{Report, median, rounds};

const ROUNDS: usize = 15;
const CALLS: usize = 100;

pub fn run(report: &mut Report) {
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile/outlaw/dist/outlaw.wasm");
    let Ok(component) = std::fs::read(component) else {
        println!("granted request: skipped, because tests/hostile/outlaw is not built (tests/run --only plugins)");
        return;
    };
    // The server on a thread of its own, so that it costs both sides the same.
    let (port, _server) = serve();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let egress = Arc::new(Egress::new(EgressConfig::default()).unwrap());
    let base = format!("http://127.0.0.1:{port}/api");
    let (integration, host) = tokio.block_on(async {
        let runtime = Runtime::new(RuntimeConfig {
            cache: CompiledCache::none(),
            instances: limits::INSTANCES,
            egress: Some(Arc::clone(&egress)),
            compiler: None,
            deterministic: false,
        })
        .unwrap();
        let world = World::Integration;
        let source = PluginSource { name: "outlaw", version: "1.0.0", world, component: &component, rules: "{}" };
        let plugin = runtime.load(source).await.unwrap();
        let manifest = include_str!("../../hostile/outlaw/fumehood.toml");
        let asks = Manifest::parse(manifest).unwrap().asks(Digest::new([0; 32]));
        let nets = ["127.0.0.1/32".parse().unwrap()].into();
        let rule = asks.configured[0].at(&base.parse().unwrap(), nets).unwrap();
        let grant = PluginGrant { http: vec![rule], ..PluginGrant::nothing("outlaw", Digest::new([0; 32]), 1) };
        let host = Arc::new(Host { grant: Arc::new(grant), stop: CancellationToken::new() });
        let config = BTreeMap::from([("base-url".into(), base.clone()), ("attack".into(), "honest".into())]);
        (Integration::new(runtime, plugin, config), host)
    });
    let ours = || {
        tokio.block_on(timed(async || {
            let account = integration.test_connection(host.clone()).await.unwrap();
            assert_eq!(account.name, "200 with 2 bytes");
        }))
    };
    let reference = || {
        tokio.block_on(timed(async || {
            let request = HttpRequest {
                method: http::Method::GET,
                url: format!("{base}/me").parse().unwrap(),
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
                first_byte: Duration::from_secs(10),
                idle: None,
                vet: Arc::new(|_| Ok(())),
                max_response_bytes: 1 << 20,
            };
            let mut answer = egress.send(request, CancellationToken::new()).await.unwrap();
            let mut size = 0;
            while let Some(chunk) = answer.next_chunk().await.unwrap() {
                size += chunk.len();
            }
            assert_eq!(size, 2);
        }))
    };
    ours();
    reference();
    println!("granted request: {ROUNDS} rounds of {CALLS} requests each, with the plugin's fresh instance");
    report.ratio(
        "a granted request by a plugin, against the same client",
        "µs",
        &rounds(ROUNDS, ours, reference),
        None,
    );
}

async fn timed(mut call: impl AsyncFnMut()) -> f64 {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        call().await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    median(&times)
}

/// Answers every connection once with `{}`.
fn serve() -> (u16, tokio::runtime::Runtime) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = tokio.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                drop(stream.read(&mut buffer).await);
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await);
            });
        }
    });
    (port, tokio)
}
