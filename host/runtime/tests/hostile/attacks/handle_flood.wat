;; Takes handles of the host without end, and drops none.
;; says: hostile went over its limit of handles and was stopped
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $in (param i64) (result i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (loop $again
    (drop (call $in (i64.const 1)))
    (br $again))
  unreachable)
