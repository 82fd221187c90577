//! From raw text to [`Redacted`]: scan, merge, mask, number, remember.
//!
//! Invariants: what could not be scanned is not masked, it is refused; new pseudonyms are stored before the text that
//! holds them can leave; every value that the incident knows is masked wherever it turns up again, whether or not a
//! scanner saw it there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex};

use fumehood_redact::rules::Rules;
use fumehood_redact::{
    Finding, Gate, Group, JsonPlan, Kind, KnownValue, Origin, Pseudonyms, Redacted, RedactedJson, Span, kept, merge,
};
use fumehood_store::{IncidentId, Scope};

use crate::scanners::scan_together;
use crate::{App, TriageError};

/// Incidents whose books are kept in memory.
const BOOKS: usize = 32;

/// Values of an incident that are taken up while logs arrive, before any is masked; bounds the memory.
const LEARNT: usize = 100_000;
/// Rejected values of an incident that may leave; those beyond it are held.
const RELEASED: usize = 100_000;

/// The books of pseudonyms of the incidents that are being worked on.
#[derive(Default)]
pub(crate) struct Books {
    open: Mutex<HashMap<IncidentId, Arc<tokio::sync::Mutex<Book>>>>,
}

/// One incident's book, loaded when it is first needed.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) pseudonyms: Option<Pseudonyms>,
    /// Values that people have rejected wherever they were found: they may leave. Nothing until somebody masks, and after
    /// each judgement.
    released: Option<HashSet<String>>,
    /// The rules that let values through.
    rules: Arc<Rules>,
}

/// Text that goes out beside what people and logs say: keys and words of the providers' protocols. A known value that
/// is part of these words (`user`, `system`) cannot be told from the protocol on the wire; in content it is masked.
const ENVELOPE: &str = include_str!("envelope.txt");

/// The same in lower case.
static ENVELOPE_LOWER: LazyLock<String> = LazyLock::new(|| ENVELOPE.to_lowercase());

impl Book {
    /// The pseudonyms; loaded by [`App::book`].
    pub(crate) fn pseudonyms(&mut self) -> &mut Pseudonyms {
        self.pseudonyms.get_or_insert_with(Pseudonyms::new)
    }

    /// The last check on bytes that leave.
    fn check(&self, bytes: &[u8]) -> Result<(), TriageError> {
        let Some(book) = &self.pseudonyms else { return Ok(()) };
        let left_out = |original: &str| self.is_released(original) || ENVELOPE_LOWER.contains(&original.to_lowercase());
        Ok(book.check_outgoing(bytes, left_out)?)
    }

    /// Whether a value may leave although the book knows it.
    pub(crate) fn is_released(&self, original: &str) -> bool {
        self.released.as_ref().is_some_and(|released| released.contains(original)) || self.rules.allows_value(original)
    }

    /// Take up the values that were found in a text, before any is looked for: so that each is masked wherever it stands
    /// again, also before the place where it was found, and in any encoding.
    pub(crate) fn learn(&mut self, text: &str, findings: &[Finding]) {
        let pseudonyms = self.pseudonyms();
        for span in merge(text.len(), findings) {
            let value = text.get(span.start..span.end).unwrap_or_default();
            // A scanner may take `password=[PASSWORD-1]` for a password; what is ours is no value.
            if !value.is_empty() && !pseudonyms.reads_as_pseudonym(value) {
                let _ = pseudonyms.label_for(&span.kind, value);
            }
        }
        // What one scanner found within what another one marked is a value of its own: no finding can swallow another's.
        for one in findings.iter().filter(|one| !matches!(one.group, Group::Structured)) {
            let value = text.get(one.start..one.end).unwrap_or_default();
            if !value.is_empty() && !pseudonyms.reads_as_pseudonym(value) {
                let _ = pseudonyms.label_for(&one.kind, value);
            }
        }
    }

    /// Known values in a text, as findings.
    pub(crate) fn known_in(&self, text: &str) -> Vec<Finding> {
        let Some(book) = &self.pseudonyms else { return Vec::new() };
        let known = book.known_in(text, |original| self.is_released(original));
        let finding = |known: KnownValue| Finding {
            group: known.kind.known_group().unwrap_or(Group::Secret),
            kind: known.kind,
            start: known.range.start,
            end: known.range.end,
            confidence: 1.0,
            validated: false,
            detector: "known value".into(),
            scanner: "host".into(),
        };
        known.into_iter().map(finding).collect()
    }
}

impl App {
    /// An incident's book, locked for as long as the caller masks.
    pub(crate) async fn book(
        &self,
        scope: &Scope,
        incident: IncidentId,
    ) -> Result<tokio::sync::OwnedMutexGuard<Book>, TriageError> {
        let shared = {
            let Ok(mut open) = self.0.books.open.lock() else { return Err(TriageError::Internal("lock".into())) };
            if open.len() >= BOOKS && !open.contains_key(&incident) {
                open.retain(|_, book| Arc::strong_count(book) > 1);
            }
            Arc::clone(open.entry(incident).or_default())
        };
        let mut book = shared.lock_owned().await;
        if book.pseudonyms.is_none() {
            let mut loaded = Pseudonyms::load(self.0.store.pseudonyms(scope, incident).await?);
            for kind in &self.0.plugins.kinds() {
                loaded.know_kind(&Kind::new(&kind.name));
            }
            book.pseudonyms = Some(loaded);
        }
        Ok(book)
    }

    /// As [`App::book`], with what may leave.
    pub(crate) async fn masking_book(
        &self,
        scope: &Scope,
        incident: IncidentId,
    ) -> Result<tokio::sync::OwnedMutexGuard<Book>, TriageError> {
        let mut book = self.book(scope, incident).await?;
        if book.released.is_none() {
            let released = self.released(scope, incident).await?;
            let detection = self.detection(scope, Some(incident)).await.map_err(TriageError::Conflict)?;
            // Last: where something fails before, the next caller begins anew.
            book.released = Some(released);
            book.rules = detection.rules();
            let pseudonyms = book.pseudonyms();
            pseudonyms.show(detection.rules().hints());
            for kind in detection.kinds() {
                pseudonyms.know_kind(&Kind::new(&kind.name));
            }
        }
        Ok(book)
    }

    /// The values that were rejected wherever they were found, in all logs of an incident.
    async fn released(&self, scope: &Scope, incident: IncidentId) -> Result<HashSet<String>, TriageError> {
        let mut logs = Vec::new();
        for log in self.0.store.logs(scope, incident).await?.into_iter().filter(|log| log.state == "ready") {
            logs.push((log.id, self.0.store.decisions(scope, log.id).await?));
        }
        let mut released = HashSet::new();
        for (log, decisions) in logs.iter().filter(|(_, decisions)| decisions.rejects()) {
            self.each_value(scope, *log, |finding, value| {
                if released.len() < RELEASED && !decisions.accepted(finding) {
                    released.insert(kept(value).to_owned());
                }
            })
            .await?;
        }
        if !released.is_empty() {
            for (log, decisions) in &logs {
                self.each_value(scope, *log, |finding, value| {
                    if decisions.accepted(finding) {
                        released.remove(kept(value));
                    }
                })
                .await?;
            }
        }
        Ok(released)
    }

    /// Store the pseudonyms that masking has made. Where that fails the book is forgotten, so that no number is used
    /// that the store does not know.
    pub(crate) async fn keep_new(
        &self,
        scope: &Scope,
        incident: IncidentId,
        book: &mut Book,
    ) -> Result<(), TriageError> {
        let new = book.pseudonyms().drain_new();
        if let Err(error) = self.0.store.add_pseudonyms(scope, incident, new).await {
            book.pseudonyms = None;
            return Err(error.into());
        }
        Ok(())
    }

    /// Mask texts of an incident that come from `origin`.
    ///
    /// # Errors
    /// Where a scanner failed or a pseudonym could not be stored: then nothing may leave.
    pub(crate) async fn mask(
        &self,
        scope: &Scope,
        incident: IncidentId,
        origin: Origin,
        texts: &[&str],
    ) -> Result<Vec<Redacted>, TriageError> {
        let scanners = self.scanners(scope, incident, &format!("incident:{incident}")).await;
        let mut found = Vec::with_capacity(texts.len());
        for text in texts {
            found.push(scanners.scan(text, None).await?);
        }
        let mut book = self.masking_book(scope, incident).await?;
        for (text, findings) in texts.iter().zip(&found) {
            book.learn(text, findings);
        }
        let mut masked = Vec::with_capacity(texts.len());
        for (text, mut findings) in texts.iter().zip(found) {
            findings.extend(book.known_in(text));
            let spans = merge(text.len(), &findings);
            masked.push(Gate::redact_as(origin, book.pseudonyms(), text, &spans));
        }
        self.keep_new(scope, incident, &mut book).await?;
        Ok(masked)
    }

    /// Mask one text.
    ///
    /// # Errors
    /// As [`App::mask`].
    pub(crate) async fn mask_one(
        &self,
        scope: &Scope,
        incident: IncidentId,
        origin: Origin,
        text: &str,
    ) -> Result<Redacted, TriageError> {
        let mut masked = self.mask(scope, incident, origin, &[text]).await?;
        masked.pop().ok_or_else(|| TriageError::Internal("masking".into()))
    }

    /// Mask a text that is still arriving, and remember nothing of it: half a word may look like a name.
    ///
    /// # Errors
    /// Where a scanner failed.
    pub(crate) async fn mask_passing(
        &self,
        scope: &Scope,
        incident: IncidentId,
        text: &str,
    ) -> Result<Redacted, TriageError> {
        let mut scanners = self.scanners(scope, incident, &format!("incident:{incident}")).await;
        // Nobody asks for the same half again, and a thousand of them would push out what is.
        scanners.before = None;
        let mut findings = scanners.scan(text, None).await?;
        let book = self.masking_book(scope, incident).await?;
        findings.extend(book.known_in(text));
        let mut passing = book.pseudonyms.clone().unwrap_or_default();
        Ok(Gate::redact_as(Origin::Reply, &mut passing, text, &merge(text.len(), &findings)))
    }

    /// What went wrong, for people who may not see originals: it may quote somebody else's server.
    pub(crate) async fn masked_problem(&self, scope: &Scope, incident: IncidentId, error: &TriageError) -> String {
        let said = self.without_credentials(scope, error.to_string()).await;
        match self.mask_one(scope, incident, Origin::Raw, &said).await {
            Ok(masked) => masked.as_str().to_owned(),
            Err(_) => "It failed, and what was said about it could not be masked.".to_owned(),
        }
    }

    /// Mask a JSON value, keys and numbers included.
    ///
    /// # Errors
    /// As [`App::mask`].
    pub(crate) async fn mask_json(
        &self,
        scope: &Scope,
        incident: IncidentId,
        origin: Origin,
        value: &serde_json::Value,
    ) -> Result<RedactedJson, TriageError> {
        let plan = JsonPlan::new(value);
        let scanners = self.scanners(scope, incident, &format!("incident:{incident}")).await;
        let texts: Vec<&str> = plan.texts().collect();
        let found = scan_together(&scanners, &texts).await?;
        let mut book = self.masking_book(scope, incident).await?;
        for (text, findings) in texts.iter().zip(&found) {
            book.learn(text, findings);
        }
        let mut spans: Vec<Vec<Span>> = Vec::with_capacity(texts.len());
        for (text, mut findings) in texts.into_iter().zip(found) {
            findings.extend(book.known_in(text));
            spans.push(merge(text.len(), &findings));
        }
        let masked =
            plan.redact(origin, book.pseudonyms(), spans).map_err(|error| TriageError::Internal(error.to_string()))?;
        self.keep_new(scope, incident, &mut book).await?;
        Ok(masked)
    }

    /// What a provider is given back of its own, as it came. What holds a value that the incident has come to know is left
    /// out: it cannot be changed, and must not leave.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn given_back(
        &self,
        scope: &Scope,
        incident: IncidentId,
        values: &[(String, String)],
    ) -> Result<Vec<(String, Redacted)>, TriageError> {
        let mut book = self.masking_book(scope, incident).await?;
        let mut given = Vec::with_capacity(values.len());
        for (name, value) in values {
            let is_clean = book.check(value.as_bytes()).is_ok() && book.known_in(value).is_empty();
            let passed = Gate::redact_as(Origin::Reply, book.pseudonyms(), value, &[]);
            if is_clean && passed.as_str() == value {
                given.push((name.clone(), passed));
            }
        }
        // Parts of one answer belong together.
        Ok(if given.len() == values.len() { given } else { Vec::new() })
    }

    /// The last check on bytes that are about to leave an incident.
    ///
    /// # Errors
    /// `WouldLeak`.
    pub(crate) async fn check_outgoing(
        &self,
        scope: &Scope,
        incident: IncidentId,
        bytes: &[u8],
    ) -> Result<(), TriageError> {
        self.masking_book(scope, incident).await?.check(bytes)
    }

    /// Take up values of a log while it arrives, before anything of the incident is masked again: where a secret stands
    /// without what gave it away, only the book knows it. What is recognised by itself needs no book.
    pub(crate) async fn learn_arriving(
        &self,
        scope: &Scope,
        incident: IncidentId,
        values: Vec<(Kind, String)>,
    ) -> Result<(), TriageError> {
        let mut book = self.book(scope, incident).await?;
        for (kind, value) in values {
            if book.pseudonyms().len() >= LEARNT {
                break;
            }
            let _ = book.pseudonyms().label_for(&kind, &value);
        }
        self.keep_new(scope, incident, &mut book).await
    }

    /// Forget in every incident what may leave: the rules of the organisation have changed.
    pub(crate) async fn hold_everywhere(&self) {
        let open: Vec<IncidentId> =
            self.0.books.open.lock().map(|open| open.keys().copied().collect()).unwrap_or_default();
        for incident in open {
            self.hold_all(incident).await;
        }
    }

    /// Forget what may leave: a person judged anew, or there is another log. The next masking finds out again.
    pub(crate) async fn hold_all(&self, incident: IncidentId) {
        let open = self.0.books.open.lock().ok().and_then(|open| open.get(&incident).cloned());
        if let Some(book) = open {
            book.lock().await.released = None;
        }
    }

    /// The value behind a pseudonym, for the reader.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn reveal(&self, scope: &Scope, incident: IncidentId, label: &str) -> Result<String, TriageError> {
        self.require(scope, fumehood_policy::Permission::RevealOriginals)?;
        self.0.store.incident(scope, incident).await?;
        let mut book = self.book(scope, incident).await?;
        let original = book.pseudonyms().original_of(label).map(str::to_owned);
        original.ok_or(TriageError::NotFound { what: "pseudonym in this incident" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_finding_does_not_swallow_the_value_within_it() {
        let text = "password: Xk29fooBarBaz77";
        let finding = |kind: &str, start: usize, validated: bool| Finding {
            kind: Kind::new(kind),
            group: Group::Secret,
            start,
            end: text.len(),
            confidence: 1.0,
            validated,
            detector: String::new(),
            scanner: String::new(),
        };
        let mut book = Book { pseudonyms: Some(Pseudonyms::new()), ..Book::default() };
        book.learn(text, &[finding("PASSWORD", 10, false), finding("LINE", 0, true)]);
        let found = book.known_in("the box said Xk29fooBarBaz77 today");
        assert!(found.iter().any(|one| (one.start, one.end) == (13, 28)), "{found:?}");
    }
}
