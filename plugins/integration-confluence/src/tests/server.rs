//! What the fake Confluence answers: the documented calls and no others, checked strictly.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fake::{Fake, SPACES, Stored, Version};
use crate::settings::Flavour;
use crate::text::without_volatile;
use plugin_core::host::{HeaderValue, Request};

type Raw = (u16, Vec<(String, String)>, String);

fn ok(value: &Value) -> Raw {
    (200, vec![("content-type".into(), "application/json".into())], value.to_string())
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

    pub fn answer(&self, request: &Request, path: &str) -> Raw {
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
        if request.method != "GET" && !has("x-atlassian-token", HeaderValue::Text("nocheck".into())) {
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
        match pages.iter_mut().find(|page| page.id == id && !page.hidden && !page.trashed) {
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
        let found = pages
            .iter()
            .find(|page| page.id == id && !page.hidden && (!page.trashed || self.flavour == Flavour::Cloud));
        let Some(page) = found else { return missing };
        let number = query.get("version").map_or(page.versions.len(), |n| n.parse().unwrap());
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
                query.get("space-id").map_or_else(|| query["spaceKey"] == space.1, |id| id == space.0)
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
            // What Confluence rewrites in what it keeps.
            body: without_volatile(body).replace(
                "<ac:structured-macro ",
                &format!("<ac:structured-macro ac:schema-version=\"1\" ac:macro-id=\"{}\" ", self.calls.get()),
            ),
            message: json["version"]["message"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn create(&self, json: &Value) -> Raw {
        let wanted = match self.flavour {
            Flavour::Cloud => SPACES.iter().find(|s| Some(s.0) == json["spaceId"].as_str()),
            Flavour::DataCenter => {
                SPACES.iter().find(|s| json["type"] == "page" && Some(s.1) == json["space"]["key"].as_str())
            }
        };
        let Some((_, space, _)) = wanted else {
            return self.error(404, "No space");
        };
        let version = match self.version(json) {
            Ok(version) => version,
            Err(error) => return error,
        };
        if self.taken(space, &version.title, "") {
            return self.error(
                400,
                "A page with this title already exists: A page already exists with the same TITLE in this space",
            );
        }
        let id = self.page_by_hand(space, "", "");
        let parent = json["parentId"].as_str().or_else(|| json["ancestors"][0]["id"].as_str());
        self.with(&id, |page| {
            page.parent = parent.map(str::to_owned);
            page.versions = vec![version];
        });
        let pages = self.pages.borrow();
        ok(&self.show(pages.last().unwrap(), 1))
    }

    fn update(&self, id: &str, json: &Value) -> Raw {
        if json["id"].as_str() != Some(id) || (self.flavour == Flavour::Cloud && json["status"] != "current") {
            return self.error(400, "id or status missing");
        }
        let version = match self.version(json) {
            Ok(version) => version,
            Err(error) => return error,
        };
        let missing = self.error(404, "No content found");
        let found = self.pages.borrow().iter().find(|page| page.id == id && !page.trashed && !page.hidden).cloned();
        let Some(page) = found else { return missing };
        if json["version"]["number"].as_u64() != Some(page.versions.len() as u64 + 1) {
            return self.error(
                409,
                &format!("Version must be incremented on update. Current version is: {}", page.versions.len()),
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
            (Some(next), Flavour::DataCenter) => ok(&json!({"results":some,"_links":{"next":next,"base":self.root}})),
            _ => ok(&json!({"results":some,"_links":{"base":self.root}})),
        };
        if let (Some(next), Flavour::Cloud) = (next, self.flavour) {
            headers
                .push(("link".into(), format!("<{next}>; rel=\"next\", <https://x.atlassian.net/wiki>; rel=\"base\"")));
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
            let hex: String = [bytes.next().unwrap(), bytes.next().unwrap()].map(char::from).iter().collect();
            out.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

/// File name, comment and bytes of an upload.
fn form(request: &Request) -> (String, String, Vec<u8>) {
    let media = request.headers.iter().find(|(name, _)| *name == "content-type").unwrap();
    let HeaderValue::Text(media) = &media.1 else { panic!("a type") };
    let boundary = media.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = request.body.clone().unwrap();
    let find = |needle: &[u8], from: usize| {
        body[from..].windows(needle.len()).position(|w| w == needle).map(|at| at + from).unwrap()
    };
    let start = find(b"\r\n\r\n", 0) + 4;
    let end = find(format!("\r\n--{boundary}").as_bytes(), start);
    let head = String::from_utf8(body[..start].to_vec()).unwrap();
    let name = head.split("filename=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let tail = String::from_utf8(body[end..].to_vec()).unwrap();
    let comment = tail.split("name=\"comment\"\r\n\r\n").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    (name, comment, body[start..end].to_vec())
}
