//! Nothing of one call is there in the next: neither in the same plugin nor in another that gets its place.

use crate::harness::{Room, block_on, scan, shown};

/// Reports how often it was called, as far as it can know, by a global and by its memory.
const COUNTS: &str = r#"
(global $count (mut i32) (i32.const 0))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (global.set $count (i32.add (global.get $count) (i32.const 1)))
  (i32.store (i32.const 2048) (i32.add (i32.load (i32.const 2048)) (i32.const 1)))
  (call $report (i32.const 1024) (i32.const 5)
    (i32.const 0) (i32.add (global.get $count) (i32.load (i32.const 2048))) (f32.const 1) (i32.const 0) (i32.const 0)))
(data (i32.const 1024) "CALLS")
"#;

/// Writes over all the memory that it can get, and traps.
const SMEARS: &str = r#"
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 1000)))
  (memory.fill (i32.const 0) (i32.const 0xca) (i32.mul (memory.size) (i32.const 65536)))
  unreachable)
"#;

/// Looks for anything that is not its own in all the memory that it can get. Its own is the first page.
const PRIES: &str = r#"
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (local $at i64) (local $end i64)
  (drop (memory.grow (i32.const 1000)))
  (local.set $at (i64.const 65536))
  (local.set $end (i64.mul (i64.extend_i32_u (memory.size)) (i64.const 65536)))
  (loop $next
    (if (i64.ne (i64.load (i32.wrap_i64 (local.get $at))) (i64.const 0))
      (then (return (call $report (i32.const 1024) (i32.const 5)
        (i32.const 0) (i32.const 1) (f32.const 1) (i32.const 0) (i32.const 0)))))
    (local.set $at (i64.add (local.get $at) (i64.const 8)))
    (br_if $next (i64.lt_u (local.get $at) (local.get $end))))
  (call $report (i32.const 1032) (i32.const 5)
    (i32.const 0) (i32.const 1) (f32.const 1) (i32.const 0) (i32.const 0)))
(data (i32.const 1024) "FOUND\00\00\00ZEROS")
"#;

#[test]
fn a_call_knows_nothing_of_the_last() {
    block_on(async {
        let room = Room::new();
        let plugin = room.scanner(COUNTS).await;
        for _ in 0..5 {
            let output = scan(&room, &plugin, None).await.unwrap();
            assert_eq!(shown(&output.findings), "CALLS 0..2 1");
        }
    });
}

#[test]
fn what_prepare_left_is_there_in_each_call() {
    block_on(async {
        let room = Room::new();
        let prepares = COUNTS.to_owned()
            + "(func $prepare (param i32 i32) (result i32)
                 (global.set $count (i32.const 3))
                 (i32.store (i32.const 2048) (i32.const 4))
                 (i32.const 0))";
        let plugin = room.scanner(&prepares).await;
        for _ in 0..5 {
            let output = scan(&room, &plugin, None).await.unwrap();
            assert_eq!(shown(&output.findings), "CALLS 0..9 1");
        }
    });
}

#[test]
fn a_trap_costs_one_call() {
    block_on(async {
        let room = Room::new();
        let traps_at_first_sight_of_its_mark = COUNTS.replace(
            "(global.set $count",
            "(if (i32.load (i32.const 3072)) (then unreachable))
             (i32.store (i32.const 3072) (i32.const 1))
             (global.set $count",
        );
        let plugin = room.scanner(&traps_at_first_sight_of_its_mark).await;
        let smears = room.scanner(SMEARS).await;
        for _ in 0..5 {
            let error = scan(&room, &smears, None).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "hostile trapped and was stopped: it gave up (unreachable code, usually a panic; see the plugin's log)"
            );
            let output = scan(&room, &plugin, None).await.unwrap();
            assert_eq!(shown(&output.findings), "CALLS 0..2 1");
        }
    });
}

#[test]
fn the_place_of_another_holds_zeros() {
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        let smears = room.scanner(SMEARS).await;
        let pries = room.scanner(PRIES).await;
        for _ in 0..3 {
            scan(&room, &smears, None).await.unwrap_err();
            let output = scan(&room, &pries, None).await.unwrap();
            assert_eq!(shown(&output.findings), "ZEROS 0..1 1");
        }
        honest.answers(&room).await;
    });
}
