//! A host that answers for one call, and the transports that ship.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_egress::{Egress, EgressConfig};
use fumehood_mcp::{Ask, Connect, Connection, Endpoint, McpError, Witness};
use fumehood_policy::{Digest, HttpRule, Origin, PluginGrant, ProcessArguments, ProcessRule, Scheme};
use fumehood_runtime::effects::Header;
use fumehood_runtime::{
    CallHost, CompiledCache, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine, Plugin,
    PluginSource, Runtime, RuntimeConfig, World,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

/// What left, as it went on record.
#[derive(Clone, Debug, Default)]
pub struct Departures {
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// Grants one server and keeps what was done.
pub struct TestHost {
    pub grant: Mutex<PluginGrant>,
    pub cancel: CancellationToken,
    pub departures: Mutex<Departures>,
    pub log: Mutex<Vec<String>>,
}

/// The value of every credential.
pub const SECRET: &str = "Bearer s3cr3t-value";

#[async_trait::async_trait]
impl CallHost for TestHost {
    fn grant(&self) -> Arc<PluginGrant> {
        Arc::new(self.grant.lock().unwrap().clone())
    }

    fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    async fn credential(&self, _handle: &str, _header: &str) -> Result<SecretString, Failure> {
        Ok(SECRET.to_owned().into())
    }

    async fn before(&self, request: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        let mut departures = self.departures.lock().unwrap();
        departures.before.push(format!("{} {:?}", request.method, request.headers));
        Ok(EffectToken(0, departures.before.len() as u64))
    }

    fn after(&self, _token: EffectToken, outcome: EffectOutcome) {
        self.departures.lock().unwrap().after.push(outcome.result);
    }

    async fn kv_get(&self, _key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(None)
    }

    async fn kv_set(&self, _key: &str, _value: Vec<u8>) -> Result<(), KvError> {
        Ok(())
    }

    async fn kv_delete(&self, _key: &str) -> Result<(), KvError> {
        Ok(())
    }

    fn log(&self, lines: Vec<LogLine>, _dropped: u64) {
        self.log.lock().unwrap().extend(lines.into_iter().map(|line| line.text));
    }
}

/// What a connection's witness was told.
#[derive(Default)]
pub struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Lines of the process's standard error.
    pub fn written(&self) -> Vec<String> {
        self.all().iter().filter_map(|line| line.strip_prefix("wrote ").map(str::to_owned)).collect()
    }

    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Witness for Heard {
    fn wrote(&self, lines: &str) {
        lines.lines().for_each(|line| self.note(format!("wrote {line}")));
    }

    fn said(&self, method: &str, params: &serde_json::Value) {
        self.note(format!("said {method} {params}"));
    }

    fn ended(&self, reason: Option<&McpError>) {
        self.note(format!("ended {}", reason.map(McpError::state).unwrap_or_default()));
    }
}

/// One call's host, runtime and transport.
pub struct Bench {
    pub host: Arc<TestHost>,
    pub egress: Arc<Egress>,
    pub heard: Arc<Heard>,
    pub call_timeout: Duration,
    pub runtime: Runtime,
    plugin: Plugin,
}

impl Bench {
    async fn new(transport: &str) -> Self {
        let egress = Arc::new(Egress::new(EgressConfig::default()).unwrap());
        // Compiled by the first test that needs it; a tag over the bytes is enough for a folder of our own.
        let cache = CompiledCache::new(
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mcp-transports"),
            Arc::new(|key, bytes| {
                let tag = |seed: u64| {
                    let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                    key.iter().chain(bytes).fold(seed, fold).to_le_bytes()
                };
                [tag(1), tag(2), tag(3), tag(4)].concat().try_into().unwrap()
            }),
        );
        let config = RuntimeConfig {
            cache,
            instances: 8,
            egress: Some(Arc::clone(&egress)),
            compiler: None,
            deterministic: false,
        };
        let runtime = Runtime::new(config).unwrap();
        let bundled = fumehood_bundle::PLUGINS.iter().find(|plugin| plugin.name == transport).unwrap();
        let source = PluginSource {
            name: bundled.name,
            version: env!("CARGO_PKG_VERSION"),
            world: World::Transport,
            component: bundled.component,
            rules: "",
        };
        let plugin = runtime.load(source).await.unwrap();
        let grant = PluginGrant::nothing(plugin.name(), Digest::new(plugin.digest()), 1);
        let host = TestHost {
            grant: Mutex::new(grant),
            cancel: CancellationToken::new(),
            departures: Mutex::default(),
            log: Mutex::default(),
        };
        Self {
            host: Arc::new(host),
            egress,
            heard: Arc::default(),
            call_timeout: Duration::from_secs(20),
            runtime,
            plugin,
        }
    }

    /// For a process at `command`.
    pub async fn stdio(command: &Path, arguments: &[String]) -> Self {
        let bench = Self::new("transport-stdio").await;
        bench.host.grant.lock().unwrap().processes.push(ProcessRule {
            path: command.to_str().unwrap().into(),
            digest: None,
            arguments: ProcessArguments::Fixed(arguments.to_vec()),
        });
        bench
    }

    /// For a server on this machine.
    pub async fn http(port: u16) -> Self {
        let bench = Self::new("transport-http").await;
        let host: fumehood_policy::HostPattern = "127.0.0.1".parse().unwrap();
        let rule = HttpRule {
            scheme: Scheme::Http,
            host: host.clone(),
            port,
            methods: ["GET", "POST", "DELETE"].iter().map(|method| method.parse().unwrap()).collect(),
            path_prefix: "/mcp".parse().unwrap(),
            allow_private: ["127.0.0.0/8".parse().unwrap()].into(),
            loopback_only: false,
            max_request_bytes: HttpRule::DEFAULT_MAX_BYTES,
            max_response_bytes: HttpRule::DEFAULT_MAX_BYTES,
            max_request_bytes_per_hour: None,
            max_response_bytes_per_hour: None,
        };
        {
            let mut grant = bench.host.grant.lock().unwrap();
            grant.http.push(rule);
            grant.credentials.push(fumehood_policy::CredentialRule {
                handle: "key".into(),
                bound_to: [Origin { scheme: Scheme::Http, host, port }].into(),
            });
        }
        bench
    }

    pub async fn open(&self, endpoint: Endpoint) -> Result<Connection, McpError> {
        let connect = Connect {
            runtime: self.runtime.clone(),
            plugin: self.plugin.clone(),
            egress: Arc::clone(&self.egress),
            name: "Example".into(),
            endpoint,
            host: Arc::clone(&self.host) as Arc<dyn CallHost>,
            call_timeout: self.call_timeout,
            challenge: Default::default(),
            witness: Some(Arc::clone(&self.heard) as Arc<dyn Witness>),
            offers: None,
            era: fumehood_mcp::Era::Any,
        };
        Connection::open(connect).await
    }

    pub async fn open_url(&self, url: &str, headers: Vec<Header>) -> Result<Connection, McpError> {
        self.open(Endpoint::Http { url: url.into(), headers }).await
    }

    /// Every request that left has its outcome on record.
    pub async fn settled(&self) {
        eventually("an outcome for each departure", || {
            let departures = self.host.departures.lock().unwrap();
            departures.before.len() == departures.after.len()
        })
        .await;
    }
}

/// Wait for something that happens elsewhere.
pub async fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..400 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited 10 s in vain for {what}");
}

/// Call a tool without arguments.
pub async fn call(connection: &Connection, tool: &str) -> Result<fumehood_mcp::ToolResult, McpError> {
    call_with(connection, tool, serde_json::Map::new(), CancellationToken::new()).await
}

/// Call a tool, as whoever holds a connection does.
pub async fn call_with(
    connection: &Connection,
    tool: &str,
    arguments: serde_json::Map<String, serde_json::Value>,
    cancel: CancellationToken,
) -> Result<fumehood_mcp::ToolResult, McpError> {
    if cancel.is_cancelled() {
        return Err(McpError::Cancelled);
    }
    let params = [("name".to_owned(), tool.into()), ("arguments".to_owned(), arguments.into())];
    let ask = Ask { method: "tools/call".into(), params: params.into_iter().collect(), ..Ask::default() };
    fumehood_mcp::ToolResult::read(connection.pass(ask, cancel.cancelled()).await?)
}
