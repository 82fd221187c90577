//! Many at once, and connections that live long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_runtime::{CallError, CompiledCache, Event, Plugin, TransportConnection, World};

use crate::guest;
use crate::harness::{Host, Room, block_on, scan};

const NEW: &str = r#"(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))"#;

fn event() -> Event {
    Event { kind: "start", ..Event::default() }
}

async fn connect(room: &Room, plugin: &Plugin) -> Result<TransportConnection, CallError> {
    TransportConnection::open(&room.0, plugin, "server", None, Vec::new(), Arc::new(Host::default())).await
}

#[test]
fn callers_queue_where_there_is_no_room() {
    block_on(async {
        // Room for two; twenty that give up at once, and twenty honest ones between them.
        let room = Room::with(2, CompiledCache::none());
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
fn a_call_in_flight_stops_within_a_second_of_its_kill_switch() {
    block_on(async {
        let room = Room::with(2, CompiledCache::none());
        let honest = room.honest().await;
        for code in [include_str!("attacks/loop_in_scan.wat"), include_str!("attacks/sleep_in_scan.wat")] {
            let plugin = room.scanner(code).await;
            let host = Arc::new(Host::default());
            let stop = host.stop.clone();
            let kill = async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                stop.cancel();
                Instant::now()
            };
            let (result, killed) = tokio::join!(scan(&room, &plugin, Some(host.clone())), kill);
            assert!(matches!(result, Err(CallError::Cancelled { .. })), "{result:?}");
            assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
            // Nothing of it begins once the switch is thrown.
            let again = scan(&room, &plugin, Some(host)).await;
            assert!(matches!(again, Err(CallError::Cancelled { .. })), "{again:?}");
            honest.answers(&room).await;
        }
    });
}

#[test]
fn a_computing_plugin_does_not_hold_up_the_others() {
    block_on(async {
        // One thread for both: only interruption lets the honest one have it.
        let room = Room::with(2, CompiledCache::none());
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

/// What comes of a transport with more modules in it than its own.
async fn opened_with(room: &Room, more: &[&str]) -> Result<(), String> {
    let component = guest::with_modules(guest::component(World::Transport, NEW), more);
    let plugin = room.load(World::Transport, &component).await.map_err(|e| e.to_string())?;
    connect(room, &plugin).await.map(drop).map_err(|e| e.to_string())
}

#[test]
fn what_is_split_over_modules_is_bounded_together() {
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        assert_eq!(opened_with(&room, &["(module (memory 500))", "(module (memory 500))"]).await, Ok(()));
        assert_eq!(
            opened_with(&room, &["(module (memory 600))", "(module (memory 600))"]).await.unwrap_err(),
            "hostile went over its limit of memory and was stopped"
        );
        assert_eq!(
            opened_with(&room, &["(module (memory 0))"; 8]).await.unwrap_err(),
            "hostile could not be compiled: The component transitively contains 9 Wasm linear memories, which exceeds \
             the configured maximum of 8 in the pooling allocator"
        );
        assert_eq!(opened_with(&room, &["(module (table 40000 funcref))"; 2]).await, Ok(()));
        assert_eq!(
            opened_with(&room, &["(module (table 60000 funcref))"; 2]).await.unwrap_err(),
            "hostile went over its limit of table elements and was stopped"
        );
        honest.answers(&room).await;
    });
}

#[test]
fn a_scanner_that_cannot_be_taken_apart_is_refused() {
    block_on(async {
        let room = Room::new();
        let honest = room.honest().await;
        let component = guest::component(World::Scanner, include_str!("good.wat"));
        let component = guest::with_modules(component, &["(module (memory 1))"]);
        let error = room.load(World::Scanner, &component).await.err().expect("it is refused");
        assert_eq!(error.to_string(), "hostile is not a WebAssembly component: it cannot be taken apart");
        honest.answers(&room).await;
    });
}

#[test]
fn large_connections_leave_room_for_small_calls() {
    block_on(async {
        // Each takes about as many memories, tables and instances as a component may have.
        let mut more = vec!["(module (memory 0) (table 1 funcref))"; 7];
        more.extend(["(module (table 1 funcref))"; 50]);
        let component = guest::with_modules(guest::component(World::Transport, NEW), &more);
        let room = Room::with(8, CompiledCache::none());
        let honest = room.honest().await;
        let plugin = room.load(World::Transport, &component).await.unwrap();
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(connect(&room, &plugin).await.expect("there is room"));
        }
        let error = connect(&room, &plugin).await.err().expect("half of the room is not for connections");
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
    block_on(async {
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
    block_on(async {
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
