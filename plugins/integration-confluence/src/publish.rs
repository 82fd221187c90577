//! Publishing a document exactly once.
//!
//! Invariant: a page is created only after every place where an earlier attempt can have left it was searched, and the
//! request that creates it carries the marker in the body. So whichever step the process dies at, and whatever happens
//! to an answer, the next attempt finds the page. Titles are unique in a space, so of two attempts at the same time one
//! is refused and finds the other's page. No request that creates is sent twice within one call.
//!
//! Whose the current version is: ours, if it is the first of a page with our anchor, or if its message carries our
//! marker; a later version of anyone else has neither. Then the bodies of the two versions, both as Confluence keeps
//! them, decide whether anything was changed.

use crate::client::WriteError;
use crate::marker::{Marker, short};
use crate::model::{Document, Outcome, Published, Remote};
use crate::page::Page;
use crate::service::{Confluence, Space, Write};
use crate::storage;
use crate::text::{clip, plain, sha256_hex, title, without_volatile};
use plugin_core::host::{Failure, code};

/// Most bytes of a body: Confluence refuses requests over 5 MB.
pub const MAX_BODY_BYTES: usize = 5_000_000 - 64 * 1024;
/// How often an update is tried against a version that keeps moving.
pub const MAX_UPDATE_TRIES: usize = 4;
/// Most bytes of `theirs-excerpt`.
pub const MAX_EXCERPT_BYTES: usize = 1000;

/// What is to be on the page.
#[derive(Clone, Debug)]
pub struct Content {
    /// Whose it is.
    pub marker: Marker,
    /// The title that is wanted, and the one for the case that it is taken.
    pub titles: [String; 2],
    /// Storage format with the anchor.
    pub body: String,
    /// Digest of the wanted title and the body.
    pub sha256: String,
    message: String,
}

impl Content {
    /// Render a document.
    ///
    /// # Errors
    /// `invalid` for an empty title or marker, `too-large`.
    pub fn new(marker: &str, wanted: &str, markdown: &str) -> Result<Self, Failure> {
        Self::from_storage(marker, wanted, &storage::from_markdown(markdown))
    }

    /// The same for a body in storage format.
    ///
    /// # Errors
    /// As [`Content::new`].
    pub fn from_storage(marker: &str, wanted: &str, body: &str) -> Result<Self, Failure> {
        if marker.is_empty() {
            return Err(Failure::new(code::INVALID, "The document has no marker."));
        }
        let marker = Marker::new(marker);
        let titles = [title(wanted, ""), title(wanted, &marker.title_suffix())];
        let sha256 = sha256_hex(&[titles[0].as_bytes(), body.as_bytes()]);
        if titles[0].is_empty() {
            return Err(Failure::new(code::INVALID, "The document has no title."));
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(Failure::new(
                code::TOO_LARGE,
                format!(
                    "The page would have {} bytes; Confluence takes {MAX_BODY_BYTES}. Shorten the document.",
                    body.len()
                ),
            ));
        }
        Ok(Self {
            body: format!("{body}{}", marker.anchor(&sha256)),
            message: marker.message(&sha256),
            marker,
            titles,
            sha256,
        })
    }

    fn write<'w>(&'w self, title: &'w str) -> Write<'w> {
        Write { title, body: &self.body, message: &self.message }
    }

    /// The digest of what we wrote, if the current version is one that we wrote.
    pub fn written_in(&self, page: &Page) -> Option<String> {
        // An editor keeps the anchor in the body, and a restored version its message: only both together are ours. A
        // first version has no message of ours.
        let body = self.marker.digest_in(&page.body)?;
        let same = self.marker.digest_in(&page.message).is_some_and(|digest| digest == body);
        (same || page.version == 1).then_some(body)
    }

    fn is_in(&self, page: &Page) -> bool {
        self.written_in(page).as_deref() == Some(short(&self.sha256))
    }
}

/// A version that we wrote, and what it held.
#[derive(Clone, Debug)]
struct Base {
    version: u64,
    sha256: String,
}

/// Create the document, or bring it up to date.
///
/// # Errors
/// `conflict` with `theirs-version`, `theirs-url` and `theirs-excerpt`, or those of the contract.
pub fn publish(confluence: &Confluence<'_>, document: &Document) -> Result<Published, Failure> {
    let content = Content::new(&document.marker, &document.title, &document.markdown)?;
    let job = Job { confluence, content: &content, overwrite: document.overwrite };
    if let Some(known) = &document.known {
        let version = known
            .version
            .parse()
            .map_err(|_| Failure::new(code::INVALID, "The version that is remembered of the page is no number."))?;
        let base = Base { version, sha256: known.content_sha256.clone() };
        match confluence.page(&known.id)? {
            Some(page) => return job.update(page, Some(base)),
            None if document.overwrite => {}
            None => return Err(gone()),
        }
    }
    let space = confluence.space(&confluence.settings.space_or_default(&document.project)?)?;
    match job.locate(&space)? {
        Found::Ours(page) => {
            let published = job.update(*page, None)?;
            job.leave_traces(&published.remote.id);
            Ok(published)
        }
        Found::Taken(taken) => job.create(&space, document.parent.as_deref(), taken),
    }
}

/// The page of this content, created unless an earlier attempt did, and not brought up to date.
///
/// # Errors
/// Those of the contract.
pub fn create_once(
    confluence: &Confluence<'_>,
    content: &Content,
    space: &str,
    parent: Option<&str>,
) -> Result<Page, Failure> {
    let job = Job { confluence, content, overwrite: false };
    let space = confluence.space(&confluence.settings.space_or_default(space)?)?;
    let id = match job.locate(&space)? {
        Found::Ours(page) => page.id,
        Found::Taken(taken) => job.create(&space, parent, taken)?.remote.id,
    };
    confluence.page(&id)?.ok_or_else(gone)
}

enum Found {
    Ours(Box<Page>),
    /// Which of the two titles are taken by pages that are not ours.
    Taken([bool; 2]),
}

struct Job<'j, 'c> {
    confluence: &'j Confluence<'c>,
    content: &'j Content,
    overwrite: bool,
}

impl Job<'_, '_> {
    fn cache_key(&self) -> String {
        format!("page.{}", self.content.marker.id())
    }

    /// Look in every place where an earlier attempt can have left the page.
    fn locate(&self, space: &Space) -> Result<Found, Failure> {
        // First where we noted it: the page may have been renamed since.
        let noted = self.confluence.client.host.kv.get(&self.cache_key());
        if let Ok(Some(id)) = noted
            && let Ok(id) = String::from_utf8(id)
            && crate::page::is_id(&id)
            && let Some(page) = self.confluence.page(&id)?
            && self.is_ours(&page)?
        {
            return Ok(Found::Ours(Box::new(page)));
        }
        let mut taken = [false; 2];
        for (title, taken) in self.content.titles.iter().zip(&mut taken) {
            let pages = self.confluence.pages_with_title(space, title)?;
            *taken = !pages.is_empty();
            for page in pages {
                if self.is_ours(&page)? {
                    return Ok(Found::Ours(Box::new(page)));
                }
            }
        }
        Ok(Found::Taken(taken))
    }

    fn is_ours(&self, page: &Page) -> Result<bool, Failure> {
        let marker = &self.content.marker;
        if marker.is_in(&page.body) || marker.is_in(&page.message) {
            return Ok(true);
        }
        let property = self.confluence.property(&page.id)?;
        Ok(property.is_some_and(|value| marker.is_property(&value, &page.id)))
    }

    fn create(&self, space: &Space, parent: Option<&str>, taken: [bool; 2]) -> Result<Published, Failure> {
        let parent = parent.map(str::trim).filter(|parent| !parent.is_empty());
        for (title, taken) in self.content.titles.iter().zip(taken) {
            if taken {
                continue;
            }
            let write = self.content.write(title);
            let page = match self.confluence.create_page(space, parent, &write) {
                Ok(page) => page,
                // Taken since we looked, by another attempt of ours or by someone else; or by a page that is hidden
                // from us.
                Err(WriteError::TitleTaken(_)) => match self.locate(space)? {
                    Found::Ours(page) => {
                        let published = self.update(*page, None)?;
                        self.leave_traces(&published.remote.id);
                        return Ok(published);
                    }
                    Found::Taken(_) => continue,
                },
                Err(WriteError::Unknown(failure)) => match self.locate(space) {
                    Ok(Found::Ours(page)) if self.content.is_in(&page) => *page,
                    Ok(Found::Ours(page)) => return self.update(*page, None),
                    // The request may still be on its way: only the next call may send it again, after it has looked.
                    Ok(Found::Taken(_)) => return Err(failure),
                    Err(_) => {
                        return Err(Failure { code: code::OUTCOME_UNKNOWN.into(), ..failure });
                    }
                },
                Err(WriteError::Refused(failure) | WriteError::Stale(failure)) => {
                    return Err(failure);
                }
            };
            self.leave_traces(&page.id);
            return Ok(self.published(&page, Outcome::Created));
        }
        Err(Failure::new(
            code::CONFLICT,
            format!(
                "The titles {:?} and {:?} are both taken in this space by other pages. Choose another title.",
                self.content.titles[0], self.content.titles[1]
            ),
        ))
    }

    /// Note the page in the cache and in its property. The page is published without them, too, so that a failure here
    /// is logged and no more.
    fn leave_traces(&self, id: &str) {
        let host = self.confluence.client.host;
        if !matches!(host.kv.get(&self.cache_key()), Ok(Some(noted)) if noted == id.as_bytes())
            && let Err(failure) = host.kv.set(&self.cache_key(), id.as_bytes())
        {
            host.log.warn(&format!("page {id} is not noted: {failure}"));
        }
        let written = match self.confluence.property(id) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                self.confluence.create_property(id, &self.content.marker.property(id)).map_err(WriteError::into_failure)
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = written {
            host.log.warn(&format!("page {id} has no property: {failure}"));
        }
    }

    fn update(&self, page: Page, base: Option<Base>) -> Result<Published, Failure> {
        let mut page = page;
        let mut tried = false;
        let mut suffix = false;
        for _ in 0..MAX_UPDATE_TRIES {
            let last = match self.last_written(&page, base.as_ref())? {
                Some(digest) => Some(digest),
                None if self.overwrite => None,
                None => return Err(self.conflict(&page, base.as_ref())),
            };
            let titled = self.content.titles.contains(&page.title);
            if titled && last.as_deref() == Some(short(&self.content.sha256)) {
                let outcome = if tried { Outcome::Updated } else { Outcome::Unchanged };
                return Ok(self.published(&page, outcome));
            }
            // A page that got a suffix keeps it.
            let [wanted, suffixed] = &self.content.titles;
            let title = if titled {
                &page.title
            } else if suffix {
                suffixed
            } else {
                wanted
            };
            tried = true;
            let number = page.version.saturating_add(1);
            match self.confluence.update_page(&page.id, number, &self.content.write(title)) {
                Ok(written) => return Ok(self.published(&written, Outcome::Updated)),
                Err(WriteError::TitleTaken(failure)) if suffix => return Err(failure),
                Err(WriteError::TitleTaken(_)) => suffix = true,
                Err(WriteError::Refused(failure)) => return Err(failure),
                Err(WriteError::Stale(_)) => page = self.confluence.page(&page.id)?.ok_or_else(gone)?,
                Err(WriteError::Unknown(failure)) => {
                    let Ok(Some(now)) = self.confluence.page(&page.id) else {
                        return Err(Failure { code: code::OUTCOME_UNKNOWN.into(), ..failure });
                    };
                    if !self.content.is_in(&now) && now.version == page.version {
                        return Err(failure);
                    }
                    page = now;
                }
            }
        }
        Err(self.conflict(&page, base.as_ref()))
    }

    /// The first digits of the digest of what the page holds, if nobody has changed what we wrote last.
    fn last_written(&self, page: &Page, base: Option<&Base>) -> Result<Option<String>, Failure> {
        if let Some(digest) = self.content.written_in(page) {
            return Ok(Some(digest));
        }
        let Some(base) = base else { return Ok(None) };
        let digest = short(&base.sha256).to_owned();
        if page.version == base.version {
            return Ok(Some(digest));
        }
        // A move or a restriction counts a version, too, and someone may have undone what they did.
        let Some(ours) = self.confluence.page_version(&page.id, base.version)? else {
            return Ok(None);
        };
        let same = ours.title == page.title && without_volatile(&ours.body) == without_volatile(&page.body);
        Ok(same.then_some(digest))
    }

    fn conflict(&self, page: &Page, base: Option<&Base>) -> Failure {
        let theirs = plain(&page.body);
        let ours = base
            .and_then(|base| self.confluence.page_version(&page.id, base.version).ok()?)
            .map(|ours| plain(&ours.body))
            .unwrap_or_default();
        Failure::new(
            code::CONFLICT,
            "Someone else changed this page after it was published. Look at their version, then publish again to overwrite it, or take their changes over first.",
        )
        .with("theirs-version", page.version.to_string())
        .with("theirs-url", page.url.clone())
        .with("theirs-excerpt", excerpt(&theirs, &ours))
    }

    fn published(&self, page: &Page, outcome: Outcome) -> Published {
        Published {
            remote: Remote {
                id: page.id.clone(),
                version: page.version.max(1).to_string(),
                content_sha256: self.content.sha256.clone(),
            },
            url: page.url.clone(),
            title: page.title.clone(),
            outcome,
        }
    }
}

/// Their text from a little before the first difference on.
fn excerpt(theirs: &str, ours: &str) -> String {
    let same = theirs.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
    let from = theirs.floor_char_boundary(same.saturating_sub(80));
    let tail = theirs.get(from..).unwrap_or_default();
    let lead = if from > 0 { "… " } else { "" };
    clip(&format!("{lead}{tail}"), MAX_EXCERPT_BYTES)
}

fn gone() -> Failure {
    Failure::new(
        code::CONFLICT,
        "The page that was published is gone: someone deleted it, or hid it from this credential. Publish again to overwrite, which makes a new page.",
    )
    .with("theirs-gone", "true")
}
