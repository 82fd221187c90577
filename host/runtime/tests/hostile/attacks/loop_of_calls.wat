;; Never loops: calls itself and returns, so that only function entries can be interrupted.
;; says: hostile computed for longer than 5000 ms and was stopped
(func $tree (param $depth i32)
  (if (local.get $depth)
    (then
      (call $tree (i32.sub (local.get $depth) (i32.const 1)))
      (call $tree (i32.sub (local.get $depth) (i32.const 1))))))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $tree (i32.const 60))
  (i32.const 0))
