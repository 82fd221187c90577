//! A strict Confluence in memory, Cloud and Data Center: versions, titles unique in a space, properties, files, a
//! storage parser that refuses what is not well-formed and rewrites what it keeps, and faults on demand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::Value;

use crate::settings::Flavour;
use plugin_core::host::{Config, Failure, Host, Http, Kv, Log, Request, Response, code};

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

pub const SPACES: [(&str, &str, &str); 3] =
    [("98306", "OPS", "Operations"), ("98307", "DEV", "Development"), ("98308", "X \"Y", "Odd")];

impl Fake {
    pub fn new(flavour: Flavour) -> Self {
        let (root, base) = match flavour {
            Flavour::Cloud => ("https://x.atlassian.net/wiki", "https://x.atlassian.net/wiki"),
            Flavour::DataCenter => ("https://c.example/confluence", "https://c.example/confluence/"),
        };
        let word = if flavour == Flavour::Cloud { "cloud" } else { "datacenter" };
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
        Host { http: self, config: self, kv: self, log: self }
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
            versions: vec![Version { title: title.into(), body: body.into(), message: String::new() }],
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
        change(self.pages.borrow_mut().iter_mut().find(|page| page.id == id).unwrap());
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

    /// How often a page was asked for to be created.
    pub fn creations(&self) -> usize {
        let path = if self.flavour == Flavour::Cloud { "/api/v2/pages" } else { "/rest/api/content" };
        let url = format!("{}{path}", self.root);
        self.requests.borrow().iter().filter(|request| request.method == "POST" && request.url == url).count()
    }

    fn fault(&self, what: Option<(&str, &str)>) -> Option<Fault> {
        let number = self.calls.get();
        self.calls.set(number + 1);
        if let Some(fault) = self.faults.borrow().get(&number) {
            return Some(fault.clone());
        }
        let (method, path) = what?;
        let mut at = self.fault_at.borrow_mut();
        let hit = at.iter().position(|(m, p, _)| *m == method && path.starts_with(p))?;
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

fn whole(status: u16, headers: Vec<(String, String)>, body: &str) -> Result<Box<dyn Response>, Failure> {
    // In pieces that cut characters.
    let chunks = body.as_bytes().chunks(1021).map(|chunk| Ok(chunk.to_vec())).collect();
    Ok(Box::new(Arriving { status, headers, chunks }))
}

fn dead() -> Failure {
    Failure { code: "cancelled".into(), ..Failure::new(code::INVALID, "the process ended") }
}

impl Http for Fake {
    fn send(&self, request: Request) -> Result<Box<dyn Response>, Failure> {
        if self.dead.get() {
            return Err(dead());
        }
        let url = request.url.clone();
        assert!(url.is_ascii() && !url.contains([' ', '#']), "not an address: {url}");
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
        self.settings.borrow().iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
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
