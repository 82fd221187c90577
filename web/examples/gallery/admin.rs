//! Pages outside an incident.

use std::error::Error;

use fumehood_web::markdown;
use fumehood_web::units::{Bytes, Count, Id};
use fumehood_web::view::account::{AcceptPage, SignInPage};
use fumehood_web::view::audit::{AuditFilter, AuditPage, CheckpointRow, EntryRow, Verification, Word};
use fumehood_web::view::calls::{Bar, CallLine, CallsFilter, CallsPage, Chart, StatsRow};
use fumehood_web::view::errors::{ErrorPage, KeyboardPage};
use fumehood_web::view::incidents::{Filter, IncidentForm, IncidentsPage, NewIncidentPage};
use fumehood_web::view::integrations::{ConfluenceForm, InstalledRow, IntegrationsPage, SettingField, TestResult};
use fumehood_web::view::models::{ModelForm, ModelPage, ModelRow, ModelRulesForm, ModelsPage, ProviderChoice};
use fumehood_web::view::plugins::{GrantSentence, PluginRow, PluginsPage};
use fumehood_web::view::schema::{SchemaChangePage, SchemaPage};
use fumehood_web::view::servers::{
    LogLine, ProgramView, ServerForm, ServerFormPage, ServerLog, ServerPage, ServerRow, ServersPage, SignInRefusedPage,
    SignInView, ToolDifference, ToolEvent, ToolRow,
};
use fumehood_web::view::sessions::{ClientLine, ClientsPage, SessionLine, SessionPage, SessionsFilter, SessionsPage};
use fumehood_web::view::settings::{InvitationRow, PeoplePage, PersonRow, TokenRow, TokensPage};
use fumehood_web::view::{Crumb, Field, Notice, Place, Severity, Status, Tone};

use crate::Gallery;
use crate::sample::{ago, frame, id, pick, row};

pub fn write(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    account(gallery)?;
    incidents(gallery)?;
    plugins(gallery)?;
    servers(gallery)?;
    integrations(gallery)?;
    audit(gallery)?;
    settings(gallery)?;
    for page in [
        ErrorPage::forbidden("operator"),
        ErrorPage::not_found(),
        ErrorPage::too_large("10 MB"),
        ErrorPage::wrong_host(),
        ErrorPage::internal(Id::new("0198f2a5-7e11-7a02-b00c-1f2e3d4c5b6a")),
        ErrorPage::sealed(),
    ] {
        gallery.page(&format!("error-{}", page.status), &page)?;
    }
    let keyboard = KeyboardPage { frame: frame("Keyboard", Place::Elsewhere, vec![Crumb::here("Keyboard")]) };
    gallery.page("keyboard", &keyboard)
}

fn account(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    gallery.page("sign-in", &SignInPage { next: "/incidents".to_owned(), ..SignInPage::default() })?;
    let wrong = SignInPage {
        login: Field::new("ana@example.com"),
        problem: Some("Name or password is wrong. After ten tries this address has to wait for a minute.".to_owned()),
        ..SignInPage::default()
    };
    gallery.page("sign-in-error", &wrong)?;
    gallery.page("sign-in-first", &SignInPage { first_start: true, ..SignInPage::default() })?;
    let accept = AcceptPage {
        token: "5kQ2".to_owned(),
        role: "admin".to_owned(),
        password_min: 12,
        name: Field::new("Ana Kovač"),
        password: Field::wrong("", "It has 8 characters; at least 12 are needed."),
        ..AcceptPage::default()
    };
    gallery.page("accept", &accept)?;
    gallery.page("accept-spent", &AcceptPage { spent: true, ..accept })
}

fn incidents(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    use Severity::{Critical, High, Low, Medium};
    use Status::{Closed, Investigating, Open, Resolved};
    let rows = vec![
        row(3, "Checkout answers 502 for EU customers since 02:40", Critical, Investigating, 2),
        row(4, "Payment webhooks arrive twice", High, Open, 31),
        row(5, "Search index lags four hours behind", Medium, Investigating, 130),
        row(6, "Password reset mails are not delivered to outlook.com", High, Resolved, 1_500),
        row(7, "Nightly export fails with ENOSPC", Low, Closed, 4_400),
        row(8, "TLS certificate of api.example.com ran out", Critical, Closed, 20_000),
    ];
    let list = IncidentsPage {
        frame: frame("Incidents", Place::Incidents, vec![Crumb::here("Incidents")]),
        filter: Filter::default(),
        total: Count(6),
        rows,
        any: true,
        next: None,
        first: None,
    };
    let heavy = IncidentsPage {
        rows: (0..50u32)
            .map(|n| {
                let title = if n.is_multiple_of(7) {
                    "A very long title that somebody pasted from an alert: [FIRING:14] KubePodCrashLooping production-eu-west-1 payments/worker-7d9f8b6c54-x2x9k is restarting 4.12 times / 5 minutes"
                } else {
                    "Order confirmation is slow"
                };
                row(n, title, pick(&Severity::ALL, n.into()).unwrap_or(Low), pick(&Status::ALL, u64::from(n) / 2).unwrap_or(Open), i64::from(n) * 97)
            })
            .collect(),
        total: Count(12_840),
        next: Some("/incidents?after=x".to_owned()),
        filter: Filter { status: Some(Open), ..Filter::default() },
        ..list.clone()
    };
    let none = IncidentsPage {
        rows: Vec::new(),
        filter: Filter { q: "kafka".to_owned(), severity: Some(Low), ..Filter::default() },
        ..list.clone()
    };
    gallery.page("incidents", &list)?;
    gallery.page("incidents-heavy", &heavy)?;
    gallery.page("incidents-none", &none)?;
    gallery.page("incidents-empty", &IncidentsPage { any: false, rows: Vec::new(), ..list })?;
    let crumbs = vec![Crumb::link("Incidents", "/incidents"), Crumb::here("New")];
    let new = NewIncidentPage {
        frame: frame("New incident", Place::Incidents, crumbs),
        form: IncidentForm::default(),
        categories: vec!["payments".to_owned(), "search".to_owned()],
    };
    gallery.page("incident-new", &new)?;
    let mut wrong = new;
    wrong.form.title = Field::wrong("", "An incident needs a title.");
    wrong.form.tags = Field::wrong("a,b,c", "A tag has at least two characters: “a”, “b” and “c” are too short.");
    gallery.page("incident-new-error", &wrong)
}

fn grant(may: &str, object: &str, bounds: &str, credential: Option<&str>) -> GrantSentence {
    GrantSentence {
        may: may.to_owned(),
        object: object.to_owned(),
        bounds: bounds.to_owned(),
        credential: credential.map(str::to_owned),
    }
}

fn plugins(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let plugin = |name: &str, world: &str, about: &str, grants| PluginRow {
        id: Id::new(name),
        version: "0.1.0".to_owned(),
        world: world.to_owned(),
        description: about.to_owned(),
        digest: "9f1c0a7be2d64e1fb35a2b5f0c8812d1a6a4d93b7c5e0f12b8a3f6d7e9c01234".to_owned(),
        publisher: "built in".to_owned(),
        size: Bytes(812_331),
        state: "ready".to_owned(),
        problem: None,
        grants,
        calls: Count(1_240),
        used: Some(ago(2)),
        waiting: None,
    };
    let mut confluence = plugin(
        "integration-confluence",
        "integration",
        "Publishes documents to Confluence Cloud and Data Center.",
        vec![
            grant(
                "may GET from",
                "https://acme.atlassian.net/wiki/api/v2/",
                "at most 4 MiB a call",
                Some("Confluence OPS"),
            ),
            grant(
                "may POST and PUT to",
                "https://acme.atlassian.net/wiki/api/v2/pages",
                "at most 256 KiB a call",
                Some("Confluence OPS"),
            ),
            grant("may keep notes of its own", "", "at most 4 MiB in all", None),
        ],
    );
    confluence.waiting = Some("0.2.0".to_owned());
    let mut failed = plugin("transport-stdio", "transport", "Speaks MCP with a program on this machine.", vec![]);
    failed.state = "failed".to_owned();
    failed.problem =
        Some("It did not compile within 60 s. Servers over stdio cannot be reached; everything else works.".to_owned());
    let page = PluginsPage {
        reference: String::new(),
        frame: frame("Plugins", Place::Plugins, vec![Crumb::here("Plugins")]),
        plugins: vec![
            plugin(
                "scanner-pii",
                "scanner",
                "Finds personal data and secrets in logs, prose and tool results.",
                vec![],
            ),
            plugin(
                "provider-openai",
                "provider",
                "Talks to servers with the chat-completions API.",
                vec![grant(
                    "may POST to",
                    "https://api.example.com/v1/chat/completions",
                    "at most 4 MiB a call",
                    Some("Model API key"),
                )],
            ),
            confluence,
            failed,
        ],
        waiting: vec![(Id::new("integration-desk"), "1.0.0".to_owned(), "acme".to_owned())],
        stops: Vec::new(),
        refused: vec![("old.wasm".to_owned(), "It is not signed.".to_owned())],
        policy_problem: None,
        policy_path: "/var/lib/fumehood/policy.toml".to_owned(),
        folder: "/var/lib/fumehood/plugins".to_owned(),
        error: None,
        rights: fumehood_web::view::plugins::PluginRights { manage: true, grant: true, stop: true, secrets: true },
    };
    gallery.page("plugins", &page)?;
    gallery.page("plugins-empty", &PluginsPage { plugins: Vec::new(), ..page })
}

fn servers(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let server =
        |n: u32, name: &str, transport: &str, target: &str, state: &str, reason: Option<&str>, tools| ServerRow {
            id: id(n),
            name: name.to_owned(),
            transport: transport.to_owned(),
            target: target.to_owned(),
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            tools,
            auth: if n.is_multiple_of(2) { "none".to_owned() } else { "bearer".to_owned() },
            since: ago(i64::from(n) * 7),
            about: Some(format!("mcp-server-{name} 1.2.0")),
            waiting: Count(u64::from(n == 1) * 2),
        };
    let frame_of = |crumbs| frame("MCP servers", Place::Servers, crumbs);
    let list = vec![
        server(1, "everything", "http", "https://mcp.example.com/mcp", "connected", None, Some(Count(13))),
        server(
            2,
            "git",
            "stdio",
            "/usr/local/bin/mcp-server-git --repository /srv/repo",
            "error",
            Some(
                "The program exited with status 1 after 0.2 s. Its last words: “not a git repository”. Check the arguments.",
            ),
            None,
        ),
        server(
            3,
            "prometheus",
            "http",
            "http://10.2.0.14:8080/mcp",
            "unreachable",
            Some("Connection refused. Is it running, and does it listen on that port?"),
            None,
        ),
        server(
            5,
            "notes",
            "http",
            "https://notes.example.com/mcp",
            "sign-in",
            Some("Nobody has signed in at this server. Sign in on its page."),
            None,
        ),
        server(
            6,
            "files",
            "stdio",
            "/usr/local/bin/mcp-files /srv/runbooks",
            "changed",
            Some("The program /usr/local/bin/mcp-files is not the one that was approved: what it holds has changed."),
            None,
        ),
        server(7, "wiki", "http", "https://wiki.example.com/mcp", "off", None, None),
        server(
            4,
            "time",
            "stdio",
            "/usr/local/bin/mcp-server-time",
            "pending",
            Some("Started; waiting for its first answer."),
            None,
        ),
    ];
    let page = ServersPage { frame: frame_of(vec![Crumb::here("MCP servers")]), servers: list.clone() };
    gallery.page("servers", &page)?;
    gallery.page("servers-empty", &ServersPage { servers: Vec::new(), ..page })?;
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("New")];
    let new = ServerFormPage { frame: frame_of(crumbs), id: None, transports: Vec::new(), form: ServerForm::default() };
    gallery.page("server-new", &new)?;
    let http = ServerForm {
        name: Field::new("prometheus"),
        transport: "http".to_owned(),
        url: Field::wrong("10.2.0.14:8080", "An address begins with https:// or http://."),
        auth: "api-key".to_owned(),
        header: Field::new("X-Api-Key"),
        ..ServerForm::default()
    };
    gallery.page("server-new-http", &ServerFormPage { form: http.clone(), ..new.clone() })?;
    let stored = ServerForm { url: Field::new("https://10.2.0.14:8080/mcp"), has_secret: true, ..http };
    gallery.page("server-edit", &ServerFormPage { id: Some(id(3)), form: stored, ..new })?;
    let tool = |name: &str, about: &str, refused: Option<&str>| {
        let sha256 = "9b8dc74693a734e702fb90eee35519f90ab381ed2f2d2817984007d504512dfb";
        ToolRow {
        name: name.to_owned(),
        full_name: format!("mcp_everything_{name}"),
        description: markdown::plain(about),
        schema: "{\n  \"type\": \"object\",\n  \"properties\": {\n    \"message\": { \"type\": \"string\" }\n  },\n  \"required\": [\"message\"]\n}".to_owned(),
        refused: refused.map(str::to_owned),
        standing: match name { "echo" => "changed", "get-sum" => "new", _ => "pinned" },
        rule: "ask".to_owned(),
        key: format!("{sha256} {name}"),
        sha256: sha256.to_owned(),
        warnings: if name == "get-sum" { vec!["“/description” speaks to the model: “ignore previous”.".to_owned()] } else { Vec::new() },
        differences: vec![ToolDifference {
            place: "/description".to_owned(),
            old: Some("Echoes.".to_owned()),
            new: Some(about.to_owned()),
        }],
        more: Count(0),
        decided: (name != "get-sum").then(|| ("Ana".to_owned(), ago(90))),
    }
    };
    for row in &list {
        let name = match row.state.as_str() {
            "connected" => "server",
            "error" => "server-error",
            "sign-in" => "server-sign-in",
            "changed" => "server-changed",
            "off" => "server-off",
            _ => continue,
        };
        let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here(row.name.clone())];
        let connected = row.state == "connected";
        let page = ServerPage {
            frame: frame_of(crumbs),
            server: row.clone(),
            tools: if connected {
                vec![
                    tool("echo", "Echoes back the input string.", None),
                    tool("get-sum", "Returns the sum of two numbers.", None),
                    tool(
                        "get_sum",
                        "Also a sum.",
                        Some("After lowering it has the same name as get-sum: mcp_everything_get_sum."),
                    ),
                ]
            } else {
                Vec::new()
            },
            history: vec![event(12, "", "echo", "changed")],
            older: None,
            log: Some(server_log(row.id.clone(), connected)),
            limits: "at most 600 a minute for each caller of the gateway, 60 of any one tool".to_owned(),
            program: (row.transport == "stdio").then(|| ProgramView {
                sha256: "9b8dc74693a734e702fb90eee35519f90ab381ed2f2d2817984007d504512dfb".to_owned(),
                now: (row.state == "changed").then(|| "02".repeat(32)),
            }),
            sign_in: (row.state == "sign-in").then(|| SignInView {
                shared: true,
                may: true,
                by: Some(("Ana".to_owned(), ago(90))),
                issuer: "https://login.example.com".to_owned(),
                scopes: "notes:read".to_owned(),
                wanted: "notes:write".to_owned(),
                problem: String::new(),
                others: Count(2),
            }),
        };
        gallery.page(name, &page)?;
    }
    let crumbs = vec![Crumb::link("MCP servers", "/servers"), Crumb::here("Sign-in refused")];
    let refused = SignInRefusedPage {
        frame: frame_of(crumbs),
        id: id(5),
        server: "notes".to_owned(),
        issuer: "https://login.example.com".to_owned(),
        by_person: true,
        code: "access_denied".to_owned(),
        words: "The resource owner denied the request".to_owned(),
    };
    gallery.page("server-refused", &refused)?;
    gallery.page("server-refused-by-issuer", &SignInRefusedPage { by_person: false, ..refused })?;
    gateway(gallery)
}

fn event(number: i64, server: &str, tool: &str, what: &str) -> ToolEvent {
    let one = |place: &str, old: Option<&str>, new: Option<&str>| ToolDifference {
        place: place.to_owned(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    ToolEvent {
        number,
        when: ago(number),
        server: server.to_owned(),
        tool: tool.to_owned(),
        what: what.to_owned(),
        differences: match what {
            "changed" => vec![
                one("/description", Some("Echoes."), Some("Echoes back the input string, as it came.")),
                one("/inputSchema/properties/encoding", None, Some("{\n  \"type\": \"string\"\n}")),
            ],
            _ => Vec::new(),
        },
        more: Count(0),
    }
}

fn server_log(id: Id, connected: bool) -> ServerLog {
    let line = |minutes: i64, word, tone, text: &str| LogLine { at: ago(minutes), word, tone, text: text.to_owned() };
    let lines = if connected {
        vec![
            line(1, "changed", "flag", "says that its list of tools has changed"),
            line(2, "warning", "flag", "cache: 91 % of the disk is used"),
            line(3, "closed", "plain", "the connection of an incident is closed"),
            line(4, "connected", "connected", "it offers 13 tools"),
            line(4, "connected", "connected", "the connection is open, in protocol 2025-11-25"),
            line(4, "connecting", "pending", "asking what it offers"),
        ]
    } else {
        vec![
            line(
                7,
                "failed",
                "failed",
                "The connection ended: the server exited with exit code 1. Check the server's log, then choose “Connect again” on its page.",
            ),
            line(7, "stderr", "", "fatal: not a git repository: '/srv/repo' ⟨U+001B⟩[0m"),
            line(7, "connecting", "pending", "asking what it offers"),
        ]
    };
    ServerLog { id, lines, cut: false, live: connected }
}

/// What goes through the gateway.
fn gateway(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let frame_of = |here: &str| {
        frame("MCP servers", Place::Servers, vec![Crumb::link("MCP servers", "/servers"), Crumb::here(here)])
    };
    let stats = |name: &str, calls: u64, errors: u64| StatsRow {
        name: name.to_owned(),
        href: Some("/servers/calls".to_owned()),
        calls: Count(calls),
        errors: Count(errors),
        p50: "3.1\u{a0}ms".to_owned(),
        p95: "12\u{a0}ms".to_owned(),
        p99: "87\u{a0}ms".to_owned(),
        bytes: (Bytes(calls * 310), Bytes(calls * 2_900)),
    };
    let call = |n: i64, what: &str, status: &str, message: &str| CallLine {
        id: id(60 + u32::try_from(n).unwrap_or_default()).to_string(),
        at: ago(n),
        caller: "API token …3f09ab".to_owned(),
        client: "claude-code 2.4.1".to_owned(),
        server: "everything".to_owned(),
        what: what.to_owned(),
        status: status.to_owned(),
        message: message.to_owned(),
        took: if status == "open" { String::new() } else { "4.2\u{a0}ms".to_owned() },
    };
    let calls = vec![
        call(0, "get-sum", "open", ""),
        call(1, "echo", "ok", ""),
        call(2, "get-env", "error", "it is set to ask, and a person can be asked in an incident only"),
        call(9, "echo", "timeout", "no answer within 120 s"),
        call(30, "echo", "unknown", "Fumehood was stopped before the answer was on record."),
    ];
    let bars = (0..48u32).map(|at| {
        let (height, failed) = (at * 37 % 120, if at % 11 == 0 { 8 } else { 0 });
        Bar { x: at * 20, width: 18, top: 120 - height, height, failed, title: format!("{height} calls") }
    });
    let page = CallsPage {
        frame: frame_of("Calls"),
        filter: CallsFilter { hours: 24, ..CallsFilter::default() },
        servers: vec!["everything".to_owned(), "time".to_owned()],
        all: stats("", 1_240, 7),
        chart: Chart {
            bars: bars.collect(),
            most: Count(117),
            lines: vec![("p50", "0,100 960,90".to_owned(), "87\u{a0}ms".to_owned())],
            summary: "1240 calls, 7 failed; at most 117 in one stretch".to_owned(),
            from: Some(ago(1_440)),
        },
        by_tool: vec![stats("everything echo", 1_010, 2), stats("everything get-sum", 230, 5)],
        by_client: vec![stats("claude-code 2.4.1", 1_200, 7), stats("inspector 2.12.0", 40, 0)],
        calls: calls.clone(),
        older: Some("/servers/calls?before=1".to_owned()),
        here: "/servers/calls?".to_owned(),
        gateway: "https://triage.example.com/mcp".to_owned(),
    };
    gallery.page("calls", &page)?;
    gallery.page("calls-empty", &CallsPage { all: StatsRow::default(), ..page.clone() })?;
    let narrow =
        CallsFilter { session: "s".to_owned(), session_href: "/servers/sessions/s".to_owned(), ..page.filter.clone() };
    gallery.page("calls-nothing", &CallsPage { all: StatsRow::default(), filter: narrow, ..page })?;
    let session = |n: i64, client: &str, platform: &str, open: bool, errors: u64| SessionLine {
        id: format!("019a{n:04}c0de"),
        path: format!("019a{n:04}c0de"),
        client: client.to_owned(),
        platform: platform.to_owned(),
        caller: "API token …3f09ab".to_owned(),
        protocol: "2025-11-25".to_owned(),
        began: ago(n * 40),
        last: ago(n),
        ended: (!open).then(|| ago(n)),
        calls: Count(41 * n.unsigned_abs()),
        errors: Count(errors),
        bytes: (Bytes(12_400), Bytes(1_480_000)),
    };
    let sessions = vec![
        session(1, "claude-code 2.4.1", "", true, 2),
        session(14, "Visual Studio Code 1.130.0", "vscode", true, 0),
        session(220, "a-client-with-a-very-long-name-that-somebody-gave-it 0.0.1-alpha.12+build.4711", "", false, 19),
    ];
    let page = SessionsPage {
        frame: frame_of("Sessions"),
        filter: SessionsFilter { hours: 24, ..SessionsFilter::default() },
        servers: vec!["everything".to_owned()],
        sessions: sessions.clone(),
        older: None,
    };
    gallery.page("sessions", &page)?;
    gallery.page("sessions-empty", &SessionsPage { sessions: Vec::new(), ..page.clone() })?;
    for (name, session) in
        ["session", "session-ended"].iter().zip([sessions.first(), sessions.last()].into_iter().flatten())
    {
        let by_tool = vec![stats("everything echo", 38, 2), stats("tools/list", 3, 0)];
        let page = SessionPage {
            frame: frame_of("Session"),
            session: session.clone(),
            by_tool,
            calls: calls.clone(),
            older: None,
        };
        gallery.page(name, &page)?;
    }
    let client = |name: &str, version: &str, platform: &str, calls: u64, errors: u64| ClientLine {
        version: version.to_owned(),
        platform: platform.to_owned(),
        stats: stats(name, calls, errors),
        last: ago(i64::try_from(calls).unwrap_or_default()),
    };
    let clients = ClientsPage {
        frame: frame_of("Clients"),
        filter: page.filter.clone(),
        servers: page.servers.clone(),
        clients: vec![
            client("claude-code", "2.4.1", "claude-code", 1_200, 7),
            client("inspector", "2.12.0", "inspector", 40, 0),
            client("curl-by-hand", "", "", 2, 2),
        ],
        left_out: Count(0),
        gateway: "https://triage.example.com/mcp".to_owned(),
    };
    gallery.page("clients", &clients)?;
    gallery.page("clients-empty", &ClientsPage { clients: Vec::new(), ..clients })?;
    let schema = SchemaPage {
        frame: frame_of("Schema"),
        server: String::new(),
        tool: String::new(),
        servers: vec!["everything".to_owned(), "time".to_owned()],
        events: vec![
            event(3, "everything", "echo", "changed"),
            event(5, "everything", "echo", "set to ask by Ana"),
            event(9, "time", "get_current_time", "appeared"),
        ],
        older: Some("/servers/schema?before=3".to_owned()),
    };
    gallery.page("schema", &schema)?;
    gallery.page("schema-of-a-tool", &SchemaPage { tool: "echo".to_owned(), older: None, ..schema.clone() })?;
    gallery.page("schema-empty", &SchemaPage { events: Vec::new(), ..schema })?;
    let change = SchemaChangePage {
        frame: frame_of("echo"),
        event: event(3, "everything", "echo", "changed"),
        server_href: Some(format!("/servers/{}", id(1))),
        all: "/servers/schema?server=everything&tool=echo".to_owned(),
        old: Some("{\n  \"name\": \"echo\",\n  \"description\": \"Echoes.\"\n}".to_owned()),
        new: Some(
            "{\n  \"name\": \"echo\",\n  \"description\": \"Echoes back the input string, as it came.\"\n}".to_owned(),
        ),
    };
    gallery.page("schema-change", &change)
}

fn integrations(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let page = IntegrationsPage {
        frame: frame("Integrations", Place::Integrations, vec![Crumb::here("Integrations")]),
        confluence: ConfluenceForm {
            base_url: Field::new("https://acme.atlassian.net"),
            email: Field::new("ops-bot@acme.example"),
            has_token: true,
            space: Field::new("OPS"),
            ..ConfluenceForm::default()
        },
        configured: true,
        tested: Some(TestResult {
            good: true,
            text: "Signed in as Ops Bot at Confluence Cloud; 4 spaces can be written.".to_owned(),
            at: ago(5),
        }),
        spaces: vec![("OPS".to_owned(), "Operations".to_owned())],
        installed: vec![InstalledRow {
            plugin: Id::new("acme-desk"),
            description: "Opens tickets at Desk, exactly once".to_owned(),
            state: "Not set up",
        }],
    };
    gallery.page("integrations", &page)?;
    let mut bad = page.clone();
    bad.tested = Some(TestResult {
        good: false,
        text: "acme.atlassian.net refused the token (401). Make a new one under Account, Security, API tokens."
            .to_owned(),
        at: ago(1),
    });
    bad.confluence.kind = "datacenter".to_owned();
    gallery.page("integrations-error", &bad)?;
    let empty = IntegrationsPage {
        confluence: ConfluenceForm::default(),
        configured: false,
        tested: None,
        spaces: vec![],
        installed: vec![],
        ..page
    };
    gallery.page("integrations-empty", &empty)
}

fn audit(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    const ACTIONS: [(&str, &str, &str, &str); 5] = [
        ("model.complete", "effect", "ok", "POST api.example.com, 18,204 B, 23 masked"),
        ("incident.update", "outcome", "ok", "status: open → investigating"),
        ("mcp.call", "outcome", "denied", "search_code on git"),
        ("log.add", "intent", "", "checkout-api.log"),
        ("document.publish", "outcome", "unknown", "acme.atlassian.net did not answer in time"),
    ];
    let entries = (0..40u32)
        .map(|n| {
            let (action, stage, outcome, detail) = pick(&ACTIONS, n.into()).unwrap_or_default();
            EntryRow {
                number: Count(48_210 - u64::from(n)),
                at: ago(i64::from(n) * 3),
                actor: pick(&["Ana Kovač", "plugin provider-openai", "Jonas Weber"], n.into())
                    .unwrap_or_default()
                    .to_owned(),
                action: action.to_owned(),
                object: "incident".to_owned(),
                object_id: Word::new("0198f2a4-7c1e-7d31-9b6a-3f5e8c20d714"),
                href: Some("/incidents/0198f2a4-7c1e-7d31-9b6a-3f5e8c20d714".to_owned()),
                stage: stage.to_owned(),
                outcome: outcome.to_owned(),
                intent: (stage == "outcome").then(|| Count(48_209 - u64::from(n))),
                details: vec![("note".to_owned(), Word::new(detail))],
                hash: "qL3Yb0vZk1n4mXcT9w2sQe7RfUjHgDaPpKoIiNuYtE0=".to_owned(),
            }
        })
        .collect();
    let page = AuditPage {
        frame: frame("Audit", Place::Audit, vec![Crumb::here("Audit")]),
        filter: AuditFilter::default(),
        actors: vec![("user:1".to_owned(), "Ana Kovač".to_owned()), ("operator".to_owned(), "command line".to_owned())],
        actions: ACTIONS.iter().map(|a| a.0.to_owned()).collect(),
        entries,
        total: Count(48_211),
        outcomes: ["denied", "ok", "unknown"].map(str::to_owned).to_vec(),
        older: Some("/audit?before=48171".to_owned()),
        export: "/audit/export".to_owned(),
        all_checkpoints: Count(31),
        checkpoints: vec![CheckpointRow {
            size: Count(48_192),
            root: "qL3Yb0vZk1n4mXcT9w2sQe7RfUjHgDaPpKoIiNuYtE0=".to_owned(),
            at: ago(8),
            sinks: vec!["data folder".to_owned(), "/mnt/worm/checkpoints".to_owned()],
        }],
        verification: Some(Verification {
            good: true,
            text: "48,192 entries and 31 checkpoints hold.".to_owned(),
            at: ago(12),
        }),
        verifying: None,
        origin: "fumehood.example.com/3f9c1a2b".to_owned(),
        public_key: "ed25519:Zt0cP3nQ9y1mVb8sXw4kL7eRfUjHgDaPpKoIiNuYtE0=".to_owned(),
    };
    gallery.page("audit", &page)?;
    let mut bad = page.clone();
    bad.verification = Some(Verification {
        good: false,
        text: "Entry 31,402 is not the one that checkpoint 24 covers: its hash differs. Entries before it hold. Compare with the copy of the checkpoint outside, and keep this machine as it is.".to_owned(),
        at: ago(1),
    });
    gallery.page("audit-bad", &bad)?;
    let empty = AuditPage {
        entries: Vec::new(),
        filter: AuditFilter { q: "nothing".to_owned(), ..AuditFilter::default() },
        verification: None,
        verifying: Some(Bytes(18_000_000)),
        ..page
    };
    gallery.page("audit-none", &empty)
}

fn settings(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let mut top = frame("Models", Place::Settings, vec![Crumb::link("Settings", "/settings"), Crumb::here("Models")]);
    gallery.page(
        "models-empty",
        &ModelsPage { frame: top.clone(), models: Vec::new(), rules: ModelRulesForm::default() },
    )?;
    let row = |n: u32, model: &str, plugin: &str, server: &str, state: &str| ModelRow {
        id: id(n),
        model: model.to_owned(),
        plugin: plugin.to_owned(),
        server: server.to_owned(),
        state: state.to_owned(),
        problem: if state == "Does not work" {
            "The provider refused the credential (401).".to_owned()
        } else {
            String::new()
        },
        can_rise: n > 0,
        can_sink: n < 3,
    };
    let models = vec![
        row(0, "claude-sonnet-4-5", "provider-anthropic", "api.anthropic.com", "Works"),
        row(1, "gpt-4.1", "provider-openai", "api.openai.com", "Does not work"),
        row(2, "llama3.2:latest", "provider-ollama", "127.0.0.1", "Not tested"),
        row(3, "a-deployment-with-a-name-that-goes-on-and-on-2026-11", "acme-provider", "", "Off"),
    ];
    let rules = ModelRulesForm {
        local_only: true,
        is_forced: true,
        token_budget: Field::new("2000000"),
        cost_budget: Field { error: Some("Write an amount, for example 12.50.".to_owned()), ..Field::new("much") },
    };
    gallery.page("models", &ModelsPage { frame: top.clone(), models, rules })?;
    let providers = ["provider-openai", "provider-anthropic", "provider-gemini", "provider-ollama", "acme-provider"];
    let choice = |plugin: &&str| ProviderChoice {
        plugin: (*plugin).to_owned(),
        description: "What it is for, in a line.".to_owned(),
    };
    let choices = ["chat".to_owned(), "responses".to_owned()].to_vec();
    let field = |name: &str, label: &str, choices: Vec<String>| SettingField {
        name: name.to_owned(),
        label: label.to_owned(),
        help: "What is to be written there.".to_owned(),
        optional: false,
        value: choices.first().cloned().unwrap_or_default(),
        choices,
    };
    let new = ModelPage {
        frame: top.clone(),
        id: None,
        form: ModelForm {
            plugin: "provider-openai".to_owned(),
            has_server: true,
            base_url: Field::new("https://api.openai.com/v1"),
            url_help: "With the version, as the server documents it. Requests go there and nowhere else.".to_owned(),
            url_example: "https://api.openai.com/v1".to_owned(),
            settings: vec![field("s-api", "API", choices)],
            ..ModelForm::default()
        },
        enabled: true,
        tested: None,
        providers: providers.iter().map(choice).collect(),
        known: Vec::new(),
    };
    gallery.page("model-new", &new)?;
    top.notice = Some(Notice { tone: Tone::Good, text: "The model was saved.".to_owned(), id: None });
    let set = ModelPage {
        frame: top.clone(),
        id: Some(id(1)),
        form: ModelForm {
            model: Field::new("gpt-4.1"),
            has_key: true,
            context_tokens: Field {
                error: Some("Write a number of tokens from 1000 on.".to_owned()),
                ..Field::new("many")
            },
            ..new.form.clone()
        },
        tested: Some(TestResult {
            good: false,
            text: "api.example.com says that the model “gpt-4.1” does not exist (404). It lists gpt-4.1-mini and o4."
                .to_owned(),
            at: ago(0),
        }),
        known: vec!["gpt-4.1-mini".to_owned(), "o4".to_owned()],
        ..new
    };
    gallery.page("model", &set)?;
    let person = |n: u32, name: &str, email: &str, role: &str, state: &str| PersonRow {
        id: id(n),
        name: name.to_owned(),
        email: email.to_owned(),
        role: role.to_owned(),
        state: state.to_owned(),
        seen: (state == "active").then(|| ago(i64::from(n) * 50)),
        you: n == 0,
    };
    top.notice = None;
    let people = PeoplePage {
        frame: top.clone(),
        people: vec![
            person(0, "Ana Kovač", "ana@example.com", "admin", "active"),
            person(1, "Jonas Weber", "jonas.weber@example.com", "responder", "active"),
            person(3, "Old Account", "old@example.com", "viewer", "off"),
        ],
        invitations: vec![InvitationRow {
            id: id(2),
            note: "Priya, security on call".to_owned(),
            role: "security".to_owned(),
            by: "Ana Kovač".to_owned(),
            until: ago(-900),
        }],
        note: Field::default(),
        role: String::new(),
        made_for: "Send this link.".into(),
        made: Some(("https://fumehood.example.com/sign-in/3vQ7xk2mB9nL0pYt5sWc8dRf".to_owned(), ago(-2_880))),
    };
    gallery.page("people", &people)?;
    let token = |n: u32, name: &str, revoked| TokenRow {
        id: id(n),
        name: name.to_owned(),
        role: "responder".to_owned(),
        by: "Ana Kovač".to_owned(),
        created: ago(9_000),
        expires: (n > 1).then(|| ago(-40_000)),
        expired: false,
        used: (n > 1).then(|| ago(12)),
        revoked,
    };
    let tokens = TokensPage {
        frame: top,
        tokens: vec![token(1, "ci-upload", false), token(2, "pager-bridge", false), token(3, "laptop", true)],
        name: Field::default(),
        role: String::new(),
        days: Field::new("90"),
        created: Some("fh_0198f2a5_9wK3vQ7xk2mB9nL0pYt5sWc8dRfGhJkL".to_owned()),
    };
    gallery.page("tokens", &tokens)?;
    gallery.page("tokens-empty", &TokensPage { tokens: Vec::new(), created: None, ..tokens })
}
