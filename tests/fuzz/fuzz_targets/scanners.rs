//! The bundled scanners on any text: findings lie on characters, and the time is linear: what is four times as long takes
//! no more than a few times four times as long.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

static PII: LazyLock<scanner_pii::Scanner> = LazyLock::new(|| scanner_pii::prepare("{}").expect("no rules"));
static PROSE: LazyLock<scanner_prose::Scanner> = LazyLock::new(|| scanner_prose::prepare("{}").expect("no rules"));

/// Bytes of the shorter text.
const SHORT: usize = 32 << 10;
/// How much longer the other one is, and how much longer it may take: caches and clocks have their share.
const TIMES: usize = 4;
const MOST: u32 = 14;
/// Below this, a clock says nothing.
const NOISE: Duration = Duration::from_millis(40);

fn time(scan: &dyn Fn(&str) -> usize, text: &str) -> Duration {
    let once = || {
        let begin = Instant::now();
        scan(text);
        begin.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}

fuzz_target!(|text: &str| {
    for found in PII.scan(text, false, false) {
        assert!(text.get(found.start..found.end).is_some_and(|value| !value.is_empty()), "{found:?}");
    }
    for found in PROSE.scan(text, true, true) {
        assert!(text.get(found.start..found.end).is_some_and(|value| !value.is_empty()), "{found:?}");
    }
    if text.is_empty() {
        return;
    }
    let short = text.repeat(SHORT.div_ceil(text.len()));
    let long = short.repeat(TIMES);
    let scans: [(&str, &dyn Fn(&str) -> usize); 2] =
        [("pii", &|text| PII.scan(text, false, false).len()), ("prose", &|text| PROSE.scan(text, false, false).len())];
    for (name, scan) in scans {
        // One look is enough for nearly every text.
        let begin = Instant::now();
        scan(&long);
        if begin.elapsed() < NOISE * MOST / 2 {
            continue;
        }
        let (one, four) = (time(scan, &short).max(Duration::from_millis(2)), time(scan, &long));
        assert!(four < NOISE.max(one * MOST), "{name}: {one:?} for {}, {four:?} for {}", short.len(), long.len());
    }
});
