//! `tracestate` (W3C Trace Context Level 2, section 3.3): what other tracing systems want passed on.
//!
//! Invariant: what goes onward has the form of the specification, the order in which it came, each key once, and at
//! most [`MAX_TRACESTATE_BYTES`]. It goes onward only: it is a stranger's text, so it is in no span that is exported.

use crate::limits::{LONG_TRACESTATE_ENTRY, MAX_TRACESTATE_BYTES, MAX_TRACESTATE_ENTRIES, MAX_TRACESTATE_READ};

/// Reads the values of all headers of that name, in their order. One entry that is wrong makes all of it nothing; of a
/// key that is there twice the first one counts, which is the later one in time.
pub(crate) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut entries: Vec<(&str, &str)> = Vec::new();
    let mut read = 0;
    for value in values {
        read += value.len() + 1;
        if read > MAX_TRACESTATE_READ {
            return None;
        }
        for member in value.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            let (key, _) = member.split_once('=').filter(|(key, value)| is_key(key) && is_value(value))?;
            if !entries.iter().any(|(known, _)| *known == key) {
                entries.push((key, member));
            }
            if entries.len() > MAX_TRACESTATE_ENTRIES {
                return None;
            }
        }
    }
    let written = shortened(entries.into_iter().map(|(_, member)| member).collect()).join(",");
    (!written.is_empty()).then_some(written)
}

/// Whole entries that fit: long ones go first, from the end, and then the others, from the end.
fn shortened(mut members: Vec<&str>) -> Vec<&str> {
    let mut size = members.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1);
    while size > MAX_TRACESTATE_BYTES {
        let long = members.iter().rposition(|member| member.len() > LONG_TRACESTATE_ENTRY);
        let Some(last) = long.or(members.len().checked_sub(1)) else { break };
        size = size.saturating_sub(members.remove(last).len() + 1);
    }
    members
}

fn is_key(key: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = key.bytes();
    (1..=256).contains(&key.len())
        && bytes.next().is_some_and(first)
        && bytes.all(|byte| first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@'))
}

fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Option<String> {
        parse(values.iter().copied())
    }

    /// The cases of the public test suite of the specification.
    #[test]
    fn the_order_stays_and_headers_are_put_together() {
        for (values, expected) in [
            (&["foo=1,bar=2"][..], "foo=1,bar=2"),
            (&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
            (&["foo=1", ""], "foo=1"),
            (&["", "foo=1"], "foo=1"),
            (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
            (&["\t foo=1 \t"], "foo=1"),
            (&["foo=1,foo=2"], "foo=1"),
            (&["foo=1", "foo=1"], "foo=1"),
            (&["foo@=1,foo@@bar=2,a@b@c=3,0=4"], "foo@=1,foo@@bar=2,a@b@c=3,0=4"),
            (&["foo=  kept"], "foo=  kept"),
        ] {
            assert_eq!(read(values).as_deref(), Some(expected), "{values:?}");
        }
        let value: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
        let all = format!("abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/={value}");
        assert_eq!(read(&[&all]), Some(all.clone()));
        let longest = format!("{}={}", "z".repeat(256), "v".repeat(200));
        assert_eq!(read(&["foo=1", &longest]), Some(format!("foo=1,{longest}")));
    }

    #[test]
    fn one_wrong_entry_makes_all_of_it_nothing() {
        let long_key = format!("{}=1", "z".repeat(257));
        let long_value = format!("z={}", "1".repeat(257));
        let values = [
            "",
            " ",
            ",,,",
            "foo",
            "foo=",
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "@foo=1,bar=2",
            "foo=bar=baz",
            "foo=,bar=3",
            "=1",
            "foo=\u{7f}",
            "foo=a\tb",
            "foo=é",
            "foo=1\r\nx: y",
            "_a=1",
            &long_key,
            &long_value,
        ];
        for value in values {
            assert_eq!(
                read(&["ok=1", value]).filter(|_| !value.trim_matches([' ', ',']).is_empty()),
                None,
                "{value:?}"
            );
        }
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn more_than_32_entries_are_none() {
        let entries: Vec<String> = (1..=33).map(|number| format!("bar{number:02}={number:02}")).collect();
        assert_eq!(read(&[&entries[..32].join(",")]), Some(entries[..32].join(",")));
        assert_eq!(read(&[&entries.join(",")]), None);
        assert_eq!(read(&[&"a=1,".repeat(MAX_TRACESTATE_READ)]), None);
    }

    #[test]
    fn long_entries_go_first_and_then_the_last() {
        let short: Vec<String> = (0..20).map(|number| format!("s{number:02}={}", "x".repeat(20))).collect();
        let (long, longer) = (format!("l1={}", "y".repeat(126)), format!("l2={}", "z".repeat(126)));
        let all = format!("{long},{longer},{}", short.join(","));
        // 20 entries of 24 with their commas are 499: both long ones have to go.
        assert_eq!(read(&[&all]), Some(short.join(",")));
        // Here one of them is enough: the last one.
        let some = format!("{long},{longer},{}", short[..12].join(","));
        assert_eq!(read(&[&some]), Some(format!("{long},{}", short[..12].join(","))));
        // No long ones: from the end.
        let many: Vec<String> = (0..30).map(|number| format!("s{number:02}={}", "x".repeat(20))).collect();
        assert_eq!(read(&[&many.join(",")]), Some(many[..20].join(",")));
    }

    #[test]
    fn what_just_fits_stays() {
        let (a, b) = (format!("a={}", "x".repeat(253)), format!("b={}", "y".repeat(254)));
        let all = format!("{a},{b}");
        assert_eq!((all.len(), read(&[&all])), (MAX_TRACESTATE_BYTES, Some(all.clone())));
        assert_eq!(read(&[&format!("{all}y")]), Some(a));
    }

    proptest! {
        #[test]
        fn whatever_comes_what_goes_onward_is_right(
            values in proptest::collection::vec(prop_oneof![
                any::<String>(),
                "([a-z0-9@_*/-]{0,40}=[ -~]{0,60}[ \t]?,){0,12}",
                "([a-d]=[a-z]{1,140},?){0,20}",
            ], 0..4),
        ) {
            let Some(written) = parse(values.iter().map(String::as_str)) else { return Ok(()) };
            prop_assert!(written.len() <= MAX_TRACESTATE_BYTES && !written.is_empty());
            prop_assert!(http::HeaderValue::from_str(&written).is_ok());
            // It is read again as it was written, and each key is there once.
            let again = read(&[written.as_str()]);
            prop_assert_eq!(again.as_deref(), Some(written.as_str()));
            let mut keys: Vec<&str> = written.split(',').filter_map(|entry| entry.split_once('=')).map(|(key, _)| key).collect();
            let before = keys.len();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(keys.len(), before);
            // It is a part of what came, in the same order.
            let came: Vec<&str> = values.iter().flat_map(|value| value.split(',')).map(|member| member.trim_matches([' ', '\t'])).collect();
            let mut rest = came.iter();
            prop_assert!(written.split(',').all(|entry| rest.any(|member| *member == entry)));
        }
    }
}
