//! Signing in at MCP servers: with a certified authorization server there and back, refreshed, by everybody and by each; and
//! with issuers that are broken or hostile, to whom nothing is given.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fumehood_tests::fakes::node;
use fumehood_tests::machine::{root, skip, wait_for};
use fumehood_tests::{Answer, Person};
use serde_json::{Value, json};

use super::caller::Caller;
use super::{Bench, SETTLE, bench, unescaped};

/// A fixture of `tests/oauth`; it ends with this.
struct Issuer {
    child: Child,
    /// Its first line.
    said: Value,
    journal: PathBuf,
}

impl Issuer {
    fn start(bench: &Bench, program: &str, arguments: &[&str]) -> Self {
        let journal = bench.data.beside(&format!("{program}-{}.jsonl", uuid(bench)));
        let mut command = Command::new(node().unwrap());
        command.arg(root().join("tests/oauth").join(program)).args(arguments).arg("--journal").arg(&journal);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{program} {arguments:?} said {line:?}"));
        Self { child, said, journal }
    }

    fn at(&self, what: &str) -> &str {
        self.said[what].as_str().unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn asked(&self, path: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["path"] == path).collect()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn uuid(bench: &Bench) -> usize {
    std::fs::read_dir(bench.data.beside("")).map_or(0, Iterator::count)
}

/// A server with the fixtures' packages there; nothing otherwise.
fn ready(test: &str) -> Option<Bench> {
    if !root().join("tests/oauth/node_modules/oidc-provider").exists() {
        skip(test, "the authorization server is not installed: npm ci in tests/oauth");
        return None;
    }
    bench(test)
}

fn add(bench: &Bench, name: &str, url: &str, auth: &str) -> String {
    bench.add_server(&json!({"name": name, "transport": "http", "url": url, "auth": auth}))
}

/// The button of the page, and the link of the page that follows.
fn begin(person: &Person, id: &str) -> Answer {
    person.post(&format!("/servers/{id}/sign-in"), &[])
}

fn link(page: &str) -> String {
    let link = page.split("class=\"button primary\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    unescaped(link.unwrap_or_else(|| panic!("there is no link to go on with: {page}"))).replace("&amp;", "&")
}

/// A browser at the issuer: follows redirects, with cookies, until one leads back to Fumehood.
fn there(address: &str, home: &str) -> String {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
    let (mut at, mut cookies) = (address.to_owned(), Vec::<String>::new());
    for _ in 0..12 {
        let answer = agent.get(&at).header("cookie", cookies.join("; ")).call().unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            cookies.push(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        let next =
            answer.headers().get("location").unwrap_or_else(|| panic!("{at} leads nowhere: {}", answer.status()));
        let next = next.to_str().unwrap();
        // Either whole, or from the root.
        at = if next.starts_with('/') { format!("{}{next}", origin(&at)) } else { next.to_owned() };
        if let Some(back) = at.strip_prefix(home) {
            return back.to_owned();
        }
    }
    panic!("{address} does not lead back");
}

fn origin(address: &str) -> &str {
    let host = address.find("://").unwrap() + 3;
    &address[..address[host..].find('/').map_or(address.len(), |end| host + end)]
}

/// From the button to the server's page.
fn sign_in(bench: &Bench, person: &Person, id: &str) -> Answer {
    let page = begin(person, id).expect(200).text();
    person.get(&there(&link(&page), bench.server.url()))
}

fn is_connected(bench: &Bench, id: &str) {
    let server = wait_for("the connection", SETTLE, || {
        let server = bench.server(id);
        (server["state"] != "pending").then_some(server)
    });
    assert_eq!(server["state"], "connected", "{server}");
}

#[test]
fn one_sign_in_is_for_everybody_and_outlives_its_tokens_and_a_restart() {
    let Some(bench) = ready("sign in for everybody") else { return };
    // Shorter than what is left to a token that is used: every request needs a new one.
    let issuer = Issuer::start(&bench, "server.mjs", &["--auto", "--access-token-seconds", "30"]);
    let id = add(&bench, "Notes", issuer.at("mcp"), "oauth");
    let before = bench.discovered(&id);
    assert!(before["reason"].as_str().unwrap().contains("Choose “Sign in” on its page"), "{before}");

    let done = sign_in(&bench, &bench.person, &id);
    assert_eq!((done.status, done.header("location")), (303, format!("/servers/{id}").as_str()), "{}", done.text());
    is_connected(&bench, &id);
    bench.decide(&id, "allow", |_| true);
    let token = bench.data.token("responder");
    let who = |bench: &Bench| {
        Caller::new(&bench.server, "/mcp/notes", &token, false).call("whoami", &json!({}))["result"]["content"][0]["text"].clone()
    };
    assert!(who(&bench).as_str().unwrap().contains("alice"));

    // What was sent: PKCE whose verifier fits, the resource in every request, and each refresh token once.
    let authorize = &issuer.asked("/authorize")[0]["params"];
    let tokens = issuer.asked("/token");
    assert_eq!(authorize["code_challenge_method"], "S256");
    assert_eq!(tokens[0]["params"]["code_verifier"]["sha256"], authorize["code_challenge"]);
    for asked in std::iter::once(authorize).chain(tokens.iter().map(|line| &line["params"])) {
        assert_eq!(asked["resource"], issuer.said["mcp"], "{asked}");
    }
    let used: Vec<&Value> = tokens.iter().map(|line| &line["params"]["refresh_token"]["sha256"]).collect();
    let refreshed: Vec<&Value> = used.into_iter().filter(|hash| hash.is_string()).collect();
    assert!(refreshed.len() >= 2, "{tokens:?}");
    for (at, one) in refreshed.iter().enumerate() {
        assert!(!refreshed[at + 1..].contains(one), "a refresh token was used twice: {tokens:?}");
    }
    assert!(tokens.iter().all(|line| line["status"] == 200), "{tokens:?}");

    // It is on disk, and not in the clear.
    let bench = bench.restarted();
    is_connected(&bench, &id);
    assert!(who(&bench).as_str().unwrap().contains("alice"));

    bench.person.submit(&format!("/servers/{id}/sign-out"), &[]);
    let after = wait_for("the end of the sign-in", SETTLE, || {
        let server = bench.server(&id);
        (server["state"] == "sign-in").then_some(server)
    });
    assert!(after["reason"].as_str().unwrap().contains("Sign in"), "{after}");
}

/// Where the organisation's ceiling lets no transport go, no sign-in goes either.
#[test]
fn a_sign_in_goes_nowhere_that_the_ceiling_forbids() {
    let Some(bench) = ready("sign in under a ceiling") else { return };
    let issuer = Issuer::start(&bench, "server.mjs", &["--auto"]);
    let id = add(&bench, "Notes", issuer.at("mcp"), "oauth");
    bench.discovered(&id);
    // The server's own port, and not the issuer's.
    let port = origin(issuer.at("mcp")).rsplit(':').next().unwrap();
    let policy = format!("[[all.http]]\nallow-private = [\"127.0.0.0/8\"]\nports = [{port}]\n");
    std::fs::write(bench.data.path().join("policy.toml"), policy).unwrap();
    wait_for("the policy to be read", SETTLE, || {
        let audit = bench.client.get("/api/v1/audit?action=policy.read&limit=10").expect(200).text();
        audit.contains("policy.read").then_some(())
    });
    let asked = issuer.lines().iter().filter(|line| line["server"] == "issuer").count();
    let page = begin(&bench.person, &id).text();
    assert!(page.contains("ceilings or the kill switch do not let a sign-in go there"), "{page}");
    let after = issuer.lines().iter().filter(|line| line["server"] == "issuer").count();
    assert_eq!(after, asked, "the issuer was asked");
}

#[test]
fn each_person_signs_in_and_a_token_is_nobody() {
    let Some(bench) = ready("sign in for each") else { return };
    let issuer = Issuer::start(&bench, "server.mjs", &["--auto", "--user", "ana"]);
    let id = add(&bench, "Own notes", issuer.at("mcp"), "oauth-each");
    bench.discovered(&id);
    assert_eq!(sign_in(&bench, &bench.person, &id).status, 303);
    is_connected(&bench, &id);
    bench.decide(&id, "allow", |_| true);
    let refused = Caller::new(&bench.server, "/mcp/own_notes", &bench.data.token("responder"), true);
    let answer = refused.call("whoami", &json!({}));
    assert!(answer["error"]["message"].as_str().unwrap().contains("an API token is nobody"), "{answer}");

    // A sign-in belongs to who began it: what it brings back is worth nothing to anybody else, and once to its owner.
    let page = begin(&bench.person, &id).expect(200).text();
    let back = there(&link(&page), bench.server.url());
    let stranger = Person::stranger(&bench.server).get(&back);
    assert!(stranger.header("location").starts_with("/sign-in"), "{stranger:?}");
    let other = bench.invited("responder");
    assert_eq!(other.get(&back).status, 409, "another person's sign-in");
    assert_eq!(bench.person.get(&back).status, 303);
    assert_eq!(bench.person.get(&back).status, 409, "a second time");

    // Whoever looks after servers ends them all.
    assert_eq!(sign_in(&bench, &other, &id).status, 303);
    let page = bench.person.get(&format!("/servers/{id}")).text();
    assert!(page.contains("1 other person has signed in"), "{page}");
    assert_eq!(other.post(&format!("/servers/{id}/sign-all-out"), &[]).status, 403);
    bench.person.submit(&format!("/servers/{id}/sign-all-out"), &[]);
    let page = other.get(&format!("/servers/{id}")).text();
    assert!(page.contains("You have not signed in"), "{page}");
    assert_eq!(bench.person.post(&format!("/servers/{id}/sign-all-out"), &[]).status, 404);
}

#[test]
fn what_a_server_wants_more_is_asked_for_when_somebody_signs_in_again() {
    let Some(bench) = ready("step up") else { return };
    let issuer = Issuer::start(&bench, "server.mjs", &["--auto"]);
    let id = add(&bench, "Notes", issuer.at("mcp"), "oauth");
    bench.discovered(&id);
    sign_in(&bench, &bench.person, &id).expect(303);
    is_connected(&bench, &id);
    bench.decide(&id, "allow", |_| true);
    let caller = Caller::new(&bench.server, "/mcp/notes", &bench.data.token("responder"), false);
    let refused = caller.call("write_note", &json!({"text": "x"}));
    assert!(refused["error"].is_object(), "{refused}");
    let page = bench.person.get(&format!("/servers/{id}")).expect(200).text();
    assert!(page.contains("asked for more than it was given") && page.contains("notes:write"), "{page}");
    sign_in(&bench, &bench.person, &id).expect(303);
    is_connected(&bench, &id);
    let caller = Caller::new(&bench.server, "/mcp/notes", &bench.data.token("responder"), false);
    let written = caller.call("write_note", &json!({"text": "x"}));
    assert!(written["result"].is_object(), "{written}");
}

#[test]
fn where_an_issuer_knows_only_clients_by_hand_they_are_typed_in() {
    let Some(bench) = ready("clients by hand") else { return };
    let back = format!("{}/oauth/callback", bench.server.url());
    let issuer =
        Issuer::start(&bench, "server.mjs", &["--auto", "--registration", "manual", "--redirect-uri", back.as_str()]);
    let id = add(&bench, "Notes", issuer.at("mcp"), "oauth");
    let page = begin(&bench.person, &id).expect(200).text();
    assert!(page.contains(&back) && page.contains("Client secret"), "{page}");
    let typed = [("client_id", issuer.at("client_id")), ("client_secret", issuer.at("client_secret"))];
    let page = bench.person.post(&format!("/servers/{id}/sign-in"), &typed).expect(200).text();
    assert!(!page.contains(issuer.at("client_secret")));
    bench.person.get(&there(&link(&page), bench.server.url())).expect(303);
    is_connected(&bench, &id);
    // It is kept for the next time.
    sign_in(&bench, &bench.person, &id).expect(303);
}

/// What each hostile issuer does, and what a person reads of it.
const HOSTILE: [(&str, &str); 15] = [
    ("pkce-absent", "S256"),
    ("pkce-plain", "S256"),
    ("other-issuer", "issuer"),
    ("other-resource", "resource"),
    ("metadata-internal", "169.254"),
    ("metadata-redirect", "redirect"),
    ("huge", ""),
    ("javascript-url", "https"),
    ("http-endpoint", "https"),
    ("wrong-iss", ""),
    ("missing-iss", ""),
    ("state-drop", ""),
    ("state-swap", ""),
    ("token-redirect", "redirect"),
    ("no-token-type", "token_type"),
];

#[test]
fn issuers_that_are_broken_or_hostile_are_given_nothing() {
    let Some(bench) = ready("hostile issuers") else { return };
    let sink = Issuer::start(&bench, "hostile.mjs", &["--sink"]);
    for (mode, told) in HOSTILE {
        let target = ["--mode", mode, "--target", sink.at("sink")];
        let aims = matches!(mode, "metadata-redirect" | "token-redirect");
        let issuer = Issuer::start(&bench, "hostile.mjs", if aims { &target } else { &target[..2] });
        let id = add(&bench, &format!("H {mode}"), issuer.at("mcp"), "oauth");
        let begun = begin(&bench.person, &id);
        let refused = match begun.status {
            200 => bench.person.get(&there(&link(&begun.text()), bench.server.url())),
            _ => begun,
        };
        assert_eq!(refused.status, 409, "{mode}: {}", refused.text());
        assert!(refused.text().contains(told), "{mode} is not explained: {}", refused.text());
        assert!(
            issuer.lines().iter().all(|line| line["late"] != true && line["leaked"] != true),
            "{mode}: {:?}",
            issuer.lines()
        );
        let page = bench.person.get(&format!("/servers/{id}")).expect(200).text();
        assert!(page.contains("Nobody has signed in"), "{mode}");
        bench.remove_server(&id);
    }
    assert_eq!(sink.lines(), Vec::<Value>::new(), "nothing follows a redirect");
    bench.is_well();
}

#[test]
fn an_issuer_that_quotes_secrets_or_ends_a_grant_is_told_without_them() {
    let Some(bench) = ready("hostile issuers later") else { return };
    let echo = Issuer::start(&bench, "hostile.mjs", &["--mode", "token-echo"]);
    let id = add(&bench, "Echo", echo.at("mcp"), "oauth");
    let page = begin(&bench.person, &id).expect(200).text();
    let back = there(&link(&page), bench.server.url());
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let refused = bench.person.get(&back).expect(409).text();
    assert!(!refused.contains(&code), "the code is shown: {refused}");

    // A grant that is over is said to be; the server is asked nothing with an old token.
    let dead = Issuer::start(&bench, "hostile.mjs", &["--mode", "refresh-dead"]);
    let id = add(&bench, "Dead", dead.at("mcp"), "oauth");
    sign_in(&bench, &bench.person, &id).expect(303);
    let after = wait_for("the end of the grant", SETTLE, || {
        let server = bench.server(&id);
        (server["state"] == "sign-in").then_some(server)
    });
    assert!(after["reason"].as_str().unwrap().to_lowercase().contains("sign in"), "{after}");
    let page = bench.person.get(&format!("/servers/{id}")).expect(200).text();
    assert!(page.contains("Sign in again…"), "{page}");
    for issuer in [&echo, &dead] {
        assert!(issuer.lines().iter().all(|line| line["leaked"] != true), "{:?}", issuer.lines());
    }
}
