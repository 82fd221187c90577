//! A server that wants more scopes (403, `insufficient_scope`): whether to send the user back to sign in.
//!
//! Invariant: no server can keep a user going round. It is asked for more only where the token really lacks what the
//! server names, and at most three times within an hour, whatever it says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::challenge::Challenge;
use crate::error::Error;
use crate::limits::{STEP_UP_WINDOW, STEP_UPS};
use crate::scopes::Scopes;
use crate::token::Tokens;

/// What was asked of one user for one server. To be stored with the tokens, and to outlive them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUp {
    asked: Vec<Timestamp>,
}

impl StepUp {
    /// The scopes for the next [`begin`](crate::begin): all that were asked for or granted before, and those of the
    /// challenge. Counts; store it before the user is sent anywhere.
    ///
    /// # Errors
    /// [`Error::StepUp`] where the user is not to be asked: the request has failed for good.
    pub fn next(&mut self, tokens: &Tokens, challenge: &Challenge, now: Timestamp) -> Result<Scopes, Error> {
        let refuse = |reason| Err(Error::StepUp { reason });
        if !challenge.wants_scopes() || challenge.scopes.is_empty() {
            return refuse("it does not say which: ask its operator");
        }
        if tokens.granted.covers(&challenge.scopes) {
            return refuse("the token has them already: ask its operator");
        }
        let since = now.saturating_sub(STEP_UP_WINDOW).unwrap_or(Timestamp::MIN);
        self.asked.retain(|asked| *asked > since && *asked <= now);
        if self.asked.len() >= STEP_UPS {
            return refuse("it has done so three times within an hour: wait, or ask its operator");
        }
        let scopes = tokens.requested.union(&tokens.granted).union(&challenge.scopes);
        if !scopes.covers(&challenge.scopes) {
            return refuse("they are too many");
        }
        self.asked.push(now);
        Ok(scopes)
    }
}
