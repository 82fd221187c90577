//! The fakes of `tests/fakes`, started and asked.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::machine;

/// The Node.js that runs them; nothing where there is none.
pub fn node() -> Option<PathBuf> {
    let node = std::env::var_os("FUMEHOOD_NODE").map_or_else(|| PathBuf::from("node"), PathBuf::from);
    let output = Command::new(&node).args(["-p", "process.execPath"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

/// The path of a fake's program.
pub fn program(name: &str) -> PathBuf {
    machine::root().join("tests/fakes").join(name)
}

/// A running fake; it ends with this.
pub struct Fake {
    child: Child,
    url: String,
}

impl Fake {
    /// Start `confluence.mjs`, `model.mjs` or `mcp-http.mjs`; nothing without Node.js.
    pub fn start(name: &str) -> Option<Self> {
        Self::start_at(&program(name))
    }

    /// The same of any program that says where it listens, and ends with its standard input.
    pub fn start_at(program: &Path) -> Option<Self> {
        Some(Self::start_with(&node()?, program))
    }

    /// The same by any interpreter.
    pub fn start_with(interpreter: &Path, program: &Path) -> Self {
        let mut command = Command::new(interpreter);
        command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{} said {line:?}", program.display()))
            .to_owned();
        Self { child, url }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ask or set something over its control surface.
    pub fn control(&self, name: &str, body: &Value) -> Value {
        let client = Client::new(&self.url, None);
        let path = format!("/__{name}");
        let answer = if body.is_null() { client.get(&path) } else { client.send("POST", &path, body) };
        answer.ok().json()
    }

    /// Every byte that it received.
    pub fn received(&self) -> Vec<u8> {
        let Answer { body, .. } = Client::new(&self.url, None).get("/__journal/raw").ok();
        body
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
