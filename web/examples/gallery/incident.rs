//! Pages of one incident.

use std::error::Error;

use fumehood_web::markdown;
use fumehood_web::units::{Bytes, Count, Id};
use fumehood_web::view::bench::{Bench, Folds, Group, LogState, OverviewPage, SashState, Step, Tab, TimelinePage};
use fumehood_web::view::chat::{
    Advice, CallState, ChatPage, ModelChoice, Round, ToolCall, ToolSource, Turn, TurnState,
};
use fumehood_web::view::document::{Conflict, DocumentPage, Published, Target};
use fumehood_web::view::incidents::IncidentForm;
use fumehood_web::view::log::{
    Cut, FindingDetail, LineFinding, LogHead, LogLine, LogPage, Mark, Segment, Verdict, View, masked_segments, segments,
};
use fumehood_web::view::prompts::{PromptField, PromptRow, PromptsPage};
use fumehood_web::view::replays::{Conclusion, ReplayCall, ReplayPage, ReplayRow, ReplayedQuestion, ReplaysPage};
use fumehood_web::view::sent::{DeparturePage, SentPage};
use fumehood_web::view::whys::{Why, WhyEvidence, WhysPage};
use fumehood_web::view::{Crumb, Field, Frame, Place};

use crate::Gallery;
use crate::sample::{INCIDENT, LOG, ago, bench, departures, empty_bench, frame, id, kinds, pick, timeline};

fn top(title: &str) -> Frame {
    frame(
        title,
        Place::Incidents,
        vec![Crumb::link("Incidents", "/incidents"), Crumb::here("Checkout answers 502 for EU customers since 02:40")],
    )
}

pub fn write(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    overview(gallery)?;
    log(gallery)?;
    chat(gallery)?;
    whys(gallery)?;
    document(gallery)?;
    let page = TimelinePage {
        frame: top("Timeline"),
        bench: bench(Tab::Timeline, SashState::Open),
        events: timeline(),
        older: Some("?before=x".to_owned()),
    };
    gallery.page("timeline", &page)?;
    sent(gallery)
}

fn overview(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let step = |label: &str, detail: &str, done| Step {
        label: label.to_owned(),
        detail: detail.to_owned(),
        href: "#".to_owned(),
        done,
    };
    let page = OverviewPage {
        frame: top("Checkout answers 502"),
        bench: bench(Tab::Overview, SashState::Open),
        description: markdown::render(
            "Since **02:40 UTC** every second checkout of EU customers ends with `502 Bad Gateway`. US is fine.\n\n\
             - first alert 02:43, `payments-worker` restarts since 02:41\n- last deploy: *4.18.2* at 02:31\n\n\
             Reported by [EMAIL-1]; see the [status page](https://status.example.com).",
        ),
        category: "payments".to_owned(),
        tags: vec!["checkout".to_owned(), "eu-west-1".to_owned(), "deploy-4.18.2".to_owned()],
        owner: "Ana Kovač".to_owned(),
        created: ago(48),
        updated: ago(2),
        steps: vec![
            step("Add logs", "4 files, 7,415,889 lines", true),
            step("Review findings", "464 to review; masked until then", false),
            step("Ask the model", "3 messages, 2 tool calls", true),
            step("Find the root cause", "pool size was lowered in 4.18.2", true),
            step("Write the document", "not begun", false),
            step("Publish it", "to OPS in Confluence", false),
        ],
        form: IncidentForm { title: Field::new("Checkout answers 502"), ..IncidentForm::default() },
        editing: false,
        version: 3,
        upload_max: Bytes(8 << 30),
    };
    gallery.page("overview", &page)?;
    gallery.page("overview-edit", &OverviewPage { editing: true, ..page.clone() })?;
    let mut folded = page.clone();
    folded.bench.folds = Folds { left: true, right: true };
    folded.bench.sash = crate::sample::sash(SashState::Lowered);
    gallery.page("overview-lowered-folded", &folded)?;
    let empty = OverviewPage {
        bench: empty_bench(Tab::Overview),
        description: markdown::render(""),
        tags: Vec::new(),
        category: String::new(),
        steps: vec![
            step("Add logs", "none yet", false),
            step("Review findings", "when there is a log", false),
            step("Ask the model", "no model is set up: add one under Settings, Models", false),
            step("Find the root cause", "five whys", false),
            step("Write the document", "from the whys and the timeline", false),
            step("Publish it", "nowhere yet: add Confluence under Integrations", false),
        ],
        ..page
    };
    gallery.page("overview-empty", &empty)
}

const LINES: [&str; 8] = [
    "2026-03-04T02:40:11.204Z INFO  http    req=7f3a91c2 method=POST path=/v2/checkout user=maria.lindqvist@example.com ip=203.0.113.54 status=200 ms=182",
    "2026-03-04T02:40:11.391Z WARN  pool    wait for connection 1,804 ms (size=8 busy=8 queued=37)",
    "2026-03-04T02:40:11.744Z ERROR pay     charge failed card=4111 1111 1111 1111 holder=user:mlindqvist cause=\"pool timeout after 2000 ms\"",
    "2026-03-04T02:40:11.745Z DEBUG pay     request header Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln",
    "2026-03-04T02:40:11.746Z ERROR http    req=7f3a91c2 status=502 upstream=payments.internal:8443 ms=2011",
    "    at com.example.pay.Pool.acquire(Pool.java:214)",
    "    at com.example.pay.Charge.run(Charge.java:88)",
    "2026-03-04T02:40:12.002Z INFO  http    req=81bc0d4e method=GET path=/healthz ip=198.51.100.7 status=200 ms=1",
];

fn found(text: &str, line: &str, kind: &str, group: Group, verdict: Verdict, n: u64) -> Option<LineFinding> {
    let start = line.find(text)?;
    let about = format!("{kind} · {} · 98 %", kind.to_lowercase().replace('_', "-"));
    let mark = Mark { id: Id::new(format!("{n}")), kind: kind.to_owned(), group, verdict, about };
    Some(LineFinding { start, end: start + text.len(), mark })
}

fn lines(from: u64, count: u64, view: View) -> Vec<LogLine> {
    (from..from + count)
        .map(|number| {
            let line = pick(&LINES, number - 1).unwrap_or_default();
            let n = number * 10;
            let marks: Vec<_> = [
                found("maria.lindqvist@example.com", line, "EMAIL", Group::Structured, Verdict::Accepted, n),
                found("203.0.113.54", line, "IPV4", Group::Structured, Verdict::Accepted, n + 1),
                found("4111 1111 1111 1111", line, "CREDIT_CARD", Group::Structured, Verdict::Pending, n + 2),
                found("mlindqvist", line, "USERNAME", Group::Contextual, Verdict::Pending, n + 3),
                found(
                    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln",
                    line,
                    "BEARER_TOKEN",
                    Group::Secret,
                    Verdict::Pending,
                    n + 4,
                ),
                found("198.51.100.7", line, "IPV4", Group::Structured, Verdict::Rejected, n + 5),
            ]
            .into_iter()
            .flatten()
            .collect();
            let segments = if number == 30 {
                vec![Segment::text(format!("{{\"dump\":\"{}", "A".repeat(1_900)))]
            } else if view.is_masked() {
                masked_segments(&marks.iter().fold(line.to_owned(), |text, f| {
                    let original = line.get(f.start..f.end).unwrap_or_default();
                    if f.mark.verdict == Verdict::Rejected || original.is_empty() {
                        return text;
                    }
                    text.replace(original, &format!("[{}-{}]", f.mark.kind, 1))
                }))
            } else {
                segments(line, &marks)
            };
            let after = (number == 30).then_some(Cut { bytes: Bytes(1_258_291), at: None });
            LogLine { after, ..LogLine::new(number, segments) }
        })
        .collect()
}

fn reading(tab: Tab) -> Bench {
    let mut bench = bench(tab, SashState::Open);
    if let Some(log) = bench.evidence.logs.first_mut() {
        log.current = true;
    }
    bench
}

fn log(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let page = LogPage {
        frame: top("checkout-api.log"),
        bench: reading(Tab::Log),
        log: LogHead {
            id: Id::new(LOG),
            name: "checkout-api.log".to_owned(),
            size: Bytes(123_731_968),
            lines: Count(1_204_551),
            sha256: "c0ffee51".repeat(8),
            by: "Ana Kovač".to_owned(),
            added: ago(46),
            state: LogState::Ready,
            remarks: Vec::new(),
        },
        view: View::Original,
        lines: lines(1, 100, View::Original),
        from: 1,
        page: 100,
        whole: false,
        kinds: kinds(),
        finding: None,
    };
    gallery.page("log", &page)?;
    let masked = LogPage { view: View::Masked, lines: lines(1, 100, View::Masked), ..page.clone() };
    gallery.page("log-masked", &masked)?;
    let detail = FindingDetail {
        incident: Id::new(INCIDENT),
        log: Id::new(LOG),
        mark: Mark {
            id: Id::new("34"),
            kind: "BEARER_TOKEN".to_owned(),
            group: Group::Secret,
            verdict: Verdict::Pending,
            about: String::new(),
        },
        line: 4,
        scanner: "scanner-pii 0.1.0".to_owned(),
        detector: "authorization-header".to_owned(),
        confidence_percent: 99,
        validated: true,
        pseudonym: "[BEARER_TOKEN-1]".to_owned(),
        value: Some(("maria.keller@example.com".into(), false)),
        covered: false,
        judged: None,
        of_kind: Count(96),
        can_write: true,
    };
    let mut heavy = LogPage {
        from: 1_180_001,
        lines: lines(1_180_001, 100, View::Original),
        finding: Some(detail),
        ..page.clone()
    };
    heavy.log.remarks = vec!["12 bytes are not UTF-8 and are shown as \u{fffd}.".to_owned()];
    gallery.page("log-finding", &heavy)?;
    let mut empty = LogPage { lines: Vec::new(), kinds: Vec::new(), ..page };
    empty.log.state = LogState::Failed("The scanner ran out of time on one window of 1 MiB.".to_owned());
    empty.log.lines = Count(0);
    gallery.page("log-failed", &empty)
}

fn call(n: u32, state: CallState) -> ToolCall {
    ToolCall {
        id: id(n),
        incident: Id::new(INCIDENT),
        tool: "query_range".to_owned(),
        server: "prometheus".to_owned(),
        description: "Evaluates a PromQL query over a range of time.".to_owned(),
        arguments: markdown::plain(
            "{\n  \"query\": \"rate(http_requests_total{code=~\\\"5..\\\",customer=\\\"[EMAIL-1]\\\"}[5m])\",\n  \"step\": \"30s\"\n}",
        ),
        masked: vec![("EMAIL".to_owned(), Count(1))],
        revealed: if n.is_multiple_of(2) { vec!["HOSTNAME".to_owned()] } else { Vec::new() },
        digest: "9f1c".to_owned(),
        risk: if n.is_multiple_of(3) { "low" } else { "high" }.to_owned(),
        for_incident: n.is_multiple_of(3),
        questions: Vec::new(),
        long: false,
        sent: matches!(state, CallState::Done(_) | CallState::Failed(_)).then(|| id(62)),
        state,
        can_write: true,
    }
}

fn turn(n: u32, question: &str, answer: &str, calls: Vec<ToolCall>, state: TurnState) -> Turn {
    Turn {
        id: id(n),
        incident: Id::new(INCIDENT),
        by: "Ana Kovač".to_owned(),
        at: ago(i64::from(100 - n)),
        question: markdown::plain(question),
        model: "gpt-4.1".to_owned(),
        rounds: vec![Round { turn: id(n), number: 1, answer: markdown::render(answer), calls }],
        tokens: matches!(state, TurnState::Done).then_some((Count(4_812), Count(391))),
        cost: if n.is_multiple_of(2) { "0.0132".to_owned() } else { String::new() },
        advice: if n.is_multiple_of(2) { Advice::FixKey(Some(id(1))) } else { Advice::RaiseBudget(true) },
        state,
        sent: vec![(id(61), Bytes(18_204))],
        can_write: true,
    }
}

fn chat(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let answer = "The **connection pool** failed first. At `02:40:11.391` every one of its 8 connections was busy and 37 \
        requests queued; the first `502` follows 355 ms later.\n\n\
        1. [USERNAME-1] and [EMAIL-1] both hit the timeout of 2,000 ms.\n2. Restarts of the worker are a consequence, not the cause.\n\n\
        | version | pool size | 502 per minute |\n|---|--:|--:|\n| 4.18.1 | 64 | 0 |\n| 4.18.2 | 8 | 212 |\n\n\
        ```\nWARN pool wait for connection 1,804 ms (size=8 busy=8 queued=37)\n```\n\nShall I check whether the change is in the deploy of 02:31?";
    let sources = vec![
        ToolSource { server: "prometheus".to_owned(), tools: Ok(Count(6)) },
        ToolSource { server: "git".to_owned(), tools: Err("the program exited with status 1.".to_owned()) },
    ];
    let model = |n: u32, name: &str, chosen| ModelChoice { id: id(n), name: name.to_owned(), chosen };
    let page = ChatPage {
        models: vec![
            model(1, "claude-sonnet-4-5 at api.anthropic.com", true),
            model(2, "gpt-4.1 at api.openai.com", false),
        ],
        frame: top("Conversation"),
        bench: bench(Tab::Chat, SashState::Open),
        turns: vec![
            turn(
                85,
                "What failed first, and what followed from it?",
                answer,
                vec![call(
                    71,
                    CallState::Done(markdown::plain(
                        "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[…]}}",
                    )),
                )],
                TurnState::Done,
            ),
            turn(
                96,
                "Yes. And compare with the rate for [EMAIL-1].",
                "I ask Prometheus for the rate of errors of that customer.",
                vec![call(73, CallState::Pending(ago(-9)))],
                TurnState::Waiting,
            ),
        ],
        draft: Field::default(),
        model: Some("gpt-4.1 at api.example.com".to_owned()),
        sources: sources.clone(),
        has_prompts: true,
        spent: "12,300 of 500,000 tokens used".to_owned(),
        logs_ready: Count(2),
    };
    gallery.page("chat", &page)?;
    let mut running = page.clone();
    running.bench = bench(Tab::Chat, SashState::Sending);
    running.sources.pop();
    running.turns = vec![
        turn(90, "Which requests fail?", "", vec![], TurnState::Failed("api.example.com closed the connection before the answer was complete. Nothing was lost here, and no tool was called. Try again; if it goes on, test the model under Settings.".to_owned(), id(7))),
        turn(92, "Look at the deploys.", "I would look", vec![call(74, CallState::Denied("Jonas Weber".to_owned())), call(75, CallState::Failed("prometheus did not answer within 60 s. Nothing was changed.".to_owned())), call(76, CallState::Expired)], TurnState::Stopped("Jonas Weber".to_owned())),
        turn(98, "And now?", "The pool was", vec![call(77, CallState::Running(ago(0)))], TurnState::Running("query_range on prometheus is running".to_owned())),
    ];
    gallery.page("chat-states", &running)?;
    let mut lowered = ChatPage { turns: Vec::new(), bench: bench(Tab::Chat, SashState::Lowered), ..page.clone() };
    lowered.draft = Field::wrong("What about the card 4111…", "The sash was lowered while you wrote. Nothing left.");
    gallery.page("chat-lowered", &lowered)?;
    let field = |name: &str, description: &str, required| PromptField {
        name: name.to_owned(),
        title: name.to_owned(),
        description: description.to_owned(),
        required,
        value: String::new(),
    };
    let prompts = PromptsPage {
        frame: page.frame.clone(),
        bench: bench(Tab::Chat, SashState::Open),
        prompts: vec![PromptRow {
            server_id: id(2),
            server: "runbooks".to_owned(),
            name: "handover".to_owned(),
            title: "Hand over a component".to_owned(),
            description: "What the next shift has to know.".to_owned(),
            fields: vec![field("component", "As it is called in the runbook.", true), field("note", "", false)],
            completes: true,
            error: Some("The server answered with an error: there is no component p (-32602)".to_owned()),
        }],
        problems: vec![("git".to_owned(), "The server gave no answer within 20 s.".to_owned())],
    };
    gallery.page("prompts", &prompts)?;
    gallery.page("prompts-none", &PromptsPage { prompts: Vec::new(), problems: Vec::new(), ..prompts })?;
    replays(gallery, &page)?;
    let none = ChatPage { turns: Vec::new(), model: None, sources: Vec::new(), bench: empty_bench(Tab::Chat), ..page };
    gallery.page("chat-no-model", &none)
}

fn replays(gallery: &mut Gallery<'_>, page: &ChatPage) -> Result<(), Box<dyn Error>> {
    let row = |n: u32, state: &str| ReplayRow {
        id: id(n),
        model: "claude-sonnet-4-5".to_owned(),
        has_instructions: n == 2,
        state: state.to_owned(),
        by: "Ana Kovač".to_owned(),
        at: ago(i64::from(n)),
        tokens: (Count(9_812), Count(801)),
        cost: "0.041".to_owned(),
    };
    let list = ReplaysPage {
        frame: page.frame.clone(),
        bench: bench(Tab::Chat, SashState::Open),
        models: page.models.clone(),
        instructions: Field::default(),
        replays: vec![row(1, "running"), row(2, "done"), row(3, "failed"), row(4, "stopped")],
        questions: Count(2),
        can_write: true,
    };
    gallery.page("replays", &list)?;
    let call = |name: &str, on_record| ReplayCall {
        name: name.to_owned(),
        arguments: "{\"query\": \"rate(http_requests_total{code=~\\\"5..\\\"}[5m])\", \"step\": \"30s\"}".to_owned(),
        on_record,
    };
    let said = |model: &str, text: &str, calls| Conclusion {
        model: model.to_owned(),
        answer: (!text.is_empty()).then(|| markdown::render(text)),
        calls,
    };
    let then = "The **connection pool** was exhausted at `02:40:11`: `pool_size` was `8`, and [EMAIL-1] waited.";
    let question = |question: &str, then, again| ReplayedQuestion { question: markdown::plain(question), then, again };
    let one = ReplayPage {
        frame: page.frame.clone(),
        bench: bench(Tab::Chat, SashState::Open),
        replay: row(2, "failed"),
        problem: "The model server failed (500). It says: overloaded".to_owned(),
        instructions: "Name the three most likely causes, each with its probability.".to_owned(),
        questions: vec![
            question(
                "What failed first?",
                said("gpt-4.1", then, vec![call("mcp_prometheus_query", true)]),
                Some(said(
                    "claude-sonnet-4-5",
                    "1. Pool size 8 (0.9)\n2. A slow database (0.08)\n3. A leak of connections (0.02)",
                    vec![call("mcp_prometheus_query", true), call("mcp_git_log", false)],
                )),
            ),
            question("And why only in the EU?", said("gpt-4.1", "", Vec::new()), None),
        ],
        can_write: true,
    };
    gallery.page("replay", &one)?;
    gallery.page("replay-running", &ReplayPage { replay: row(1, "running"), problem: String::new(), ..one })
}

fn whys(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let evidence = |n: u32, from: u64, to: u64, excerpt: &str| WhyEvidence {
        id: id(n),
        log_name: "checkout-api.log".to_owned(),
        href: format!("/incidents/{INCIDENT}/logs/{LOG}?from={from}#L{from}"),
        from,
        to,
        excerpt: excerpt.to_owned(),
    };
    let why = |n: u32, question: &str, answer: &str, evidence, root| Why {
        id: id(50 + n),
        number: n,
        question: Field::new(question),
        answer: Field::new(answer),
        evidence,
        seen: String::new(),
        root,
        evidence_error: None,
        typed_log: String::new(),
        typed_lines: String::new(),
    };
    let mut last = why(4, "Why did the canary not catch it?", "", vec![], false);
    last.evidence_error = Some("The log has 1,204,551 lines; there is no line 9,999,999.".to_owned());
    let page = WhysPage {
        frame: top("Whys"),
        bench: bench(Tab::Whys, SashState::Open),
        whys: vec![
            why(
                1,
                "Why did checkout answer 502 for EU customers?",
                "Because the payment service did not answer within 2 s.",
                vec![evidence(
                    1,
                    3,
                    5,
                    "ERROR pay charge failed card=[CREDIT_CARD-1] holder=user:[USERNAME-1] cause=\"pool timeout\"",
                )],
                false,
            ),
            why(
                2,
                "Why did the payment service run out of connections?",
                "Because its pool held 8 connections for a load of about 45.",
                vec![evidence(2, 2, 2, "WARN pool wait for connection 1,804 ms (size=8 busy=8 queued=37)")],
                false,
            ),
            why(
                3,
                "Why was the pool smaller than the load?",
                "Because 4.18.2 read the size from a new setting, whose default is 8, and the old setting was no longer read.",
                vec![],
                true,
            ),
            last,
        ],
        question: Field::default(),
        answer: Field::default(),
    };
    gallery.page("whys", &page)?;
    let empty = WhysPage { whys: Vec::new(), bench: empty_bench(Tab::Whys), ..page };
    gallery.page("whys-empty", &empty)
}

fn document(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let text = "## Summary\n\nBetween 02:40 and 03:12 UTC on 4 March 2026, 48 % of checkouts in the EU failed with 502.\n\n\
        ## Root cause\n\nRelease 4.18.2 read the pool size from a new setting whose default is 8.\n\n\
        ## Timeline\n\n| UTC | event |\n|---|---|\n| 02:31 | 4.18.2 deployed |\n| 02:40 | first 502, customer [EMAIL-1] |\n| 03:12 | rolled back |\n\n\
        ## Actions\n\n- [ ] refuse to start when an old setting is still set\n- [x] alert on pool wait above 500 ms\n";
    let page = DocumentPage {
        frame: top("Document"),
        bench: bench(Tab::Document, SashState::Open),
        title: Field::new("Post-mortem: EU checkout 502, 4 March 2026"),
        markdown: Field::new(text),
        preview: markdown::render(text),
        version: Count(7),
        saved: Some((ago(4), "Ana Kovač".to_owned())),
        targets: vec![Target {
            id: id(7),
            published: false,
            conflict: false,
            service: "Confluence".to_owned(),
            space: "OPS".to_owned(),
        }],
        published: Vec::new(),
        conflict: None,
        busy: None,
        gaps: vec!["one why has no answer".to_owned()],
    };
    gallery.page("document", &page)?;
    let published = DocumentPage {
        published: vec![Published {
            url: "https://acme.atlassian.net/wiki/spaces/OPS/pages/1".to_owned(),
            title: "Post-mortem: EU checkout 502, 4 March 2026".to_owned(),
            at: ago(30),
            by: "Ana Kovač".to_owned(),
            changed_since: true,
        }],
        conflict: Some(Conflict {
            with: "Confluence".to_owned(),
            kind: "remote".to_owned(),
            theirs: Some("## Summary\n\nBetween 02:40 and 03:15 UTC, 48 % of checkouts in the EU failed.".to_owned()),
            at: Some(ago(6)),
        }),
        ..page.clone()
    };
    gallery.page("document-conflict", &published)?;
    let empty = DocumentPage {
        bench: empty_bench(Tab::Document),
        markdown: Field::default(),
        preview: markdown::render(""),
        version: Count(0),
        saved: None,
        targets: Vec::new(),
        gaps: vec!["No root cause is marked.".to_owned(), "No log was added.".to_owned()],
        ..page
    };
    gallery.page("document-empty", &empty)
}

fn sent(gallery: &mut Gallery<'_>) -> Result<(), Box<dyn Error>> {
    let page = SentPage {
        frame: top("Sent"),
        bench: bench(Tab::Sent, SashState::Open),
        departures: departures(),
        older: None,
        bare: Count(4),
        all: false,
    };
    gallery.page("sent", &page)?;
    let empty = SentPage { departures: Vec::new(), bench: empty_bench(Tab::Sent), ..page };
    gallery.page("sent-empty", &empty)?;
    let body = "{\n  \"model\": \"gpt-4.1\",\n  \"stream\": true,\n  \"messages\": [\n    {\n      \"role\": \"user\",\n      \"content\": \"user=[EMAIL-1] ip=[IPV4-1] status=502\\nAuthorization: Bearer [BEARER_TOKEN-1]\"\n    }\n  ]\n}";
    let one = DeparturePage {
        frame: top("Sent"),
        bench: bench(Tab::Sent, SashState::Open),
        departure: departures().swap_remove(0),
        request: "POST https://api.example.com/v1/chat/completions".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), "credential “Model API key”".to_owned()),
        ],
        bytes: markdown::plain(body),
        original: None,
        cut: Some((Bytes(8_192), Bytes(18_204))),
        masked: kinds().into_iter().take(3).collect(),
        sha256: "9f1c0a7b".repeat(8),
        entry: Some(Count(48_201)),
        turn: Some(id(96)),
    };
    gallery.page("departure", &one)?;
    let original = body
        .replace("[EMAIL-1]", "maria.lindqvist@example.com")
        .replace("[IPV4-1]", "203.0.113.54")
        .replace("[BEARER_TOKEN-1]", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln");
    gallery.page("departure-original", &DeparturePage { original: Some(markdown::plain(&original)), ..one })
}
