//! What has left: the list, and one departure beside its original.

use askama::Template;

use super::Frame;
use super::bench::{Bench, DepartureLine, KindCount};
use crate::markdown::TrustedHtml;
use crate::units::{Bytes, Count, Id};

/// `GET /incidents/{id}/sent[?before={departure}][&all=1]`.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/sent.html")]
pub struct SentPage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// Newest first; 100.
    pub departures: Vec<DepartureLine>,
    /// The address of older ones.
    pub older: Option<String>,
    /// Requests without a body (to look something up, to connect), which are left out unless `all`.
    pub bare: Count,
    /// See `bare`.
    pub all: bool,
}

/// `GET /incidents/{id}/sent/{departure}[?original=1]`. The exact bytes as a file are at `…/sent/{departure}/bytes`.
#[derive(Clone, Debug, Template)]
#[template(path = "workbench/departure.html")]
pub struct DeparturePage {
    /// The frame.
    pub frame: Frame,
    /// The columns.
    pub bench: Bench,
    /// The departure.
    pub departure: DepartureLine,
    /// `POST https://api.example.com/v1/chat/completions`, or the process's command line.
    pub request: String,
    /// Names and values; a credential's value is its handle.
    pub headers: Vec<(String, String)>,
    /// The bytes as text (JSON laid out), by [`crate::markdown::plain`].
    pub bytes: TrustedHtml,
    /// The same with originals in the place of pseudonyms. Only where the reader asked (`?original=1`), by
    /// [`crate::markdown::plain`] on the text with originals.
    pub original: Option<TrustedHtml>,
    /// Shown of how much, where it was too long for a page.
    pub cut: Option<(Bytes, Bytes)>,
    /// What was masked, by type.
    pub masked: Vec<KindCount>,
    /// SHA-256 of the exact bytes, in hexadecimal.
    pub sha256: String,
    /// The number of the entry in the audit log, for those who may read it.
    pub entry: Option<Count>,
    /// The turn that it belongs to: `/incidents/{id}/chat#turn-{turn}`.
    pub turn: Option<Id>,
}
