;; Spends its time in bulk instructions, of which each is long.
;; says: hostile computed for longer than 5000 ms and was stopped
(memory $memory (export "memory") 1000)
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (loop $again
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 65000000))
    (memory.copy (i32.const 1) (i32.const 0) (i32.const 65000000))
    (br $again))
  unreachable)
