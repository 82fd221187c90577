//! Server-sent events (WHATWG HTML, section 9.2), parsed from bytes that may be split anywhere.
//!
//! Invariant: the events depend only on the bytes, never on how they were split; no more than the limit given to
//! [`SseParser::new`] is kept; an event that is not followed by an empty line is dropped, as the standard says.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field; `message` where there was none.
    pub event: String,
    /// The `data` lines, joined by line feeds; empty where there was none. Bytes, because only the JSON parser behind
    /// it can say whether they are what they should be.
    pub data: Vec<u8>,
    /// The last event id of the stream when the event ended, if it ever had one.
    pub id: Option<String>,
}

/// An event was longer than the limit; the parser takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// The parser of one stream.
#[derive(Debug)]
pub struct SseParser {
    limit: usize,
    /// The line so far.
    line: Vec<u8>,
    /// The byte before was a carriage return, so a line feed now belongs to it.
    after_return: bool,
    /// The first line has not ended yet; it may begin with a byte order mark.
    first_line: bool,
    event: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    id: Option<String>,
    id_changed: bool,
    retry_ms: Option<u64>,
}

impl SseParser {
    /// A parser whose events have at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_return: false,
            first_line: true,
            event: Vec::new(),
            data: Vec::new(),
            has_data: false,
            id: None,
            id_changed: false,
            retry_ms: None,
        }
    }

    /// Bytes that are kept.
    pub fn buffered(&self) -> usize {
        self.line.len() + self.data.len() + self.event.len()
    }

    /// The last `retry` that the server asked for, in milliseconds.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Take in the next bytes and append the events that they complete. An event without data is reported where it
    /// brought a new id, because a stream can be resumed from it.
    pub fn feed(&mut self, mut bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<(), TooLarge> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            // A comment is read to its end, but need not be kept.
            if self.line.first() != Some(&b':') {
                self.line.extend_from_slice(part);
            }
            if self.buffered() > self.limit && self.line.first() != Some(&b':') {
                self.line = Vec::new();
                self.data = Vec::new();
                return Err(TooLarge);
            }
            let Some(terminator) = rest.first() else {
                return Ok(());
            };
            self.after_return = *terminator == b'\r';
            bytes = rest.get(1..).unwrap_or_default();
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, events);
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], events: &mut Vec<SseEvent>) {
        let line = match std::mem::take(&mut self.first_line) {
            true => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            self.dispatch(events);
            return;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => {
                let value = line.get(at + 1..).unwrap_or_default();
                (line.get(..at).unwrap_or_default(), value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"event" => self.event = value.to_vec(),
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => {
                self.id = Some(String::from_utf8_lossy(value).into_owned());
                self.id_changed = true;
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                if let Some(ms) = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()) {
                    self.retry_ms = Some(ms);
                }
            }
            // Comments (an empty field name) and fields of the future.
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<SseEvent>) {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        let has_data = std::mem::take(&mut self.has_data);
        let id_changed = std::mem::take(&mut self.id_changed);
        if has_data || id_changed {
            events.push(SseEvent {
                event: match event.is_empty() {
                    true => "message".to_owned(),
                    false => String::from_utf8_lossy(&event).into_owned(),
                },
                data,
                id: self.id.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::new(1 << 20);
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece, &mut events).unwrap();
        }
        events
    }

    fn event(event: &str, data: &str, id: Option<&str>) -> SseEvent {
        SseEvent { event: event.into(), data: data.into(), id: id.map(Into::into) }
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let cases: &[(&str, Vec<SseEvent>)] = &[
            ("data: a\n\n", vec![event("message", "a", None)]),
            ("data:a\n\n", vec![event("message", "a", None)]),
            ("data:  a\n\n", vec![event("message", " a", None)]),
            ("data: a\ndata: b\n\n", vec![event("message", "a\nb", None)]),
            ("data\ndata\n\n", vec![event("message", "\n", None)]),
            ("data\n\n", vec![event("message", "", None)]),
            ("data: a\r\n\r\n", vec![event("message", "a", None)]),
            ("data: a\r\r", vec![event("message", "a", None)]),
            ("data: a\n\r\n", vec![event("message", "a", None)]),
            (": ping\n\ndata: a\n: x\n\n", vec![event("message", "a", None)]),
            ("event: ping\ndata: a\n\n", vec![event("ping", "a", None)]),
            ("event: ping\n\ndata: a\n\n", vec![event("message", "a", None)]),
            ("id: 1\ndata: a\n\ndata: b\n\n", vec![event("message", "a", Some("1")), event("message", "b", Some("1"))]),
            ("id: 1\n\n", vec![event("message", "", Some("1"))]),
            ("id: a\0b\ndata: a\n\n", vec![event("message", "a", None)]),
            ("\u{feff}data: a\n\n", vec![event("message", "a", None)]),
            ("data: a\n\n\u{feff}data: b\n\n", vec![event("message", "a", None)]),
            ("DATA: a\nfoo: b\n\n", vec![]),
            ("data: a\n", vec![]),
            ("\n\n\n", vec![]),
        ];
        for (text, want) in cases {
            assert_eq!(&parse(&[text.as_bytes()]), want, "{text:?}");
        }
    }

    #[test]
    fn retry_takes_digits_alone() {
        for (line, want) in
            [("retry: 250", Some(250)), ("retry: 1s", None), ("retry:", None), ("retry: 99999999999999999999", None)]
        {
            let mut parser = SseParser::new(100);
            parser.feed(format!("{line}\n").as_bytes(), &mut Vec::new()).unwrap();
            assert_eq!(parser.retry_ms(), want, "{line}");
        }
    }

    #[test]
    fn an_event_is_bounded_and_a_comment_is_not_kept() {
        let mut parser = SseParser::new(16);
        let mut events = Vec::new();
        parser.feed(b":", &mut events).unwrap();
        parser.feed(&[b'x'; 100], &mut events).unwrap();
        parser.feed(b"\ndata: 0123456789\n\n", &mut events).unwrap();
        assert_eq!(events.len(), 1);
        assert!(parser.buffered() == 0);
        parser.feed(b"data: 01234\n", &mut events).unwrap();
        assert_eq!(parser.feed(b"data: 012345", &mut events), Err(TooLarge));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            Just("data: ".to_owned()),
            Just("data".to_owned()),
            Just("id: 7".to_owned()),
            Just("event: x".to_owned()),
            Just("retry: 5".to_owned()),
            Just(":".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just("\r\n".to_owned()),
            Just("\n\n".to_owned()),
            Just("\u{feff}".to_owned()),
            "[a-z{}\":é]{0,6}",
        ];
        proptest::collection::vec(token, 0..60).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(bytes in stream(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10)) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[&bytes]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(parse(&single), parse(&[&bytes]));
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut parser = SseParser::new(64);
            let _ = parser.feed(&bytes, &mut Vec::new());
            prop_assert!(parser.buffered() <= 64 || bytes.contains(&b':'));
        }
    }
}
