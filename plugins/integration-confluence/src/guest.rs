//! The component: the traits of [`plugin_core::host`] on the contract's imports, and the world's exports.
//!
//! Invariant: conversions only; no rule of its own.

#![allow(missing_docs, unsafe_code, clippy::allow_attributes_without_reason, reason = "generated bindings")]

use crate::model as plain;
use crate::service::Confluence;
use crate::{attach, items, publish};
use plugin_core::host::{self, Config, HeaderValue, Host, Http, Kv, Log, Request, Response};

wit_bindgen::generate!({
    path: [
        "../../wit/types-0.1.0",
        "../../wit/log-0.1.0",
        "../../wit/http-0.1.0",
        "../../wit/kv-0.1.0",
        "../../wit/config-0.1.0",
        "../../wit/integration-0.1.0",
    ],
    world: "fumehood:integration/integration",
    generate_all,
});

use exports::fumehood::integration::guest as wit;
use fumehood::config::config as wit_config;
use fumehood::http::http as wit_http;
use fumehood::kv::kv as wit_kv;
use fumehood::log::log as wit_log;
use fumehood::types::types as wit_types;

struct Plugin;
struct Imports;
struct Body(wit_http::Response);

impl From<wit_types::Failure> for host::Failure {
    fn from(failure: wit_types::Failure) -> Self {
        Self {
            code: failure.code.into(),
            message: failure.message,
            retry_after_ms: failure.retry_after_ms,
            extensions: failure.extensions,
        }
    }
}

impl From<host::Failure> for wit_types::Failure {
    fn from(failure: host::Failure) -> Self {
        Self {
            code: failure.code.into_owned(),
            message: failure.message,
            retry_after_ms: failure.retry_after_ms,
            extensions: failure.extensions,
        }
    }
}

impl Http for Imports {
    fn send(&self, request: Request) -> Result<Box<dyn Response>, host::Failure> {
        let headers = request
            .headers
            .into_iter()
            .map(|(name, value)| wit_types::Header {
                name: name.to_owned(),
                value: match value {
                    HeaderValue::Text(text) => wit_types::HeaderValue::Text(text),
                    HeaderValue::Credential(handle) => wit_types::HeaderValue::Credential(handle),
                },
            })
            .collect();
        let response = wit_http::send(&wit_http::Request {
            method: request.method.to_owned(),
            url: request.url,
            headers,
            body: request.body,
            timeout_ms: request.timeout_ms,
            extensions: Vec::new(),
        })?;
        Ok(Box::new(Body(response)))
    }
}

impl Response for Body {
    fn status(&self) -> u16 {
        self.0.status()
    }
    fn headers(&self) -> Vec<(String, String)> {
        self.0.headers()
    }
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, host::Failure> {
        Ok(self.0.next_chunk()?)
    }
}

impl Config for Imports {
    fn get(&self, key: &str) -> Option<String> {
        wit_config::get(key)
    }
}

impl Kv for Imports {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, host::Failure> {
        Ok(wit_kv::get(key)?)
    }
    fn set(&self, key: &str, value: &[u8]) -> Result<(), host::Failure> {
        Ok(wit_kv::set(key, value)?)
    }
}

impl Log for Imports {
    fn warn(&self, message: &str) {
        wit_log::log(wit_log::Level::Warn, message);
    }
}

/// One call on the Confluence that the settings name. Every failure is in the plugin's own log, too.
fn call<T>(run: impl FnOnce(&Confluence<'_>) -> Result<T, host::Failure>) -> Result<T, wit_types::Failure> {
    let host = Host { http: &Imports, config: &Imports, kv: &Imports, log: &Imports };
    Confluence::open(host).and_then(|confluence| run(&confluence)).map_err(|failure| {
        Imports.warn(&failure.to_string());
        failure.into()
    })
}

fn item(item: plain::Item) -> wit::Item {
    wit::Item {
        id: item.id,
        key: item.key,
        project: item.project,
        title: item.title,
        kind: item.kind,
        status: item.status,
        priority: String::new(),
        assignee: String::new(),
        reporter: item.reporter,
        created: item.created,
        updated: item.updated,
        version: item.version,
        url: item.url,
        raw: item.raw,
    }
}

fn items(listed: plain::Listed<plain::Item>) -> wit::PageOfItems {
    wit::PageOfItems { items: listed.items.into_iter().map(item).collect(), next: listed.next }
}

fn draft(draft: wit::Draft) -> plain::Draft {
    plain::Draft {
        marker: draft.marker,
        project: draft.project,
        kind: draft.kind,
        title: draft.title,
        body: draft.body,
        status: draft.status,
        fields: draft.fields,
    }
}

impl wit::Guest for Plugin {
    fn capabilities() -> Vec<String> {
        items::CAPABILITIES.iter().map(|name| (*name).to_owned()).collect()
    }

    fn test_connection() -> Result<wit::Account, wit_types::Failure> {
        call(items::test_connection).map(|account| wit::Account {
            name: account.name,
            product: account.product,
            extensions: Vec::new(),
        })
    }

    fn list_projects(cursor: Option<String>) -> Result<wit::PageOfProjects, wit_types::Failure> {
        let listed = call(|confluence| items::list_projects(confluence, cursor.as_deref()))?;
        Ok(wit::PageOfProjects {
            projects: listed
                .items
                .into_iter()
                .map(|space| wit::Project { id: space.id, key: space.key, name: space.name, url: space.url })
                .collect(),
            next: listed.next,
        })
    }

    fn search(query: wit::Query) -> Result<wit::PageOfItems, wit_types::Failure> {
        let query = plain::Query { text: query.text, project: query.project, limit: query.limit, cursor: query.cursor };
        call(|confluence| items::search(confluence, &query)).map(items)
    }

    fn get(id: String) -> Result<wit::Item, wit_types::Failure> {
        call(|confluence| items::get(confluence, &id)).map(item)
    }

    fn create(new: wit::Draft) -> Result<wit::Item, wit_types::Failure> {
        let new = draft(new);
        call(|confluence| items::create(confluence, &new)).map(item)
    }

    fn update(id: String, version: String, change: wit::Draft) -> Result<wit::Item, wit_types::Failure> {
        let change = draft(change);
        call(|confluence| items::update(confluence, &id, &version, &change)).map(item)
    }

    fn sync_since(since: String, cursor: Option<String>) -> Result<wit::PageOfItems, wit_types::Failure> {
        call(|confluence| items::sync_since(confluence, &since, cursor.as_deref())).map(items)
    }

    fn publish_document(document: wit::Document) -> Result<wit::Published, wit_types::Failure> {
        let document = plain::Document {
            marker: document.marker,
            project: document.project,
            parent: document.parent,
            title: document.title,
            markdown: document.markdown,
            known: document.known.map(|known| plain::Remote {
                id: known.id,
                version: known.version,
                content_sha256: known.content_sha256,
            }),
            overwrite: document.overwrite,
        };
        let published = call(|confluence| publish::publish(confluence, &document))?;
        Ok(wit::Published {
            remote: wit::Remote {
                id: published.remote.id,
                version: published.remote.version,
                content_sha256: published.remote.content_sha256,
            },
            url: published.url,
            title: published.title,
            outcome: published.outcome.as_str().to_owned(),
        })
    }

    fn attach(id: String, attachment: wit::Attachment) -> Result<String, wit_types::Failure> {
        let attachment =
            plain::Attachment { name: attachment.name, media_type: attachment.media_type, body: attachment.body };
        call(|confluence| attach::attach(confluence, &id, &attachment))
    }
}

export!(Plugin);
