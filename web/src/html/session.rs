//! Who reads: the session cookie, signing in and out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use fumehood_triage::store::people::{SignInLink, User};
use fumehood_triage::{Scope, TriageError};

use super::context::notice;
use super::{PageError, page, see, wants_json};
use crate::Shared;
use crate::problem::Problem;
use crate::view::account::{AcceptPage, PasswordPage, SignInPage};
use crate::view::{Crumb, Field, Place, Tone};

/// Fewest characters of a password, as forms say it.
const PASSWORD_MIN: u32 = fumehood_triage::people::PASSWORD.0 as u32;

/// A signed-in person.
pub(crate) struct Reader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) scope: Scope,
    pub(crate) user: User,
    pub(crate) token: String,
    /// The cookie `fold`.
    pub(crate) folds: String,
    /// Calls of the gateway that wait for this person.
    pub(crate) waiting: u64,
}

/// The session's cookie: with TLS it is bound to the host by its name.
fn cookie_name(shared: &Shared) -> &'static str {
    if shared.options.public_url.starts_with("https:") { "__Host-fumehood" } else { "fumehood" }
}

/// The value of a cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn set_cookie(shared: &Shared, response: &mut Response, token: &str, max_age_s: i64) {
    let name = cookie_name(shared);
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

impl FromRequestParts<Arc<Shared>> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        let token = cookie(&parts.headers, cookie_name(shared)).unwrap_or_default();
        match shared.app.session(&token).await {
            Ok((scope, user)) => Ok(Self {
                shared: Arc::clone(shared),
                waiting: shared.app.mcp_asks_waiting(&scope).await.unwrap_or_default(),
                scope,
                user,
                token,
                folds: cookie(&parts.headers, "fold").unwrap_or_default(),
            }),
            Err(TriageError::SignedOut) if parts.method == Method::GET && !wants_json(&parts.headers) => {
                let next = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let next: String = url_encode(next);
                let ended = if token.is_empty() { "" } else { "&ended=1" };
                Err(see(&format!("/sign-in?next={next}{ended}")))
            }
            Err(error @ TriageError::SignedOut) => Err(Problem::from(error).into_response()),
            Err(error) => Err(PageError(error).into_response()),
        }
    }
}

/// Percent-encode for a query value.
pub(crate) fn url_encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// A path of this server, and nothing that a browser could take for another.
fn local(next: &str) -> &str {
    let safe = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/sign-in")
        && !next.contains(['\\', '\n', '\r', '\t']);
    if safe { next } else { "/incidents" }
}

#[derive(serde::Deserialize)]
pub(crate) struct NextQuery {
    #[serde(default)]
    next: String,
    #[serde(default)]
    ended: String,
}

pub(crate) async fn sign_in_page(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<NextQuery>,
) -> Result<Response, PageError> {
    let view = SignInPage {
        next: local(&query.next).to_owned(),
        ended: query.ended == "1",
        first_start: !shared.app.has_people().await?,
        ..SignInPage::default()
    };
    Ok(page(StatusCode::OK, &view))
}

#[derive(serde::Deserialize)]
pub(crate) struct SignIn {
    login: String,
    password: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Form(form): Form<SignIn>,
) -> Result<Response, PageError> {
    let (status, problem) = match shared.app.sign_in(&form.login, &form.password, peer.ip()).await {
        Ok(token) => {
            let mut response = see(local(&form.next));
            set_cookie(&shared, &mut response, &token, max_age());
            return Ok(response);
        }
        Err(error @ (TriageError::Invalid { .. } | TriageError::TooMany { .. })) => {
            (super::page_status(&error), error.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    let view = SignInPage {
        login: Field::new(form.login),
        problem: Some(problem),
        next: local(&form.next).to_owned(),
        ..SignInPage::default()
    };
    Ok(page(status, &view))
}

fn max_age() -> i64 {
    fumehood_triage::people::SESSION_MAX_US / 1_000_000
}

/// The form of a link; the address of one that is for an address is that one, whatever was typed.
fn accept_view(token: String, link: SignInLink, typed: String) -> AcceptPage {
    let invited = !link.email.is_empty();
    let email = Field::new(if invited { link.email } else { typed });
    let renews = link.user_id.is_some();
    AcceptPage { token, role: link.role, email, invited, renews, password_min: PASSWORD_MIN, ..AcceptPage::default() }
}

pub(crate) async fn accept_page(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
) -> Result<Response, PageError> {
    match shared.app.link(&token).await {
        Ok(link) => Ok(page(StatusCode::OK, &accept_view(token, link, String::new()))),
        Err(TriageError::NotFound { .. }) => {
            let view = AcceptPage { token, spent: true, password_min: PASSWORD_MIN, ..AcceptPage::default() };
            Ok(page(StatusCode::GONE, &view))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct Accept {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

pub(crate) async fn accept(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    Form(form): Form<Accept>,
) -> Result<Response, PageError> {
    let joined = if form.password == form.again {
        shared.app.join(&token, &form.email, &form.name, &form.password).await
    } else {
        Err(TriageError::Invalid { field: "again", message: "The two passwords differ.".into() })
    };
    let (field, message, status) = match joined {
        Ok(session) => {
            let mut response = see("/incidents");
            set_cookie(&shared, &mut response, &session, max_age());
            return Ok(response);
        }
        Err(TriageError::Invalid { field, message }) => (field, message, StatusCode::UNPROCESSABLE_ENTITY),
        Err(TriageError::Conflict(message)) => ("email", message, StatusCode::CONFLICT),
        Err(TriageError::NotFound { .. }) => {
            let view = AcceptPage { token, spent: true, password_min: PASSWORD_MIN, ..AcceptPage::default() };
            return Ok(page(StatusCode::GONE, &view));
        }
        Err(error) => return Err(error.into()),
    };
    let link = shared.app.link(&token).await?;
    let mut view = accept_view(token, link, form.email);
    view.name = Field::new(form.name);
    match field {
        "name" => view.name.error = Some(message),
        "email" => view.email.error = Some(message),
        "again" => view.again.error = Some(message),
        _ => view.password.error = Some(message),
    }
    Ok(page(status, &view))
}

fn password_page(reader: &Reader) -> PasswordPage {
    PasswordPage {
        frame: reader.frame("Your password", Place::Settings, vec![Crumb::here("Your password")]),
        email: reader.user.email.clone(),
        current: Field::default(),
        password: Field::default(),
        again: Field::default(),
        password_min: PASSWORD_MIN,
    }
}

pub(crate) async fn account(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &password_page(&reader)))
}

#[derive(serde::Deserialize)]
pub(crate) struct PasswordInput {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

pub(crate) async fn change_password(reader: Reader, Form(form): Form<PasswordInput>) -> Result<Response, PageError> {
    let mut view = password_page(&reader);
    let changed = if form.password == form.again {
        reader.app().change_password(&reader.scope, &reader.user, &reader.token, &form.current, &form.password).await
    } else {
        Err(TriageError::Invalid { field: "again", message: "The two passwords differ.".into() })
    };
    let status = match changed {
        Ok(()) => {
            view.frame.notice = notice(Tone::Good, "Your password is changed. Your sessions elsewhere are over.");
            StatusCode::OK
        }
        Err(TriageError::Invalid { field, message }) => {
            let wrong = match field {
                "current" => &mut view.current,
                "again" => &mut view.again,
                _ => &mut view.password,
            };
            wrong.error = Some(message);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(error.into()),
    };
    Ok(page(status, &view))
}

pub(crate) async fn sign_out(reader: Reader) -> Result<Response, PageError> {
    reader.shared.app.sign_out(&reader.scope, &reader.token).await?;
    let mut response = see("/sign-in");
    set_cookie(&reader.shared, &mut response, "", 0);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_paths_are_followed() {
        for bad in
            ["//evil.example", "https://evil.example", "/\\evil", "javascript:alert(1)", "", "/sign-in?next=/", "/a\nb"]
        {
            assert_eq!(local(bad), "/incidents", "{bad}");
        }
        assert_eq!(local("/incidents/1?from=2"), "/incidents/1?from=2");
    }

    #[test]
    fn cookies_are_read_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("xfumehood=1; fold=left; fumehood=abc"));
        assert_eq!(cookie(&headers, "fumehood").as_deref(), Some("abc"));
        assert_eq!(cookie(&headers, "fold").as_deref(), Some("left"));
        assert_eq!(cookie(&headers, "umehood"), None);
    }
}
