//! The document of an incident: edited as Markdown, published to a service.

use askama::Template;

use super::bench::Bench;
use super::{Field, Frame};
use crate::markdown::TrustedHtml;
use crate::units::{Count, Id, When};

/// Where the document can be published.
#[derive(Clone, Debug)]
pub struct Target {
    /// The integration.
    pub id: Id,
    /// The document was published there.
    pub published: bool,
    /// What stands there was changed by somebody else.
    pub conflict: bool,
    /// `Confluence`.
    pub service: String,
    /// The space or project: `OPS`.
    pub space: String,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where it is read.
    pub url: String,
    /// As it was published.
    pub title: String,
    /// When.
    pub at: When,
    /// By whom.
    pub by: String,
    /// What is in the editor is not what is published.
    pub changed_since: bool,
}

/// Somebody changed what we published, or the document here was saved by somebody else meanwhile.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The other side is the service (`Confluence`) or a person's name.
    pub with: String,
    /// `remote` (publishing was refused) or `local` (saving was refused).
    pub kind: String,
    /// Their text as plain text, where it could be had.
    pub theirs: Option<String>,
    /// When theirs was written, where that is known.
    pub at: Option<When>,
}

impl Conflict {
    /// It is about publishing.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.kind == "remote"
    }
}

/// `GET /incidents/{id}/document`.
///
/// Posts, each answering 303 to the page or 422 with it: to itself `title`, `markdown`, `version` (409 with
/// [`Conflict`] where another version was saved; `overwrite=1` saves all the same); `/generate` (no fields);
/// `/publish` with `title`, `markdown`, `version` and `to`, the target's id (saves first; `overwrite=1` lets ours win). `/preview` with
/// `markdown` answers 200 with [`PreviewFragment`]. `GET …/document/export` is the Markdown as a file.
///
/// The buttons of the one form choose by `formaction`, so all of them carry `title`, `markdown` and `version`.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/document.html")]
pub struct DocumentPage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// The title.
    pub title: Field,
    /// The text as it is edited. Masked: it is published as it stands.
    pub markdown: Field,
    /// The same, rendered.
    pub preview: TrustedHtml,
    /// Counts up with every save; 0 while there is no document.
    pub version: Count,
    /// Last saved, and by whom.
    pub saved: Option<(When, String)>,
    /// Where it can be published; none where no integration is set up.
    pub targets: Vec<Target>,
    /// What was published, and where.
    pub published: Vec<Published>,
    /// A conflict.
    pub conflict: Option<Conflict>,
    /// It is being generated or published: what is going on.
    pub busy: Option<String>,
    /// What is missing for a good document: `No root cause is marked`.
    pub gaps: Vec<String>,
}

impl DocumentPage {
    /// Whether there is a document.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.version.0 > 0 || !self.markdown.value.is_empty()
    }
}

/// `POST /incidents/{id}/document/preview`; root `<div id="preview">`.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/preview.html")]
pub struct PreviewFragment {
    /// The text, rendered.
    pub preview: TrustedHtml,
}
