//! Protobuf: the numbers of fields are those of `opentelemetry/proto/{trace,common,resource}/v1` of version 1.

use super::{Resource, SCOPE, flags};
use crate::attribute::{Attribute, Value};
use crate::span::{Ended, Status};

/// A message that is being written. What has its default is not written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number as u8 & 0x7f) | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn tag(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.tag(field, 0);
            self.varint(number);
        }
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.tag(field, 5);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Bytes, a text or another message.
    fn part(&mut self, field: u64, part: &[u8]) {
        self.tag(field, 2);
        self.varint(part.len() as u64);
        self.0.extend_from_slice(part);
    }
}

fn written(write: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::default();
    write(&mut message);
    message.0
}

fn key_value(key: &str, value: impl FnOnce(&mut Message)) -> Vec<u8> {
    written(|pair| {
        pair.part(1, key.as_bytes());
        pair.part(2, &written(value));
    })
}

fn attribute(attribute: &Attribute) -> Vec<u8> {
    key_value(attribute.key, |any| match &attribute.value {
        Value::Text(text) => any.part(1, text.as_bytes()),
        Value::Number(number) => {
            // One of several: it is written even if it is zero.
            any.tag(3, 0);
            any.varint(number.cast_unsigned());
        }
    })
}

pub(super) fn span(span: &Ended) -> Vec<u8> {
    written(|message| {
        message.part(1, &span.trace.to_bytes());
        message.part(2, &span.span.to_bytes());
        if let Some((parent, _)) = span.parent {
            message.part(4, &parent.to_bytes());
        }
        message.part(5, span.name.as_str().as_bytes());
        message.number(6, span.kind as u64);
        message.fixed64(7, span.start.0);
        message.fixed64(8, span.end.0);
        for one in &span.attributes {
            message.part(9, &attribute(one));
        }
        message.number(10, u64::from(span.dropped_attributes));
        for (trace, other, flag, remote) in &span.links {
            message.part(
                13,
                &written(|link| {
                    link.part(1, &trace.to_bytes());
                    link.part(2, &other.to_bytes());
                    link.fixed32(6, flags(*flag, *remote));
                }),
            );
        }
        if span.status != Status::Unset {
            message.part(15, &written(|status| status.number(3, span.status as u64)));
        }
        message.fixed32(16, flags(span.flags, span.parent.is_some_and(|(_, remote)| remote)));
    })
}

pub(super) fn request(resource: &Resource, spans: &[Vec<u8>]) -> Vec<u8> {
    let attributes = written(|message| {
        for (key, value) in &resource.attributes {
            message.part(1, &key_value(key, |any| any.part(1, value.as_bytes())));
        }
    });
    let scope = written(|scope| {
        scope.part(1, SCOPE.as_bytes());
        scope.part(2, resource.version.as_bytes());
    });
    let scope_spans = written(|message| {
        message.part(1, &scope);
        for span in spans {
            message.part(2, span);
        }
    });
    let resource_spans = written(|message| {
        message.part(1, &attributes);
        message.part(2, &scope_spans);
    });
    written(|message| message.part(1, &resource_spans))
}

/// What is left to read of a message.
struct Reader<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Part(&'a [u8]),
    Other,
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Part(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

pub(super) fn partial_success(answer: &[u8]) -> Option<(u64, String)> {
    let mut found = (0, String::new());
    let mut answer = Reader(answer);
    while !answer.0.is_empty() {
        let (1, Field::Part(partial)) = answer.field()? else { continue };
        let mut partial = Reader(partial);
        while !partial.0.is_empty() {
            match partial.field()? {
                (1, Field::Number(rejected)) => found.0 = u64::try_from(rejected.cast_signed()).unwrap_or(0),
                (2, Field::Part(words)) => found.1 = String::from_utf8_lossy(words).into_owned(),
                _ => {}
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests_support::whole;

    #[test]
    fn a_span_is_as_the_protocol_has_it() {
        // As `protoc --decode` reads it; the libraries of others judge the rest in tests/judges.rs.
        let bytes = span(&whole());
        let mut expected = vec![0x0a, 16];
        expected.extend(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
        expected.extend([0x12, 8]);
        expected.extend(0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        expected.extend([0x22, 8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x2a, 22]);
        expected.extend(b"tools/call get_weather");
        expected.extend([0x30, 2, 0x39]);
        expected.extend(1_700_000_000_000_000_000_u64.to_le_bytes());
        expected.push(0x41);
        expected.extend(1_700_000_000_000_001_000_u64.to_le_bytes());
        assert_eq!(&bytes[..expected.len()], &expected[..]);
        assert_eq!(&bytes[bytes.len() - 10..], [0x7a, 2, 0x18, 2, 0x85, 1, 0x03, 0x03, 0, 0]);
    }

    #[test]
    fn answers_are_read() {
        let partial = written(|message| {
            message.number(1, 300);
            message.part(2, b"why");
            message.fixed64(9, 1);
            message.fixed32(10, 1);
        });
        let answer = written(|message| message.part(1, &partial));
        assert_eq!(partial_success(&answer), Some((300, "why".into())));
        assert_eq!(partial_success(&written(|message| message.part(1, &[]))), Some((0, String::new())));
        assert_eq!(partial_success(&written(|message| message.part(7, b"later"))), Some((0, String::new())));
        for broken in [&b"<html>"[..], &[0x0a, 0xff], &[0xff; 12], &[0x0a], &answer[..answer.len() - 1]] {
            assert_eq!(partial_success(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_fails_badly(answer in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = partial_success(&answer);
        }

        #[test]
        fn numbers_are_read_as_they_were_written(number: u64) {
            let bytes = written(|message| message.varint(number));
            let mut reader = Reader(&bytes);
            prop_assert_eq!(reader.varint(), Some(number));
            prop_assert!(reader.0.is_empty());
        }
    }
}
