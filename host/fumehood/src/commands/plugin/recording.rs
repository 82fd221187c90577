//! A recorded call as a case for `fumehood plugin test`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fumehood_triage::TriageError;
use fumehood_triage::plugins::{Recorded, Recording};
use serde::Serialize;

/// Functions that `plugin test` can call.
const CALLED: [&str; 4] = ["test-connection", "list-projects", "publish-document", "models"];

#[derive(Serialize)]
struct File {
    case: [Case; 1],
}

#[derive(Serialize)]
struct Case {
    name: String,
    call: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fails: String,
    credential: bool,
    config: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    request: Vec<Request>,
}

#[derive(Serialize)]
struct Document {
    marker: String,
    project: String,
    title: String,
    markdown: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Request {
    method: String,
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    answer: String,
    headers: BTreeMap<String, String>,
    headers_answered: BTreeMap<String, String>,
}

/// The newest calls, a line each.
pub fn list(name: &str, calls: &[Recorded]) -> String {
    if calls.is_empty() {
        return format!("{name} was not called yet, or not lately.");
    }
    let mut text = format!("{:>10}  {:<20} {:>8}  RESULT\n", "CALL", "FUNCTION", "REQUESTS");
    for one in calls {
        let result = if one.result.is_empty() { "(on its way)" } else { &one.result };
        let _ = writeln!(text, "{:>10}  {:<20} {:>8}  {result}", one.index, one.function, one.requests);
    }
    text += &format!("Write one as a case: fumehood plugin recording {name} CALL >> tests/recorded.toml\n");
    text
}

/// A call as a case.
pub fn case(name: &str, recording: &Recording) -> Result<String, TriageError> {
    let call = &recording.call;
    if !CALLED.contains(&call.function.as_str()) {
        return Err(TriageError::Conflict(format!(
            "A call of `{}` cannot be written as a case; those of {} can.",
            call.function,
            CALLED.join(", ")
        )));
    }
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map_err(|_| TriageError::Conflict("A body of this call is no text, which a case cannot hold.".to_owned()))
    };
    let mut request = Vec::new();
    for one in &recording.exchanges {
        request.push(Request {
            method: one.method.clone(),
            url: one.url.clone(),
            body: text(&one.body)?,
            breaks: one.answer.is_none().then(|| one.result.clone()),
            status: one.answer.as_ref().map(|answer| answer.status),
            answer: one.answer.as_ref().map(|answer| text(&answer.body)).transpose()?.unwrap_or_default(),
            headers: one.headers.iter().cloned().collect(),
            headers_answered: one.answer.iter().flat_map(|answer| answer.headers.iter().cloned()).collect(),
        });
    }
    let document = recording.document.clone().map(|[marker, project, title, markdown]| Document {
        marker,
        project,
        title,
        markdown,
    });
    let case = Case {
        name: format!("{} as it was recorded ({})", call.function, call.index),
        call: call.function.clone(),
        fails: if call.result == "ok" { String::new() } else { call.result.clone() },
        credential: recording.has_credential,
        config: recording.settings.clone(),
        document,
        request,
    };
    let written = toml::to_string(&File { case: [case] });
    let written = written.map_err(|error| TriageError::Internal(error.to_string()))?;
    Ok(format!("# Recorded of {name}. Answers are as they came: look through them before they go anywhere.\n{written}"))
}
