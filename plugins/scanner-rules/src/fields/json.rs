//! JSON in a text: wherever an object or a list of them begins, to where it ends or stops being JSON.
//!
//! Invariants: each byte is looked at a bounded number of times; what is not JSON after all is left where it stops being
//! so, and the text is taken up again there. Nesting beyond [`MAX_DEPTH`] begins anew, as a structure of its own.

use super::path::Place;
use super::{Action, Fields};
use crate::found::Hits;

/// The deepest nesting that paths are followed through.
const MAX_DEPTH: usize = 64;

/// What is open around a place.
#[derive(Clone, Copy, Debug)]
struct Frame {
    object: bool,
    /// Where its state begins among the states.
    states: usize,
    /// The number of the next element.
    index: usize,
    /// What holds for all that is in it.
    inherited: Option<Action>,
    /// Where it begins, if it begins what must not be looked into.
    never: Option<usize>,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A key or the end of the object.
    FirstKey,
    Key,
    /// A value or the end of the list.
    FirstValue,
    Value,
    /// A comma or the end.
    Comma,
}

/// One pass over a text.
pub(super) struct Pass<'a, 'h> {
    fields: &'a Fields,
    text: &'a str,
    hits: &'h mut Hits,
    frames: Vec<Frame>,
    states: Vec<usize>,
    /// Where the state of the value that comes next begins, and what is said of it.
    value: (usize, Option<Action>),
    #[cfg(test)]
    pub(super) steps: u64,
}

impl<'a, 'h> Pass<'a, 'h> {
    pub(super) fn new(fields: &'a Fields, text: &'a str, hits: &'h mut Hits) -> Self {
        Self {
            fields,
            text,
            hits,
            frames: Vec::with_capacity(MAX_DEPTH),
            states: Vec::new(),
            value: (0, None),
            #[cfg(test)]
            steps: 0,
        }
    }

    fn at(&self, i: usize) -> Option<u8> {
        self.text.as_bytes().get(i).copied()
    }

    fn tick(&mut self, _steps: usize) {
        #[cfg(test)]
        {
            self.steps += _steps as u64;
        }
    }

    pub(super) fn run(&mut self) {
        let mut at = 0;
        while let Some(start) = memchr::memchr2(b'{', b'[', self.text.as_bytes().get(at..).unwrap_or_default()) {
            self.tick(start + 1);
            at += start;
            if !self.begins(at) {
                at += 1;
                continue;
            }
            self.frames.clear();
            self.states.clear();
            self.fields.tree.root(&mut self.states, 0);
            self.value = (0, None);
            at = self.structure(at);
        }
    }

    /// Whether a structure begins here: an object with a key or none, or a list of objects, lists or strings.
    fn begins(&mut self, at: usize) -> bool {
        let next = self.at(self.blanks(at + 1, 64));
        match (self.at(at), next) {
            (Some(b'{'), next) => matches!(next, Some(b'"' | b'}')),
            (_, next) => matches!(next, Some(b'{' | b'[' | b'"')),
        }
    }

    /// Behind the blanks at `at`, of which there may be `most`.
    fn blanks(&self, at: usize, most: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
        at + rest.iter().take(most).take_while(blank).count()
    }

    /// Follow a structure from its beginning; says where to go on.
    fn structure(&mut self, start: usize) -> usize {
        let mut at = start;
        let mut next = Next::Value;
        loop {
            let from = at;
            at = self.blanks(at, usize::MAX);
            self.tick(at - from + 1);
            let Some(byte) = self.at(at) else { return self.abandon(at) };
            next = match (next, byte) {
                (Next::FirstKey, b'}') | (Next::FirstValue, b']') | (Next::Comma, b'}' | b']') => {
                    match self.close(byte, at) {
                        Some(true) => return at + 1,
                        Some(false) => {}
                        None => return self.abandon(at),
                    }
                    at += 1;
                    Next::Comma
                }
                (Next::Comma, b',') => {
                    at += 1;
                    if self.frames.last().is_some_and(|frame| frame.object) { Next::Key } else { Next::Value }
                }
                (Next::FirstKey | Next::Key, b'"') => {
                    let (end, whole) = self.string(at);
                    let colon = self.blanks(end, usize::MAX);
                    self.tick(colon - at + 1);
                    if !whole || self.at(colon) != Some(b':') {
                        return self.abandon(end);
                    }
                    self.member(at + 1, end - 1);
                    at = colon + 1;
                    Next::Value
                }
                (Next::FirstValue | Next::Value, b'{' | b'[') => {
                    self.enter_element();
                    if self.frames.len() >= MAX_DEPTH {
                        // Deeper than paths go: a structure of its own, in which what holds around it holds.
                        self.close_all(at);
                        self.states.clear();
                        self.fields.tree.root(&mut self.states, 0);
                        self.value.0 = 0;
                    }
                    let object = byte == b'{';
                    if object && !self.frames.is_empty() && self.at(at - 1) == Some(b'\n') {
                        // At the start of a line it is more likely that the line before was broken off: both hold.
                        self.fields.tree.root(&mut self.states, self.value.0);
                    }
                    let around = self.frames.last().and_then(|frame| frame.inherited);
                    let inherited = if around == Some(Action::Never) { around } else { self.value.1 };
                    let begins = inherited == Some(Action::Never) && around != Some(Action::Never);
                    self.frames.push(Frame {
                        object,
                        states: self.value.0,
                        index: 0,
                        inherited,
                        never: begins.then_some(at),
                    });
                    at += 1;
                    if object { Next::FirstKey } else { Next::FirstValue }
                }
                (Next::FirstValue | Next::Value, b'"') => {
                    self.enter_element();
                    let (end, whole) = self.string(at);
                    self.tick(end - at);
                    self.report(at + 1, if whole { end - 1 } else { end });
                    self.leave_value();
                    at = end;
                    if !whole {
                        return self.abandon(at);
                    }
                    Next::Comma
                }
                (Next::FirstValue | Next::Value, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                    self.enter_element();
                    let end = self.bare(at);
                    self.tick(end - at);
                    if self.text.get(at..end) != Some("null") {
                        self.report(at, end);
                    }
                    self.leave_value();
                    at = end;
                    Next::Comma
                }
                _ => return self.abandon(at),
            };
        }
    }

    /// The state of the member of that name, between the quotes.
    fn member(&mut self, start: usize, end: usize) {
        let raw = self.text.get(start..end).unwrap_or_default();
        let spelt;
        let mut name = raw;
        if raw.len() <= 256 && raw.contains('\\') {
            let quoted = self.text.get(start - 1..end + 1).unwrap_or_default();
            spelt = serde_json::from_str::<String>(quoted).unwrap_or_default();
            name = &spelt;
        }
        let from = self.frames.last().map_or(0, |frame| frame.states);
        let to = self.states.len();
        let action = self.fields.tree.step(&mut self.states, from, Place::Member(name));
        self.value = (to, self.inherit(action.or_else(|| self.fields.bare(name))));
    }

    /// The state of the next element, if what comes is one.
    fn enter_element(&mut self) {
        let Some(frame) = self.frames.last_mut().filter(|frame| !frame.object) else { return };
        let (from, index) = (frame.states, frame.index);
        frame.index += 1;
        let to = self.states.len();
        let action = self.fields.tree.step(&mut self.states, from, Place::Element(index));
        self.value = (to, self.inherit(action));
    }

    /// What holds for a value: nothing gets out of what is never looked into; else its own rule, else the one around.
    fn inherit(&self, own: Option<Action>) -> Option<Action> {
        match self.frames.last().and_then(|frame| frame.inherited) {
            Some(Action::Never) => Some(Action::Never),
            around => own.or(around),
        }
    }

    fn report(&mut self, start: usize, end: usize) {
        // What lies in a structure that is not looked into is reported with it.
        let within = self.frames.last().is_some_and(|frame| frame.inherited == Some(Action::Never));
        if let Some(action) = self.value.1.filter(|_| !within) {
            self.fields.report(action, start, end, self.hits);
        }
    }

    fn leave_value(&mut self) {
        self.states.truncate(self.value.0);
    }

    /// An end: whether it is that of the whole structure, or none where it does not fit.
    fn close(&mut self, byte: u8, at: usize) -> Option<bool> {
        let frame = self.frames.last()?;
        if frame.object != (byte == b'}') {
            return None;
        }
        let frame = self.frames.pop()?;
        if let Some(start) = frame.never {
            self.fields.report(Action::Never, start, at + 1, self.hits);
        }
        self.states.truncate(frame.states);
        self.value = (frame.states, None);
        Some(self.frames.is_empty())
    }

    /// All that is open ends here.
    fn close_all(&mut self, at: usize) {
        for frame in self.frames.drain(..) {
            if let Some(start) = frame.never {
                self.fields.report(Action::Never, start, at, self.hits);
            }
        }
    }

    /// It is no JSON from here on, or broken off.
    fn abandon(&mut self, at: usize) -> usize {
        self.close_all(at);
        at
    }

    /// Behind the string at `at`, and whether it has its closing quote. It ends at the end of its line at the latest.
    fn string(&self, at: usize) -> (usize, bool) {
        let bytes = self.text.as_bytes();
        let mut i = at + 1;
        while let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', bytes.get(i..).unwrap_or_default()) {
            i += found;
            match bytes.get(i) {
                Some(b'"') => return (i + 1, true),
                // A line end is never escaped.
                Some(b'\\') if bytes.get(i + 1).is_some_and(|b| *b != b'\n') => i += 2,
                Some(b'\\') => i += 1,
                _ => return (i, false),
            }
        }
        // The byte behind the last backslash may be the first of a longer character.
        (bytes.len(), false)
    }

    /// Behind a number or a word.
    fn bare(&self, at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        at + rest.iter().take_while(part).count()
    }
}
