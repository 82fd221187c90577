;; Calls itself without end where the host asks it for memory.
;; says: hostile went over its limit of stack and was stopped
(func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
  (if (i32.le_u (local.get $size) (i32.const 2)) (then (return (i32.const 4096))))
  (call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
