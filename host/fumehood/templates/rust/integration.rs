//! An integration. Text that it is given has passed the redaction gate; what it may reach is what was granted.

use fumehood_sdk::integration::{
    self as sdk, Account, Attachment, Document, Draft, Failure, Guest, Item, PageOfItems, PageOfProjects, Published,
    Query, setting, unsupported,
};

struct Plugin;

impl Guest for Plugin {
    fn capabilities() -> Vec<String> {
        vec!["test-connection".to_owned()]
    }

    /// Who the credential belongs to: asked when a person sets the integration up.
    fn test_connection() -> Result<Account, Failure> {
        let url = format!("{}/me", setting("base-url")?.trim_end_matches('/'));
        let headers = match sdk::config::get("credential") {
            Some(handle) => vec![sdk::credential("authorization", handle)],
            None => Vec::new(),
        };
        let (status, _, body) = sdk::send("GET", &url, headers, None)?;
        if let Some(failure) = sdk::failed_status(status, "") {
            return Err(failure);
        }
        let name = String::from_utf8_lossy(&body).trim().to_owned();
        Ok(Account { name, product: "{{name}}".to_owned(), extensions: Vec::new() })
    }

    fn list_projects(_: Option<String>) -> Result<PageOfProjects, Failure> {
        Ok(PageOfProjects { projects: Vec::new(), next: None })
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
