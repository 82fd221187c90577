;; Waits for a century in an event.
;; world: transport
;; says: hostile gave no result within 10000 ms and was stopped
(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $in (param i64) (result i32)))
(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
(func $handle (param i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (call $block (call $in (i64.const 3000000000000000000)))
  (i32.const 0))
