//! That a document is published once, whatever breaks and whenever.

use super::fake::{Fake, Fault};
use crate::model::{Document, Outcome, Published, Remote};
use crate::publish;
use crate::service::Confluence;
use crate::settings::Flavour;
use plugin_core::host::Failure;

pub const BOTH: [Flavour; 2] = [Flavour::Cloud, Flavour::DataCenter];

pub fn document() -> Document {
    Document {
        marker: "tenant/incident-42/\"rca\"".into(),
        project: "OPS".into(),
        title: "RCA INC-42: Größe & <Ausfall>".into(),
        markdown: "# Why\n\n- [x] because\n\n```sql\nselect ']]>'\n```\n".into(),
        ..Document::default()
    }
}

pub fn publish(fake: &Fake, document: &Document) -> Result<Published, Failure> {
    Confluence::open(fake.host()).and_then(|confluence| publish::publish(&confluence, document))
}

fn changed(document: &Document, known: &Published) -> Document {
    Document { markdown: "# Why\n\nanother reason\n".into(), known: Some(known.remote.clone()), ..document.clone() }
}

#[test]
fn create_then_unchanged_then_update() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let document = Document { parent: Some("55".into()), ..document() };
        let first = publish(&fake, &document).unwrap();
        assert_eq!((first.outcome, first.remote.version.as_str()), (Outcome::Created, "1"));
        assert_eq!(first.title, document.title);
        assert!(first.url.starts_with(fake.root), "{}", first.url);
        let page = fake.pages.borrow()[0].clone();
        assert_eq!(page.parent.as_deref(), Some("55"));
        assert!(page.now().body.contains("ac:name=\"anchor\"") && page.properties.contains_key("fumehood"));
        assert!(fake.warnings.borrow().is_empty());

        fake.reset();
        let again = Document { known: Some(first.remote.clone()), ..document.clone() };
        let second = publish(&fake, &again).unwrap();
        assert_eq!((second.outcome, &second.remote), (Outcome::Unchanged, &first.remote));
        assert_eq!((fake.requests.borrow().len(), fake.count("GET", "")), (1, 1));

        fake.reset();
        let third = publish(&fake, &changed(&document, &first)).unwrap();
        assert_eq!((third.outcome, third.remote.version.as_str()), (Outcome::Updated, "2"));
        assert_eq!(fake.requests.borrow().len(), 2);
        assert!(fake.pages.borrow()[0].now().body.contains("another reason"));
        assert_eq!(fake.pages.borrow()[0].parent.as_deref(), Some("55"), "where it was put");
        assert_eq!(fake.pages.borrow().len(), 1);

        // The host forgot what it published: the page is found and left alone.
        fake.reset();
        let forgot = Document { known: None, ..changed(&document, &first) };
        assert_eq!(publish(&fake, &forgot).unwrap(), Published { outcome: Outcome::Unchanged, ..third });
    }
}

/// The process dies before or after each of its effects in turn; the next process finishes the work.
#[test]
fn no_crash_point_doubles_a_page() {
    for flavour in BOTH {
        for taken in [false, true] {
            for lose_cache in [false, true] {
                for fault in [Fault::DieBefore, Fault::DieAfter] {
                    for at in 0..40 {
                        let fake = Fake::new(flavour);
                        if taken {
                            fake.page_by_hand("OPS", &document().title, "<p>not ours</p>");
                        }
                        fake.faults.borrow_mut().insert(at, fault.clone());
                        let first = publish(&fake, &document());
                        let calls = fake.calls.get();
                        fake.reset();
                        if lose_cache {
                            fake.kv.borrow_mut().clear();
                        }
                        let known = first.as_ref().ok().map(|published| published.remote.clone());
                        let second = publish(&fake, &Document { known, ..document() }).unwrap();
                        let whole = second.clone();
                        let label = format!("{flavour:?} taken {taken} cache lost {lose_cache} {fault:?} at {at}");
                        assert_eq!(fake.pages.borrow().len(), 1 + usize::from(taken), "{label}");
                        assert_eq!(fake.count("PUT", ""), 0, "{label}: nothing to update");
                        // And a third process, which knows nothing.
                        fake.reset();
                        let third = publish(&fake, &document()).unwrap();
                        assert_eq!(third, Published { outcome: Outcome::Unchanged, ..whole }, "{label}");
                        assert!(fake.pages.borrow().last().unwrap().properties.contains_key("fumehood"), "{label}");
                        if at >= calls {
                            assert!(first.is_ok(), "{label}");
                            break;
                        }
                        assert!(at < 39, "every point was reached");
                    }
                }
            }
        }
    }
}

/// The same for an update; and an update that was carried out is never taken for someone else's change.
#[test]
fn no_crash_point_doubles_or_loses_an_update() {
    for flavour in BOTH {
        for fault in [Fault::DieBefore, Fault::DieAfter, Fault::LostBefore, Fault::LostAfter, Fault::CutBody] {
            for at in 0..4 {
                let fake = Fake::new(flavour);
                let first = publish(&fake, &document()).unwrap();
                fake.reset();
                fake.faults.borrow_mut().insert(at, fault.clone());
                let update = changed(&document(), &first);
                let _ = publish(&fake, &update);
                fake.reset();
                let last = publish(&fake, &update).unwrap();
                let label = format!("{flavour:?} {fault:?} at {at}");
                assert_eq!(last.remote.version, "2", "{label}");
                assert_eq!(fake.pages.borrow().len(), 1, "{label}");
                assert_eq!(fake.pages.borrow()[0].versions.len(), 2, "{label}");
                assert!(fake.pages.borrow()[0].now().body.contains("another reason"), "{label}");
            }
        }
    }
}

#[test]
fn an_unknown_outcome_is_looked_up_before_anything_is_repeated() {
    for flavour in BOTH {
        let create = if flavour == Flavour::Cloud { "/api/v2/pages" } else { "/rest/api/content" };
        let faults = [
            (Fault::LostAfter, true),
            (Fault::CutBody, true),
            (Fault::AnswerAfter(500, "<html>oops</html>".into()), true),
            (Fault::AnswerAfter(200, "<html>proxy</html>".into()), true),
            (Fault::AnswerAfter(200, "{}".into()), true),
            (Fault::LostBefore, false),
            (Fault::Answer(502, vec![], "<html>bad gateway</html>".into()), false),
        ];
        for (fault, committed) in faults {
            let fake = Fake::new(flavour);
            fake.fault_at.borrow_mut().push(("POST", create, fault.clone()));
            let first = publish(&fake, &document());
            assert_eq!(fake.creations(), 1, "{fault:?}: one request creates");
            match first {
                Ok(published) => {
                    assert!(committed, "{fault:?}");
                    assert_eq!(published.outcome, Outcome::Created, "{fault:?}");
                }
                Err(failure) => {
                    assert!(!committed, "{fault:?} {failure}");
                    assert_eq!(failure.code, "outcome-unknown", "{fault:?}");
                }
            }
            fake.reset();
            publish(&fake, &document()).unwrap();
            assert_eq!(fake.pages.borrow().len(), 1, "{fault:?}");
        }
    }
}

#[test]
fn without_cache_and_anchor_the_property_is_enough() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let first = publish(&fake, &document()).unwrap();
        fake.kv.borrow_mut().clear();
        fake.with(&first.remote.id, |page| page.versions[0].body = "<p>no anchor</p>".into());
        fake.reset();
        let failure = publish(&fake, &document()).unwrap_err();
        assert_eq!(failure.code, "conflict", "found, and not trusted blindly");
        let over = Document { overwrite: true, ..document() };
        assert_eq!(publish(&fake, &over).unwrap().outcome, Outcome::Updated);
        assert_eq!(fake.pages.borrow().len(), 1);
        // With the cache, a renamed page is found, too.
        fake.edit(&first.remote.id, |version| version.title = "Renamed".into());
        assert_eq!(publish(&fake, &document()).unwrap_err().code, "conflict");
        assert_eq!(fake.pages.borrow().len(), 1);
    }
}

#[test]
fn a_taken_title_gets_a_suffix_and_keeps_it() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        fake.page_by_hand("OPS", &document().title, "<p>not ours</p>");
        fake.page_by_hand("DEV", "elsewhere", "<p/>");
        let first = publish(&fake, &document()).unwrap();
        assert!(first.title.starts_with(&format!("{} (", document().title)), "{}", first.title);
        let second = publish(&fake, &changed(&document(), &first)).unwrap();
        assert_eq!((second.outcome, &second.title), (Outcome::Updated, &first.title));
        // Also where the other page is hidden from us, and where its title differs in case only.
        for prepare in [
            (|fake: &Fake| {
                let id = fake.page_by_hand("OPS", &document().title, "<p/>");
                fake.with(&id, |page| page.hidden = true);
            }) as fn(&Fake),
            |fake| {
                fake.page_by_hand("OPS", &document().title.to_lowercase(), "<p/>");
            },
        ] {
            let fake = Fake::new(flavour);
            prepare(&fake);
            let first = publish(&fake, &document()).unwrap();
            assert!(first.title.ends_with(')'), "{}", first.title);
            let again = publish(&fake, &document()).unwrap();
            assert_eq!((again.outcome, again.remote.id), (Outcome::Unchanged, first.remote.id));
            assert_eq!(fake.pages.borrow().len(), 2);
        }
    }
}

#[test]
fn someone_elses_change_is_a_conflict_until_a_person_decides() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let first = publish(&fake, &document()).unwrap();
        fake.edit(&first.remote.id, |version| {
            version.body = version.body.replace("because", "because of <em>Bob &amp; co</em>");
        });
        let update = changed(&document(), &first);
        let failure = publish(&fake, &update).unwrap_err();
        assert_eq!(failure.code, "conflict");
        let extension = |name: &str| {
            let found = failure.extensions.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert_eq!(extension("theirs-version"), "2");
        assert!(extension("theirs-url").starts_with("https://"));
        assert!(extension("theirs-excerpt").contains("because of Bob & co"), "{}", extension("theirs-excerpt"));
        assert_eq!(fake.pages.borrow()[0].versions.len(), 2, "nothing was written");
        // The same content again is a conflict, too: theirs is not what was published.
        let same = Document { known: Some(first.remote.clone()), ..document() };
        assert_eq!(publish(&fake, &same).unwrap_err().code, "conflict");
        let won = publish(&fake, &Document { overwrite: true, ..update }).unwrap();
        assert_eq!((won.outcome, won.remote.version.as_str()), (Outcome::Updated, "3"));
    }
}

#[test]
fn a_version_without_a_change_is_no_conflict() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let first = publish(&fake, &document()).unwrap();
        // A move, then an edit that was undone; Confluence has rewritten ids of macros meanwhile.
        fake.edit(&first.remote.id, |version| version.body.push_str("<p>x</p>"));
        fake.edit(&first.remote.id, |version| {
            version.body = version.body.replace("<p>x</p>", "").replace("ac:macro-id=\"", "ac:macro-id=\"9");
        });
        let same = Document { known: Some(first.remote.clone()), ..document() };
        let again = publish(&fake, &same).unwrap();
        assert_eq!((again.outcome, again.remote.version.as_str()), (Outcome::Unchanged, "3"));
        let update = publish(&fake, &changed(&document(), &first)).unwrap();
        assert_eq!((update.outcome, update.remote.version.as_str()), (Outcome::Updated, "4"));
    }
}

#[test]
fn a_stale_409_is_read_again_and_gives_up_in_the_end() {
    for flavour in BOTH {
        let path = if flavour == Flavour::Cloud { "/api/v2/pages/" } else { "/rest/api/content/" };
        let stale = || Fault::Answer(409, vec![], "{\"message\":\"stale\"}".into());
        let fake = Fake::new(flavour);
        let first = publish(&fake, &document()).unwrap();
        fake.reset();
        fake.fault_at.borrow_mut().push(("PUT", path, stale()));
        let updated = publish(&fake, &changed(&document(), &first)).unwrap();
        assert_eq!((updated.outcome, updated.remote.version.as_str()), (Outcome::Updated, "2"));
        fake.reset();
        fake.fault_at.borrow_mut().extend((0..20).map(|_| ("PUT", path, stale())));
        let third = Document { overwrite: true, markdown: "third".into(), ..changed(&document(), &first) };
        let failure = publish(&fake, &third).unwrap_err();
        assert_eq!(failure.code, "conflict");
        assert_eq!(fake.count("PUT", path), publish::MAX_UPDATE_TRIES);
    }
}

#[test]
fn a_page_that_is_gone_needs_a_decision() {
    for flavour in BOTH {
        for (trashed, hidden) in [(true, false), (false, true)] {
            let fake = Fake::new(flavour);
            let first = publish(&fake, &document()).unwrap();
            fake.with(&first.remote.id, |page| (page.trashed, page.hidden) = (trashed, hidden));
            let known = Document { known: Some(first.remote.clone()), ..document() };
            let failure = publish(&fake, &known).unwrap_err();
            assert_eq!(failure.code, "conflict");
            assert!(failure.extensions.contains(&("theirs-gone".into(), "true".into())));
            assert_eq!(fake.pages.borrow().len(), 1);
            let again = publish(&fake, &Document { overwrite: true, ..known }).unwrap();
            assert_eq!(again.outcome, Outcome::Created);
            assert_eq!(again.title.ends_with(')'), hidden, "a hidden page holds its title");
        }
    }
}

#[test]
fn traces_that_cannot_be_left_are_no_failure() {
    for flavour in BOTH {
        let fake = Fake::new(flavour);
        let property = match flavour {
            Flavour::Cloud => "/api/v2/pages/1000/properties",
            Flavour::DataCenter => "/rest/api/content/1000/property",
        };
        fake.fault_at.borrow_mut().push(("POST", property, Fault::Answer(403, vec![], "no".into())));
        assert_eq!(publish(&fake, &document()).unwrap().outcome, Outcome::Created);
        assert_eq!(fake.warnings.borrow().len(), 1);
        fake.reset();
        assert_eq!(publish(&fake, &document()).unwrap().outcome, Outcome::Unchanged);
        assert!(fake.pages.borrow()[0].properties.contains_key("fumehood"), "made up for");
    }
}

#[test]
fn what_cannot_be_published_is_named() {
    let fake = Fake::new(Flavour::Cloud);
    for (document, code) in [
        (Document { title: " \n\u{0}".into(), ..document() }, "invalid"),
        (Document { marker: String::new(), ..document() }, "invalid"),
        (Document { project: String::new(), ..document() }, "invalid"),
        (Document { project: "NOPE".into(), ..document() }, "not-found"),
        (Document { project: "X\" or 1".into(), ..document() }, "not-found"),
        (Document { parent: Some("../1".into()), ..document() }, "invalid"),
        (Document { markdown: "x".repeat(publish::MAX_BODY_BYTES + 1), ..document() }, "too-large"),
        (
            Document {
                known: Some(Remote { id: "1/2".into(), version: "1".into(), ..Remote::default() }),
                ..document()
            },
            "invalid",
        ),
        (
            Document {
                known: Some(Remote { id: "12".into(), version: "x".into(), ..Remote::default() }),
                ..document()
            },
            "invalid",
        ),
    ] {
        assert_eq!(publish(&fake, &document).unwrap_err().code, code);
    }
    assert!(fake.pages.borrow().is_empty());
    // Long, non-ASCII and odd text is fine.
    fake.set("space", "OPS");
    let odd = Document {
        project: " ".into(),
        title: format!("{}\u{1b}[31m\t\"x\"", "Ü".repeat(300)),
        markdown: "größer \u{0}\u{ffff} 😀 <b>&nbsp;</b>\n".repeat(40_000),
        ..document()
    };
    let published = publish(&fake, &odd).unwrap();
    assert_eq!(published.title.chars().count(), 255);
    assert!(odd.markdown.len() > 1_000_000);
}
