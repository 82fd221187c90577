//! The root-cause analysis: generated from what is known, edited by a person, exported.

use fumehood_policy::Permission;
use fumehood_redact::Origin;
use fumehood_store::documents::Document;
use fumehood_store::incidents::Incident;
use fumehood_store::timeline::TimelineEvent;
use fumehood_store::whys::Why;
use fumehood_store::{IncidentId, Scope, clock};

use crate::{App, TriageError};

/// Longest document, bytes.
pub const DOCUMENT: usize = 512 << 10;

impl App {
    /// The document, where there is one.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn document(&self, scope: &Scope, incident: IncidentId) -> Result<Option<Document>, TriageError> {
        self.incident(scope, incident).await?;
        Ok(self.0.store.document(scope, incident).await?)
    }

    /// Save the document over the version that the person saw; returns the new version.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Conflict`.
    pub async fn save_document(
        &self,
        scope: &Scope,
        incident: IncidentId,
        seen: i64,
        title: &str,
        markdown: &str,
    ) -> Result<i64, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        let title = title.trim();
        if title.is_empty() || title.chars().count() > 200 || title.chars().any(char::is_control) {
            return Err(TriageError::invalid("title", "Give the document a title of at most 200 characters."));
        }
        if markdown.len() > DOCUMENT {
            return Err(TriageError::invalid(
                "markdown",
                "The document is over 512 KiB. Link to logs instead of pasting them.",
            ));
        }
        // Browsers send CRLF.
        let markdown = markdown.replace("\r\n", "\n");
        Ok(self.0.store.save_document(scope, incident, seen, title.into(), markdown).await?)
    }

    /// Write the document from the incident, its whys, their evidence and its timeline, masked, over the version that
    /// the person saw.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`.
    pub async fn generate_document(&self, scope: &Scope, id: IncidentId, seen: i64) -> Result<i64, TriageError> {
        self.require(scope, Permission::WriteIncidents)?;
        let incident = self.incident(scope, id).await?;
        let whys = self.whys(scope, id).await?;
        let timeline = self.timeline(scope, id).await?;
        let mut quotes = Vec::new();
        for evidence in whys.iter().flat_map(|why| &why.evidence) {
            let file = self.0.store.log(scope, evidence.log_id).await?;
            let (first, last) = (evidence.line as u64, evidence.last_line as u64);
            let lines = self.masked_quote(scope, &file, first, last.saturating_sub(first) + 1).await?;
            quotes.push((evidence.id, lines.iter().map(|line| line.as_str().to_owned()).collect()));
        }
        let mut events = Vec::new();
        for event in timeline.iter().filter(|event| matters(event)) {
            events.push(format!(
                "{} — {}",
                clock::rfc3339(event.time_us).replace('T', " ").chars().take(16).collect::<String>(),
                event.summary
            ));
        }
        let raw = render(&incident, &whys, &quotes, &events);
        let title = format!("Root-cause analysis: INC-{} {}", incident.number, incident.title);
        // Quotes hold pseudonyms already; the rest is as people typed it.
        let masked = self.mask(scope, id, Origin::Reply, &[&title, &raw]).await?;
        let mut masked = masked.iter().map(|text| text.as_str().to_owned());
        let title: String = masked.next().unwrap_or_default().chars().take(200).collect();
        let markdown = masked.next().unwrap_or_default();
        Ok(self.0.store.save_document(scope, id, seen, title, markdown).await?)
    }

    /// What is missing for a good document, each in a few words.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn document_gaps(&self, scope: &Scope, id: IncidentId) -> Result<Vec<String>, TriageError> {
        let whys = self.whys(scope, id).await?;
        let mut gaps = Vec::new();
        if whys.is_empty() {
            gaps.push("No whys are written yet".to_owned());
        } else if !whys.iter().any(|why| why.root_cause) {
            gaps.push("No root cause is marked".to_owned());
        }
        let open = whys.iter().filter(|why| why.answer.is_empty()).count();
        if open > 0 {
            gaps.push(format!("{open} of {} whys have no answer", whys.len()));
        }
        if !whys.is_empty() && whys.iter().all(|why| why.evidence.is_empty()) {
            gaps.push("No answer has evidence".to_owned());
        }
        Ok(gaps)
    }
}

/// Whether an event belongs into the analysis: what happened to the incident, and not how it was worked on.
fn matters(event: &TimelineEvent) -> bool {
    match event.kind.as_str() {
        "created" | "status" | "severity" => true,
        // One that was not kept leads nowhere.
        "log" => !event.link.is_empty(),
        _ => false,
    }
}

/// The first draft. A person finishes it.
fn render(
    incident: &Incident,
    whys: &[Why],
    quotes: &[(fumehood_store::EvidenceId, Vec<String>)],
    events: &[String],
) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "## Summary\n\n{}\n",
        if incident.description.is_empty() { "_What happened, in two sentences._" } else { &incident.description }
    );
    let _ = writeln!(
        text,
        "| Incident | INC-{} |\n|---|---|\n| Severity | {} |\n| Status | {} |\n| Opened | {} UTC |\n",
        incident.number,
        incident.severity,
        incident.status,
        clock::rfc3339(incident.created_us).replace('T', " ").chars().take(16).collect::<String>()
    );
    let _ = writeln!(text, "## Root cause\n");
    match whys.iter().find(|why| why.root_cause) {
        Some(why) => {
            let _ = writeln!(text, "{}\n", if why.answer.is_empty() { &why.question } else { &why.answer });
        }
        None => text.push_str("_Not marked yet._\n\n"),
    }
    text.push_str("## Five whys\n\n");
    if whys.is_empty() {
        text.push_str("_None written yet._\n\n");
    }
    for why in whys {
        let _ = writeln!(
            text,
            "{}. **{}**{}\n",
            why.position,
            why.question,
            if why.root_cause { " (root cause)" } else { "" }
        );
        if !why.answer.is_empty() {
            let _ = writeln!(text, "   {}\n", why.answer.replace('\n', "\n   "));
        }
        for evidence in &why.evidence {
            let note = if evidence.note.is_empty() { String::new() } else { format!(" — {}", evidence.note) };
            let lines = match (evidence.line, evidence.last_line) {
                (first, last) if first == last => format!("line {first}"),
                (first, last) => format!("lines {first} to {last}"),
            };
            let _ = writeln!(text, "   Evidence: {} {lines}{note}\n", evidence.log_name);
            let quote = quotes.iter().find(|(id, _)| *id == evidence.id).map_or(&[][..], |(_, lines)| lines);
            let quote: Vec<String> = quote.iter().map(|line| line.replace("```", "'''")).collect();
            let _ = writeln!(text, "   ```\n   {}\n   ```\n", quote.join("\n   "));
        }
    }
    text.push_str("## Timeline\n\n");
    for event in events {
        let _ = writeln!(text, "- {event}");
    }
    text.push_str("\n## Actions\n\n- [ ] _What will keep this from happening again, who does it, by when._\n");
    text
}
