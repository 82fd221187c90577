//! Many at once, and connections that live long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_runtime::{CallError, Event, TransportConnection, World};

use crate::guest;
use crate::harness::{Host, Room, block_on, scan};

const NEW: &str = r#"(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))"#;

fn event() -> Event {
    Event { kind: "start", ..Event::default() }
}

#[test]
fn callers_queue_where_there_is_no_room() {
    block_on(false, async {
        // Room for two; twenty that give up at once, and twenty honest ones between them.
        let room = Room::with(2, fumehood_runtime::CompiledCache::none());
        let traps = room.scanner("(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32) unreachable)").await;
        let honest = room.honest().await;
        let all = (0..20).map(|_| async {
            scan(&room, &traps, None).await.unwrap_err();
            honest.answers(&room).await;
        });
        futures_util::future::join_all(all).await;
    });
}

#[test]
fn a_computing_plugin_does_not_hold_up_the_others() {
    block_on(false, async {
        // One thread for both: only interruption lets the honest one have it.
        let room = Room::with(2, fumehood_runtime::CompiledCache::none());
        let loops = room.scanner(include_str!("attacks/loop_in_scan.wat")).await;
        let honest = room.honest().await;
        let hostile = scan(&room, &loops, None);
        let meanwhile = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let began = Instant::now();
            honest.answers(&room).await;
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        };
        let (result, ()) = tokio::join!(hostile, meanwhile);
        assert!(matches!(result, Err(CallError::OutOfTime { .. })), "{result:?}");
    });
}

#[test]
fn large_connections_leave_room_for_small_calls() {
    block_on(false, async {
        // Each takes as many memories, tables and instances as a component may have.
        let mut text = format!("{NEW}\n(memory $memory (export \"memory\") 1)\n");
        text.push_str(&"(memory 0)\n".repeat(fumehood_runtime::limits::MEMORIES - 1));
        text.push_str(&"(table 1 funcref)\n".repeat(fumehood_runtime::limits::TABLES - 4));
        let room = Room::with(8, fumehood_runtime::CompiledCache::none());
        let honest = room.honest().await;
        let plugin = room.load(World::Transport, &guest::component(World::Transport, &text)).await.unwrap();
        let mut open = Vec::new();
        for _ in 0..4 {
            let host = Arc::new(Host::default());
            let connection = TransportConnection::open(&room.0, &plugin, "server", None, Vec::new(), host);
            open.push(connection.await.expect("there is room"));
        }
        let one_more =
            TransportConnection::open(&room.0, &plugin, "server", None, Vec::new(), Arc::new(Host::default()));
        let error = one_more.await.err().expect("half of the room is not for connections");
        assert!(matches!(error, CallError::NoRoom { .. }), "{error:?}");
        let calls = (0..16).map(|_| honest.answers(&room));
        futures_util::future::join_all(calls).await;
        for connection in &mut open {
            assert_eq!(connection.handle(event()).await.unwrap().len(), 0);
        }
    });
}

#[test]
fn a_connection_that_trapped_is_over_and_gives_its_room_back() {
    block_on(false, async {
        let room = Room::new();
        let honest = room.honest().await;
        let handle = "(func $handle (param i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)";
        let component = guest::component(World::Transport, &format!("{NEW}\n{handle}"));
        let plugin = room.load(World::Transport, &component).await.unwrap();
        for _ in 0..3 {
            let host = Arc::new(Host::default());
            let mut connection =
                TransportConnection::open(&room.0, &plugin, "server", None, Vec::new(), host).await.unwrap();
            let error = connection.handle(event()).await.unwrap_err();
            assert!(matches!(error, CallError::Trapped { .. }), "{error:?}");
            let again = connection.handle(event()).await.unwrap_err();
            assert_eq!(again.to_string(), "hostile was stopped before it finished");
            drop(connection);
            honest.answers(&room).await;
        }
    });
}

#[test]
fn host_calls_are_counted_for_each_event() {
    block_on(false, async {
        // 600,000 calls in each of two events: together over the bound of one call, each below it.
        let room = Room::new();
        let text = format!(
            r#"{NEW}
            (import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            (func $handle (param i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
              (local $left i32)
              (local.set $left (i32.const 600000))
              (loop $again
                (call $log (i32.const 3) (i32.const 0) (i32.const 0))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
              (i32.const 0))"#
        );
        let plugin = room.load(World::Transport, &guest::component(World::Transport, &text)).await.unwrap();
        let host = Arc::new(Host::default());
        let mut connection =
            TransportConnection::open(&room.0, &plugin, "server", None, Vec::new(), host.clone()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(connection.handle(event()).await.unwrap().len(), 0);
            let (lines, dropped) = host.take();
            assert_eq!(lines.len() as u64 + dropped, 600_000);
        }
    });
}
