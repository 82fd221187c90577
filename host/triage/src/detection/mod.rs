//! What counts as personal or secret here: the rules of the organisation and of an incident, and trying them.
//!
//! Invariants: rules are in force only after the scanner that applies them has taken them in the sandbox, with their
//! own examples; where rules that are stored cannot be prepared, nothing is scanned, so nothing leaves. Who may only work
//! incidents changes the rules of an incident, not those of the house.

mod additions;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fumehood_policy::Permission;
pub use fumehood_redact::rules::Verdict;
use fumehood_redact::rules::{Rules, SCANNER};
use fumehood_redact::{Finding, Gate, Group, Pseudonyms, Span, merge};
use fumehood_runtime::{CallHost, KindInfo, Plugin, Runtime, World};
use fumehood_store::rules::RuleDocument;
use fumehood_store::{IncidentId, Scope};
use sha2::{Digest as _, Sha256};

pub use additions::{ADDED, Addition};

use crate::call::ScanCall;
use crate::plugins::{Running, load_with, shipped};
use crate::scanners::{FoundBefore, Scanners, groups_of};
use crate::{App, TriageError};

/// Documents of the organisation, or of an incident.
const MAX_DOCUMENTS: usize = 32;
/// The longest text that is tried, bytes: a window.
pub const MAX_TRIED: usize = 256 << 10;
/// Incidents whose own rules are kept prepared.
const PREPARED: usize = 64;

/// Rules that hold together, with the scanners that are prepared for them.
pub struct Detection {
    rules: Arc<Rules>,
    /// Scanners that ship and are prepared otherwise than by default.
    plugins: BTreeMap<String, Plugin>,
    /// What [`SCANNER`] reports under these rules.
    kinds: Vec<KindInfo>,
}

impl Detection {
    /// Have the scanners take the rules.
    ///
    /// # Errors
    /// `Invalid` with all that is wrong with them, in the scanner's words.
    pub async fn prepare(runtime: &Runtime, rules: Rules) -> Result<Self, TriageError> {
        let mut plugins = BTreeMap::new();
        let mut kinds = Vec::new();
        for one in shipped().iter().filter(|one| one.world() == World::Scanner) {
            let name = &one.manifest.name;
            let Some(json) = rules.for_scanner(name).filter(|json| json != "{}") else { continue };
            let plugin = load_with(runtime, one, &json).await.map_err(|reason| {
                // The scanner's own list of what is wrong stands behind our words.
                let said = reason.split_once("preparing the rules failed: ").map_or(reason.as_str(), |(_, said)| said);
                TriageError::invalid("toml", said)
            })?;
            if name == SCANNER {
                kinds = runtime.detects(&plugin, None).await?;
            }
            plugins.insert(name.clone(), plugin);
        }
        Ok(Self { rules: Arc::new(rules), plugins, kinds })
    }

    /// The scanners among `plugins` as these rules want them: prepared for them, and [`SCANNER`] only where it has
    /// something to do.
    #[must_use]
    pub fn scanners(&self, plugins: Vec<Plugin>) -> Vec<Plugin> {
        let prepared = |plugin: Plugin| match self.plugins.get(plugin.name()) {
            Some(prepared) => Some(prepared.clone()),
            None if plugin.name() == SCANNER => None,
            None => Some(plugin),
        };
        let mut all: Vec<Plugin> = plugins.into_iter().filter_map(prepared).collect();
        if let Some(rules) = self.plugins.get(SCANNER).filter(|_| all.iter().all(|plugin| plugin.name() != SCANNER)) {
            all.push(rules.clone());
        }
        all
    }

    /// What the rules say.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    /// The types that rules bring.
    #[must_use]
    pub fn kinds(&self) -> &[KindInfo] {
        &self.kinds
    }
}

/// The group of each type.
type Groups = HashMap<String, Group>;

/// What can be found, of the plugins that run and the rules that are in force.
struct Announced {
    running: Arc<Running>,
    detection: Option<Arc<Detection>>,
    kinds: Arc<[KindInfo]>,
    groups: Arc<Groups>,
}

/// Rules that are in force, or why they cannot be.
type Held = Result<Arc<Detection>, String>;

/// What is in force where.
#[derive(Default)]
pub(crate) struct Detections {
    house: Mutex<Option<Held>>,
    /// As it was asked for last: mostly the organisation's.
    announced: Mutex<Option<Announced>>,
    incidents: Mutex<HashMap<IncidentId, Held>>,
    before: Arc<FoundBefore>,
    /// Held while rules are changed.
    changing: tokio::sync::Mutex<()>,
    /// Raised with each change: what was prepared before it is not kept.
    generation: AtomicU64,
    /// Held while stored logs are scanned again: two at a time could put old findings over new ones.
    pub(crate) scanning: tokio::sync::Mutex<()>,
}

/// A finding of a text that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    pub kind: String,
    /// Bytes in the text.
    pub start: usize,
    pub end: usize,
    pub scanner: String,
    /// What was looked at, in a few words.
    pub detector: String,
    pub confidence: f32,
    pub validated: bool,
    pub verdict: Verdict,
}

/// A text that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct TriedText {
    /// What was found in it, in order.
    pub findings: Vec<Tried>,
    /// What would leave of it.
    pub parts: Vec<TriedPart>,
}

/// A stretch of a text that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedPart {
    /// As it stands.
    pub text: String,
    /// The pseudonym in its place; nothing where it would leave as it stands.
    pub label: Option<String>,
    /// The group of what was found.
    pub group: &'static str,
}

/// What would leave of a text.
fn parts(text: &str, rules: &Rules, spans: &[Span]) -> Vec<TriedPart> {
    let mut book = Pseudonyms::new();
    book.show(rules.hints());
    let masked = Gate::redact(&mut book, text, spans);
    let clear = |text: &str| TriedPart { text: text.to_owned(), label: None, group: "" };
    let mut parts = Vec::new();
    let mut done = 0;
    for range in masked.masked() {
        let (start, end) = (range.source.start, range.source.end);
        parts.push(clear(text.get(done..start).unwrap_or_default()));
        let span = spans.iter().find(|span| span.start <= start && end <= span.end);
        parts.push(TriedPart {
            text: text.get(start..end).unwrap_or_default().to_owned(),
            label: masked.as_str().get(range.start..range.end).map(str::to_owned),
            group: span.map_or("structured", |span| span.group.code()),
        });
        done = end;
    }
    parts.push(clear(text.get(done..).unwrap_or_default()));
    parts.retain(|part| !part.text.is_empty());
    parts
}

/// What a document holds, for people: `3 types, 2 allowed`.
#[must_use]
pub fn holds(toml: &str) -> String {
    match Rules::parse("", toml) {
        Ok(rules) => {
            let all: Vec<String> = rules
                .summary()
                .into_iter()
                .map(|(count, what)| {
                    let what = if count == 1 && what != "gitleaks rules" {
                        what.strip_suffix('s').unwrap_or(what)
                    } else {
                        what
                    };
                    format!("{count} {what}")
                })
                .collect();
            if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
        }
        Err(_) => "it cannot be read".to_owned(),
    }
}

/// Documents as one set of rules.
fn joined<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Rules, TriageError> {
    let mut rules = Rules::default();
    for (name, toml) in documents {
        let one = Rules::parse(name, toml).map_err(|error| TriageError::invalid("toml", error.to_string()))?;
        rules = rules.with(one);
    }
    Ok(rules)
}

/// A name that can stand in an address and in the record.
fn checked_name(name: &str) -> Result<String, TriageError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let name = name.trim().to_ascii_lowercase();
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.') {
        return Ok(name);
    }
    Err(TriageError::invalid(
        "name",
        "A name is up to 64 letters, digits, dots, hyphens and underscores: `staff-numbers`.",
    ))
}

impl App {
    /// The documents of rules of the organisation, or of an incident.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn rules(&self, scope: &Scope, incident: Option<IncidentId>) -> Result<Vec<RuleDocument>, TriageError> {
        match incident {
            Some(incident) => {
                self.require(scope, Permission::ReviewFindings)?;
                self.incident(scope, incident).await?;
            }
            None if scope.may(Permission::ReviewFindings) => {}
            None => self.require(scope, Permission::ManageRules)?,
        }
        Ok(self.0.store.rules(scope, incident).await?)
    }

    /// Refuse whoever may not change these rules.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn must_change_rules(&self, scope: &Scope, incident: Option<IncidentId>) -> Result<(), TriageError> {
        self.require(scope, rule_permission(incident))
    }

    /// Whether somebody may change these rules.
    #[must_use]
    pub fn may_change_rules(&self, scope: &Scope, incident: Option<IncidentId>) -> bool {
        scope.may(rule_permission(incident))
    }

    /// Write a document of rules, in the place of the one that was seen (`was_us`: when that was changed). It is tried
    /// together with the others first; where that fails, nothing is changed.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` with all that is wrong; `Conflict` where somebody else was faster.
    pub async fn save_rules(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        name: &str,
        toml: &str,
        was_us: Option<i64>,
    ) -> Result<String, TriageError> {
        self.require(scope, rule_permission(incident))?;
        if let Some(incident) = incident {
            self.incident(scope, incident).await?;
        }
        let name = checked_name(name)?;
        let own = Rules::parse(&name, toml).map_err(|error| TriageError::invalid("toml", error.to_string()))?;
        if incident.is_some() && own.loosens_scanning() {
            let message = "`may-fail` is for the rules of the organisation, not of an incident.";
            return Err(TriageError::invalid("toml", message));
        }
        let _changing = self.0.detections.changing.lock().await;
        let others = self.0.store.rules(scope, incident).await?;
        if others.iter().filter(|one| one.name != name).count() >= MAX_DOCUMENTS {
            return Err(TriageError::invalid(
                "name",
                format!("There are at most {MAX_DOCUMENTS} documents. Join some."),
            ));
        }
        self.prepared(scope, incident, &others, Some((&name, toml))).await?;
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(toml));
        let mut details: Vec<(String, String)> =
            own.summary().into_iter().map(|(count, what)| (what.replace(' ', "-"), count.to_string())).collect();
        details.push(("sha256".to_owned(), digest));
        self.0.store.put_rules(scope, incident, (name.clone(), toml.to_owned()), was_us, details).await?;
        self.forget_rules(incident).await;
        Ok(name)
    }

    /// Remove a document of rules.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn remove_rules(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        name: &str,
    ) -> Result<(), TriageError> {
        self.require(scope, rule_permission(incident))?;
        let _changing = self.0.detections.changing.lock().await;
        self.0.store.remove_rules(scope, incident, name.to_owned()).await?;
        self.forget_rules(incident).await;
        Ok(())
    }

    /// What would be found in a text, and why; with a document that is not saved, in the place of the one of its name.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` where the text is too long or the rules are wrong.
    pub async fn try_rules(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        text: &str,
        draft: Option<(&str, &str)>,
    ) -> Result<TriedText, TriageError> {
        let stored = self.rules(scope, incident).await?;
        if text.len() > MAX_TRIED {
            let most = MAX_TRIED >> 10;
            return Err(TriageError::invalid("text", format!("A text to try is at most {most} KiB.")));
        }
        let detection = match draft {
            Some(draft) => Arc::new(self.prepared(scope, incident, &stored, Some(draft)).await?),
            None => self.detection(scope, incident).await.map_err(TriageError::Conflict)?,
        };
        let subject = incident.map_or_else(|| "rules".to_owned(), |incident| format!("incident:{incident}"));
        let scanners = self.scanners_of(scope, Ok(detection), Some(&subject));
        let tried = |(finding, verdict): (Finding, Verdict)| Tried {
            kind: finding.kind.to_string(),
            start: finding.start,
            end: finding.end,
            confidence: finding.confidence(),
            validated: finding.validated,
            scanner: finding.scanner,
            detector: finding.detector,
            verdict,
        };
        let judged = scanners.judge(text).await?;
        let masked = judged.iter().filter(|(_, verdict)| *verdict == Verdict::Masked);
        let masked: Vec<Finding> = masked.map(|(finding, _)| finding.clone()).collect();
        let parts = parts(text, &scanners.rules, &merge(text.len(), &masked));
        Ok(TriedText { findings: judged.into_iter().map(tried).collect(), parts })
    }

    /// The names of the types that are found, for offering them.
    #[must_use]
    pub fn known_kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.0.plugins.kinds().into_iter().map(|kind| kind.name).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// All documents that hold for an incident, with one changed, prepared.
    async fn prepared(
        &self,
        scope: &Scope,
        incident: Option<IncidentId>,
        own: &[RuleDocument],
        changed: Option<(&str, &str)>,
    ) -> Result<Detection, TriageError> {
        let house = match incident {
            Some(_) => self.0.store.rules(scope, None).await?,
            None => Vec::new(),
        };
        let is_changed = |one: &&RuleDocument| changed.is_none_or(|(name, _)| name != one.name);
        let documents = house.iter().chain(own.iter().filter(is_changed));
        let documents = documents.map(|one| (one.name.as_str(), one.toml.as_str())).chain(changed);
        Detection::prepare(&self.0.runtime, joined(documents)?).await
    }

    /// What is in force for an incident, or for the organisation.
    pub(crate) async fn detection(&self, scope: &Scope, incident: Option<IncidentId>) -> Held {
        if let Some(held) = self.held(incident) {
            return held;
        }
        let generation = self.rules_generation();
        let held = async {
            let own = self.0.store.rules(scope, incident).await?;
            if own.is_empty() && incident.is_some() {
                return Ok(None);
            }
            self.prepared(scope, incident, &own, None).await.map(|detection| Some(Arc::new(detection)))
        };
        let held = held.await;
        let lasting = matches!(held, Ok(_) | Err(TriageError::Invalid { .. }));
        let held = match held {
            Ok(Some(detection)) => Ok(detection),
            // The organisation's are kept in their own place, and change there.
            Ok(None) => return Box::pin(self.detection(scope, None)).await,
            Err(error) => Err(format!(
                "The detection rules cannot be used: {error} Until they are mended, nothing is scanned and nothing leaves."
            )),
        };
        // What has failed for a reason that may pass is tried again; so is what was prepared while rules changed.
        if !lasting || generation != self.rules_generation() {
            return held;
        }
        match incident {
            Some(incident) => {
                if let Ok(mut incidents) = self.0.detections.incidents.lock() {
                    if incidents.len() >= PREPARED {
                        incidents.clear();
                    }
                    incidents.insert(incident, held.clone());
                }
            }
            None => {
                if let Ok(mut house) = self.0.detections.house.lock() {
                    *house = Some(held.clone());
                }
            }
        }
        held
    }

    /// Which change of rules was the last.
    pub(crate) fn rules_generation(&self) -> u64 {
        self.0.detections.generation.load(Ordering::SeqCst)
    }

    fn held(&self, incident: Option<IncidentId>) -> Option<Held> {
        match incident {
            Some(incident) => self.0.detections.incidents.lock().ok()?.get(&incident).cloned(),
            None => self.0.detections.house.lock().ok()?.clone(),
        }
    }

    /// What is in force is found out anew. Books of pseudonyms hold what may leave, which rules have changed.
    async fn forget_rules(&self, incident: Option<IncidentId>) {
        self.0.detections.generation.fetch_add(1, Ordering::SeqCst);
        if incident.is_none()
            && let Ok(mut house) = self.0.detections.house.lock()
        {
            *house = None;
        }
        if let Ok(mut incidents) = self.0.detections.incidents.lock() {
            match incident {
                Some(incident) => drop(incidents.remove(&incident)),
                None => incidents.clear(),
            }
        }
        match incident {
            Some(incident) => self.hold_all(incident).await,
            None => self.hold_everywhere().await,
        }
    }

    /// The scanners for a text of an incident that belongs to `subject`, each on record with it. Where one of them is
    /// stopped or cannot run, nothing can be scanned.
    pub(crate) async fn scanners(&self, scope: &Scope, incident: IncidentId, subject: &str) -> Scanners {
        let detection = self.detection(scope, Some(incident)).await;
        self.scanners_of(scope, detection, Some(subject))
    }

    /// The organisation's scanners for a request to the gateway, whose record says that it was scanned.
    pub(crate) async fn gateway_scanners(&self, scope: &Scope) -> Scanners {
        let detection = self.detection(scope, None).await;
        self.scanners_of(scope, detection, None)
    }

    fn scanners_of(&self, scope: &Scope, detection: Held, subject: Option<&str>) -> Scanners {
        let (kinds, groups) = self.announced(detection.as_ref().ok());
        let (plugins, rules, refusal) = match (detection, self.0.plugins.scanners()) {
            (Ok(detection), Ok(plugins)) => (detection.scanners(plugins), detection.rules(), None),
            (Err(refusal), _) => (Vec::new(), Arc::default(), Some(refusal)),
            (_, Err(error)) => (Vec::new(), Arc::default(), Some(error.to_string())),
        };
        let hosted = plugins.into_iter().map(|plugin| {
            let host: Arc<dyn CallHost> = ScanCall::new(self, scope, &plugin, subject);
            (plugin, Some(host))
        });
        // That a log was scanned is on record with the log, whatever was scanned before.
        let before = subject.is_none_or(|subject| !subject.starts_with("log:"));
        let before = before.then(|| Arc::clone(&self.0.detections.before));
        Scanners { runtime: self.0.runtime.clone(), plugins: hosted.collect(), groups, kinds, rules, before, refusal }
    }

    /// What scanners and rules have announced that they find, and its groups: made once for as long as neither changes.
    fn announced(&self, detection: Option<&Arc<Detection>>) -> (Arc<[KindInfo]>, Arc<Groups>) {
        let running = self.0.plugins.now();
        let same = |known: &Announced| {
            Arc::ptr_eq(&known.running, &running)
                && match (&known.detection, detection) {
                    (Some(known), Some(detection)) => Arc::ptr_eq(known, detection),
                    (known, detection) => known.is_none() && detection.is_none(),
                }
        };
        let mut held = self.0.detections.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.as_ref().filter(|known| same(known)) {
            return (Arc::clone(&known.kinds), Arc::clone(&known.groups));
        }
        let of_rules = detection.map(|detection| detection.kinds().to_vec()).unwrap_or_default();
        let all: Vec<KindInfo> = self.0.plugins.kinds().into_iter().chain(of_rules).collect();
        let (kinds, groups): (Arc<[KindInfo]>, _) = (all.as_slice().into(), Arc::new(groups_of(&all)));
        let (detection, given) = (detection.cloned(), (Arc::clone(&kinds), Arc::clone(&groups)));
        *held = Some(Announced { running, detection, kinds, groups });
        given
    }
}

/// What somebody has to have who changes rules.
const fn rule_permission(incident: Option<IncidentId>) -> Permission {
    match incident {
        Some(_) => Permission::ReviewFindings,
        None => Permission::ManageRules,
    }
}
