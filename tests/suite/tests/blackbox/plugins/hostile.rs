//! The attacks of `tests/hostile/attacks`, each in its folder, on a running server: what it says, what goes on record,
//! that it answers `/health` within 100 ms afterwards, and that another plugin's call is served.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fumehood_hostile::{compile_bomb, component, with_custom, with_modules};
use fumehood_tests::machine::{self, wait_for};
use fumehood_tests::server::Launch;
use fumehood_tests::{Client, Person, machine::skip};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::House;

/// What every hostile scanner is given.
const TEXT: &str = "Mail to jöhn@example.org";

macro_rules! attacks {
    ($($name:ident $folder:literal)*) => {
        $(
            #[test]
            fn $name() {
                attack($folder);
            }
        )*

        #[test]
        fn every_folder_is_listed() {
            let there = std::fs::read_dir(folders()).unwrap();
            let mut there: Vec<String> = there.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            there.sort();
            assert_eq!(there, [$($folder),*]);
            assert_eq!(there.len(), 30, "one for each attack");
        }
    };
}

attacks! {
    n01_infinite_loop "01-infinite-loop"
    n02_loop_in_bulk_instructions "02-loop-in-bulk-instructions"
    n03_memory_to_4_gib "03-memory-to-4-gib"
    n04_many_memories_tables_instances "04-many-memories-tables-instances"
    n05_deep_recursion "05-deep-recursion"
    n06_huge_string_to_the_host "06-huge-string-to-the-host"
    n07_list_of_millions "07-list-of-millions"
    n08_cumulative "08-cumulative"
    n09_handle_flood "09-handle-flood"
    n10_forged_handles "10-forged-handles"
    n11_hundred_thousand_headers "11-hundred-thousand-headers"
    n12_random_bytes "12-random-bytes"
    n13_log_flood "13-log-flood"
    n14_imports_of_another_contract "14-imports-of-another-contract"
    n15_undeclared_targets "15-undeclared-targets"
    n16_dns_rebinding "16-dns-rebinding"
    n17_raw_system "17-raw-system"
    n18_records_of_others "18-records-of-others"
    n19_re_entrancy "19-re-entrancy"
    n20_hangs_at_the_start "20-hangs-at-the-start"
    n21_trap_and_again "21-trap-and-again"
    n22_never_ending_upstream "22-never-ending-upstream"
    n23_lies_in_its_answer "23-lies-in-its-answer"
    n24_markup_in_its_words "24-markup-in-its-words"
    n25_exfiltration "25-exfiltration"
    n26_approval_of_something_else "26-approval-of-something-else"
    n27_bombs "27-bombs"
    n28_swap_on_disk "28-swap-on-disk"
    n29_precompiled "29-precompiled"
    n30_leftovers "30-leftovers"
}

fn folders() -> PathBuf {
    machine::root().join("tests/hostile/attacks")
}

/// A component in text form, and the error that its head names.
struct Source {
    text: String,
    says: Option<String>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let says = text.lines().find_map(|line| line.strip_prefix(";; says: ")).map(str::to_owned);
        Self { text, says }
    }
}

/// One case of a folder's `expect.toml`.
struct Case<'a> {
    folder: &'a Path,
    fields: &'a toml::Table,
}

impl Case<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    fn needed(&self, name: &str) -> &str {
        self.field(name).unwrap_or_else(|| panic!("{}: a case needs `{name}`", self.folder.display()))
    }

    /// The words that the answer has to hold: the case's own, or those in the head of its source.
    fn says(&self) -> Option<String> {
        let own = self.field("says").map(str::to_owned);
        own.or_else(|| self.field("finds").map(str::to_owned)).or_else(|| self.source()?.says)
    }

    fn source(&self) -> Option<Source> {
        Some(Source::read(&self.folder.join(self.field("source")?)))
    }

    fn component(&self) -> Vec<u8> {
        match self.field("generate") {
            None => component("scanner", &self.source().expect("a source").text),
            Some("large") => component("scanner", &format!("(data \"{}\")", "x".repeat(65 << 20))),
            Some("custom-section") => with_custom(component("scanner", ""), "x", &vec![0; 65 << 20]),
            Some("instances") => with_modules(component("scanner", ""), &["(module)"; 65]),
            Some("compile-bomb") => compile_bomb(2_000, 4_000),
            Some(other) => panic!("nothing generates {other}"),
        }
    }
}

fn attack(name: &str) {
    let folder = folders().join(name);
    let expect: toml::Table = std::fs::read_to_string(folder.join("expect.toml")).unwrap().parse().unwrap();
    if let Some(tests) = expect.get("tests") {
        return tests.as_array().unwrap().iter().for_each(|one| is_there(one.as_str().unwrap()));
    }
    let cases = expect["case"].as_array().unwrap();
    for fields in cases {
        let case = Case { folder: &folder, fields: fields.as_table().unwrap() };
        match case.needed("way") {
            "compile" => compiles(&case),
            "scan" => scans(&case),
            "install" => installs(&case),
            "ask" => asks(name, &case),
            other => panic!("there is no way {other}"),
        }
    }
}

/// A test by its file and, behind `::`, its name.
fn is_there(test: &str) {
    let (file, function) = test.split_once("::").map_or((test, None), |(file, function)| (file, Some(function)));
    let text = std::fs::read_to_string(machine::root().join(file)).unwrap_or_else(|error| panic!("{test}: {error}"));
    assert!(text.contains("#[test]") || text.contains("#[tokio::test]"), "{file} has no tests");
    if let Some(function) = function {
        assert!(text.contains(&format!("fn {function}(")), "{test} is not there");
    }
}

/// A house that takes this scanner, whoever made it.
fn house_for(component: &[u8], description: &str) -> (House, String) {
    let house = House::new();
    let manifest = format!(
        "name = \"hostile\"\nversion = \"1.0.0\"\npublisher = \"stranger\"\nworld = \"scanner\"\ndescription = {}\n",
        Value::from(description)
    );
    let whole = with_custom(component.to_vec(), "fumehood:manifest", manifest.as_bytes());
    let file = house.data.beside("hostile.wasm");
    std::fs::write(&file, &whole).unwrap();
    let digest: String = Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect();
    house.policy(&format!("allow-unsigned = [\"sha256:{digest}\"]\n"));
    (house, file.display().to_string())
}

fn installs(case: &Case<'_>) {
    let (house, file) = house_for(&case.component(), case.field("description").unwrap_or("Hostile"));
    let error = house.refused(&["install", &file]);
    let says = case.says().unwrap();
    assert!(
        error.contains(&says) || error.contains(&capital(&says)),
        "{}: {error}\nexpected: {says}",
        case.folder.display()
    );
    on_record(&house, case);
    serves_on(&house.client);
    served(&house);
}

/// While it is compiled, and however that ends, the server goes on.
fn compiles(case: &Case<'_>) {
    let (house, file) = house_for(&case.component(), "Hostile");
    std::thread::scope(|scope| {
        let install = scope.spawn(|| house.plugin(&["install", &file]));
        while !install.is_finished() {
            serves_on(&house.client);
            served(&house);
        }
        drop(install.join().unwrap());
    });
    on_record(&house, case);
    serves_on(&house.client);
    served(&house);
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().collect::<String>() + characters.as_str()).unwrap_or_default()
}

fn scans(case: &Case<'_>) {
    let (house, file) = house_for(&case.component(), "Hostile");
    house.ok(&["install", &file]);
    house.ok(&["approve", "hostile", "--all"]);
    let says = case.says().unwrap();
    let times = if case.field("again").is_some() { 3 } else { 1 };
    for _ in 0..times {
        let said = match house.masked(TEXT) {
            Ok(masked) if case.field("finds").is_some() => masked,
            Ok(masked) => panic!("{}: it was taken in: {masked}", case.folder.display()),
            Err(error) => error,
        };
        assert!(said.contains(&says), "{}: {said}\nexpected: {says}", case.folder.display());
        absent(case, &said);
        serves_on(&house.client);
    }
    on_record(&house, case);
    // What cannot be relied on lets nothing in; without it everything goes on.
    house.ok(&["remove", "hostile"]);
    served(&house);
}

fn absent(case: &Case<'_>, said: &str) {
    if let Some(absent) = case.field("absent") {
        assert!(!said.contains(absent), "{}: {said}", case.folder.display());
    }
}

/// `/health` within 100 ms: the best of three, because the machine has other work, too.
fn serves_on(client: &Client) {
    let best = (0..3).map(|_| {
        let began = Instant::now();
        client.get("/health").expect(200);
        began.elapsed()
    });
    let best = best.min().unwrap();
    assert!(best < Duration::from_millis(100), "/health took {best:?}");
}

/// Another plugin's call.
fn served(house: &House) {
    let masked = house.masked("ana@ops.example wrote\n").unwrap();
    assert_eq!(masked, "[EMAIL-1] wrote\n");
}

/// The entry that the case names: action, phase, result.
fn on_record(house: &House, case: &Case<'_>) {
    let audit: Vec<&str> = case.fields["audit"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let [action, phase, result] = audit[..] else { return };
    let about = if case.needed("way") == "ask" { "outlaw" } else { "hostile" };
    let is = |one: &Value| {
        let about = one["target"] == format!("plugin:{about}")
            || one["details"]["plugin"] == about
            || action == "plugin.install";
        one["phase"] == phase && one["result"].as_str().unwrap_or_default() == result && about
    };
    // An outcome is written when the answer has gone.
    let found = wait_for_some(|| house.audit(action).iter().find(|one| is(one)).cloned());
    assert!(found.is_some(), "{}: {audit:?} is not on record: {:?}", case.folder.display(), house.audit(action));
}

fn wait_for_some<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    (0..50).find_map(|_| {
        look().or_else(|| {
            std::thread::sleep(Duration::from_millis(50));
            None
        })
    })
}

/// A server that answers everything with `{}`, `/api/redirect` with a way inside, and `/api/drip` with a byte from time
/// to time; it counts who comes.
struct Upstream {
    port: u16,
    requests: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
}

impl Upstream {
    fn start(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let (requests, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let this = Self { port: listener.local_addr().unwrap().port(), requests, ends };
        let (requests, ends, port) = (Arc::clone(&this.requests), Arc::clone(&this.ends), this.port);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                requests.fetch_add(1, Ordering::Relaxed);
                let ends = Arc::clone(&ends);
                std::thread::spawn(move || drop(answer(stream, port, &ends)));
            }
        });
        this
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn answer(mut stream: TcpStream, port: u16, ends: &AtomicBool) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.contains(" /api/drip ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")?;
        while !ends.load(Ordering::Relaxed) {
            stream.write_all(b"x")?;
            std::thread::sleep(Duration::from_millis(100));
        }
    } else if head.contains(" /api/redirect ") {
        write!(stream, "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:{port}/inside\r\ncontent-length: 0\r\n\r\n")?;
    } else {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")?;
    }
    Ok(())
}

/// A house with the outlaw, granted what it asks for, and its upstream; nothing where it was not built.
fn outlaw(test: &str) -> Option<(House, Person, Upstream)> {
    let component = machine::root().join("tests/hostile/outlaw/dist/outlaw.wasm");
    if !component.exists() {
        skip(test, "the hostile integration is not built (tests/run --only plugins builds it)");
        return None;
    }
    let house = House::new();
    let person = Person::first(&house.server);
    let manifest = std::fs::read_to_string(machine::root().join("tests/hostile/outlaw/fumehood.toml")).unwrap();
    for name in ["outlaw", "neighbour"] {
        let manifest = manifest.replace("name = \"outlaw\"", &format!("name = {name:?}"));
        house.ok(&["install", &house.packed(&component, &manifest)]);
        house.ok(&["approve", name, "--all"]);
    }
    Some((house, person, Upstream::start("127.0.0.1")))
}

/// Have a plugin do something; what its page says of it.
fn ask(person: &Person, upstream: &Upstream, plugin: &str, attack: &str, target: &str) -> String {
    let base = format!("http://127.0.0.1:{}/api", upstream.port);
    let fields = [("base_url", base.as_str()), ("token", "secret-token"), ("s-attack", attack), ("s-target", target)];
    person.submit(&format!("/integrations/{plugin}"), &fields);
    person.submit(&format!("/integrations/{plugin}/test"), &[]).text()
}

fn unescaped(page: &str) -> String {
    page.replace("&#39;", "'").replace("&#x27;", "'").replace("&#34;", "\"").replace("&quot;", "\"")
}

fn asks(name: &str, case: &Case<'_>) {
    let Some((house, person, upstream)) = outlaw(name) else { return };
    let inside = Upstream::start("127.0.0.2");
    if let Some(attack) = case.field("neighbour") {
        ask(&person, &upstream, "neighbour", attack, "");
    }
    let port = upstream.port;
    let target = case.field("target").unwrap_or_default();
    let target = target
        .replace("{port}", &format!("http://127.0.0.1:{}/api/me", inside.port))
        .replace("{scheme}", &format!("https://127.0.0.1:{port}/api/me"))
        .replace("{path}", &format!("http://127.0.0.1:{port}/other"))
        .replace("{redirect}", &format!("http://127.0.0.1:{port}/api/redirect"));
    let said = unescaped(&ask(&person, &upstream, "outlaw", case.needed("asks"), &target));
    assert!(said.contains(case.needed("says")), "{}: {said}", case.folder.display());
    absent(case, &said);
    assert_eq!(inside.requests.load(Ordering::Relaxed), 0, "nobody came to where nothing was granted");
    on_record(&house, case);
    if let Some(log) = case.field("log") {
        let page = wait_for_some(|| {
            let page = person.get("/plugins/outlaw").expect(200).text();
            page.contains(log).then_some(page)
        });
        let page = page.expect("what was dropped of the log is said");
        assert!(!page.contains('\u{1b}') && !page.contains("<script>alert(1)"), "{page}");
        let lines = page.lines().filter(|line| line.trim_start().starts_with("2026-01-01T00:00:00Z INFO")).count();
        assert_eq!(lines, 0, "no line of it stands for one of ours");
    }
    serves_on(&house.client);
    served(&house);
    let honest = ask(&person, &upstream, "neighbour", "honest", "");
    assert!(honest.contains("Signed in as 200 with 2 bytes"), "{honest}");
}

#[test]
fn an_upstream_that_drips_ends_with_the_kill_switch() {
    let Some((house, person, upstream)) = outlaw("an_upstream_that_drips") else { return };
    let target = format!("http://127.0.0.1:{}/api/drip", upstream.port);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let said = ask(&person, &upstream, "outlaw", "get-target", &target);
            (said, Instant::now())
        });
        wait_for("the answer to begin", Duration::from_secs(20), || {
            (upstream.requests.load(Ordering::Relaxed) > 0).then_some(())
        });
        std::thread::sleep(Duration::from_millis(500));
        serves_on(&house.client);
        served(&house);
        house.ok(&["stop", "outlaw"]);
        let stopped = Instant::now();
        let (said, ended) = asked.join().unwrap();
        let took = ended.saturating_duration_since(stopped);
        assert!(took < Duration::from_secs(1), "it went on for {took:?}: {said}");
    });
    serves_on(&house.client);
    served(&house);
}

#[test]
fn a_name_that_leads_inside_is_not_followed() {
    let Some((house, person, upstream)) = outlaw("a_name_that_leads_inside") else { return };
    // Set up under a public name; by the time that it is asked, the real resolver says that it is this machine.
    let fields = |base: &'static str| [("base_url", base), ("s-attack", "honest")];
    person.submit("/integrations/outlaw", &fields("http://169.254.169.254/latest"));
    let said = unescaped(&person.submit("/integrations/outlaw/test", &[]).text());
    assert!(said.contains("metadata"), "{said}");
    // A name of this machine, after it was set up as a number: the number alone is granted.
    let target = format!("http://localhost:{}/api/me", upstream.port);
    let said = unescaped(&ask(&person, &upstream, "outlaw", "get-target", &target));
    assert!(said.contains("and has no grant for it"), "{said}");
    assert_eq!(upstream.requests.load(Ordering::Relaxed), 0);
    assert!(!house.audit("effect.denied").is_empty());
}

#[test]
fn a_name_that_leads_elsewhere_at_the_second_look_is_not_dialled() {
    let test = "a_name_that_leads_elsewhere";
    if !machine::can_unshare() {
        return skip(test, "a process cannot have an /etc/hosts of its own here");
    }
    let Some((house, person, upstream)) = outlaw(test) else { return };
    let hosts = house.data.beside("hosts");
    let name = |address: &str| {
        std::fs::write(&hosts, format!("127.0.0.1 localhost\n{address} desk.rebind.test\n")).unwrap();
    };
    name("198.41.0.4");
    let House { data, server, key, .. } = house;
    assert!(server.stop().success());
    let server = Launch::new(&data.path()).hosts(&hosts).start();
    let person = person.moved_to(&server);
    let house = House { client: server.client(&data.token("admin")), data, server, key };
    let base = format!("http://desk.rebind.test:{}/api", upstream.port);
    let fields = [("base_url", base.as_str()), ("s-attack", "honest")];
    // A public name when it was set up; the system's resolver leads it inside when it is asked.
    person.submit("/integrations/outlaw", &fields);
    name("127.0.0.1");
    let said = unescaped(&person.submit("/integrations/outlaw/test", &[]).text());
    assert!(said.contains("at 127.0.0.1, which is") && said.contains("not granted"), "{said}");
    assert_eq!(upstream.requests.load(Ordering::Relaxed), 0, "nobody came");
    let denied = house.audit("effect.denied");
    assert!(denied.iter().any(|one| one["target"] == "plugin:outlaw"), "{denied:?}");
    // It is the name's way inside that was refused: named when it leads there, it is reached.
    person.submit("/integrations/outlaw", &fields);
    let said = person.submit("/integrations/outlaw/test", &[]).text();
    assert!(said.contains("Signed in as 200 with 2 bytes"), "{said}");
    // Inside is not everywhere inside.
    name("169.254.169.254");
    let said = unescaped(&person.submit("/integrations/outlaw/test", &[]).text());
    assert!(said.contains("at 169.254.169.254, which is"), "{said}");
    serves_on(&house.client);
    served(&house);
}
