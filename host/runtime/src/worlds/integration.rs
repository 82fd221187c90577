//! Calling integrations. Text reaches them as [`Redacted`] only.

use std::collections::BTreeMap;
use std::sync::Arc;

use fumehood_redact::Redacted;

use crate::bindings::integration::IntegrationPre;
use crate::bindings::integration::exports::fumehood::integration::guest as wit;
use crate::effects::{CallHost, Failure};
use crate::engine::Runtime;
use crate::error::CallError;
use crate::limits;
use crate::load::Plugin;
use crate::state::State;
use crate::worlds::{Entry, Live};

/// Who a credential belongs to.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub product: String,
}

/// A project or space.
#[derive(Clone, Debug)]
pub struct Project {
    pub id: String,
    pub key: String,
    pub name: String,
    pub url: Option<String>,
}

/// What we remember of an object that we wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub id: String,
    pub version: String,
    pub content_sha256: String,
}

/// A document to publish.
#[derive(Clone, Debug)]
pub struct Document {
    pub marker: String,
    pub project: String,
    pub parent: Option<String>,
    pub title: Redacted,
    pub markdown: Redacted,
    pub known: Option<Remote>,
    pub overwrite: bool,
}

/// A document that was published.
#[derive(Clone, Debug)]
pub struct Published {
    pub remote: Remote,
    pub url: String,
    pub title: String,
    /// `created`, `updated` or `unchanged`.
    pub outcome: String,
}

/// An integration plugin with the settings of one instance.
#[derive(Clone)]
pub struct Integration {
    runtime: Runtime,
    plugin: Plugin,
    config: Arc<BTreeMap<String, String>>,
}

/// One call on a fresh instance: `$function` with `$argument…`, its failure turned into a [`CallError`].
macro_rules! call {
    ($self:ident, $host:ident, $name:literal, $function:ident $(, $argument:expr)*) => {{
        let pre = $self.pre()?;
        let mut live = Live::new(
            &$self.runtime, &$self.plugin, $name, $self.config.clone(), Some($host), limits::HOSTCALL_BYTES, false,
        ).await?;
        let answer = live.run(limits::CPU_PER_CALL, limits::CALL_WALL, |store| async move {
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.fumehood_integration_guest().$function(&mut *store $(, $argument)*).await
        });
        let answer = answer.await?.map_err(|failure| CallError::Failed {
            plugin: $self.plugin.name().into(),
            failure: Failure::from(failure),
        });
        answer.inspect_err(|error| live.failed(error))
    }};
}

impl Integration {
    pub fn new(runtime: Runtime, plugin: Plugin, config: BTreeMap<String, String>) -> Self {
        Self { runtime, plugin, config: Arc::new(config) }
    }

    fn pre(&self) -> Result<&IntegrationPre<State>, CallError> {
        match &self.plugin.0.entry {
            Entry::Integration(pre) => Ok(pre),
            _ => {
                Err(CallError::Contract { plugin: self.plugin.name().into(), what: "it is not an integration".into() })
            }
        }
    }

    /// The names of the functions that its service supports.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn capabilities(&self, host: Arc<dyn CallHost>) -> Result<Vec<String>, CallError> {
        let pre = self.pre()?;
        let config = self.config.clone();
        let bytes = limits::HOSTCALL_BYTES;
        let mut live = Live::new(&self.runtime, &self.plugin, "capabilities", config, Some(host), bytes, false).await?;
        live.run(limits::CPU_PER_CALL, limits::CALL_WALL, |store| async move {
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.fumehood_integration_guest().call_capabilities(&mut *store).await
        })
        .await
    }

    /// Who the credential belongs to.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn test_connection(&self, host: Arc<dyn CallHost>) -> Result<Account, CallError> {
        let account = call!(self, host, "test-connection", call_test_connection)?;
        Ok(Account { name: account.name, product: account.product })
    }

    /// One page of the projects or spaces that the credential sees, and where the next begins.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_projects(
        &self,
        cursor: Option<&str>,
        host: Arc<dyn CallHost>,
    ) -> Result<(Vec<Project>, Option<String>), CallError> {
        let page = call!(self, host, "list-projects", call_list_projects, cursor)?;
        let projects = page
            .projects
            .into_iter()
            .map(|project| Project { id: project.id, key: project.key, name: project.name, url: project.url })
            .collect();
        Ok((projects, page.next))
    }

    /// Create a document or bring it up to date, exactly once.
    ///
    /// # Errors
    /// [`CallError`]; code `conflict` where someone else changed it, with `theirs-…` in the failure's extensions.
    pub async fn publish_document(&self, document: &Document, host: Arc<dyn CallHost>) -> Result<Published, CallError> {
        let wit_document = wit::Document {
            marker: document.marker.clone(),
            project: document.project.clone(),
            parent: document.parent.clone(),
            title: document.title.as_str().to_owned(),
            markdown: document.markdown.as_str().to_owned(),
            known: document.known.clone().map(|remote| wit::Remote {
                id: remote.id,
                version: remote.version,
                content_sha256: remote.content_sha256,
            }),
            overwrite: document.overwrite,
            extensions: Vec::new(),
        };
        let published = call!(self, host, "publish-document", call_publish_document, &wit_document)?;
        Ok(Published {
            remote: Remote {
                id: published.remote.id,
                version: published.remote.version,
                content_sha256: published.remote.content_sha256,
            },
            url: published.url,
            title: published.title,
            outcome: published.outcome,
        })
    }
}
