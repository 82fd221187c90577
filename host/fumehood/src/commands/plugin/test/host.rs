//! The host's side of a call in a plugin's own tests: a grant from the manifest, answers from the case, values in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use anyhow::bail;
use fumehood_egress::HttpRequest;
use fumehood_policy::Manifest;
use fumehood_runtime::{
    CallError, CallHost, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine, Plugin, ScriptedAnswer,
};
use fumehood_triage::plugins::{Digest, PluginGrant, as_set_up};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::cases::{Asked, Case};

pub struct TestHost {
    grant: Arc<PluginGrant>,
    expected: Mutex<VecDeque<ExpectedRequest>>,
    state: Mutex<State>,
}

struct ExpectedRequest {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    answer: Result<ScriptedAnswer, Failure>,
}

#[derive(Default)]
struct State {
    values: BTreeMap<String, Vec<u8>>,
    used: BTreeSet<&'static str>,
    /// What was sent and is not as the case has it.
    wrong: Vec<String>,
    log: Vec<String>,
    /// The headers of the request that is on its way.
    headers: Vec<(String, String)>,
}

impl ExpectedRequest {
    fn of(asked: &Asked) -> Self {
        let answer = match &asked.breaks {
            Some(code) => Err(Failure::new(code, "as the case has it")),
            None => Ok(ScriptedAnswer {
                status: asked.status,
                headers: asked.headers_answered.clone().into_iter().collect(),
                body: asked.answer.clone().into_bytes().into(),
            }),
        };
        Self {
            method: asked.method.clone(),
            url: asked.url.clone(),
            headers: asked.headers.clone(),
            body: asked.body.clone(),
            answer,
        }
    }
}

impl TestHost {
    /// For one case.
    pub fn new(manifest: &Manifest, plugin: &Plugin, case: &Case) -> anyhow::Result<Arc<Self>> {
        let digest = Digest::new(plugin.digest());
        let named = case.config.iter().map(|(setting, value)| (setting.as_str(), value));
        let servers = named.chain(case.url.iter().map(|url| ("url", url)));
        let servers: Vec<(String, Url)> =
            servers.filter_map(|(setting, value)| Some((setting.to_owned(), Url::parse(value).ok()?))).collect();
        let grant = if case.nothing_granted {
            PluginGrant::nothing(&manifest.name, digest, 0)
        } else {
            as_set_up(&manifest.asks(digest), &servers, case.credential)
        };
        Ok(Arc::new(Self {
            grant: Arc::new(grant),
            expected: Mutex::new(case.requests.iter().map(ExpectedRequest::of).collect()),
            state: Mutex::default(),
        }))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut state)
    }

    /// Whether all came as the case has it.
    pub fn finish(&self, result: anyhow::Result<Result<(), CallError>>, case: &Case) -> anyhow::Result<()> {
        let (wrong, log, used) = self.with(|state| (state.wrong.clone(), state.log.clone(), state.used.clone()));
        let said = if log.is_empty() { String::new() } else { format!("\nit logged:\n  {}", log.join("\n  ")) };
        if let Some(wrong) = wrong.first() {
            bail!("{wrong}{said}");
        }
        let result = result.map_err(|error| anyhow::anyhow!("{error:#}{said}"))?;
        match (result, &case.fails) {
            (Ok(()), None) => {}
            (Ok(()), Some(code)) => bail!("it went well, and should have failed with `{code}`{said}"),
            (Err(error), None) => bail!("{error} (`{}`){said}", error.code()),
            (Err(error), Some(code)) if error.code() == code => {
                let wait = error.failure().and_then(|failure| failure.retry_after_ms);
                if case.retry_after_ms.is_some() && wait != case.retry_after_ms {
                    bail!("it asks to wait for {wait:?} ms, wanted {:?}{said}", case.retry_after_ms);
                }
            }
            (Err(error), Some(code)) => bail!("it failed with `{}`, wanted `{code}`: {error}{said}", error.code()),
        }
        let left = self.expected.lock().map(|expected| expected.len()).unwrap_or(0);
        if left > 0 {
            bail!("it did not send the last {left} of {} requests{said}", case.requests.len());
        }
        if let Some(wanted) = &case.uses {
            let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
            if used != wanted {
                let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
                bail!("it used [{}], wanted [{}]{said}", list(&used), list(&wanted));
            }
        }
        Ok(())
    }
}

fn first_difference(is: &HttpRequest, headers: &[(String, String)], wanted: &ExpectedRequest) -> Option<String> {
    let body = String::from_utf8_lossy(&is.body);
    if is.method.as_str() != wanted.method || is.url.as_str() != wanted.url {
        return Some(format!("it sent {} {}, wanted {} {}", is.method, is.url, wanted.method, wanted.url));
    }
    if let Some(wanted) = &wanted.body
        && *wanted != body
    {
        return Some(format!("the body of {} {}\n  is     {body}\n  wanted {wanted}", is.method, is.url));
    }
    wanted.headers.iter().find_map(|(name, wanted)| {
        let sent = headers.iter().find(|(sent, _)| sent == name).map(|(_, value)| value);
        (sent != Some(wanted)).then(|| format!("the header `{name}` is {sent:?}, wanted {wanted:?}"))
    })
}

#[async_trait::async_trait]
impl CallHost for TestHost {
    fn grant(&self) -> Arc<PluginGrant> {
        Arc::clone(&self.grant)
    }
    fn cancellation(&self) -> CancellationToken {
        CancellationToken::new()
    }
    async fn credential(&self, _: &str, _: &str) -> Result<SecretString, Failure> {
        self.with(|state| state.used.insert("credential"));
        Ok(SecretString::from("test-credential".to_owned()))
    }
    async fn before(&self, request: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        self.with(|state| {
            state.used.insert("http");
            state.headers = request.headers.to_vec();
        });
        Ok(EffectToken(0, 0))
    }
    fn after(&self, _: EffectToken, _: EffectOutcome) {}
    fn scripted(&self, request: &HttpRequest) -> Option<Result<ScriptedAnswer, Failure>> {
        let next = self.expected.lock().ok().and_then(|mut expected| expected.pop_front());
        let answer = self.with(|state| match next {
            None => {
                state.wrong.push(format!("it sent {} {}, which the case does not expect", request.method, request.url));
                Err(Failure::new("unavailable", "the case expects no further request"))
            }
            Some(wanted) => {
                state.wrong.extend(first_difference(request, &state.headers, &wanted));
                wanted.answer
            }
        });
        Some(answer)
    }
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.kept()?;
        Ok(self.with(|state| state.values.get(key).cloned()))
    }
    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KvError> {
        self.kept()?;
        let most = self.grant.kv_bytes;
        self.with(|state| {
            state.values.insert(key.to_owned(), value);
            let total: usize = state.values.iter().map(|(key, value)| key.len() + value.len()).sum();
            if total as u64 > most {
                state.values.remove(key);
                return Err(Failure::new(
                    "too-large",
                    format!("the plugin's values would take more than {most} bytes"),
                ));
            }
            Ok(())
        })
    }
    async fn kv_delete(&self, key: &str) -> Result<(), KvError> {
        self.kept()?;
        self.with(|state| state.values.remove(key));
        Ok(())
    }
    fn log(&self, lines: Vec<LogLine>, _: u64) {
        self.with(|state| state.log.extend(lines.into_iter().map(|line| line.text)));
    }
}

impl TestHost {
    fn kept(&self) -> Result<(), Failure> {
        if self.grant.kv_bytes == 0 {
            return Err(Failure::new("denied", "the key-value store is not granted"));
        }
        self.with(|state| state.used.insert("kv"));
        Ok(())
    }
}
