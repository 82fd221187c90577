//! Sending, against a collector that answers as it is told: what goes when, what is tried again, and what is counted.
//! Time is tokio's, paused, so that minutes pass at once.

#![cfg(feature = "exporter")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops by panicking"
)]

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fumehood_traces::limits::{MAX_ANSWER_BYTES, MAX_BATCH_BYTES};
use fumehood_traces::{
    Attribute, Collector, Context, Exporter, Kind, Method, Name, Nanos, PostError, Settings, System, Tracer,
};
use http::{Request, Response};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const GRACE: Duration = Duration::from_secs(3);

enum Says {
    Status(u16, &'static [(&'static str, &'static str)], Vec<u8>),
    Nothing(PostError),
    Waits(Duration),
}

fn status(status: u16) -> Says {
    Says::Status(status, &[], Vec::new())
}

fn unreachable() -> Says {
    Says::Nothing(PostError { message: "connection refused\u{1b}".into(), again: true })
}

/// Answers in order what it was told, and after that 200; keeps what came, and when.
#[derive(Default)]
struct Fake {
    answers: Mutex<VecDeque<Says>>,
    came: Mutex<Vec<(Instant, Request<Bytes>)>>,
}

#[async_trait::async_trait]
impl Collector for Fake {
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Vec<u8>>, PostError> {
        self.came.lock().unwrap().push((Instant::now(), request));
        let says = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| status(200));
        match says {
            Says::Status(status, headers, body) => {
                let mut answer = Response::builder().status(status);
                for (name, value) in headers {
                    answer = answer.header(*name, *value);
                }
                Ok(answer.body(body).unwrap())
            }
            Says::Nothing(error) => Err(error),
            Says::Waits(time) => {
                tokio::time::sleep(time).await;
                Ok(Response::new(Vec::new()))
            }
        }
    }
}

impl Fake {
    /// Seconds after `since` at which requests came.
    fn at(&self, since: Instant) -> Vec<f64> {
        self.came.lock().unwrap().iter().map(|(at, _)| (*at - since).as_secs_f64()).collect()
    }

    /// Names of spans, by request.
    fn names(&self) -> Vec<Vec<String>> {
        let names = |body: &Value| {
            let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
            spans.iter().map(|span| span["name"].as_str().unwrap().to_owned()).collect()
        };
        let came = self.came.lock().unwrap();
        came.iter().map(|(_, request)| names(&serde_json::from_slice(request.body()).unwrap())).collect()
    }
}

struct World {
    tracer: Tracer,
    fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    began: Instant,
}

impl World {
    fn start(variables: &[(&str, &str)], answers: Vec<Says>) -> Self {
        let mut all = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ];
        all.extend_from_slice(variables);
        let get = |name: &str| all.iter().rfind(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::read("1.2.3", get).unwrap().unwrap();
        assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
        let (tracer, exporter): (Tracer, Exporter) = Tracer::with_exporter(settings, System);
        let fake = Arc::new(Fake { answers: Mutex::new(answers.into()), ..Fake::default() });
        let (stop, stopped) = oneshot::channel::<()>();
        let outside = Arc::clone(&fake);
        let running = tokio::spawn(async move {
            exporter.run(&*outside, async { drop(stopped.await) }, GRACE).await;
        });
        Self { tracer, fake, stop: Some(stop), running, began: Instant::now() }
    }

    fn spans(&self, name: &'static str, count: usize) {
        for _ in 0..count {
            self.tracer.start(Name::fixed(name), Kind::Internal, &Context::default(), Nanos(1)).end(Nanos(2));
        }
    }

    async fn until(&self, seconds: f64) {
        tokio::time::sleep_until(self.began + Duration::from_secs_f64(seconds)).await;
    }

    async fn stop(&mut self) -> Duration {
        let before = Instant::now();
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.running).await.unwrap();
        before.elapsed()
    }

    /// Of spans that ended: exported, dropped, failed, rejected.
    fn counted(&self) -> [u64; 4] {
        let numbers = self.tracer.numbers();
        [numbers.exported(), numbers.dropped(), numbers.failed(), numbers.rejected()]
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_when_it_is_full_or_has_waited() {
    let world = World::start(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")], vec![]);
    world.spans("first", 3);
    world.until(4.9).await;
    assert_eq!(world.fake.at(world.began).len(), 0);
    world.until(5.1).await;
    assert_eq!(world.fake.at(world.began), [5.0]);
    world.spans("second", 9);
    world.until(5.2).await;
    assert_eq!(world.fake.names()[1..], [vec!["second"; 4], vec!["second"; 4]]);
    // The ninth waits for others; nothing is sent where there is nothing.
    world.until(30.0).await;
    assert_eq!(world.fake.names().len(), 4);
    assert_eq!(world.counted(), [12, 0, 0, 0]);
    assert_eq!(world.tracer.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_says_what_it_is_and_who_sends_it() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-a=1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let mut world = World::start(&variables, vec![]);
    world.spans("one", 2);
    world.stop().await;
    let came = world.fake.came.lock().unwrap();
    let request = &came[0].1;
    assert_eq!(
        (request.method().as_str(), request.uri().to_string().as_str()),
        ("POST", "http://127.0.0.1:4318/v1/traces")
    );
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("content-encoding", "gzip"),
        ("authorization", "Bearer abc"),
        ("x-a", "1"),
        ("user-agent", concat!("Fumehood-OTLP-Exporter/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(request.headers()[name], value, "{name}");
    }
    assert!(!format!("{:?}", request.headers()).contains("abc"));
    let mut body = String::new();
    flate2::read::GzDecoder::new(&request.body()[..]).read_to_string(&mut body).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let attributes = body["resourceSpans"][0]["resource"]["attributes"].as_array().unwrap();
    let keys: Vec<_> = attributes.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys[..2], ["service.name", "service.version"]);
    let instance = attributes.iter().find(|one| one["key"] == "service.instance.id").unwrap();
    let id = instance["value"]["stringValue"].as_str().unwrap();
    assert!(
        id.len() == 36 && id.as_bytes()[14] == b'4' && matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
        "{id}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_be_is_tried_again_ever_more_rarely() {
    let answers = vec![status(503), status(502), status(504), status(429), status(200)];
    let world = World::start(&[], answers);
    world.spans("one", 3);
    world.until(29.0).await;
    let at = world.fake.at(world.began);
    assert_eq!(at.len(), 5, "{at:?}");
    for (pause, most) in at.windows(2).map(|two| two[1] - two[0]).zip([1.0, 2.0, 4.0, 8.0]) {
        assert!((most / 2.0 - 0.01..=most + 0.01).contains(&pause), "{at:?}");
    }
    assert_eq!(world.counted(), [3, 0, 0, 0]);
    assert_eq!((world.tracer.numbers().requests(), world.tracer.numbers().retries()), (5, 4));
    // All of them are the same request.
    let came = world.fake.came.lock().unwrap();
    assert!(came.iter().all(|(_, request)| request.body() == came[0].1.body()));
}

#[tokio::test(start_paused = true)]
async fn the_collector_says_how_long_to_wait() {
    let world = World::start(&[], vec![Says::Status(503, &[("retry-after", "17")], Vec::new())]);
    world.spans("one", 1);
    world.until(60.0).await;
    assert_eq!(world.fake.at(world.began), [5.0, 22.0]);
    assert_eq!(world.counted(), [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_longer_than_a_batch_is_tried_is_left_alone_all_the_same() {
    let world = World::start(&[], vec![Says::Status(429, &[("retry-after", "120")], Vec::new())]);
    world.spans("given up", 1);
    world.until(6.0).await;
    assert_eq!(world.counted(), [0, 0, 1, 0]);
    world.spans("later", 1);
    world.until(124.0).await;
    assert_eq!(world.fake.at(world.began), [5.0]);
    world.until(126.0).await;
    assert_eq!(world.fake.at(world.began), [5.0, 125.0]);
    assert_eq!(world.counted(), [1, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_is_never_sent_again() {
    for refused in [400, 401, 403, 404, 413, 415, 500, 501, 302] {
        let world = World::start(&[], vec![status(refused)]);
        world.spans("one", 2);
        world.until(60.0).await;
        assert_eq!((world.fake.at(world.began).len(), world.counted()), (1, [0, 0, 2, 0]), "{refused}");
    }
    let forbidden = PostError { message: "this address is not granted".into(), again: false };
    let world = World::start(&[], vec![Says::Nothing(forbidden)]);
    world.spans("one", 2);
    world.until(60.0).await;
    assert_eq!((world.fake.at(world.began).len(), world.counted()), (1, [0, 0, 2, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_after_its_time_and_the_next_one_goes() {
    let world = World::start(&[("OTEL_BSP_EXPORT_TIMEOUT", "10000")], (0..40).map(|_| unreachable()).collect());
    world.spans("lost", 2);
    world.until(16.0).await;
    assert_eq!(world.counted(), [0, 0, 2, 0]);
    assert!((3..=6).contains(&world.fake.at(world.began).len()), "{:?}", world.fake.at(world.began));
    world.fake.answers.lock().unwrap().clear();
    world.spans("taken", 1);
    world.until(30.0).await;
    assert_eq!(world.counted(), [1, 0, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_waited_for_so_long() {
    let slow = Says::Waits(Duration::from_secs(3600));
    let world = World::start(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")], vec![slow]);
    world.spans("one", 1);
    world.until(7.4).await;
    assert_eq!(world.fake.at(world.began).len(), 1);
    world.until(8.1).await;
    assert_eq!(world.fake.at(world.began).len(), 2);
    world.until(9.0).await;
    assert_eq!(world.counted(), [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_is_counted_and_not_sent_again() {
    let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
    let more = br#"{"partialSuccess":{"rejectedSpans":"99"}}"#;
    let answers = vec![
        Says::Status(200, &[], body.to_vec()),
        Says::Status(200, &[], more.to_vec()),
        Says::Status(200, &[], vec![b' '; MAX_ANSWER_BYTES + 1]),
    ];
    let world = World::start(&[], answers);
    for expected in [[3, 0, 0, 2], [3, 0, 0, 7], [3, 0, 5, 7]] {
        world.spans("one", 5);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.counted(), expected);
    }
    assert_eq!(world.fake.at(world.began).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_a_span_never_waits_however_long_the_collector_does() {
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")];
    let world = World::start(&variables, vec![Says::Waits(Duration::from_secs(8))]);
    world.spans("under way", 5);
    world.until(1.0).await;
    let before = Instant::now();
    world.spans("waiting", 30);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!((world.tracer.waiting(), world.counted()), (10, [0, 20, 0, 0]));
    world.until(60.0).await;
    assert_eq!(world.counted(), [15, 20, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_sends_what_waits() {
    let mut world = World::start(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")], vec![]);
    world.until(1.0).await;
    world.spans("one", 3);
    assert_eq!(world.stop().await, Duration::ZERO);
    assert_eq!(world.counted(), [3, 0, 0, 0]);
    // What ends later is counted.
    world.spans("late", 2);
    assert_eq!(world.counted(), [3, 2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_has_a_deadline_and_tries_once() {
    // A collector that does not answer: no longer than the time that is given.
    let mut world = World::start(
        &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")],
        (0..9).map(|_| Says::Waits(Duration::from_secs(3600))).collect(),
    );
    world.spans("under way", 4);
    world.until(1.0).await;
    world.spans("waiting", 6);
    assert_eq!(world.stop().await, GRACE);
    assert_eq!(world.counted(), [0, 0, 10, 0]);

    // One that is away: each batch once, without a pause, the one that was put off too.
    let mut world = World::start(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")], (0..9).map(|_| unreachable()).collect());
    world.spans("put off", 4);
    world.until(0.4).await;
    world.spans("waiting", 5);
    assert_eq!(world.stop().await, Duration::ZERO);
    assert_eq!((world.counted(), world.fake.at(world.began).len()), ([0, 0, 9, 0], 4));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_goes_in_parts() {
    let mut world = World::start(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048")], vec![]);
    let long = "x".repeat(128);
    for _ in 0..2000 {
        let mut span =
            world.tracer.start(Name::mcp(Method::ToolsCall, Some(&long)), Kind::Server, &Context::default(), Nanos(1));
        span.set(Attribute::tool(&long));
        span.set(Attribute::server(&long));
        span.set(Attribute::plugin(&long));
        span.end(Nanos(2));
    }
    world.stop().await;
    let sizes: Vec<usize> = world.fake.came.lock().unwrap().iter().map(|(_, request)| request.body().len()).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size < MAX_BATCH_BYTES), "{sizes:?}");
    assert_eq!(world.fake.names().iter().map(Vec::len).sum::<usize>(), 2000);
    assert_eq!(world.counted(), [2000, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_in_parts_only_what_was_not_taken_is_lost() {
    let answers = vec![status(200), Says::Waits(Duration::from_secs(3600)), Says::Waits(Duration::from_secs(3600))];
    let mut world = World::start(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048")], answers);
    let long = "x".repeat(128);
    for _ in 0..2000 {
        let name = Name::mcp(Method::ToolsCall, Some(&long));
        let mut span = world.tracer.start(name, Kind::Server, &Context::default(), Nanos(1));
        span.set(Attribute::tool(&long));
        span.set(Attribute::server(&long));
        span.end(Nanos(2));
    }
    assert_eq!(world.stop().await, GRACE);
    let taken = world.fake.names()[0].len() as u64;
    assert!(taken > 0 && taken < 2000);
    assert_eq!(world.counted(), [taken, 0, 2000 - taken, 0]);
}

#[tokio::test(start_paused = true)]
async fn each_span_is_counted_once_whatever_happens() {
    let body = br#"{"partialSuccess":{"rejectedSpans":"1"}}"#;
    let answers = (0..40).map(|at| match at % 6 {
        0 => status(200),
        1 => status(400),
        2 => unreachable(),
        3 => Says::Status(200, &[], body.to_vec()),
        4 => Says::Status(503, &[("retry-after", "3")], Vec::new()),
        _ => Says::Waits(Duration::from_secs(60)),
    });
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "20"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7")];
    let mut world = World::start(&variables, answers.collect());
    for round in 0..50 {
        world.spans("one", round % 9);
        tokio::time::sleep(Duration::from_millis(1700)).await;
    }
    world.stop().await;
    let ended: u64 = (0..50).map(|round| round % 9).sum();
    assert_eq!(world.counted().iter().sum::<u64>(), ended, "{:?}", world.counted());
    assert!(world.counted().iter().all(|count| *count > 0), "{:?}", world.counted());
    assert_eq!(world.tracer.waiting(), 0);
}
