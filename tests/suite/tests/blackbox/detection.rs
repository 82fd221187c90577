//! Rules of the organisation and of an incident, on their pages: they are tried before they hold, hold from then on for what
//! arrives and for what leaves, and are on record.

use fumehood_tests::{Client, Data, Person};

const OURS: &str = "[[type]]\nname = \"STAFF_NO\"\npattern = '\\bE-(\\d{6})\\b'\nmatches = [\"E-123456\"]\n";

/// The masked text of a log.
fn masked(client: &Client, incident: &str, text: &str) -> String {
    let log = client.upload(incident, "x.log", text.as_bytes()).expect(201).json();
    client.get(&format!("/api/v1/logs/{}/redacted", log["id"].as_str().unwrap())).expect(200).text()
}

#[test]
fn rules_hold_from_their_page_on() {
    let data = Data::prepared();
    let server = data.start();
    let person = Person::first(&server);
    let client = server.client(&data.token("responder"));
    let incident = client.incident("Rules");
    let line = |n: u32| format!("{n} staff E-48151{n} wrote to support@acme-mail.example about Nightjar\n");
    let before = masked(&client, &incident, &line(1));
    assert!(before.contains("E-481511") && before.contains("[EMAIL-1]") && before.contains("Nightjar"), "{before}");

    // What is wrong is said beside what was typed, and nothing is kept.
    for (toml, said) in [
        ("[[type]]\nname = 'A'\npattern = '('\n", "unclosed group"),
        ("[[type]]\nname = 'A'\npattern = 'x'\nmatches = ['nothing']\n", "nothing"),
        ("[[deni]]\n", "unknown field"),
    ] {
        let refused = person.post("/settings/detection", &[("name", "wrong.toml"), ("toml", toml)]);
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains(said), "{toml}: {}", refused.text());
    }
    assert!(person.get("/settings/detection").expect(200).text().contains("There are no rules"));

    person.submit("/settings/detection", &[("name", "staff.toml"), ("toml", OURS)]);
    person.submit("/settings/detection/add", &[("what", "allow"), ("value", "support@acme-mail.example")]);
    let path = format!("/incidents/{incident}/rules");
    person.submit(&format!("{path}/add"), &[("what", "deny"), ("value", "nightjar"), ("kind", "codename")]);
    let page = person.get("/settings/detection").expect(200).text();
    assert!(page.contains("staff.toml") && page.contains("added.toml") && page.contains("1 type"), "{page}");

    let after = masked(&client, &incident, &line(2));
    assert!(after.contains("[STAFF_NO-1]") && after.contains("[CODENAME-1]"), "{after}");
    assert!(after.contains("support@acme-mail.example"), "a rule lets it through: {after}");
    // Another incident has the organisation's rules and not this one's.
    let other = client.incident("Elsewhere");
    let elsewhere = masked(&client, &other, &line(3));
    assert!(elsewhere.contains("[STAFF_NO-1]") && elsewhere.contains("Nightjar"), "{elsewhere}");

    // They hold after a restart.
    assert!(server.stop().success());
    let server = data.start();
    let person = person.moved_to(&server);
    let client = server.client(&data.token("responder"));
    assert!(masked(&client, &other, &line(4)).contains("[STAFF_NO-2]"));

    // What somebody has changed in the meantime is not overwritten.
    let stale = person.post("/settings/detection", &[("name", "staff.toml"), ("toml", OURS), ("was", "12")]);
    assert_eq!(stale.status, 409);
    person.submit("/settings/detection/staff.toml/remove", &[]);
    assert!(masked(&client, &other, &line(5)).contains("E-481515"));
    let record = person.get("/audit?action=rules.").expect(200).text();
    assert!(record.contains("rules.change") && record.contains("rules.remove"), "{record}");
}

#[test]
fn a_text_is_tried_with_reasons_and_kept_nowhere() {
    let data = Data::prepared();
    let server = data.start();
    let person = Person::first(&server);
    let text = "E-123456 from 203.0.113.77, mail jo@customer-mail.example";
    let page = person.post("/settings/detection/try", &[("text", text)]).expect(200).text();
    assert!(page.contains("[EMAIL-1]") && page.contains("ipv4 address") && page.contains("masked"), "{page}");
    // With rules that are not saved.
    let draft = format!("{OURS}[thresholds]\nIPV4 = 1.0\n[pseudonyms]\nEMAIL = \"domain\"\n");
    let page = person
        .post("/settings/detection/try", &[("text", text), ("name", "draft.toml"), ("toml", &draft)])
        .expect(200)
        .text();
    assert!(page.contains("[STAFF_NO-1]") && page.contains("below the threshold of 1"), "{page}");
    assert!(page.contains("[EMAIL-1 @ domain-1]"), "{page}");
    let too_long = "x".repeat(300 << 10);
    let refused = person.post("/settings/detection/try", &[("text", &too_long)]);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("at most 256 KiB"));
}

#[test]
fn rules_are_for_those_who_may() {
    let data = Data::prepared();
    let server = data.start();
    let admin = Person::first(&server);
    let client = server.client(&data.token("admin"));
    let incident = client.incident("Whose rules");
    let join = |role: &str| {
        let page =
            admin.post("/settings/people/invite", &[("email", &format!("{role}@ops.example")), ("role", role)]).text();
        let link = page.split('"').find(|part| part.contains("/sign-in/")).expect("a link").to_owned();
        Person::join(&server, &link, role, &format!("{role}@ops.example"))
    };
    let rule = [("what", "allow"), ("value", "x@customer-mail.example")];
    let of_incident = format!("/incidents/{incident}/rules/add");
    for (role, house, own) in
        [("viewer", 403, 403), ("responder", 403, 303), ("operator", 403, 403), ("security", 303, 403)]
    {
        let person = join(role);
        assert_eq!(person.post("/settings/detection/add", &rule).status, house, "{role}");
        assert_eq!(person.post(&of_incident, &rule).status, own, "{role}");
    }
}
