//! Desk, a small ticket system: signs in, lists queues, and opens a ticket for a document, exactly once. Before it
//! creates anything it looks for the marker that every attempt at the same object carries.

use fumehood_sdk::integration::{
    self as sdk, Account, Attachment, Document, Draft, Failure, Guest, Header, Item, PageOfItems, PageOfProjects,
    Project, Published, Query, Remote, failed_status, failure, kv, setting, unsupported,
};
use serde_json::{Value, json};

struct Plugin;

/// One request to Desk; its JSON.
fn ask(method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
    let url = format!("{}{path}", setting("base-url")?.trim_end_matches('/'));
    let mut headers: Vec<Header> = vec![sdk::header("accept", "application/json")];
    headers.extend(sdk::config::get("credential").map(|handle| sdk::credential("authorization", handle)));
    if body.is_some() {
        headers.push(sdk::header("content-type", "application/json"));
    }
    let (status, answered, bytes) = sdk::send(method, &url, headers, body.map(|body| body.to_string().into_bytes()))?;
    if let Some(mut failed) = failed_status(status, "") {
        let wait = answered.iter().find(|(name, _)| name == "retry-after").and_then(|(_, value)| value.parse::<u64>().ok());
        failed.retry_after_ms = wait.map(|seconds| seconds.saturating_mul(1000));
        return Err(failed);
    }
    serde_json::from_slice(&bytes).map_err(|error| failure("protocol", format!("Desk answered with no JSON: {error}")))
}

fn text(value: &Value, key: &str) -> Result<String, Failure> {
    let found = value.get(key).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| failure("protocol", format!("Desk's answer has no `{key}`.")))
}

/// For a query: everything but letters, digits, `-` and `_` is escaped.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn ticket(marker: &str) -> Result<Option<Value>, Failure> {
    let found = ask("GET", &format!("/tickets?marker={}", escaped(marker)), None)?;
    Ok(found.get("tickets").and_then(Value::as_array).and_then(|all| all.first().cloned()))
}

/// The ticket with this marker, opened if there is none; whether it was opened now.
fn open(marker: &str, title: &str, body: &str) -> Result<(Value, bool), Failure> {
    if let Some(there) = ticket(marker)? {
        return Ok((there, false));
    }
    let opened = ask("POST", "/tickets", Some(json!({ "marker": marker, "title": title, "body": body })))?;
    // Only saves the question next time: without it nothing is lost.
    kv::set(&format!("ticket/{marker}"), text(&opened, "id")?.as_bytes())?;
    Ok((opened, true))
}

fn item(ticket: &Value) -> Result<Item, Failure> {
    let id = text(ticket, "id")?;
    Ok(Item {
        key: id.clone(),
        id,
        project: String::new(),
        title: text(ticket, "title")?,
        kind: "ticket".to_owned(),
        status: text(ticket, "status").unwrap_or_default(),
        priority: String::new(),
        assignee: String::new(),
        reporter: String::new(),
        created: String::new(),
        updated: String::new(),
        version: String::new(),
        url: text(ticket, "url").ok(),
        raw: ticket.to_string(),
    })
}

impl Guest for Plugin {
    fn capabilities() -> Vec<String> {
        ["test-connection", "list-projects", "create", "publish-document"].map(str::to_owned).to_vec()
    }

    fn test_connection() -> Result<Account, Failure> {
        let me = ask("GET", "/me", None)?;
        Ok(Account { name: text(&me, "name")?, product: "Desk".to_owned(), extensions: Vec::new() })
    }

    fn list_projects(_: Option<String>) -> Result<PageOfProjects, Failure> {
        let queues = ask("GET", "/queues", None)?;
        let queue = |queue: &Value| {
            let key = text(queue, "key")?;
            Ok(Project { id: key.clone(), key, name: text(queue, "name")?, url: None })
        };
        let projects = queues.get("queues").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter().map(queue);
        Ok(PageOfProjects { projects: projects.collect::<Result<_, Failure>>()?, next: None })
    }

    fn create(draft: Draft) -> Result<Item, Failure> {
        let title = draft.title.ok_or_else(|| failure("invalid", "A ticket has a title."))?;
        item(&open(&draft.marker, &title, draft.body.as_deref().unwrap_or_default())?.0)
    }

    fn publish_document(document: Document) -> Result<Published, Failure> {
        let (ticket, is_new) = open(&document.marker, &document.title, &document.markdown)?;
        Ok(Published {
            remote: Remote { id: text(&ticket, "id")?, version: String::new(), content_sha256: String::new() },
            url: text(&ticket, "url").unwrap_or_default(),
            title: document.title,
            outcome: if is_new { "created" } else { "unchanged" }.to_owned(),
        })
    }

    fn search(_: Query) -> Result<PageOfItems, Failure> {
        unsupported()
    }

    fn get(_: String) -> Result<Item, Failure> {
        unsupported()
    }

    fn update(_: String, _: String, _: Draft) -> Result<Item, Failure> {
        unsupported()
    }

    fn sync_since(_: String, _: Option<String>) -> Result<PageOfItems, Failure> {
        unsupported()
    }

    fn attach(_: String, _: Attachment) -> Result<String, Failure> {
        unsupported()
    }
}

fumehood_sdk::integration::export!(Plugin);
