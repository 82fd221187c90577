//! A mixed log, the same on every machine: an access log, an application's JSON, stack traces, Kubernetes, and the
//! personal data and secrets that such logs hold.
//!
//! Every access line holds an address, about one application line in nine a person or a secret, the rest nothing but
//! what must not be mistaken for them: identifiers, hashes, versions, timestamps. Blocks of some lines of a kind follow
//! each other, as in logs that were collected from several places.

use std::fmt::Write as _;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    fn below(&mut self, end: u64) -> u64 {
        (self.number() >> 11) % end
    }
    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
    fn uuid(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }
    fn address(&mut self) -> String {
        format!("{}.{}.{}.{}", 11 + self.below(200), self.below(256), self.below(256), 1 + self.below(254))
    }
}

const SERVICES: &[&str] = &["checkout", "payments", "catalogue", "identity", "shipping", "search"];
const PATHS: &[&str] =
    &["/api/v2/orders", "/api/v2/carts", "/assets/app.5f2d1c.js", "/health", "/api/v1/products", "/login"];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Mobile/15E148",
    "curl/8.5.0",
    "kube-probe/1.29",
];
const MESSAGES: &[&str] = &[
    "request completed",
    "cache miss, falling back to the database",
    "retrying after a timeout of the upstream",
    "circuit breaker opened for inventory",
    "slow query: SELECT id, state, updated_at FROM orders WHERE state = $1 ORDER BY updated_at LIMIT 50",
    "payload rejected: field `quantity` must be positive",
];
const FIRST: &[&str] = &["anna", "jonas", "mei", "tariq", "ines", "oluwaseun", "lars", "priya"];
const LAST: &[&str] = &["keller", "okafor", "lindqvist", "sharma", "moreau", "tanaka", "novak", "haddad"];
const CLASSES: &[&str] = &["OrderService", "PaymentGateway", "CartRepository", "SessionFilter", "RetryTemplate"];
const METHODS: &[&str] = &["handle", "execute", "doFilter", "lambda$submit$3", "invoke0", "findById"];

/// At least `bytes` of log, in whole lines.
pub fn mixed(bytes: usize) -> String {
    let mut random = Random(0x00F0_0ED0_0D5E_ED01);
    let mut text = String::with_capacity(bytes + 8192);
    let mut tick = 0;
    while text.len() < bytes {
        let lines = 4 + random.below(24);
        match random.below(10) {
            0..=2 => (0..lines).for_each(|_| access(&mut text, &mut random, &mut tick)),
            3..=6 => (0..lines).for_each(|_| application(&mut text, &mut random, &mut tick)),
            7 => stack_trace(&mut text, &mut random, &mut tick),
            _ => (0..lines).for_each(|_| kubernetes(&mut text, &mut random, &mut tick)),
        }
    }
    text
}

/// Hours, minutes, seconds and milliseconds; time goes on by up to 99 ms a line.
fn time(random: &mut Random, tick: &mut u64) -> (u64, u64, u64, u64) {
    *tick += random.below(100);
    (*tick / 3_600_000 % 24, *tick / 60_000 % 60, *tick / 1000 % 60, *tick % 1000)
}

fn access(text: &mut String, random: &mut Random, tick: &mut u64) {
    let (h, m, s, _) = time(random, tick);
    let (address, path, agent) = (random.address(), random.one_of(PATHS), random.one_of(AGENTS));
    let (id, status, size) =
        (random.below(90_000), random.one_of(&["200", "200", "201", "304", "404", "503"]), random.below(90_000));
    let _ = writeln!(
        text,
        "{address} - - [20/Nov/2026:{h:02}:{m:02}:{s:02} +0000] \"GET {path}/{id}?page={} HTTP/1.1\" {status} {size} \"https://shop.example.com/\" \"{agent}\" rt=0.{:03}",
        random.below(40),
        random.below(1000)
    );
}

fn application(text: &mut String, random: &mut Random, tick: &mut u64) {
    let (h, m, s, ms) = time(random, tick);
    let (level, service) = (random.one_of(&["info", "info", "info", "warn", "error"]), random.one_of(SERVICES));
    let _ = write!(
        text,
        "{{\"ts\":\"2026-11-20T{h:02}:{m:02}:{s:02}.{ms:03}Z\",\"level\":\"{level}\",\"service\":\"{service}\",\"version\":\"3.{}.{}\",\"trace_id\":\"{}\",\"span_id\":\"{}\",\"msg\":\"{}\",\"duration_ms\":{},",
        random.below(20),
        random.below(9),
        random.hex(32),
        random.hex(16),
        random.one_of(MESSAGES),
        random.below(3000)
    );
    let (first, last) = (random.one_of(FIRST), random.one_of(LAST));
    let _ = match random.below(54) {
        0 | 1 => write!(text, "\"user\":{{\"email\":\"{first}.{last}@mail.example.org\"}},"),
        2 => write!(
            text,
            "\"customer\":{{\"name\":\"{first} {last}\",\"phone\":\"+49 30 {:07}\"}},",
            1_000_000 + random.below(8_000_000)
        ),
        3 => write!(
            text,
            "\"dsn\":\"postgres://orders:{}@db-{}.internal:5432/orders\",",
            random.hex(14),
            random.below(9)
        ),
        4 => write!(text, "\"headers\":{{\"authorization\":\"Bearer {}\"}},", random.hex(40)),
        5 => write!(text, "\"note\":\"card 4111 1111 1111 1111 declined for {first}\","),
        _ => Ok(()),
    };
    let _ = writeln!(text, "\"order_id\":\"{}\",\"attempt\":{}}}", random.uuid(), random.below(5));
}

fn stack_trace(text: &mut String, random: &mut Random, tick: &mut u64) {
    let (h, m, s, ms) = time(random, tick);
    let _ = writeln!(
        text,
        "2026-11-20 {h:02}:{m:02}:{s:02},{ms:03} ERROR [http-nio-8080-exec-{}] com.example.shop.{} - unexpected failure\njava.util.concurrent.TimeoutException: no answer within {} ms",
        random.below(200),
        random.one_of(CLASSES),
        random.below(9000)
    );
    for _ in 0..10 + random.below(30) {
        let class = random.one_of(CLASSES);
        let _ = writeln!(
            text,
            "\tat com.example.shop.{}.{class}.{}({class}.java:{}) ~[shop-core-3.14.{}.jar!/:?]",
            random.one_of(SERVICES),
            random.one_of(METHODS),
            random.below(900),
            random.below(30)
        );
    }
    let _ =
        writeln!(text, "Caused by: java.net.SocketTimeoutException: Read timed out\n\t... {} more", random.below(60));
}

fn kubernetes(text: &mut String, random: &mut Random, tick: &mut u64) {
    let (h, m, s, ms) = time(random, tick);
    let (service, hash) = (random.one_of(SERVICES), random.hex(9));
    let _ = match random.below(3) {
        0 => writeln!(
            text,
            "I1120 {h:02}:{m:02}:{s:02}.{ms:03}{:03}    {} kubelet.go:2449] \"SyncLoop (PLEG): event for pod\" pod=\"prod/{service}-{hash}-x{}\" event={{\"ID\":\"{}\",\"Type\":\"ContainerStarted\",\"Data\":\"{}\"}}",
            random.below(1000),
            1000 + random.below(9000),
            random.hex(4),
            random.uuid(),
            random.hex(64)
        ),
        1 => writeln!(
            text,
            "E1120 {h:02}:{m:02}:{s:02}.{ms:03}{:03}       1 reflector.go:147] failed to list *v1.{}: the server was unable to return a response in the time allotted, but may still be processing the request",
            random.below(1000),
            random.one_of(&["Endpoints", "ConfigMap", "Pod", "Node"])
        ),
        _ => writeln!(
            text,
            "2026-11-20T{h:02}:{m:02}:{s:02}.{ms:03}{:06}Z stderr F time=\"2026-11-20T{h:02}:{m:02}:{s:02}Z\" level=warning msg=\"Back-off restarting failed container\" container={service} image=\"registry.example.com/shop/{service}@sha256:{}\" restarts={}",
            random.below(1_000_000),
            random.hex(64),
            random.below(40)
        ),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_each_time_and_mixed() {
        let text = mixed(200_000);
        assert!(text == mixed(200_000) && text.len() >= 200_000 && text.ends_with('\n'));
        for part in ["\"GET /", "\"trace_id\":", "\tat com.example", "kubelet.go", "@mail.example.org", "Bearer "] {
            assert!(text.contains(part), "{part}");
        }
    }
}
