//! Why something is refused, in one sentence for the operator, with the grant that would allow it.
//!
//! Invariant: the text holds no query, no body and no header, and nothing that is not printable; a URL's path is cut.
//! It may go to the audit log and to a page (which escapes it, as it escapes everything).

use std::fmt;
use std::net::IpAddr;

use crate::rule::{Bytes, Target};
use crate::{AddressClass, HttpRule, Request};

/// The most of a path that a denial shows, in bytes.
const MAX_PATH_BYTES: usize = 200;
/// The most of a name that a denial shows, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    plugin: String,
    attempt: String,
    reason: Reason,
    /// Boxed, because a denial is the error of every decision.
    needed: Option<Box<HttpRule>>,
    remedy: Option<String>,
}

/// What was in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No rule is about this.
    NoRule,
    /// The body is over the most that a rule allows, in bytes.
    BodyTooLarge {
        /// What the body has.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The host is, or its name leads to, an address that is not public.
    Address {
        /// The address.
        address: IpAddr,
        /// What is there.
        class: AddressClass,
    },
    /// Only this machine may be dialled, and this address is another one.
    NotThisMachine {
        /// The address.
        address: IpAddr,
    },
    /// The bytes that a rule has for an hour are used up.
    HourSpent {
        /// What an hour has, in bytes.
        limit: u64,
    },
    /// It is granted, and the organisation's ceiling does not leave it.
    Ceiling,
    /// The bytes that the organisation's ceiling has for an hour are used up.
    CeilingHourSpent {
        /// What an hour has, in bytes.
        limit: u64,
    },
    /// The credential is not granted, or not bound to this target.
    Credential,
    /// The process is not granted, or not with these arguments.
    Process,
}

impl Denial {
    pub(crate) fn request(plugin: &str, request: &Request, reason: Reason, needed: Option<HttpRule>) -> Self {
        let origin = Target { scheme: request.scheme(), host: request.host(), port: request.port() };
        let attempt = format!("{} {origin}{}", request.method(), shown(request.path(), MAX_PATH_BYTES));
        Self { plugin: shown(plugin, MAX_NAME_BYTES), attempt, reason, needed: needed.map(Box::new), remedy: None }
    }

    pub(crate) fn other(plugin: &str, attempt: String, reason: Reason, remedy: String) -> Self {
        Self { plugin: shown(plugin, MAX_NAME_BYTES), attempt, reason, needed: None, remedy: Some(remedy) }
    }

    /// The same refusal of what is granted, and not under the organisation's ceiling.
    #[must_use]
    pub fn by_ceiling(self) -> Self {
        let reason = match self.reason {
            Reason::HourSpent { limit } | Reason::CeilingHourSpent { limit } => Reason::CeilingHourSpent { limit },
            Reason::NotThisMachine { address } => Reason::NotThisMachine { address },
            _ => Reason::Ceiling,
        };
        Self { reason, needed: None, remedy: None, ..self }
    }

    /// The grant that would allow it, as a sentence without its subject; nothing where no grant can.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        self.needed.as_ref().map(ToString::to_string).or_else(|| self.remedy.clone())
    }

    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// What it tried, without query and body: `POST https://…`.
    #[must_use]
    pub fn attempt(&self) -> &str {
        &self.attempt
    }

    /// What was in the way.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The narrowest rule that would allow it; nothing where no grant can, or where it is not an HTTP rule.
    #[must_use]
    pub fn needed(&self) -> Option<&HttpRule> {
        self.needed.as_deref()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Plugin `{}` tried to {} ", self.plugin, self.attempt)?;
        match &self.reason {
            Reason::NoRule => formatter.write_str("and has no grant for it")?,
            Reason::BodyTooLarge { size, limit } => {
                write!(formatter, "with {} of body, and may send {}", Bytes(*size), Bytes(*limit))?;
            }
            Reason::Address { address, class } => {
                write!(formatter, "at {address}, which is {class} and not granted")?;
            }
            Reason::NotThisMachine { address } => {
                return write!(
                    formatter,
                    "at {address}, which is not this machine, and a switch or the organisation's ceiling leaves nothing \
                     else."
                );
            }
            Reason::HourSpent { limit } => write!(formatter, "and has used up its {} of this hour", Bytes(*limit))?,
            Reason::Ceiling => {
                return formatter.write_str(
                    "and this is granted, but the organisation's ceiling does not allow it; policy.toml would have to.",
                );
            }
            Reason::CeilingHourSpent { limit } => {
                return write!(
                    formatter,
                    "and has used up the {} that the organisation's ceiling has for an hour; policy.toml would have to \
                     allow more.",
                    Bytes(*limit)
                );
            }
            Reason::Credential => formatter.write_str("and this is not granted")?,
            Reason::Process => formatter.write_str("and this is not granted")?,
        }
        match (&self.needed, &self.remedy) {
            (Some(rule), _) => write!(formatter, "; it would need the grant: {rule}."),
            (None, Some(remedy)) => write!(formatter, "; it would need the grant: {remedy}."),
            (None, None) => formatter.write_str("; no grant can allow it."),
        }
    }
}

impl std::error::Error for Denial {}

/// Whether a character is not seen, or turns the direction of what follows.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A stranger's words for a sentence: only what can be seen, on one line, of bounded length.
#[must_use]
pub fn shown(text: &str, len: usize) -> String {
    let printable = |c: char| {
        if is_invisible(c) || c == '`' { '\u{FFFD}' } else { c }
    };
    let cut: String = text.get(..text.floor_char_boundary(len)).unwrap_or_default().chars().map(printable).collect();
    if text.len() > len { cut + "…" } else { cut }
}
