//! Texts as they stand in logs and tickets, a different one each time, so that nothing that remembers texts gains by it.
//! There is nothing in them to mask, unless mailboxes are asked for.

use std::fmt::Write as _;

const SERVICES: [&str; 8] =
    ["checkout", "inventory", "payments", "search", "shipping", "catalogue", "sessions", "notifications"];
const WHAT: [&str; 8] = [
    "waited for a connection of the pool",
    "gave up after three attempts",
    "was answered by the replica",
    "took longer than its budget",
    "found the cache empty",
    "was retried on another node",
    "left a lock behind",
    "was cut off by the load balancer",
];
const WHY: [&str; 8] = [
    "the primary was being restarted",
    "a migration held the table",
    "the queue had grown since midnight",
    "garbage was being collected",
    "the disk of the host was full",
    "a deployment was under way",
    "the index had not been built yet",
    "the clock of the host was behind",
];
/// How many people there are, where mailboxes are asked for.
const PEOPLE: u64 = 500;

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick<'a>(&mut self, all: &[&'a str; 8]) -> &'a str {
        all[(self.next() % 8) as usize]
    }
}

/// A text of about so many bytes, or of one sentence where that is longer; `mail` puts a mailbox into it.
pub fn text(random: &mut Random, bytes: usize, mail: bool) -> String {
    let mut out = String::with_capacity(bytes + 160);
    if mail {
        let _ = write!(out, "Reported by clerk{}@shop.example: ", random.next() % PEOPLE);
    }
    while out.is_empty() || out.len() + 100 < bytes {
        let (service, what, why) = (random.pick(&SERVICES), random.pick(&WHAT), random.pick(&WHY));
        let (pods, share) = (random.next() % 40 + 2, random.next() % 100);
        let _ = write!(out, "Of {pods} pods of {service}, {share} percent say that a call {what}, because {why}. ");
    }
    out.pop();
    out
}
