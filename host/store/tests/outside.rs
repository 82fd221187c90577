//! What is kept of MCP servers: their tools as they change, and sign-ins there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;

use fumehood_policy::Role;
use fumehood_store::outside::{McpServer, NewPending, NewTokens, SeenTool};
use fumehood_store::{Actor, OpenOptions, Scope, ServerId, Store, UserId, clock};
use fumehood_vault::{Keyring, MasterKey, Vault};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

fn vault() -> Arc<Vault> {
    let master = MasterKey::generate().unwrap();
    Arc::new(Keyring::create(&master).unwrap().open(&master).unwrap())
}

fn server() -> McpServer {
    McpServer {
        id: ServerId::new(),
        name: "notes".into(),
        slug: "notes".into(),
        transport: "http".into(),
        plugin: String::new(),
        url: "https://notes.example/mcp".into(),
        private_nets: Vec::new(),
        command: String::new(),
        arguments: Vec::new(),
        program_sha256: String::new(),
        auth_kind: "oauth".into(),
        auth_header: "authorization".into(),
        credential_id: None,
        enabled: true,
        created_us: 0,
        state: "pending".into(),
        reason: String::new(),
        checked_us: None,
    }
}

async fn opened(folder: &Path) -> (Store, Scope, McpServer) {
    let store = Store::open(folder, vault(), &OpenOptions::default()).unwrap();
    let (scope, server) = (Scope::system(), server());
    store.create_server(&scope, server.clone()).await.unwrap();
    (store, scope, server)
}

fn tokens(text: &str) -> NewTokens {
    NewTokens {
        issuer: "https://login.example".into(),
        scopes: "read".into(),
        expires_us: Some(clock::now_us() + 3_600_000_000),
        tokens: SecretString::from(text.to_owned()),
    }
}

#[tokio::test]
async fn a_sign_in_is_ended_once_and_by_whoever_began_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, scope, server) = opened(folder.path()).await;
    let ana = Scope { actor: Actor::User(UserId::new()), ..scope.clone() };
    let ben = Scope { actor: Actor::User(UserId::new()), ..scope.clone() };
    let pending = |id: &str, expires_us: i64| NewPending {
        id: id.into(),
        server_id: server.id,
        owner: String::new(),
        actor: ana.actor.to_string(),
        pending: SecretString::from("the verifier".to_owned()),
        expires_us,
    };
    let later = clock::now_us() + 600_000_000;
    store.begin_oauth(&ana, pending("one", later)).await.unwrap();
    store.begin_oauth(&ana, pending("late", clock::now_us() - 1)).await.unwrap();
    assert!(store.take_oauth(&ben, "one".into()).await.is_err(), "somebody else's");
    assert!(store.take_oauth(&ana, "late".into()).await.is_err(), "ran out");
    assert!(store.take_oauth(&ana, "none".into()).await.is_err());
    assert_eq!(store.take_oauth(&ana, "one".into()).await.unwrap().pending.expose_secret(), "the verifier");
    assert!(store.take_oauth(&ana, "one".into()).await.is_err(), "a second time");
}

#[tokio::test]
async fn tokens_are_sealed_replaced_whole_and_gone_with_what_they_were_for() {
    let folder = tempfile::tempdir().unwrap();
    let (store, scope, server) = opened(folder.path()).await;
    let kept = async |owner: &str| store.oauth_tokens(&scope, server.id, owner).await.unwrap();
    store.sign_in_oauth(&scope, server.id, String::new(), tokens("first")).await.unwrap();
    store.sign_in_oauth(&scope, server.id, "user:ana".into(), tokens("hers")).await.unwrap();
    let (grant, text) = kept("").await.unwrap();
    assert_eq!((text.expose_secret(), grant.scopes.as_str()), ("first", "read"));
    assert!(store.refresh_oauth(&scope, &grant, tokens("second")).await.unwrap());
    assert_eq!(kept("").await.unwrap().1.expose_secret(), "second");
    // What refreshes a sign-in that is another one by now brings nothing.
    store.sign_in_oauth(&scope, server.id, String::new(), tokens("anew")).await.unwrap();
    assert!(!store.refresh_oauth(&scope, &grant, tokens("old")).await.unwrap());
    let (grant, text) = kept("").await.unwrap();
    assert_eq!(text.expose_secret(), "anew");
    // More scopes are wanted: the token stays as it is. It is not taken: the next request refreshes it.
    store.note_oauth(&scope, &grant, None, Some("write".into())).await.unwrap();
    let (noted, _) = kept("").await.unwrap();
    assert_eq!((noted.wanted.as_str(), noted.expires_us), ("write", grant.expires_us));
    store.note_oauth(&scope, &grant, None, None).await.unwrap();
    assert_eq!(kept("").await.unwrap().0.expires_us, Some(0));
    // Another address is another server.
    let moved = McpServer { url: "https://elsewhere.example/mcp".into(), ..server.clone() };
    store.update_server(&scope, moved, None).await.unwrap();
    assert!(kept("").await.is_none() && kept("user:ana").await.is_none());
    store.close();
    let bytes = std::fs::read(folder.path().join("fumehood.db")).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"second"));
}

#[tokio::test]
async fn a_server_that_never_rests_does_not_fill_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (store, scope, server) = opened(folder.path()).await;
    for round in 0..60 {
        let tool = |at: usize| SeenTool {
            name: format!("tool-{round}-{at}"),
            raw: json!({"name": format!("tool-{round}-{at}")}),
            warnings: json!([]),
        };
        let seen = (0..50).map(tool).collect();
        store.server_state(&scope, server.id, "connected", String::new(), Some(seen)).await.unwrap();
    }
    let tools = store.tools(&scope, Some(server.id)).await.unwrap();
    assert_eq!(tools.len(), 50, "what is gone before anybody decided is forgotten");
    let changes = store.tool_changes(&scope, Some(server.id), None, 0, 100_000).await.unwrap();
    assert!(changes.len() <= 2_000, "{} changes are kept", changes.len());
    assert_eq!(changes[0].1.tool.split('-').nth(1), Some("58"), "the newest: what went in the last round");
}

/// A browser that goes away in the middle: what it asked for is written, and counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_is_revoked_even_if_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, scope, _) = opened(folder.path()).await;
    for round in 0..20_u8 {
        let (hash, now) = ([round; 32], clock::now_us());
        let id = store.create_token(&scope, format!("t{round}"), Role::Responder, hash, None).await.unwrap();
        assert!(store.token(hash, now).await.unwrap().is_some(), "it is known from here on");
        {
            let revoked = store.revoke_token(&scope, id);
            tokio::pin!(revoked);
            // Begun, and given up at once.
            tokio::select! {
                biased;
                _ = &mut revoked => panic!("it was written before it could be"),
                () = std::future::ready(()) => {}
            }
        }
        let begun = std::time::Instant::now();
        while store.token(hash, now).await.unwrap().is_some() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the token still works");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(store.tokens(&scope).await.unwrap().iter().any(|one| one.id == id && one.revoked_us.is_some()));
    }
}
