//! {{name}}: can tell whether its server is there.

use fumehood_sdk::integration::{
    self as sdk, Account, Attachment, Document, Draft, Failure, Guest, Item, PageOfItems, PageOfProjects, Published,
    Query, failure, log, setting, unsupported,
};

struct Plugin;

/// Status of what the server in the settings answers, and the length of its answer.
fn request(method: &str, path: &str) -> Result<(u16, usize), Failure> {
    let url = format!("{}{path}", setting("base-url")?.trim_end_matches('/'));
    let mut headers = vec![sdk::header("accept", "application/json")];
    // By handle: the host writes the value, and the plugin never sees it.
    headers.extend(sdk::config::get("credential").map(|handle| sdk::credential("authorization", handle)));
    let (status, _, body) = sdk::send(method, &url, headers, None)?;
    log(format!("{method} {}: HTTP {status}", if path.is_empty() { "/" } else { path }));
    match status {
        200..=299 => Ok((status, body.len())),
        401 => Err(failure("auth", "The credential was refused; renew it.")),
        500.. => Err(failure("unavailable", format!("The server answered with HTTP {status}."))),
        _ => Err(failure("invalid", format!("The server answered with HTTP {status}."))),
    }
}

impl Guest for Plugin {
    /// A function that works is named here.
    fn capabilities() -> Vec<String> {
        vec!["test-connection".to_owned()]
    }

    fn test_connection() -> Result<Account, Failure> {
        let (status, length) = request("GET", "")?;
        let name = format!("HTTP {status}, {length} bytes");
        Ok(Account { name, product: "{{name}}".to_owned(), extensions: Vec::new() })
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
