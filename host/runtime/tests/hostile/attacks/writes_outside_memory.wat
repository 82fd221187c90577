;; Writes just behind its memory.
;; says: hostile trapped and was stopped: it reached outside its memory
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 3)) (i32.const -1))
  (i32.const 0))
