//! Accounts, and the ways in that people make for others.

use fumehood_tests::person::PASSWORD;
use fumehood_tests::{Data, Person, Server};

fn bench() -> (Data, Server, Person) {
    let data = Data::prepared();
    let server = data.start();
    let admin = Person::first(&server);
    (data, server, admin)
}

/// What stands between two marks in a page.
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let found = page.split(before).nth(1).and_then(|rest| rest.split(after).next());
    found.unwrap_or_else(|| panic!("there is no {before} in {page}"))
}

pub(super) fn invite(admin: &Person, note: &str, role: &str) -> String {
    let page = admin.submit("/settings/people/invite", &[("note", note), ("role", role)]).text();
    between(&page, "data-copy=\"", "\"").to_owned()
}

/// The address below which a person is changed.
fn account(admin: &Person, name: &str) -> String {
    let page = admin.get("/settings/people").expect(200).text();
    let row = page.split("<tr>").find(|row| row.contains(&format!("<strong>{name}</strong>"))).unwrap();
    format!("/settings/people/{}", between(row, "/settings/people/", "/"))
}

#[test]
fn an_invitation_is_listed_until_it_is_used_or_withdrawn() {
    let (_data, server, admin) = bench();
    let link = invite(&admin, "Priya, on call", "viewer");
    let page = admin.get("/settings/people").expect(200).text();
    assert!(page.contains("Priya, on call") && !page.contains(&link), "listed, and not the link itself");
    let id = between(&page, "/settings/people/links/", "/");
    admin.submit(&format!("/settings/people/links/{id}/withdraw"), &[]);
    let path = link.strip_prefix(server.url()).unwrap();
    assert!(!Person::stranger(&server).get(path).text().contains("name=\"password\""), "it opens nothing");
    let used = invite(&admin, "ben@ops.example", "viewer");
    let ben = Person::join(&server, &used, "Ben", "other@ops.example");
    assert_eq!(ben.get("/incidents").status, 200);
    let page = admin.get("/settings/people").expect(200).text();
    assert!(page.contains("ben@ops.example") && !page.contains("Links that were not used yet"), "{page}");
}

#[test]
fn who_is_locked_out_leaves_no_way_in() {
    let (_data, server, admin) = bench();
    let second = Person::join(&server, &invite(&admin, "", "admin"), "Eve", "eve@ops.example");
    let page = second.submit("/settings/tokens", &[("name", "later"), ("role", "admin"), ("days", "")]).text();
    let token = between(&page, "data-copy=\"", "\"").to_owned();
    let link = invite(&second, "", "admin");
    assert_eq!(server.client(&token).get("/api/v1/incidents").status, 200);
    let eve = account(&admin, "Eve");
    admin.submit(&format!("{eve}/off"), &[]);
    server.client(&token).get("/api/v1/incidents").problem(401);
    let path = link.strip_prefix(server.url()).unwrap();
    assert!(
        !Person::stranger(&server).get(path).text().contains("name=\"password\""),
        "the link still makes an account"
    );
    assert_ne!(second.get("/incidents").status, 200);
    // Another role does not let her in again; only a decision to do so does.
    admin.submit(&format!("{eve}/role"), &[("role", "viewer")]);
    let sign_in = |status: u16| {
        let answer =
            Person::stranger(&server).post("/sign-in", &[("login", "eve@ops.example"), ("password", PASSWORD)]);
        assert_eq!(answer.status, status, "{}", answer.text());
    };
    sign_in(422);
    admin.submit(&format!("{eve}/on"), &[]);
    sign_in(303);
}

#[test]
fn the_last_administrator_remains_one() {
    let (_data, _server, admin) = bench();
    let page = admin.get("/settings/people").expect(200).text();
    assert!(!page.contains("/off\""), "nobody switches themselves off by a slip");
    let token = admin.post("/settings/tokens", &[("name", "t"), ("role", "viewer"), ("days", "0")]);
    assert!(token.status == 422 && token.text().contains("in force for"), "{}", token.text());
}

#[test]
fn many_guesses_at_once_count_as_many() {
    let (_data, server, _admin) = bench();
    let refused = std::thread::scope(|scope| {
        let guess = |number: usize| {
            let server = &server;
            scope.spawn(move || {
                let password = format!("a wrong password {number}");
                let fields = [("login", "admin@ops.example"), ("password", &password)];
                Person::stranger(server).post("/sign-in", &fields).status
            })
        };
        let all: Vec<_> = (0..30).map(guess).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 429).count()
    });
    assert!(refused >= 25, "only {refused} of 30 guesses were refused");
    let peak = fumehood_tests::machine::peak_memory(server.pid()).unwrap_or(0);
    assert!(peak < 600 << 20, "{peak} bytes for thirty sign-ins");
}

fn sign_in(server: &Server, email: &str, password: &str) -> u16 {
    let fields = [("login", email), ("password", password), ("next", "/incidents")];
    Person::stranger(server).post("/sign-in", &fields).status
}

#[test]
fn a_lost_password_is_renewed_by_a_link_that_works_once() {
    let (data, server, admin) = bench();
    let ben = Person::join(&server, &invite(&admin, "ben@ops.example", "responder"), "Ben", "ben@ops.example");
    let page = admin.submit(&format!("{}/password", account(&admin, "Ben")), &[]).text();
    let older = between(&page, "data-copy=\"", "\"").to_owned();
    // From the command line, where no administrator is left who could sign in. The older link opens nothing then.
    let output = data.run(&["people", "password", "Ben@ops.example"]);
    assert!(output.status.success(), "{}", fumehood_tests::server::text(&output.stderr));
    let link = fumehood_tests::server::text(&output.stdout);
    let path = link.trim().strip_prefix(server.url()).unwrap_or_else(|| panic!("{link}")).to_owned();
    let stranger = Person::stranger(&server);
    assert_eq!(stranger.get(older.strip_prefix(server.url()).unwrap()).status, 410);
    let page = stranger.get(&path).expect(200).text();
    assert!(page.contains("ben@ops.example") && !page.contains("name=\"name\""), "{page}");
    let new = "an entirely new password";
    assert_eq!(stranger.post(&path, &[("password", new), ("again", "another one that differs")]).status, 422);
    assert_eq!(stranger.post(&path, &[("password", "short"), ("again", "short")]).status, 422);
    assert_eq!(stranger.post(&path, &[("password", new), ("again", new)]).status, 303);
    assert_eq!(stranger.post(&path, &[("password", new), ("again", new)]).status, 410);
    assert_ne!(ben.get("/incidents").status, 200, "sessions from before are over");
    assert_eq!((sign_in(&server, "ben@ops.example", PASSWORD), sign_in(&server, "ben@ops.example", new)), (422, 303));
    let unknown = data.run(&["people", "password", "nobody@ops.example"]);
    assert!(
        !unknown.status.success() && fumehood_tests::server::text(&unknown.stderr).contains("Nobody has an account")
    );
    // Nobody gets in by a link who is switched off.
    let page = admin.submit(&format!("{}/password", account(&admin, "Ben")), &[]).text();
    let link = between(&page, "data-copy=\"", "\"").to_owned();
    admin.submit(&format!("{}/off", account(&admin, "Ben")), &[]);
    assert_eq!(stranger.get(link.strip_prefix(server.url()).unwrap()).status, 410);
    assert_eq!(admin.post(&format!("{}/password", account(&admin, "Ben")), &[]).status, 409);
}

#[test]
fn a_wrong_current_password_is_refused_counted_and_on_record() {
    let (_data, server, admin) = bench();
    let other = Person::stranger(&server).post("/sign-in", &[("login", "admin@ops.example"), ("password", PASSWORD)]);
    assert_eq!(other.status, 303);
    let new = "an entirely new password";
    let change = |current: &str, new: &str, again: &str| {
        admin.post("/account", &[("current", current), ("password", new), ("again", again)])
    };
    for (current, new, again, says) in [
        ("not my password", new, new, "not your password"),
        (PASSWORD, "short", "short", "at least 12"),
        (PASSWORD, new, "something else here", "differ"),
    ] {
        let answer = change(current, new, again);
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
    }
    for _ in 0..5 {
        change("not my password", new, new);
    }
    assert_eq!(change(PASSWORD, new, new).status, 429, "guesses are bounded");
    assert_eq!(sign_in(&server, "admin@ops.example", PASSWORD), 303, "signing in is counted apart");
    let page = admin.get("/audit?q=password").expect(200).text();
    assert!(page.contains("password.refused") && page.contains("password.throttle"), "they are on record");
}

#[test]
fn a_person_changes_the_own_password() {
    let (_data, server, admin) = bench();
    let new = "an entirely new password";
    let change = |current: &str, new: &str, again: &str| {
        admin.post("/account", &[("current", current), ("password", new), ("again", again)])
    };
    assert!(change(PASSWORD, new, new).expect(200).text().contains("is changed"));
    assert_eq!(admin.get("/incidents").status, 200, "this session goes on");
    assert_eq!(
        (sign_in(&server, "admin@ops.example", PASSWORD), sign_in(&server, "admin@ops.example", new)),
        (422, 303)
    );
}

#[test]
fn an_invitation_for_an_address_is_made_once() {
    let (_data, server, admin) = bench();
    let link = invite(&admin, "ana@ops.example", "viewer");
    let again = admin.post("/settings/people/invite", &[("note", "Ana@ops.example"), ("role", "admin")]);
    assert_eq!(again.status, 422);
    assert!(again.text().contains("already"));
    Person::join(&server, &link, "Ana", "ana@ops.example");
    let account = admin.post("/settings/people/invite", &[("note", "ana@ops.example"), ("role", "admin")]);
    assert!(account.status == 422 && account.text().contains("has an account"));
}

#[test]
fn refused_sign_ins_are_on_record_without_what_was_typed() {
    let (data, server, admin) = bench();
    for _ in 0..7 {
        sign_in(&server, "admin@ops.example", "a wrong password");
    }
    sign_in(&server, "hunter2-typed-into-the-wrong-field@ops.example", "x");
    let entries = server.client(&data.token("admin")).get("/api/v1/audit?limit=200").expect(200).text();
    assert!(!entries.contains("hunter2"), "{entries}");
    assert_eq!(entries.matches("session.refused").count(), 6, "{entries}");
    assert_eq!(entries.matches("session.throttle").count(), 1, "{entries}");
    assert!(entries.contains("127.0.0.1"), "{entries}");
    let page = admin.get("/audit?q=session.refused").expect(200).text();
    assert!(page.contains("Test Admin"), "the account is named");
}

#[test]
fn a_page_says_who_may_what_it_refuses() {
    let (_data, server, admin) = bench();
    let viewer = Person::join(&server, &invite(&admin, "", "viewer"), "Eve", "eve@ops.example");
    let refused = viewer.get("/settings/people").expect(403).text();
    assert!(refused.contains("needs the role admin") && !refused.contains("ManagePeople"), "{refused}");
    let wrong = admin.get("/settings/detection/try");
    assert!(wrong.status == 405 && wrong.text().contains("Nothing was changed"), "{}", wrong.text());
}
