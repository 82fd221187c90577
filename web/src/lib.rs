//! The browser's side of Fumehood: templates, what they are filled with, and the files that they need.
//!
//! Purpose: turn plain data into pages. Invariant: this crate makes markup in three places only, the compiled
//! templates (which escape everything), [`markdown`] (the only maker of [`markdown::TrustedHtml`]), and the small value
//! types in [`units`] whose text is fixed. It has no rules of its own: who may do what is decided below it, and arrives
//! here as data.

pub mod assets;
pub mod icons;
pub mod markdown;
pub mod units;
pub mod view;

#[cfg(test)]
mod template_rules;
