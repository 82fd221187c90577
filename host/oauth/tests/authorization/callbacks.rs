//! What a browser brings back, honest and not. Wherever it is refused, no code has left.

use fumehood_oauth::{Error, Pending, Remedy, Tokens, finish};
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::world::*;

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Finishes a sign-in with what the attack makes of the honest callback; counts what reaches the token endpoint.
async fn attacked(world: &World, change: impl FnOnce(&str) -> String) -> (Result<Tokens, Error>, usize) {
    let (address, pending) = started(world).await;
    let query = change(&world.consent(&address));
    let result = finish(world, pending, &query, now()).await;
    (result, world.sent_to(TOKEN).len())
}

#[tokio::test]
async fn a_sign_in_ends_with_tokens() {
    let world = World::new();
    let (address, pending) = started(&world).await;
    // through the store, as between two requests of a browser
    let stored = serde_json::to_string(&pending).unwrap();
    let pending: Pending = serde_json::from_str(&stored).unwrap();
    let query = world.consent(&address);
    assert_eq!(Pending::key_of(&query), Some(pending.key()));
    assert!(!stored.contains(&pending.key()) && !address.as_str().contains(&pending.key()));
    let tokens = finish(&world, pending, &query, now()).await.unwrap();
    assert_eq!(access(&tokens), "Bearer access-2");
    let sent = world.sent_to(TOKEN);
    let form = sent[0].form();
    let mut names: Vec<_> = form.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "code", "code_verifier", "grant_type", "redirect_uri", "resource"]);
    assert_eq!((form["resource"].as_str(), form["code_verifier"].len()), (SERVER, 43));
    assert!(!address.as_str().contains(&form["code_verifier"]));
    assert_eq!((tokens.issuer(), tokens.resource(), tokens.expires_at()), (ISSUER, SERVER, Some(after(60))));
    assert_eq!(tokens.granted(), tokens.requested());
}

#[tokio::test]
async fn no_two_sign_ins_share_anything() {
    let world = World::new();
    let ((one, first), (other, second)) = (started(&world).await, started(&world).await);
    let (one, other) = (once(one.query_pairs().into_owned()), once(other.query_pairs().into_owned()));
    for name in ["state", "code_challenge"] {
        assert_ne!(one[name], other[name]);
    }
    assert_ne!(first.key(), second.key());
}

#[tokio::test]
async fn the_state_has_to_be_the_one_of_this_sign_in() {
    let attacks: [fn(&str) -> String; 6] = [
        |query| query.split("&state=").next().unwrap().to_owned(),
        |query| format!("{}&state=", query.split("&state=").next().unwrap()),
        |query| format!("{}&state=guessed", query.split("&state=").next().unwrap()),
        |query| query[..query.len() - 1].to_owned(),
        |query| format!("{query}x"),
        |_| "code=injected".to_owned(),
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let (result, sent) = attacked(&World::new(), attack).await;
        assert_eq!((result.unwrap_err(), sent), (Error::State, 0), "{number}");
    }
}

#[tokio::test]
async fn the_callback_of_one_sign_in_does_not_finish_another() {
    let world = World::new();
    let (address, _) = started(&world).await;
    let (_, other) = started(&world).await;
    let query = world.consent(&address);
    assert_ne!(Pending::key_of(&query), Some(other.key()));
    assert_eq!(finish(&world, other, &query, now()).await.unwrap_err(), Error::State);
    assert!(world.sent_to(TOKEN).is_empty());
}

#[tokio::test]
async fn a_code_works_once() {
    let world = World::new();
    let (address, pending) = started(&world).await;
    // a store that gave the same record out twice
    let again: Pending = serde_json::from_str(&serde_json::to_string(&pending).unwrap()).unwrap();
    let query = world.consent(&address);
    finish(&world, pending, &query, now()).await.unwrap();
    let error = finish(&world, again, &query, now()).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::SignIn);
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_worth_nothing() {
    // the attacker's own code in the victim's callback: the verifier does not fit it
    let world = World::new();
    let (address, _) = started(&world).await;
    let stolen = world.consent(&address).split('&').next().unwrap().to_owned();
    let (result, sent) = attacked(&world, |query| format!("{stolen}&{}", query.split_once('&').unwrap().1)).await;
    assert!(matches!(result, Err(Error::TokenRefused { .. })) && sent == 1);
}

#[tokio::test]
async fn nothing_is_there_twice() {
    for extra in ["state=x", "code=x", "iss=a&iss=a", "error=x&error=y", "c%6fde=x"] {
        let (result, sent) = attacked(&World::new(), |query| format!("{query}&{extra}")).await;
        assert_eq!(
            (result.unwrap_err(), sent),
            (Error::Callback { reason: "it holds a parameter twice" }, 0),
            "{extra}"
        );
    }
    for (change, extra) in [("", "&error=access_denied"), ("code=", "")] {
        let (result, sent) = attacked(&World::new(), |query| {
            let rest = query.split_once('&').unwrap().1;
            if change.is_empty() { format!("{query}{extra}") } else { format!("{change}&{rest}") }
        })
        .await;
        assert!(matches!(result, Err(Error::Callback { .. })) && sent == 0);
    }
}

#[tokio::test]
async fn the_issuer_is_compared_byte_by_byte() {
    for announced in [true, false] {
        for (issuer, right) in [
            (Some(ISSUER), true),
            (Some("https://evil.example"), false),
            (Some("https://as.example/"), false),
            (Some("https://AS.example"), false),
            (Some("https://as.example:443"), false),
            (Some(""), false),
            (None, !announced),
        ] {
            let world = World::new();
            world.edit(AS_METADATA, "authorization_response_iss_parameter_supported", json!(announced));
            let (result, sent) = attacked(&world, |query| {
                issuer.map_or_else(|| query.to_owned(), |issuer| format!("{query}&iss={}", encoded(issuer)))
            })
            .await;
            assert_eq!((result.is_ok(), sent), (right, usize::from(right)), "{announced} {issuer:?}");
            if !right {
                assert!(matches!(result, Err(Error::CallbackIssuer { .. })), "{announced} {issuer:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_is_shown_cut_and_clean_and_only_from_the_right_issuer() {
    let refusal = |issuer: &'static str| {
        move |query: &str| {
            let state = query.split_once("state=").unwrap().1;
            let words = encoded(&format!("<b>no\r\n\u{202e}{}", "x".repeat(500)));
            format!("error=access_denied&error_description={words}&state={state}&iss={}", encoded(issuer))
        }
    };
    let (result, sent) = attacked(&World::new(), refusal(ISSUER)).await;
    let Err(Error::Denied { code, description }) = result else { panic!("{result:?}") };
    assert_eq!((code.as_str(), description.len(), sent), ("access_denied", 200, 0));
    assert!(description.starts_with("<b>no???xxx") && description.ends_with("..."));
    let (result, _) = attacked(&World::new(), refusal("https://evil.example")).await;
    let text = result.unwrap_err().to_string();
    assert!(!text.contains("access_denied") && !text.contains("xxx"), "{text}");
    // nor without a state
    let (result, _) = attacked(&World::new(), |_| "error=access_denied&error_description=phish".to_owned()).await;
    assert_eq!(result.unwrap_err(), Error::State);
}

#[tokio::test]
async fn a_sign_in_expires() {
    for (minutes, works) in [(9, true), (10, false), (60, false)] {
        let world = World::new();
        let (address, pending) = started(&world).await;
        assert_eq!(pending.expires_at(), after(10));
        let query = world.consent(&address);
        let result = finish(&world, pending, &query, after(minutes)).await;
        assert_eq!(result.is_ok(), works, "{minutes}");
        assert_eq!(world.sent_to(TOKEN).len(), usize::from(works));
    }
}

#[tokio::test]
async fn secrets_are_in_no_debug_form() {
    let world = World::new();
    let (address, pending) = started(&world).await;
    let state = once(address.query_pairs().into_owned())["state"].clone();
    let stored = serde_json::to_value(&pending).unwrap();
    let shown = format!("{pending:?}");
    assert!(!shown.contains(&state) && !shown.contains(stored["verifier"].as_str().unwrap()), "{shown}");
    let query = world.consent(&address);
    let tokens = finish(&world, pending, &query, now()).await.unwrap();
    let shown = format!("{tokens:?} {:?}", tokens.authorization(&server()).unwrap());
    assert!(!shown.contains("access-2") && !shown.contains("refresh-2"), "{shown}");
}
