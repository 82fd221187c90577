//! A page, from either API.
//!
//! Invariant: pure and tolerant: what is absent is empty, ids may be strings or numbers, unknown fields are ignored.

use serde_json::Value;

/// A page, or a hit of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Digits.
    pub id: String,
    /// `current`, `trashed`, `archived`, `draft`; empty where it was not given.
    pub status: String,
    /// `page` where it was not given.
    pub kind: String,
    /// The title.
    pub title: String,
    /// Counts from 1; 0 where it was not given.
    pub version: u64,
    /// The version's message.
    pub message: String,
    /// Storage format; empty where it was not asked for.
    pub body: String,
    /// The space's key, or its id where no key is known.
    pub space: String,
    /// RFC 3339 in UTC, or empty.
    pub created: String,
    /// RFC 3339 in UTC, or empty.
    pub updated: String,
    /// Who wrote the first version, as Confluence shows it.
    pub author: String,
    /// Where a person reads it.
    pub url: String,
    /// The answer itself.
    pub raw: Value,
}

impl Page {
    /// Read a page. `links` are those of the list that it came in, `root` is the API's base.
    pub fn read(value: &Value, links: Option<&Value>, root: &str) -> Option<Self> {
        let id = text(value.get("id")?)?;
        if !is_id(&id) {
            return None;
        }
        let string = |path: &str| value.pointer(path).and_then(text).unwrap_or_default();
        let first =
            |paths: &[&str]| paths.iter().map(|path| string(path)).find(|text| !text.is_empty()).unwrap_or_default();
        let webui = string("/_links/webui");
        let base = [value.pointer("/_links/base"), links.and_then(|links| links.get("base"))]
            .into_iter()
            .flatten()
            .find_map(Value::as_str)
            .filter(|base| base.starts_with("https://") || base.starts_with("http://"))
            .unwrap_or(root)
            .trim_end_matches('/');
        let url = if webui.starts_with('/') {
            format!("{base}{webui}")
        } else {
            format!("{base}/pages/viewpage.action?pageId={id}")
        };
        let space = match string("/space/key") {
            key if key.is_empty() => space_in(&webui).unwrap_or_else(|| string("/spaceId")),
            key => key,
        };
        Some(Self {
            kind: match string("/type") {
                kind if kind.is_empty() => "page".to_owned(),
                kind => kind,
            },
            status: string("/status"),
            title: string("/title"),
            version: value.pointer("/version/number").and_then(Value::as_u64).unwrap_or(0),
            message: string("/version/message"),
            body: string("/body/storage/value"),
            created: instant(&first(&["/createdAt", "/history/createdDate"])),
            updated: instant(&first(&["/version/createdAt", "/version/when", "/history/lastUpdated/when"])),
            author: first(&["/history/createdBy/displayName", "/version/by/displayName", "/authorId"]),
            space,
            url,
            id,
            raw: value.clone(),
        })
    }

    /// Whether it is there for readers: neither in the trash nor a draft.
    pub fn is_current(&self) -> bool {
        self.status.is_empty() || self.status == "current"
    }
}

/// Whether a text is a content id, and so safe in a path.
pub fn is_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A time as RFC 3339 in UTC; empty where it is none.
pub fn instant(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map(|time| time.to_string()).unwrap_or_default()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The key in `/spaces/OPS/pages/…`.
fn space_in(webui: &str) -> Option<String> {
    let key = webui.strip_prefix("/spaces/")?.split('/').next()?;
    (!key.is_empty()).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_apis() {
        let v2 = json!({"id":"123","status":"current","title":"T","spaceId":"98306","authorId":"u1","createdAt":"2026-01-22T14:28:24.5Z",
            "version":{"number":2,"createdAt":"2026-01-23T01:00:00+02:00","message":"m"},"body":{"storage":{"value":"<p/>"}},
            "_links":{"webui":"/spaces/OPS/pages/123/T","base":"https://x.atlassian.net/wiki"},"new":{"a":1}});
        let page = Page::read(&v2, None, "https://api/wiki").unwrap();
        assert_eq!(
            (page.id.as_str(), page.version, page.space.as_str(), page.url.as_str(), page.message.as_str()),
            ("123", 2, "OPS", "https://x.atlassian.net/wiki/spaces/OPS/pages/123/T", "m")
        );
        assert_eq!((page.created.as_str(), page.updated.as_str()), ("2026-01-22T14:28:24.5Z", "2026-01-22T23:00:00Z"));
        let v1 = json!({"id":7,"type":"page","status":"trashed","title":"T","space":{"key":"OPS"},
            "version":{"number":1,"when":"2026-01-22T14:28:24.000+01:00","by":{"displayName":"Ann"}},
            "_links":{"webui":"/display/OPS/T"}});
        let page = Page::read(&v1, Some(&json!({"base":"https://c.example"})), "https://r").unwrap();
        assert_eq!(
            (page.id.as_str(), page.space.as_str(), page.url.as_str(), page.author.as_str()),
            ("7", "OPS", "https://c.example/display/OPS/T", "Ann")
        );
        assert!(!page.is_current());
        assert_eq!(page.updated, "2026-01-22T13:28:24Z");
    }

    #[test]
    fn what_is_absent_or_odd() {
        let page = Page::read(&json!({"id":"1"}), None, "https://r").unwrap();
        assert_eq!(
            (page.url.as_str(), page.version, page.kind.as_str()),
            ("https://r/pages/viewpage.action?pageId=1", 0, "page")
        );
        let odd = json!({"id":"1","_links":{"webui":"javascript:x","base":"javascript:y"},"version":7,"title":null,"createdAt":"soon"});
        let page = Page::read(&odd, None, "https://r").unwrap();
        assert_eq!((page.url.as_str(), page.created.as_str()), ("https://r/pages/viewpage.action?pageId=1", ""));
        for id in [json!("../1"), json!(""), json!(null), json!("1?x")] {
            assert_eq!(Page::read(&json!({"id":id}), None, "https://r"), None);
        }
    }
}
