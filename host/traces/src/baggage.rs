//! `baggage` (W3C Baggage): what a caller wants every later part of its request to know.
//!
//! Invariant: it is a stranger's text. It goes onward whole entries at a time, in the form of the specification, and only
//! with the request that it came with; nothing in here reads it, and it is in no span.

use crate::limits::{MAX_BAGGAGE_BYTES, MAX_BAGGAGE_ENTRIES};

/// Reads the values of all headers of that name, in their order. An entry that is wrong is left out, as is what comes
/// after the last one that fits.
pub(crate) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut written = String::new();
    let members = values.flat_map(|value| value.split(',')).map(|member| member.trim_matches([' ', '\t']));
    for member in members.filter(|member| is_entry(member)).take(MAX_BAGGAGE_ENTRIES) {
        if written.len() + member.len() + 1 > MAX_BAGGAGE_BYTES {
            break;
        }
        if !written.is_empty() {
            written.push(',');
        }
        written.push_str(member);
    }
    (!written.is_empty()).then_some(written)
}

/// `key = value *( ; property )`, a property being a key, or a key and a value.
fn is_entry(member: &str) -> bool {
    let mut parts = member.split(';');
    parts.next().and_then(|entry| entry.split_once('=')).is_some_and(|(key, value)| is_key(key) && is_value(value))
        && parts.all(|property| match property.split_once('=') {
            Some((key, value)) => is_key(key) && is_value(value),
            None => is_key(property),
        })
}

/// A token of RFC 9110, with the white space that may stand around it.
fn is_key(key: &str) -> bool {
    let key = key.trim_matches([' ', '\t']);
    let is_special = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_special(byte))
}

/// Baggage octets, which are what a cookie may hold; a percent sign stands before two digits.
fn is_value(value: &str) -> bool {
    let value = value.trim_matches([' ', '\t']);
    let octet = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    let escaped =
        |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    value.bytes().all(octet) && value.split('%').skip(1).all(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Option<String> {
        parse(values.iter().copied())
    }

    #[test]
    fn entries_are_passed_on_as_they_came() {
        for (values, expected) in [
            (
                &["userId=alice,serverNode=DF%2028,isProduction=false"][..],
                "userId=alice,serverNode=DF%2028,isProduction=false",
            ),
            (
                &["key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"],
                "key1=value1;property1;property2,key2 = value2,key3=value3; propertyKey=propertyValue",
            ),
            (&["a=1", "b=2"], "a=1,b=2"),
            (&["empty=,a=b=c"], "empty=,a=b=c"),
        ] {
            assert_eq!(read(values).as_deref(), Some(expected), "{values:?}");
        }
    }

    #[test]
    fn an_entry_that_is_wrong_is_left_out() {
        for wrong in [
            "",
            "a",
            "=1",
            "a b=1",
            "a=b c",
            "a=\"b\"",
            "a=\\",
            "a=é",
            "ä=1",
            "a=%2",
            "a=%zz",
            "a=1;;",
            "a=1;p q",
            "a=1\r\nx: y",
            "(a)=1",
        ] {
            assert_eq!(read(&[wrong]), None, "{wrong:?}");
            assert_eq!(read(&["ok=1", wrong, "too=2"]).as_deref(), Some("ok=1,too=2"), "{wrong:?}");
        }
    }

    #[test]
    fn too_much_loses_whole_entries_from_its_end() {
        let entries: Vec<String> = (0..70).map(|number| format!("k{number:02}=v")).collect();
        assert_eq!(read(&[&entries.join(",")]), Some(entries[..MAX_BAGGAGE_ENTRIES].join(",")));
        let large: Vec<String> = (0..10).map(|number| format!("k{number}={}", "v".repeat(1000))).collect();
        let kept = read(&[&large.join(",")]).unwrap();
        assert_eq!(kept, large[..8].join(","));
    }

    proptest! {
        #[test]
        fn whatever_comes_what_goes_onward_is_right(values in proptest::collection::vec(
            prop_oneof![any::<String>(), "([a-z%]{1,4}=[ -~]{0,300},){0,40}"], 0..4)
        ) {
            let Some(written) = parse(values.iter().map(String::as_str)) else { return Ok(()) };
            prop_assert!(written.len() <= MAX_BAGGAGE_BYTES && http::HeaderValue::from_str(&written).is_ok());
            let again = read(&[written.as_str()]);
            prop_assert_eq!(again.as_deref(), Some(written.as_str()));
        }
    }
}
