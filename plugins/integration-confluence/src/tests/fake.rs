//! A strict Confluence in memory, Cloud and Data Center: versions, titles unique in a space, properties, files, a
//! storage parser that refuses what is not well-formed and rewrites what it keeps, and faults on demand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::host::{Config, Failure, HeaderValue, Host, Http, Kv, Log, Request, Response, code};
use crate::settings::Flavour;

/// What happens to one of the host's calls.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection breaks before the server saw the request.
    LostBefore,
    /// It breaks after the server carried it out.
    LostAfter,
    /// It breaks within the body of the answer.
    CutBody,
    /// The plugin's process ends before this call; nothing later happens either.
    DieBefore,
    /// The plugin's process ends after the server carried this call out.
    DieAfter,
    /// Another answer, and nothing is carried out.
    Answer(u16, Vec<(String, String)>, String),
    /// It is carried out, and the answer is another.
    AnswerAfter(u16, String),
}

#[derive(Clone, Debug)]
pub struct Version {
    pub title: String,
    pub body: String,
    pub message: String,
}

#[derive(Clone, Debug)]
pub struct Stored {
    pub id: String,
    pub space: &'static str,
    pub parent: Option<String>,
    pub versions: Vec<Version>,
    pub trashed: bool,
    pub hidden: bool,
    pub properties: BTreeMap<String, Value>,
    pub files: Vec<(String, String, Vec<u8>)>,
}

impl Stored {
    pub fn now(&self) -> &Version {
        self.versions.last().unwrap()
    }
}

/// The server, and the host's other imports.
pub struct Fake {
    pub flavour: Flavour,
    pub root: &'static str,
    pub settings: RefCell<Vec<(&'static str, String)>>,
    pub pages: RefCell<Vec<Stored>>,
    pub requests: RefCell<Vec<Request>>,
    pub kv: RefCell<BTreeMap<String, Vec<u8>>>,
    pub warnings: RefCell<Vec<String>>,
    /// By the number of the host's call (requests and stored values) since the last `reset`, from 0.
    pub faults: RefCell<BTreeMap<usize, Fault>>,
    /// By method and the beginning of the path, used once.
    pub fault_at: RefCell<Vec<(&'static str, &'static str, Fault)>>,
    pub calls: Cell<usize>,
    dead: Cell<bool>,
    next_id: Cell<u32>,
}

pub const SPACES: [(&str, &str, &str); 3] = [
    ("98306", "OPS", "Operations"),
    ("98307", "DEV", "Development"),
    ("98308", "X \"Y", "Odd"),
];

impl Fake {
    pub fn new(flavour: Flavour) -> Self {
        let (root, base) = match flavour {
            Flavour::Cloud => (
                "https://x.atlassian.net/wiki",
                "https://x.atlassian.net/wiki",
            ),
            Flavour::DataCenter => (
                "https://c.example/confluence",
                "https://c.example/confluence/",
            ),
        };
        let word = if flavour == Flavour::Cloud {
            "cloud"
        } else {
            "datacenter"
        };
        Self {
            flavour,
            root,
            settings: RefCell::new(vec![
                ("base-url", base.to_owned()),
                ("credential", "cred".to_owned()),
                ("flavour", word.to_owned()),
            ]),
            pages: RefCell::default(),
            requests: RefCell::default(),
            kv: RefCell::default(),
            warnings: RefCell::default(),
            faults: RefCell::default(),
            fault_at: RefCell::default(),
            calls: Cell::new(0),
            dead: Cell::new(false),
            next_id: Cell::new(1000),
        }
    }

    pub fn host(&self) -> Host<'_> {
        Host {
            http: self,
            config: self,
            kv: self,
            log: self,
        }
    }

    /// A new process of the plugin, on the same server and the same durable store.
    pub fn reset(&self) {
        self.calls.set(0);
        self.dead.set(false);
        self.faults.borrow_mut().clear();
        self.fault_at.borrow_mut().clear();
        self.requests.borrow_mut().clear();
        self.warnings.borrow_mut().clear();
    }

    pub fn set(&self, key: &'static str, value: &str) {
        self.settings.borrow_mut().retain(|(name, _)| *name != key);
        self.settings.borrow_mut().push((key, value.to_owned()));
    }

    /// Someone creates a page by hand.
    pub fn page_by_hand(&self, space: &'static str, title: &str, body: &str) -> String {
        let id = self.next_id.get().to_string();
        self.next_id.set(self.next_id.get() + 1);
        self.pages.borrow_mut().push(Stored {
            id: id.clone(),
            space,
            parent: None,
            versions: vec![Version {
                title: title.into(),
                body: body.into(),
                message: String::new(),
            }],
            trashed: false,
            hidden: false,
            properties: BTreeMap::new(),
            files: Vec::new(),
        });
        id
    }

    /// Someone edits a page by hand.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut Version)) {
        let mut pages = self.pages.borrow_mut();
        let page = pages.iter_mut().find(|page| page.id == id).unwrap();
        let mut version = page.now().clone();
        version.message.clear();
        change(&mut version);
        page.versions.push(version);
    }

    pub fn with(&self, id: &str, change: impl FnOnce(&mut Stored)) {
        change(
            self.pages
                .borrow_mut()
                .iter_mut()
                .find(|page| page.id == id)
                .unwrap(),
        );
    }

    /// How often each method was used on a path that begins so.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let start = format!("{}{path}", self.root);
        self.requests
            .borrow()
            .iter()
            .filter(|request| request.method == method && request.url.starts_with(&start))
            .count()
    }

    fn fault(&self, what: Option<(&str, &str)>) -> Option<Fault> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        if let Some(fault) = self.faults.borrow().get(&number) {
            return Some(fault.clone());
        }
        let (method, path) = what?;
        let mut at = self.fault_at.borrow_mut();
        let hit = at
            .iter()
            .position(|(m, p, _)| *m == method && path.starts_with(p))?;
        Some(at.remove(hit).2)
    }
}

struct Arriving {
    status: u16,
    headers: Vec<(String, String)>,
    chunks: Vec<Result<Vec<u8>, Failure>>,
}

impl Response for Arriving {
    fn status(&self) -> u16 {
        self.status
    }
    fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.chunks.is_empty() {
            return Ok(None);
        }
        self.chunks.remove(0).map(Some)
    }
}

fn whole(
    status: u16,
    headers: Vec<(String, String)>,
    body: &str,
) -> Result<Box<dyn Response>, Failure> {
    // In pieces that cut characters.
    let chunks = body
        .as_bytes()
        .chunks(1021)
        .map(|chunk| Ok(chunk.to_vec()))
        .collect();
    Ok(Box::new(Arriving {
        status,
        headers,
        chunks,
    }))
}

fn dead() -> Failure {
    Failure {
        code: "cancelled".into(),
        ..Failure::new(code::INVALID, "the process ended")
    }
}

impl Http for Fake {
    fn send(&self, request: Request) -> Result<Box<dyn Response>, Failure> {
        if self.dead.get() {
            return Err(dead());
        }
        let url = request.url.clone();
        assert!(
            url.is_ascii() && !url.contains([' ', '#']),
            "not an address: {url}"
        );
        let path = url.strip_prefix(self.root).map(str::to_owned);
        let fault = self.fault(Some((request.method, path.as_deref().unwrap_or(""))));
        self.requests.borrow_mut().push(request.clone());
        let unknown = || Failure::new(code::OUTCOME_UNKNOWN, "the connection was reset");
        match &fault {
            Some(Fault::LostBefore) => return Err(unknown()),
            Some(Fault::DieBefore) => {
                self.dead.set(true);
                return Err(dead());
            }
            Some(Fault::Answer(status, headers, body)) => {
                return whole(*status, headers.clone(), body);
            }
            _ => {}
        }
        let (status, headers, body) = match path {
            Some(path) => self.answer(&request, &path),
            None => (404, Vec::new(), "<html>not here</html>".to_owned()),
        };
        match fault {
            Some(Fault::LostAfter) => Err(unknown()),
            Some(Fault::DieAfter) => {
                self.dead.set(true);
                Err(dead())
            }
            Some(Fault::CutBody) => Ok(Box::new(Arriving {
                status,
                headers,
                chunks: vec![
                    Ok(body.as_bytes()[..body.len() / 2].to_vec()),
                    Err(Failure::new(code::UNAVAILABLE, "cut short")),
                ],
            })),
            Some(Fault::AnswerAfter(status, body)) => whole(status, Vec::new(), &body),
            _ => whole(status, headers, &body),
        }
    }
}

impl Config for Fake {
    fn get(&self, key: &str) -> Option<String> {
        self.settings
            .borrow()
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.clone())
    }
}

impl Kv for Fake {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        if self.dead.get() {
            return Err(dead());
        }
        Ok(self.kv.borrow().get(key).cloned())
    }
    fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        if self.dead.get() {
            return Err(dead());
        }
        assert!((1..=256).contains(&key.len()));
        match self.fault(None) {
            Some(Fault::DieBefore) => {
                self.dead.set(true);
                return Err(dead());
            }
            Some(Fault::DieAfter) => self.dead.set(true),
            Some(_) => return Err(Failure::new(code::TOO_LARGE, "the store is full")),
            None => {}
        }
        self.kv.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}

impl Log for Fake {
    fn warn(&self, message: &str) {
        self.warnings.borrow_mut().push(message.to_owned());
    }
}

type Raw = (u16, Vec<(String, String)>, String);

fn ok(value: &Value) -> Raw {
    (
        200,
        vec![("content-type".into(), "application/json".into())],
        value.to_string(),
    )
}

impl Fake {
    fn error(&self, status: u16, text: &str) -> Raw {
        let body = match self.flavour {
            Flavour::Cloud => {
                json!({"errors":[{"status":status,"code":"X","title":text,"detail":null}]})
            }
            Flavour::DataCenter => json!({"statusCode":status,"data":{"errors":[]},"message":text}),
        };
        (status, vec![], body.to_string())
    }

    fn answer(&self, request: &Request, path: &str) -> Raw {
        let has = |name: &str, value: HeaderValue| {
            request.headers.contains(&(
                match name {
                    "authorization" => "authorization",
                    "x-atlassian-token" => "x-atlassian-token",
                    _ => "content-type",
                },
                value,
            ))
        };
        if !has("authorization", HeaderValue::Credential("cred".into())) {
            return self.error(401, "Unauthorized");
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), decode(value))
            })
            .collect();
        let body = request.body.clone().unwrap_or_default();
        if request.method != "GET" && !has("x-atlassian-token", HeaderValue::Text("nocheck".into()))
        {
            return self.error(403, "XSRF check failed");
        }
        let json_body: Value = if has("", HeaderValue::Text("application/json".into())) {
            serde_json::from_slice(&body).expect("the body is JSON")
        } else {
            Value::Null
        };
        let cloud = self.flavour == Flavour::Cloud;
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method, cloud, parts.as_slice()) {
            ("GET", _, ["rest", "api", "user", "current"]) => ok(&json!({"type":"known","displayName":"Ann Ops"})),
            ("GET", true, ["api", "v2", "spaces"]) => self.spaces(&query, "cursor", "/wiki/api/v2/spaces"),
            ("GET", false, ["rest", "api", "space"]) => self.spaces(&query, "start", "/rest/api/space"),
            ("GET", false, ["rest", "api", "space", key]) => match SPACES.iter().find(|(_, k, _)| *k == decode(key)) {
                Some((id, key, name)) => ok(&json!({"id":id.parse::<u32>().unwrap(),"key":key,"name":name})),
                None => self.error(404, "No space"),
            },
            ("GET", true, ["api", "v2", "pages"]) | ("GET", false, ["rest", "api", "content"]) => self.by_title(&query),
            ("POST", true, ["api", "v2", "pages"]) | ("POST", false, ["rest", "api", "content"]) => self.create(&json_body),
            ("GET", true, ["rest", "api", "search"]) | ("GET", false, ["rest", "api", "content", "search"]) => self.search(&query),
            ("GET", true, ["api", "v2", "pages", id, "properties"]) => self.on(id, |page| {
                let found = page.properties.get(&query["key"]);
                ok(&json!({"results": found.map(|value| json!([{"id":"9","key":query["key"],"value":value}])).unwrap_or(json!([]))}))
            }),
            ("GET", false, ["rest", "api", "content", id, "property", key]) => {
                let missing = self.error(404, "No property");
                self.on(id, |page| match page.properties.get(*key) {
                    Some(value) => ok(&json!({"id":9,"key":key,"value":value,"version":{"number":1}})),
                    None => missing,
                })
            }
            ("POST", true, ["api", "v2", "pages", id, "properties"]) | ("POST", false, ["rest", "api", "content", id, "property"]) => {
                let taken = self.error(409, "The property exists");
                self.on(id, |page| {
                    let key = json_body["key"].as_str().unwrap().to_owned();
                    if page.properties.contains_key(&key) {
                        return taken;
                    }
                    page.properties.insert(key, json_body["value"].clone());
                    ok(&json_body)
                })
            }
            ("GET", true, ["api", "v2", "pages", id, "attachments"]) | ("GET", false, ["rest", "api", "content", id, "child", "attachment"]) => self.on(id, |page| {
                let files: Vec<_> = page.files.iter().enumerate()
                    .filter(|(_, (name, ..))| *name == query["filename"])
                    .map(|(n, (name, comment, _))| if cloud { json!({"id":format!("att{n}"),"title":name,"comment":comment}) } else { json!({"id":format!("att{n}"),"title":name,"metadata":{"comment":comment}}) })
                    .collect();
                ok(&json!({"results":files,"_links":{}}))
            }),
            ("PUT" | "POST", _, ["rest", "api", "content", id, "child", "attachment"]) => {
                assert_eq!(request.method == "PUT", cloud, "upserts are Cloud's");
                let (name, comment, bytes) = form(request);
                let taken = self.error(400, "Cannot add a new attachment with same file name as an existing attachment");
                self.on(id, |page| {
                    if page.files.iter().any(|file| file.0 == name) {
                        return taken;
                    }
                    page.files.push((name, comment, bytes));
                    ok(&json!({"results":[{"id":format!("att{}", page.files.len() - 1)}]}))
                })
            }
            ("POST", _, ["rest", "api", "content", id, "child", "attachment", file, "data"]) => {
                let (name, comment, bytes) = form(request);
                let at: usize = file.trim_start_matches("att").parse().unwrap();
                self.on(id, |page| {
                    page.files[at] = (name, comment, bytes);
                    ok(&json!({"id":file}))
                })
            }
            ("GET", true, ["api", "v2", "pages", id]) | ("GET", false, ["rest", "api", "content", id]) => self.read(id, &query),
            ("PUT", true, ["api", "v2", "pages", id]) | ("PUT", false, ["rest", "api", "content", id]) => self.update(id, &json_body),
            _ => (404, vec![], "<html>Page not found</html>".to_owned()),
        }
    }

    fn on(&self, id: &str, act: impl FnOnce(&mut Stored) -> Raw) -> Raw {
        let missing = self.error(404, "No content found");
        let mut pages = self.pages.borrow_mut();
        match pages
            .iter_mut()
            .find(|page| page.id == id && !page.hidden && !page.trashed)
        {
            Some(page) => act(page),
            None => missing,
        }
    }

    fn show(&self, page: &Stored, number: usize) -> Value {
        let version = &page.versions[number - 1];
        let key = page.space;
        let when = format!("2026-01-{:02}T10:00:00.000Z", number.min(28));
        match self.flavour {
            Flavour::Cloud => json!({
                "id": page.id, "status": if page.trashed { "trashed" } else { "current" }, "title": version.title,
                "spaceId": SPACES.iter().find(|s| s.1 == key).unwrap().0, "createdAt": "2026-01-01T10:00:00.000Z", "authorId": "u-1",
                "version": {"number": number, "message": version.message, "createdAt": when},
                "body": {"storage": {"value": version.body, "representation": "storage"}}, "unheardOf": [1],
                "_links": {"webui": format!("/spaces/{key}/pages/{}", page.id), "base": "https://x.atlassian.net/wiki"},
            }),
            Flavour::DataCenter => json!({
                "id": page.id, "type": "page", "status": if page.trashed { "trashed" } else { "current" }, "title": version.title, "space": {"key": key},
                "version": {"number": number, "message": version.message, "when": when, "by": {"displayName": "Ann"}},
                "body": {"storage": {"value": version.body, "representation": "storage"}}, "unheardOf": [1],
                "_links": {"webui": format!("/display/{key}/{}", page.id), "base": "https://c.example/confluence"},
            }),
        }
    }

    fn read(&self, id: &str, query: &BTreeMap<String, String>) -> Raw {
        let missing = self.error(404, "No content found");
        let pages = self.pages.borrow();
        // Cloud shows a page that is in the trash; Data Center does not.
        let found = pages.iter().find(|page| {
            page.id == id && !page.hidden && (!page.trashed || self.flavour == Flavour::Cloud)
        });
        let Some(page) = found else { return missing };
        let number = query
            .get("version")
            .map_or(page.versions.len(), |n| n.parse().unwrap());
        if number == 0 || number > page.versions.len() {
            return missing;
        }
        ok(&self.show(page, number))
    }

    fn by_title(&self, query: &BTreeMap<String, String>) -> Raw {
        assert_eq!(query["status"], "current");
        let pages = self.pages.borrow();
        let found: Vec<_> = pages
            .iter()
            .filter(|page| !page.trashed && !page.hidden && page.now().title == query["title"])
            .filter(|page| {
                let space = SPACES.iter().find(|s| s.1 == page.space).unwrap();
                query
                    .get("space-id")
                    .map_or_else(|| query["spaceKey"] == space.1, |id| id == space.0)
            })
            .map(|page| self.show(page, page.versions.len()))
            .collect();
        ok(&json!({"results": found, "_links": {}}))
    }

    fn taken(&self, space: &str, title: &str, but: &str) -> bool {
        self.pages.borrow().iter().any(|page| {
            page.id != but
                && !page.trashed
                && page.space == space
                && page.now().title.to_lowercase() == title.to_lowercase()
        })
    }

    fn version(&self, json: &Value) -> Result<Version, Raw> {
        let title = json["title"].as_str().unwrap_or_default().to_owned();
        let storage = match self.flavour {
            Flavour::Cloud => &json["body"],
            Flavour::DataCenter => &json["body"]["storage"],
        };
        if title.is_empty()
            || title.chars().count() > 255
            || title.trim() != title
            || storage["representation"] != "storage"
        {
            return Err(self.error(400, "title or body missing"));
        }
        let body = storage["value"].as_str().unwrap_or_default();
        let wrapped = format!("<x xmlns:ac=\"a\" xmlns:ri=\"r\">{body}</x>");
        if let Err(error) = roxmltree::Document::parse(&wrapped) {
            return Err(self.error(400, &format!("Error parsing xhtml: {error}")));
        }
        Ok(Version {
            title,
            // What Confluence adds to what it keeps.
            body: body.replace(
                "<ac:structured-macro ",
                "<ac:structured-macro ac:schema-version=\"1\" ac:macro-id=\"7-7\" ",
            ),
            message: json["version"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        })
    }

    fn create(&self, json: &Value) -> Raw {
        let wanted = match self.flavour {
            Flavour::Cloud => SPACES
                .iter()
                .find(|s| Some(s.0) == json["spaceId"].as_str()),
            Flavour::DataCenter => SPACES
                .iter()
                .find(|s| json["type"] == "page" && Some(s.1) == json["space"]["key"].as_str()),
        };
        let Some((_, space, _)) = wanted else {
            return self.error(404, "No space");
        };
        let version = match self.version(json) {
            Ok(version) => version,
            Err(error) => return error,
        };
        if self.taken(space, &version.title, "") {
            return self.error(400, "A page with this title already exists: A page already exists with the same TITLE in this space");
        }
        let id = self.page_by_hand(space, "", "");
        let parent = json["parentId"]
            .as_str()
            .or_else(|| json["ancestors"][0]["id"].as_str());
        self.with(&id, |page| {
            page.parent = parent.map(str::to_owned);
            page.versions = vec![version];
        });
        let pages = self.pages.borrow();
        ok(&self.show(pages.last().unwrap(), 1))
    }

    fn update(&self, id: &str, json: &Value) -> Raw {
        if json["id"].as_str() != Some(id)
            || (self.flavour == Flavour::Cloud && json["status"] != "current")
        {
            return self.error(400, "id or status missing");
        }
        let version = match self.version(json) {
            Ok(version) => version,
            Err(error) => return error,
        };
        let missing = self.error(404, "No content found");
        let found = self
            .pages
            .borrow()
            .iter()
            .find(|page| page.id == id && !page.trashed && !page.hidden)
            .cloned();
        let Some(page) = found else { return missing };
        if json["version"]["number"].as_u64() != Some(page.versions.len() as u64 + 1) {
            return self.error(
                409,
                &format!(
                    "Version must be incremented on update. Current version is: {}",
                    page.versions.len()
                ),
            );
        }
        if self.taken(page.space, &version.title, id) {
            return self.error(400, "A page with this title already exists");
        }
        self.with(id, |page| page.versions.push(version));
        let pages = self.pages.borrow();
        let page = pages.iter().find(|page| page.id == id).unwrap();
        ok(&self.show(page, page.versions.len()))
    }

    /// Pages of two, then an empty last one.
    fn spaces(&self, query: &BTreeMap<String, String>, cursor: &str, list: &str) -> Raw {
        let chosen: Vec<_> = SPACES
            .iter()
            .filter(|s| query.get("keys").is_none_or(|key| key == s.1))
            .map(|(id, key, name)| json!({"id":id,"key":key,"name":name,"_links":{"webui":format!("/spaces/{key}")}}))
            .collect();
        let from: usize = query.get(cursor).map_or(0, |at| at.parse().unwrap());
        let some: Vec<_> = chosen.iter().skip(from).take(2).collect();
        let next = (!some.is_empty()).then(|| format!("{list}?limit=2&{cursor}={}", from + 2));
        // Cloud says it in the header as well; here in the header alone.
        let (status, mut headers, body) = match (&next, self.flavour) {
            (Some(next), Flavour::DataCenter) => {
                ok(&json!({"results":some,"_links":{"next":next,"base":self.root}}))
            }
            _ => ok(&json!({"results":some,"_links":{"base":self.root}})),
        };
        if let (Some(next), Flavour::Cloud) = (next, self.flavour) {
            headers.push((
                "link".into(),
                format!("<{next}>; rel=\"next\", <https://x.atlassian.net/wiki>; rel=\"base\""),
            ));
        }
        (status, headers, body)
    }

    fn search(&self, query: &BTreeMap<String, String>) -> Raw {
        let pages = self.pages.borrow();
        let hits: Vec<_> = pages
            .iter()
            .map(|page| {
                let shown = self.show(page, page.versions.len());
                match self.flavour {
                    Flavour::Cloud => json!({"content":{"id":page.id,"type":"page","title":page.now().title,"space":{"key":page.space}},
                        "lastModified":shown["version"]["createdAt"],"excerpt":"…"}),
                    Flavour::DataCenter => shown,
                }
            })
            .collect();
        assert!(!query["cql"].is_empty());
        ok(&json!({"results":hits,"totalSize":hits.len(),"_links":{"base":self.root}}))
    }
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: String = [bytes.next().unwrap(), bytes.next().unwrap()]
                .map(char::from)
                .iter()
                .collect();
            out.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

/// File name, comment and bytes of an upload.
fn form(request: &Request) -> (String, String, Vec<u8>) {
    let media = request
        .headers
        .iter()
        .find(|(name, _)| *name == "content-type")
        .unwrap();
    let HeaderValue::Text(media) = &media.1 else {
        panic!("a type")
    };
    let boundary = media
        .strip_prefix("multipart/form-data; boundary=")
        .unwrap();
    let body = request.body.clone().unwrap();
    let find = |needle: &[u8], from: usize| {
        body[from..]
            .windows(needle.len())
            .position(|w| w == needle)
            .map(|at| at + from)
            .unwrap()
    };
    let start = find(b"\r\n\r\n", 0) + 4;
    let end = find(format!("\r\n--{boundary}").as_bytes(), start);
    let head = String::from_utf8(body[..start].to_vec()).unwrap();
    let name = head
        .split("filename=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let tail = String::from_utf8(body[end..].to_vec()).unwrap();
    let comment = tail
        .split("name=\"comment\"\r\n\r\n")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .to_owned();
    (name, comment, body[start..end].to_vec())
}
