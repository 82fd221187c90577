//! What plugins did, read back from the record and from the bodies that are kept for as long as the retention says: the
//! requests of a call with their answers, for a test that repeats them.

use std::collections::BTreeMap;

use fumehood_policy::Permission;
use fumehood_store::outside::IntegrationInstance;
use fumehood_store::record::{EntryFilter, ListedEntry};
use fumehood_store::{Change, DepartureId, IncidentId, Scope};

use crate::{App, TriageError};

/// Entries that are looked through for a call and its effects.
const LOOKED_AT: usize = 5_000;
/// Calls that are listed.
const LISTED: usize = 50;

/// Headers that sign somebody in, or say how.
const SIGNS_IN: [&str; 7] = [
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "www-authenticate",
    "x-api-key",
];

/// A call that was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Of its intent, in the record.
    pub index: u64,
    pub time_us: i64,
    /// `test-connection`, `publish-document`, …
    pub function: String,
    /// `ok`, a failure code, or empty while it is on its way.
    pub result: String,
    /// Requests that it sent.
    pub requests: usize,
}

/// A request with its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: String,
    pub url: String,
    /// Credentials as `(credential)`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Nothing where none came.
    pub answer: Option<Answer>,
    /// `ok`, or the failure code.
    pub result: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// All of a call.
#[derive(Clone, Debug)]
pub struct Recording {
    pub call: Recorded,
    /// As the plugin is set up now: its own settings, without the credential.
    pub settings: BTreeMap<String, String>,
    pub has_credential: bool,
    /// What was published, where that is what the call was for: marker, project, title and text, as they are now.
    pub document: Option<[String; 4]>,
    pub exchanges: Vec<Exchange>,
}

fn detail<'a>(listed: &'a ListedEntry, name: &str) -> &'a str {
    let found = listed.entry.details.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_default()
}

/// A first line, headers, a body.
type Message = (String, Vec<(String, String)>, Vec<u8>);

/// A message as it was kept: its first line, its headers, its body.
fn parts(message: &[u8]) -> Option<Message> {
    let end = message.windows(2).position(|two| two == b"\n\n")?;
    let head = std::str::from_utf8(message.get(..end)?).ok()?;
    let mut lines = head.lines();
    let first = lines.next()?.to_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some((first, lines.filter_map(header).collect(), message.get(end + 2..)?.to_vec()))
}

impl App {
    async fn listed(&self, scope: &Scope, action: &str) -> Result<Vec<ListedEntry>, TriageError> {
        let filter = EntryFilter { action_prefix: Some(action.to_owned()), limit: LOOKED_AT, ..EntryFilter::default() };
        Ok(self.0.store.entries(scope, filter).await?)
    }

    /// The newest calls of a plugin, for choosing one.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn plugin_recordings(&self, scope: &Scope, plugin: &str) -> Result<Vec<Recorded>, TriageError> {
        self.require(scope, Permission::ReadPluginLogs)?;
        let target = format!("plugin:{plugin}");
        let calls = self.listed(scope, "plugin.call").await?;
        let effects = self.listed(scope, "effect.http").await?;
        let begun = calls.iter().filter(|one| one.entry.target == target && one.entry.intent.is_none());
        let recorded = |one: &ListedEntry| {
            let index = one.entry.index;
            let ended = calls.iter().find(|other| other.entry.intent == Some(index));
            let of_it =
                |other: &&ListedEntry| other.entry.intent.is_none() && detail(other, "call") == index.to_string();
            Recorded {
                index,
                time_us: one.entry.time_us,
                function: detail(one, "function").to_owned(),
                result: ended.map(|ended| ended.entry.result.clone()).unwrap_or_default(),
                requests: effects.iter().filter(of_it).count(),
            }
        };
        Ok(begun.take(LISTED).map(recorded).collect())
    }

    /// One call of a plugin with what it sent and got. That it was read is on record.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` where it is not among the newest, or its bodies are no longer kept.
    pub async fn plugin_recording(&self, scope: &Scope, plugin: &str, call: u64) -> Result<Recording, TriageError> {
        let all = self.plugin_recordings(scope, plugin).await?;
        let recorded = all.into_iter().find(|one| one.index == call);
        let recorded = recorded.ok_or(TriageError::NotFound { what: "call of this plugin among its newest" })?;
        let change = Change::new("plugin.recording", format!("plugin:{plugin}")).with("call", call);
        self.0.store.event(scope, change, "ok").await?;
        let calls = self.listed(scope, "plugin.call").await?;
        let begun = calls.iter().find(|one| one.entry.index == call);
        let incident: Option<IncidentId> = begun.and_then(|one| detail(one, "incident").parse().ok());
        let effects = self.listed(scope, "effect.http").await?;
        let mut exchanges = Vec::new();
        // Newest first in the record, in their order in a test.
        for sent in
            effects.iter().rev().filter(|one| one.entry.intent.is_none() && detail(one, "call") == call.to_string())
        {
            let ended = effects.iter().find(|one| one.entry.intent == Some(sent.entry.index));
            let bodies = self.0.store.effect_bodies(scope, sent.entry.index).await?;
            let kept =
                |direction: &str| bodies.iter().find(|one| one.direction == direction).and_then(|one| parts(&one.body));
            let departure: Option<DepartureId> =
                sent.entry.target.strip_prefix("departure:").and_then(|id| id.parse().ok());
            let (method, url, headers, body) = match (kept("sent"), departure, incident) {
                (Some((first, headers, body)), _, _) => {
                    let (method, url) = first.split_once(' ').unwrap_or_default();
                    (method.to_owned(), url.to_owned(), headers, body)
                }
                (None, Some(departure), Some(incident)) => {
                    let (departure, body) = self.0.store.departure(scope, incident, departure).await?;
                    (departure.method, departure.url, departure.headers, body)
                }
                _ => return Err(TriageError::NotFound { what: "body of a request, which is kept no longer" }),
            };
            let answer = kept("received").map(|(first, headers, body)| Answer {
                status: first.parse().unwrap_or_default(),
                headers,
                body,
            });
            let result = ended.map(|ended| ended.entry.result.clone()).unwrap_or_default();
            let exchange = Exchange { method, url, headers, body, answer, result };
            exchanges.push(self.without_secrets(scope, exchange).await);
        }
        let instance = self.0.store.integrations(scope).await?.into_iter().find(|one| one.plugin == plugin);
        let document = match (incident, &instance) {
            (Some(incident), Some(instance)) if recorded.function == "publish-document" => {
                self.published(scope, incident, instance).await?
            }
            _ => None,
        };
        Ok(Recording {
            call: recorded,
            settings: match &instance {
                Some(instance) => self.integration_settings(instance),
                None => self.model_settings(scope, plugin).await?,
            },
            has_credential: instance.is_some_and(|one| one.credential_id.is_some()),
            document,
            exchanges,
        })
    }

    /// An exchange without what signs somebody in: headers that do, and every credential that is set up, wherever it
    /// stands. Some services say it back.
    async fn without_secrets(&self, scope: &Scope, mut exchange: Exchange) -> Exchange {
        let sent = exchange.headers.iter_mut();
        let answered = exchange.answer.iter_mut().flat_map(|answer| answer.headers.iter_mut());
        for (name, value) in sent.chain(answered) {
            let is_mark = value == "(credential)";
            if SIGNS_IN.contains(&name.to_ascii_lowercase().as_str()) && !is_mark {
                "(left out)".clone_into(value);
            }
        }
        let checked = async |text: &mut String| *text = self.without_credentials(scope, std::mem::take(text)).await;
        checked(&mut exchange.url).await;
        for (_, value) in &mut exchange.headers {
            checked(value).await;
        }
        let bodies = [Some(&mut exchange.body), exchange.answer.as_mut().map(|answer| &mut answer.body)];
        for body in bodies.into_iter().flatten() {
            if let Ok(mut text) = String::from_utf8(std::mem::take(body)) {
                checked(&mut text).await;
                *body = text.into_bytes();
            } else {
                *body = b"(no text)".to_vec();
            }
        }
        for (_, value) in exchange.answer.iter_mut().flat_map(|answer| answer.headers.iter_mut()) {
            checked(value).await;
        }
        exchange
    }

    /// What was published, as it would leave now.
    async fn published(
        &self,
        scope: &Scope,
        incident: IncidentId,
        instance: &IntegrationInstance,
    ) -> Result<Option<[String; 4]>, TriageError> {
        let publications = self.0.store.publications(scope, incident).await?;
        let (Some(row), Some(document)) = (
            publications.into_iter().find(|row| row.integration_id == instance.id),
            self.0.store.document(scope, incident).await?,
        ) else {
            return Ok(None);
        };
        let texts = [document.title.as_str(), document.markdown.as_str()];
        let masked = self.mask(scope, incident, fumehood_redact::Origin::Reply, &texts).await?;
        let mut masked = masked.into_iter().map(|text| text.as_str().to_owned());
        let (title, markdown) = (masked.next().unwrap_or_default(), masked.next().unwrap_or_default());
        Ok(Some([row.marker, row.project, title, markdown]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_apart_as_it_was_put_together() {
        let kept = b"GET https://a.example/x?y=1\naccept: */*\nx: a: b\n\nline\n\nmore";
        let (first, headers, body) = parts(kept).unwrap();
        assert_eq!(first, "GET https://a.example/x?y=1");
        assert_eq!(headers, [("accept".to_owned(), "*/*".to_owned()), ("x".to_owned(), "a: b".to_owned())]);
        assert_eq!(body, b"line\n\nmore");
        assert_eq!(parts(b"204\n\n"), Some(("204".to_owned(), vec![], vec![])));
        assert_eq!(parts(b"nothing"), None);
    }
}
