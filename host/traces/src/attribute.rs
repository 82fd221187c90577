//! What may be said of a span.
//!
//! Invariant: there is no way to make an attribute of any text. Values are numbers, ids of a fixed form, words out of
//! closed lists, and names, which have no character that a sentence, an e-mail address or a query needs. What is none of
//! these is [`OTHER`], whatever it says.

use std::borrow::Cow;
use std::fmt;

use crate::ids::is_lower_hex;
use crate::keys;
use crate::limits::{MAX_HOST_BYTES, MAX_WORD_BYTES};

/// Stands for what is not known or has not the form of a name, as the semantic conventions have it.
pub const OTHER: &str = "_OTHER";

/// A value. Nothing outside of this file can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

/// One thing that is known of a span.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    pub(crate) key: &'static str,
    pub(crate) value: Value,
}

impl fmt::Debug for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Text(text) => write!(formatter, "{}={text}", self.key),
            Value::Number(number) => write!(formatter, "{}={number}", self.key),
        }
    }
}

/// A list of words, each of which is written as it stands here.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$word_about:meta])* $word:ident = $text:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$word_about])* #[doc = concat!("`", $text, "`")] $word),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text),+ }
            }

            /// The word that is written so.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$word),)+ _ => None }
            }
        }
    };
}

words! {
    /// A method of the protocol, of either era. What is none of them is a client's own text.
    Method {
        Initialize = "initialize", Ping = "ping", Discover = "server/discover",
        ToolsList = "tools/list", ToolsCall = "tools/call",
        ResourcesList = "resources/list", TemplatesList = "resources/templates/list", ResourcesRead = "resources/read",
        Subscribe = "resources/subscribe", Unsubscribe = "resources/unsubscribe",
        PromptsList = "prompts/list", PromptsGet = "prompts/get", Complete = "completion/complete",
        SetLevel = "logging/setLevel", Listen = "subscriptions/listen",
        Roots = "roots/list", Sampling = "sampling/createMessage", Elicit = "elicitation/create",
        TasksGet = "tasks/get", TasksUpdate = "tasks/update", TasksCancel = "tasks/cancel", TasksResult = "tasks/result", TasksList = "tasks/list",
        Initialized = "notifications/initialized", Cancelled = "notifications/cancelled", Progress = "notifications/progress",
        Message = "notifications/message", ToolsChanged = "notifications/tools/list_changed",
        ResourcesChanged = "notifications/resources/list_changed", ResourceUpdated = "notifications/resources/updated",
        PromptsChanged = "notifications/prompts/list_changed", RootsChanged = "notifications/roots/list_changed",
        Elicited = "notifications/elicitation/complete", TaskStatus = "notifications/tasks/status",
        Other = "_OTHER",
    }
}

words! {
    /// How messages of a server go.
    Transport { Tcp = "tcp", Quic = "quic", Pipe = "pipe", Unix = "unix" }
}

words! {
    /// A version of HTTP.
    HttpVersion { Http10 = "1.0", Http11 = "1.1", Http2 = "2", Http3 = "3" }
}

words! {
    /// A scheme.
    Scheme { Http = "http", Https = "https" }
}

words! {
    /// A method of HTTP.
    HttpMethod {
        Get = "GET", Head = "HEAD", Post = "POST", Put = "PUT", Delete = "DELETE", Patch = "PATCH", Options = "OPTIONS",
        Connect = "CONNECT", Trace = "TRACE", Other = "_OTHER",
    }
}

words! {
    /// What a plugin is called for.
    Purpose { Model = "model", Tool = "tool", Publish = "publish", Test = "test", Discover = "discover", Gateway = "gateway", Scan = "scan" }
}

words! {
    /// The rule of a tool.
    Rule { Allow = "allow", Ask = "ask", Deny = "deny" }
}

words! {
    /// What went wrong, as a word. The message of an error is never said: it may repeat what was asked.
    Failure {
        /// The tool's own answer is that it failed.
        Tool = "tool_error",
        /// No answer came in time.
        Timeout = "timeout",
        /// Who asked went away.
        Cancelled = "cancelled",
        /// A rule, a role or a grant does not allow it.
        Denied = "denied",
        /// Too many at once.
        Limited = "limited",
        /// Nobody was there.
        Unavailable = "unavailable",
        /// The other side did not keep to the protocol.
        Protocol = "protocol",
        /// Somebody has to sign in first.
        SignIn = "sign_in",
        /// What was asked cannot be.
        Invalid = "invalid",
        /// There is no such thing.
        NotFound = "not_found",
        /// It would have left unmasked.
        WouldLeak = "would_leak",
        /// It could not be put on record.
        Unrecorded = "unrecorded",
        /// A plugin stopped or was stopped.
        Trap = "trap",
        /// Our own fault.
        Internal = "internal",
        /// Something else.
        Other = "_OTHER",
    }
}

words! {
    /// A part of the way of a request whose time is known.
    Phase { Policy = "fumehood.policy.duration_us", Scan = "fumehood.scan.duration_us", Audit = "fumehood.audit.duration_us", Upstream = "fumehood.upstream.duration_us" }
}

words! {
    /// What an id is of.
    IdOf { Call = "fumehood.mcp.call.id", Incident = "fumehood.incident.id", Intent = "fumehood.audit.intent.id" }
}

impl Method {
    /// The method that is asked for; [`Method::Other`] for what nobody knows.
    pub fn of(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Other)
    }
}

impl HttpMethod {
    /// The method of a request; [`HttpMethod::Other`] for what nobody knows.
    pub fn of(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Other)
    }
}

/// The id of a JSON-RPC request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestId<'a> {
    /// A number.
    Number(i64),
    /// A text, which is said only if it has the form of a name.
    Text(&'a str),
}

impl Attribute {
    fn text(key: &'static str, value: &'static str) -> Self {
        Self { key, value: Value::Text(Cow::Borrowed(value)) }
    }

    fn name(key: &'static str, name: &str) -> Self {
        Self { key, value: Value::Text(name_of(name)) }
    }

    fn number(key: &'static str, number: impl TryInto<i64>) -> Self {
        Self { key, value: Value::Number(number.try_into().unwrap_or(i64::MAX)) }
    }

    /// What an MCP request asks for.
    pub fn method(method: Method) -> Self {
        Self::text(keys::MCP_METHOD, method.as_str())
    }

    /// The session of a client with the gateway.
    pub fn session(id: &str) -> Self {
        Self::name(keys::MCP_SESSION, id)
    }

    /// The version of the protocol: a date.
    pub fn protocol_version(version: &str) -> Self {
        let is_date = version.len() == 10
            && version
                .bytes()
                .enumerate()
                .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
        Self::name(keys::MCP_VERSION, if is_date { version } else { OTHER })
    }

    /// The id of a request, if it has the form of one. A text that is something else is not said at all.
    pub fn request_id(id: RequestId<'_>) -> Option<Self> {
        match id {
            RequestId::Number(number) => {
                Some(Self { key: keys::JSONRPC_REQUEST, value: Value::Text(Cow::Owned(number.to_string())) })
            }
            RequestId::Text(text) => is_name(text).then(|| Self::name(keys::JSONRPC_REQUEST, text)),
        }
    }

    /// A tool, by the name that a person has approved; never by one that was merely asked for.
    pub fn tool(name: &str) -> Self {
        Self::name(keys::TOOL, name)
    }

    /// It is a tool's call. To be said together with [`Attribute::tool`].
    pub fn executes_tool() -> Self {
        Self::text(keys::OPERATION, "execute_tool")
    }

    /// A prompt, by the name under which its server lists it; never by one that was merely asked for.
    pub fn prompt(name: &str) -> Self {
        Self::name(keys::PROMPT, name)
    }

    /// A server, by the short name under which it is registered.
    pub fn server(slug: &str) -> Self {
        Self::name(keys::SERVER, slug)
    }

    /// The host that is asked.
    pub fn server_address(host: &str) -> Self {
        let is_host = (1..=MAX_HOST_BYTES).contains(&host.len())
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']'));
        let value = if is_host { Cow::Owned(host.to_owned()) } else { Cow::Borrowed(OTHER) };
        Self { key: keys::SERVER_ADDRESS, value: Value::Text(value) }
    }

    /// Its port.
    pub fn server_port(port: u16) -> Self {
        Self::number(keys::SERVER_PORT, port)
    }

    /// How messages go.
    pub fn transport(transport: Transport) -> Self {
        Self::text(keys::TRANSPORT, transport.as_str())
    }

    /// It is HTTP.
    pub fn http() -> Self {
        Self::text(keys::PROTOCOL, "http")
    }

    /// The version of HTTP.
    pub fn http_version(version: HttpVersion) -> Self {
        Self::text(keys::PROTOCOL_VERSION, version.as_str())
    }

    /// The method of an HTTP request.
    pub fn http_method(method: HttpMethod) -> Self {
        Self::text(keys::HTTP_METHOD, method.as_str())
    }

    /// The pattern of a path as the router has it, never the path that was asked for.
    pub fn http_route(pattern: &str) -> Self {
        Self { key: keys::HTTP_ROUTE, value: Value::Text(route_of(pattern)) }
    }

    /// The status of an HTTP answer.
    pub fn http_status(status: u16) -> Self {
        Self::number(keys::HTTP_STATUS, status)
    }

    /// The scheme of an HTTP request.
    pub fn scheme(scheme: Scheme) -> Self {
        Self::text(keys::URL_SCHEME, scheme.as_str())
    }

    /// Bytes of what was asked.
    pub fn request_bytes(bytes: u64) -> Self {
        Self::number(keys::REQUEST_BYTES, bytes)
    }

    /// Bytes of what was answered.
    pub fn response_bytes(bytes: u64) -> Self {
        Self::number(keys::RESPONSE_BYTES, bytes)
    }

    /// Microseconds that a part of the way took.
    pub fn took(phase: Phase, microseconds: u64) -> Self {
        Self::number(phase.as_str(), microseconds)
    }

    /// How many findings were masked.
    pub fn findings(count: u64) -> Self {
        Self::number(keys::FINDINGS, count)
    }

    /// How many attempts it took.
    pub fn attempts(count: u64) -> Self {
        Self::number(keys::ATTEMPTS, count)
    }

    /// One of our own ids: 128 bits, written as a UUID.
    pub fn id(of: IdOf, id: u128) -> Self {
        let digits = format!("{id:032x}");
        let part = |from, to| digits.get(from..to).unwrap_or_default();
        let text = format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32));
        Self { key: of.as_str(), value: Value::Text(Cow::Owned(text)) }
    }

    /// A plugin, by its name.
    pub fn plugin(name: &str) -> Self {
        Self::name(keys::PLUGIN, name)
    }

    /// A plugin's digest: SHA-256.
    pub fn plugin_digest(digest: [u8; 32]) -> Self {
        let text = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { key: keys::PLUGIN_DIGEST, value: Value::Text(Cow::Owned(text)) }
    }

    /// The function of the contract that is called.
    pub fn plugin_function(function: &'static str) -> Self {
        Self::name(keys::PLUGIN_FUNCTION, function)
    }

    /// What a plugin is called for.
    pub fn purpose(purpose: Purpose) -> Self {
        Self::text(keys::PURPOSE, purpose.as_str())
    }

    /// The rule of a tool.
    pub fn rule(rule: Rule) -> Self {
        Self::text(keys::RULE, rule.as_str())
    }

    /// The code of a JSON-RPC error. It is the type of the error, too, which [`Span::fail_with_code`](crate::Span) says.
    pub(crate) fn status_code(code: i64) -> Self {
        Self { key: keys::RPC_STATUS, value: Value::Text(Cow::Owned(code.to_string())) }
    }

    pub(crate) fn error_code(code: i64) -> Self {
        Self { key: keys::ERROR_TYPE, value: Value::Text(Cow::Owned(code.to_string())) }
    }

    pub(crate) fn failure(failure: Failure) -> Self {
        Self::text(keys::ERROR_TYPE, failure.as_str())
    }
}

/// Letters, digits and what stands between words of a name: what MCP allows in a tool's name.
fn is_name(text: &str) -> bool {
    (1..=MAX_WORD_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'))
}

pub(crate) fn name_of(text: &str) -> Cow<'static, str> {
    if is_name(text) { Cow::Owned(text.to_owned()) } else { Cow::Borrowed(OTHER) }
}

pub(crate) fn route_of(pattern: &str) -> Cow<'static, str> {
    let is_route = pattern.starts_with('/')
        && pattern.len() <= MAX_WORD_BYTES
        && pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.{}*".contains(&byte))
        // What looks like an id stands for a path that was filled in.
        && !pattern.split('/').any(|part| part.len() >= 16 && is_lower_hex(&part.replace('-', ""), part.replace('-', "").len()));
    if is_route { Cow::Owned(pattern.to_owned()) } else { Cow::Borrowed(OTHER) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(attribute: &Attribute) -> String {
        match &attribute.value {
            Value::Text(text) => text.to_string(),
            Value::Number(number) => number.to_string(),
        }
    }

    #[test]
    fn names_are_said_and_sentences_are_not() {
        for (attribute, key, expected) in [
            (Attribute::tool("get_weather"), "gen_ai.tool.name", "get_weather"),
            (Attribute::tool("mail ana@ops.example"), "gen_ai.tool.name", OTHER),
            (Attribute::tool("ana@ops.example"), "gen_ai.tool.name", OTHER),
            (Attribute::tool(""), "gen_ai.tool.name", OTHER),
            (Attribute::tool(&"x".repeat(129)), "gen_ai.tool.name", OTHER),
            (Attribute::prompt("größe"), "gen_ai.prompt.name", OTHER),
            (Attribute::method(Method::of("tools/call")), "mcp.method.name", "tools/call"),
            (Attribute::method(Method::of("tools/steal")), "mcp.method.name", OTHER),
            (Attribute::protocol_version("2026-07-28"), "mcp.protocol.version", "2026-07-28"),
            (Attribute::protocol_version("2026-07-28; drop"), "mcp.protocol.version", OTHER),
            (Attribute::protocol_version("4111111111"), "mcp.protocol.version", OTHER),
            (Attribute::server_address("mcp.example.com"), "server.address", "mcp.example.com"),
            (Attribute::server_address("[::1]"), "server.address", "[::1]"),
            (Attribute::server_address("ana:secret@mcp.example"), "server.address", OTHER),
            (Attribute::http_route("/incidents/{id}/log"), "http.route", "/incidents/{id}/log"),
            (Attribute::http_route("/incidents/0198c2d4-7c1e-7a77-8b52-0242ac120002"), "http.route", OTHER),
            (Attribute::http_route("/search?q=ana"), "http.route", OTHER),
            (Attribute::http_method(HttpMethod::of("BREW")), "http.request.method", OTHER),
            (
                Attribute::id(IdOf::Call, 0x0198c2d47c1e7a778b520242ac120002),
                "fumehood.mcp.call.id",
                "0198c2d4-7c1e-7a77-8b52-0242ac120002",
            ),
            (Attribute::plugin_digest([0xab; 32]), "fumehood.plugin.digest", &"ab".repeat(32)),
            (Attribute::took(Phase::Scan, 17), "fumehood.scan.duration_us", "17"),
            (Attribute::request_bytes(u64::MAX), "fumehood.request.bytes", "9223372036854775807"),
            (Attribute::failure(Failure::Tool), "error.type", "tool_error"),
            (Attribute::status_code(-32602), "rpc.response.status_code", "-32602"),
        ] {
            assert_eq!((attribute.key, said(&attribute).as_str()), (key, expected));
        }
    }

    #[test]
    fn ids_of_requests_are_ids() {
        let id = |id| Attribute::request_id(id).map(|attribute| said(&attribute));
        assert_eq!(id(RequestId::Number(-7)).as_deref(), Some("-7"));
        assert_eq!(id(RequestId::Text("request-7")).as_deref(), Some("request-7"));
        assert_eq!(id(RequestId::Text("delete ana's account")), None);
        assert_eq!(id(RequestId::Text("")), None);
    }

    #[test]
    fn phases_and_ids_have_their_own_keys() {
        assert_eq!(
            Phase::ALL.iter().map(|phase| phase.as_str()).collect::<Vec<_>>(),
            [keys::POLICY_US, keys::SCAN_US, keys::AUDIT_US, keys::UPSTREAM_US]
        );
        assert_eq!(
            IdOf::ALL.iter().map(|of| of.as_str()).collect::<Vec<_>>(),
            [keys::CALL, keys::INCIDENT, keys::INTENT]
        );
        for method in Method::ALL {
            assert_eq!(Method::of(method.as_str()), *method);
        }
    }

    proptest! {
        /// No text that has a space, an at sign, a quote or a control character is ever said, by any constructor.
        #[test]
        fn no_constructor_lets_text_through(before in "[a-z]{0,9}", mark in "[ @?&=%+\"'\\\\<>(),;!#$\u{0}-\u{1f}\u{80}-\u{ffff}]", after in any::<String>()) {
            let text = format!("{before}{mark}{after}");
            let all = [
                Some(Attribute::tool(&text)), Some(Attribute::prompt(&text)), Some(Attribute::session(&text)),
                Some(Attribute::server(&text)), Some(Attribute::plugin(&text)), Some(Attribute::protocol_version(&text)),
                Some(Attribute::server_address(&text)), Some(Attribute::http_route(&format!("/{text}"))),
                Some(Attribute::method(Method::of(&text))), Some(Attribute::http_method(HttpMethod::of(&text))),
                Attribute::request_id(RequestId::Text(&text)),
            ];
            for attribute in all.iter().flatten() {
                prop_assert_eq!(said(attribute), OTHER);
            }
        }
    }
}
