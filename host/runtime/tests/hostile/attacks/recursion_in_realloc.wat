;; Calls itself without end where the host asks it for memory.
;; says: hostile went over its limit of stack and was stopped
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
