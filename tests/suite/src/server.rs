//! The server under test: started from a data folder, stopped with a signal, or killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::machine;

/// How long a start may take; a first start compiles every plugin.
const START: Duration = Duration::from_secs(180);
/// How long an orderly end may take: longer than the grace that the server gives its requests.
const STOP: Duration = Duration::from_secs(30);

/// A data folder of its own, removed at the end.
pub struct Data {
    folder: tempfile::TempDir,
}

impl Data {
    /// An empty place: the server makes the folder, the key and the database itself.
    pub fn empty() -> Self {
        Self { folder: tempfile::Builder::new().prefix("fh-").tempdir().unwrap() }
    }

    /// A folder that a server has been started on once, so that its plugins are compiled already. Every test gets a
    /// copy of the same one (with the same key), which saves a compilation each time.
    pub fn prepared() -> Self {
        let data = Self::empty();
        machine::copy_folder(&template(), &data.path());
        data
    }

    /// The folder's path.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A place beside the data folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path().join("fumehood.db")
    }

    /// A command of the binary on this folder, without anything from the tester's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command_on(&self.path(), arguments)
    }

    /// Run a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Start the server.
    pub fn start(&self) -> Server {
        Launch::new(&self.path()).start()
    }

    /// An API token with a role, from the command line.
    pub fn token(&self, role: &str) -> String {
        let output = self.run(&["token", "create", "--role", role]);
        assert!(output.status.success(), "token create: {}", text(&output.stderr));
        let token = text(&output.stdout);
        assert_eq!(token.lines().count(), 1, "the token and nothing else is on standard output: {token:?}");
        token.trim().to_owned()
    }
}

/// A command of the binary with a clean environment.
pub fn command_on(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(machine::binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FUMEHOOD_")) {
        command.env_remove(name);
    }
    // Scans leave the user's own cache alone, and share one.
    if arguments.first() == Some(&"scan") {
        command.env("XDG_CACHE_HOME", std::env::temp_dir().join("fumehood-tests/cache"));
    }
    command.args(arguments).arg("--data").arg(data);
    command
}

/// What a program said.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The folder that [`Data::prepared`] copies, made once for each build of the binary.
fn template() -> PathBuf {
    let meta = std::fs::metadata(machine::binary()).unwrap();
    let made = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let base = std::env::temp_dir().join("fumehood-tests");
    std::fs::create_dir_all(&base).unwrap();
    let place = base.join(format!("prepared-{made:x}-{:x}", meta.len()));
    // Tests run in processes of their own: one makes it, the others wait.
    let lock = std::fs::File::create(base.join("lock")).unwrap();
    lock.lock().unwrap();
    if !place.exists() {
        for old in std::fs::read_dir(&base).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
            let _ = std::fs::remove_dir_all(old.path());
        }
        let data = Data::empty();
        let status = data.start().stop();
        assert!(status.success(), "the first start ended with {status}");
        let half = base.join("half");
        machine::copy_folder(&data.path(), &half);
        std::fs::rename(&half, &place).unwrap();
    }
    place
}

/// How to start a server.
pub struct Launch {
    data: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    hosts: Option<PathBuf>,
}

impl Launch {
    /// On a folder, at a free port of this machine.
    pub fn new(data: &Path) -> Self {
        Self { data: data.to_owned(), arguments: Vec::new(), variables: Vec::new(), hosts: None }
    }

    /// With an argument more.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With a variable in the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With this file as `/etc/hosts`, so that the system's own resolver says what it says; see
    /// [`machine::can_unshare`].
    #[must_use]
    pub fn hosts(mut self, file: &Path) -> Self {
        self.hosts = Some(file.to_owned());
        self
    }

    fn command(&self) -> Command {
        let plain = command_on(&self.data, &[]);
        let mut command = match &self.hosts {
            None => plain,
            Some(hosts) => {
                let mut command = Command::new("unshare");
                command.args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]).arg(hosts);
                command.arg(plain.get_program()).args(plain.get_args());
                command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                command
            }
        };
        if !self.arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Start, and wait until it listens.
    pub fn start(self) -> Server {
        let mut child = self.command().spawn().unwrap();
        let log = collect(child.stderr.take().unwrap());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // To the end: a server whose pipe is full would stand still.
            while let Some(Ok(line)) = lines.next() {
                let _ = sender.send(line);
            }
        });
        let mut server = Server { child, url: String::new(), sign_in: None, log };
        match receiver.recv_timeout(START) {
            Ok(line) => match line.strip_prefix("listening on ") {
                Some(url) => server.url = url.trim().to_owned(),
                None => {
                    panic!("the first line on standard output is {line:?}, not `listening on …`")
                }
            },
            Err(_) => panic!("the server did not come up: {}", server.log()),
        }
        // The link follows at once, where there is one.
        if let Ok(line) = receiver.recv_timeout(Duration::from_millis(300)) {
            server.sign_in = line.split_whitespace().find(|word| word.contains("://")).map(str::to_owned);
        }
        server
    }

    /// Start where it has to refuse: what it said on standard error. Fails where it comes up, ends well, or hangs.
    pub fn refuse(self) -> String {
        let mut child = self.command().spawn().unwrap();
        let log = collect(child.stderr.take().unwrap());
        let said = collect(child.stdout.take().unwrap());
        let status = machine::wait_for("the refusal", START, || {
            // One that listens has not refused; do not wait for it.
            if said.lock().unwrap().contains("listening on") {
                child.kill().unwrap();
            }
            child.try_wait().unwrap()
        });
        // What was still in the pipes when it ended.
        std::thread::sleep(Duration::from_millis(50));
        let (said, log) = (said.lock().unwrap().clone(), log.lock().unwrap().clone());
        assert!(!said.contains("listening on"), "it came up: {said}{log}");
        assert!(!status.success(), "it ended with {status}: {said}{log}");
        assert!(status.code().is_some(), "it was ended by a signal or a crash ({status}): {log}");
        assert!(!log.contains("panicked at"), "it panicked: {log}");
        log
    }
}

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    url: String,
    sign_in: Option<String>,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.split("://").nth(1).unwrap()
    }

    /// The one-time link for the first administrator; nothing once there are accounts.
    pub fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written on standard error.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A client with a token.
    pub fn client(&self, token: &str) -> Client {
        Client::new(&self.url, Some(token))
    }

    /// A client without one.
    pub fn stranger(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// SIGKILL, at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the end.
    pub fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        machine::wait_for("the server's orderly end", STOP, || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's standard error ---\n{}", self.log());
        }
    }
}

fn collect(stream: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = shared.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}
