//! Errors for machines: problem details (RFC 9457).

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fumehood_triage::TriageError;
use utoipa::ToSchema as _;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

/// One problem.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `about:blank` has no more to say than `title`; ours are `urn:fumehood:…` with the code.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// The field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with a code of our own.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:fumehood:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            retry_after_s: None,
        }
    }
}

/// The status that says the same as an error of a use case.
pub fn status_of(error: &TriageError) -> StatusCode {
    match error {
        TriageError::SignedOut => StatusCode::UNAUTHORIZED,
        TriageError::Forbidden(_) => StatusCode::FORBIDDEN,
        TriageError::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        TriageError::NotFound { .. } => StatusCode::NOT_FOUND,
        TriageError::Conflict(_)
        | TriageError::WouldLeak { .. }
        | TriageError::NotSetUp { .. }
        | TriageError::OverBudget(_)
        | TriageError::Cancelled(_) => StatusCode::CONFLICT,
        TriageError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        TriageError::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        TriageError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        TriageError::Plugin(error) => match error.code() {
            "conflict" => StatusCode::CONFLICT,
            "timeout" => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        },
        TriageError::CannotOpen(_) | TriageError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<TriageError> for Problem {
    fn from(error: TriageError) -> Self {
        if let TriageError::Internal(detail) = &error {
            tracing::error!(%detail, "a request failed by a fault of our own");
        }
        let mut problem = Self::new(status_of(&error), error.code(), error.to_string());
        match &error {
            TriageError::Invalid { field, .. } if !field.is_empty() => problem.field = Some((*field).to_owned()),
            TriageError::TooMany { seconds } => problem.retry_after_s = Some(*seconds),
            _ => {}
        }
        problem
    }
}

/// What every operation may answer instead.
impl utoipa::IntoResponses for Problem {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let problem = |description: &str| {
            let schema = Ref::from_schema_name(Self::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new().description(description).content("application/problem+json", content).build()
        };
        [
            ("4XX", "The request cannot be carried out as it is: `detail` says why and what to do, `field` where"),
            ("5XX", "It went wrong on this side or further on: `detail` says what, and whether to ask again"),
        ]
        .map(|(status, description)| (status.to_owned(), problem(description).into()))
        .into()
    }
}

/// Bytes of a framework's refusal that are taken over as the detail.
const REFUSAL_BYTES: usize = 4096;

/// Turn what the framework refuses by itself (a wrong method, type or length, JSON that cannot be read) into a problem.
pub async fn refusals(response: Response) -> Response {
    let status = response.status();
    let json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/problem+json");
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(json);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = axum::body::to_bytes(body, REFUSAL_BYTES).await.unwrap_or_default();
    let detail = match (status, std::str::from_utf8(&said).unwrap_or_default().trim()) {
        (StatusCode::METHOD_NOT_ALLOWED, _) => "This address does not take that method; see /api/v1/openapi.json.",
        (_, "") => "The request was refused; see /api/v1/openapi.json.",
        (_, said) => said,
    };
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        status if status.is_server_error() => "internal",
        _ => "invalid",
    };
    let mut problem = Problem::new(status, code, detail).into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
