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

fn invite(admin: &Person, note: &str, role: &str) -> String {
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
