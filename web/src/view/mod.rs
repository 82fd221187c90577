//! What each page is filled with: plain data, made by the handlers, rendered by compiled templates.
//!
//! Invariant: nothing here reads a clock, a store or a request. Text is raw (templates escape it); markup arrives only
//! as [`crate::markdown::TrustedHtml`].
//!
//! How pages and handlers meet: every form is a plain `POST` that answers `303 See Other` to the page that shows the
//! result, or `422` with the same page, what was typed, and the reason beside the field. htmx follows the redirect and
//! takes the part that it needs out of the whole page (`hx-select`), so there is one answer for browsers with and
//! without scripts. The few fragments that exist are named `…Fragment`.

pub mod account;
pub mod audit;
pub mod bench;
pub mod calls;
pub mod chat;
pub mod detection;
pub mod document;
pub mod errors;
pub mod frame;
pub mod incidents;
pub mod integrations;
pub mod log;
pub mod models;
pub mod plugins;
pub mod prompts;
pub mod replays;
pub mod schema;
pub mod sent;
pub mod servers;
pub mod sessions;
pub mod settings;
pub mod waiting;
pub mod whys;

pub use frame::{Can, Crumb, Field, Frame, Notice, Person, Place, Severity, Status, Tone};
