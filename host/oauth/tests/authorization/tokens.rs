//! What the token endpoint answers, how long it lasts, and where a token may go.

use fumehood_oauth::{Challenge, Error, Remedy, StepUp, TokenRefusal, Tokens, begin, finish, refresh};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::*;

async fn answered(world: &World, status: u16, headers: &[(&str, &str)], body: impl ToString) -> Error {
    let (address, pending) = started(world).await;
    let query = world.consent(&address);
    world.answer(TOKEN, status, headers, body);
    finish(world, pending, &query, now()).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_refused_and_not_repeated() {
    for answer in [
        json!({ "access_token": "leaked-access-token" }),
        json!({ "access_token": "leaked-access-token", "token_type": "DPoP" }),
        json!({ "access_token": "leaked-access-token", "token_type": "" }),
        json!({ "access_token": "leaked access token", "token_type": "Bearer" }),
        json!({ "access_token": "leaked-access-token", "token_type": "Bearer", "expires_in": "leaked-access-token" }),
        json!({ "access_token": "leaked-access-token", "token_type": "Bearer", "refresh_token": {"x": "leaked"} }),
        json!({ "token_type": "Bearer" }),
        json!({}),
        json!("leaked-access-token"),
    ] {
        let error = answered(&World::new(), 200, &[], &answer).await;
        assert!(matches!(error, Error::TokenAnswer { .. }), "{answer}: {error}");
        assert!(!format!("{error} {error:?}").contains("leaked"), "{error:?}");
    }
    let error = answered(&World::new(), 200, &[], "access_token=leaked&token_type=bearer").await;
    assert!(matches!(error, Error::TokenAnswer { .. }));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (code, refusal, remedy) in [
        ("invalid_grant", TokenRefusal::InvalidGrant, Remedy::SignIn),
        ("invalid_client", TokenRefusal::InvalidClient, Remedy::Register),
        ("unauthorized_client", TokenRefusal::UnauthorizedClient, Remedy::Register),
        ("invalid_request", TokenRefusal::InvalidRequest, Remedy::Correct),
        ("invalid_scope", TokenRefusal::InvalidScope, Remedy::Correct),
        ("invalid_target", TokenRefusal::InvalidTarget, Remedy::Correct),
        ("unsupported_grant_type", TokenRefusal::UnsupportedGrantType, Remedy::Correct),
        ("slow\u{1b}_down", TokenRefusal::Other("slow?_down".to_owned()), Remedy::Correct),
    ] {
        // a status of 200 does not make an error a success
        for status in [400, 401, 200] {
            let body = json!({ "error": code, "error_description": "why" });
            let error = answered(&World::new(), status, &[], body).await;
            assert_eq!(error.remedy(), remedy, "{code}");
            let Error::TokenRefused { code: got, description, .. } = error else { panic!("{error:?}") };
            assert_eq!((got, description.as_str()), (refusal.clone(), "why"));
        }
    }
    let error = answered(&World::new(), 403, &[], "<html>").await;
    assert!(error.to_string().contains("status 403"), "{error}");
    assert_eq!(error.remedy(), Remedy::Correct);
}

#[tokio::test]
async fn what_an_error_says_holds_nothing_secret() {
    let world = World::new();
    let (address, pending) = started(&world).await;
    let query = world.consent(&address);
    let code = "code-1-of-the-user";
    let verifier = serde_json::to_value(&pending).unwrap()["verifier"].as_str().unwrap().to_owned();
    let stored = serde_json::to_string(&pending).unwrap();
    for secret in [code, &verifier, "fresh-access-token"] {
        let pending = serde_json::from_str(&stored).unwrap();
        world.answer(
            TOKEN,
            400,
            &[],
            json!({
                "error": format!("bad {secret}"),
                "error_description": format!("cannot take {secret}, sorry"),
                "access_token": "fresh-access-token",
            }),
        );
        let error = finish(&world, pending, &query, now()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
    // and in renewals, the tokens
    let world = World::new();
    let (discovery, registration, tokens) = signed_in(&world).await;
    for secret in ["refresh-2", "access-2"] {
        world.answer(TOKEN, 400, &[], json!({ "error": "invalid_grant", "error_description": secret }));
        let error = refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        assert_eq!(error.remedy(), Remedy::SignIn);
    }
}

#[tokio::test]
async fn the_token_endpoint_is_not_followed_elsewhere() {
    let world = World::new();
    let error = answered(&world, 307, &[("location", "https://evil.example/token")], "").await;
    assert_eq!(error, Error::Redirected { endpoint: TOKEN.to_owned() });
    assert!(!world.asked().iter().any(|url| url.contains("evil")));
}

#[tokio::test]
async fn a_renewal_names_its_resource_and_replaces_the_refresh_token() {
    let world = World::new();
    let (discovery, registration, first) = signed_in(&world).await;
    let stored = serde_json::to_string(&first).unwrap();
    let first: Tokens = serde_json::from_str(&stored).unwrap();
    let second = refresh(&world, &discovery, &registration, &first, after(55)).await.unwrap();
    assert_ne!(access(&first), access(&second));
    assert_eq!(second.expires_at(), Some(after(115)));
    let form = world.sent_to(TOKEN).last().unwrap().form();
    let mut names: Vec<_> = form.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "grant_type", "refresh_token", "resource"]);
    assert_eq!(form["resource"], SERVER);
    // the old one is worth nothing any more, the new one is
    let error = refresh(&world, &discovery, &registration, &first, now()).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::SignIn);
    refresh(&world, &discovery, &registration, &second, now()).await.unwrap();
}

#[tokio::test]
async fn without_a_new_refresh_token_the_old_one_stays() {
    let world = World::new();
    let (discovery, registration, tokens) = signed_in(&world).await;
    world.keeps_refresh_tokens();
    let second = refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap();
    let third = refresh(&world, &discovery, &registration, &second, now()).await.unwrap();
    let sent = world.sent_to(TOKEN);
    let used: Vec<_> = sent[1..].iter().map(|sent| sent.form()["refresh_token"].clone()).collect();
    assert_eq!(used, ["refresh-2", "refresh-2"]);
    assert!(third.can_refresh() && third.granted() == tokens.granted());
}

#[tokio::test]
async fn a_server_that_is_away_does_not_cost_the_grant() {
    let world = World::new();
    let (discovery, registration, tokens) = signed_in(&world).await;
    for (status, headers, after_seconds) in
        [(503, &[("retry-after", "30")][..], Some(30)), (429, &[("retry-after", "9")], Some(9)), (500, &[], None)]
    {
        world.answer(TOKEN, status, headers, json!({ "error": "invalid_grant" }));
        let error = refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap_err();
        assert_eq!(error.remedy(), Remedy::Later { after_seconds }, "{status}");
    }
    world.recover(TOKEN);
    world.down(TOKEN);
    let error = refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap_err();
    assert_eq!(error.to_string(), "https://as.example/token could not be reached: the connection broke");
    assert_eq!(error.remedy(), Remedy::Later { after_seconds: None });
    world.recover(TOKEN);
    refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap();
}

#[tokio::test]
async fn without_a_refresh_token_only_a_sign_in_helps() {
    let world = World::new();
    let (address, pending) = started(&world).await;
    let query = world.consent(&address);
    world.answer(TOKEN, 200, &[], json!({ "access_token": "a", "token_type": "Bearer", "scope": "files:read" }));
    let tokens = finish(&world, pending, &query, now()).await.unwrap();
    assert_eq!((tokens.granted().to_string().as_str(), tokens.expires_at()), ("files:read", None));
    assert!(!tokens.can_refresh() && !tokens.expires(after(10_000), SignedDuration::ZERO));
    let discovery = found(&world).await.unwrap();
    let registration = registration(&world, &discovery);
    let before = world.sent().len();
    let error = refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::SignIn);
    assert_eq!(world.sent().len(), before);
}

#[tokio::test]
async fn expiry_has_a_leeway() {
    let (_, _, tokens) = signed_in(&World::new()).await;
    let minute = SignedDuration::from_mins(1);
    for (minutes, expected) in [(0, false), (58, false), (59, true), (60, true), (600, true)] {
        assert_eq!(tokens.expires(after(minutes), minute), expected, "{minutes}");
    }
    assert!(!tokens.expires(after(59), SignedDuration::ZERO));
    assert!(tokens.expires(now(), SignedDuration::MAX));
}

#[tokio::test]
async fn a_token_goes_to_its_server_alone() {
    let (_, _, tokens) = signed_in(&World::new()).await;
    for (server, allowed) in [
        ("https://mcp.example/mcp", true),
        ("https://mcp.example/mcp?session=1", true),
        ("https://mcp.example/mcp/below", true),
        ("https://mcp.example/", false),
        ("https://mcp.example/mcpx", false),
        ("https://mcp.example:8443/mcp", false),
        ("http://mcp.example/mcp", false),
        ("https://evil.example/mcp", false),
    ] {
        let header = tokens.authorization(&server.parse().unwrap());
        assert_eq!(header.is_ok(), allowed, "{server}");
        assert!(header.is_ok_and(|header| header.is_sensitive()) == allowed);
    }
}

fn wants(scopes: &str) -> Challenge {
    Challenge::parse([format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"").as_str()]).unwrap()
}

#[tokio::test]
async fn more_scopes_are_asked_for_beside_the_old_ones() {
    let world = World::new();
    let (discovery, registration, tokens) = signed_in(&world).await;
    let mut step_up = StepUp::default();
    let scopes = step_up.next(&tokens, &wants("files:write"), now()).unwrap();
    let (address, _) = begin(&discovery, &registration, &callback(), &scopes, now()).unwrap();
    let query = once(address.query_pairs().into_owned());
    assert_eq!(query["scope"], "files:read files:list offline_access files:write");
    let stored: Value = serde_json::to_value(&step_up).unwrap();
    assert_eq!(serde_json::from_value::<StepUp>(stored).unwrap(), step_up);
}

#[tokio::test]
async fn no_server_keeps_a_user_going_round() {
    let (_, _, tokens) = signed_in(&World::new()).await;
    let mut step_up = StepUp::default();
    // what the token has already, no scopes at all, and another error are no reason
    for header in [
        "Bearer error=\"insufficient_scope\", scope=\"files:read\"",
        "Bearer error=\"insufficient_scope\"",
        "Bearer error=\"invalid_token\", scope=\"files:write\"",
    ] {
        let challenge = Challenge::parse([header]).unwrap();
        assert!(matches!(step_up.next(&tokens, &challenge, now()), Err(Error::StepUp { .. })), "{header}");
    }
    assert_eq!(step_up, StepUp::default(), "and cost nothing");
    for number in 0..3 {
        assert!(step_up.next(&tokens, &wants(&format!("new:{number}")), after(number)).is_ok());
    }
    assert_eq!(
        step_up.next(&tokens, &wants("new:3"), after(4)).unwrap_err().to_string(),
        "the server asks for more permissions, but it has done so three times within an hour: wait, or ask its operator"
    );
    assert!(step_up.next(&tokens, &wants("new:3"), after(61)).is_ok());
    let many: String = (0..500).map(|number| format!("s{number} ")).collect();
    assert!(StepUp::default().next(&tokens, &wants(&many), now()).is_err(), "an address can only be so long");
}
