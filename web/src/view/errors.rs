//! Pages for what went wrong.

use askama::Template;

use crate::units::Id;

/// Any error, for readers with a session or without: it stands alone, because what fills the frame may have failed.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a few words.
    pub title: String,
    /// What happened, and what was not affected.
    pub text: String,
    /// What to do.
    pub advice: String,
    /// Leads to the log entry.
    pub id: Option<Id>,
    /// Where to go: address and words.
    pub back: Option<(String, String)>,
}

impl ErrorPage {
    /// 403.
    #[must_use]
    pub fn forbidden(needs: &str) -> Self {
        Self {
            status: 403,
            title: "Not allowed".to_owned(),
            text: "Your role does not allow this. Nothing was changed.".to_owned(),
            advice: format!("It needs the role {needs}. An administrator can give it to you under Settings, People."),
            id: None,
            back: Some(("/incidents".to_owned(), "Go to incidents".to_owned())),
        }
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self {
            status: 404,
            title: "Not found".to_owned(),
            text: "There is nothing at this address, or your role does not let you see it.".to_owned(),
            advice: "Check the address, or search for the incident by its title.".to_owned(),
            id: None,
            back: Some(("/incidents".to_owned(), "Go to incidents".to_owned())),
        }
    }

    /// 413; `limit` as text, `10 MB`.
    #[must_use]
    pub fn too_large(limit: &str) -> Self {
        Self {
            status: 413,
            title: "Too large".to_owned(),
            text: format!("What was sent is over the limit of {limit}. None of it was kept."),
            advice: "Send less at once; split a log into parts and add them one by one.".to_owned(),
            id: None,
            back: None,
        }
    }

    /// 421.
    #[must_use]
    pub fn wrong_host() -> Self {
        Self {
            status: 421,
            title: "Wrong address".to_owned(),
            text: "The name in the address bar is not the one that this server was started with. Nothing was read or \
                   changed."
                .to_owned(),
            advice: "Open it by the address that it printed at start, or start it with the public URL that you use."
                .to_owned(),
            id: None,
            back: None,
        }
    }

    /// 500.
    #[must_use]
    pub fn internal(id: Id) -> Self {
        Self {
            status: 500,
            title: "Something failed here".to_owned(),
            text: "The server could not finish this. What was saved before is safe, and nothing has left.".to_owned(),
            advice: "Try again. If it happens again, give the id below to whoever runs this server.".to_owned(),
            id: Some(id),
            back: Some(("/incidents".to_owned(), "Go to incidents".to_owned())),
        }
    }

    /// 503: there is no key, so nothing can be read.
    #[must_use]
    pub fn sealed() -> Self {
        Self {
            status: 503,
            title: "Sealed".to_owned(),
            text: "The server has no master key, so nothing that is stored can be read. Nothing is lost.".to_owned(),
            advice: "Whoever runs this server has to give it the key (the key file, the environment, or the \
                     passphrase) and start it again."
                .to_owned(),
            id: None,
            back: None,
        }
    }
}

/// `GET /keyboard`: the sheet as a page, for readers without scripts.
#[derive(Clone, Debug, Template)]
#[template(path = "keyboard.html")]
pub struct KeyboardPage {
    /// The frame.
    pub frame: super::Frame,
}

/// One result of the palette.
#[derive(Clone, Debug)]
pub struct PaletteItem {
    /// Where it leads.
    pub href: String,
    /// What it is.
    pub text: String,
    /// What kind: `Incident`, `Log`, `Page`.
    pub kind: String,
}

/// `GET /palette?q=`: at most twelve `<li>` for the palette, best first; nothing around them.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/palette.html")]
pub struct PaletteFragment {
    /// The results.
    pub items: Vec<PaletteItem>,
}
