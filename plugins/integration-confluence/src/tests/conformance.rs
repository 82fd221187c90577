//! The list that every adapter is held to, and the functions beside publishing.

use super::exactly_once::{BOTH, document, publish};
use super::fake::{Fake, Fault};
use crate::attach::attach;
use crate::items;
use crate::model::{Attachment, Draft, Query};
use crate::service::Confluence;
use crate::settings::Flavour;
use plugin_core::host::Failure;

fn on<T>(fake: &Fake, run: impl FnOnce(&Confluence<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    Confluence::open(fake.host()).and_then(|confluence| run(&confluence))
}

#[test]
fn answers_that_are_failures() {
    let html = "<!DOCTYPE html><title>Log in</title>".to_owned();
    let location = |to: &str| vec![("location".to_owned(), to.to_owned())];
    for flavour in BOTH {
        for (fault, code, wait) in [
            (Fault::Answer(401, vec![], String::new()), "auth", None),
            (
                Fault::Answer(401, vec![], "{\"code\":401,\"message\":\"Unauthorized; scope does not match\"}".into()),
                "forbidden",
                None,
            ),
            (Fault::Answer(403, vec![], "{}".into()), "forbidden", None),
            (Fault::Answer(404, vec![], "{}".into()), "not-found", None),
            (Fault::Answer(400, vec![], "{\"message\":\"bad field\"}".into()), "invalid", None),
            (Fault::Answer(200, vec![], html.clone()), "auth", None),
            (Fault::Answer(203, vec![], html.clone()), "auth", None),
            (Fault::Answer(302, location("https://id.atlassian.com/login?continue=x"), String::new()), "auth", None),
            (Fault::Answer(302, location("https://evil.example/"), String::new()), "invalid", None),
            (
                Fault::Answer(429, vec![("retry-after".into(), "12".into())], String::new()),
                "rate-limited",
                Some(12_000),
            ),
            (Fault::Answer(429, vec![], String::new()), "rate-limited", None),
            (Fault::Answer(503, vec![("retry-after".into(), "1".into())], String::new()), "unavailable", Some(1000)),
            (Fault::Answer(200, vec![], "not json".into()), "protocol", None),
            (Fault::LostBefore, "unavailable", None),
            (Fault::CutBody, "unavailable", None),
        ] {
            let fake = Fake::new(flavour);
            let id = fake.page_by_hand("OPS", "T", "<p/>");
            fake.faults.borrow_mut().insert(0, fault.clone());
            let failure = on(&fake, |c| items::get(c, &id)).unwrap_err();
            assert_eq!((failure.code.as_ref(), failure.retry_after_ms), (code, wait), "{fault:?}");
            assert_eq!(fake.requests.borrow().len(), 1, "neither retried nor redirected");
            assert!(!failure.message.contains("continue="));
            // The same in the way of a document; nothing was created.
            if code != "unavailable" && code != "not-found" {
                fake.reset();
                let path = if flavour == Flavour::Cloud { "/api/v2/pages" } else { "/rest/api/content" };
                fake.fault_at.borrow_mut().push(("POST", path, fault.clone()));
                let failure = publish(&fake, &document()).unwrap_err();
                if failure.code != "outcome-unknown" {
                    assert_eq!(failure.code, code, "{fault:?}");
                }
                assert!(
                    matches!(failure.code.as_ref(), c if c == code || ["auth", "protocol"].contains(&code)),
                    "{fault:?} {failure}"
                );
                assert_eq!(fake.pages.borrow().len(), 1, "{fault:?}");
            }
        }
    }
}

#[test]
fn lists_are_read_to_an_empty_last_page() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let mut keys = Vec::new();
        let mut cursor = None;
        let mut pages = 0;
        loop {
            let listed = on(&fake, |c| items::list_projects(c, cursor.as_deref())).unwrap();
            pages += 1;
            keys.extend(listed.items.into_iter().map(|space| space.key));
            cursor = listed.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((pages, keys), (3, vec!["OPS".to_owned(), "DEV".into(), "X \"Y".into()]));
        let foreign = on(&fake, |c| items::list_projects(c, Some("https://evil.example/api/v2/spaces?x=1")));
        assert_eq!(foreign.unwrap_err().code, "invalid");
        assert!(fake.requests.borrow().iter().all(|request| request.url.starts_with(fake.root)));
    }
}

#[test]
fn the_connection_is_tested() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let account = on(&fake, items::test_connection).unwrap();
        assert_eq!(account.name, "Ann Ops");
        assert_eq!(account.product.ends_with("Cloud"), flavour == Flavour::Cloud);
        let user = |fault: Fault| {
            fake.reset();
            fake.fault_at.borrow_mut().push(("GET", "/rest/api/user", fault));
            on(&fake, items::test_connection)
        };
        let anonymous =
            user(Fault::Answer(200, vec![], "{\"type\":\"anonymous\",\"displayName\":\"Anonymous\"}".into()));
        assert_eq!(anonymous.unwrap_err().code, "auth");
        let scoped = user(Fault::Answer(403, vec![], "{}".into())).unwrap();
        assert!(scoped.name.starts_with("unknown"));
        for (setting, missing) in [("space", "NOPE"), ("parent", "999999")] {
            let fake = Fake::new(flavour);
            fake.set(setting, missing);
            let failure = on(&fake, items::test_connection).unwrap_err();
            assert!(failure.code == "not-found" && failure.message.contains(missing), "{failure:?}");
        }
    }
}

#[test]
fn the_flavour_is_probed_once() {
    for (flavour, base, first) in [
        (Flavour::Cloud, "https://docs.example", "https://docs.example/api/v2/spaces?limit=1"),
        (Flavour::DataCenter, "https://c.example/confluence", "https://c.example/confluence/api/v2/spaces?limit=1"),
    ] {
        let mut fake = Fake::new(flavour);
        if flavour == Flavour::Cloud {
            fake.root = "https://docs.example/wiki";
        }
        fake.set("base-url", base);
        fake.set("flavour", "auto");
        let confluence = Confluence::open(fake.host()).unwrap();
        assert_eq!((confluence.flavour, confluence.client.root.as_str()), (flavour, fake.root));
        assert_eq!(fake.requests.borrow()[0].url, first);
        fake.reset();
        let again = Confluence::open(fake.host()).unwrap();
        assert_eq!((again.flavour, again.client.root.as_str()), (flavour, fake.root));
        assert!(fake.requests.borrow().is_empty());
        // What is remembered is for this base only, and never leads elsewhere.
        fake.kv.borrow_mut().insert(
            "flavour".into(),
            format!("{{\"base\":\"{base}\",\"root\":\"https://evil.example\",\"flavour\":\"cloud\"}}").into_bytes(),
        );
        Confluence::open(fake.host()).unwrap();
        assert!(fake.requests.borrow().iter().all(|request| request.url.starts_with(base)));
    }
    let fake = Fake::new(Flavour::Cloud);
    fake.set("flavour", "auto");
    fake.set("base-url", "https://nothing.example");
    let failure = Confluence::open(fake.host()).err().unwrap();
    assert_eq!(failure.code, "invalid");
    fake.set("base-url", "https://nothing.example/wiki");
    fake.reset();
    fake.faults.borrow_mut().insert(0, Fault::Answer(401, vec![], String::new()));
    assert_eq!(Confluence::open(fake.host()).err().unwrap().code, "auth");
}

#[test]
fn searching_escapes_and_syncing_filters() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let old = fake.page_by_hand("OPS", "old", "<p/>");
        let new = fake.page_by_hand("OPS", "new", "<p/>");
        fake.edit(&new, |version| version.body = "<p>2</p>".into());
        let query = Query {
            text: "x\" or space = \"SECRET".into(),
            project: Some("OPS\" or \"".into()),
            limit: 1000,
            ..Query::default()
        };
        let found = on(&fake, |c| items::search(c, &query)).unwrap();
        assert_eq!(found.items.len(), 2);
        assert_eq!((found.items[1].title.as_str(), found.items[1].project.as_str()), ("new", "OPS"));
        let url = fake.requests.borrow()[0].url.clone();
        assert!(url.contains("&limit=100&"), "{url}");
        assert!(url.contains("space%20%3D%20%22OPS%5C%22%20or%20%5C%22%22%20and%20"), "{url}");
        fake.reset();
        // Version 1 is of January 1st, version 2 of the 2nd.
        let changed = on(&fake, |c| items::sync_since(c, "2026-01-02T00:00:00Z", None)).unwrap();
        assert_eq!(changed.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), [new.as_str()]);
        assert_ne!(old, new);
        assert!(
            fake.requests.borrow()[0].url.contains("%222025-12-31%2022%3A00%22"),
            "{}",
            fake.requests.borrow()[0].url
        );
        assert_eq!(on(&fake, |c| items::sync_since(c, "yesterday", None)).unwrap_err().code, "invalid");
    }
}

fn draft() -> Draft {
    Draft {
        marker: "d-1".into(),
        project: Some("OPS".into()),
        title: Some("Draft".into()),
        body: Some("text *a*".into()),
        fields: vec![("parent".into(), "\"77\"".into())],
        ..Draft::default()
    }
}

#[test]
fn items_are_created_once_and_updated_by_version() {
    for flavour in BOTH {
        let create = if flavour == Flavour::Cloud { "/api/v2/pages" } else { "/rest/api/content" };
        let fake = Fake::new(flavour);
        fake.fault_at.borrow_mut().push(("POST", create, Fault::LostAfter));
        let first = on(&fake, |c| items::create(c, &draft())).unwrap();
        assert_eq!(on(&fake, |c| items::create(c, &draft())).unwrap(), first);
        assert_eq!(fake.pages.borrow().len(), 1);
        assert_eq!((first.version.as_str(), first.project.as_str(), first.status.as_str()), ("1", "OPS", "current"));

        let rename = Draft { marker: "d-1".into(), title: Some("Renamed".into()), ..Draft::default() };
        for fault in [None, Some(Fault::LostAfter), Some(Fault::CutBody)] {
            let fake_at = fault.clone();
            let before = on(&fake, |c| items::get(c, &first.id)).unwrap();
            let title = format!("Renamed {}", before.version);
            let rename = Draft { title: Some(title.clone()), ..rename.clone() };
            fake.reset();
            fake.fault_at.borrow_mut().extend(fake_at.map(|fault| ("PUT", create, fault)));
            let after = on(&fake, |c| items::update(c, &first.id, &before.version, &rename)).unwrap();
            assert_eq!(after.title, title);
            // The host asks again because it lost the answer: nothing more happens.
            let again = on(&fake, |c| items::update(c, &first.id, &before.version, &rename)).unwrap();
            assert_eq!(again, after);
        }
        let now = fake.pages.borrow()[0].now().clone();
        assert!(now.body.contains("text <em>a</em>"), "the body is left as it is");
        let stale =
            on(&fake, |c| items::update(c, &first.id, "1", &Draft { body: Some("mine".into()), ..rename.clone() }))
                .unwrap_err();
        assert_eq!(stale.code, "conflict");
        let theirs: serde_json::Value = serde_json::from_str(&stale.extensions[0].1).unwrap();
        assert_eq!((stale.extensions[0].0.as_str(), theirs["version"].as_str()), ("theirs", Some("4")));
    }
}

#[test]
fn what_confluence_has_no_notion_of() {
    let fake = Fake::new(Flavour::Cloud);
    for (draft, code) in [
        (Draft { kind: Some("bug".into()), ..draft() }, "unsupported"),
        (Draft { status: Some("closed".into()), ..draft() }, "unsupported"),
        (Draft { fields: vec![("priority".into(), "1".into())], ..draft() }, "invalid"),
        (Draft { fields: vec![("parent".into(), "\"../1\"".into())], ..draft() }, "invalid"),
        (Draft { title: None, ..draft() }, "invalid"),
    ] {
        assert_eq!(on(&fake, |c| items::create(c, &draft)).unwrap_err().code, code);
    }
    assert!(fake.requests.borrow().is_empty());
    for id in ["", "../1", "1?x=1", "1 2"] {
        assert_eq!(on(&fake, |c| items::get(c, id)).unwrap_err().code, "invalid");
    }
    assert_eq!(on(&fake, |c| items::get(c, "404")).unwrap_err().code, "not-found");
}

#[test]
fn files_are_attached_once_per_content() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let id = fake.page_by_hand("OPS", "T", "<p/>");
        let file = |body: &[u8]| Attachment {
            name: "größe \"x\".log".into(),
            media_type: "text/plain".into(),
            body: body.to_vec(),
        };
        let path = "/rest/api/content/";
        let method = if flavour == Flavour::Cloud { "PUT" } else { "POST" };
        fake.fault_at.borrow_mut().push((method, path, Fault::LostAfter));
        let first = on(&fake, |c| attach(c, &id, &file(b"one\r\n--\0"))).unwrap();
        let again = on(&fake, |c| attach(c, &id, &file(b"one\r\n--\0"))).unwrap();
        assert_eq!(first, again);
        assert_eq!(fake.count(method, path), 1);
        let other = on(&fake, |c| attach(c, &id, &file(b"two"))).unwrap();
        assert_eq!(other, first, "a new version of the same file");
        let files = fake.pages.borrow()[0].files.clone();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].0.as_str(), files[0].2.as_slice()), ("größe x.log", b"two".as_slice()));
        for (attachment, code) in [
            (Attachment { name: "..".into(), ..file(b"") }, "invalid"),
            (file(&vec![0; crate::attach::MAX_FILE_BYTES + 1]), "too-large"),
        ] {
            assert_eq!(on(&fake, |c| attach(c, &id, &attachment)).unwrap_err().code, code);
        }
        assert_eq!(on(&fake, |c| attach(c, "404", &file(b"x"))).unwrap_err().code, "not-found");
    }
}
