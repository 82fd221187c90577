//! The server's own door: a Unix socket, 0600, in the data folder. Commands that change something go through it, because
//! one process owns the data folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fumehood_triage::gateway::ReplayRequest;
use fumehood_triage::{App, Role, Scope};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

/// Name of the socket in the data folder.
const SOCKET: &str = "control.sock";
/// Longest request, bytes.
const REQUEST: u64 = 256 << 10;
/// How long the server may take: compiling a large component takes minutes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(900);

/// What can be asked, one JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    CreateToken {
        role: Role,
        name: String,
        days: Option<u32>,
    },
    PasswordLink {
        email: String,
    },
    Plugin(PluginRequest),
    Mcp(McpRequest),
    /// Answered piece by piece; a line from the other side, or its end, stops it.
    Replay(ReplayRequest),
}

/// What can be asked of the record of the gateway.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct McpRequest {
    /// `logs`, `stats`, `sessions`, `schema` or `show`.
    pub what: String,
    pub server: String,
    pub tool: String,
    pub method: String,
    pub status: String,
    /// A session; for `show` the id of the request.
    pub session: String,
    pub client: String,
    pub by: String,
    pub since_us: i64,
    pub over_us: u64,
    pub after: Option<i64>,
    pub limit: usize,
}

/// What can be asked of plugins.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum PluginRequest {
    List {
        json: bool,
    },
    Show {
        name: String,
        grant: bool,
    },
    /// The component follows the line.
    Install {
        manifest: Option<String>,
        signature: Option<String>,
        source: String,
        bytes: usize,
        wait: bool,
    },
    /// By digest, from a registry.
    Fetch {
        reference: String,
        username: String,
        password: Option<String>,
        wait: bool,
    },
    Approve {
        plugin: String,
        grant: GrantChoice,
    },
    Refuse {
        plugin: String,
    },
    Grant {
        name: String,
        grant: GrantChoice,
    },
    Rollback {
        name: String,
    },
    Recording {
        name: String,
        call: Option<u64>,
    },
    Remove {
        name: String,
    },
    Stop {
        target: String,
        reason: String,
    },
    Resume {
        target: String,
    },
    Secret {
        name: String,
        handle: String,
        kind: String,
        username: String,
        secret: Option<String>,
    },
}

/// What is to be granted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantChoice {
    /// Nothing yet: say what is asked for.
    List,
    All,
    Nothing,
    Only(Vec<usize>),
    Exactly(Box<fumehood_policy::PluginGrant>),
}

impl Request {
    /// Bytes that follow the line.
    fn payload_bytes(&self) -> usize {
        match self {
            Self::Plugin(PluginRequest::Install { bytes, .. }) => *bytes,
            _ => 0,
        }
    }
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Ok(String),
    Error(String),
    /// More follows.
    Part(String),
}

/// Carry a request out on an open application, which browsers reach at `origin`.
pub async fn carry_out(app: &App, origin: &str, request: Request, payload: Vec<u8>) -> Answer {
    let done = match request {
        Request::CreateToken { role, name, days } => {
            app.create_token(&Scope::operator(), &name, role, days).await.map(|(_, token)| token)
        }
        Request::PasswordLink { email } => {
            app.password_link_for(&Scope::operator(), &email).await.map(|path| format!("{origin}{path}"))
        }
        Request::Plugin(request) => crate::commands::plugin::carry_out(app, request, payload).await,
        Request::Mcp(request) => crate::commands::mcp::carry_out(app, request).await,
        Request::Replay(request) => return crate::commands::replay::carry_out(app, request).await,
    };
    done.map_or_else(|error| Answer::Error(error.to_string()), Answer::Ok)
}

/// The socket by way of its open folder: the address of a socket holds some hundred bytes, and folders lie deeper.
struct Door {
    #[cfg(target_os = "linux")]
    folder: std::os::fd::OwnedFd,
    path: PathBuf,
}

impl Door {
    fn of(data: &Path) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags};
            let folder = rustix::fs::open(data, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            Ok(Self { folder, path: data.join(SOCKET) })
        }
        #[cfg(not(target_os = "linux"))]
        Ok(Self { path: data.join(SOCKET) })
    }

    fn address(&self) -> PathBuf {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd as _;
            PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", self.folder.as_raw_fd()))
        }
        #[cfg(not(target_os = "linux"))]
        self.path.clone()
    }
}

/// Listen until the process ends.
pub fn listen(app: App, data: &Path, origin: &str) -> anyhow::Result<()> {
    use tokio::io::AsyncReadExt as _;
    let door = Door::of(data).with_context(|| format!("{} cannot be opened", data.display()))?;
    let path = &door.path;
    // The folder's lock is held: whatever is there was left by a process that is gone.
    let _ = std::fs::remove_file(path);
    let listener =
        tokio::net::UnixListener::bind(door.address()).with_context(|| format!("{} cannot be made", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let origin: std::sync::Arc<str> = origin.into();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (app, origin) = (app.clone(), std::sync::Arc::clone(&origin));
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut line = String::new();
                let mut reader = tokio::io::BufReader::new(read);
                if (&mut reader).take(REQUEST).read_line(&mut line).await.is_err() {
                    return;
                }
                let answer = match serde_json::from_str::<Request>(&line) {
                    Ok(Request::Replay(request)) => {
                        crate::commands::replay::serve(&app, request, &mut reader, &mut write).await
                    }
                    Ok(request) => {
                        // One byte more than is allowed is enough to be refused for it.
                        let bytes = request.payload_bytes().min(fumehood_runtime::limits::COMPONENT_BYTES + 1);
                        let mut payload = vec![0; bytes];
                        if reader.read_exact(&mut payload).await.is_err() {
                            return;
                        }
                        carry_out(&app, &origin, request, payload).await
                    }
                    Err(error) => Answer::Error(format!("the request is not understood: {error}")),
                };
                if let Ok(mut text) = serde_json::to_string(&answer) {
                    text.push('\n');
                    let _ = write.write_all(text.as_bytes()).await;
                }
            });
        }
    });
    Ok(())
}

/// Ask the running server; nothing where none runs.
pub fn ask(data: &Path, request: &Request, payload: &[u8]) -> anyhow::Result<Option<String>> {
    let Ok(mut stream) = Door::of(data).and_then(|door| UnixStream::connect(door.address())) else { return Ok(None) };
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    stream.write_all(payload)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the server did not answer")?;
    match serde_json::from_str(&line).context("the server's answer is not understood")? {
        Answer::Ok(value) => Ok(Some(value)),
        Answer::Error(message) => bail!("{message}"),
        Answer::Part(_) => bail!("the server's answer is not understood"),
    }
}

/// The way to the running server, for an answer that comes piece by piece; nothing where none runs.
pub async fn open(data: &Path) -> Option<tokio::net::UnixStream> {
    let door = Door::of(data).ok()?;
    tokio::net::UnixStream::connect(door.address()).await.ok()
}
