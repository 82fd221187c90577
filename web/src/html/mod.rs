//! The pages: each handler takes a request apart, calls one use case, and fills a view. No rules of its own.
//!
//! A form answers 303 to the page that shows the result, or the same page with the reason beside the field.

mod audit;
mod bench;
mod calls;
mod chat;
mod context;
mod detection;
mod document;
mod incidents;
mod integrations;
mod logs;
mod models;
mod palette;
mod plugins;
mod prompts;
mod replays;
mod schema;
mod server_log;
mod servers;
mod session;
mod sessions;
mod settings;
mod sign_ins;
mod turns;
mod waiting;
mod whys;
mod work;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use fumehood_triage::{Role, TriageError};

use crate::Shared;
use crate::problem::{Problem, status_of};
use crate::units::Id;
use crate::view::errors::ErrorPage;

/// Largest form, bytes: a document with its title.
const FORM: usize = 2 << 20;

/// All pages.
pub fn router() -> Router<Arc<Shared>> {
    let incident = Router::new()
        .route("/incidents/{id}", get(incidents::overview).post(incidents::update))
        .route("/incidents/{id}/sash", get(incidents::sash_bar).post(incidents::sash))
        .route("/incidents/{id}/evidence", get(incidents::evidence))
        .route("/incidents/{id}/timeline", get(work::timeline))
        .route("/incidents/{id}/chat", get(chat::page).post(chat::say))
        .route("/incidents/{id}/chat/stream", get(chat::stream))
        .route("/incidents/{id}/model", post(chat::choose_model))
        .route("/incidents/{id}/budget", post(chat::raise_budget))
        .route("/incidents/{id}/turns/{turn}/stop", post(chat::stop))
        .route("/incidents/{id}/turns/{turn}/retry", post(chat::retry))
        .route("/incidents/{id}/calls/{call}/approve", post(chat::approve))
        .route("/incidents/{id}/calls/{call}/deny", post(chat::deny))
        .route("/incidents/{id}/calls/{call}/ask-again", post(chat::ask_again))
        .route("/incidents/{id}/calls/{call}/result", get(chat::result))
        .route("/incidents/{id}/replays", get(replays::replays).post(replays::start))
        .route("/incidents/{id}/replays/{replay}", get(replays::replay))
        .route("/incidents/{id}/replays/{replay}/stop", post(replays::stop))
        .route("/incidents/{id}/prompts", get(prompts::prompts).post(prompts::use_prompt))
        .route("/incidents/{id}/prompts/complete", post(prompts::complete))
        .route("/incidents/{id}/questions/{question}", post(chat::answer))
        .route("/incidents/{id}/questions/{question}/open", get(chat::open_address))
        .route("/incidents/{id}/reveal", post(chat::reveal))
        .route("/incidents/{id}/whys", get(whys::whys).post(whys::add_why))
        .route("/incidents/{id}/whys/{why}", post(whys::edit_why))
        .route("/incidents/{id}/whys/{why}/evidence", post(whys::add_evidence))
        .route("/incidents/{id}/whys/{why}/evidence/{evidence}/remove", post(whys::remove_evidence))
        .route("/incidents/{id}/whys/{why}/root", post(whys::toggle_root))
        .route("/incidents/{id}/whys/{why}/remove", post(whys::remove_why))
        .route("/incidents/{id}/document", get(document::document).post(document::save_document))
        .route("/incidents/{id}/document/generate", post(document::generate))
        .route("/incidents/{id}/document/publish", post(document::publish))
        .route("/incidents/{id}/document/preview", post(document::preview))
        .route("/incidents/{id}/document/export", get(document::export))
        .route("/incidents/{id}/rules", get(detection::incident).post(detection::save_incident))
        .route("/incidents/{id}/rules/scan", post(detection::scan_again))
        .route("/incidents/{id}/rules/add", post(detection::add_incident))
        .route("/incidents/{id}/rules/try", post(detection::try_incident))
        .route("/incidents/{id}/rules/{name}/remove", post(detection::remove_incident))
        .route("/incidents/{id}/sent", get(work::sent))
        .route("/incidents/{id}/sent/{departure}", get(work::departure))
        .route("/incidents/{id}/sent/{departure}/bytes", get(work::departure_bytes))
        .route("/incidents/{id}/logs/{log}", get(logs::page))
        .route("/incidents/{id}/logs/{log}/lines", get(logs::lines))
        .route("/incidents/{id}/logs/{log}/legend", get(logs::legend))
        .route("/incidents/{id}/logs/{log}/cancel", post(logs::cancel))
        .route("/incidents/{id}/logs/{log}/remove", post(logs::remove))
        .route("/incidents/{id}/logs/{log}/findings", post(logs::judge_kind))
        .route("/incidents/{id}/logs/{log}/findings/next", get(logs::next))
        .route("/incidents/{id}/logs/{log}/findings/{finding}", get(logs::finding).post(logs::judge_one));
    let uploads = Router::new().route("/incidents/{id}/logs", post(logs::upload)).layer(DefaultBodyLimit::disable());
    let components =
        Router::new().route("/plugins", post(plugins::install)).layer(DefaultBodyLimit::max(plugins::UPLOAD));
    Router::new()
        .route("/", get(|| async { Redirect::to("/incidents") }))
        .route("/sign-in", get(session::sign_in_page).post(session::sign_in))
        .route("/sign-in/{token}", get(session::accept_page).post(session::accept))
        .route("/sign-out", post(session::sign_out))
        .route("/account", get(session::account).post(session::change_password))
        .route("/incidents", get(incidents::list).post(incidents::create))
        .route("/incidents/new", get(incidents::new))
        .route("/keyboard", get(palette::keyboard))
        .route("/palette", get(palette::palette))
        .route("/plugins", get(plugins::plugins))
        .route("/plugins/fetch", post(plugins::fetch))
        .route("/plugins/stop", post(plugins::stop))
        .route("/plugins/resume", post(plugins::resume))
        .route("/plugins/{name}", get(plugins::plugin))
        .route("/plugins/{name}/approve", post(plugins::approve))
        .route("/plugins/{name}/refuse", post(plugins::refuse))
        .route("/plugins/{name}/grant", post(plugins::grant))
        .route("/plugins/{name}/allow", post(plugins::allow))
        .route("/plugins/{name}/rollback", post(plugins::roll_back))
        .route("/plugins/{name}/remove", post(plugins::remove))
        .route("/plugins/{name}/secrets/{handle}", post(plugins::secret))
        .route("/servers", get(servers::servers).post(servers::add_server))
        .route("/servers/new", get(servers::new_server))
        .route("/servers/calls", get(calls::calls))
        .route("/servers/calls/{id}", get(calls::call))
        .route("/servers/waiting", get(waiting::waiting))
        .route("/servers/waiting/{id}/approve", post(waiting::approve))
        .route("/servers/waiting/{id}/deny", post(waiting::deny))
        .route("/servers/sessions", get(sessions::sessions))
        .route("/servers/sessions/{id}", get(sessions::session))
        .route("/servers/clients", get(sessions::clients))
        .route("/servers/schema", get(schema::schema))
        .route("/servers/schema/{number}", get(schema::change))
        .route("/servers/{id}", get(servers::server).post(servers::update_server))
        .route("/servers/{id}/edit", get(servers::edit_server))
        .route("/servers/{id}/log", get(server_log::log))
        .route("/servers/{id}/reconnect", post(servers::reconnect_server))
        .route("/servers/{id}/enable", post(servers::enable_server))
        .route("/servers/{id}/program", post(servers::approve_program))
        .route("/servers/{id}/tools", post(servers::decide_tools))
        .route("/servers/{id}/remove", post(servers::remove_server))
        .route("/servers/{id}/sign-in", post(sign_ins::begin))
        .route("/servers/{id}/sign-out", post(sign_ins::sign_out))
        .route("/servers/{id}/sign-all-out", post(sign_ins::sign_all_out))
        .route(fumehood_triage::oauth::CALLBACK, get(sign_ins::callback))
        .route(fumehood_triage::oauth::CLIENT_DOCUMENT, get(sign_ins::document))
        .route("/integrations", get(integrations::integrations))
        .route("/integrations/confluence", post(integrations::set_confluence))
        .route("/integrations/confluence/test", post(integrations::test_confluence))
        .route("/integrations/confluence/remove", post(integrations::remove_confluence))
        .route("/integrations/{plugin}", get(integrations::integration).post(integrations::set_integration))
        .route("/integrations/{plugin}/test", post(integrations::test_integration))
        .route("/integrations/{plugin}/remove", post(integrations::remove_integration))
        .route("/audit", get(audit::audit))
        .route("/audit/export", get(audit::audit_export))
        .route("/audit/verify", post(audit::audit_verify))
        .route("/settings", get(models::models))
        .route("/settings/models", get(models::models).post(models::create_model))
        .route("/settings/models/new", get(models::new_model))
        .route("/settings/models/rules", post(models::set_rules))
        .route("/settings/models/{id}", get(models::model).post(models::set_model))
        .route("/settings/models/{id}/test", post(models::test_model))
        .route("/settings/models/{id}/enable", post(models::enable_model))
        .route("/settings/models/{id}/move", post(models::move_model))
        .route("/settings/models/{id}/remove", post(models::remove_model))
        .route("/settings/detection", get(detection::house).post(detection::save_house))
        .route("/settings/detection/add", post(detection::add_house))
        .route("/settings/detection/try", post(detection::try_house))
        .route("/settings/detection/{name}/remove", post(detection::remove_house))
        .route("/settings/people", get(settings::people))
        .route("/settings/people/invite", post(settings::invite))
        .route("/settings/people/links/{id}/withdraw", post(settings::withdraw))
        .route("/settings/people/{id}/role", post(settings::set_role))
        .route("/settings/people/{id}/password", post(settings::password_link))
        .route("/settings/people/{id}/off", post(settings::person_off))
        .route("/settings/people/{id}/on", post(settings::person_on))
        .route("/settings/tokens", get(settings::tokens).post(settings::create_token))
        .route("/settings/tokens/{id}/revoke", post(settings::revoke_token))
        .merge(incident)
        .layer(DefaultBodyLimit::max(FORM))
        .merge(uploads)
        .merge(components)
        .fallback(|| async { page(StatusCode::NOT_FOUND, &ErrorPage::not_found()) })
        .layer(axum::middleware::from_fn(refusals))
}

/// What the framework refuses by itself (a method, a form that is too large or lacks a field), said on a page.
async fn refusals(request: Request, next: Next) -> Response {
    let json = wants_json(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    let said = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let bare = said.is_none_or(|kind| kind.starts_with(b"text/plain"));
    if json || !bare || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (title, text, advice) = match status {
        StatusCode::METHOD_NOT_ALLOWED => (
            "Nothing to see here",
            "This address only takes what a form sends. Nothing was changed.",
            "Go to the page that the form is on.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "Too large",
            "What was sent is larger than this page takes. Nothing was changed.",
            "Go back and send less.",
        ),
        _ => (
            status.canonical_reason().unwrap_or("Error"),
            "The server could not read what was sent. Nothing was changed.",
            "Go back, load the page again, and repeat it.",
        ),
    };
    let back = Some(("/incidents".to_owned(), "Go to incidents".to_owned()));
    let view = ErrorPage {
        status: status.as_u16(),
        title: title.into(),
        text: text.into(),
        advice: advice.into(),
        id: None,
        back,
    };
    let mut answer = page(status, &view);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, allow.clone());
    }
    answer
}

/// Render a view.
pub(crate) fn page(status: StatusCode, view: &impl Template) -> Response {
    match view.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Show where a change ended.
pub(crate) fn see(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Whether the caller is one of our scripts.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.starts_with("application/json"))
}

/// An error of a use case, as a page.
pub(crate) struct PageError(pub(crate) TriageError);

impl From<TriageError> for PageError {
    fn from(error: TriageError) -> Self {
        Self(error)
    }
}

/// The status of a page that says what went wrong. Where it was someone else's server, the page must not look as if
/// ours could not be reached: proxies put their own page in the place of a 502.
fn page_status(error: &TriageError) -> StatusCode {
    match status_of(error) {
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => StatusCode::FAILED_DEPENDENCY,
        status => status,
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = page_status(&self.0);
        let back = Some(("/incidents".to_owned(), "Go to incidents".to_owned()));
        let view = match &self.0 {
            TriageError::NotFound { .. } => ErrorPage::not_found(),
            TriageError::Forbidden(needed) => {
                let roles = Role::ALL.into_iter().filter(|role| role.may(*needed)).map(Role::as_str);
                ErrorPage::forbidden(&roles.collect::<Vec<_>>().join(" or "))
            }
            TriageError::Internal(detail) => {
                let id = uuid::Uuid::now_v7().to_string();
                tracing::error!(%detail, %id, "a request failed by a fault of our own");
                ErrorPage::internal(Id::new(id))
            }
            TriageError::SignedOut => return see("/sign-in"),
            other => ErrorPage {
                status: status.as_u16(),
                title: status.canonical_reason().unwrap_or("Error").to_owned(),
                text: other.to_string(),
                advice: "Go back, change what is named, and try again.".into(),
                id: None,
                back,
            },
        };
        let mut response = page(status, &view);
        if let TriageError::TooMany { seconds } = &self.0 {
            response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
        }
        response
    }
}

/// An error in the form that the caller reads.
pub(crate) fn failed(headers: &HeaderMap, error: TriageError) -> Response {
    if wants_json(headers) { Problem::from(error).into_response() } else { PageError(error).into_response() }
}

/// Bytes as a form carries them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An id in a path; text that is none names nothing.
pub(crate) fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, PageError> {
    text.parse().map_err(|_| PageError(TriageError::NotFound { what }))
}
