;; Writes over all the memory that it can get, and traps.
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 1000)))
  (memory.fill (i32.const 0) (i32.const 0xca) (i32.mul (memory.size) (i32.const 65536)))
  unreachable)
