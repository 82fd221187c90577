//! A provider. Messages that it is given have passed the redaction gate; what it may reach is what was granted.
//!
//! This one speaks to a server that takes `{"prompt": …}` and answers with plain text. Replace what is sent and how the
//! answer is read with what your server does.

use std::cell::RefCell;

use fumehood_sdk::provider::{
    self as sdk, Completion, Event, Failure, Guest, GuestCompletion, Model, Request, http, setting,
};

struct Plugin;

/// An answer that is arriving.
struct Answer {
    response: RefCell<Option<http::Response>>,
}

fn event(text: String, stop: Option<&str>) -> Event {
    Event {
        text,
        reasoning: String::new(),
        tool_calls: Vec::new(),
        usage: None,
        stop: stop.map(str::to_owned),
        extensions: Vec::new(),
    }
}

impl GuestCompletion for Answer {
    /// The next piece; the last one says why it ended.
    fn next(&self) -> Result<Option<Event>, Failure> {
        let mut response = self.response.borrow_mut();
        let Some(open) = response.as_ref() else { return Ok(None) };
        match open.next_chunk()? {
            Some(bytes) => Ok(Some(event(String::from_utf8_lossy(&bytes).into_owned(), None))),
            None => {
                *response = None;
                Ok(Some(event(String::new(), Some("end"))))
            }
        }
    }
}

impl Guest for Plugin {
    type Completion = Answer;

    fn models() -> Result<Vec<Model>, Failure> {
        Ok(Vec::new())
    }

    fn complete(request: Request) -> Result<Completion, Failure> {
        let prompt: Vec<String> = request.messages.iter().map(|one| format!("{}: {}", one.role, one.text)).collect();
        let mut headers = vec![sdk::header("content-type", "text/plain; charset=utf-8")];
        headers.extend(sdk::config::get("credential").map(|handle| sdk::credential("authorization", handle)));
        let response = http::send(&http::Request {
            method: "POST".to_owned(),
            url: setting("base-url")?,
            headers,
            body: Some(prompt.join("\n").into_bytes()),
            timeout_ms: 0,
            extensions: Vec::new(),
        })?;
        if let Some(failure) = sdk::failed_status(response.status(), "") {
            return Err(failure);
        }
        Ok(Completion::new(Answer { response: RefCell::new(Some(response)) }))
    }
}

fumehood_sdk::provider::export!(Plugin);
