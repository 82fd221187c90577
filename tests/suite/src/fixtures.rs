//! Logs with planted values: written by the metre, reproducible from a seed, with a list of what was planted.

use std::io::Read;

/// A small generator (xorshift64*), the same on every machine.
pub struct Random(u64);

impl Random {
    /// From a seed other than 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// From the clock, for what must differ from run to run; printed, so that a failure can be repeated.
    pub fn from_clock(what: &str) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap();
        eprintln!("{what}: seed {seed}");
        Self::new(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Lower-case letters and digits.
    pub fn word(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[self.below(36) as usize])).collect()
    }
}

/// Values of every group that a scanner has to find, each as it stands in a log line.
pub struct Plants {
    /// Type name and value.
    pub values: Vec<(&'static str, String)>,
}

impl Plants {
    /// A set that differs with the seed where the value's check digits allow it.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let name = random.word(9);
        // Assembled here, so that no scanner of this repository takes them for real ones.
        let aws = format!("AKIA{}", random.word(16).to_uppercase().replace(['0', '1', '8', '9'], "Q"));
        let github = format!("ghp_{}{}", random.word(35), "A");
        let jwt = [
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
            "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6Ikpvbm55IERvZSJ9",
            "dBjftJeZ4CVPmB92K27uhbUJU1p1rwW1gFWFOEjXkTw",
        ];
        let values = vec![
            ("EMAIL", format!("{name}.roe@customer-mail.example")),
            ("IPV4", format!("10.{}.{}.{}", 20 + random.below(200), 1 + random.below(250), 1 + random.below(250))),
            ("IPV6", format!("2001:db8:{:x}:1::{:x}", 0x1000 + random.below(0xe000), 0x1000 + random.below(0xe000))),
            ("MAC", format!("3c:22:fb:{:02x}:{:02x}:7e", 16 + random.below(200), 16 + random.below(200))),
            ("CREDIT_CARD", "4111 1111 1111 1111".into()),
            ("IBAN", "DE89 3704 0044 0532 0130 00".into()),
            ("US_SSN", "536-22-8726".into()),
            ("PHONE", "+44 20 7946 0958".into()),
            ("AWS_ACCESS_KEY", aws),
            ("GITHUB_TOKEN", github),
            ("JWT", jwt.join(".")),
            ("PASSWORD", format!("{}!Zx9", random.word(10))),
            ("URL_CREDENTIALS", format!("{}Pw7", random.word(9))),
        ];
        Self { values }
    }

    /// Log lines with every value once, each in the surroundings that it is found in.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for (i, (kind, value)) in self.values.iter().enumerate() {
            let said = match *kind {
                "EMAIL" => format!("user {value} was locked out"),
                "IPV4" | "IPV6" => format!("connection from {value} refused"),
                "MAC" => format!("link up on {value}"),
                "CREDIT_CARD" => format!("card {value} declined"),
                "IBAN" => format!("transfer to {value} failed"),
                "US_SSN" => format!("ssn {value} did not match"),
                "PHONE" => format!("sms to {value} not delivered"),
                "AWS_ACCESS_KEY" => format!("aws_access_key_id = {value}"),
                "GITHUB_TOKEN" => format!("clone with {value} failed"),
                "JWT" => format!("rejected Authorization: Bearer {value}"),
                "PASSWORD" => format!("login with password={value} failed"),
                _ => format!("cannot reach postgres://orders:{value}@db.internal.example:5432/orders"),
            };
            text.push_str(&format!("2026-11-20T03:12:{i:02}.123Z ERROR orders[211]: {said}\n"));
        }
        text
    }

    /// The first value that stands in `text`, unmasked.
    pub fn leak(&self, text: &[u8]) -> Option<&str> {
        self.values.iter().map(|(_, value)| value.as_str()).find(|value| contains(text, value.as_bytes()))
    }
}

/// Whether `needle` stands in `haystack`.
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some_and(|_| !needle.is_empty())
}

/// One line of an ordinary service log, number `i`, without anything to find.
pub fn plain_line(i: u64) -> String {
    const SAID: [&str; 6] = [
        "request finished method=GET route=/orders status=200",
        "pool exhausted, waiting for a free connection",
        "cache miss for key orders:recent",
        "retrying the upstream call, attempt 2 of 5",
        "worker has taken the next job from the queue",
        "slow query: SELECT id FROM orders WHERE state = 'open'",
    ];
    let (minute, second, milli) = (i / 60_000 % 60, i / 1_000 % 60, i % 1_000);
    let said = SAID[(i % 6) as usize];
    format!("2026-11-20T03:{minute:02}:{second:02}.{milli:03}Z INFO orders: {said} duration_ms={}\n", i % 900)
}

/// A log of at least `bytes` bytes that is never held in memory: ordinary lines, and every `every`th line an e-mail
/// address.
pub struct Stream {
    left: u64,
    line: u64,
    every: u64,
    rest: Vec<u8>,
    at: usize,
    /// Bytes given so far.
    pub given: u64,
    /// Lines with something to find, so far.
    pub planted: u64,
}

impl Stream {
    /// A stream of `bytes` bytes, up to the end of a line.
    pub fn new(bytes: u64, every: u64) -> Self {
        Self { left: bytes, line: 0, every, rest: Vec::new(), at: 0, given: 0, planted: 0 }
    }

    fn fill(&mut self) {
        self.rest.clear();
        self.at = 0;
        while self.left > 0 && self.rest.len() < 64 << 10 {
            let line = if self.line % self.every == self.every - 1 {
                self.planted += 1;
                format!("2026-11-20T03:00:00.000Z WARN orders: no answer to user{}@customer-mail.example\n", self.line)
            } else {
                plain_line(self.line)
            };
            self.line += 1;
            self.left = self.left.saturating_sub(line.len() as u64);
            self.rest.extend_from_slice(line.as_bytes());
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.rest.len() {
            self.fill();
        }
        let read = buffer.len().min(self.rest.len() - self.at);
        buffer[..read].copy_from_slice(&self.rest[self.at..self.at + read]);
        self.at += read;
        self.given += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gives_what_it_says() {
        for bytes in [1, 100, 70_000, 1 << 20] {
            let mut stream = Stream::new(bytes, 10);
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(stream.given, text.len() as u64);
            assert!(stream.given >= bytes && stream.given < bytes + 200);
            assert_eq!(text.matches("@customer-mail.example").count() as u64, stream.planted);
            assert!(text.ends_with('\n'));
        }
    }

    #[test]
    fn planted_values_stand_in_the_lines_and_differ_with_the_seed() {
        let (one, other) = (Plants::new(1), Plants::new(2));
        for (kind, value) in &one.values {
            assert_eq!(one.lines().matches(value.as_str()).count(), 1, "{kind}");
        }
        assert!(one.leak(one.lines().as_bytes()).is_some());
        assert_eq!(one.leak(b"nothing"), None);
        assert_ne!(one.lines(), other.lines());
        assert_eq!(one.lines(), Plants::new(1).lines());
    }

    #[test]
    fn check_digits_are_right() {
        let plants = Plants::new(1);
        let value = |kind: &str| plants.values.iter().find(|(known, _)| *known == kind).unwrap().1.replace(' ', "");
        let luhn = value("CREDIT_CARD").bytes().rev().enumerate().fold(0, |sum, (i, digit)| {
            let digit = u32::from(digit - b'0') * if i % 2 == 1 { 2 } else { 1 };
            sum + digit / 10 + digit % 10
        });
        assert_eq!(luhn % 10, 0);
        let iban = value("IBAN");
        let rotated = format!("{}{}", &iban[4..], &iban[..4]);
        let rest = rotated.chars().fold(0, |rest: u32, c| {
            let digit = c.to_digit(36).unwrap();
            (rest * if digit > 9 { 100 } else { 10 } + digit) % 97
        });
        assert_eq!(rest, 1);
    }
}
