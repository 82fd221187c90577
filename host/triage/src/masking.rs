//! From raw text to [`Redacted`]: scan, merge, mask, number, remember.
//!
//! Invariants: what could not be scanned is not masked, it is refused; new pseudonyms are stored before the text that
//! holds them can leave; every value that the incident knows is masked wherever it turns up again, whether or not a
//! scanner saw it there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex};

use fumehood_redact::{
    Finding, Gate, Group, JsonPlan, Kind, KnownValue, Origin, Pseudonyms, Redacted, RedactedJson, Seams, Span, Window,
    WindowSize, Windows, kept, merge,
};
use fumehood_runtime::{Chunk, KindInfo, Plugin, Runtime};
use fumehood_store::{IncidentId, Scope};

use crate::call::ScanCall;
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
}

/// Scans text with every scanner and yields checked findings.
#[derive(Clone)]
pub struct Scanners {
    runtime: Runtime,
    plugins: Vec<(Plugin, Option<Arc<dyn fumehood_runtime::CallHost>>)>,
    groups: Arc<HashMap<String, Group>>,
    /// Why nothing can be scanned.
    refusal: Option<String>,
}

/// Whether a type is one that a scanner may report under its name. Ours are not: a pseudonym is harmless in what leaves.
pub(crate) fn may_report(kind: &str) -> bool {
    Kind::is_valid(kind) && Kind::new(kind) != Kind::PSEUDONYM && Kind::new(kind) != Kind::OTHER
}

/// The group of each type that scanners have announced.
fn groups_of(kinds: &[KindInfo]) -> HashMap<String, Group> {
    let mut groups: HashMap<String, Group> = HashMap::new();
    for kind in kinds.iter().filter(|kind| may_report(&kind.name)) {
        // What everybody knows is not a plugin's to change; of what several announce the strictest group holds.
        let group = Kind::new(&kind.name).known_group().unwrap_or_else(|| Group::from_code(&kind.group));
        let entry = groups.entry(kind.name.clone()).or_insert(group);
        *entry = stricter(*entry, group);
    }
    groups
}

/// Of two groups the one whose values are held back more: a structured value is known by itself wherever it stands.
fn stricter(one: Group, other: Group) -> Group {
    let rank = |group: Group| match group {
        Group::Structured => 0,
        Group::Contextual => 1,
        Group::Secret => 2,
    };
    if rank(other) > rank(one) { other } else { one }
}

impl Scanners {
    /// Scanners with what they said they can report.
    pub fn new(runtime: Runtime, plugins: Vec<Plugin>, kinds: &[KindInfo]) -> Self {
        let groups = groups_of(kinds);
        let plugins = plugins.into_iter().map(|plugin| (plugin, None)).collect();
        Self { runtime, plugins, groups: Arc::new(groups), refusal: None }
    }

    /// The findings of one window, all scanners together.
    ///
    /// # Errors
    /// The first scanner that failed: the window counts as not scanned.
    pub async fn scan_window(&self, window: &Window) -> Result<Vec<Finding>, TriageError> {
        let mut findings = Vec::new();
        if let Some(refusal) = &self.refusal {
            return Err(TriageError::Conflict(refusal.clone()));
        }
        for (plugin, host) in &self.plugins {
            let chunk = Chunk {
                text: &window.text,
                offset: window.offset as u64,
                continues_before: window.continues_before,
                continues_after: window.continues_after,
            };
            let output = self.runtime.scan(plugin, chunk, host.clone()).await?;
            findings.extend(output.findings.into_iter().map(|raw| {
                // A type that the scanner did not announce is masked, under a name that says nothing.
                let (kind, group) = match self.groups.get(&raw.kind) {
                    Some(group) => (Kind::new(&raw.kind), *group),
                    None => (Kind::OTHER, Group::Secret),
                };
                Finding {
                    kind,
                    group,
                    start: raw.start,
                    end: raw.end,
                    confidence: raw.confidence,
                    validated: raw.validated,
                    detector: raw.detector,
                    scanner: plugin.name().to_owned(),
                }
            }));
        }
        Ok(findings)
    }

    /// The findings of a whole text that is in memory.
    ///
    /// # Errors
    /// As [`Scanners::scan_window`].
    pub async fn scan(&self, text: &str) -> Result<Vec<Finding>, TriageError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut windows = Windows::new(WindowSize::DEFAULT);
        windows.push(text);
        windows.finish();
        let mut seams = Seams::new();
        let mut findings = Vec::new();
        while let Some(window) = windows.next_window() {
            let found = self.scan_window(&window).await?;
            findings.extend(seams.push(&window, found));
        }
        findings.extend(seams.finish());
        Ok(findings)
    }
}

/// The findings of many short texts, scanned line by line in one: a call for each of a million strings would take
/// minutes. A finding over several of them counts in each.
async fn scan_together(scanners: &Scanners, texts: &[&str]) -> Result<Vec<Vec<Finding>>, TriageError> {
    let mut joined = String::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
    let mut starts = Vec::with_capacity(texts.len());
    for text in texts {
        starts.push(joined.len());
        joined.push_str(text);
        joined.push('\n');
    }
    let mut found = vec![Vec::new(); texts.len()];
    for finding in scanners.scan(&joined).await? {
        let first = starts.partition_point(|start| *start <= finding.start).saturating_sub(1);
        let places = starts.iter().zip(texts).zip(&mut found).skip(first);
        for ((start, text), found) in places.take_while(|((start, _), _)| **start < finding.end) {
            let own = finding.start.saturating_sub(*start)..(finding.end - start).min(text.len());
            if own.start < own.end {
                found.push(Finding { start: own.start, end: own.end, ..finding.clone() });
            }
        }
    }
    Ok(found)
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
        self.released.as_ref().is_some_and(|released| released.contains(original))
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
    /// The scanners for a text that belongs to `subject`, each on record with it. Where one of them is stopped or cannot
    /// run, nothing can be scanned.
    pub(crate) fn scanners(&self, scope: &Scope, subject: &str) -> Scanners {
        let (plugins, refusal) = match self.0.plugins.scanners() {
            Ok(plugins) => (plugins, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let scanners = Scanners::new(self.0.runtime.clone(), Vec::new(), &self.0.plugins.kinds());
        let hosted = plugins.into_iter().map(|plugin| {
            let host: Arc<dyn fumehood_runtime::CallHost> = ScanCall::new(self, scope, &plugin, subject);
            (plugin, Some(host))
        });
        Scanners { plugins: hosted.collect(), refusal, ..scanners }
    }

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
            book.released = Some(self.released(scope, incident).await?);
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
        let scanners = self.scanners(scope, &format!("incident:{incident}"));
        let mut found = Vec::with_capacity(texts.len());
        for text in texts {
            found.push(scanners.scan(text).await?);
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
        let scanners = self.scanners(scope, &format!("incident:{incident}"));
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

    fn kind(name: &str, group: &str) -> KindInfo {
        KindInfo { name: name.into(), group: group.into(), description: String::new() }
    }

    #[test]
    fn no_scanner_loosens_what_another_one_reports() {
        let ours = [kind("PASSWORD", "secret"), kind("CODENAME", "contextual")];
        let theirs = [kind("PASSWORD", "structured"), kind("CODENAME", "structured"), kind("PSEUDONYM", "structured")];
        for order in [[&ours[..], &theirs[..]].concat(), [&theirs[..], &ours[..]].concat()] {
            let groups = groups_of(&order);
            assert_eq!(groups.get("PASSWORD"), Some(&Group::Secret));
            assert_eq!(groups.get("CODENAME"), Some(&Group::Contextual));
            assert_eq!(groups.get("PSEUDONYM"), None, "it is ours");
        }
        for name in ["PSEUDONYM", "OTHER", "lower", ""] {
            assert!(!may_report(name), "{name}");
        }
    }

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
        let mut book = Book { pseudonyms: Some(Pseudonyms::new()), released: None };
        book.learn(text, &[finding("PASSWORD", 10, false), finding("LINE", 0, true)]);
        let found = book.known_in("the box said Xk29fooBarBaz77 today");
        assert!(found.iter().any(|one| (one.start, one.end) == (13, 28)), "{found:?}");
    }
}
