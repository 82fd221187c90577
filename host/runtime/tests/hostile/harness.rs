//! What the tests share: a runtime with room for one instance, an honest scanner, and a host that keeps the log.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fumehood_policy::{Digest, PluginGrant};
use fumehood_runtime::provider::Provider;
use fumehood_runtime::{
    CallError, CallHost, Chunk, CompiledCache, EffectOutcome, EffectRequest, EffectToken, Event, Failure, KvError,
    LoadError, LogLine, Plugin, PluginSource, RawFinding, Runtime, RuntimeConfig, ScanOutput, TransportConnection,
    World,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::guest;

/// What every scanner is given: 25 bytes, the tenth and eleventh are one character.
pub const TEXT: &str = "Mail to jöhn@example.org";

/// What the head of an attack says.
pub struct Case<'a> {
    pub world: World,
    pub call: &'a str,
    pub expect: &'a str,
    pub code: Option<&'a str>,
}

impl<'a> Case<'a> {
    pub fn parse(text: &'a str) -> Self {
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(";; ")?.strip_prefix(name)?.strip_prefix(": "));
        Self {
            world: match field("world") {
                None | Some("scanner") => World::Scanner,
                Some("transport") => World::Transport,
                Some("provider") => World::Provider,
                Some(other) => panic!("no attack is built as {other}"),
            },
            call: field("call").unwrap_or_default(),
            expect: ["says", "finds", "does"].into_iter().find_map(field).expect("what must come of it"),
            code: field("code"),
        }
    }
}

/// Run a test on one thread.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("an executor").block_on(test);
}

/// A runtime with room for few instances: what is not given back is missed at once.
pub struct Room(pub Runtime);

impl Room {
    pub fn new() -> Self {
        Self::with(1, CompiledCache::none())
    }

    pub fn with(instances: u32, cache: CompiledCache) -> Self {
        Self(
            Runtime::new(RuntimeConfig { cache, instances, egress: None, compiler: None, deterministic: false })
                .expect("an engine"),
        )
    }

    pub async fn load(&self, world: World, component: &[u8]) -> Result<Plugin, LoadError> {
        let source = PluginSource { name: "hostile", version: "0.1.0", world, component, rules: "{}" };
        self.0.load(source).await
    }

    /// A scanner from text.
    pub async fn scanner(&self, text: &str) -> Plugin {
        self.load(World::Scanner, &guest::component(World::Scanner, text)).await.expect("it loads")
    }

    pub async fn honest(&self) -> Honest {
        Honest(self.scanner(include_str!("good.wat")).await)
    }
}

pub async fn scan(room: &Room, plugin: &Plugin, host: Option<Arc<dyn CallHost>>) -> Result<ScanOutput, CallError> {
    let chunk = Chunk { text: TEXT, offset: 0, continues_before: false, continues_after: false, name: None };
    room.0.scan(plugin, chunk, host).await
}

/// The scanner that is asked after each attack.
pub struct Honest(Plugin);

impl Honest {
    /// It answers, rightly, and in less than 100 ms: the best of three, because the machine has other work, too.
    pub async fn answers(&self, room: &Room) {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let output = scan(room, &self.0, None).await.expect("the honest scanner answers");
            best = best.min(began.elapsed());
            assert_eq!(shown(&output.findings), "EMAIL 13..14 1 rule");
        }
        assert!(best < Duration::from_millis(100), "the honest scanner took {best:?}");
    }
}

/// Findings as the heads of the attacks write them.
pub fn shown(findings: &[RawFinding]) -> String {
    let shown: Vec<_> = findings
        .iter()
        .map(|finding| {
            let kind = fumehood_redact::Kind::new(&finding.kind);
            let shown =
                format!("{kind} {}..{} {} {}", finding.start, finding.end, finding.confidence, finding.detector);
            shown.trim_end().to_owned()
        })
        .collect();
    shown.join(", ")
}

/// What comes of an attack, and the code of the error where it is one.
pub async fn said(room: &Room, case: &Case<'_>, text: &str) -> (String, Option<String>) {
    let plugin = match room.load(case.world, &guest::component(case.world, text)).await {
        Ok(_) if case.call == "load" => return ("it was loaded".into(), None),
        Ok(plugin) => plugin,
        Err(error) => return (error.to_string(), None),
    };
    let host = Arc::new(Host::default());
    let result = match (case.world, case.call) {
        (World::Scanner, "detects") => room.0.detects(&plugin, Some(host)).await.map(|kinds| format!("{kinds:?}")),
        (World::Scanner, _) => scan(room, &plugin, Some(host)).await.map(|output| shown(&output.findings)),
        (World::Provider, _) => {
            let provider = Provider::new(room.0.clone(), plugin, Default::default());
            provider.models(host).await.map(|models| format!("{models:?}"))
        }
        _ => match TransportConnection::open(&room.0, &plugin, "server", None, Vec::new(), host).await {
            Ok(mut connection) => {
                let event = Event { kind: "start", ..Event::default() };
                connection.handle(event).await.map(|actions| actions.len().to_string())
            }
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(shown) => (shown, None),
        Err(error) => (error.to_string(), Some(error.code().to_owned())),
    }
}

/// Grants nothing and keeps the log.
#[derive(Default)]
pub struct Host {
    log: Mutex<(Vec<LogLine>, u64)>,
    /// What stops its calls.
    pub stop: CancellationToken,
}

impl Host {
    /// What was logged since the last time, and how much was dropped.
    pub fn take(&self) -> (Vec<LogLine>, u64) {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl CallHost for Host {
    fn grant(&self) -> Arc<PluginGrant> {
        Arc::new(PluginGrant::nothing("hostile", Digest::new([0; 32]), 0))
    }
    fn cancellation(&self) -> CancellationToken {
        self.stop.clone()
    }
    async fn credential(&self, _: &str, _: &str) -> Result<SecretString, Failure> {
        Err(Failure::new("denied", "no credential"))
    }
    async fn before(&self, _: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        Err(Failure::new("denied", "no effect"))
    }
    fn after(&self, _: EffectToken, _: EffectOutcome) {}
    async fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(None)
    }
    async fn kv_set(&self, _: &str, _: Vec<u8>) -> Result<(), KvError> {
        Ok(())
    }
    async fn kv_delete(&self, _: &str) -> Result<(), KvError> {
        Ok(())
    }
    fn log(&self, mut lines: Vec<LogLine>, dropped: u64) {
        let mut log = self.log.lock().unwrap();
        log.0.append(&mut lines);
        log.1 += dropped;
    }
}
