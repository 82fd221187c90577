//! A server in memory, for the tests of plugins.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::Completion;
use crate::model::Event;
use plugin_core::host::{Config, Failure, Http, Request, Response};

/// What the server does with the next request.
#[derive(Clone)]
pub struct Reply {
    /// Of the answer.
    pub status: u16,
    /// Of the answer.
    pub headers: Vec<(String, String)>,
    /// Of its body, until a failure.
    pub chunks: Vec<Result<Vec<u8>, Failure>>,
}

/// An answer with a body in one piece.
pub fn reply(status: u16, body: &str) -> Reply {
    Reply { status, headers: Vec::new(), chunks: vec![Ok(body.as_bytes().to_vec())] }
}

/// An answer cut into pieces of a size.
pub fn cut(status: u16, body: &str, size: usize) -> Reply {
    let chunks = body.as_bytes().chunks(size.max(1)).map(|chunk| Ok(chunk.to_vec())).collect();
    Reply { status, headers: Vec::new(), chunks }
}

/// The server, and the settings.
#[derive(Default)]
pub struct Server {
    /// For the requests to come.
    pub replies: RefCell<VecDeque<Result<Reply, Failure>>>,
    /// The requests that came.
    pub seen: Rc<RefCell<Vec<Request>>>,
    /// Over the defaults of [`Server::new`].
    pub settings: Vec<(&'static str, &'static str)>,
}

impl Server {
    /// A server at `https://m.example/v1/`, with the credential `cred-7` and the model `small`.
    pub fn new(replies: Vec<Result<Reply, Failure>>) -> Self {
        Self { replies: RefCell::new(replies.into()), ..Self::default() }
    }

    /// The body of a request that came, as JSON.
    pub fn body(&self, number: usize) -> serde_json::Value {
        let seen = self.seen.borrow();
        let body = seen.get(number).and_then(|request| request.body.as_deref()).unwrap_or_default();
        serde_json::from_slice(body).unwrap_or_default()
    }
}

struct Arriving(u16, Vec<(String, String)>, VecDeque<Result<Vec<u8>, Failure>>);

impl Response for Arriving {
    fn status(&self) -> u16 {
        self.0
    }
    fn headers(&self) -> Vec<(String, String)> {
        self.1.clone()
    }
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.2.pop_front().transpose()
    }
}

impl Http for Server {
    fn send(&self, request: Request) -> Result<Box<dyn Response>, Failure> {
        self.seen.borrow_mut().push(request);
        let unexpected = || Err(Failure::new("internal", "an unexpected request"));
        let reply = self.replies.borrow_mut().pop_front().unwrap_or_else(unexpected)?;
        Ok(Box::new(Arriving(reply.status, reply.headers, reply.chunks.into())))
    }
}

impl Config for Server {
    fn get(&self, key: &str) -> Option<String> {
        let set = self.settings.iter().find(|(name, _)| *name == key);
        let default = || match key {
            "base-url" => Some("https://m.example/v1/".to_owned()),
            "credential" => Some("cred-7".to_owned()),
            "model" => Some("small".to_owned()),
            _ => None,
        };
        set.map(|(_, value)| (*value).to_owned()).or_else(default)
    }
}

/// All events of an answer, and how it ended. Nothing may follow the end.
pub fn run(completion: Result<Completion, Failure>) -> (Vec<Event>, Option<Failure>) {
    let mut completion = match completion {
        Ok(completion) => completion,
        Err(failure) => return (Vec::new(), Some(failure)),
    };
    let mut events = Vec::new();
    let failure = loop {
        match completion.next() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break None,
            Err(failure) => break Some(failure),
        }
    };
    assert_eq!(completion.next(), Ok(None), "nothing follows the end");
    assert!(events.iter().rev().skip(1).all(|event| event.stop.is_none()), "stop is on the last event");
    (events, failure)
}

/// The text of all events.
pub fn shown(events: &[Event]) -> String {
    events.iter().map(|event| event.text.as_str()).collect()
}
