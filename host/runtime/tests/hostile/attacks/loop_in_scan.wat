;; Computes for ever.
;; says: hostile computed for longer than 5000 ms and was stopped
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (loop $again (br $again))
  unreachable)
