//! Names of attributes: OpenTelemetry's semantic conventions (general ones 1.41, those for MCP and generative AI as of
//! November 2026), and our own, which begin with `fumehood.`.
//!
//! Names that the conventions have and this crate does not, because what stands under them is what somebody said:
//! `gen_ai.tool.call.arguments`, `gen_ai.tool.call.result`, `mcp.resource.uri`, `url.full`, `url.path`, `url.query`,
//! `exception.message`, `exception.stacktrace`, `client.address`, `user_agent.original`, `enduser.id`.

/// What was asked: a method of the protocol.
pub const MCP_METHOD: &str = "mcp.method.name";
/// The session of a client of the older era.
pub const MCP_SESSION: &str = "mcp.session.id";
/// The version of the protocol that is spoken.
pub const MCP_VERSION: &str = "mcp.protocol.version";
/// The id of the request, as text.
pub const JSONRPC_REQUEST: &str = "jsonrpc.request.id";
/// The error's code, as text.
pub const RPC_STATUS: &str = "rpc.response.status_code";
/// What kind of error it was.
pub const ERROR_TYPE: &str = "error.type";
/// The name of a tool.
pub const TOOL: &str = "gen_ai.tool.name";
/// The name of a prompt.
pub const PROMPT: &str = "gen_ai.prompt.name";
/// `execute_tool` for a tool's call, and else not there.
pub const OPERATION: &str = "gen_ai.operation.name";
/// How messages go: `tcp`, `pipe`, …
pub const TRANSPORT: &str = "network.transport";
/// `http`.
pub const PROTOCOL: &str = "network.protocol.name";
/// The version of HTTP.
pub const PROTOCOL_VERSION: &str = "network.protocol.version";
/// The host that is asked.
pub const SERVER_ADDRESS: &str = "server.address";
/// Its port.
pub const SERVER_PORT: &str = "server.port";
/// The method of an HTTP request.
pub const HTTP_METHOD: &str = "http.request.method";
/// The pattern of a path, as the router has it.
pub const HTTP_ROUTE: &str = "http.route";
/// The status of an HTTP answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// `http` or `https`.
pub const URL_SCHEME: &str = "url.scheme";
/// Bytes of what was asked.
pub const REQUEST_BYTES: &str = "fumehood.request.bytes";
/// Bytes of what was answered.
pub const RESPONSE_BYTES: &str = "fumehood.response.bytes";
/// The server that a request went to, by the name under which it is registered.
pub const SERVER: &str = "fumehood.mcp.server";
/// The row on record: `fumehood mcp show ID`.
pub const CALL: &str = "fumehood.mcp.call.id";
/// An incident.
pub const INCIDENT: &str = "fumehood.incident.id";
/// The entry of the audit log.
pub const INTENT: &str = "fumehood.audit.intent.id";
/// A plugin, by its name.
pub const PLUGIN: &str = "fumehood.plugin.name";
/// Its digest.
pub const PLUGIN_DIGEST: &str = "fumehood.plugin.digest";
/// The function of the contract that is called.
pub const PLUGIN_FUNCTION: &str = "fumehood.plugin.function";
/// What a plugin is called for.
pub const PURPOSE: &str = "fumehood.call.purpose";
/// What was decided: `allow`, `ask`, `deny`.
pub const RULE: &str = "fumehood.tool.rule";
/// Microseconds until the tool and its rule were found.
pub const POLICY_US: &str = "fumehood.policy.duration_us";
/// Microseconds of masking, both ways.
pub const SCAN_US: &str = "fumehood.scan.duration_us";
/// Microseconds until the intent was on disk.
pub const AUDIT_US: &str = "fumehood.audit.duration_us";
/// Microseconds of the server, with the transport.
pub const UPSTREAM_US: &str = "fumehood.upstream.duration_us";
/// How many findings were masked.
pub const FINDINGS: &str = "fumehood.scan.findings";
/// How many attempts it took.
pub const ATTEMPTS: &str = "fumehood.attempts";
