//! Who gives tokens for a server, and who only says so.

use fumehood_oauth::{Challenge, Discovery, Error, Remedy, begin, discover};
use serde_json::json;

use crate::world::*;

async fn challenged(world: &World, header: &str) -> Result<Discovery, Error> {
    let challenge = Challenge::parse([header]).unwrap();
    discover(world, &server(), Some(&challenge), None).await
}

#[tokio::test]
async fn the_challenge_says_where_and_what() {
    let world = World::new();
    world.page("https://mcp.example/custom/metadata.json", resource_metadata());
    world.remove(RESOURCE_METADATA);
    let header = "Bearer resource_metadata=\"https://mcp.example/custom/metadata.json\", scope=\"files:write\"";
    let discovery = challenged(&world, header).await.unwrap();
    assert_eq!(world.asked(), ["https://mcp.example/custom/metadata.json", AS_METADATA]);
    assert_eq!((discovery.resource(), discovery.issuer()), (SERVER, ISSUER));
    assert_eq!(discovery.scopes().to_string(), "files:write");
    assert_eq!(discovery.authorization_servers(), [ISSUER, "https://other.example"]);
    let stored = serde_json::to_string(&discovery).unwrap();
    assert_eq!(serde_json::from_str::<Discovery>(&stored).unwrap(), discovery);
}

#[tokio::test]
async fn the_well_known_places_are_asked_in_order() {
    let world = World::new();
    world.remove(RESOURCE_METADATA);
    world.remove(AS_METADATA);
    world.page(ROOT_METADATA, resource_metadata());
    world.page(OPENID_METADATA, as_metadata());
    let discovery = found(&world).await.unwrap();
    assert_eq!(world.asked(), [RESOURCE_METADATA, ROOT_METADATA, AS_METADATA, OPENID_METADATA]);
    assert_eq!(discovery.scopes().to_string(), "files:read files:list");
}

#[tokio::test]
async fn an_issuer_with_a_path_has_three_places_and_never_its_root() {
    let world = World::new();
    world.edit(RESOURCE_METADATA, "authorization_servers", json!(["https://as.example/tenant1"]));
    let appended = "https://as.example/tenant1/.well-known/openid-configuration";
    world.page(appended, as_metadata());
    world.edit(appended, "issuer", json!("https://as.example/tenant1"));
    // a server that answers with its root's metadata below its root, too
    world.page("https://as.example/.well-known/oauth-authorization-server/tenant1", as_metadata());
    assert_eq!(found(&world).await.unwrap().issuer(), "https://as.example/tenant1");
    assert!(!world.asked().contains(&AS_METADATA.to_owned()));
}

#[tokio::test]
async fn a_server_from_before_has_its_metadata_at_its_origin() {
    for issuer in ["https://mcp.example", "https://mcp.example/"] {
        let world = World::new();
        world.remove(RESOURCE_METADATA);
        world.page("https://mcp.example/.well-known/oauth-authorization-server", as_metadata());
        world.edit("https://mcp.example/.well-known/oauth-authorization-server", "issuer", json!(issuer));
        let discovery = found(&world).await.unwrap();
        assert_eq!((discovery.issuer(), discovery.resource()), (issuer, SERVER));
        assert!(discovery.scopes().is_empty());
    }
    let world = World::new();
    world.remove(RESOURCE_METADATA);
    assert_eq!(
        found(&world).await.unwrap_err().to_string(),
        "no OAuth metadata was found for https://mcp.example/mcp, so it cannot be known whether sign-in is protected \
         (PKCE): use a fixed token for this server, or ask its operator to publish the metadata"
    );
    assert!(world.sent().iter().all(|sent| sent.method == "GET"), "no default endpoint is tried");
}

#[tokio::test]
async fn an_administrator_may_choose_the_authorization_server() {
    let world = World::new();
    let other = "https://other.example/.well-known/oauth-authorization-server";
    world.page(other, as_metadata());
    world.edit(other, "issuer", json!("https://other.example"));
    let discovery = discover(&world, &server(), None, Some("https://other.example")).await.unwrap();
    assert_eq!(discovery.issuer(), "https://other.example");
    let error = discover(&world, &server(), None, Some("https://evil.example")).await.unwrap_err();
    assert!(matches!(error, Error::NotNamed { .. }));
    assert!(!world.asked().iter().any(|url| url.contains("evil")));
}

#[tokio::test]
async fn without_pkce_there_is_no_sign_in() {
    for methods in [json!(null), json!([]), json!(["plain"]), json!(["s256"])] {
        let world = World::new();
        world.edit(AS_METADATA, "code_challenge_methods_supported", methods.clone());
        let error = found(&world).await.unwrap_err();
        assert_eq!(error, Error::NoPkce { issuer: ISSUER.to_owned() }, "{methods}");
        assert_eq!(error.remedy(), Remedy::Correct);
        // the other document is no way round
        world.page(OPENID_METADATA, as_metadata());
        assert!(found(&world).await.is_err(), "{methods}");
    }
}

#[tokio::test]
async fn a_server_without_the_code_flow_is_refused() {
    for (member, value) in [
        ("response_types_supported", json!(["token"])),
        ("grant_types_supported", json!(["client_credentials"])),
        ("authorization_endpoint", json!(null)),
        ("token_endpoint", json!(null)),
    ] {
        let world = World::new();
        world.edit(AS_METADATA, member, value);
        assert!(matches!(found(&world).await, Err(Error::Unsupported { .. })), "{member}");
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    for issuer in [
        json!("https://honest.example"),
        json!("https://as.example/"),
        json!("https://AS.example"),
        json!("https://as.example:443"),
        json!(null),
    ] {
        let world = World::new();
        world.edit(AS_METADATA, "issuer", issuer.clone());
        assert!(matches!(found(&world).await, Err(Error::IssuerMismatch { .. })), "{issuer}");
    }
}

#[tokio::test]
async fn metadata_of_another_resource_is_not_used() {
    for resource in [
        "https://evil.example/mcp",
        "https://mcp.example/other",
        "https://mcp.example/mcp/below",
        "https://mcp.example/mc",
        "http://mcp.example/mcp",
        "https://mcp.example:8443/mcp",
        "https://mcp.example/mcp#x",
        "javascript:alert(1)",
        "",
    ] {
        let world = World::new();
        world.edit(RESOURCE_METADATA, "resource", json!(resource));
        assert!(matches!(found(&world).await, Err(Error::ResourceMismatch { .. })), "{resource}");
        // what was refused is not fallen back from: the authorization server is never asked
        assert_eq!(world.asked(), [RESOURCE_METADATA, ROOT_METADATA], "{resource}");
    }
}

#[tokio::test]
async fn only_the_origin_speaks_for_the_whole_origin() {
    let world = World::new();
    world.remove(RESOURCE_METADATA);
    world.page(ROOT_METADATA, resource_metadata());
    world.edit(ROOT_METADATA, "resource", json!("https://mcp.example"));
    assert_eq!(found(&world).await.unwrap().resource(), "https://mcp.example");
    // one tenant's own document may not have tokens made out for all of the host
    world.page("https://mcp.example/mcp/metadata", resource_metadata());
    world.edit("https://mcp.example/mcp/metadata", "resource", json!("https://mcp.example"));
    let error = challenged(&world, "Bearer resource_metadata=\"https://mcp.example/mcp/metadata\"").await.unwrap_err();
    assert!(matches!(error, Error::ResourceMismatch { .. }));
}

#[tokio::test]
async fn metadata_is_asked_for_on_the_server_itself() {
    for url in [
        "https://evil.example/metadata",
        "https://mcp.example:8443/metadata",
        "https://mcp.example.evil.example/metadata",
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
        "http://mcp.example/metadata",
        "http://localhost/metadata",
        "file:///etc/passwd",
        "https://user:pw@mcp.example/metadata",
        "/metadata",
        "",
    ] {
        let world = World::new();
        let error = challenged(&world, &format!("Bearer resource_metadata=\"{url}\"")).await.unwrap_err();
        assert!(matches!(error, Error::MetadataElsewhere { .. } | Error::Address { .. }), "{url}: {error}");
        assert!(world.sent().is_empty(), "{url}");
    }
}

#[tokio::test]
async fn a_place_that_the_server_named_has_to_hold_its_metadata() {
    let world = World::new();
    let error = challenged(&world, "Bearer resource_metadata=\"https://mcp.example/gone\"").await.unwrap_err();
    assert!(matches!(error, Error::NotMetadata { .. }));
    assert_eq!(world.asked(), ["https://mcp.example/gone"]);
}

#[tokio::test]
async fn endpoints_are_https_and_nothing_else() {
    for endpoint in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        for url in [
            "javascript:alert(document.cookie)",
            "data:text/html,<script>",
            "file:///etc/passwd",
            "http://as.example/x",
            "http://127.0.0.1:9/x",
            "http://169.254.169.254/x",
            "https://user@as.example/x",
            "https://as.example/x#fragment",
            "//as.example/x",
        ] {
            let world = World::new();
            world.edit(AS_METADATA, endpoint, json!(url));
            assert!(matches!(found(&world).await, Err(Error::Address { .. })), "{endpoint} {url}");
        }
    }
    for issuer in ["http://as.example", "javascript:alert(1)", "https://as.example?x", "http://169.254.169.254"] {
        let world = World::new();
        world.edit(RESOURCE_METADATA, "authorization_servers", json!([issuer]));
        assert!(matches!(found(&world).await, Err(Error::Address { .. })), "{issuer}");
        assert_eq!(world.asked(), [RESOURCE_METADATA], "{issuer}");
    }
}

#[tokio::test]
async fn an_endpoint_brings_no_redirect_uri_of_its_own() {
    let world = World::new();
    world.edit(AS_METADATA, "authorization_endpoint", json!("https://as.example/authorize?redirect_uri=https://evil"));
    assert!(matches!(found(&world).await, Err(Error::Address { .. })));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for url in [RESOURCE_METADATA, AS_METADATA] {
        for status in [301, 302, 303, 307, 308] {
            let world = World::new();
            world.answer(url, status, &[("location", "http://169.254.169.254/latest/meta-data")], "");
            assert_eq!(found(&world).await.unwrap_err(), Error::Redirected { endpoint: url.to_owned() });
            assert_eq!(world.asked().last().unwrap(), url, "nothing is asked after it");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_not_taken_for_an_old_one() {
    for url in [RESOURCE_METADATA, AS_METADATA] {
        let world = World::new();
        world.answer(url, 503, &[("retry-after", "7")], "");
        assert_eq!(found(&world).await.unwrap_err().remedy(), Remedy::Later { after_seconds: Some(7) });
        assert_eq!(world.asked().last().unwrap(), url);
        world.recover(url);
        world.down(url);
        assert_eq!(found(&world).await.unwrap_err().remedy(), Remedy::Later { after_seconds: None });
    }
}

#[tokio::test]
async fn an_answer_is_bounded_and_pages_are_no_metadata() {
    let world = World::new();
    world.answer(RESOURCE_METADATA, 200, &[], "x".repeat(fumehood_oauth::limits::MAX_ANSWER_BYTES + 1));
    assert!(matches!(found(&world).await, Err(Error::TooLarge { .. })));
    // a page for any path, with status 200, is what many servers have
    world.answer(RESOURCE_METADATA, 200, &[], "<!doctype html>");
    world.page(ROOT_METADATA, resource_metadata());
    assert!(found(&world).await.is_ok());
    world.edit(ROOT_METADATA, "authorization_servers", json!([]));
    assert!(matches!(found(&world).await, Err(Error::NotMetadata { .. })));
}

#[tokio::test]
async fn plain_http_is_for_servers_on_this_machine() {
    let world = World::new();
    let local = "http://localhost:3000/mcp".parse().unwrap();
    let metadata = "http://localhost:3000/.well-known/oauth-protected-resource/mcp";
    world.page(
        metadata,
        json!({ "resource": "http://localhost:3000/mcp", "authorization_servers": ["http://127.0.0.1:4000"] }),
    );
    let server_metadata = "http://127.0.0.1:4000/.well-known/oauth-authorization-server";
    world.page(server_metadata, as_metadata());
    world.edit(server_metadata, "issuer", json!("http://127.0.0.1:4000"));
    world.edit(server_metadata, "token_endpoint", json!("http://127.0.0.1:4000/token"));
    assert!(discover(&world, &local, None, None).await.is_ok());
    let plain = "http://mcp.example/mcp".parse().unwrap();
    assert!(matches!(discover(&world, &plain, None, None).await, Err(Error::Address { .. })));
}

#[tokio::test]
async fn scopes_are_chosen_as_the_specification_says() {
    let world = World::new();
    let discovery = found(&world).await.unwrap();
    let registration = registration(&world, &discovery);
    let start = |discovery: &Discovery| {
        let (address, _) = begin(discovery, &registration, &callback(), discovery.scopes(), now()).unwrap();
        once(address.query_pairs().into_owned())
    };
    // the resource's scopes, the one for a refresh token that the server knows, and what that one needs
    let query = start(&discovery);
    assert_eq!(
        (query["scope"].as_str(), query["prompt"].as_str()),
        ("files:read files:list offline_access", "consent")
    );
    assert_eq!(query["resource"], SERVER);
    world.edit(AS_METADATA, "scopes_supported", json!(["openid"]));
    let query = start(&found(&world).await.unwrap());
    assert_eq!((query["scope"].as_str(), query.get("prompt")), ("files:read files:list", None));
    world.edit(RESOURCE_METADATA, "scopes_supported", json!(null));
    world.edit(AS_METADATA, "scopes_supported", json!(["openid", "offline_access"]));
    let query = start(&found(&world).await.unwrap());
    assert_eq!((query.get("scope"), query.get("prompt")), (None, None));
}
