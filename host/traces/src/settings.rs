//! What the operator says, in OpenTelemetry's own environment variables.
//!
//! Invariant: nothing is sent unless somebody has named a collector. What would send elsewhere than was meant, or without
//! its credentials, is an error; what OpenTelemetry's specification says is to be ignored is ignored with a warning. No
//! error and no warning repeats the value of a header.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::context::Propagation;
use crate::encoding::{Encoding, Resource};
use crate::limits::{MAX_QUEUE, MAX_RESOURCE_ATTRIBUTES, MAX_RESOURCE_BYTES};
use crate::sampler::Sampler;

/// Where a collector listens that nobody has told otherwise.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
/// The path of traces below an address that is for all signals.
const TRACES: &str = "v1/traces";
/// Headers that the request has of its own.
const OURS: [&str; 8] = [
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "accept",
    "user-agent",
];

/// What a variable says that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}. {remedy}")]
pub struct SettingsError {
    /// The variable.
    pub variable: &'static str,
    problem: String,
    remedy: &'static str,
}

/// How spans are batched: `OTEL_BSP_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// The longest that a span waits for others.
    pub delay: Duration,
    /// The longest that a batch is tried for.
    pub patience: Duration,
    /// Spans that may wait.
    pub queue: usize,
    /// Spans that are sent at once.
    pub spans: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), patience: Duration::from_secs(30), queue: 2048, spans: 512 }
    }
}

/// Where spans go, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) endpoint: Url,
    /// Marked as sensitive, so that nothing prints them.
    pub(crate) headers: HeaderMap,
    pub(crate) encoding: Encoding,
    pub(crate) gzip: bool,
    pub(crate) timeout: Duration,
    pub(crate) batching: Batching,
    pub(crate) sampler: Sampler,
    pub(crate) propagation: Propagation,
    pub(crate) resource: Resource,
    warnings: Vec<String>,
}

/// The environment, with what is to be said of it.
struct Reader<F> {
    get: F,
    warnings: Vec<String>,
}

impl Settings {
    /// Reads the variables; nothing where traces are not wanted. `version` is that of the product.
    ///
    /// # Errors
    /// Where what was meant cannot be done, with a text that says what to do.
    pub fn read(version: &str, get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let mut reader = Reader { get, warnings: Vec::new() };
        let Some((variable, endpoint)) = reader.endpoint()? else { return Ok(None) };
        let settings = Self {
            headers: reader.headers()?,
            encoding: reader.encoding()?,
            gzip: reader.gzip(),
            timeout: reader
                .millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
                .or_else(|| reader.millis("OTEL_EXPORTER_OTLP_TIMEOUT"))
                .unwrap_or(Duration::from_secs(10)),
            batching: reader.batching(),
            sampler: reader.sampler(),
            propagation: reader.propagation(),
            resource: reader.resource(version),
            endpoint,
            warnings: Vec::new(),
        };
        reader.unsupported();
        if settings.endpoint.scheme() == "http" && !settings.headers.is_empty() && !is_loopback(&settings.endpoint) {
            reader.warn(format!(
                "{variable} is http: the values of the headers go there as they are, for everybody on the way to read. Use https."
            ));
        }
        Ok(Some(Self { warnings: reader.warnings, ..settings }))
    }

    /// What was ignored and why, for the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where spans go. Its host is what the operator has allowed; nothing else is dialled.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// How spans are batched.
    pub fn batching(&self) -> Batching {
        self.batching
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn fault(variable: &'static str, problem: impl Into<String>, remedy: &'static str) -> SettingsError {
    SettingsError { variable, problem: problem.into(), remedy }
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// An empty value is none, by the specification.
    fn value(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The variable for traces, or else that for all signals.
    fn either(&self, traces: &'static str, all: &'static str) -> Option<(&'static str, String)> {
        [traces, all].into_iter().find_map(|name| Some((name, self.value(name)?)))
    }

    fn endpoint(&mut self) -> Result<Option<(&'static str, Url)>, SettingsError> {
        if self.flag("OTEL_SDK_DISABLED") {
            return Ok(None);
        }
        let exporters = self.value("OTEL_TRACES_EXPORTER").map(|value| value.to_ascii_lowercase());
        let exporters: Vec<&str> = exporters.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
        if exporters.contains(&"none") {
            return Ok(None);
        }
        let wanted = exporters.contains(&"otlp");
        if !exporters.is_empty() && !wanted {
            self.warn("OTEL_TRACES_EXPORTER is not known here: set it to otlp or none.".to_owned());
        }
        if let Some(value) = self.value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            return address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &value).map(Some);
        }
        let value = match self.value("OTEL_EXPORTER_OTLP_ENDPOINT") {
            Some(value) => value,
            None if wanted => DEFAULT_ENDPOINT.to_owned(),
            None => return Ok(None),
        };
        let (variable, mut url) = address("OTEL_EXPORTER_OTLP_ENDPOINT", &value)?;
        let path = format!("{}/{TRACES}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Some((variable, url)))
    }

    fn flag(&mut self, name: &str) -> bool {
        let Some(value) = self.value(name) else { return false };
        if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
            self.warn(format!("{name} is neither true nor false, so it is false."));
        }
        value.eq_ignore_ascii_case("true")
    }

    fn headers(&self) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        let names = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
        let Some((variable, list)) = self.either(names.0, names.1) else { return Ok(headers) };
        let remedy = "Write name=value,name=value, the values percent-encoded, such as authorization=Bearer%20abc";
        let wrong = |problem: &str| fault(variable, problem, remedy);
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, value) = entry.split_once('=').ok_or_else(|| wrong("holds something that is not name=value"))?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| wrong("names a header that cannot be"))?;
            if OURS.contains(&name.as_str()) {
                return Err(fault(
                    variable,
                    format!("names the header {name}, which requests have of their own"),
                    "Leave it out",
                ));
            }
            let value: Vec<u8> = percent_decode_str(value.trim()).collect();
            let mut value = HeaderValue::from_bytes(&value).map_err(|_| wrong("has a value that cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn encoding(&self) -> Result<Encoding, SettingsError> {
        let names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
        let Some((variable, value)) = self.either(names.0, names.1) else { return Ok(Encoding::default()) };
        match value.to_ascii_lowercase().as_str() {
            "http/protobuf" => Ok(Encoding::Protobuf),
            "http/json" => Ok(Encoding::Json),
            "grpc" => Err(fault(
                variable,
                "is grpc, which is not spoken here",
                "Set it to http/protobuf or http/json, and the endpoint to the collector's port for HTTP, most often 4318",
            )),
            _ => Err(fault(variable, "is not a protocol that is known", "Set it to http/protobuf or http/json")),
        }
    }

    fn gzip(&mut self) -> bool {
        let names = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION");
        let Some((variable, value)) = self.either(names.0, names.1) else { return false };
        let value = value.to_ascii_lowercase();
        if value != "gzip" && value != "none" {
            self.warn(format!("{variable} is neither gzip nor none, so nothing is compressed."));
        }
        value == "gzip"
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.parse().ok();
        if number.is_none() {
            self.warn(format!("{name} is not a whole number that is not negative, so its default holds."));
        }
        number
    }

    fn millis(&mut self, name: &str) -> Option<Duration> {
        // Zero stands for no limit in some places of the specification; nothing waits for ever here.
        self.number(name).filter(|millis| *millis > 0).map(|millis| Duration::from_millis(millis.min(86_400_000)))
    }

    fn batching(&mut self) -> Batching {
        let default = Batching::default();
        let mut size = |name: &str, default: usize| match self.number(name) {
            Some(0) => {
                self.warn(format!("{name} is 0, so its default holds: it has to be 1 or more."));
                default
            }
            Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
            None => default,
        };
        let mut queue = size("OTEL_BSP_MAX_QUEUE_SIZE", default.queue);
        let mut spans = size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default.spans.min(queue));
        if queue > MAX_QUEUE {
            self.warn(format!("OTEL_BSP_MAX_QUEUE_SIZE is more than {MAX_QUEUE}, so it is that."));
            queue = MAX_QUEUE;
        }
        if spans > queue {
            self.warn(format!("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is more than may wait, so it is {queue}."));
            spans = queue;
        }
        Batching {
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(default.delay),
            patience: self.millis("OTEL_BSP_EXPORT_TIMEOUT").unwrap_or(default.patience),
            queue,
            spans,
        }
    }

    fn sampler(&mut self) -> Sampler {
        let Some(name) = self.value("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
        let name = name.to_ascii_lowercase();
        let (parent_based, root) =
            name.strip_prefix("parentbased_").map_or((false, name.as_str()), |root| (true, root));
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                self.warn(
                    "OTEL_TRACES_SAMPLER is not known here, so it is parentbased_always_on: always_on, always_off, traceidratio, \
                     each of them also with parentbased_ before it."
                        .to_owned(),
                );
                return Sampler::default();
            }
        };
        Sampler { parent_based, ratio }
    }

    fn ratio(&mut self) -> f64 {
        let Some(value) = self.value("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.warn("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1, so every trace is kept.".to_owned());
                1.0
            }
        }
    }

    fn propagation(&mut self) -> Propagation {
        let Some(list) = self.value("OTEL_PROPAGATORS") else { return Propagation::default() };
        let mut propagation = Propagation { trace: false, baggage: false };
        for name in list.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            match name.as_str() {
                "tracecontext" => propagation.trace = true,
                "baggage" => propagation.baggage = true,
                "none" | "" => {}
                _ => self.warn(
                    "OTEL_PROPAGATORS has one that is not known here; known are tracecontext, baggage and none."
                        .to_owned(),
                ),
            }
        }
        propagation
    }

    fn resource(&mut self, version: &str) -> Resource {
        let mut attributes = vec![
            ("service.name".to_owned(), "fumehood".to_owned()),
            ("service.version".to_owned(), version.to_owned()),
            ("telemetry.sdk.name".to_owned(), "fumehood".to_owned()),
            ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
            ("telemetry.sdk.version".to_owned(), version.to_owned()),
        ];
        let mut set = |key: String, value: String| match attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => attributes.push((key, value)),
        };
        match self.value("OTEL_RESOURCE_ATTRIBUTES").map(|list| pairs(&list)) {
            Some(Some(pairs)) => pairs.into_iter().for_each(|(key, value)| set(key, value)),
            // By the specification all of it is dropped then.
            Some(None) => self.warn(
                "OTEL_RESOURCE_ATTRIBUTES is not a list of key=value,key=value, percent-encoded, so none of it holds."
                    .to_owned(),
            ),
            None => {}
        }
        if let Some(name) = self.value("OTEL_SERVICE_NAME") {
            set("service.name".to_owned(), clipped(&name));
        }
        Resource { attributes, version: version.to_owned() }
    }

    fn unsupported(&mut self) {
        for part in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            for name in [format!("OTEL_EXPORTER_OTLP_{part}"), format!("OTEL_EXPORTER_OTLP_TRACES_{part}")] {
                if self.value(&name).is_some() {
                    self.warn(format!("{name} is not supported and has no effect."));
                }
            }
        }
    }
}

fn address(variable: &'static str, value: &str) -> Result<(&'static str, Url), SettingsError> {
    let remedy = "Set it to one such as http://127.0.0.1:4318";
    let mut url = Url::parse(value).map_err(|_| fault(variable, "is not an address", remedy))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(fault(variable, "is not an http or https address", remedy));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault(variable, "holds a user name or a password", "Put them into OTEL_EXPORTER_OTLP_HEADERS"));
    }
    url.set_fragment(None);
    Ok((variable, url))
}

/// `key=value,key=value`, percent-encoded.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    let entries: Vec<&str> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(|text| clipped(&text));
    let pair = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        Some((decoded(key).filter(|key| !key.is_empty())?, decoded(value)?))
    };
    (entries.len() <= MAX_RESOURCE_ATTRIBUTES).then(|| entries.into_iter().map(pair).collect())?
}

fn clipped(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_RESOURCE_BYTES)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::read("1.2.3", |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn on(pairs: &[(&str, &str)]) -> Settings {
        let all: Vec<(&str, &str)> =
            pairs.iter().copied().chain([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")]).collect();
        read(&all).unwrap().unwrap()
    }

    fn resource<'a>(settings: &'a Settings, key: &str) -> Option<&'a str> {
        settings.resource.attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_so() {
        for pairs in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "x")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_SDK_DISABLED", "TRUE")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_TRACES_EXPORTER", "none")],
            &[("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense")],
        ] {
            assert!(read(pairs).unwrap().is_none(), "{pairs:?}");
        }
        assert_eq!(
            read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().unwrap().endpoint.as_str(),
            "http://localhost:4318/v1/traces"
        );
    }

    #[test]
    fn addresses_are_made_as_the_specification_has_it() {
        for (variable, value, expected) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", "http://collector:4318/v1/traces"),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://collector:4318/mycollector/",
                "http://collector:4318/mycollector/v1/traces",
            ),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/a/b", "https://collector/a/b/v1/traces"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318", "http://collector:4318/"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "https://c.example.com/v1/traces/",
                "https://c.example.com/v1/traces/",
            ),
        ] {
            assert_eq!(read(&[(variable, value)]).unwrap().unwrap().endpoint.as_str(), expected);
        }
        let both = on(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other.example/x")]);
        assert_eq!(both.endpoint.as_str(), "https://other.example/x");
    }

    #[test]
    fn errors_say_what_to_do() {
        for (variable, value, expected) in [
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "collector:4318",
                "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https address. Set it to one such as http://127.0.0.1:4318",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "//x",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not an address. Set it to one such as http://127.0.0.1:4318",
            ),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "https://u:p@c.example",
                "OTEL_EXPORTER_OTLP_ENDPOINT holds a user name or a password. Put them into OTEL_EXPORTER_OTLP_HEADERS",
            ),
            (
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "grpc",
                "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, which is not spoken here. Set it to http/protobuf or http/json, and the endpoint to \
              the collector's port for HTTP, most often 4318",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                "carrier-pigeon",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is not a protocol that is known. Set it to http/protobuf or http/json",
            ),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization: s3cret",
                "OTEL_EXPORTER_OTLP_HEADERS holds something that is not name=value. Write name=value,name=value, the values \
              percent-encoded, such as authorization=Bearer%20abc",
            ),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "a b=s3cret",
                "OTEL_EXPORTER_OTLP_HEADERS names a header that cannot be. Write name=value,name=value, the values percent-encoded, such \
              as authorization=Bearer%20abc",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
                "x=s3cret%0d%0ay",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS has a value that cannot be sent. Write name=value,name=value, the values \
              percent-encoded, such as authorization=Bearer%20abc",
            ),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "Host=elsewhere",
                "OTEL_EXPORTER_OTLP_HEADERS names the header host, which requests have of their own. Leave it out",
            ),
        ] {
            let mut pairs = vec![(variable, value)];
            if !variable.ends_with("ENDPOINT") {
                pairs.push(("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"));
            }
            let error = read(&pairs).unwrap_err().to_string();
            assert_eq!(error, expected);
            assert!(!error.contains("s3cret"));
        }
    }

    #[test]
    fn headers_are_decoded_and_never_printed() {
        let settings = on(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret, x-tenant = a=b ,")]);
        assert_eq!(settings.headers["authorization"], "Bearer s3cret");
        assert_eq!(settings.headers["x-tenant"], "a=b");
        assert!(!format!("{settings:?}").contains("s3cret"));
        let own = on(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=1"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2")]);
        assert_eq!((own.headers.get("a"), own.headers["b"].to_str().unwrap()), (None, "2"));
    }

    #[test]
    fn the_service_is_named() {
        assert_eq!(resource(&on(&[]), "service.name"), Some("fumehood"));
        let settings = on(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,deployment.environment.name=prod%2Ceu, team=grün"),
            ("OTEL_SERVICE_NAME", "triage"),
        ]);
        assert_eq!(resource(&settings, "service.name"), Some("triage"));
        assert_eq!(resource(&settings, "deployment.environment.name"), Some("prod,eu"));
        assert_eq!(resource(&settings, "team"), Some("grün"));
        assert_eq!(resource(&settings, "service.version"), Some("1.2.3"));
        assert!(settings.warnings.is_empty());
        let long = on(&[("OTEL_SERVICE_NAME", &"ü".repeat(200))]);
        assert_eq!(resource(&long, "service.name").map(str::len), Some(256));
    }

    #[test]
    fn batches_and_samplers_are_chosen() {
        let settings = on(&[
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "2000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16"),
            ("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_PROPAGATORS", "tracecontext"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ]);
        let millis = Duration::from_millis;
        assert_eq!(settings.batching, Batching { delay: millis(100), patience: millis(2000), queue: 64, spans: 16 });
        assert_eq!(settings.sampler, Sampler { parent_based: true, ratio: 0.25 });
        assert_eq!(settings.propagation, Propagation { trace: true, baggage: false });
        assert_eq!((settings.gzip, settings.encoding, settings.timeout), (true, Encoding::Json, millis(1500)));
        assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
        let defaults = on(&[]);
        assert_eq!(
            (defaults.batching, defaults.sampler, defaults.gzip),
            (Batching::default(), Sampler::default(), false)
        );
        assert_eq!((defaults.encoding, defaults.timeout), (Encoding::Protobuf, millis(10_000)));
        assert_eq!(on(&[("OTEL_TRACES_SAMPLER", "always_off")]).sampler, Sampler { parent_based: false, ratio: 0.0 });
        let small = on(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
        assert_eq!((small.batching.queue, small.batching.spans, small.warnings.len()), (10, 10, 0));
    }

    #[test]
    fn what_is_to_be_ignored_is_ignored_with_a_warning() {
        for (variable, value, expected) in [
            (
                "OTEL_BSP_SCHEDULE_DELAY",
                "soon",
                "OTEL_BSP_SCHEDULE_DELAY is not a whole number that is not negative, so its default holds.",
            ),
            (
                "OTEL_BSP_MAX_QUEUE_SIZE",
                "-1",
                "OTEL_BSP_MAX_QUEUE_SIZE is not a whole number that is not negative, so its default holds.",
            ),
            (
                "OTEL_BSP_MAX_QUEUE_SIZE",
                "0",
                "OTEL_BSP_MAX_QUEUE_SIZE is 0, so its default holds: it has to be 1 or more.",
            ),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "9999999", "OTEL_BSP_MAX_QUEUE_SIZE is more than 65536, so it is that."),
            (
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                "4096",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is more than may wait, so it is 2048.",
            ),
            ("OTEL_SDK_DISABLED", "1", "OTEL_SDK_DISABLED is neither true nor false, so it is false."),
            ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER is not known here: set it to otlp or none."),
            (
                "OTEL_EXPORTER_OTLP_COMPRESSION",
                "zstd",
                "OTEL_EXPORTER_OTLP_COMPRESSION is neither gzip nor none, so nothing is compressed.",
            ),
            (
                "OTEL_TRACES_SAMPLER",
                "xray",
                "OTEL_TRACES_SAMPLER is not known here, so it is parentbased_always_on: always_on, always_off, \
              traceidratio, each of them also with parentbased_ before it.",
            ),
            (
                "OTEL_PROPAGATORS",
                "tracecontext,b3",
                "OTEL_PROPAGATORS has one that is not known here; known are tracecontext, baggage and none.",
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "a=1,nonsense",
                "OTEL_RESOURCE_ATTRIBUTES is not a list of key=value,key=value, percent-encoded, so none of it holds.",
            ),
            (
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
                "/ca.pem",
                "OTEL_EXPORTER_OTLP_CERTIFICATE is not supported and has no effect.",
            ),
        ] {
            let settings = on(&[(variable, value)]);
            assert_eq!(settings.warnings, [expected]);
            assert_eq!((settings.sampler, settings.propagation), (Sampler::default(), Propagation::default()));
            assert_eq!(resource(&settings, "a"), None);
        }
        let wrong = on(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "7")]);
        assert_eq!(wrong.warnings, ["OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1, so every trace is kept."]);
        let plain =
            read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret")])
                .unwrap()
                .unwrap();
        assert_eq!(
            plain.warnings,
            [
                "OTEL_EXPORTER_OTLP_ENDPOINT is http: the values of the headers go there as they are, for everybody on the way to read. Use https."
            ]
        );
    }

    proptest! {
        #[test]
        fn no_value_is_read_badly_or_repeated(name in prop_oneof![
            Just("OTEL_EXPORTER_OTLP_HEADERS"), Just("OTEL_RESOURCE_ATTRIBUTES"), Just("OTEL_EXPORTER_OTLP_ENDPOINT"),
            Just("OTEL_TRACES_SAMPLER_ARG"), Just("OTEL_BSP_SCHEDULE_DELAY"), Just("OTEL_PROPAGATORS"),
        ], value in "[ -~]{0,20}s3cretvalue[ -~]{0,20}") {
            let all = [(name, value.as_str()), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/"), ("OTEL_TRACES_SAMPLER", "traceidratio")];
            let said = match read(&all) {
                Ok(settings) => settings.unwrap().warnings.join(" "),
                Err(error) => error.to_string(),
            };
            prop_assert!(!said.contains("s3cretvalue"), "{}", said);
        }
    }
}
