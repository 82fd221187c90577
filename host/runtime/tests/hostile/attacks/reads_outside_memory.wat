;; Reads at the end of the address space.
;; says: hostile trapped and was stopped: it reached outside its memory
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (i32.load offset=4294967290 (i32.const -1)))
