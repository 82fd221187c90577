//! Processes that were started here: what they cost, standing still, and their end.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Send a signal to a process of ours.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Seconds on a processor since a process began, with those of its threads and without those of its children.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name may hold anything; what follows its closing parenthesis does not.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// A process that is ended with its holder.
pub struct Process(Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The server that everybody asks, and its port.
    pub fn upstream(kind: &str) -> (Self, u16) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--upstream", kind, "--be-upstream"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Self(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (process, line.trim().parse().unwrap())
    }

    /// mcpr before the server on a port, with its record in a folder; the process and its own port.
    pub fn mcpr(program: &Path, upstream: u16, folder: &Path) -> (Self, u16) {
        std::fs::create_dir_all(folder).unwrap();
        // It cannot say which port it was given, so it is given one that was free a moment ago.
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, admin) = (free(), free());
        let config = format!(
            "name = \"bench\"\nmcp = \"http://127.0.0.1:{upstream}/mcp\"\nport = {port}\nadmin_bind = \"127.0.0.1:{admin}\"\n"
        );
        let file = folder.join("mcpr.toml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(folder.join("mcpr.log")).unwrap();
        let mut command = Command::new(program);
        command.args(["proxy", "run"]).arg(&file).env("MCPR_DB", folder.join("store.db")).current_dir(folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Self(command.spawn().unwrap());
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = process.0.try_wait().unwrap();
            let log = || std::fs::read_to_string(folder.join("mcpr.log")).unwrap();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(20), "mcpr did not come up: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        (process, port)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
