//! Plugins that are brought in: installed, approved, granted, upgraded, stopped, as an operator does it.

mod author;
mod hostile;
mod in_use;
mod install;
mod languages;
mod registry;
mod stop;

use std::path::PathBuf;
use std::process::Output;

use fumehood_tests::server::text;
use fumehood_tests::{Client, Data, Server, machine};

/// The component of an example plugin; nothing, and a word why, where it was not built here.
fn example(test: &str, name: &str) -> Option<PathBuf> {
    let path = machine::root().join(format!("plugins/examples/{name}/dist/{name}.wasm"));
    if !path.exists() {
        machine::skip(test, &format!("the example plugin {name} is not built (tests/run --only plugins builds it)"));
        return None;
    }
    Some(path)
}

/// The component of a plugin that ships, as the build left it; nothing, and a word why, where that is not here.
fn built(test: &str, name: &str) -> Option<PathBuf> {
    let binary = std::env::current_exe().unwrap();
    let mut folders = binary.ancestors();
    let found = folders.find_map(|folder| {
        Some(folder.join(format!("plugins/wasm32-wasip2/guest/{name}.wasm"))).filter(|path| path.exists())
    });
    if found.is_none() {
        machine::skip(test, &format!("the component {name} is not in the target folder"));
    }
    found
}

/// An organisation with a publisher's key, and a running server.
struct House {
    data: Data,
    server: Server,
    client: Client,
    key: String,
}

impl House {
    fn new() -> Self {
        let data = Data::prepared();
        let key = data.beside("publisher.key").display().to_string();
        let public = data.run(&["plugin", "key", &key]);
        assert!(public.status.success(), "{}", text(&public.stderr));
        let house = Self { server: data.start(), client: Client::new("http://nowhere", None), data, key };
        let client = house.server.client(&house.data.token("admin"));
        let house = Self { client, ..house };
        house.policy(&format!("[publishers.example]\nkeys = [\"{}\"]\n", text(&public.stdout).trim()));
        house
    }

    /// Write the organisation's policy, and wait until it is in force.
    fn policy(&self, text: &str) {
        std::fs::write(self.data.path().join("policy.toml"), text).unwrap();
        let before = self.audit("policy.read").len();
        machine::wait_for("the policy to be read", std::time::Duration::from_secs(10), || {
            (self.audit("policy.read").len() > before).then_some(())
        });
    }

    /// `fumehood plugin …`.
    fn plugin(&self, arguments: &[&str]) -> Output {
        self.data.run(&[&["plugin"], arguments].concat())
    }

    /// `fumehood plugin …`, which has to go well; what it says.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.plugin(arguments);
        let (said, wrong) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {wrong}{said}");
        said
    }

    /// `fumehood plugin …`, which has to be refused; why.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.plugin(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// A component with another manifest, signed; its path.
    fn packed(&self, component: &std::path::Path, manifest: &str) -> String {
        let number = std::fs::read_dir(self.data.beside("")).unwrap().count();
        let (toml, out) = (self.data.beside(&format!("m{number}.toml")), self.data.beside(&format!("c{number}.wasm")));
        std::fs::write(&toml, manifest).unwrap();
        let (component, toml, out) = (component.display(), toml.display(), out.display().to_string());
        self.ok(&["pack", &component.to_string(), "--manifest", &toml.to_string(), "--out", &out]);
        self.ok(&["sign", "--key", &self.key, &out]);
        out
    }

    /// Entries of the record whose action is this one, the newest first.
    fn audit(&self, action: &str) -> Vec<serde_json::Value> {
        let found = self.client.get(&format!("/api/v1/audit?action={action}&limit=200")).expect(200).json();
        found["entries"].as_array().unwrap().clone()
    }

    /// What is left of a line of a log, as it would leave.
    fn masked(&self, line: &str) -> Result<String, String> {
        let incident = self.client.incident("Plugins at work");
        let answer = self.client.upload(&incident, "a.log", line.as_bytes());
        if answer.status != 201 {
            return Err(answer.text());
        }
        let log = answer.json()["id"].as_str().unwrap().to_owned();
        Ok(self.client.get(&format!("/api/v1/logs/{log}/redacted")).expect(200).text())
    }
}

/// The manifest of the example scanner, in another version.
fn scanner_manifest(version: &str, publisher: &str) -> String {
    format!(
        "name = \"rust-scanner\"\nversion = \"{version}\"\npublisher = \"{publisher}\"\nworld = \"scanner\"\n\
         description = \"Finds employee numbers\"\n"
    )
}
