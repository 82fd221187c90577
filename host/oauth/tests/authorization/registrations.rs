//! Who this client is with which authorization server, and with no other.

use fumehood_oauth::{AuthMethod, Error, Registration, RegistrationKind, Remedy, begin, finish, refresh, register};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::world::*;

const DOCUMENT: &str = "https://fumehood.example/oauth/client.json";

#[tokio::test]
async fn the_order_is_by_hand_then_document_then_dynamic() {
    let world = World::new();
    world.edit(AS_METADATA, "client_id_metadata_document_supported", json!(true));
    let discovery = found(&world).await.unwrap();
    let with_document = client().with_metadata_url(DOCUMENT.parse().unwrap());
    let by_hand = Registration::by_hand(discovery.server(), "by-hand", None).unwrap();
    let one = register(&world, &discovery, &with_document, Some(by_hand), now()).await.unwrap();
    assert_eq!((one.kind(), one.client_id()), (RegistrationKind::ByHand, "by-hand"));
    let two = register(&world, &discovery, &with_document, None, now()).await.unwrap();
    assert_eq!((two.kind(), two.client_id()), (RegistrationKind::MetadataDocument, DOCUMENT));
    assert!(world.sent_to(REGISTER).is_empty());
    let three = register(&world, &discovery, &client(), None, now()).await.unwrap();
    assert_eq!((three.kind(), three.client_id()), (RegistrationKind::Dynamic, "dynamic-1"));
    let asked: Value = serde_json::from_str(&world.sent_to(REGISTER)[0].body).unwrap();
    assert_eq!(
        asked,
        json!({
            "client_name": "Fumehood",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "web",
        })
    );
}

#[tokio::test]
async fn a_document_is_used_only_where_the_server_reads_it() {
    let world = World::new();
    let with_document = client().with_metadata_url(DOCUMENT.parse().unwrap());
    let discovery = found(&world).await.unwrap();
    let registration = register(&world, &discovery, &with_document, None, now()).await.unwrap();
    assert_eq!(registration.kind(), RegistrationKind::Dynamic);
}

#[tokio::test]
async fn without_a_way_the_text_says_what_to_do() {
    let world = World::new();
    world.edit(AS_METADATA, "registration_endpoint", json!(null));
    let discovery = found(&world).await.unwrap();
    assert_eq!(
        register(&world, &discovery, &client(), None, now()).await.unwrap_err().to_string(),
        "the authorization server https://as.example registers no clients by itself: register one there by hand with \
         the redirect URI https://fumehood.example/oauth/callback, and enter its client id here"
    );
}

#[tokio::test]
async fn a_refusal_to_register_is_said() {
    let world = World::new();
    world.registers_as(json!({ "error": "invalid_redirect_uri", "error_description": "no\u{1b}[2J" }));
    let discovery = found(&world).await.unwrap();
    let error = register(&world, &discovery, &client(), None, now()).await.unwrap_err();
    assert!(error.to_string().contains("(invalid_redirect_uri: no?[2J)"), "{error}");
    world.answer(REGISTER, 307, &[("location", "https://evil.example/register")], "");
    let error = register(&world, &discovery, &client(), None, now()).await.unwrap_err();
    assert_eq!(error, Error::Redirected { endpoint: REGISTER.to_owned() });
    assert!(!world.asked().iter().any(|url| url.contains("evil")));
}

#[tokio::test]
async fn a_server_may_not_change_where_the_browser_returns_to() {
    let world = World::new();
    let discovery = found(&world).await.unwrap();
    for answer in [
        json!({ "client_id": "x", "redirect_uris": ["https://evil.example/cb"] }),
        json!({ "client_id": "x", "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "client_id": "x", "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "client_id": "x", "token_endpoint_auth_method": "client_secret_basic", "client_secret": "" }),
        json!({ "client_id": "" }),
        json!({ "client_id": "a\u{7}b" }),
        json!({ "client_id": "x", "client_secret": "s3cret-value", "client_secret_expires_at": 1 }),
    ] {
        world.registers_as(answer.clone());
        assert!(register(&world, &discovery, &client(), None, now()).await.is_err(), "{answer}");
    }
}

#[tokio::test]
async fn each_way_of_showing_who_one_is_works() {
    // characters that only come through where both are form-encoded first
    const SECRET: &str = "s:e+c/r e%t&=1";
    for (methods, answer, expected) in [
        (json!(["none"]), json!({ "client_id": "a", "client_secret": "" }), AuthMethod::None),
        (
            json!(["client_secret_basic", "client_secret_post"]),
            json!({ "client_id": "i:d+1 %", "client_secret": SECRET, "client_secret_expires_at": 0 }),
            AuthMethod::ClientSecretBasic,
        ),
        (
            json!(["client_secret_post"]),
            json!({ "client_id": "c", "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_post" }),
            AuthMethod::ClientSecretPost,
        ),
    ] {
        let world = World::new();
        world.edit(AS_METADATA, "token_endpoint_auth_methods_supported", methods);
        let discovery = found(&world).await.unwrap();
        // the strict server knows a client without a secret by none at all
        let mut registered = answer.clone();
        if registered["client_secret"] == "" {
            registered.as_object_mut().unwrap().remove("client_secret");
        }
        world.registers_as(registered);
        let registration = register(&world, &discovery, &client(), None, now()).await.unwrap();
        assert_eq!(registration.method(), expected, "{answer}");
        let (address, pending) = begin(&discovery, &registration, &callback(), discovery.scopes(), now()).unwrap();
        let query = world.consent(&address);
        let tokens = finish(&world, pending, &query, now()).await.unwrap();
        refresh(&world, &discovery, &registration, &tokens, now()).await.unwrap();
        let asked: Value = serde_json::from_str(&world.sent_to(REGISTER)[0].body).unwrap();
        assert_eq!(asked["token_endpoint_auth_method"], expected.as_str());
        assert!(!address.as_str().contains("secret") && !format!("{registration:?}").contains("s:e+c"));
    }
}

#[tokio::test]
async fn credentials_go_to_their_issuer_alone() {
    let world = World::new();
    let discovery = found(&world).await.unwrap();
    let secret = SecretString::from("secret-of-as-example");
    let by_hand = Registration::by_hand(discovery.server(), "by-hand", Some(secret)).unwrap();
    let dynamic = register(&world, &discovery, &client(), None, now()).await.unwrap();
    let (_, _, tokens) = signed_in(&world).await;
    // the server now names another authorization server
    let evil = "https://evil.example/.well-known/oauth-authorization-server";
    world.page(evil, as_metadata());
    for (member, value) in [
        ("issuer", "https://evil.example"),
        ("token_endpoint", "https://evil.example/token"),
        ("registration_endpoint", "https://evil.example/register"),
    ] {
        world.edit(evil, member, json!(value));
    }
    world.edit(RESOURCE_METADATA, "authorization_servers", json!(["https://evil.example"]));
    let moved = found(&world).await.unwrap();
    let before = world.sent().len();
    let other = |error: &Error| matches!(error, Error::OtherIssuer { .. });
    let error = register(&world, &moved, &client(), Some(by_hand.clone()), now()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the client registration belongs to https://as.example and is not used with https://evil.example: register a \
         client with the other one"
    );
    assert!(other(&begin(&moved, &by_hand, &callback(), moved.scopes(), now()).unwrap_err()));
    assert!(other(&refresh(&world, &moved, &by_hand, &tokens, now()).await.unwrap_err()));
    // not even with a registration of the new one's: the refresh token is the old one's
    let theirs = Registration::by_hand(moved.server(), "by-hand", None).unwrap();
    let error = refresh(&world, &moved, &theirs, &tokens, now()).await.unwrap_err();
    assert!(other(&error) && error.remedy() == Remedy::SignIn, "{error}");
    assert_eq!(world.sent().len(), before, "nothing was sent");
    // one that was made by itself is made anew, and its id stays behind
    world.answer("https://evil.example/register", 201, &[], json!({ "client_id": "theirs" }));
    let again = register(&world, &moved, &client(), Some(dynamic), now()).await.unwrap();
    assert_eq!((again.issuer(), again.client_id()), ("https://evil.example", "theirs"));
    assert!(!world.sent().last().unwrap().body.contains("dynamic-1"));
}

#[tokio::test]
async fn a_secret_that_has_run_out_is_not_sent() {
    let world = World::new();
    let discovery = found(&world).await.unwrap();
    world.registers_as(json!({
        "client_id": "short-lived",
        "client_secret": "s3cret-value",
        "token_endpoint_auth_method": "client_secret_post",
        "client_secret_expires_at": after(30).as_second(),
    }));
    let registration = register(&world, &discovery, &client(), None, now()).await.unwrap();
    assert_eq!(registration.secret_expires_at(), Some(after(30)));
    let (address, pending) = begin(&discovery, &registration, &callback(), discovery.scopes(), now()).unwrap();
    let query = world.consent(&address);
    let tokens = finish(&world, pending, &query, now()).await.unwrap();
    let before = world.sent_to(TOKEN).len();
    let error = refresh(&world, &discovery, &registration, &tokens, after(30)).await.unwrap_err();
    assert_eq!((&error, error.remedy()), (&Error::SecretExpired { issuer: ISSUER.to_owned() }, Remedy::Register));
    assert!(begin(&discovery, &registration, &callback(), discovery.scopes(), after(30)).is_err());
    assert_eq!(world.sent_to(TOKEN).len(), before);
    // registering again replaces it
    world.registers_as(json!({ "client_id": "fresh" }));
    let fresh = register(&world, &discovery, &client(), Some(registration), after(30)).await.unwrap();
    assert_eq!(fresh.client_id(), "fresh");
}

#[tokio::test]
async fn a_client_by_hand_is_checked() {
    let world = World::new();
    let discovery = found(&world).await.unwrap();
    let by_hand =
        |id: &str, secret: Option<&str>| Registration::by_hand(discovery.server(), id, secret.map(SecretString::from));
    assert!(by_hand("", None).is_err() && by_hand("a\nb", None).is_err() && by_hand("a", Some("b\nc")).is_err());
    assert_eq!(by_hand("a", Some("")).unwrap().method(), AuthMethod::None);
    assert_eq!(by_hand("a", Some("b")).unwrap().method(), AuthMethod::ClientSecretBasic);
    world.edit(AS_METADATA, "token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    let discovery = found(&world).await.unwrap();
    assert_eq!(
        Registration::by_hand(discovery.server(), "a", None).unwrap_err().to_string(),
        "the authorization server https://as.example does not support clients without a secret \
         (token_endpoint_auth_methods_supported): enter the client's secret, too"
    );
}

#[tokio::test]
async fn a_registration_is_stored_whole_and_shown_without_its_secret() {
    let world = World::new();
    let discovery = found(&world).await.unwrap();
    let registration =
        Registration::by_hand(discovery.server(), "by-hand", Some(SecretString::from("s3cret-value"))).unwrap();
    assert!(!format!("{registration:?}").contains("s3cret"));
    let stored = serde_json::to_string(&registration).unwrap();
    let back: Registration = serde_json::from_str(&stored).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), stored);
    assert!(stored.contains("s3cret-value"));
    assert!(back.secret_expires_at().is_none_or(|at| at > Timestamp::UNIX_EPOCH));
}
