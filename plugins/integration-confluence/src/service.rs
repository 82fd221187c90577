//! Confluence's calls, one method each, for both flavours: Cloud (v2, with v1 for search and uploads) and Data Center
//! (v1). Nothing above this file knows a path.
//!
//! Invariant: one request per call, but for lists, which follow at most [`MAX_LIST_PAGES`] pages.

use serde_json::{Value, json};

use crate::client::{Answer, Body, Client, WriteError};
use crate::error::unexpected;
use crate::marker::PROPERTY_KEY;
use crate::page::{Page, is_id};
use crate::paging;
use crate::settings::{Flavour, Settings};
use crate::text::percent_encode;
use plugin_core::host::{Failure, code};

/// Most pages of a list that one call follows. Lists that we read whole (one title, one file name, one key) have one.
pub const MAX_LIST_PAGES: usize = 10;

/// One Confluence, whose flavour is known.
pub struct Confluence<'a> {
    /// The way to it.
    pub client: Client<'a>,
    /// Which API it speaks.
    pub flavour: Flavour,
    /// The settings.
    pub settings: Settings,
}

/// A space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// What v2 takes.
    pub id: String,
    /// What v1 and people take.
    pub key: String,
    /// The name.
    pub name: String,
    /// Where a person finds it.
    pub url: Option<String>,
}

/// What is written: a new page, or a new version.
#[derive(Clone, Debug)]
pub struct Write<'w> {
    /// The title.
    pub title: &'w str,
    /// Storage format.
    pub body: &'w str,
    /// The version's message, which Data Center and v2 take with updates.
    pub message: &'w str,
}

/// A file at a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its id.
    pub id: String,
    /// Its comment.
    pub comment: String,
}

impl Confluence<'_> {
    fn cloud(&self) -> bool {
        self.flavour == Flavour::Cloud
    }

    /// `Confluence Cloud` or `Confluence Data Center`.
    pub fn product(&self) -> &'static str {
        if self.cloud() { "Confluence Cloud" } else { "Confluence Data Center" }
    }

    /// The signed-in user's name; nothing for nobody, as Data Center answers where it ignored a credential.
    ///
    /// # Errors
    /// Those of the contract.
    pub fn user(&self) -> Result<Option<String>, Failure> {
        let user = self.client.get("/rest/api/user/current")?.json;
        let text = |name: &str| user.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("type") == Some("anonymous") {
            return Ok(None);
        }
        Ok(["displayName", "publicName", "username", "email", "accountId"]
            .iter()
            .find_map(|name| text(name))
            .map(str::to_owned))
    }

    /// A page of the list of spaces.
    ///
    /// # Errors
    /// `invalid` for a foreign cursor, or those of the contract.
    pub fn spaces(&self, cursor: Option<&str>) -> Result<(Vec<Space>, Option<String>), Failure> {
        let list = if self.cloud() { "/api/v2/spaces" } else { "/rest/api/space" };
        let path = match cursor {
            Some(cursor) => paging::checked(cursor, list)?.to_owned(),
            None => format!("{list}?limit=100"),
        };
        let answer = self.client.get(&path)?;
        let spaces = results(&answer)?.iter().filter_map(|value| self.read_space(value, &answer.json)).collect();
        Ok((spaces, paging::next(&answer.json, &answer.headers)))
    }

    fn read_space(&self, value: &Value, list: &Value) -> Option<Space> {
        let text = |path: &str| match value.pointer(path)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let base = list.pointer("/_links/base").and_then(Value::as_str);
        let base = base
            .filter(|base| base.starts_with("https://") || base.starts_with("http://"))
            .unwrap_or(&self.client.root);
        Some(Space {
            id: text("/id")?,
            key: text("/key")?,
            name: text("/name").unwrap_or_default(),
            url: text("/_links/webui").filter(|webui| webui.starts_with('/')).map(|webui| format!("{base}{webui}")),
        })
    }

    /// The space with this key.
    ///
    /// # Errors
    /// `not-found` where there is none, or those of the contract.
    pub fn space(&self, key: &str) -> Result<Space, Failure> {
        let encoded = percent_encode(key);
        let missing = || {
            Failure::new(
                code::NOT_FOUND,
                format!("There is no space {key:?} in Confluence, or the credential may not see it."),
            )
        };
        let found = if self.cloud() {
            let answer = self.client.get(&format!("/api/v2/spaces?keys={encoded}&limit=5"))?;
            results(&answer)?
                .iter()
                .filter_map(|value| self.read_space(value, &answer.json))
                .find(|space| space.key == key)
        } else {
            self.client
                .find(&format!("/rest/api/space/{encoded}"))?
                .and_then(|answer| self.read_space(&answer.json, &answer.json))
        };
        found.ok_or_else(missing)
    }

    /// A page with its body; nothing where it is not there, in the trash, or hidden.
    ///
    /// # Errors
    /// Those of the contract.
    pub fn page(&self, id: &str) -> Result<Option<Page>, Failure> {
        let id = checked_id(id)?;
        let path = if self.cloud() {
            format!("/api/v2/pages/{id}?body-format=storage")
        } else {
            format!("/rest/api/content/{id}?expand=version,space,body.storage,history")
        };
        Ok(self.page_at(&path)?.filter(Page::is_current))
    }

    /// An older version of a page; nothing where it is not kept.
    ///
    /// # Errors
    /// Those of the contract.
    pub fn page_version(&self, id: &str, version: u64) -> Result<Option<Page>, Failure> {
        let id = checked_id(id)?;
        let path = if self.cloud() {
            format!("/api/v2/pages/{id}?version={version}&body-format=storage")
        } else {
            format!("/rest/api/content/{id}?status=historical&version={version}&expand=version,space,body.storage")
        };
        Ok(self.page_at(&path)?.filter(|page| page.version == version))
    }

    fn page_at(&self, path: &str) -> Result<Option<Page>, Failure> {
        let Some(answer) = self.client.find(path)? else {
            return Ok(None);
        };
        match self.read_page(&answer.json) {
            Some(page) => Ok(Some(page)),
            None => Err(unexpected("a page without an id", answer.json.to_string().as_bytes())),
        }
    }

    fn read_page(&self, json: &Value) -> Option<Page> {
        Page::read(json, None, &self.client.root)
    }

    /// The current pages with exactly this title in a space, with their bodies.
    ///
    /// # Errors
    /// Those of the contract.
    pub fn pages_with_title(&self, space: &Space, title: &str) -> Result<Vec<Page>, Failure> {
        let title = percent_encode(title);
        let path = if self.cloud() {
            format!(
                "/api/v2/pages?space-id={}&title={title}&status=current&body-format=storage&limit=25",
                percent_encode(&space.id)
            )
        } else {
            format!(
                "/rest/api/content?type=page&spaceKey={}&title={title}&status=current&expand=version,space,body.storage,history&limit=25",
                percent_encode(&space.key)
            )
        };
        self.list(path, |value, links| Page::read(value, links, &self.client.root).filter(Page::is_current))
    }

    fn list<T>(&self, path: String, read: impl Fn(&Value, Option<&Value>) -> Option<T>) -> Result<Vec<T>, Failure> {
        let mut items = Vec::new();
        let mut next = Some(path);
        for _ in 0..MAX_LIST_PAGES {
            let Some(path) = next else { break };
            let answer = self.client.get(&path)?;
            let links = answer.json.get("_links");
            items.extend(results(&answer)?.iter().filter_map(|value| read(value, links)));
            next = paging::next(&answer.json, &answer.headers);
        }
        Ok(items)
    }

    /// Create a page. The caller has looked for it first.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn create_page(&self, space: &Space, parent: Option<&str>, write: &Write<'_>) -> Result<Page, WriteError> {
        if let Some(parent) = parent {
            checked_id(parent).map_err(WriteError::Refused)?;
        }
        let storage = json!({ "value": write.body, "representation": "storage" });
        let (path, body) = if self.cloud() {
            let mut body = json!({ "spaceId": space.id, "status": "current", "title": write.title, "body": storage });
            insert(&mut body, "parentId", parent.map(|id| json!(id)));
            ("/api/v2/pages", body)
        } else {
            let mut body = json!({ "type": "page", "title": write.title, "space": { "key": space.key }, "body": { "storage": storage } });
            insert(&mut body, "ancestors", parent.map(|id| json!([{ "id": id }])));
            ("/rest/api/content", body)
        };
        self.written(self.client.write("POST", path, Body::Json(body))?)
    }

    /// Write the next version of a page, guarded by `number`, which is the current version and one.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn update_page(&self, id: &str, number: u64, write: &Write<'_>) -> Result<Page, WriteError> {
        let id = checked_id(id).map_err(WriteError::Refused)?;
        let storage = json!({ "value": write.body, "representation": "storage" });
        let version = json!({ "number": number, "message": write.message });
        let (path, body) = if self.cloud() {
            (
                format!("/api/v2/pages/{id}"),
                json!({ "id": id, "status": "current", "title": write.title, "body": storage, "version": version }),
            )
        } else {
            (
                format!("/rest/api/content/{id}"),
                json!({ "id": id, "type": "page", "title": write.title, "body": { "storage": storage }, "version": version }),
            )
        };
        self.written(self.client.write("PUT", &path, Body::Json(body))?)
    }

    fn written(&self, answer: Answer) -> Result<Page, WriteError> {
        self.read_page(&answer.json)
            .ok_or_else(|| WriteError::Unknown(unexpected("a page without an id", answer.json.to_string().as_bytes())))
    }

    /// The value of our content property.
    ///
    /// # Errors
    /// Those of the contract.
    pub fn property(&self, id: &str) -> Result<Option<Value>, Failure> {
        let id = checked_id(id)?;
        if self.cloud() {
            let path = format!("/api/v2/pages/{id}/properties?key={PROPERTY_KEY}");
            let values = self.list(path, |value, _| {
                (value.get("key").and_then(Value::as_str) == Some(PROPERTY_KEY))
                    .then(|| value.get("value").cloned())
                    .flatten()
            })?;
            return Ok(values.into_iter().next());
        }
        let answer = self.client.find(&format!("/rest/api/content/{id}/property/{PROPERTY_KEY}"))?;
        Ok(answer.and_then(|answer| answer.json.get("value").cloned()))
    }

    /// Set our content property on a page that has none.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn create_property(&self, id: &str, value: &Value) -> Result<(), WriteError> {
        let id = checked_id(id).map_err(WriteError::Refused)?;
        let path = if self.cloud() {
            format!("/api/v2/pages/{id}/properties")
        } else {
            format!("/rest/api/content/{id}/property")
        };
        let body = json!({ "key": PROPERTY_KEY, "value": value });
        self.client.write("POST", &path, Body::Json(body)).map(|_| ())
    }

    /// A page of the hits of a query, and where the next one is.
    ///
    /// # Errors
    /// `invalid` for a foreign cursor, or those of the contract.
    pub fn search(&self, cql: &str, limit: u32, cursor: Option<&str>) -> Result<(Vec<Page>, Option<String>), Failure> {
        let (list, expand) = if self.cloud() {
            ("/rest/api/search", "content.version,content.space,content.history")
        } else {
            ("/rest/api/content/search", "version,space,history")
        };
        let path = match cursor {
            Some(cursor) => paging::checked(cursor, list)?.to_owned(),
            None => format!("{list}?cql={}&limit={limit}&expand={expand}", percent_encode(cql)),
        };
        let answer = self.client.get(&path)?;
        let links = answer.json.get("_links");
        let pages = results(&answer)?
            .iter()
            .filter_map(|hit| {
                let mut page = Page::read(hit.get("content").unwrap_or(hit), links, &self.client.root)?;
                if page.updated.is_empty() {
                    let changed = hit.get("lastModified").and_then(Value::as_str);
                    page.updated = crate::page::instant(changed.unwrap_or_default());
                }
                Some(page)
            })
            .collect();
        Ok((pages, paging::next(&answer.json, &answer.headers)))
    }

    /// The file of this name at a page.
    ///
    /// # Errors
    /// Those of the contract.
    pub fn attached(&self, id: &str, name: &str) -> Result<Option<Attached>, Failure> {
        let (id, encoded) = (checked_id(id)?, percent_encode(name));
        let path = if self.cloud() {
            format!("/api/v2/pages/{id}/attachments?filename={encoded}&limit=25")
        } else {
            format!("/rest/api/content/{id}/child/attachment?filename={encoded}&limit=25")
        };
        let found = self.list(path, |value, _| {
            (value.get("title").and_then(Value::as_str) == Some(name)).then(|| read_attached(value)).flatten()
        })?;
        Ok(found.into_iter().next())
    }

    /// Upload a file, as a new one or as a new version of `known`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn upload(
        &self,
        id: &str,
        known: Option<&Attached>,
        media_type: String,
        body: Vec<u8>,
    ) -> Result<Attached, WriteError> {
        let id = checked_id(id).map_err(WriteError::Refused)?;
        let list = format!("/rest/api/content/{id}/child/attachment");
        let (method, path) = match known {
            Some(known) => {
                let known = checked_id(&known.id).map_err(WriteError::Refused)?;
                ("POST", format!("{list}/{known}/data"))
            }
            // On Cloud an upsert by name.
            None if self.cloud() => ("PUT", list),
            None => ("POST", list),
        };
        let answer = self.client.write(method, &path, Body::Raw(media_type, body))?;
        let value = answer.json.pointer("/results/0").unwrap_or(&answer.json);
        read_attached(value)
            .ok_or_else(|| WriteError::Unknown(unexpected("a file without an id", answer.json.to_string().as_bytes())))
    }
}

fn read_attached(value: &Value) -> Option<Attached> {
    let id = value.get("id")?.as_str()?.to_owned();
    let comment = ["/comment", "/metadata/comment", "/extensions/comment"]
        .iter()
        .find_map(|path| value.pointer(path)?.as_str())
        .unwrap_or_default()
        .to_owned();
    is_id(&id).then_some(Attached { id, comment })
}

fn results(answer: &Answer) -> Result<&Vec<Value>, Failure> {
    answer
        .json
        .get("results")
        .and_then(Value::as_array)
        .ok_or_else(|| unexpected("a list without results", answer.json.to_string().as_bytes()))
}

fn checked_id(id: &str) -> Result<&str, Failure> {
    if is_id(id) { Ok(id) } else { Err(Failure::new(code::INVALID, "This is not the id of a Confluence page.")) }
}

fn insert(body: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}
