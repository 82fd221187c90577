//! Fumehood, set up as its user does it: the sign-in link, the form of the server, the page of its tools, a token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fumehood_tests::machine::wait_for;
use fumehood_tests::server::{command_on, text};
use fumehood_tests::{Launch, Person, Server};
use serde_json::Value;

use crate::load::Target;
use crate::upstream::TOOL;

/// What somebody waits for on a page.
const SETTLE: Duration = Duration::from_secs(60);
const NAME: &str = "Bench";

pub struct Fumehood {
    pub server: Server,
    data: PathBuf,
}

impl Fumehood {
    /// Start it on a folder, before the server on a port.
    pub fn start(folder: &Path, upstream: u16) -> Self {
        let data = folder.join("data");
        let server = Launch::new(&data).start();
        let fumehood = Self { server, data };
        let person = Person::first(&fumehood.server);
        let client = fumehood.server.client(&fumehood.token("admin"));
        let url = format!("http://127.0.0.1:{upstream}/mcp");
        let fields = [("name", NAME), ("transport", "http"), ("url", &url), ("auth", "none"), ("command", "")];
        person.submit("/servers", &fields);
        let known = wait_for("the server's tools", SETTLE, || {
            let all = client.get("/api/v1/servers").expect(200).json();
            let one = all.as_array().unwrap().iter().find(|one| one["name"] == NAME).cloned()?;
            (one["state"] != "pending").then_some(one)
        });
        assert_eq!((&known["state"], &known["tools"]), (&"connected".into(), &1.into()), "{known}");
        let path = format!("/servers/{}", known["id"].as_str().unwrap());
        let page = person.get(&path).expect(200).text();
        let key = page.split("name=\"tool\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        person.submit(&format!("{path}/tools"), &[("rule", "allow"), ("tool", key.expect("the tool waits"))]);
        fumehood
    }

    fn command(&self, arguments: &[&str]) -> String {
        let output = command_on(&self.data, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn token(&self, role: &str) -> String {
        self.command(&["token", "create", "--role", role]).trim().to_owned()
    }

    /// Where its gateway is, with a token.
    pub fn target(&self) -> Target {
        Target {
            address: self.server.address().to_owned(),
            path: "/mcp".into(),
            tool: format!("mcp_{}_{TOOL}", NAME.to_lowercase()),
            token: Some(self.token("responder")),
        }
    }

    /// Calls of the tool on record that ended well.
    pub fn recorded(&self) -> u64 {
        wait_for("the ends on record", SETTLE, || {
            self.command(&["mcp", "logs", "--status", "open", "--json"]).is_empty().then_some(())
        });
        let said = self.command(&["mcp", "stats", "--tool", TOOL, "--json"]);
        let stats: Value = serde_json::from_str(&said).unwrap();
        let number = |key: &str| stats[0][key].as_u64().unwrap_or_else(|| panic!("{stats}"));
        number("calls") - number("errors")
    }
}
