//! Plugins that come from an OCI registry: Debian's docker-registry, on this machine.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fumehood_tests::{Data, machine};

use super::{House, example, scanner_manifest};

/// A registry with a folder of its own; ends with the test.
struct Registry {
    child: Child,
    host: String,
    folder: std::path::PathBuf,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    fn start(test: &str, data: &Data) -> Option<Self> {
        let folder = data.beside("registry");
        std::fs::create_dir_all(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = data.beside("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            machine::skip(test, "docker-registry is not here (Debian: apt-get install docker-registry)");
            return None;
        };
        let registry = Self { child, host: format!("127.0.0.1:{port}"), folder };
        machine::wait_for("the registry", Duration::from_secs(20), || {
            std::net::TcpStream::connect(&registry.host).ok().map(drop)
        });
        Some(registry)
    }

    /// The files in which the registry keeps blobs.
    fn blobs(&self) -> Vec<std::path::PathBuf> {
        machine::snapshot(&self.folder)
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.ends_with("data"))
            .collect()
    }
}

#[test]
fn a_plugin_is_stored_fetched_by_its_digest_and_works() {
    let test = "a_plugin_is_stored_fetched_by_its_digest_and_works";
    let Some(component) = example(test, "rust-scanner") else { return };
    let house = House::new();
    let Some(registry) = Registry::start(test, &house.data) else { return };
    let packed = house.packed(&component, &scanner_manifest("1.0.0", "example"));
    let place = format!("oci://{}/acme/scanner", registry.host);
    let stored = house.ok(&["push", &packed, &format!("{place}:1.0.0")]).trim().to_owned();
    assert!(stored.starts_with(&format!("{place}@sha256:")), "{stored}");

    let by_tag = house.refused(&["install", &format!("{place}:1.0.0")]);
    assert!(by_tag.contains("Name the plugin by its digest"), "{by_tag}");
    let said = house.ok(&["install", &stored]);
    assert!(said.contains("rust-scanner 1.0.0 is installed"), "{said}");
    let shown = house.ok(&["show", "rust-scanner"]);
    assert!(shown.contains(&format!("from {stored}")) && shown.contains("signed by ed25519:"), "{shown}");
    house.ok(&["approve", "rust-scanner", "--all"]);
    assert!(house.masked("EMP-123456\n").unwrap().starts_with("[EMPLOYEE_ID-1]"));
    let fetched = house.audit("plugin.fetch");
    assert_eq!(fetched.len(), 2 * 2, "an intent and an outcome of each: {fetched:?}");

    let nowhere = format!("{place}@sha256:{}", "0".repeat(64));
    assert!(house.refused(&["install", &nowhere]).contains("has no such artefact"));
    drop(registry);
    let away = house.refused(&["install", &stored]);
    assert!(away.contains("cannot be reached"), "{away}");
}

#[test]
fn what_the_registry_gives_is_checked_against_the_digest() {
    let test = "what_the_registry_gives_is_checked_against_the_digest";
    let Some(component) = example(test, "rust-scanner") else { return };
    let house = House::new();
    let Some(registry) = Registry::start(test, &house.data) else { return };
    let packed = house.packed(&component, &scanner_manifest("1.0.0", "example"));
    let stored = house.ok(&["push", &packed, &format!("oci://{}/acme/scanner:1.0.0", registry.host)]).trim().to_owned();
    // One byte of the component is another on the registry's disk.
    let bytes = std::fs::read(&packed).unwrap();
    let blob =
        registry.blobs().into_iter().find(|path| std::fs::read(path).unwrap() == bytes).expect("the component's blob");
    let mut other = bytes;
    let at = other.len() / 2;
    other[at] ^= 1;
    std::fs::write(blob, other).unwrap();
    let error = house.refused(&["install", &stored]);
    assert!(error.contains("other bytes for a layer than its digest says"), "{error}");
    assert!(!house.ok(&["list"]).contains("rust-scanner"));
}

/// Answers every request with the same bytes, as a registry must not.
fn hostile(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20).flatten() {
            let mut stream = stream;
            let mut seen = [0; 4096];
            let _ = stream.read(&mut seen);
            let _ = std::io::Write::write_all(&mut stream, answer);
        }
    });
    host
}

#[test]
fn a_registry_that_lies_is_refused_in_words() {
    let house = House::new();
    let digest = format!("sha256:{}", "1".repeat(64));
    for (answer, said) in [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".as_slice(), "other bytes for the artefact's manifest"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "answered with HTTP 500"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "wants somebody to sign in"),
        (
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"http://169.254.169.254/token\"\r\nContent-Length: 0\r\n\r\n",
            "asks to sign in in a way that is not understood",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "cannot be reached: "),
        (b"garbage\r\n\r\n", "cannot be reached: "),
    ] {
        let error = house.refused(&["install", &format!("oci://{}/acme/scanner@{digest}", hostile(answer))]);
        let known = error.contains(said) || said.starts_with("cannot") && error.contains("The registry");
        assert!(known, "{said}: {error}");
    }
}
