//! An MCP server, a strict authorization server and a user's browser, all in this process. Everything that is sent is
//! kept, and the authorization server takes nothing that the specifications do not allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use fumehood_oauth::{Client, Discovery, Error, Http, HttpError, Pending, Registration, Tokens, begin, discover};
use http::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

pub const SERVER: &str = "https://mcp.example/mcp";
pub const ISSUER: &str = "https://as.example";
pub const RESOURCE_METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
pub const ROOT_METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource";
pub const AS_METADATA: &str = "https://as.example/.well-known/oauth-authorization-server";
pub const OPENID_METADATA: &str = "https://as.example/.well-known/openid-configuration";
pub const TOKEN: &str = "https://as.example/token";
pub const REGISTER: &str = "https://as.example/register";
pub const CALLBACK: &str = "https://fumehood.example/oauth/callback";

/// What was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub url: String,
    pub authorization: Option<String>,
    pub body: String,
}

impl Sent {
    /// A form's parameters; each may be there once.
    pub fn form(&self) -> BTreeMap<String, String> {
        once(form_urlencoded::parse(self.body.as_bytes()).into_owned())
    }
}

pub fn once(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in pairs {
        assert!(all.insert(name.clone(), value).is_none(), "{name} is there twice");
    }
    all
}

/// A code that was given out, with all that it is bound to.
struct Code {
    challenge: String,
    client_id: String,
    redirect_uri: String,
    resource: String,
}

/// Status, headers, body.
type Answer = (u16, Vec<(String, String)>, String);

#[derive(Default)]
struct State {
    pages: BTreeMap<String, (u16, Value)>,
    /// Answers that come in place of any other.
    fixed: BTreeMap<String, Answer>,
    down: BTreeSet<String>,
    sent: Vec<Sent>,
    /// Clients by id, with their secrets.
    clients: BTreeMap<String, Option<String>>,
    codes: BTreeMap<String, Code>,
    refresh_tokens: BTreeSet<String>,
    counter: u32,
    rotates: bool,
    registered: Value,
}

#[derive(Default)]
pub struct World(Mutex<State>);

impl World {
    /// Everything in order: metadata at the first places, dynamic registration, rotation.
    pub fn new() -> Self {
        let world = Self::default();
        world.page(RESOURCE_METADATA, resource_metadata());
        world.page(AS_METADATA, as_metadata());
        let mut state = world.0.lock().unwrap();
        state.rotates = true;
        state.registered = json!({ "client_id": "dynamic-1", "token_endpoint_auth_method": "none" });
        drop(state);
        world
    }

    pub fn page(&self, url: &str, document: Value) {
        self.0.lock().unwrap().pages.insert(url.to_owned(), (200, document));
    }

    pub fn remove(&self, url: &str) {
        self.0.lock().unwrap().pages.remove(url);
    }

    /// Changes one member of a page; null takes it away.
    pub fn edit(&self, url: &str, member: &str, value: Value) {
        let mut state = self.0.lock().unwrap();
        let members = state.pages.get_mut(url).unwrap().1.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(member)
        } else {
            members.insert(member.to_owned(), value)
        };
    }

    pub fn answer(&self, url: &str, status: u16, headers: &[(&str, &str)], body: impl ToString) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.lock().unwrap().fixed.insert(url.to_owned(), (status, headers, body.to_string()));
    }

    pub fn recover(&self, url: &str) {
        let mut state = self.0.lock().unwrap();
        state.fixed.remove(url);
        state.down.remove(url);
    }

    pub fn down(&self, url: &str) {
        self.0.lock().unwrap().down.insert(url.to_owned());
    }

    pub fn client(&self, id: &str, secret: Option<&str>) {
        self.0.lock().unwrap().clients.insert(id.to_owned(), secret.map(str::to_owned));
    }

    /// What registering answers.
    pub fn registers_as(&self, answer: Value) {
        self.0.lock().unwrap().registered = answer;
    }

    pub fn keeps_refresh_tokens(&self) {
        self.0.lock().unwrap().rotates = false;
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap().sent.clone()
    }

    pub fn asked(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.url).collect()
    }

    /// The questions to one address.
    pub fn sent_to(&self, url: &str) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.url == url).collect()
    }

    /// The user consents: what comes back to the callback, without `iss`.
    pub fn consent(&self, address: &Url) -> String {
        let query = once(address.query_pairs().into_owned());
        assert!(address.as_str().starts_with("https://as.example/authorize?"), "{address}");
        assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
        assert_eq!(query["redirect_uri"], CALLBACK);
        assert_eq!((query["state"].len(), query["code_challenge"].len()), (43, 43), "256 bits each");
        let mut state = self.0.lock().unwrap();
        assert!(state.clients.contains_key(&query["client_id"]), "an unknown client: {}", query["client_id"]);
        state.counter += 1;
        let code = format!("code-{}-of-the-user", state.counter);
        let bound = Code {
            challenge: query["code_challenge"].clone(),
            client_id: query["client_id"].clone(),
            redirect_uri: query["redirect_uri"].clone(),
            resource: query["resource"].clone(),
        };
        state.codes.insert(code.clone(), bound);
        form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &query["state"])
            .finish()
    }

    fn answer_to(&self, sent: &Sent) -> Answer {
        let mut state = self.0.lock().unwrap();
        if let Some(fixed) = state.fixed.get(&sent.url) {
            return fixed.clone();
        }
        let (status, body) = match (sent.method.as_str(), sent.url.as_str()) {
            ("GET", url) => state.pages.get(url).cloned().unwrap_or((404, json!("no such page"))),
            ("POST", TOKEN) => state.token(sent),
            ("POST", REGISTER) => state.register(),
            _ => (405, json!("no")),
        };
        (status, Vec::new(), body.to_string())
    }
}

impl State {
    fn register(&mut self) -> (u16, Value) {
        let answer = self.registered.clone();
        if let Some(id) = answer["client_id"].as_str() {
            self.clients.insert(id.to_owned(), answer["client_secret"].as_str().map(str::to_owned));
            return (201, answer);
        }
        (400, answer)
    }

    fn token(&mut self, sent: &Sent) -> (u16, Value) {
        let form = sent.form();
        let refuse = |error: &str| (400, json!({ "error": error }));
        let Some(client_id) = self.authenticated(sent, &form) else { return (401, json!({"error": "invalid_client"})) };
        match form["grant_type"].as_str() {
            "authorization_code" => {
                let Some(code) = self.codes.remove(&form["code"]) else { return refuse("invalid_grant") };
                let hash = BASE64URL_NOPAD.encode(&Sha256::digest(form["code_verifier"].as_bytes()));
                let bound = hash == code.challenge && form["redirect_uri"] == code.redirect_uri;
                if !bound || client_id != code.client_id {
                    return refuse("invalid_grant");
                }
                if form["resource"] != code.resource {
                    return refuse("invalid_target");
                }
            }
            "refresh_token" => {
                let known = self.refresh_tokens.contains(&form["refresh_token"]);
                if !known {
                    return refuse("invalid_grant");
                }
                if self.rotates {
                    self.refresh_tokens.remove(&form["refresh_token"]);
                }
            }
            _ => return refuse("unsupported_grant_type"),
        }
        (200, self.give(form["grant_type"] == "authorization_code" || self.rotates))
    }

    fn give(&mut self, with_refresh: bool) -> Value {
        self.counter += 1;
        let mut answer = json!({
            "access_token": format!("access-{}", self.counter),
            "token_type": "bEARER",
            "expires_in": 3600,
        });
        if with_refresh {
            let refresh = format!("refresh-{}", self.counter);
            answer["refresh_token"] = json!(refresh);
            self.refresh_tokens.insert(refresh);
        }
        answer
    }

    /// The client that a request is from: shown in exactly one way, the one that it is known by.
    fn authenticated(&self, sent: &Sent, form: &BTreeMap<String, String>) -> Option<String> {
        let (id, secret) = match &sent.authorization {
            Some(header) => {
                assert!(!form.contains_key("client_id") && !form.contains_key("client_secret"), "shown twice");
                let pair = String::from_utf8(BASE64.decode(header.strip_prefix("Basic ")?.as_bytes()).ok()?).ok()?;
                let (id, secret) = pair.split_once(':')?;
                let decoded = |text: &str| form_urlencoded::parse(text.as_bytes()).next().unwrap().0.into_owned();
                (decoded(id), Some(decoded(secret)))
            }
            None => (form.get("client_id")?.clone(), form.get("client_secret").cloned()),
        };
        (self.clients.get(&id)? == &secret).then_some(id)
    }
}

#[async_trait]
impl Http for World {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let sent = Sent {
            method: request.method().clone(),
            url: request.uri().to_string(),
            authorization: request.headers().get("authorization").map(|value| {
                assert!(value.is_sensitive());
                value.to_str().unwrap().to_owned()
            }),
            body: String::from_utf8(request.body().clone()).unwrap(),
        };
        self.0.lock().unwrap().sent.push(sent.clone());
        if self.0.lock().unwrap().down.contains(&sent.url) {
            return Err(HttpError { message: "the connection broke".to_owned(), sent: true });
        }
        let (status, headers, body) = self.answer_to(&sent);
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        Ok(response.body(body.into_bytes()).unwrap())
    }
}

pub fn resource_metadata() -> Value {
    json!({
        "resource": SERVER,
        "authorization_servers": [ISSUER, "https://other.example"],
        "scopes_supported": ["files:read", "files:list"],
    })
}

pub fn as_metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": TOKEN,
        "registration_endpoint": REGISTER,
        "scopes_supported": ["openid", "offline_access"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    })
}

pub fn server() -> Url {
    SERVER.parse().unwrap()
}

pub fn callback() -> Url {
    CALLBACK.parse().unwrap()
}

pub fn now() -> Timestamp {
    "2026-11-02T10:00:00Z".parse().unwrap()
}

pub fn after(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

pub fn client() -> Client {
    Client::new("Fumehood", callback()).unwrap()
}

pub async fn found(world: &World) -> Result<Discovery, Error> {
    discover(world, &server(), None, None).await
}

/// A client without a secret that both sides know.
pub fn registration(world: &World, discovery: &Discovery) -> Registration {
    world.client("by-hand", None);
    Registration::by_hand(discovery.server(), "by-hand", None).unwrap()
}

/// A sign-in that has got as far as the browser.
pub async fn started(world: &World) -> (Url, Pending) {
    let discovery = found(world).await.unwrap();
    let registration = registration(world, &discovery);
    begin(&discovery, &registration, &callback(), discovery.scopes(), now()).unwrap()
}

/// A user with tokens.
pub async fn signed_in(world: &World) -> (Discovery, Registration, Tokens) {
    let discovery = found(world).await.unwrap();
    let registration = registration(world, &discovery);
    let (address, pending) = begin(&discovery, &registration, &callback(), discovery.scopes(), now()).unwrap();
    let query = world.consent(&address);
    let tokens = fumehood_oauth::finish(world, pending, &query, now()).await.unwrap();
    (discovery, registration, tokens)
}

/// The access token, as the server gets it.
pub fn access(tokens: &Tokens) -> String {
    tokens.authorization(&server()).unwrap().to_str().unwrap().to_owned()
}
