;; Divides by zero.
;; says: hostile trapped and was stopped: WebAssembly trap
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.div_u (i32.const 1) (i32.const 0)))
