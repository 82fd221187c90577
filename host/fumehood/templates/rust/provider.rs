//! {{name}}: a model that repeats what it hears, word by word.
//!
//! To ask a real one, send in `complete` with `fumehood_sdk::provider::http`, and read the answer in `next`. The manifest
//! then asks for the requests, and an operator grants them.

use std::cell::RefCell;

use fumehood_sdk::provider::{
    Completion, Event, Failure, Guest, GuestCompletion, Model, Request, Usage, failure, log,
};

struct Plugin;

/// An answer that is arriving: the words that are left, and how many there are; nothing once it has ended.
struct Answer(RefCell<Option<(std::vec::IntoIter<String>, u64)>>);

fn event(text: String) -> Event {
    Event { text, reasoning: String::new(), tool_calls: Vec::new(), usage: None, stop: None, extensions: Vec::new() }
}

impl GuestCompletion for Answer {
    /// The next piece; the last one says why it ended.
    fn next(&self) -> Result<Option<Event>, Failure> {
        let mut left = self.0.borrow_mut();
        let Some((words, count)) = left.as_mut() else { return Ok(None) };
        if let Some(word) = words.next() {
            return Ok(Some(event(format!("{word} "))));
        }
        let usage = Usage { input_tokens: *count, output_tokens: *count };
        *left = None;
        Ok(Some(Event { usage: Some(usage), stop: Some("end".to_owned()), ..event(String::new()) }))
    }
}

impl Guest for Plugin {
    type Completion = Answer;

    fn models() -> Result<Vec<Model>, Failure> {
        let (id, name) = ("echo".to_owned(), "Echo".to_owned());
        Ok(vec![Model { id, name, context_tokens: None, extensions: Vec::new() }])
    }

    fn complete(request: Request) -> Result<Completion, Failure> {
        if request.model != "echo" {
            return Err(failure("not-found", format!("{{name}} has no model {}; it has echo.", request.model)));
        }
        let heard: Vec<_> = request.messages.iter().filter(|message| message.role == "user").collect();
        log(format!("heard {} messages", heard.len()));
        let text = heard.last().map(|message| message.text.as_str()).unwrap_or_default();
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let count = words.len() as u64;
        Ok(Completion::new(Answer(RefCell::new(Some((words.into_iter(), count))))))
    }
}

fumehood_sdk::provider::export!(Plugin);
