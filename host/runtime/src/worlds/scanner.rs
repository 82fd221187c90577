//! Calling scanners. A scanner gets raw text and has no way out; its findings are checked here before anyone uses them.

use std::sync::Arc;

use crate::bindings::scanner::exports::fumehood::scanner::guest as wit;
use crate::effects::{CallHost, Failure};
use crate::engine::Runtime;
use crate::error::{CallError, known_code};
use crate::limits;
use crate::load::Plugin;
use crate::worlds::{Entry, Live};

/// A window of text. See the contract (`fumehood:scanner`).
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    pub text: &'a str,
    pub offset: u64,
    pub continues_before: bool,
    pub continues_after: bool,
    /// The file's name, where there is one: a hint.
    pub name: Option<&'a str>,
}

/// A finding as the scanner reported it, its range checked: on character boundaries and inside the window.
#[derive(Clone, Debug, PartialEq)]
pub struct RawFinding {
    pub kind: String,
    pub start: usize,
    pub end: usize,
    pub confidence: f32,
    pub validated: bool,
    pub detector: String,
}

/// What one scan gave.
#[derive(Debug, Default)]
pub struct ScanOutput {
    pub findings: Vec<RawFinding>,
}

/// A type that a scanner says it can report.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KindInfo {
    pub name: String,
    pub group: String,
    pub description: String,
}

impl Runtime {
    /// What a scanner can report.
    ///
    /// # Errors
    /// [`CallError`] where the plugin did not answer.
    pub async fn detects(&self, plugin: &Plugin, host: Option<Arc<dyn CallHost>>) -> Result<Vec<KindInfo>, CallError> {
        let pre = scanner(plugin)?;
        let mut live =
            Live::new(self, plugin, "detects", Default::default(), host, limits::HOSTCALL_BYTES, false).await?;
        let kinds = live
            .run(limits::CPU_PER_CALL, limits::SCAN_WALL, |store| async move {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.fumehood_scanner_guest().call_detects(&mut *store).await
            })
            .await?;
        Ok(kinds
            .into_iter()
            .take(256)
            .map(|kind| KindInfo { name: kind.name, group: kind.group, description: kind.description })
            .collect())
    }

    /// Scan one window on a fresh instance.
    ///
    /// # Errors
    /// [`CallError`]: the window counts as not scanned, and what was not scanned does not leave. The scanner's own
    /// words are not in the error; they are in the plugin's encrypted log.
    pub async fn scan(
        &self,
        plugin: &Plugin,
        chunk: Chunk<'_>,
        host: Option<Arc<dyn CallHost>>,
    ) -> Result<ScanOutput, CallError> {
        let pre = scanner(plugin)?;
        let mut live = Live::new(self, plugin, "scan", Default::default(), host, limits::FINDINGS_BYTES, false).await?;
        let wit_chunk = wit::Chunk {
            text: chunk.text.to_owned(),
            offset: chunk.offset,
            continues_before: chunk.continues_before,
            continues_after: chunk.continues_after,
            extensions: chunk.name.map(|name| ("name".to_owned(), name.to_owned())).into_iter().collect(),
        };
        let rules = plugin.0.prepare_each_time.as_deref();
        let result = live
            .run(limits::CPU_PER_CALL, limits::SCAN_WALL, |store| async move {
                let instance = pre.instantiate_async(&mut *store).await?;
                let guest = instance.fumehood_scanner_guest();
                if let Some(rules) = rules
                    && let Err(failure) = guest.call_prepare(&mut *store, rules).await?
                {
                    return Ok(Err(failure));
                }
                guest.call_scan(&mut *store, &wit_chunk).await
            })
            .await?;
        match result {
            Ok(findings) => {
                let checked = check(plugin.name(), chunk.text, findings);
                let findings = checked.inspect_err(|error| live.failed(error))?;
                Ok(ScanOutput { findings })
            }
            Err(failure) => {
                // What a scanner says may quote what it read.
                live.store.data().log.push(0, &failure.message);
                let code = known_code(&failure.code);
                let failure = Failure::new(code, "the scanner refused this text (see the plugin's log)");
                let error = CallError::Failed { plugin: plugin.name().into(), failure };
                live.failed(&error);
                Err(error)
            }
        }
    }
}

fn scanner(plugin: &Plugin) -> Result<&crate::bindings::scanner::ScannerPre<crate::state::State>, CallError> {
    match &plugin.0.entry {
        Entry::Scanner(pre) => Ok(pre),
        _ => Err(CallError::Contract { plugin: plugin.name().into(), what: "it is not a scanner".into() }),
    }
}

fn check(plugin: &str, text: &str, findings: Vec<wit::Finding>) -> Result<Vec<RawFinding>, CallError> {
    if findings.len() > limits::FINDINGS {
        return Err(CallError::OverLimit { plugin: plugin.into(), what: "findings in one window" });
    }
    findings
        .into_iter()
        .map(|finding| {
            let (start, end) = (finding.start as usize, finding.end as usize);
            if start >= end || end > text.len() || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
                return Err(CallError::Contract {
                    plugin: plugin.into(),
                    what: format!(
                        "a finding at {start}..{end} is no range of characters in a window of {} bytes",
                        text.len()
                    ),
                });
            }
            let confidence = if (0.0..=1.0).contains(&finding.confidence) { finding.confidence } else { 0.0 };
            let mut detector = finding.detector;
            // A label that is long, or not plain, could smuggle text of the log into places that show labels.
            if detector.len() > 48 || !detector.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_./".contains(&b)) {
                detector = "unnamed".into();
            }
            Ok(RawFinding { kind: finding.kind, start, end, confidence, validated: finding.validated, detector })
        })
        .collect()
}
