//! A person who is signed in: the first administrator, over the same pages and forms that a browser uses. What only a
//! person may do (set up a model, a server) cannot be done with a token.

use std::io::Read as _;

use crate::client::Answer;
use crate::server::Server;

/// Everybody's password.
pub const PASSWORD: &str = "a long password for tests";

/// A session.
pub struct Person {
    agent: ureq::Agent,
    base: String,
    cookie: String,
}

impl Person {
    /// Follow the one-time link that the server printed and make the first account.
    pub fn first(server: &Server) -> Self {
        let link = server.sign_in().expect("the server printed no sign-in link").to_owned();
        Self::join(server, &link, "Test Admin", "admin@ops.example")
    }

    /// Nobody who is signed in.
    pub fn stranger(server: &Server) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
        Self { agent, base: server.url().to_owned(), cookie: String::new() }
    }

    /// Follow a link and make an account.
    pub fn join(server: &Server, link: &str, name: &str, email: &str) -> Self {
        let mut person = Self::stranger(server);
        let path = link.strip_prefix(server.url()).unwrap_or_else(|| panic!("{link} is not below {}", server.url()));
        let page = person.get(path).expect(200).text();
        // The form says where it goes, as it does to a browser.
        let form = page.split("<form").find(|form| form.contains("name=\"password\"")).expect("a form for the account");
        let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the form's action");
        let fields = [("name", name), ("email", email), ("password", PASSWORD), ("again", PASSWORD)];
        let answer = person.post(action, &fields);
        assert!((300..400).contains(&answer.status), "no account was made: {} {}", answer.status, answer.text());
        let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        let pairs: Vec<&str> = cookies.filter_map(|(_, value)| value.split(';').next()).collect();
        assert!(!pairs.is_empty(), "no session was begun");
        person.cookie = pairs.join("; ");
        person
    }

    /// The same session after the server was started again.
    pub fn moved_to(&self, server: &Server) -> Self {
        Self { agent: self.agent.clone(), base: server.url().to_owned(), cookie: self.cookie.clone() }
    }

    /// Read a page.
    pub fn get(&self, path: &str) -> Answer {
        self.send(ureq::http::Request::get(format!("{}{path}", self.base)), String::new())
    }

    /// Send a form.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = ureq::http::Request::post(format!("{}{path}", self.base))
            .header("origin", &self.base)
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request, body.join("&"))
    }

    /// Send a form that has to be taken: a redirect, or the page anew.
    #[track_caller]
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.post(path, fields);
        assert!((200..400).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        answer
    }

    fn send(&self, mut request: ureq::http::request::Builder, body: String) -> Answer {
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        let response = if body.is_empty() {
            self.agent.run(request.body(()).unwrap()).unwrap()
        } else {
            self.agent.run(request.body(body).unwrap()).unwrap()
        };
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        body.as_reader().read_to_end(&mut bytes).unwrap();
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Answer { status: parts.status.as_u16(), headers, body: bytes }
    }
}

/// Percent-encoding for forms.
fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
