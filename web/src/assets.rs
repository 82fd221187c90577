//! The files that a page needs, compiled into the binary and served under a name that changes with their content.
//!
//! Invariant: `/assets/{hash}/{name}` answers with the bytes that `hash` was made from, or not at all. The hash covers
//! every file, so that modules can import each other by relative name and are never mixed between two releases.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// The style sheet: its parts in the order of the cascade.
const STYLE: &str = concat!(
    include_str!("../assets/css/tokens.css"),
    include_str!("../assets/css/base.css"),
    include_str!("../assets/css/frame.css"),
    include_str!("../assets/css/parts.css"),
    include_str!("../assets/css/bench.css"),
    include_str!("../assets/css/log.css"),
    include_str!("../assets/css/chat.css"),
);

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// One file: name, content type, bytes.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    body: &'static [u8],
}

macro_rules! module {
    ($name:literal) => {
        Asset { name: $name, media_type: JAVASCRIPT, body: include_bytes!(concat!("../assets/js/", $name)) }
    };
}

const ASSETS: &[Asset] = &[
    Asset { name: "app.css", media_type: "text/css; charset=utf-8", body: STYLE.as_bytes() },
    module!("app.js"),
    module!("chat.js"),
    module!("dom.js"),
    module!("drafts.js"),
    module!("editor.js"),
    module!("findings.js"),
    module!("keys.js"),
    module!("live.js"),
    module!("palette.js"),
    module!("pseudonyms.js"),
    module!("sash.js"),
    module!("times.js"),
    module!("upload.js"),
    module!("viewer.js"),
    Asset { name: "htmx.js", media_type: JAVASCRIPT, body: include_bytes!("../assets/vendor/htmx-2.0.11.min.js") },
    Asset {
        name: "htmx-LICENSE.txt",
        media_type: "text/plain; charset=utf-8",
        body: include_bytes!("../assets/vendor/htmx-LICENSE.txt"),
    },
    Asset { name: "favicon.svg", media_type: "image/svg+xml", body: include_bytes!("../assets/favicon.svg") },
];

/// The first 16 hexadecimal digits of SHA-256 over every name and content.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for asset in ASSETS {
        hasher.update(asset.name.as_bytes());
        hasher.update([0]);
        hasher.update(u64::try_from(asset.body.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(asset.body);
    }
    let mut hash = data_encoding::HEXLOWER.encode(&hasher.finalize());
    hash.truncate(16);
    hash
});

/// The address of a file, to be written into a page: `/assets/3f…/app.css`.
#[must_use]
pub fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *HASH)
}

/// Every file with its name and bytes; for tools that write pages to disk.
pub fn all() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    ASSETS.iter().map(|asset| (asset.name, asset.body))
}

/// `GET /assets/{hash}/{name}`. Needs no session: it serves nothing but what is in the released binary.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{hash}/{name}", get(serve))
}

async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let found = ASSETS.iter().find(|asset| asset.name == name).filter(|_| hash == *HASH);
    let Some(asset) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, Bytes::from_static(asset.body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn get(path: &str) -> Response {
        router::<()>().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_file_is_served_under_its_hash_only() {
        let good = get(&url("app.js")).await;
        assert_eq!(good.status(), StatusCode::OK);
        assert_eq!(good.headers()[header::CONTENT_TYPE], JAVASCRIPT);
        assert_eq!(good.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        let body = to_bytes(good.into_body(), 1 << 20).await.unwrap();
        assert_eq!(&body[..], include_bytes!("../assets/js/app.js"));
        assert_eq!(get("/assets/0000000000000000/app.js").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get(&url("nothing.js")).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn modules_import_only_what_is_served() {
        for asset in ASSETS.iter().filter(|a| a.media_type == JAVASCRIPT && a.name != "htmx.js") {
            let text = std::str::from_utf8(asset.body).unwrap();
            for line in text.lines().filter(|l| l.starts_with("import ")) {
                let name = line.split('"').nth(1).unwrap().trim_start_matches("./");
                assert!(ASSETS.iter().any(|a| a.name == name), "{} imports {name}", asset.name);
            }
        }
    }

    #[test]
    fn scripts_and_styles_need_no_relaxed_policy() {
        for asset in ASSETS.iter().filter(|a| a.name != "htmx.js") {
            let text = String::from_utf8_lossy(asset.body);
            for bad in ["eval(", "new Function", "setAttribute(\"style\"", "http://", "https://", "@import"] {
                let known = asset.name.ends_with(".txt") || asset.name.ends_with(".svg");
                assert!(known || !text.contains(bad), "{} holds {bad}", asset.name);
            }
        }
    }
}
