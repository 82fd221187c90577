//! Numbers of the gateway, in the text form of Prometheus. They begin anew with the process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use fumehood_store::calls::{CallEnd, LISTENS};

use super::McpGateway;

/// Upper bounds of the histogram, microseconds.
const BOUNDS: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000, 60_000_000];
const KNOWN: [&str; 17] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];
/// Series at once; what comes beyond is counted as `other`.
const SERIES: usize = 500;

#[derive(Default)]
struct Series {
    calls: u64,
    sum_us: u64,
    within: [u64; BOUNDS.len()],
}

/// Requests by server, method and how they ended.
#[derive(Default)]
pub(super) struct Metrics(Mutex<BTreeMap<(String, String, &'static str), Series>>);

impl Metrics {
    pub(super) fn count(&self, server: &str, method: &str, end: &CallEnd) {
        // How long a client listens is no latency.
        if method == LISTENS {
            return;
        }
        // A method that nobody knows is a client's own text.
        let method = if KNOWN.contains(&method) { method } else { "other" };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (server.to_owned(), method.to_owned(), end.status);
        if all.len() >= SERIES && !all.contains_key(&key) {
            key = ("other".into(), "other".into(), end.status);
        }
        let series = all.entry(key).or_default();
        series.calls += 1;
        series.sum_us += end.latency_us;
        for (bound, count) in BOUNDS.iter().zip(&mut series.within) {
            *count += u64::from(end.latency_us <= *bound);
        }
    }

    fn write(&self, out: &mut String) {
        const NAME: &str = "fumehood_mcp_request_duration_seconds";
        let _ = writeln!(out, "# HELP {NAME} Requests to the gateway, by how long they took.\n# TYPE {NAME} histogram");
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((server, method, status), series) in all.iter() {
            let labels = format!("server=\"{}\",method=\"{}\",status=\"{status}\"", label(server), label(method));
            for (bound, count) in BOUNDS.iter().zip(&series.within) {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{NAME}_bucket{{{labels},le=\"{}\"}} {count}", *bound as f64 / 1e6);
            }
            let _ = writeln!(out, "{NAME}_bucket{{{labels},le=\"+Inf\"}} {}", series.calls);
            let _ = writeln!(out, "{NAME}_sum{{{labels}}} {}", series.sum_us as f64 / 1e6);
            let _ = writeln!(out, "{NAME}_count{{{labels}}} {}", series.calls);
        }
    }
}

/// The value of a label: what a client calls its method is a stranger's text.
fn label(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control()).take(64);
    plain.collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
}

impl super::GatewayBackend {
    /// The numbers of a gateway.
    pub fn metrics(gateway: &McpGateway) -> String {
        let backend = gateway.backend();
        let numbers = &backend.recorder.numbers;
        let mut out = String::new();
        backend.metrics.write(&mut out);
        let read = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        let rows: [(&str, &str, &str, f64); 7] = [
            ("fumehood_mcp_sessions", "gauge", "Sessions that are open.", gateway.sessions() as f64),
            ("fumehood_mcp_upstream_connections", "gauge", "Connections to servers.", backend.upstreams.len() as f64),
            (
                "fumehood_mcp_record_queue",
                "gauge",
                "Ends of requests that wait to be recorded.",
                backend.recorder.depth() as f64,
            ),
            (
                "fumehood_mcp_record_written_total",
                "counter",
                "Ends of requests on record.",
                read(&numbers.written) as f64,
            ),
            (
                "fumehood_mcp_record_waits_total",
                "counter",
                "Requests that waited for the record.",
                read(&numbers.waits) as f64,
            ),
            (
                "fumehood_mcp_record_waited_seconds_total",
                "counter",
                "How long requests waited for the record.",
                read(&numbers.waited_us) as f64 / 1e6,
            ),
            (
                "fumehood_mcp_record_retries_total",
                "counter",
                "Writes of the record that failed and were done again.",
                read(&numbers.retries) as f64,
            ),
        ];
        let traces = backend.app.tracer().numbers();
        let spans = [
            ("fumehood_trace_spans_exported_total", "counter", "Spans that the collector took.", traces.exported()),
            ("fumehood_trace_spans_dropped_total", "counter", "Spans that found no room.", traces.dropped()),
            ("fumehood_trace_spans_failed_total", "counter", "Spans that could not be sent.", traces.failed()),
            ("fumehood_trace_spans_rejected_total", "counter", "Spans that the collector refused.", traces.rejected()),
        ];
        let spans = spans.map(|(name, kind, help, value)| (name, kind, help, value as f64));
        for (name, kind, help, value) in rows.into_iter().chain(spans) {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_in_their_buckets() {
        let metrics = Metrics::default();
        for latency_us in [90, 300, 2_000_000] {
            let end = CallEnd { latency_us, status: "ok", ..CallEnd::default() };
            metrics.count("ti\"me\\\n", "made/up", &end);
        }
        let mut out = String::new();
        metrics.write(&mut out);
        let series = "server=\"ti\\\"me\\\\\",method=\"other\",status=\"ok\"";
        for expected in [
            format!("_bucket{{{series},le=\"0.0001\"}} 1"),
            format!("_bucket{{{series},le=\"0.0005\"}} 2"),
            format!("_bucket{{{series},le=\"+Inf\"}} 3"),
            format!("_count{{{series}}} 3"),
        ] {
            assert!(out.contains(&expected), "{expected} is not in {out}");
        }
    }
}
