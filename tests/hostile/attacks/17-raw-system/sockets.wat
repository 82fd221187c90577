;; Wants sockets.
;; says: The component imports wasi:sockets/tcp@0.2.0, which a scanner may not have
(import "wasi:sockets/tcp@0.2.0" "connect" (func $wanted))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $wanted)
  (i32.const 0))
