//! When two spellings are one value.
//!
//! Invariant: only spellings that surely mean the same value share a normal form; where in doubt the form is the
//! value itself, because two pseudonyms for one value cost some correlation, one for two values tells a lie.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Group, Kind, Layer, layers};

/// Whether two spellings are one value, and have one pseudonym.
#[must_use]
pub fn same_value(kind: &Kind, one: &str, other: &str) -> bool {
    normal_form(kind, one) == normal_form(kind, other)
}

/// The form by which values of a kind are compared. Never empty for a value that is not.
pub fn normal_form(kind: &Kind, original: &str) -> String {
    let plain = match kind.known_group() {
        // A secret is what stands there: in it, an escape may be part of the value.
        None | Some(Group::Secret) => Cow::Borrowed(original),
        Some(Group::Structured | Group::Contextual) => unescaped(original),
    };
    let original = plain.as_ref();
    let form = match kind.as_str() {
        "EMAIL" => {
            let address = original.trim();
            address.strip_prefix("mailto:").unwrap_or(address).to_lowercase()
        }
        "PHONE" => {
            let digits = digits(original);
            // 0044… is +44… dialled
            digits.strip_prefix("00").map_or_else(|| digits.clone(), str::to_owned)
        }
        "CREDIT_CARD" | "US_SSN" | "UK_NHS" => digits(original),
        "IBAN" | "UK_NINO" | "PASSPORT" => alphanumeric(original).to_ascii_uppercase(),
        "MAC" => alphanumeric(original).to_ascii_lowercase(),
        "IPV4" => original.trim().parse::<Ipv4Addr>().map_or_else(|_| original.to_owned(), |ip| ip.to_string()),
        "IPV6" => {
            let bare = original.trim().trim_start_matches('[').trim_end_matches(']');
            bare.parse::<Ipv6Addr>().map_or_else(|_| original.to_owned(), |ip| ip.to_string())
        }
        "HOSTNAME" => original.trim().trim_end_matches('.').to_lowercase(),
        "PERSON" | "ADDRESS" => original.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
        _ => original.to_owned(),
    };
    if form.is_empty() { original.to_owned() } else { form }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn alphanumeric(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The value without the escapes of URLs, JSON and XML, however deep; base64 stays, because a part of it tells nothing.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '\\', '&']) {
        return Cow::Borrowed(text);
    }
    let whole = |layer: &&Layer| {
        let all = 0..layer.text.len();
        layer.back(&all).len() == text.len() && !layer.hidden_by(&all).contains("base64")
    };
    match layers(text).layers.iter().rfind(whole) {
        Some(layer) => Cow::Owned(layer.text.trim_end_matches('\n').to_owned()),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(kind: &str, a: &str, b: &str) -> bool {
        let kind = Kind::new(kind);
        normal_form(&kind, a) == normal_form(&kind, b)
    }

    #[test]
    fn one_value_in_other_spellings() {
        for (kind, a, b) in [
            ("EMAIL", "Jane.Doe@Example.org", "jane.doe@example.ORG"),
            ("EMAIL", "jane%40example.org", "mailto:jane@example.org"),
            ("EMAIL", "jane%2540example.org", "jane&#64;example.org"),
            ("EMAIL", "jane\\u0040example.org", "jane@example.org"),
            ("PERSON", "Jane%20Doe", "jane doe"),
            ("PHONE", "+44 20 7946 0018", "0044-20-7946-0018"),
            ("CREDIT_CARD", "4111 1111 1111 1111", "4111-1111-1111-1111"),
            ("IBAN", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
            ("MAC", "00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"),
            ("IPV6", "2001:db8:0:0:0:0:0:1", "[2001:DB8::1]"),
            ("HOSTNAME", "DB1.corp.example.", "db1.corp.example"),
            ("PERSON", "Jane  Doe", "jane doe"),
        ] {
            assert!(same(kind, a, b), "{kind} {a} {b}");
        }
    }

    #[test]
    fn different_values_stay_different() {
        for (kind, a, b) in [
            ("PASSWORD", "Secret", "secret"),
            ("PASSWORD", "a%20b", "a b"),
            ("USERNAME", "Jane", "jane"),
            ("EMAIL", "jane@example.org", "jane@example.com"),
            ("PHONE", "---", "+++"),
            ("JWT", "aa.bb", "aabb"),
        ] {
            assert!(!same(kind, a, b), "{kind} {a} {b}");
        }
    }
}
