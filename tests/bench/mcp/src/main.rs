//! MCP `tools/call`, directly, through Fumehood's gateway with its durable record, and through mcpr, in one run.
//!
//! Invariant: all three ask the same server with the same texts, in rounds that alternate, one caller and eight; each
//! answer is looked at; and whoever is not asked stands still.

mod load;
#[path = "../../src/measure.rs"]
#[allow(dead_code, reason = "three sides alternate here, not two")]
mod measure;
mod ours;
mod process;
mod texts;
mod upstream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use fumehood_tests::machine::{peak_memory, wait_for};
use rustix::process::Signal;

use crate::load::{Asked, Caller, Era, Slot, Target};
use crate::measure::{Goal, Report, Rounds, median, spread};
use crate::ours::Fumehood;
use crate::process::{Process, cpu_seconds, signal};
use crate::upstream::Kind;

/// Callers at once.
const CALLERS: [usize; 2] = [1, 8];
/// Before each measurement, and not part of it.
const WARM: Duration = Duration::from_millis(300);
/// How long a record may be behind.
const BEHIND: Duration = Duration::from_secs(60);

/// Measures MCP tools/call through Fumehood's gateway, beside the same calls made directly and through mcpr.
#[derive(Parser)]
struct Arguments {
    /// Folder for the data of both; it decides which disk the records lie on. Default: where this program lies.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Rounds, of which the medians count.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Length of one measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The era of the protocol that the callers speak.
    #[arg(long, value_enum, default_value = "2025-11-25")]
    era: Era,
    /// Length of what is asked and of what is answered.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Put one of 500 mailboxes into each text, so that there is something to mask.
    #[arg(long)]
    mail: bool,
    /// The program mcpr; without it only Fumehood is measured.
    #[arg(long)]
    mcpr: Option<PathBuf>,
    /// One side alone, with eight callers, for a profile.
    #[arg(long, value_enum)]
    only: Option<Side>,
    /// Exit with 1 where a goal is missed.
    #[arg(long)]
    check: bool,
    /// The server that everybody asks: a plain one that costs next to nothing, or one on rmcp that answers by streams.
    #[arg(long, value_enum, default_value = "plain")]
    upstream: Kind,
    /// Be that server.
    #[arg(long, hide = true)]
    be_upstream: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Side {
    Direct,
    Fumehood,
    Mcpr,
}

/// One of the three, with its callers and what they measured.
struct Measured {
    side: Side,
    /// Its process, unless it is nobody's, and that of the server behind it.
    process: Option<u32>,
    upstream: u32,
    /// By number of callers.
    callers: Vec<Vec<Caller>>,
    /// By number of callers, by round.
    slots: Vec<Vec<Slot>>,
    /// By number of callers: all calls that were sent, those before a measurement too, and what they cost.
    spent: Vec<Spent>,
}

/// Calls, and seconds on a processor that they took.
#[derive(Clone, Default)]
struct Spent {
    calls: u64,
    own: f64,
    upstream: f64,
}

/// See [`Measured::measure`].
const SETTLE: Duration = Duration::from_millis(200);

impl Measured {
    async fn new(side: Side, target: &Target, asked: Asked, process: Option<u32>, upstream: u32) -> Self {
        let mut callers = Vec::new();
        for count in CALLERS {
            let mut some = Vec::new();
            for number in 0..count {
                some.push(Caller::open(target, asked, (number + 16 * count) as u64 + 1000 * (side as u64 + 1)).await);
            }
            callers.push(some);
        }
        let (slots, spent) = (vec![Vec::new(); CALLERS.len()], vec![Spent::default(); CALLERS.len()]);
        Self { side, process, upstream, callers, slots, spent }
    }

    fn signal(&self, what: Signal) {
        if let Some(process) = self.process {
            signal(process, what);
        }
    }

    async fn measure(&mut self, place: usize, length: Duration) {
        self.signal(Signal::CONT);
        // Its clocks went on while it was held: connections that have run out meanwhile are closed before they are used.
        tokio::time::sleep(SETTLE).await;
        let cpu = || (self.process.map_or(0.0, cpu_seconds), cpu_seconds(self.upstream));
        let before = cpu();
        let callers = std::mem::take(&mut self.callers[place]);
        let (callers, warm) = load::run(callers, WARM).await;
        let (callers, slot) = load::run(callers, length).await;
        let after = cpu();
        // What is still to be done behind the answers is done, and paid, in the next round.
        self.signal(Signal::STOP);
        self.callers[place] = callers;
        let spent = &mut self.spent[place];
        spent.calls += warm.calls + slot.calls;
        spent.own += after.0 - before.0;
        spent.upstream += after.1 - before.1;
        self.slots[place].push(slot);
    }

    fn sent(&self) -> u64 {
        self.spent.iter().map(|spent| spent.calls).sum()
    }

    fn values(&self, place: usize, of: impl Fn(&Slot) -> f64) -> Vec<f64> {
        self.slots[place].iter().map(of).collect()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.be_upstream {
        tokio::runtime::Runtime::new().unwrap().block_on(upstream::serve(arguments.upstream));
        return ExitCode::SUCCESS;
    }
    // One thread is enough for the callers, and takes the least from those who are measured.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(arguments))
}

async fn run(arguments: Arguments) -> ExitCode {
    let near = || std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let folder = arguments.folder.clone().unwrap_or_else(near);
    std::fs::create_dir_all(&folder).unwrap();
    let folder = tempfile::Builder::new().prefix("bench-mcp-").tempdir_in(&folder).unwrap();
    let asked = Asked { era: arguments.era, bytes: arguments.bytes, mail: arguments.mail };
    let wanted = |side| arguments.only.is_none_or(|only| only == side);

    let (upstream, port) = Process::upstream(arguments.upstream.to_possible_value().unwrap().get_name());
    let direct =
        Target { address: format!("127.0.0.1:{port}"), path: "/mcp".into(), tool: upstream::TOOL.into(), token: None };
    let mut sides = Vec::new();
    if wanted(Side::Direct) {
        sides.push(Measured::new(Side::Direct, &direct, asked, None, upstream.id()).await);
    }
    let fumehood = wanted(Side::Fumehood).then(|| Fumehood::start(folder.path(), port));
    if let Some(fumehood) = &fumehood {
        let pid = fumehood.server.pid();
        sides.push(Measured::new(Side::Fumehood, &fumehood.target(), asked, Some(pid), upstream.id()).await);
    }
    let theirs = folder.path().join("mcpr");
    let program = arguments.mcpr.as_deref().filter(|_| wanted(Side::Mcpr));
    let mcpr = program.map(|program| Process::mcpr(program, port, &theirs));
    if let Some((process, port)) = &mcpr {
        let target = Target { address: format!("127.0.0.1:{port}"), ..direct.clone() };
        sides.push(Measured::new(Side::Mcpr, &target, asked, Some(process.id()), upstream.id()).await);
    }

    let length = Duration::from_secs_f64(arguments.seconds);
    if arguments.only.is_some() {
        return alone(&mut sides[0], length, upstream.id()).await;
    }
    for side in &sides {
        side.signal(Signal::STOP);
    }
    for round in 0..arguments.rounds {
        for place in 0..CALLERS.len() {
            // Who begins alternates, so that nobody always meets the same one's leftovers.
            let count = sides.len();
            for turn in 0..count {
                sides[(round + turn) % count].measure(place, length).await;
            }
        }
    }
    for side in &sides {
        side.signal(Signal::CONT);
    }
    let mut report = Report::default();
    println!(
        "tools/call, {}, texts of {} bytes{}; {} rounds of {} s",
        asked.era.version(),
        asked.bytes,
        if asked.mail { " with a mailbox each" } else { "" },
        arguments.rounds,
        arguments.seconds
    );
    compare(&mut report, &sides);
    records(&mut report, &sides, fumehood.as_ref(), &theirs);
    match report.missed {
        0 => ExitCode::SUCCESS,
        missed => {
            println!("{missed} missed");
            ExitCode::from(u8::from(arguments.check))
        }
    }
}

/// One side for as long as somebody looks at it.
async fn alone(side: &mut Measured, length: Duration, upstream: u32) -> ExitCode {
    let process = side.process.map_or_else(|| "nobody".into(), |pid| pid.to_string());
    eprintln!(
        "{:?} is process {process}, the server behind it {upstream}, the callers {}",
        side.side,
        std::process::id()
    );
    let cpu = |pid: Option<u32>| pid.map_or(0.0, cpu_seconds);
    let all = [side.process, Some(upstream), Some(std::process::id())];
    let before = all.map(cpu);
    let callers = std::mem::take(&mut side.callers[1]);
    let (_callers, slot) = load::run(callers, length).await;
    let cost: Vec<String> = all
        .iter()
        .zip(before)
        .map(|(pid, before)| format!("{:.1}", (cpu(*pid) - before) * 1e6 / slot.calls as f64))
        .collect();
    println!("{:?}: {slot:.0?}", side.side);
    println!(
        "µs on a processor for a call: its own {}, the server behind it {}, the callers {}",
        cost[0], cost[1], cost[2]
    );
    ExitCode::SUCCESS
}

fn compare(report: &mut Report, sides: &[Measured]) {
    let find = |side| sides.iter().find(|one| one.side == side);
    let (direct, ours) = (find(Side::Direct).unwrap(), find(Side::Fumehood).unwrap());
    let theirs = find(Side::Mcpr);
    type Of = fn(&Slot) -> f64;
    let measures: [(&str, &str, Of); 4] = [
        ("requests a second", "/s", |slot| slot.per_second),
        ("p50", "µs", |slot| slot.p50_us),
        ("p95", "µs", |slot| slot.p95_us),
        ("p99", "µs", |slot| slot.p99_us),
    ];
    for (place, callers) in CALLERS.into_iter().enumerate() {
        let who = who(callers);
        for (name, unit, of) in measures {
            let bare = direct.values(place, of);
            println!("{name}, {who}, directly: {:.0} {unit} ({})", median(&bare), spread(&bare));
            let mine = ours.values(place, of);
            let Some(theirs) = theirs else {
                println!("{name}, {who}: ours {:.0} {unit} ({})", median(&mine), spread(&mine));
                continue;
            };
            let goal = match name {
                "requests a second" if callers > 1 => Some(Goal::AtLeast(1.0)),
                "p99" if callers > 1 => Some(Goal::AtMost(1.0)),
                _ => None,
            };
            let rounds = Rounds { ours: mine.clone(), reference: theirs.values(place, of) };
            report.ratio(&format!("{name}, {who}"), unit, &rounds, goal);
            if name == "p50" || name == "p99" {
                added(&format!("added to {name}, {who}"), unit, &rounds, &bare);
            }
        }
    }
    let one = |value: f64| vec![value];
    for (place, callers) in CALLERS.into_iter().enumerate() {
        let cost =
            |side: &Measured, of: fn(&Spent) -> f64| of(&side.spent[place]) * 1e3 / side.spent[place].calls as f64;
        let name = format!("processor for 1000 calls, {}", who(callers));
        let behind = |side: &Measured| cost(side, |spent| spent.upstream);
        let bare = behind(direct);
        match theirs {
            Some(theirs) => {
                let own = |side| one(cost(side, |spent| spent.own));
                report.ratio(&name, "s", &Rounds { ours: own(ours), reference: own(theirs) }, None);
                let (mine, other) = (behind(ours), behind(theirs));
                println!("  of the server behind: directly {bare:.3} s, ours {mine:.3} s, reference {other:.3} s");
            }
            None => {
                println!("{name}: ours {:.3} s", cost(ours, |spent| spent.own));
                println!("  of the server behind: directly {bare:.3} s, ours {:.3} s", behind(ours));
            }
        }
    }
    let memory = |side: &Measured| peak_memory(side.process.unwrap()).unwrap() as f64 / f64::from(1 << 20);
    match theirs {
        Some(theirs) => {
            let peak = Rounds { ours: one(memory(ours)), reference: one(memory(theirs)) };
            report.ratio("memory at its peak", "MiB", &peak, None);
        }
        None => println!("memory at its peak: ours {:.0} MiB", memory(ours)),
    }
}

/// What each adds to the direct way: the difference of medians, because those of single rounds go below nothing.
fn added(name: &str, unit: &str, rounds: &Rounds, bare: &[f64]) {
    let over = |values: &[f64]| median(values) - median(bare);
    let (ours, reference) = (over(&rounds.ours), over(&rounds.reference));
    let ratio = if reference > 0.0 { format!("{:.2}", ours / reference) } else { "none".into() };
    println!("{name}: ours {ours:.0} {unit}, reference {reference:.0} {unit}, ratio {ratio} (no goal)");
}

fn who(callers: usize) -> String {
    if callers == 1 { "1 caller".into() } else { format!("{callers} callers") }
}

/// What is on record of what was sent.
fn records(report: &mut Report, sides: &[Measured], fumehood: Option<&Fumehood>, theirs: &Path) {
    for side in sides {
        let share = |recorded: u64| recorded as f64 / side.sent() as f64 * 100.0;
        match side.side {
            Side::Direct => {}
            Side::Fumehood => {
                let recorded = fumehood.unwrap().recorded();
                println!("on record: {recorded} of {} calls, with their ends", side.sent());
                report.number("on record", "%", share(recorded), Goal::AtLeast(100.0));
            }
            Side::Mcpr => {
                let (begun, ended) = written(&theirs.join("store.db"));
                println!(
                    "on record with mcpr: {begun} of {} calls ({:.2} %), {ended} of them with their ends ({:.2} %)",
                    side.sent(),
                    share(begun),
                    share(ended)
                );
            }
        }
    }
}

/// Calls in mcpr's database, and those whose answer can be found, once it writes no more.
fn written(database: &Path) -> (u64, u64) {
    let open = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count = |what: &str| {
        let query = format!("SELECT COUNT(*) FROM request_log WHERE method = 'tools/call' AND {what}");
        open.query_row(&query, [], |row| row.get::<_, i64>(0)).unwrap() as u64
    };
    let look = || (count("true"), count("status <> 'pending'"));
    let mut before = look();
    wait_for("the end of mcpr's writing", BEHIND, || {
        std::thread::sleep(Duration::from_secs(1));
        let now = look();
        let same = now == before;
        before = now;
        same.then_some(now)
    })
}
