;; Calls itself without end.
;; says: hostile went over its limit of stack and was stopped
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $scan (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)))
