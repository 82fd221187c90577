//! The browser's side of Fumehood: templates, what they are filled with, and the files that they need.
//!
//! Purpose: turn plain data into pages. Invariant: this crate makes markup in three places only, the compiled
//! templates (which escape everything), [`markdown`] (the only maker of [`markdown::TrustedHtml`]), and the small value
//! types in [`units`] whose text is fixed. It has no rules of its own: who may do what is decided below it, and arrives
//! here as data.

mod api;
pub mod assets;
mod bodies;
mod guard;
mod html;
pub mod icons;
pub mod markdown;
mod mcp;
mod problem;
pub mod units;
pub mod view;

#[cfg(test)]
mod template_rules;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use fumehood_triage::App;

/// How the web is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Under which browsers reach the server, without a slash at the end.
    pub public_url: String,
    /// What the server listens on.
    pub listen: SocketAddr,
    /// How the gateway is set up.
    pub mcp: fumehood_triage::gateway::GatewaySettings,
}

/// The public URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no public URL; it looks like https://triage.example.com, without a path")]
pub struct WebError(String);

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) app: App,
    pub(crate) options: Options,
    pub(crate) mcp: fumehood_triage::gateway::McpGateway,
    hosts: Vec<String>,
}

impl Shared {
    /// Whether requests for this host (and port) are for us.
    pub(crate) fn knows_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// Everything that the server answers.
///
/// # Errors
/// Where the public URL is not one.
pub fn router(app: App, options: Options) -> Result<Router, WebError> {
    let wrong = || WebError(options.public_url.clone());
    let public = url::Url::parse(&options.public_url).map_err(|_| wrong())?;
    let url::Origin::Tuple(scheme, host, port) = public.origin() else { return Err(wrong()) };
    if !matches!(scheme.as_str(), "http" | "https") || !matches!(public.path(), "" | "/") {
        return Err(wrong());
    }
    // The port that a scheme has anyway may be named or left out.
    let plain = if scheme == "https" { 443 } else { 80 };
    let mut hosts = vec![format!("{host}:{port}"), options.listen.to_string()];
    if options.listen.ip().is_loopback() {
        hosts.push(format!("localhost:{}", options.listen.port()));
    }
    let bare = |host: &String| host.strip_suffix(&format!(":{plain}")).map(str::to_owned);
    hosts.extend(hosts.iter().filter_map(bare).collect::<Vec<_>>());
    let mcp = app.gateway(options.mcp);
    let shared = Arc::new(Shared { app, options, mcp, hosts });
    Ok(html::router()
        .merge(api::router())
        .merge(mcp::router())
        .merge(assets::router())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), guard::guard))
        .layer(axum::middleware::from_fn(bodies::bounded))
        .with_state(shared))
}
