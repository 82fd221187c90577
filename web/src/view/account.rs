//! Signing in, accounts and passwords.

use askama::Template;

use super::{Field, Frame};

/// `GET /sign-in`. Posts to `/sign-in`: `login`, `password`, `next`. Success answers 303 to `next`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "account/sign_in.html")]
pub struct SignInPage {
    /// An e-mail address.
    pub login: Field,
    /// Why it did not work; the same words whether the account exists or not.
    pub problem: Option<String>,
    /// Where to go afterwards; a path of this server, checked by the handler.
    pub next: String,
    /// The session that the browser has is over.
    pub ended: bool,
    /// No account exists yet: the page says where to find the sign-in link.
    pub first_start: bool,
}

/// `GET /sign-in/{token}`: the one-time link, for the first administrator and for invited people.
/// Posts to the same address: `name`, `email`, `password`, `again`. Success answers 303 to `/incidents`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "account/accept.html")]
pub struct AcceptPage {
    /// The token from the address; goes into the form's action.
    pub token: String,
    /// The link sets a new password for an account that there is.
    pub renews: bool,
    /// The password again; only its error is kept.
    pub again: Field,
    /// The link is for this e-mail address, which cannot be changed.
    pub invited: bool,
    /// The role that the account will have: `admin`, …
    pub role: String,
    /// The link has been used, or has run out. Then no form is shown.
    pub spent: bool,
    /// What other people see.
    pub name: Field,
    /// For signing in by e-mail address.
    pub email: Field,
    /// Never filled; carries the error.
    pub password: Field,
    /// Fewest characters of a password.
    pub password_min: u32,
}

impl AcceptPage {
    /// What a password has to be.
    #[must_use]
    pub fn password_hint(&self) -> String {
        hint(self.password_min)
    }
}

fn hint(password_min: u32) -> String {
    format!("At least {password_min} characters. A sentence is good.")
}

/// `GET /account`: the reader's own password. Posts to itself: `current`, `password`, `again`; answers with the page.
#[derive(Clone, Debug, Template)]
#[template(path = "account/password.html")]
pub struct PasswordPage {
    /// The frame.
    pub frame: Frame,
    /// Whose password it is, for password managers.
    pub email: String,
    /// Only errors are kept.
    pub current: Field,
    /// See `current`.
    pub password: Field,
    /// See `current`.
    pub again: Field,
    /// Fewest characters.
    pub password_min: u32,
}

impl PasswordPage {
    /// What a password has to be.
    #[must_use]
    pub fn password_hint(&self) -> String {
        hint(self.password_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_read_back() {
        let page = AcceptPage { password: Field::wrong("hunter2hunter2", "Too common."), ..AcceptPage::default() };
        let html = page.render().unwrap();
        assert!(html.contains("Too common.") && !html.contains("hunter2"));
    }

    #[test]
    fn what_was_typed_is_kept_and_escaped() {
        let page = SignInPage { login: Field::new("\"><script>"), ..SignInPage::default() };
        let html = page.render().unwrap();
        assert!(html.contains("value=\"&#34;&#62;&#60;script&#62;\""), "{html}");
    }
}
