//! The client's half of OAuth 2.1 for MCP servers (MCP specification 2026-07-28, authorization).
//!
//! Invariant: no input from a server, an authorization server or a browser makes this client send a code, a token or a
//! secret to anybody but the authorization server that it was made for; and what is not certain is refused, with a text
//! that says why. There is no network in here, no clock and no store: requests go through [`Http`], the time is an
//! argument, and everything that has to outlive a request is data that the caller keeps, encrypted.
//!
//! The way of a sign-in: a server answers 401, [`Challenge::parse`] reads why; [`discover`] finds the authorization
//! server; [`register`] sees to a [`Registration`] with it; [`begin`] gives the address for the browser and a
//! [`Pending`] to keep; [`finish`] takes what the browser brings back and gives [`Tokens`];
//! [`Tokens::authorization`] is the header for requests. Before they run out, [`refresh`] renews them; when the server
//! wants more scopes, [`StepUp::next`] says what to [`begin`] with. [`Error::remedy`] says what helps.

mod address;
mod authorize;
mod callback;
mod challenge;
mod client;
mod discovery;
mod error;
mod exchange;
mod http;
pub mod limits;
mod metadata;
mod registration;
mod remedy;
mod resource;
mod scopes;
mod secret;
mod step_up;
mod text;
mod token;

pub use authorize::{Pending, begin};
pub use challenge::{BearerError, Challenge};
pub use client::Client;
pub use discovery::{Discovery, discover};
pub use error::Error;
pub use exchange::{finish, refresh};
pub use http::{Http, HttpError};
pub use metadata::{AuthMethod, AuthorizationServer};
pub use registration::{Registration, RegistrationKind, register};
pub use remedy::{Held, Remedy};
pub use scopes::Scopes;
pub use step_up::StepUp;
pub use token::{TokenRefusal, Tokens};
