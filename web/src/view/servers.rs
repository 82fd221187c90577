//! MCP servers.

use askama::Template;

use super::{Field, Frame};
use crate::markdown::TrustedHtml;
use crate::units::{Count, Id, When};

/// An MCP server in the list.
#[derive(Clone, Debug)]
pub struct ServerRow {
    /// For the address `/servers/{id}`.
    pub id: Id,
    /// The name.
    pub name: String,
    /// `stdio`, `http` or `sse`.
    pub transport: String,
    /// The command line or the URL.
    pub target: String,
    /// `pending`, `connected`, `sign-in`, `changed`, `unreachable` or `error`; `off` where it is switched off.
    pub state: String,
    /// What happened and what to do; for all states but `connected`.
    pub reason: Option<String>,
    /// Tools, while connected.
    pub tools: Option<Count>,
    /// `none`, `API key`, `bearer`, or who signs in.
    pub auth: String,
    /// Since when it is in that state.
    pub since: When,
    /// What the server says that it is: `mcp-server-time 1.2.0`.
    pub about: Option<String>,
    /// Tools that wait for a person.
    pub waiting: Count,
}

impl ServerRow {
    /// The word for its state.
    #[must_use]
    pub fn state_label(&self) -> &'static str {
        match self.state.as_str() {
            "connected" => "Connected",
            "pending" => "Connecting",
            "unreachable" => "Unreachable",
            "sign-in" => "Sign-in needed",
            "changed" => "Program changed",
            "off" => "Switched off",
            _ => "Error",
        }
    }

    /// Whether it will change by itself: then the page asks again every two seconds.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == "pending"
    }

    /// Whether nothing is wrong but that somebody has to sign in there.
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        self.state == "sign-in"
    }

    /// Whether it is switched off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state == "off"
    }

    /// The icon beside its reason.
    #[must_use]
    pub fn mark(&self) -> &'static str {
        if self.needs_sign_in() { "key" } else { "incident" }
    }
}

/// `GET /servers`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/servers.html")]
pub struct ServersPage {
    /// The frame.
    pub frame: Frame,
    /// By name.
    pub servers: Vec<ServerRow>,
}

impl ServersPage {
    /// Whether one of them will change by itself.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.servers.iter().any(ServerRow::is_pending)
    }
}

/// The fields of a server.
#[derive(Clone, Debug, Default)]
pub struct ServerForm {
    /// 1 to 40 characters; becomes part of the tools' names.
    pub name: Field,
    /// `stdio`, `http` or `sse`; empty is `stdio`.
    pub transport: String,
    /// The transport plugin; empty for the one that ships.
    pub plugin: Field,
    /// An absolute path.
    pub command: Field,
    /// One argument a line.
    pub arguments: Field,
    /// `https://…`.
    pub url: Field,
    /// `none`, `api-key`, `bearer`, `oauth` or `oauth-each`; empty is `none`.
    pub auth: String,
    /// The header of an API key: `X-Api-Key`.
    pub header: Field,
    /// Write-only: always empty here, carries the error.
    pub secret: Field,
    /// A secret is stored; an empty field keeps it.
    pub has_secret: bool,
}

/// `GET /servers/new`, which posts to `/servers`, and `GET /servers/{id}/edit`, which posts to `/servers/{id}`: `name`,
/// `transport`, `plugin`, `command`, `arguments`, `url`, `auth`, `header`, `secret`. Success answers 303 to `/servers/{id}`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/server_form.html")]
pub struct ServerFormPage {
    /// The frame.
    pub frame: Frame,
    /// The server that is changed; nothing for a new one.
    pub id: Option<Id>,
    /// Transports that were installed, each with what it speaks: `stdio`, `http`.
    pub transports: Vec<(String, String)>,
    /// What was typed, or is stored.
    pub form: ServerForm,
}

/// Sign-ins at a server, as far as this reader is concerned.
#[derive(Clone, Debug, Default)]
pub struct SignInView {
    /// One is for everybody.
    pub shared: bool,
    /// Whether the reader may sign in.
    pub may: bool,
    /// Who has signed in, and when; nothing where nobody has.
    pub by: Option<(String, When)>,
    /// Who gives the tokens.
    pub issuer: String,
    /// What was granted, with blanks between.
    pub scopes: String,
    /// What the server asked for since; empty for nothing.
    pub wanted: String,
    /// Why it is good for nothing any more; empty while it is good.
    pub problem: String,
    /// Others who have signed in for themselves.
    pub others: Count,
}

/// `POST /servers/{id}/sign-in`: where the browser goes next, or what has to be typed first (`client_id`,
/// `client_secret`, posted to the same address).
#[derive(Clone, Debug, Template)]
#[template(path = "admin/server_sign_in.html")]
pub struct SignInPage {
    /// The frame.
    pub frame: Frame,
    /// The server.
    pub id: Id,
    /// Its name.
    pub server: String,
    /// The issuer's address for the browser; empty where a client is needed first.
    pub url: String,
    /// Who gives the tokens.
    pub issuer: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Where the browser comes back to.
    pub back: String,
    /// Why a client is needed.
    pub reason: String,
    /// What was typed.
    pub client_id: Field,
}

/// How a sign-in at a server was refused, as the browser comes back to `GET /oauth/callback`.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/server_refused.html")]
pub struct SignInRefusedPage {
    /// The frame.
    pub frame: Frame,
    /// The server.
    pub id: Id,
    /// Its name.
    pub server: String,
    /// Who gives the tokens.
    pub issuer: String,
    /// It was a person who said no.
    pub by_person: bool,
    /// The issuer's code for the reason.
    pub code: String,
    /// The issuer's words, hidden characters shown.
    pub words: String,
}

/// A line of what goes on with a server.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When.
    pub at: When,
    /// What it is: `connected`, `stderr`, `warning`.
    pub word: &'static str,
    /// The class of the word.
    pub tone: &'static str,
    /// A stranger's text on one line, hidden characters shown.
    pub text: String,
}

/// What goes on with a server, newest first.
#[derive(Clone, Debug)]
pub struct ServerLog {
    /// The server.
    pub id: Id,
    /// Newest first.
    pub lines: Vec<LogLine>,
    /// There are older ones that are not shown.
    pub cut: bool,
    /// The part asks again by itself.
    pub live: bool,
}

/// `GET /servers/{id}/log`: the part of the page of a server, by itself. `live=1` makes it ask again.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/server_log.html")]
pub struct ServerLogFragment {
    /// What is in it.
    pub log: ServerLog,
}

/// What changed in a tool since somebody decided about it.
#[derive(Clone, Debug)]
pub struct ToolDifference {
    /// A JSON pointer, hidden characters shown; `(all of it)` for the whole.
    pub place: String,
    /// Nothing where it was added.
    pub old: Option<String>,
    /// Nothing where it was removed.
    pub new: Option<String>,
}

/// A line of the history of a server's tools.
#[derive(Clone, Debug)]
pub struct ToolEvent {
    /// For the address `/servers/schema/{number}`.
    pub number: i64,
    /// When.
    pub when: When,
    /// The server, by its short name; empty where it goes without saying.
    pub server: String,
    /// The tool, hidden characters shown.
    pub tool: String,
    /// In words: `changed`, `set to ask by Ada`.
    pub what: String,
    /// Between the two objects that are kept.
    pub differences: Vec<ToolDifference>,
    /// Differences that are not listed.
    pub more: Count,
}

/// A tool of a server.
#[derive(Clone, Debug)]
pub struct ToolRow {
    /// The server's own name for it.
    pub name: String,
    /// What the model sees: `mcp_time_get_current_time`.
    pub full_name: String,
    /// By [`crate::markdown::plain`]: a server's text is data.
    pub description: TrustedHtml,
    /// JSON Schema, laid out.
    pub schema: String,
    /// Why it is not offered: its name collides with another's.
    pub refused: Option<String>,
    /// `pinned`, `new`, `changed` or `gone`.
    pub standing: &'static str,
    /// `allow`, `ask` or `deny`.
    pub rule: String,
    /// What a decision names: the pin of what is shown, a blank, and the name.
    pub key: String,
    /// The pin of what is shown.
    pub sha256: String,
    /// What a person should look at, in sentences.
    pub warnings: Vec<String>,
    /// Since somebody decided about it.
    pub differences: Vec<ToolDifference>,
    /// Differences that are not listed.
    pub more: Count,
    /// Who decided about it, and when.
    pub decided: Option<(String, When)>,
}

impl ToolRow {
    /// Whether a person has to look at it before it is offered.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self.standing, "new" | "changed")
    }
}

/// The program of a server over stdio, as it was approved.
#[derive(Clone, Debug)]
pub struct ProgramView {
    /// SHA-256 of what it held then; empty where nobody has approved it.
    pub sha256: String,
    /// SHA-256 of what it holds now, where that is something else.
    pub now: Option<String>,
}

/// `GET /servers/{id}`. Posts: `/servers/{id}/reconnect`; `/servers/{id}/enable` with `enabled` (`yes` or `no`);
/// `/servers/{id}/program` with the `sha256` that was shown; `/servers/{id}/sign-in` and `/servers/{id}/sign-out`; `/servers/{id}/remove` (303 to `/servers`);
/// `/servers/{id}/tools` with `rule` and a `tool` (its key) for each that is decided about.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/server.html")]
pub struct ServerPage {
    /// The frame.
    pub frame: Frame,
    /// The server.
    pub server: ServerRow,
    /// Those that wait first, then by name.
    pub tools: Vec<ToolRow>,
    /// How they changed, newest first.
    pub history: Vec<ToolEvent>,
    /// Leads to all changes, where there are more.
    pub older: Option<String>,
    /// What goes on with it; nothing for whoever may not read logs.
    pub log: Option<ServerLog>,
    /// How often its tools may be called, in words; empty for any number.
    pub limits: String,
    /// Where a program is started for it.
    pub program: Option<ProgramView>,
    /// Where somebody signs in there in the browser.
    pub sign_in: Option<SignInView>,
}

impl ServerPage {
    /// Tools that wait and about which there is nothing to warn: they can be decided about together.
    #[must_use]
    pub fn plain(&self) -> Vec<&ToolRow> {
        self.tools.iter().filter(|tool| tool.waits() && tool.warnings.is_empty() && tool.refused.is_none()).collect()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> Count {
        Count(self.tools.iter().filter(|tool| tool.waits()).count() as u64)
    }
}
