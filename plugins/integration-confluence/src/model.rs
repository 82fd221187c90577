//! The contract's records (`fumehood:integration/integration`) as plain Rust, in the contract's words.

/// Who the credential belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// As the service shows it.
    pub name: String,
    /// `Confluence Cloud` or `Confluence Data Center`.
    pub product: String,
}

/// A page, normalised. Empty text where Confluence has no such field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents every field")]
pub struct Item {
    pub id: String,
    pub key: String,
    pub project: String,
    pub title: String,
    pub kind: String,
    pub status: String,
    pub reporter: String,
    pub created: String,
    pub updated: String,
    pub version: String,
    pub url: Option<String>,
    pub raw: String,
}

/// A page of a list, and the cursor of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Nothing on the last page.
    pub next: Option<String>,
}

/// What to search for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents every field")]
pub struct Query {
    pub text: String,
    pub project: Option<String>,
    pub limit: u32,
    pub cursor: Option<String>,
}

/// What to write. A field that is not set is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents every field")]
pub struct Draft {
    pub marker: String,
    pub project: Option<String>,
    pub kind: Option<String>,
    pub title: Option<String>,
    pub body: Option<String>,
    pub status: Option<String>,
    pub fields: Vec<(String, String)>,
}

/// What the host remembers of an object that it wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// The page.
    pub id: String,
    /// The version that we wrote.
    pub version: String,
    /// Digest of the title and the body that we asked for.
    pub content_sha256: String,
}

/// A document to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents every field")]
pub struct Document {
    pub marker: String,
    pub project: String,
    pub parent: Option<String>,
    pub title: String,
    pub markdown: String,
    pub known: Option<Remote>,
    pub overwrite: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new page.
    Created,
    /// A new version.
    Updated,
    /// It was up to date.
    Unchanged,
}

impl Outcome {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A published document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What to remember.
    pub remote: Remote,
    /// Where a person reads it.
    pub url: String,
    /// As it was published.
    pub title: String,
    /// What was done.
    pub outcome: Outcome,
}

/// A file to attach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name.
    pub name: String,
    /// Its type.
    pub media_type: String,
    /// Its bytes.
    pub body: Vec<u8>,
}
