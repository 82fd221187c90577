//! Who calls the API: a bearer token, and nothing else. A cookie is not looked at.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use fumehood_triage::{Scope, TriageError};

use crate::Shared;
use crate::problem::Problem;

/// The caller of an operation.
pub struct Caller(pub Scope);

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        Self::by(shared, parts.headers.get(header::AUTHORIZATION)).await
    }
}

impl Caller {
    /// Whose token a header brings.
    ///
    /// # Errors
    /// What to send instead.
    pub async fn by(shared: &Shared, authorization: Option<&HeaderValue>) -> Result<Self, Problem> {
        let token = authorization.and_then(|value| value.to_str().ok());
        let token =
            token.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "signed-out",
                "Send an API token as `Authorization: Bearer …`. `fumehood token create --role ROLE` makes one.",
            ));
        };
        match shared.app.bearer(token.trim()).await {
            Ok(scope) => Ok(Self(scope)),
            Err(TriageError::SignedOut) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "signed-out",
                "The API token is not known, has run out or was revoked. `fumehood token create --role ROLE` makes a new one.",
            )),
            Err(error) => Err(error.into()),
        }
    }
}

/// A JSON body whose errors are problem details.
pub struct Body<T>(pub T);

impl<T: serde::de::DeserializeOwned> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, shared).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(error) => Err(rejected(&error)),
        }
    }
}

fn rejected(error: &JsonRejection) -> Problem {
    let status = match error {
        JsonRejection::JsonDataError(_) => StatusCode::UNPROCESSABLE_ENTITY,
        other => other.status(),
    };
    with_field(Problem::new(status, "invalid", error.body_text()))
}

/// The framework's sentences end in `: FIELD: what is wrong` where a field is to blame.
fn with_field(mut problem: Problem) -> Problem {
    let is_name =
        |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_[].".contains(&b));
    problem.field = problem.detail.split(": ").nth(1).filter(is_name).map(str::to_owned);
    problem
}

/// A number within the bounds that the description of the API names.
pub fn within(field: &'static str, value: Option<usize>, least: usize, most: usize) -> Result<Option<usize>, Problem> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(TriageError::Invalid { field, message: format!("`{field}` is from {least} to {most}.") }.into())
        }
        value => Ok(value),
    }
}

/// A path or query parameter whose errors are problem details.
pub struct Checked<T>(pub T);

impl<T> FromRequestParts<Arc<Shared>> for Checked<axum::extract::Query<T>>
where
    T: serde::de::DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, shared).await {
            Ok(query) => Ok(Self(query)),
            Err(error) => Err(with_field(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.body_text()))),
        }
    }
}

/// An id in a path; text that is none names nothing.
pub fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| TriageError::NotFound { what }.into())
}
