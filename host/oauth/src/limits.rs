//! How much of what another side says is taken in.

use jiff::SignedDuration;

/// Bytes of one answer. Whoever implements [`Http`](crate::Http) stops reading there; here it is checked once more.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Bytes of an address (endpoint, issuer, resource). Browsers and proxies stop at about this length, too.
pub const MAX_ADDRESS_BYTES: usize = 2048;

/// Bytes of one `WWW-Authenticate` value that are read; what is longer is not a challenge.
pub const MAX_CHALLENGE_BYTES: usize = 8 * 1024;

/// Challenges that are read out of one answer's headers.
pub const MAX_CHALLENGES: usize = 32;

/// Scopes in one set. What is beyond it is left out, so that an authorization address stays one that can be opened.
pub const MAX_SCOPES: usize = 128;

/// Bytes of one scope.
pub const MAX_SCOPE_BYTES: usize = 256;

/// Bytes of a set of scopes, spaces included.
pub const MAX_SCOPES_BYTES: usize = 4096;

/// Authorization servers that a resource may name.
pub const MAX_AUTHORIZATION_SERVERS: usize = 16;

/// Bytes of a client's id or secret.
pub const MAX_CLIENT_BYTES: usize = 2048;

/// Bytes of an access or a refresh token. Most header limits are twice this.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Bytes of a callback's query, and so of a code.
pub const MAX_CALLBACK_BYTES: usize = 16 * 1024;

/// Characters of what another side says in words that reach a person.
pub const MAX_WORDS: usize = 200;

/// How long a person may take to sign in.
pub const SIGN_IN: SignedDuration = SignedDuration::from_mins(10);

/// The longest life of an access token that is believed; a longer one is refreshed earlier than it asks for.
pub const MAX_LIFE_SECONDS: i64 = 366 * 24 * 60 * 60;

/// The longest wait that a `Retry-After` can ask for.
pub const MAX_RETRY_SECONDS: u64 = 24 * 60 * 60;

/// How often one server may send a user back to sign in for more scopes within [`STEP_UP_WINDOW`].
pub const STEP_UPS: usize = 3;

/// The time over which step-ups are counted.
pub const STEP_UP_WINDOW: SignedDuration = SignedDuration::from_hours(1);
