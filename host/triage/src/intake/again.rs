//! Logs that are stored are scanned again, because the rules have changed since.
//!
//! Invariant: a chunk has the findings of one scan, the old one or the new one; where it is broken off, the rest keeps its
//! old findings, and it can be begun again. What people have decided stays decided.

use std::collections::BTreeMap;

use fumehood_policy::Permission;
use fumehood_redact::{Finding, Group, Seams, WindowSize, Windows};
use fumehood_store::logs::{ChunkPlace, KindCount, LogFile};
use fumehood_store::{Change, IncidentId, Scope};

use super::chunks::stored;
use crate::{App, TriageError};

impl App {
    /// Scan all logs of an incident under the rules of now; gives how many there were. It goes on where the caller goes
    /// away.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; why a log could not be scanned: it keeps its old findings from there on.
    pub async fn scan_again(&self, scope: &Scope, incident: IncidentId) -> Result<usize, TriageError> {
        self.require(scope, Permission::ReviewFindings)?;
        self.incident(scope, incident).await?;
        let (app, scope) = (self.clone(), scope.clone());
        let work = self.0.tasks.spawn(async move {
            let _alone = app.0.detections.scanning.lock().await;
            let logs = app.0.store.logs(&scope, incident).await?;
            let mut done = 0;
            for log in logs.iter().filter(|log| log.state == "ready") {
                app.scan_until_current(&scope, log).await?;
                done += 1;
            }
            Ok(done)
        });
        work.await.map_err(|error| TriageError::Internal(error.to_string()))?
    }

    /// Scan a log, and once more where the rules have changed meanwhile.
    async fn scan_until_current(&self, scope: &Scope, log: &LogFile) -> Result<(), TriageError> {
        loop {
            let generation = self.rules_generation();
            let change = Change::new("log.scan", format!("log:{}", log.id));
            let intent = self.0.store.intent(scope, change.clone()).await?;
            let result = self.scan_log_again(scope, log).await;
            self.hold_all(log.incident_id).await;
            let said = result.as_ref().map_or_else(|_| "failed", |()| "done");
            self.0.store.outcome(scope, intent, change, said).await?;
            result?;
            if generation == self.rules_generation() {
                return Ok(());
            }
        }
    }

    /// A log that arrived while rules changed is scanned under those that hold now.
    pub(super) fn scan_if_stale(&self, scope: &Scope, log: &LogFile, generation: u64) {
        if generation == self.rules_generation() {
            return;
        }
        let (app, scope, log) = (self.clone(), scope.clone(), log.clone());
        self.0.tasks.spawn(async move {
            let _alone = app.0.detections.scanning.lock().await;
            if let Err(error) = app.scan_until_current(&scope, &log).await {
                tracing::warn!(%error, "a log that arrived while rules changed could not be scanned again");
            }
        });
    }

    async fn scan_log_again(&self, scope: &Scope, log: &LogFile) -> Result<(), TriageError> {
        let scanners = self.scanners(scope, log.incident_id, &format!("log:{}", log.id)).await;
        let chunks = self.0.store.chunk_count(scope, log.id).await?;
        let mut windows = Windows::new(WindowSize::DEFAULT);
        let mut seams = Seams::new();
        let mut again = Again::default();
        for seq in 0..chunks {
            let chunk = self.0.store.chunk(scope, log.id, seq).await?;
            windows.push(&chunk.text);
            again.places.push_back(chunk.place);
            if seq + 1 == chunks {
                windows.finish();
            }
            while let Some(window) = windows.next_window() {
                let found = scanners.scan_window(&window, Some(&log.name)).await?;
                let found = seams.push(&window, found);
                let value = |one: &Finding| {
                    let local = one.start.checked_sub(window.offset)?..one.end.checked_sub(window.offset)?;
                    Some((one.kind.clone(), window.text.get(local)?.to_owned()))
                };
                let learnt = found.iter().filter(|one| one.group != Group::Structured).filter_map(value).collect();
                self.learn_arriving(scope, log.incident_id, learnt).await?;
                again.found(found);
                let settled = if window.continues_after { seams.settled(&window) as u64 } else { u64::MAX };
                if settled < u64::MAX {
                    self.keep_settled(scope, log, &mut again, settled).await?;
                }
            }
        }
        again.found(seams.finish());
        self.keep_settled(scope, log, &mut again, u64::MAX).await?;
        let counts = again.counts.into_iter().map(|(kind, (group, total))| KindCount { kind, group, total }).collect();
        self.0.store.scanned_again(scope, log.id, counts).await?;
        Ok(())
    }

    /// Give the chunks that lie before `settled` their new findings.
    async fn keep_settled(
        &self,
        scope: &Scope,
        log: &LogFile,
        again: &mut Again,
        settled: u64,
    ) -> Result<(), TriageError> {
        while let Some(place) = again.places.front() {
            let (start, end) = (place.first_byte as u64, (place.first_byte + place.text_bytes) as u64);
            if end > settled {
                break;
            }
            let seq = place.seq;
            again.findings.sort_by_key(|finding| (finding.start, finding.end));
            let touching =
                again.findings.iter().filter(|finding| (finding.start as u64) < end && (finding.end as u64) > start);
            let findings = touching.map(stored).collect();
            again.findings.retain(|finding| finding.end as u64 > end);
            again.places.pop_front();
            self.0.store.replace_findings(scope, log.id, seq, findings).await?;
        }
        Ok(())
    }
}

/// What is not stored yet.
#[derive(Default)]
struct Again {
    places: std::collections::VecDeque<ChunkPlace>,
    findings: Vec<Finding>,
    counts: BTreeMap<String, (String, i64)>,
}

impl Again {
    fn found(&mut self, findings: Vec<Finding>) {
        for finding in &findings {
            let kind = finding.kind.as_str().to_owned();
            self.counts.entry(kind).or_insert_with(|| (finding.group.code().to_owned(), 0)).1 += 1;
        }
        self.findings.extend(findings);
    }
}
