//! Data that several pages share.

use fumehood_web::markdown;
use fumehood_web::units::{Bytes, Count, Id, Progress, When};
use fumehood_web::view::bench::*;
use fumehood_web::view::incidents::IncidentRow;
use fumehood_web::view::*;
use jiff::Timestamp;

pub const INCIDENT: &str = "0198f2a4-7c1e-7d31-9b6a-3f5e8c20d714";
pub const LOG: &str = "0198f2a5-11aa-7e02-8c4f-77d0b1e3a9c2";

pub fn now() -> Timestamp {
    "2026-03-04T03:41:12Z".parse().unwrap_or_default()
}

/// The item at a position, beginning anew at the end.
pub fn pick<T: Clone>(items: &[T], n: u64) -> Option<T> {
    let n = usize::try_from(n).unwrap_or_default();
    items.get(n % items.len().max(1)).cloned()
}

pub fn ago(minutes: i64) -> When {
    let at = Timestamp::from_second(now().as_second() - minutes * 60).unwrap_or_default();
    When::new(at, now())
}

pub fn id(n: u32) -> Id {
    Id::new(format!("0198f2a5-0000-7000-8000-{n:012x}"))
}

pub fn frame(title: &str, place: Place, crumbs: Vec<Crumb>) -> Frame {
    Frame {
        title: title.to_owned(),
        place,
        crumbs,
        person: Person { id: Id::new("u1"), name: "Ana Kovač".to_owned(), role: "admin".to_owned() },
        can: Can { write: true, operate: true, audit: true, administer: true },
        waiting: 0,
        now: now(),
        notice: None,
        query: String::new(),
    }
}

pub fn row(n: u32, title: &str, severity: Severity, status: Status, minutes: i64) -> IncidentRow {
    IncidentRow {
        id: id(n),
        title: title.to_owned(),
        severity,
        status,
        category: if n.is_multiple_of(3) { "payments".to_owned() } else { String::new() },
        tags: if n.is_multiple_of(2) { vec!["eu-west-1".to_owned(), "checkout".to_owned()] } else { Vec::new() },
        logs: Count(u64::from(n % 5)),
        pending: Count(u64::from(n * 37 % 400)),
        sash: pick(&[SashState::Open, SashState::Closed, SashState::Lowered], n.into()).unwrap_or(SashState::Open),
        updated: ago(minutes),
        owner: pick(&["Ana Kovač", "Jonas Weber", "Priya Raman"], n.into()).unwrap_or_default().to_owned(),
    }
}

pub fn kind(kind: &str, group: Group, found: u64, pending: u64, rejected: u64) -> KindCount {
    KindCount {
        kind: kind.to_owned(),
        group,
        found: Count(found),
        accepted: Count(found - pending - rejected),
        rejected: Count(rejected),
        pending: Count(pending),
        shown: true,
    }
}

pub fn kinds() -> Vec<KindCount> {
    vec![
        kind("EMAIL", Group::Structured, 1_204, 312, 2),
        kind("IPV4", Group::Structured, 981, 0, 14),
        kind("BEARER_TOKEN", Group::Secret, 96, 96, 0),
        kind("CREDIT_CARD", Group::Structured, 41, 41, 0),
        kind("USERNAME", Group::Contextual, 38, 12, 6),
        kind("CONNECTION_STRING", Group::Secret, 3, 0, 0),
        kind("IBAN", Group::Structured, 2, 2, 0),
        kind("JWT", Group::Secret, 1, 1, 0),
    ]
}

pub fn log_card(n: u32, name: &str, size: u64, lines: u64, state: LogState, kinds: Vec<KindCount>) -> LogCard {
    LogCard {
        id: if n == 0 { Id::new(LOG) } else { id(n) },
        name: name.to_owned(),
        size: Bytes(size),
        lines: Count(lines),
        state,
        kinds,
        current: false,
        added: ago(44),
    }
}

pub fn logs() -> Vec<LogCard> {
    vec![
        log_card(0, "checkout-api.log", 123_731_968, 1_204_551, LogState::Ready, kinds()),
        log_card(
            21,
            "payments-worker-eu-west-1-2026-03-04T02.json.zst",
            1_610_612_736,
            6_210_933,
            LogState::Scanning(Progress {
                done: Bytes(1_073_741_824),
                total: Some(Bytes(2_147_483_648)),
                seconds_left: Some(38),
            }),
            vec![kind("EMAIL", Group::Structured, 8_112, 8_112, 0)],
        ),
        log_card(22, "nginx-error.log", 48_211, 402, LogState::Ready, vec![]),
        log_card(
            23,
            "core.4127",
            2_048,
            3,
            LogState::Failed("It is not text: 61 % of its bytes are not UTF-8.".to_owned()),
            vec![],
        ),
    ]
}

pub fn departures() -> Vec<DepartureLine> {
    let line = |n: u32, what: &str, to: &str, bytes: u64, masked: u64, minutes: i64, outcome: &str| DepartureLine {
        id: id(n),
        what: what.to_owned(),
        to: to.to_owned(),
        bytes: Bytes(bytes),
        masked: Count(masked),
        at: ago(minutes),
        outcome: outcome.to_owned(),
    };
    vec![
        line(61, "Message 3 to the model", "api.example.com", 18_204, 23, 2, "sent"),
        line(62, "Tool call query_range", "prometheus.internal.example.com", 312, 1, 4, "sent"),
        line(63, "Message 2 to the model", "api.example.com", 14_920, 17, 9, "failed"),
        line(64, "Tool call search_code", "process mcp-server-git", 188, 0, 11, "stopped"),
        line(65, "Message 1 to the model", "api.example.com", 9_113, 12, 15, "sent"),
    ]
}

pub fn sash(state: SashState) -> Sash {
    let quiet = state == SashState::Closed;
    Sash {
        incident: Id::new(INCIDENT),
        state,
        to: (!quiet).then(|| "gpt-4.1 at api.example.com".to_owned()),
        sent: Bytes(if quiet { 0 } else { 42_737 }),
        masked: Count(if quiet { 0 } else { 53 }),
        lowered: state.is_lowered().then(|| ("Jonas Weber".to_owned(), ago(3))),
        next: (!quiet && !state.is_lowered()).then(|| NextDeparture {
            what: "Tool call query_range".to_owned(),
            to: "prometheus.internal.example.com".to_owned(),
            bytes: Bytes(312),
            masked: Count(1),
            text: markdown::plain(
                "{\n  \"query\": \"rate(http_requests_total{code=~\\\"5..\\\",customer=\\\"[EMAIL-1]\\\"}[5m])\",\n  \
                 \"start\": \"2026-03-04T02:40:00Z\",\n  \"end\": \"2026-03-04T03:20:00Z\",\n  \"step\": \"30s\"\n}",
            ),
        }),
        departures: if quiet { Vec::new() } else { departures() },
        departed: Count(if quiet { 0 } else { 5 }),
        can_write: true,
    }
}

pub fn timeline() -> Vec<TimelineEvent> {
    let event = |n: u32, minutes: i64, kind: &str, actor: &str, text: &str, href: Option<&str>| TimelineEvent {
        id: id(n),
        at: ago(minutes),
        kind: kind.to_owned(),
        text: text.to_owned(),
        actor: actor.to_owned(),
        href: href.map(str::to_owned),
    };
    vec![
        event(31, 2, "answer", "gpt-4.1", "answered with one tool call", Some("#")),
        event(32, 4, "approval", "Ana Kovač", "approved query_range on prometheus", Some("#")),
        event(33, 6, "root-cause", "Ana Kovač", "marked the root cause: pool size was lowered in 4.18.2", Some("#")),
        event(34, 9, "failure", "gpt-4.1", "did not answer: api.example.com closed the connection", Some("#")),
        event(35, 15, "message", "Ana Kovač", "asked what failed first", Some("#")),
        event(36, 21, "review", "Jonas Weber", "accepted all 981 IPV4 in checkout-api.log", Some("#")),
        event(37, 44, "log-scanned", "server", "scanned checkout-api.log: 2,366 findings", Some("#")),
        event(38, 46, "log-added", "Ana Kovač", "added checkout-api.log (118 MB)", Some("#")),
        event(39, 47, "status", "Ana Kovač", "set the status to Investigating", None),
        event(40, 48, "created", "Ana Kovač", "opened the incident", None),
    ]
}

pub fn why_lines() -> Vec<WhyLine> {
    let line =
        |n: u32, question: &str, answered, root| WhyLine { id: id(n), question: question.to_owned(), answered, root };
    vec![
        line(51, "Why did checkout answer 502 for EU customers?", true, false),
        line(52, "Why did the payment service run out of connections?", true, false),
        line(53, "Why was the pool smaller than the load?", true, true),
        line(54, "Why did the canary not catch it?", false, false),
    ]
}

pub fn bench(tab: Tab, state: SashState) -> Bench {
    Bench {
        id: Id::new(INCIDENT),
        title: "Checkout answers 502 for EU customers since 02:40".to_owned(),
        severity: Severity::Critical,
        status: Status::Investigating,
        tab,
        sash: sash(state),
        evidence: Evidence {
            logs: logs(),
            results: vec![
                ResultCard {
                    id: id(71),
                    tool: "query_range".to_owned(),
                    server: "prometheus".to_owned(),
                    size: Bytes(8_204),
                    at: ago(3),
                },
                ResultCard {
                    id: id(72),
                    tool: "get_current_time".to_owned(),
                    server: "time".to_owned(),
                    size: Bytes(96),
                    at: ago(12),
                },
            ],
        },
        whys: why_lines(),
        timeline: timeline().into_iter().take(8).collect(),
        people: vec![
            Participant { name: "Ana Kovač".to_owned(), role: "admin".to_owned(), seen: ago(0) },
            Participant { name: "Jonas Weber".to_owned(), role: "responder".to_owned(), seen: ago(3) },
        ],
        folds: Folds::default(),
        can_write: true,
    }
}

pub fn empty_bench(tab: Tab) -> Bench {
    Bench {
        title: "Login is slow".to_owned(),
        severity: Severity::Medium,
        status: Status::Open,
        evidence: Evidence::default(),
        whys: Vec::new(),
        timeline: timeline().into_iter().skip(9).collect(),
        people: vec![Participant { name: "Ana Kovač".to_owned(), role: "admin".to_owned(), seen: ago(0) }],
        ..bench(tab, SashState::Closed)
    }
}
