//! `fumehood plugin test`: a plugin in the real runtime, with scripted answers in the place of the network.
//!
//! Nothing of it depends on the day, the machine or the network: clocks stand still, random numbers repeat themselves, and
//! a request that no case expects is a failure and never sent. What the manifest asks for is granted, and nothing else.

mod cases;
mod host;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use fumehood_egress::Egress;
use fumehood_policy::Manifest;
use fumehood_redact::Redacted;
use fumehood_runtime::integration::{Document, Integration};
use fumehood_runtime::provider::{Message, Provider, Request};
use fumehood_runtime::{
    CallError, Chunk, CompiledCache, Event, Plugin, PluginSource, Runtime, RuntimeConfig, TransportConnection, World,
};

use self::cases::{Case, Expected, File};
use self::host::TestHost;
use super::build::Project;

pub fn run(folder: &Path, only: &str) -> anyhow::Result<ExitCode> {
    let project = Project::open(folder)?;
    let path = project.component();
    let component = std::fs::read(&path)
        .with_context(|| format!("{} cannot be read; build it first: fumehood plugin build", path.display()))?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("tests"))
        .with_context(|| format!("{} holds no folder tests", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.extension().is_some_and(|end| end == "toml")))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("there is no .toml file in {}/tests", folder.display());
    }
    let executor = tokio::runtime::Runtime::new()?;
    executor.block_on(async {
        let bench = Bench::new(&project.manifest, component)?;
        let (mut passed, mut failed) = (0, 0);
        for path in files {
            let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
            for case in file.cases.iter().filter(|case| case.name.contains(only)) {
                match bench.try_case(case).await {
                    Ok(()) => {
                        passed += 1;
                        println!("ok      {}", case.name);
                    }
                    Err(error) => {
                        failed += 1;
                        println!("FAILED  {}\n        {}", case.name, format!("{error:#}").replace('\n', "\n        "));
                    }
                }
            }
        }
        println!("{passed} passed, {failed} failed");
        Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

struct Bench<'a> {
    manifest: &'a Manifest,
    component: Vec<u8>,
    runtime: Runtime,
    /// By the rules that they were prepared with: compiling takes its time.
    loaded: tokio::sync::Mutex<HashMap<String, Plugin>>,
}

/// Something is not as the case has it.
macro_rules! differs {
    ($what:expr, $is:expr, $wanted:expr) => {
        bail!("{}\n  is     {}\n  wanted {}", $what, $is, $wanted)
    };
}

impl<'a> Bench<'a> {
    fn new(manifest: &'a Manifest, component: Vec<u8>) -> anyhow::Result<Self> {
        // Never used to reach anything: every request is answered by its case.
        let egress = Arc::new(Egress::new(Default::default())?);
        let runtime = Runtime::new(RuntimeConfig {
            cache: CompiledCache::none(),
            instances: 4,
            egress: Some(egress),
            compiler: None,
            deterministic: true,
        })?;
        Ok(Self { manifest, component, runtime, loaded: Default::default() })
    }

    async fn load(&self, rules: &str) -> Result<Plugin, fumehood_runtime::LoadError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(plugin) = loaded.get(rules) {
            return Ok(plugin.clone());
        }
        let world = match self.manifest.world.as_str() {
            "scanner" => World::Scanner,
            "provider" => World::Provider,
            "integration" => World::Integration,
            _ => World::Transport,
        };
        let source = PluginSource {
            name: &self.manifest.name,
            version: &self.manifest.version,
            world,
            component: &self.component,
            rules,
        };
        let plugin = self.runtime.load(source).await?;
        loaded.insert(rules.to_owned(), plugin.clone());
        Ok(plugin)
    }

    async fn try_case(&self, case: &Case) -> anyhow::Result<()> {
        let plugin = match self.load(case.rules.as_deref().unwrap_or("{}")).await {
            Ok(_) if case.fails.as_deref() == Some("prepare") => bail!("preparing went well, and should have failed"),
            Ok(plugin) => plugin,
            Err(fumehood_runtime::LoadError::Prepare { .. }) if case.fails.as_deref() == Some("prepare") => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let host = TestHost::new(self.manifest, &plugin, case)?;
        let result = match self.manifest.world.as_str() {
            "scanner" => self.scan(&plugin, case, &host).await,
            "provider" => self.complete(&plugin, case, &host).await,
            "integration" => self.call(&plugin, case, &host).await,
            _ => self.connect(&plugin, case, &host).await,
        };
        host.finish(result, case)
    }

    async fn scan(&self, plugin: &Plugin, case: &Case, host: &Arc<TestHost>) -> anyhow::Result<Result<(), CallError>> {
        let text = case.text.as_deref().context("a scanner's case has a `text`")?;
        let chunk = Chunk { text, offset: 0, continues_before: false, continues_after: false, name: None };
        let output = match self.runtime.scan(plugin, chunk, Some(host.clone())).await {
            Ok(output) => output,
            Err(error) => return Ok(Err(error)),
        };
        let known = self.runtime.detects(plugin, None).await?;
        let mut found = Vec::new();
        for one in &output.findings {
            if !known.iter().any(|kind| kind.name == one.kind) {
                bail!("it found a {}, which `detects` does not name", one.kind);
            }
            found.push(format!("{} {:?} at {}", one.kind, text.get(one.start..one.end).unwrap_or_default(), one.start));
        }
        let mut wanted = Vec::new();
        let mut from = HashMap::<&str, usize>::new();
        for one in case.findings.iter().flatten() {
            // The same value again means its next occurrence.
            let behind = from.get(one.text.as_str()).copied().unwrap_or(0);
            let at = text.get(behind..).and_then(|rest| rest.find(&one.text)).map(|at| at + behind);
            let at = at.with_context(|| format!("the text holds no {:?}", one.text))?;
            from.insert(&one.text, at + one.text.len());
            wanted.push(format!("{} {:?} at {at}", one.kind, one.text));
        }
        found.sort();
        wanted.sort();
        if case.fails.is_none() && found != wanted {
            differs!("findings", found.join(", "), wanted.join(", "));
        }
        Ok(Ok(()))
    }

    async fn call(&self, plugin: &Plugin, case: &Case, host: &Arc<TestHost>) -> anyhow::Result<Result<(), CallError>> {
        let integration = Integration::new(self.runtime.clone(), plugin.clone(), case.settings());
        let values: Vec<(&str, String)> = match case.call.as_deref().unwrap_or_default() {
            "test-connection" => match integration.test_connection(host.clone()).await {
                Ok(account) => vec![("name", account.name), ("product", account.product)],
                Err(error) => return Ok(Err(error)),
            },
            "list-projects" => match integration.list_projects(None, host.clone()).await {
                Ok((projects, next)) => {
                    let keys: Vec<String> = projects.into_iter().map(|project| project.key).collect();
                    vec![("keys", keys.join(", ")), ("next", next.unwrap_or_default())]
                }
                Err(error) => return Ok(Err(error)),
            },
            "publish-document" => {
                let written = case.document.as_ref().context("`publish-document` needs a `document`")?;
                let document = Document {
                    marker: written.marker.clone(),
                    project: written.project.clone(),
                    parent: None,
                    title: as_sent(&written.title),
                    markdown: as_sent(&written.markdown),
                    known: None,
                    overwrite: false,
                };
                match integration.publish_document(&document, host.clone()).await {
                    Ok(done) => vec![
                        ("id", done.remote.id),
                        ("version", done.remote.version),
                        ("url", done.url),
                        ("title", done.title),
                        ("outcome", done.outcome),
                    ],
                    Err(error) => return Ok(Err(error)),
                }
            }
            other => bail!("`call` is test-connection, list-projects or publish-document, not `{other}`"),
        };
        compare(case, &values)?;
        Ok(Ok(()))
    }

    async fn complete(
        &self,
        plugin: &Plugin,
        case: &Case,
        host: &Arc<TestHost>,
    ) -> anyhow::Result<Result<(), CallError>> {
        let provider = Provider::new(self.runtime.clone(), plugin.clone(), case.settings());
        if case.call.as_deref() == Some("models") {
            let models = match provider.models(host.clone()).await {
                Ok(models) => models,
                Err(error) => return Ok(Err(error)),
            };
            let ids: Vec<String> = models.into_iter().map(|model| model.id).collect();
            compare(case, &[("ids", ids.join(", "))])?;
            return Ok(Ok(()));
        }
        let request = Request {
            model: case.model.clone().unwrap_or_default(),
            messages: vec![Message::plain("user", as_sent(case.prompt.as_deref().unwrap_or_default()))],
            tools: Vec::new(),
            max_output_tokens: None,
        };
        let mut answer = match provider.complete(&request, host.clone()).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        let (mut text, mut stop, mut calls) = (String::new(), String::new(), Vec::new());
        loop {
            match answer.next().await {
                Ok(Some(event)) => {
                    text += &event.text;
                    calls.extend(event.tool_calls.into_iter().map(|call| format!("{}({})", call.name, call.arguments)));
                    if let Some(why) = event.stop {
                        stop = why;
                    }
                }
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        compare(case, &[("text", text), ("stop", stop), ("tool-calls", calls.join(", "))])?;
        Ok(Ok(()))
    }

    async fn connect(
        &self,
        plugin: &Plugin,
        case: &Case,
        host: &Arc<TestHost>,
    ) -> anyhow::Result<Result<(), CallError>> {
        let name = "test";
        let opened =
            TransportConnection::open(&self.runtime, plugin, name, case.url.as_deref(), Vec::new(), host.clone()).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        for (at, event) in case.events.iter().enumerate() {
            let sent = Event {
                kind: cases::event_kind(&event.kind)?,
                id: event.id,
                data: event.data.clone().into_bytes(),
                status: event.status,
                headers: event.headers.clone().into_iter().collect(),
                code: event.code.clone(),
                text: event.text.clone(),
            };
            let actions = match connection.handle(sent).await {
                Ok(actions) => actions,
                Err(error) => return Ok(Err(error)),
            };
            let what = format!("the actions after event {} ({})", at + 1, event.kind);
            if actions.len() != event.actions.len() {
                let kinds: Vec<&str> = actions.iter().map(|action| action.kind.as_str()).collect();
                let wanted: Vec<&str> = event.actions.iter().map(|action| action.kind.as_str()).collect();
                differs!(what, kinds.join(", "), wanted.join(", "));
            }
            for (is, wanted) in actions.iter().zip(&event.actions) {
                wanted.check(is).with_context(|| what.clone())?;
            }
        }
        Ok(Ok(()))
    }
}

/// Text of a case, which is what leaves: pseudonyms in it stay what they are. Kept to the end of the process, as the
/// type of text that nobody has to mask asks for; a case is its author's own.
fn as_sent(text: &str) -> Redacted {
    Redacted::literal(Box::leak(text.to_owned().into_boxed_str()))
}

/// What was given back, against what the case names of it.
fn compare(case: &Case, values: &[(&str, String)]) -> anyhow::Result<()> {
    for (name, wanted) in &case.result {
        let known = || values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let found = values.iter().find(|(key, _)| key == name);
        let (_, is) = found.with_context(|| format!("`result` has no `{name}`; it has {}", known()))?;
        let wanted = match wanted {
            Expected::One(text) => text.clone(),
            Expected::Several(texts) => texts.join(", "),
        };
        if *is != wanted && case.fails.is_none() {
            differs!(format!("`{name}`"), format!("{is:?}"), format!("{wanted:?}"));
        }
    }
    Ok(())
}
