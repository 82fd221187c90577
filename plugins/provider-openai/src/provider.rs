//! The two calls of the world: list the models, and complete a conversation.
//!
//! Invariant: one request per call, except that a server which refuses a parameter by name is asked once more without
//! it, at most [`MAX_ADAPTATIONS`] times. Nothing is retried for any other reason: the host decides that. Everything
//! that is read is bounded.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use crate::answer::{Answer, cut_off};
use crate::error::{Said, clip, from_answer, is_html, web_page};
use crate::host::{Config, Failure, HeaderValue, Http, Request, Response, code};
use crate::model::{ChatRequest, Event, Model};
use crate::request::{Dialect, body};
use crate::settings::Settings;
use crate::sse::{Decoder, Frame};

/// How often a request is changed to what the server knows: the limit's name, `stream_options`, `temperature`.
pub const MAX_ADAPTATIONS: usize = 3;
/// Most bytes that are read of a failed answer; the rest says nothing more.
pub const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Most bytes of an answer that is not a stream, and of the list of models.
pub const MAX_JSON_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes of a stream: some 300 bytes a token make this 200,000 tokens, above what models write in one answer.
pub const MAX_STREAM_BYTES: usize = 64 * 1024 * 1024;
/// Most models that are listed.
pub const MAX_MODELS: usize = 2000;
/// Most bytes of a page that is not the API's, of which only the first words matter.
const MAX_PAGE_BYTES: usize = 16 * 1024;
/// Longest wait for the list of models, in milliseconds.
const MODELS_TIMEOUT_MS: u32 = 30_000;

/// The models that the server lists; an empty list where it has no such call.
///
/// # Errors
/// Those of the contract.
pub fn models(http: &dyn Http, config: &dyn Config) -> Result<Vec<Model>, Failure> {
    let settings = Settings::read(config)?;
    let url = settings.url("models");
    let mut headers = vec![("accept", HeaderValue::Text("application/json".to_owned()))];
    headers.extend(settings.credential());
    let mut answer = send(
        http,
        Request {
            method: "GET",
            url: url.clone(),
            headers,
            body: None,
            timeout_ms: MODELS_TIMEOUT_MS.min(settings.timeout_ms),
        },
    )?;
    match answer.status() {
        200..=299 => {}
        404 | 405 | 501 => return Ok(Vec::new()),
        status => {
            let body = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
            return Err(from_answer(status, &answer.headers(), &body, &url));
        }
    }
    let body = read(answer.as_mut(), MAX_JSON_BYTES)?;
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        return Err(not_json(&body));
    };
    let list = [value.get("data"), value.get("models"), Some(&value)].into_iter().flatten().find_map(Value::as_array);
    let Some(list) = list else {
        return Err(Said::in_json(&value).map_or_else(
            || Failure::new(code::PROTOCOL, "The server's list of models is no list."),
            |said| crate::error::from_stream(&said),
        ));
    };
    Ok(list.iter().filter_map(read_model).take(MAX_MODELS).collect())
}

fn read_model(value: &Value) -> Option<Model> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let id = value.as_str().or_else(|| text("id")).or_else(|| text("model"))?;
    let tokens = [
        "/context_length",
        "/max_model_len",
        "/context_window",
        "/max_context_length",
        "/meta/n_ctx",
        "/meta/n_ctx_train",
    ];
    Some(Model {
        id: id.to_owned(),
        name: text("name").or_else(|| text("display_name")).unwrap_or(id).to_owned(),
        context_tokens: tokens.iter().find_map(|path| value.pointer(path)?.as_u64()),
    })
}

/// Send a conversation; the answer arrives through [`Completion::next`].
///
/// # Errors
/// Those of the contract.
pub fn complete(http: &dyn Http, config: &dyn Config, request: &ChatRequest) -> Result<Completion, Failure> {
    let settings = Settings::read(config)?;
    let model = if request.model.is_empty() { &settings.model } else { &request.model };
    let url = settings.url("chat/completions");
    let mut dialect = Dialect { old_max_tokens: settings.old_max_tokens, ..Dialect::default() };
    let mut adaptations = 0;
    loop {
        let mut headers = vec![
            ("content-type", HeaderValue::Text("application/json".to_owned())),
            ("accept", HeaderValue::Text("text/event-stream, application/json".to_owned())),
        ];
        headers.extend(settings.credential());
        let mut answer = send(
            http,
            Request {
                method: "POST",
                url: url.clone(),
                headers,
                body: Some(body(request, model, dialect)?),
                timeout_ms: settings.timeout_ms,
            },
        )?;
        let status = answer.status();
        if (200..300).contains(&status) {
            let used_ids =
                request.messages.iter().flat_map(|message| &message.tool_calls).map(|call| call.id.clone()).collect();
            return Ok(Completion::new(answer, used_ids));
        }
        let body = read_lossy(answer.as_mut(), MAX_ERROR_BYTES);
        if matches!(status, 400 | 422)
            && adaptations < MAX_ADAPTATIONS
            && let Some(adapted) = adapt(dialect, request, &Said::in_body(&body))
        {
            dialect = adapted;
            adaptations += 1;
            continue;
        }
        return Err(from_answer(status, &answer.headers(), &body, &url));
    }
}

/// The dialect without the parameter that the server refuses; nothing where it refuses none that can be left out.
fn adapt(dialect: Dialect, request: &ChatRequest, said: &Said) -> Option<Dialect> {
    let mut adapted = dialect;
    if !dialect.no_stream_options && said.refuses("stream_options") {
        adapted.no_stream_options = true;
    }
    if request.max_output_tokens.is_some() {
        // Each name once: a server that refuses both is not asked for ever, because the number of tries is bounded.
        if !dialect.old_max_tokens && said.refuses("max_completion_tokens") {
            adapted.old_max_tokens = true;
        } else if dialect.old_max_tokens && said.refuses("max_tokens") && !said.refuses("stream_options") {
            adapted.old_max_tokens = false;
        }
    }
    if request.temperature.is_some() && !dialect.no_temperature && said.refuses("temperature") {
        adapted.no_temperature = true;
    }
    (adapted != dialect).then_some(adapted)
}

/// An answer that is arriving. Dropping it closes the connection.
pub struct Completion {
    body: Option<Box<dyn Response>>,
    mode: Mode,
    answer: Answer,
    frames: VecDeque<Frame>,
    bytes: usize,
    done: bool,
}

enum Mode {
    /// Nothing but white space so far.
    Start,
    Stream(Decoder),
    /// One JSON value, although a stream was asked for.
    Whole(Vec<u8>),
    /// A web page.
    Page(Vec<u8>),
}

impl Completion {
    fn new(body: Box<dyn Response>, used_ids: HashSet<String>) -> Self {
        Self {
            body: Some(body),
            mode: Mode::Start,
            answer: Answer::new(used_ids),
            frames: VecDeque::new(),
            bytes: 0,
            done: false,
        }
    }

    /// The next event; nothing after the one with `stop`, and nothing after a failure.
    ///
    /// # Errors
    /// Those of the contract; what came before stays valid.
    #[allow(clippy::should_implement_trait, reason = "named as in the contract, and failures end it")]
    pub fn next(&mut self) -> Result<Option<Event>, Failure> {
        if self.done {
            return Ok(None);
        }
        match self.advance() {
            Ok(event) => {
                if event.stop.is_some() {
                    self.end();
                }
                Ok(Some(event))
            }
            Err(failure) => {
                self.end();
                Err(failure)
            }
        }
    }

    fn end(&mut self) {
        self.done = true;
        self.body = None;
        self.frames.clear();
    }

    fn advance(&mut self) -> Result<Event, Failure> {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                match frame {
                    Frame::Done => return Ok(self.answer.last()),
                    Frame::Json(_, value) => {
                        let event = self.answer.chunk(&value)?;
                        if !event.is_empty() {
                            return Ok(event);
                        }
                    }
                    Frame::Text(name, text) => unreadable(&name, &text)?,
                }
            }
            let Some(body) = &mut self.body else {
                // Everything that arrived has been handed out.
                return if self.answer.has_finish() { Ok(self.answer.last()) } else { Err(cut_off()) };
            };
            match body.next_chunk() {
                Ok(Some(chunk)) => self.take(&chunk)?,
                Ok(None) => {
                    self.body = None;
                    self.finish()?;
                }
                // The answer is complete; how the connection went after that does not matter.
                Err(_) if self.answer.has_finish() => self.body = None,
                Err(failure) => return Err(failure),
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(chunk.len());
        if self.bytes > MAX_STREAM_BYTES {
            return Err(Failure::new(code::PROTOCOL, format!("The answer is longer than {MAX_STREAM_BYTES} bytes.")));
        }
        let mut chunk = chunk;
        if matches!(self.mode, Mode::Start) {
            // Neither the type that the server names nor what was asked for says reliably what comes. An event stream
            // never begins with `{` or `<`; white space before it is no loss, and a byte order mark begins none of the
            // others that we can read.
            let skip = chunk.iter().take_while(|b| b.is_ascii_whitespace()).count();
            chunk = chunk.get(skip..).unwrap_or_default();
            self.mode = match chunk.first() {
                None => return Ok(()),
                Some(b'{' | b'[') => Mode::Whole(Vec::new()),
                Some(b'<') => Mode::Page(Vec::new()),
                Some(_) => Mode::Stream(Decoder::default()),
            };
        }
        match &mut self.mode {
            Mode::Start => Ok(()),
            Mode::Stream(decoder) => decoder
                .push(chunk, &mut self.frames)
                .map_err(|error| Failure::new(code::PROTOCOL, format!("The answer is unusable: {error}."))),
            Mode::Whole(body) => {
                body.extend_from_slice(chunk);
                if body.len() > MAX_JSON_BYTES {
                    return Err(too_long(MAX_JSON_BYTES));
                }
                Ok(())
            }
            Mode::Page(body) => {
                body.extend_from_slice(chunk);
                if body.len() >= MAX_PAGE_BYTES {
                    body.truncate(MAX_PAGE_BYTES);
                    return Err(web_page(&String::from_utf8_lossy(body)));
                }
                Ok(())
            }
        }
    }

    /// The body is at its end.
    fn finish(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.mode, Mode::Start) {
            Mode::Start => Ok(()),
            Mode::Stream(mut decoder) => {
                let mut frames = VecDeque::new();
                // An event without its line end that is not complete was cut, and says nothing.
                let _ = decoder.finish(&mut frames);
                frames.retain(|frame| !matches!(frame, Frame::Text(..)));
                self.frames.append(&mut frames);
                Ok(())
            }
            Mode::Whole(body) => {
                let Ok(value) = serde_json::from_slice::<Value>(&body) else {
                    return Err(not_json(&body));
                };
                let value = value.get(0).cloned().unwrap_or(value);
                let has_choice = value.pointer("/choices/0").is_some();
                if !has_choice && Said::in_json(&value).is_none() {
                    return Err(Failure::new(code::PROTOCOL, "The server's answer holds no choice.")
                        .with("excerpt", clip(&value.to_string(), 500)));
                }
                self.frames.push_back(Frame::Json(String::new(), value));
                self.frames.push_back(Frame::Done);
                Ok(())
            }
            Mode::Page(body) => Err(web_page(&String::from_utf8_lossy(&body))),
        }
    }
}

/// Data that is no JSON: an error in words, an event of a kind that we do not know, or rubbish.
fn unreadable(name: &str, text: &str) -> Result<(), Failure> {
    match name {
        "error" => Err(crate::error::from_stream(&Said { message: text.to_owned(), ..Said::default() })),
        "" | "message" => Err(Failure::new(code::PROTOCOL, "The server sent something in its stream that is no JSON.")
            .with("excerpt", clip(text, 500))),
        _ => Ok(()),
    }
}

fn send(http: &dyn Http, request: Request) -> Result<Box<dyn Response>, Failure> {
    http.send(request).map_err(|mut failure| {
        // A completion changes nothing on the server, so an unknown outcome is no outcome.
        if failure.code == code::OUTCOME_UNKNOWN {
            failure.code = code::UNAVAILABLE.into();
        }
        failure
    })
}

fn read(answer: &mut dyn Response, max: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.next_chunk()? {
        if body.len() + chunk.len() > max {
            return Err(too_long(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What can be read of a failed answer; that it was cut changes nothing about its status.
fn read_lossy(answer: &mut dyn Response, max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < max
        && let Ok(Some(chunk)) = answer.next_chunk()
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(max);
    body
}

fn too_long(max: usize) -> Failure {
    Failure::new(code::PROTOCOL, format!("The server's answer is longer than {max} bytes."))
}

fn not_json(body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    if is_html(&text) {
        return web_page(&text);
    }
    Failure::new(code::PROTOCOL, "The server's answer is no JSON.").with("excerpt", clip(&text, 500))
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
