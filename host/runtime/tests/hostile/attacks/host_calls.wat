;; Calls the host without end, each call for nothing.
;; says: hostile went over its limit of host calls and was stopped
(import "fumehood:log/log@0.1.0" "log" (func $log (param i32 i32 i32)))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (loop $again
    (call $log (i32.const 0) (i32.const 0) (i32.const 0))
    (br $again))
  unreachable)
