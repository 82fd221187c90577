//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::TextPath;

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
    /// One finding a line: start, end, type, confidence (bytes, tab-separated)
    #[default]
    Spans,
    /// The text with every finding replaced by its pseudonym
    Redacted,
    /// Reads {"id":…,"text":…} a line, writes {"id":…,"spans":[…]} a line
    Jsonl,
}

#[derive(Debug, Args)]
pub struct ScanArgs {
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    pub format: ScanFormat,
    /// Exit with 1 where something was found, 0 where nothing was
    #[arg(long)]
    pub exit_code: bool,
    /// File to read; `-` or nothing reads standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
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
    /// List the plugins that this binary carries
    List,
}
