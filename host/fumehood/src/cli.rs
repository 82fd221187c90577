//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::{RecordWhen, TextPath};

/// Self-hosted incident triage: logs go in, personal data is masked, a root-cause analysis comes out.
///
/// Without a command, the server is started.
#[derive(Debug, Parser)]
#[command(name = "fumehood", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command knows.
#[derive(Debug, Args)]
pub struct Common {
    /// Folder for the database, keys and caches [default: ~/.local/share/fumehood; environment: FUMEHOOD_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<TextPath>,
    /// Configuration file [default: config.toml in the data folder; environment: FUMEHOOD_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<TextPath>,
    /// File with the master key, 64 hexadecimal digits [default: master.key in the data folder; environment: FUMEHOOD_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<TextPath>,
}

/// Options of the server.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:7447; environment: FUMEHOOD_LISTEN]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Certificate chain (PEM) for TLS; needed to listen beyond this machine [environment: FUMEHOOD_TLS_CERT]
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<TextPath>,
    /// Private key (PEM) for TLS [environment: FUMEHOOD_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<TextPath>,
    /// URL under which browsers reach the server behind a trusted proxy: https://triage.example.com [environment: FUMEHOOD_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// File outside the data folder that signed checkpoints of the audit log are appended to [environment: FUMEHOOD_CHECKPOINT_FILE]
    #[arg(long, value_name = "FILE")]
    pub checkpoint_file: Option<TextPath>,
    /// The organisation's policy: ceilings, trusted publishers [default: policy.toml in the data folder; environment: FUMEHOOD_POLICY_FILE]
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<TextPath>,
    /// Days for which the bytes that plugins sent and received are kept, for replays [default: 30; environment: FUMEHOOD_RETENTION_DAYS]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=3650))]
    pub retention_days: Option<u32>,
    /// Calls of tools that one caller of the gateway may make in a minute; 0 for any number [default: 0; environment: FUMEHOOD_MCP_CALLS_PER_MINUTE]
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub mcp_calls_per_minute: Option<u32>,
    /// The same of any one tool [default: 0; environment: FUMEHOOD_MCP_TOOL_CALLS_PER_MINUTE]
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub mcp_tool_calls_per_minute: Option<u32>,
    /// When requests of the gateway are put on record: `before` they go to a server, or `after` they were answered, which is faster and loses those that a kill cuts off [default: before; environment: FUMEHOOD_MCP_RECORD]
    #[arg(long, value_name = "WHEN")]
    pub mcp_record: Option<RecordWhen>,
    /// What is logged on standard error: error, warn, info, debug, or a filter [default: info; environment: FUMEHOOD_LOG]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server
    Serve(ServeArgs),
    /// Find personal data and secrets in a file or in standard input
    Scan(ScanArgs),
    /// Verify the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// API tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// People with accounts
    #[command(subcommand)]
    People(PeopleCommand),
    /// Plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// The record of the MCP gateway: every request, who made it, how long it took and where
    #[command(subcommand)]
    Mcp(McpCommand),
    /// Compile a plugin from standard input; the server starts this by itself
    #[command(hide = true)]
    CompilePlugin,
    /// Show the configuration that holds, and where each value comes from
    Config,
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    /// One finding a line: start, end, type, confidence (bytes, tab-separated); of several files `file:line:column` first
    #[default]
    Spans,
    /// The text with every finding replaced by its pseudonym
    Redacted,
    /// One finding a line as JSON. Where the input is {"id":…,"text":…} a line, {"id":…,"spans":[…]} a line
    Jsonl,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

#[derive(Debug, Args)]
pub struct ScanArgs {
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    pub format: ScanFormat,
    /// Exit with 1 where something was found and 0 where nothing was. 2 is an error, or that something could not be read
    #[arg(long)]
    pub exit_code: bool,
    /// Report only these: groups (secret, personal, structured, contextual) and types (EMAIL, PASSWORD, …)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Report only what is at least as sure, 0 to 1
    #[arg(long, value_name = "NUMBER")]
    pub min_confidence: Option<f32>,
    /// Rules of your own, in TOML; gitleaks' files load as they are. May be given several times
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// Leave out what this file knows
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write marks of everything that is found to this file, as what is known from now on
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// Leave out files and folders whose path matches: `*.min.js`, `**/node_modules`. What git keeps in `.git` is left out
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Follow links in folders
    #[arg(long)]
    pub follow: bool,
    /// Where the masked files go that `redacted` makes of several; nothing is overwritten
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Threads; all cores without
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Keep the compiled scanners here, so that the next scan starts at once [default: ~/.cache/fumehood/compiled]
    #[arg(long, value_name = "FOLDER", env = "FUMEHOOD_SCAN_CACHE")]
    pub cache: Option<PathBuf>,
    /// Keep nothing: compile the scanners, which takes a second or two
    #[arg(long, overrides_with = "cache")]
    pub no_cache: bool,
    /// Files, folders and archives (zip, tar, gzip, zstd); `-` or nothing reads standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every entry against its hash, the signed checkpoints, and a file of checkpoints that was kept outside
    ///
    /// Says `ok` with the number of entries and exits with 0, or names the first bad entry and exits with 1. Reads
    /// the database only; a server may be running.
    Verify {
        /// Checkpoints that the server has appended elsewhere (`--checkpoint-file` of the server) [environment: FUMEHOOD_CHECKPOINT_FILE]
        #[arg(long, value_name = "FILE")]
        checkpoint_file: Option<TextPath>,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create an API token and print it, and nothing else, on standard output
    Create {
        /// viewer, responder, operator, security or admin
        #[arg(long)]
        role: fumehood_triage::Role,
        /// What the token is for
        #[arg(long, default_value = "command line")]
        name: String,
        /// Days until it runs out; without, it holds until it is revoked
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
}

/// Which requests.
#[derive(Debug, Args)]
pub struct CallFilters {
    /// Of this server, by its name in tool names
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Of this tool, resource or prompt
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Of this method: tools/call, resources/read
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// ok, error, timeout, open, or unknown where the server was stopped first
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Since then: 15m, 24h, 7d, or 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Of this session
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Of this client
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
}

/// By what requests are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum By {
    #[default]
    Tool,
    Client,
    Server,
    Method,
}

#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// List requests, the newest at the end
    Logs {
        #[command(flatten)]
        filters: CallFilters,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
        /// Go on with those that come
        #[arg(long, short)]
        follow: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// List the slowest requests
    Slow {
        #[command(flatten)]
        filters: CallFilters,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
        /// Those that took at least so many milliseconds
        #[arg(long, value_name = "MS", default_value_t = 0)]
        over_ms: u64,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Count calls and errors, and say how long they took
    Stats {
        #[command(flatten)]
        filters: CallFilters,
        /// By what
        #[arg(long, value_enum, default_value_t)]
        by: By,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List sessions of clients, those used last first
    Sessions {
        /// Used since then: 15m, 24h, 7d, or 2026-11-22T10:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List clients with what they asked for
    Clients {
        #[command(flatten)]
        filters: CallFilters,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how tools changed: the whole object before and after, and the difference
    Schema {
        /// Of this server
        server: Option<String>,
        /// Of this tool
        tool: Option<String>,
        /// Since then: 15m, 24h, 7d, or 2026-11-22T10:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 100)]
        limit: usize,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make recorded calls of tools again and say which are answered otherwise: after an upgrade, or by another server
    ///
    /// What was sent is sent again as it is on record, masked, one call after another. Tools have to be pinned and not
    /// denied, as for every call; what is set to ask is called, for whoever gives this command has decided. Each call is on
    /// record itself, and in the audit log. Exits with 0 where all are answered as before, 1 where some are not, and 2 where
    /// something is wrong or there was nothing to compare.
    Replay(ReplayArgs),
    /// Lead a client that speaks over standard input and output to the gateway of a running server
    Serve {
        /// Over standard input and output; HTTP is what the server itself serves, at /mcp
        #[arg(long, required = true)]
        stdio: bool,
        /// One server under its own names, instead of all
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// Where the server is [default: as it is configured on this machine]
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// A file with the API token [default: the environment's FUMEHOOD_TOKEN]
        #[arg(long, value_name = "FILE")]
        token_file: Option<std::path::PathBuf>,
    },
    /// Show one request with what was asked and answered, as JSON
    Show {
        /// Its id, as `logs --json` names it
        id: String,
    },
}

/// Which calls to make again, and how.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Calls of this server, by its name in tool names
    #[arg(long, value_name = "NAME")]
    pub server: String,
    /// Call this server instead, which offers the same tools
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
    /// Of this tool
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Made since then: 15m, 24h, 7d, or 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Of this session
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Of this client
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// Which ended so: ok, error or timeout
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// This one, by its id, as `logs --json` names it. May be given several times
    #[arg(long = "call", value_name = "ID", conflicts_with_all = ["tool", "since", "session", "client", "status"])]
    pub calls: Vec<String>,
    /// At most so many, the newest; they are made in the order in which they were made
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
    /// Call tools, too, of which their server does not say that they are read-only. What they do is done again
    #[arg(long)]
    pub writes: bool,
    /// Leave this out of the comparison: a JSON pointer (/content/0/text/updated; `*` is any key) or the name of a field,
    /// wherever it is. May be given several times
    #[arg(long, value_name = "POINTER|FIELD")]
    pub ignore: Vec<String>,
    /// Wait so long for one answer
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub timeout: u16,
    /// One JSON object a line, the summary last
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Print a one-time link with which somebody sets a new password
    Password {
        /// The account's e-mail address
        email: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List the plugins, what each may do, and what waits for an approval
    List {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Show one plugin: what it asks for and why, what it is granted, what it did, what it was refused
    Show {
        /// The plugin's name
        name: String,
        /// The grant of the version that runs, or of the one that waits, as JSON to edit and give back
        #[arg(long)]
        grant: bool,
    },
    /// Show a plugin's newest calls, or write one as a case for `plugin test`: its requests with what was answered
    Recording {
        /// The plugin's name
        name: String,
        /// The call, by its number in the record; without it, the newest are listed
        call: Option<u64>,
    },
    /// Install a component; a first version, and one that asks for more, waits for an approval
    Install {
        /// A file (`NAME.wasm`), or `oci://registry.example/repository@sha256:…`
        #[arg(value_name = "FILE|OCI")]
        from: String,
        /// The manifest, where the component carries none [default: the .toml file beside it]
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// The signature [default: the .sig or .minisig file beside it]
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// Wait for an approval, whatever it changes
        #[arg(long)]
        wait: bool,
        /// Who signs in at the registry; the password or token is read from FUMEHOOD_REGISTRY_PASSWORD
        #[arg(long, value_name = "NAME", default_value = "")]
        username: String,
    },
    /// Approve a version that waits: it runs from now on, with what is granted here
    Approve {
        /// NAME, or NAME@DIGEST where several versions wait
        plugin: String,
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Turn a version that waits down
    Refuse {
        /// NAME, or NAME@DIGEST where several versions wait
        plugin: String,
    },
    /// Change what the version that runs is granted
    Grant {
        /// The plugin's name
        name: String,
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Go back to the version that ran before, with the grant that it had
    Rollback {
        /// The plugin's name
        name: String,
    },
    /// Remove a plugin with all its versions, grants, secrets and numbers
    Remove {
        /// The plugin's name
        name: String,
    },
    /// Throw a kill switch: within a second nothing of it runs or sends, calls in flight included
    Stop {
        /// `all`, `publisher:NAME`, `plugin:NAME`, or a plugin's name
        target: String,
        /// Why, for those who find it stopped
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Put a kill switch back
    Resume {
        /// As it was thrown
        target: String,
    },
    /// Set the secret behind a handle that a plugin names; it is read from standard input
    Secret {
        /// The plugin's name
        name: String,
        /// The handle
        handle: String,
        /// How it is sent: `bearer`, `basic` (with --username) or `raw`
        #[arg(long, default_value = "bearer")]
        kind: String,
        /// For `basic`
        #[arg(long, default_value = "")]
        username: String,
        /// Forget it instead
        #[arg(long)]
        forget: bool,
    },
    /// Make a folder with a plugin that builds
    New {
        /// Lower-case letters, digits and hyphens
        name: String,
        /// scanner, provider, integration or transport
        #[arg(long)]
        world: fumehood_policy::PluginWorld,
        /// What it is written in
        #[arg(long, value_enum, default_value_t)]
        lang: Language,
        /// Who it is from: the name under which operators trust its key
        #[arg(long, default_value = "my-organisation")]
        publisher: String,
    },
    /// Build the plugin in a folder: dist/NAME.wasm, its manifest in it
    Build {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Run a built plugin in the real runtime against scripted answers: tests/*.toml in its folder
    ///
    /// Deterministic: clocks stand still, random numbers repeat themselves, and nothing is sent.
    Test {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Cases whose name holds this
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
    },
    /// Put a manifest into a component, in the place of the one that it may have
    Pack {
        /// The component
        component: PathBuf,
        /// The manifest
        #[arg(long, value_name = "FILE", default_value = "fumehood.toml")]
        manifest: PathBuf,
        /// The file to make [default: NAME-VERSION.wasm]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Store a component in an OCI registry, with its signature; prints the reference to install it by
    Push {
        /// The component
        file: PathBuf,
        /// `oci://registry.example/repository:tag`
        to: String,
        /// Who signs in at the registry; the password or token is read from FUMEHOOD_REGISTRY_PASSWORD
        #[arg(long, value_name = "NAME", default_value = "")]
        username: String,
    },
    /// Make a publisher's key for `sign`
    Key {
        /// The file to make; it is readable by its owner alone
        file: PathBuf,
    },
    /// Sign a component: makes NAME.wasm.sig beside it
    Sign {
        /// A key of `plugin key`
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The component
        file: PathBuf,
    },
    /// Say what a component is: its world, its imports, its manifest, its digest. Nothing of it runs
    Inspect {
        /// The component
        file: PathBuf,
    },
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    #[default]
    Rust,
    Python,
    Javascript,
}

impl Language {
    /// Its templates' folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
        }
    }
}

/// What is granted. Without any of these, the requests are listed and nothing is changed.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct GrantArgs {
    /// Everything that it asks for
    #[arg(long)]
    pub all: bool,
    /// Nothing: it may compute, and no more
    #[arg(long)]
    pub nothing: bool,
    /// Some of what it asks for, by the numbers that `plugin show` gives them
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub only: Vec<usize>,
    /// A grant as JSON, as `plugin show --grant` writes it: narrower than what it asks for, for example
    #[arg(long, value_name = "FILE")]
    pub grant: Option<PathBuf>,
}
