//! `fumehood serve`: open, listen, say where, and end without losing anything.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use fumehood_triage::App;

use crate::connections::Guard;
use crate::settings::Settings;
use crate::{control, data};

/// How long requests may go on after the end was asked for.
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a request's head may take.
const HEAD: std::time::Duration = std::time::Duration::from_secs(20);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 100;

pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    settings.check_serve()?;
    let filter = settings.log_filter()?;
    // Below info these write down what they carry: text of incidents, and headers.
    let filter = ["rmcp=warn", "hyper=info", "h2=info"]
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, tracing_subscriber::EnvFilter::add_directive);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A standard error that cannot be written (a full disk, a reader that went away) must not end a thread.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Whatever is in this process's memory stays out of core files and other processes' reach.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: &Settings) -> anyhow::Result<ExitCode> {
    // The port first: a taken one is the commonest mistake, and nothing has been made yet.
    let listener = std::net::TcpListener::bind(settings.listen).with_context(|| {
        format!("cannot listen on {}; choose another address with --listen, port 0 takes a free one", settings.listen)
    })?;
    listener.set_nonblocking(true)?;
    let tls_config = tls(settings).await?;
    let vault = data::open_or_create(settings)?;
    let traces = fumehood_triage::TraceSettings::read(env!("CARGO_PKG_VERSION"), |name| std::env::var(name).ok())?;
    for warning in traces.iter().flat_map(fumehood_triage::TraceSettings::warnings) {
        tracing::warn!("{warning}");
    }
    let config = fumehood_triage::AppConfig { traces, ..super::app_config(settings, Arc::new(progress))? };
    let app = App::open(config, vault).await?;
    let served = serve_app(settings, &app, listener, tls_config).await;
    // Also after an error: the store is closed in order, and what is going on ends with an outcome.
    app.shut_down().await;
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve_app(
    settings: &Settings,
    app: &App,
    listener: std::net::TcpListener,
    tls_config: Option<axum_server::tls_rustls::RustlsConfig>,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    app.start_background();
    let local = format!("{}://{address}", if tls_config.is_some() { "https" } else { "http" });
    let public = settings.public_origin()?.unwrap_or_else(|| local.clone());
    control::listen(app.clone(), &settings.data, &public)?;
    let options = fumehood_web::Options { public_url: public.clone(), listen: address, mcp: settings.mcp };
    let service =
        fumehood_web::router(app.clone(), options)?.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let handle = axum_server::Handle::new();
    end_on_signal(handle.clone(), app.clone())?;
    announce(app, &local, &public).await?;
    match tls_config {
        Some(config) => {
            let server = axum_server::from_tcp_rustls(listener, config)?.handle(handle);
            let mut server = server.map(|tls| tls.acceptor(Guard::new()));
            bound_heads(server.http_builder());
            server.serve(service).await?;
        }
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle).acceptor(Guard::new());
            bound_heads(server.http_builder());
            server.serve(service).await?;
        }
    }
    Ok(())
}

/// Certificate and key, where they are named; read before anything is announced.
async fn tls(settings: &Settings) -> anyhow::Result<Option<axum_server::tls_rustls::RustlsConfig>> {
    let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Ok(None) };
    let config = axum_server::tls_rustls::RustlsConfig::from_pem_file(cert, key).await;
    config.map(Some).with_context(|| format!("{} and {} are no certificate and its key", cert.display(), key.display()))
}

/// A client that sends its head drop by drop must not hold a connection.
fn bound_heads(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(hyper_util::rt::TokioTimer::new()).max_concurrent_streams(STREAMS);
}

/// The first lines on standard output: where, and the way in for the first person.
async fn announce(app: &App, local: &str, public: &str) -> anyhow::Result<()> {
    let link = app.first_link().await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {local}")?;
    if let Some(path) = link {
        writeln!(out, "sign in once with {public}{path}")?;
    }
    out.flush()?;
    Ok(())
}

fn progress(plugin: &str, done: usize, total: usize, cached: bool) {
    if cached {
        tracing::debug!(plugin, done, total, "loaded");
    } else {
        let how = if std::io::stderr().is_terminal() { "compiled" } else { "compiled plugin" };
        tracing::info!("{how} {plugin} ({done} of {total}); the next start loads it from the cache");
    }
}

fn end_on_signal(handle: axum_server::Handle<std::net::SocketAddr>, app: App) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        handle.graceful_shutdown(Some(GRACE));
        app.stop_work();
        tracing::info!("ending; requests have {} s to finish", GRACE.as_secs());
    });
    Ok(())
}
