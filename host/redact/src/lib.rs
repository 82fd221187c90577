//! Redaction: findings become spans, spans become pseudonyms, and only masked text leaves.
//!
//! The room is pure: no I/O, no clock, no threads. It owns four invariants.
//!
//! 1. **Coverage.** What is masked is the union of the accepted findings ([`merge`]); precedence chooses labels only.
//! 2. **The gate.** [`Redacted`] can be made by [`Gate`] alone (and from literals of our own source code), and it is
//!    never deserialised.
//! 3. **The book.** A value has one pseudonym per incident ([`Pseudonyms`]), and no text that was not put there by the
//!    gate reads as one: whatever [`restore`] would resolve in raw input is masked by the gate itself.
//! 4. **The last check.** [`Pseudonyms::check_outgoing`] finds every known original in outgoing bytes, also encoded, and never
//!    says what it found, only which pseudonym.
//!
//! The way of a text: [`Windows`] cuts it, scanners report [`Finding`]s for each window, [`Seams`] makes them absolute
//! and single, a person accepts or rejects, [`merge`] turns what is accepted into [`Span`]s, [`Gate::redact`] masks.
//!
//! Offsets are byte offsets into UTF-8, ends are exclusive.

mod encoding;
mod finding;
mod gate;
mod json;
mod kind;
mod known;
mod label;
mod layers;
mod merge;
mod normal;
mod outgoing;
mod pseudonym;
mod redacted;
mod restore;
pub mod rules;
mod seams;
mod windows;

pub use encoding::Encoding;
pub use finding::{Finding, Span};
pub use gate::{Gate, Origin};
pub use json::{JsonPlan, PlanMismatch, RedactedJson, redact_json};
pub use kind::{Group, Kind};
pub use known::MIN_ORIGINAL_BYTES;
pub use label::{Label, Lookalikes, lookalikes};
pub use layers::{Layer, Layers, behind_control, layers, layers_of};
pub use merge::merge;
pub use normal::same_value;
pub use outgoing::Leak;
pub use pseudonym::{Entry, Hints, KnownValue, Pseudonyms, kept};
pub use redacted::{MaskedRange, Redacted};
pub use restore::{Segment, restore};
pub use seams::Seams;
pub use windows::{Window, WindowSize, Windows};
