;; Uses a handle that it gave back.
;; says: hostile trapped and was stopped: it used a handle that it does not have
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $in (param i64) (result i32)))
(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
(import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop (param i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (local $handle i32)
  (local.set $handle (call $in (i64.const 1)))
  (call $drop (local.get $handle))
  (call $block (local.get $handle))
  (i32.const 0))
