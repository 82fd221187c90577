//! How a page is recognised as ours.
//!
//! Three places, because a crash can fall between any two steps and a person can edit any of them away:
//! - in the body, an `anchor` macro, which renders as nothing and which storage normalisation keeps: it is written in
//!   the same request that creates the page, so no crash falls between;
//! - in the message of every version that we write, which tells our versions from those of other people;
//! - a content property, which survives an edit that deletes the anchor.
//!
//! Invariant: pure. A marker of any characters becomes a digest, so it needs no escaping anywhere.

use serde_json::{Value, json};

use crate::text::sha256_hex;

/// Key of the content property.
pub const PROPERTY_KEY: &str = "fumehood";

/// The identity of one document, and of one content of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    id: String,
}

impl Marker {
    /// The marker that the host gave.
    pub fn new(text: &str) -> Self {
        let mut id = sha256_hex(&[b"fumehood marker", text.as_bytes()]);
        id.truncate(32);
        Self { id }
    }

    /// 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is put behind a title that is taken.
    pub fn title_suffix(&self) -> String {
        format!(" ({})", self.id.get(..8).unwrap_or_default())
    }

    /// The body's last paragraph: an invisible anchor with the marker and the content's digest.
    pub fn anchor(&self, sha256: &str) -> String {
        format!(
            "<p><ac:structured-macro ac:name=\"anchor\"><ac:parameter ac:name=\"\">fumehood-{}</ac:parameter></ac:structured-macro></p>",
            self.token(sha256)
        )
    }

    /// The message of a version that we write.
    pub fn message(&self, sha256: &str) -> String {
        format!("Published by Fumehood [{}]", self.token(sha256))
    }

    fn token(&self, sha256: &str) -> String {
        format!("{}-{}", self.id, short(sha256))
    }

    /// Whether a body or a message carries this marker.
    pub fn is_in(&self, text: &str) -> bool {
        text.contains(&self.id)
    }

    /// The content's digest (its first 16 digits) beside the marker in a body or a message.
    pub fn digest_in(&self, text: &str) -> Option<String> {
        text.split(&self.id).skip(1).find_map(|after| {
            let digest = after.strip_prefix('-')?.get(..16)?;
            digest.bytes().all(|b| b.is_ascii_hexdigit()).then(|| digest.to_owned())
        })
    }

    /// The property's value. It names the page, because a copy of a page takes the properties with it.
    pub fn property(&self, page_id: &str) -> Value {
        json!({ "marker": self.id, "page": page_id })
    }

    /// Whether a property's value is this marker on this page.
    pub fn is_property(&self, value: &Value, page_id: &str) -> bool {
        *value == self.property(page_id)
    }
}

/// The digits of a digest that fit into an anchor and a message.
pub fn short(sha256: &str) -> &str {
    sha256.get(..16).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(text in any::<String>(), other in any::<String>(), content in any::<String>(), around in "\\PC{0,40}") {
            let (marker, sha) = (Marker::new(&text), sha256_hex(&[content.as_bytes()]));
            for place in [marker.anchor(&sha), marker.message(&sha)] {
                let place = format!("{around}{place}{around}");
                prop_assert!(marker.is_in(&place));
                let digest = marker.digest_in(&place);
                prop_assert_eq!(digest.as_deref(), Some(short(&sha)));
                if text != other {
                    prop_assert!(!Marker::new(&other).is_in(&place));
                }
            }
            prop_assert!(marker.is_property(&marker.property("7"), "7"));
            prop_assert!(!marker.is_property(&marker.property("7"), "8"));
        }
    }
}
