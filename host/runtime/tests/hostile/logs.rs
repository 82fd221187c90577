//! What hostile plugins log and print: bounded, on lines of their own, and only in the plugin's own log.

use std::sync::Arc;

use fumehood_runtime::{LogLine, limits};

use crate::harness::{Host, Room, block_on, scan};

/// Scan once; what was logged and how much was dropped.
async fn logged(room: &Room, text: &str) -> (Vec<LogLine>, u64) {
    let plugin = room.scanner(text).await;
    let host = Arc::new(Host::default());
    scan(room, &plugin, Some(host.clone())).await.unwrap();
    host.take()
}

fn bytes(lines: &[LogLine]) -> usize {
    lines.iter().map(|line| line.text.len()).sum()
}

#[test]
fn a_flood_of_messages_is_cut() {
    block_on(async {
        let room = Room::new();
        let (lines, dropped) = logged(
            &room,
            r#"
            (import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            (func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
              (local $left i32)
              (local.set $left (i32.const 10000))
              (loop $again
                (call $log (i32.const 1) (i32.const 1024) (i32.const 20))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
              (i32.const 0))
            (data (i32.const 1024) "twenty bytes a line.")"#,
        )
        .await;
        assert_eq!(bytes(&lines), limits::LOG_BYTES / 20 * 20);
        assert_eq!(lines.len() as u64 + dropped, 10_000);
        assert!(lines.iter().all(|line| line.level == 1 && line.text == "twenty bytes a line."));
        room.honest().await.answers(&room).await;
    });
}

#[test]
fn a_flood_of_empty_messages_is_cut() {
    block_on(async {
        let room = Room::new();
        let (lines, dropped) = logged(
            &room,
            r#"
            (import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            (func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
              (local $left i32)
              (local.set $left (i32.const 100000))
              (loop $again
                (call $log (i32.const 3) (i32.const 0) (i32.const 0))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
              (i32.const 0))"#,
        )
        .await;
        assert_eq!((lines.len(), dropped), (4096, 95_904));
    });
}

#[test]
fn a_long_message_is_cut_between_characters() {
    block_on(async {
        let room = Room::new();
        // A byte, and then characters of three: 4,096 is inside one.
        let text = format!("x{}", "\u{20ac}".repeat(3000));
        let (lines, dropped) = logged(
            &room,
            &format!(
                r#"
                (import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
                (func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
                  (call $log (i32.const 0) (i32.const 20000) (i32.const {}))
                  (i32.const 0))
                (data (i32.const 20000) "{text}")"#,
                text.len()
            ),
        )
        .await;
        assert_eq!((lines.len(), dropped), (1, 0));
        assert_eq!(lines[0].text, format!("x{}", "\u{20ac}".repeat(1365)));
        assert_eq!(lines[0].text.len(), limits::LOG_MESSAGE_BYTES);
    });
}

#[test]
fn a_message_cannot_forge_lines_or_write_to_a_terminal() {
    block_on(async {
        let room = Room::new();
        let (lines, _) = logged(
            &room,
            r#"
            (import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            (func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
              (call $log (i32.const 2) (i32.const 1024) (i32.const 33))
              (i32.const 0))
            (data (i32.const 1024) "fine\0d\0aERROR forged\1b[31m\00\c2\9b2J\09tab\7f")"#,
        )
        .await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].text, "fine␤␤ERROR forged␤[31m␤␤2J\ttab␤");
    });
}

#[test]
fn what_is_printed_is_bounded_and_clean_too() {
    block_on(async {
        let room = Room::new();
        let (lines, dropped) = logged(
            &room,
            r#"
            (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
            (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
              (func $write (param i32 i32 i32 i32)))
            (func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
              (local $left i32) (local $out i32)
              (local.set $out (call $stdout))
              (local.set $left (i32.const 20000))
              (loop $again
                (call $write (local.get $out) (i32.const 1024) (i32.const 16) (i32.const 512))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
              (i32.const 0))
            (data (i32.const 1024) "a\1b[2J\0aforged\ff\fe\0d\0a")"#,
        )
        .await;
        assert!(lines.len() <= 4096 && bytes(&lines) <= limits::LOG_BYTES, "{} lines", lines.len());
        assert_eq!(lines.len() as u64 + dropped, 40_000);
        assert!(lines.iter().all(|line| line.level == 3));
        assert_eq!((lines[0].text.as_str(), lines[1].text.as_str()), ("a␤[2J", "forged\u{fffd}\u{fffd}"));
        room.honest().await.answers(&room).await;
    });
}

#[test]
fn the_log_of_a_trap_is_kept() {
    block_on(async {
        let room = Room::new();
        let plugin = room
            .scanner(
                r#"
                (import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
                (func $scan (param $text i32) (param $len i32) (param i64 i32 i32 i32 i32) (result i32)
                  (call $log (i32.const 0) (local.get $text) (local.get $len))
                  unreachable)"#,
            )
            .await;
        let host = Arc::new(Host::default());
        let error = scan(&room, &plugin, Some(host.clone())).await.unwrap_err();
        let (lines, _) = host.take();
        assert_eq!(lines[0].text, crate::harness::TEXT);
        // What it read is in its own log, and nowhere else.
        assert!(!format!("{error} {error:?}").contains("example"), "{error:?}");
    });
}
