//! All scanners on one text: side by side, on what it says and on what it hides, and what the rules make of that.
//!
//! Invariants: a text that one of them could not scan counts as not scanned, unless a rule says that this one may fail;
//! what scanners report is judged by the rules of the organisation and the incident, never by a scanner; the result does
//! not depend on which of them was done first.

mod before;

use std::collections::HashMap;
use std::sync::Arc;

use fumehood_redact::rules::{Rules, SCANNER, Verdict};
use fumehood_redact::{
    Finding, Group, Hints, Kind, Layer, Seams, Window, WindowSize, Windows, behind_control, layers_of,
};
use fumehood_runtime::{CallHost, Chunk, KindInfo, Plugin, RawFinding, Runtime};
use tokio::task::JoinSet;

use crate::TriageError;
pub(crate) use before::FoundBefore;
use before::Key;

/// Said of what is packed and was not read.
const UNREAD: &str = "packed, too large to read";

/// Texts that are too short for scanners to be run side by side, bytes.
const SHORT: usize = 4 << 10;

/// Scans text with every scanner and yields checked findings.
#[derive(Clone)]
pub struct Scanners {
    pub(crate) runtime: Runtime,
    pub(crate) plugins: Vec<(Plugin, Option<Arc<dyn CallHost>>)>,
    pub(crate) groups: Arc<HashMap<String, Group>>,
    pub(crate) kinds: Arc<[KindInfo]>,
    pub(crate) rules: Arc<Rules>,
    /// What was found before; nothing where each text is scanned, whatever it is.
    pub(crate) before: Option<Arc<FoundBefore>>,
    /// Why nothing can be scanned.
    pub(crate) refusal: Option<String>,
}

/// A stretch of text with where it stands.
#[derive(Clone)]
struct Stretch {
    text: Arc<str>,
    offset: u64,
    continues_before: bool,
    continues_after: bool,
}

/// Whether a type is one that a scanner may report under its name. Ours are not: a pseudonym is harmless in what leaves.
pub(crate) fn may_report(kind: &str) -> bool {
    Kind::is_valid(kind) && ![Kind::PSEUDONYM, Kind::OTHER, Kind::ALLOWED].contains(&Kind::new(kind))
}

/// The group of each type that scanners have announced.
pub(crate) fn groups_of(kinds: &[KindInfo]) -> HashMap<String, Group> {
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
    /// Scanners with what they said they can report, under rules.
    pub fn new(runtime: Runtime, plugins: Vec<Plugin>, kinds: &[KindInfo], rules: Arc<Rules>) -> Self {
        let groups = Arc::new(groups_of(kinds));
        let plugins = plugins.into_iter().map(|plugin| (plugin, None)).collect();
        Self { runtime, plugins, groups, kinds: kinds.into(), rules, before: None, refusal: None }
    }

    /// What pseudonyms show beside their number.
    #[must_use]
    pub fn hints(&self) -> Hints {
        self.rules.hints()
    }

    /// What the scanner that announced a type says of it.
    #[must_use]
    pub fn description(&self, kind: &str) -> Option<String> {
        let found = self.kinds.iter().find(|one| one.name == kind && !one.description.is_empty())?;
        Some(found.description.clone())
    }

    /// What is masked of one window: the findings of all scanners that the rules leave. `name` is the file's, where
    /// there is one.
    ///
    /// # Errors
    /// The first scanner, by name, that failed: the window counts as not scanned.
    pub async fn scan_window(&self, window: &Window, name: Option<&str>) -> Result<Vec<Finding>, TriageError> {
        let judged = self.judged(window, name).await?.into_iter();
        Ok(judged.filter(|(_, verdict)| *verdict == Verdict::Masked).map(|(finding, _)| finding).collect())
    }

    /// What is masked of a whole text that is in memory.
    ///
    /// # Errors
    /// As [`Scanners::scan_window`].
    pub async fn scan(&self, text: &str, name: Option<&str>) -> Result<Vec<Finding>, TriageError> {
        let mut seams = Seams::new();
        let mut findings = Vec::new();
        for window in Windows::of(WindowSize::DEFAULT, text) {
            let found = self.scan_window(&window, name).await?;
            findings.extend(seams.push(&window, found));
        }
        findings.extend(seams.finish());
        Ok(findings)
    }

    /// Everything that scanners report of a text of at most a window, with what the rules make of each.
    ///
    /// # Errors
    /// As [`Scanners::scan_window`].
    pub async fn judge(&self, text: &str) -> Result<Vec<(Finding, Verdict)>, TriageError> {
        let mut judged = Vec::new();
        for window in Windows::of(WindowSize::DEFAULT, text).take(1) {
            judged = self.judged(&window, None).await?;
        }
        judged.sort_by(|(a, _), (b, _)| (a.start, a.end, &a.kind).cmp(&(b.start, b.end, &b.kind)));
        Ok(judged)
    }

    /// The findings in a window and in what it hides, with what the rules make of each. What a layer hides is judged in the
    /// layer: an allowed value lets nothing through that is packed together with it.
    async fn judged(&self, window: &Window, name: Option<&str>) -> Result<Vec<(Finding, Verdict)>, TriageError> {
        if let Some(refusal) = &self.refusal {
            return Err(TriageError::Conflict(refusal.clone()));
        }
        let stretch = Stretch {
            text: window.text.as_str().into(),
            offset: window.offset as u64,
            continues_before: window.continues_before,
            continues_after: window.continues_after,
        };
        let mut found = self.side_by_side(stretch, name).await?;
        if window.text.contains('\u{1b}') {
            // The last letter of a colour is no part of the value behind it.
            for finding in &mut found {
                let behind = behind_control(&window.text, finding.start);
                if behind < finding.end {
                    finding.start = behind;
                }
            }
        }
        let mut judged = self.rules.judge(found);
        let hidden = layers_of(&window.text, window.continues_before);
        let unread = hidden.unread.into_iter().map(|range| Finding {
            kind: Kind::OTHER,
            group: Group::Secret,
            start: range.start,
            end: range.end,
            confidence: 1.0,
            validated: false,
            detector: UNREAD.to_owned(),
            scanner: "fumehood".to_owned(),
        });
        judged.extend(unread.map(|finding| (finding, Verdict::Masked)));
        let seen = Seen::new(&judged);
        for layer in &hidden.layers {
            let inside = self.rules.judge(self.in_layer(layer, name).await?).into_iter();
            judged.extend(inside.filter_map(|(finding, verdict)| Some((led_back(finding, layer, &seen)?, verdict))));
        }
        Ok(judged)
    }

    /// The findings in a decoded text, with offsets in it. It may be longer than a window.
    async fn in_layer(&self, layer: &Layer, name: Option<&str>) -> Result<Vec<Finding>, TriageError> {
        let mut seams = Seams::new();
        let mut findings = Vec::new();
        for window in Windows::of(WindowSize::DEFAULT, &layer.text) {
            let stretch = Stretch {
                text: window.text.as_str().into(),
                offset: window.offset as u64,
                continues_before: window.continues_before,
                continues_after: window.continues_after,
            };
            let found = self.side_by_side(stretch, name).await?;
            findings.extend(seams.push(&window, found));
        }
        findings.extend(seams.finish());
        Ok(findings)
    }

    /// Every scanner on one stretch, at the same time; their findings in the order of the scanners.
    async fn side_by_side(&self, stretch: Stretch, name: Option<&str>) -> Result<Vec<Finding>, TriageError> {
        let mut done: Vec<Option<_>> = self.plugins.iter().map(|_| None).collect();
        if self.plugins.len() == 1 || stretch.text.len() <= SHORT {
            // One after the other: another task would cost more than it saves.
            for (slot, (plugin, host)) in done.iter_mut().zip(&self.plugins) {
                *slot =
                    Some(scan_one(&self.runtime, plugin, host.clone(), &stretch, name, self.before.as_deref()).await);
            }
        } else {
            let mut running = JoinSet::new();
            for (place, (plugin, host)) in self.plugins.iter().cloned().enumerate() {
                let (runtime, stretch, before) = (self.runtime.clone(), stretch.clone(), self.before.clone());
                let name = name.map(str::to_owned);
                running.spawn(async move {
                    let scanned = scan_one(&runtime, &plugin, host, &stretch, name.as_deref(), before.as_deref());
                    (place, scanned.await)
                });
            }
            while let Some(one) = running.join_next().await {
                let (place, result) = one.map_err(|error| TriageError::Internal(error.to_string()))?;
                if let Some(slot) = done.get_mut(place) {
                    *slot = Some(result);
                }
            }
        }
        let mut findings = Vec::new();
        for ((plugin, _), result) in self.plugins.iter().zip(done) {
            match result {
                Some(Ok(found)) => findings.extend(found.into_iter().map(|raw| self.checked(plugin.name(), raw))),
                Some(Err(error)) if self.rules.may_fail(plugin.name()) => {
                    tracing::warn!(
                        plugin = plugin.name(),
                        "a scanner failed that the rules let fail: {}",
                        error.code()
                    );
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Err(TriageError::Internal("a scanner gave no answer".into())),
            }
        }
        Ok(findings)
    }

    fn checked(&self, scanner: &str, raw: RawFinding) -> Finding {
        let (kind, group) = match self.groups.get(&raw.kind) {
            Some(group) => (Kind::new(&raw.kind), *group),
            None if raw.kind == Kind::ALLOWED.as_str() && scanner == SCANNER => (Kind::ALLOWED, Group::Structured),
            // A type that the scanner did not announce is masked, under a name that says nothing.
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
            scanner: scanner.to_owned(),
        }
    }
}

async fn scan_one(
    runtime: &Runtime,
    plugin: &Plugin,
    host: Option<Arc<dyn CallHost>>,
    stretch: &Stretch,
    name: Option<&str>,
    before: Option<&FoundBefore>,
) -> Result<Vec<RawFinding>, fumehood_runtime::CallError> {
    let chunk = Chunk {
        text: &stretch.text,
        offset: stretch.offset,
        continues_before: stretch.continues_before,
        continues_after: stretch.continues_after,
        name,
    };
    let remembered = before.and_then(|before| Some((before, Key::of(plugin, chunk)?)));
    if let Some(found) = remembered.and_then(|(before, key)| before.get(&key)) {
        return Ok(found.to_vec());
    }
    let found = runtime.scan(plugin, chunk, host).await?.findings;
    if let Some((before, key)) = remembered {
        before.put(key, &found);
    }
    Ok(found)
}

/// What was found in a text as it stands, by its start.
struct Seen {
    masked: Vec<(usize, usize, Kind)>,
    allowed: Vec<(usize, usize, Kind)>,
}

impl Seen {
    fn new(judged: &[(Finding, Verdict)]) -> Self {
        let of = |which: Verdict| {
            let chosen = judged.iter().filter(|(_, verdict)| *verdict == which);
            let mut all: Vec<_> = chosen.map(|(one, _)| (one.start, one.end, one.kind.clone())).collect();
            all.sort_unstable_by_key(|(start, ..)| *start);
            all
        };
        Self { masked: of(Verdict::Masked), allowed: of(Verdict::Allowed) }
    }
}

/// Whether one of the same kind lies around it, so that it says nothing new. Few findings overlap, so a few are looked at.
fn says(seen: &[(usize, usize, Kind)], finding: &Finding) -> bool {
    let next = seen.partition_point(|(start, ..)| *start <= finding.start);
    seen.iter().take(next).rev().take(16).any(|(_, end, kind)| *end >= finding.end && *kind == finding.kind)
}

/// A finding in a layer as one in the text that hides it; nothing where the text itself has said so.
fn led_back(mut finding: Finding, layer: &Layer, seen: &Seen) -> Option<Finding> {
    let inside = finding.start..finding.end;
    let back = layer.back(&inside);
    finding.start = back.start;
    finding.end = back.end;
    if back.is_empty() || says(&seen.masked, &finding) {
        return None;
    }
    let by = layer.hidden_by(&inside);
    if by.is_empty() {
        // It stands there as it is, and was found by what stands around it, decoded. Where that breaks the structure
        // around it, what a rule allowed by its path stays allowed.
        if says(&seen.allowed, &finding) {
            return None;
        }
    } else {
        finding.detector = format!("{} in {by}", finding.detector);
    }
    Some(finding)
}

/// The findings of many short texts, scanned line by line in one: a call for each of a million strings would take
/// minutes. A finding over several of them counts in each.
pub(crate) async fn scan_together(scanners: &Scanners, texts: &[&str]) -> Result<Vec<Vec<Finding>>, TriageError> {
    let mut joined = String::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
    let mut starts = Vec::with_capacity(texts.len());
    for text in texts {
        starts.push(joined.len());
        joined.push_str(text);
        joined.push('\n');
    }
    let mut found = vec![Vec::new(); texts.len()];
    for finding in scanners.scan(&joined, None).await? {
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
}
