;; Asks for all of the address space at once. It is told no, and says so.
;; finds: REFUSED 0..1 1 memory
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (if (i32.ne (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))
  (call $report (i32.const 1024) (i32.const 7) (i32.const 0) (i32.const 1) (f32.const 1) (i32.const 1032) (i32.const 6)))
(data (i32.const 1024) "REFUSED\00memory")
