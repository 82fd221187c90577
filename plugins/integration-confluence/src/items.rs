//! The other functions of the world: pages as items.
//!
//! Invariant: a function that Confluence has no notion of fails with `unsupported` and is missing from
//! [`CAPABILITIES`].

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::client::WriteError;
use crate::cql;
use crate::model::{Account, Draft, Item, Listed, Query};
use crate::page::{Page, is_id};
use crate::publish::{Content, create_once};
use crate::service::{Confluence, Space, Write};
use crate::text::{clip, plain, without_volatile};
use plugin_core::host::{Failure, code};

/// What Confluence supports.
pub const CAPABILITIES: [&str; 9] = [
    "test-connection",
    "list-projects",
    "search",
    "get",
    "create",
    "update",
    "sync-since",
    "publish-document",
    "attach",
];

/// How far before the wanted time a query asks: CQL takes minutes in the time zone of the user, which can be 14 hours
/// from UTC on either side; what is too old is dropped here.
const SYNC_OVERLAP_HOURS: i64 = 26;

/// Who the credential belongs to.
///
/// # Errors
/// Those of the contract.
pub fn test_connection(confluence: &Confluence<'_>) -> Result<Account, Failure> {
    let name = match confluence.user() {
        Ok(Some(name)) => name,
        Ok(None) => {
            return Err(Failure::new(
                code::AUTH,
                "Confluence treats this credential as nobody's. Renew it in the settings.",
            ));
        }
        // A scoped token need not be allowed to read its own user.
        Err(failure) if failure.code == code::FORBIDDEN || failure.code == code::NOT_FOUND => {
            confluence.spaces(None)?;
            "unknown: the credential may not read its own user".to_owned()
        }
        Err(failure) => return Err(failure),
    };
    if let Some(space) = &confluence.settings.space {
        confluence.space(space)?;
    }
    if let Some(parent) = &confluence.settings.parent
        && confluence.page(parent)?.is_none()
    {
        return Err(Failure::new(
            code::NOT_FOUND,
            format!("There is no page {parent} to put documents below, or the credential may not see it."),
        ));
    }
    Ok(Account { name, product: confluence.product().to_owned() })
}

/// A page of the list of spaces.
///
/// # Errors
/// Those of the contract.
pub fn list_projects(confluence: &Confluence<'_>, cursor: Option<&str>) -> Result<Listed<Space>, Failure> {
    let (items, next) = confluence.spaces(cursor)?;
    Ok(Listed { items, next })
}

/// Pages with these words, the newest first.
///
/// # Errors
/// Those of the contract.
pub fn search(confluence: &Confluence<'_>, query: &Query) -> Result<Listed<Item>, Failure> {
    let cql = cql::search(&query.text, space_of(confluence, query.project.as_deref()).as_deref());
    let limit = query.limit.clamp(1, 100);
    let (pages, next) = confluence.search(&cql, limit, query.cursor.as_deref())?;
    Ok(Listed { items: pages.into_iter().map(item).collect(), next })
}

/// One page.
///
/// # Errors
/// `not-found`, or those of the contract.
pub fn get(confluence: &Confluence<'_>, id: &str) -> Result<Item, Failure> {
    confluence.page(id)?.map(item).ok_or_else(|| not_found(id))
}

/// Create a page, exactly once.
///
/// # Errors
/// `unsupported` for anything but a page, `invalid` for a field that a page has not, or those of the contract.
pub fn create(confluence: &Confluence<'_>, draft: &Draft) -> Result<Item, Failure> {
    let parent = check(draft)?;
    let content = Content::new(
        &draft.marker,
        draft.title.as_deref().unwrap_or_default(),
        draft.body.as_deref().unwrap_or_default(),
    )?;
    let space = draft.project.as_deref().unwrap_or_default();
    create_once(confluence, &content, space, parent.as_deref()).map(item)
}

/// Write a new version of a page.
///
/// # Errors
/// `conflict` with `theirs` (JSON with `version`, `title`, `url`, `excerpt`), or those of the contract.
pub fn update(confluence: &Confluence<'_>, id: &str, version: &str, draft: &Draft) -> Result<Item, Failure> {
    if check(draft)?.is_some() {
        return Err(Failure::new(code::UNSUPPORTED, "Moving a page below another one is not supported."));
    }
    let page = confluence.page(id)?.ok_or_else(|| not_found(id))?;
    if draft.project.as_deref().is_some_and(|space| space != page.space) {
        return Err(Failure::new(code::UNSUPPORTED, "Moving a page to another space is not supported."));
    }
    let title = draft.title.as_deref().unwrap_or(&page.title);
    let content = match &draft.body {
        Some(markdown) => Content::new(&draft.marker, title, markdown)?,
        // Without what Confluence rewrites, so that the digest is the same when this is asked again.
        None => Content::from_storage(&draft.marker, title, &without_volatile(&page.body))?,
    };
    let done = |page: &Page| {
        // A rename alone keeps the body that it found, whose digest the message then carries.
        content.marker.digest_in(&page.message).as_deref() == Some(crate::marker::short(&content.sha256))
    };
    if page.version.to_string() != version {
        return if done(&page) { Ok(item(page)) } else { Err(conflict(&page)) };
    }
    let message = content.marker.message(&content.sha256);
    let write = Write {
        title: &content.titles[0],
        // The body as it is already has its anchor, or never had one.
        body: if draft.body.is_some() { &content.body } else { &page.body },
        message: &message,
    };
    match confluence.update_page(id, page.version.saturating_add(1), &write) {
        Ok(_) => get(confluence, id),
        Err(WriteError::Stale(_)) => {
            let now = confluence.page(id)?.ok_or_else(|| not_found(id))?;
            Err(conflict(&now))
        }
        Err(WriteError::Unknown(failure)) => match confluence.page(id) {
            Ok(Some(now)) if done(&now) => Ok(item(now)),
            Ok(Some(now)) if now.version != page.version => Err(conflict(&now)),
            Ok(_) => Err(failure),
            Err(_) => Err(Failure { code: code::OUTCOME_UNKNOWN.into(), ..failure }),
        },
        Err(WriteError::TitleTaken(failure) | WriteError::Refused(failure)) => Err(failure),
    }
}

/// Pages changed since a time, in order of change.
///
/// # Errors
/// `invalid` for a time that is none, or those of the contract.
pub fn sync_since(confluence: &Confluence<'_>, since: &str, cursor: Option<&str>) -> Result<Listed<Item>, Failure> {
    let from: Timestamp =
        since.parse().map_err(|_| Failure::new(code::INVALID, "The time to synchronise from is not RFC 3339."))?;
    let asked = from
        .checked_sub(SignedDuration::from_hours(SYNC_OVERLAP_HOURS))
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .max(Timestamp::UNIX_EPOCH);
    // `2026-01-02T03:04:05Z` to `2026-01-02 03:04`.
    let minute: String = asked.to_string().replace('T', " ").chars().take(16).collect();
    let cql = cql::changed_since(&minute, space_of(confluence, None).as_deref());
    let (pages, next) = confluence.search(&cql, 50, cursor)?;
    let items = pages
        .into_iter()
        .filter(|page| page.updated.parse::<Timestamp>().is_ok_and(|at| at >= from))
        .map(item)
        .collect();
    Ok(Listed { items, next })
}

/// The space that a search is limited to: the one that is named, or the settings'.
fn space_of(confluence: &Confluence<'_>, project: Option<&str>) -> Option<String> {
    project.filter(|space| !space.trim().is_empty()).map(str::to_owned).or_else(|| confluence.settings.space.clone())
}

/// Whether the draft asks for what a page has; the parent, if it names one.
fn check(draft: &Draft) -> Result<Option<String>, Failure> {
    if draft.kind.as_deref().is_some_and(|kind| kind != "page") {
        return Err(Failure::new(code::UNSUPPORTED, "Confluence is used for pages only."));
    }
    if draft.status.as_deref().is_some_and(|status| status != "current") {
        return Err(Failure::new(code::UNSUPPORTED, "A page has no status but current."));
    }
    let mut parent = None;
    for (name, value) in &draft.fields {
        let id = serde_json::from_str::<String>(value).ok().filter(|id| is_id(id));
        match (name.as_str(), id) {
            ("parent", Some(id)) => parent = Some(id),
            ("parent", None) => {
                return Err(Failure::new(code::INVALID, "The field parent is not the id of a page, as a JSON string."));
            }
            _ => {
                return Err(Failure::new(code::INVALID, format!("A page has no field {:?}.", clip(name, 100))));
            }
        }
    }
    Ok(parent)
}

fn item(page: Page) -> Item {
    Item {
        raw: page.raw.to_string(),
        key: page.id.clone(),
        id: page.id,
        project: page.space,
        title: page.title,
        kind: page.kind,
        status: if page.status.is_empty() { "current".to_owned() } else { page.status },
        reporter: page.author,
        created: page.created,
        updated: page.updated,
        version: if page.version == 0 { String::new() } else { page.version.to_string() },
        url: Some(page.url),
    }
}

fn conflict(page: &Page) -> Failure {
    let theirs = json!({
        "version": page.version.to_string(),
        "title": page.title,
        "url": page.url,
        "excerpt": clip(&plain(&page.body), 1000),
    });
    Failure::new(code::CONFLICT, "Someone else changed this page meanwhile.").with("theirs", theirs.to_string())
}

fn not_found(id: &str) -> Failure {
    Failure::new(code::NOT_FOUND, format!("Confluence has no page {}, or hides it from this credential.", clip(id, 40)))
}
