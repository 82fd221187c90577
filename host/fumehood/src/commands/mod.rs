//! One module per command.

mod bridge;
pub mod mcp;
pub mod plugin;
pub mod replay;
mod scan;
mod serve;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use fumehood_store::VerifyReport;
use fumehood_triage::{App, AppConfig};

use crate::cli::{AuditCommand, Cli, Command, PeopleCommand, ServeArgs, TokenCommand};
use crate::settings::{Settings, Source};
use crate::{control, data};

/// Run what was typed.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { common, serve, command } = cli;
    let resolve = |serve: &ServeArgs| Settings::resolve(&common, serve);
    match command {
        None => serve::run(&resolve(&serve)?),
        Some(Command::Serve(inner)) => serve::run(&resolve(&merge(serve, inner))?),
        Some(Command::Scan(args)) => scan::run(&resolve(&serve)?, &args),
        Some(Command::Audit(AuditCommand::Verify { checkpoint_file })) => {
            verify(&resolve(&merge(serve, ServeArgs { checkpoint_file, ..ServeArgs::default() }))?)
        }
        Some(Command::Token(TokenCommand::Create { role, name, days })) => {
            change(&resolve(&serve)?, control::Request::CreateToken { role, name, days }, Vec::new())
        }
        Some(Command::People(PeopleCommand::Password { email })) => {
            change(&resolve(&serve)?, control::Request::PasswordLink { email }, Vec::new())
        }
        Some(Command::Plugin(command)) => plugin::run(&resolve(&serve)?, command),
        Some(Command::Mcp(command)) => mcp::run(&resolve(&serve)?, command),
        Some(Command::CompilePlugin) => compile_plugin(),
        Some(Command::Config) => show_config(&resolve(&serve)?),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fumehood", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// `fumehood --listen A serve` and `fumehood serve --listen A` mean the same.
fn merge(outer: ServeArgs, inner: ServeArgs) -> ServeArgs {
    ServeArgs {
        listen: inner.listen.or(outer.listen),
        tls_cert: inner.tls_cert.or(outer.tls_cert),
        tls_key: inner.tls_key.or(outer.tls_key),
        public_url: inner.public_url.or(outer.public_url),
        checkpoint_file: inner.checkpoint_file.or(outer.checkpoint_file),
        policy_file: inner.policy_file.or(outer.policy_file),
        retention_days: inner.retention_days.or(outer.retention_days),
        mcp_calls_per_minute: inner.mcp_calls_per_minute.or(outer.mcp_calls_per_minute),
        mcp_tool_calls_per_minute: inner.mcp_tool_calls_per_minute.or(outer.mcp_tool_calls_per_minute),
        mcp_record: inner.mcp_record.or(outer.mcp_record),
        log: inner.log.or(outer.log),
    }
}

fn verify(settings: &Settings) -> anyhow::Result<ExitCode> {
    let vault = data::open(settings)?;
    let outside = match &settings.checkpoint_file {
        Some(path) => Some(std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?),
        None => None,
    };
    let report = fumehood_store::verify(&settings.data, &vault, outside.as_deref())?;
    let mut out = std::io::stdout().lock();
    match report {
        VerifyReport::Ok(report) => {
            writeln!(out, "ok: {} entries", report.entries)?;
            if let Some(covered) = report.covered_by_outside {
                writeln!(
                    out,
                    "the first {covered} of them are proved unchanged by checkpoints that were kept outside"
                )?;
            } else {
                writeln!(
                    std::io::stderr(),
                    "note: without a checkpoint file from outside, a database that was replaced as a whole cannot be told from the real one"
                )?;
            }
            match report.unknown_outcomes.as_slice() {
                [] => {}
                [one] => writeln!(out, "1 action has no outcome yet, or was cut off: entry {one}")?,
                many => writeln!(out, "{} actions have no outcome yet, or were cut off: entries {many:?}", many.len())?,
            }
            Ok(ExitCode::SUCCESS)
        }
        VerifyReport::Bad { sentence, .. } => {
            writeln!(out, "bad: {sentence}")?;
            Ok(ExitCode::from(1))
        }
    }
}

/// Ask the running server, or open the data folder where none runs.
fn change(settings: &Settings, request: control::Request, payload: Vec<u8>) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{}", asked(settings, request, payload)?)?;
    Ok(ExitCode::SUCCESS)
}

/// As [`change`], for whoever does something with the answer.
fn asked(settings: &Settings, request: control::Request, payload: Vec<u8>) -> anyhow::Result<String> {
    let answer = match control::ask(&settings.data, &request, &payload)? {
        Some(answer) => answer,
        None => {
            let is_new = !settings.data.join(data::KEYRING).exists();
            let vault = data::open_or_create(settings)?;
            if is_new {
                // A slip in the path would otherwise make a token that no server knows.
                let place = settings.data.display();
                writeln!(
                    std::io::stderr(),
                    "note: {place} was no data folder; a new one was made there, with its own key"
                )?;
            }
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(async {
                let app = App::open(app_config(settings, Arc::new(|_, _, _, _| {}))?, vault).await?;
                let scheme = if settings.tls_cert.is_some() { "https" } else { "http" };
                let origin = settings.public_origin()?.unwrap_or_else(|| format!("{scheme}://{}", settings.listen));
                let answer = control::carry_out(&app, &origin, request, payload).await;
                app.shut_down().await;
                match answer {
                    control::Answer::Ok(value) => Ok(value),
                    control::Answer::Error(message) => bail!("{message}"),
                    control::Answer::Part(_) => bail!("half an answer is none"),
                }
            })?
        }
    };
    Ok(answer)
}

/// How the application is set up, by the settings.
fn app_config(settings: &Settings, progress: Arc<fumehood_triage::StartProgress>) -> anyhow::Result<AppConfig> {
    let named = settings.shown.iter().any(|(name, _, source)| *name == "policy-file" && *source != Source::Default);
    if named && !settings.policy_file.exists() {
        bail!("the policy {} is not there; without it nothing would be capped", settings.policy_file.display());
    }
    let program = std::env::current_exe().context("this program's own path is not known")?;
    Ok(AppConfig {
        data: settings.data.clone(),
        checkpoint_file: settings.checkpoint_file.clone(),
        policy_file: settings.policy_file.clone(),
        retention_days: settings.retention_days,
        compiler: fumehood_egress::ProcessSpec {
            command: program,
            arguments: vec!["compile-plugin".into()],
            environment: Vec::new(),
            folder: "/".into(),
            pinned: None,
        },
        traces: None,
        progress,
    })
}

/// Be the compiler's child.
fn compile_plugin() -> anyhow::Result<ExitCode> {
    fumehood_runtime::compile_child(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn show_config(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for (name, value, source) in &settings.shown {
        let value = if value.is_empty() { "(not set)" } else { value };
        writeln!(out, "{name:<16} {value:<48} {}", source.name())?;
    }
    out.flush()?;
    settings.log_filter()?;
    Ok(ExitCode::SUCCESS)
}
