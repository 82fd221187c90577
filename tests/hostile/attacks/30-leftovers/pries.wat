;; Looks for anything that is not its own in all the memory that it can get: its own is the first page. Four letters mean that it
;; found something, one that all was zero.
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (local $at i64) (local $end i64)
  (drop (memory.grow (i32.const 1000)))
  (local.set $at (i64.const 65536))
  (local.set $end (i64.mul (i64.extend_i32_u (memory.size)) (i64.const 65536)))
  (loop $next
    (if (i64.ne (i64.load (i32.wrap_i64 (local.get $at))) (i64.const 0))
      (then (return (call $report (i32.const 1024) (i32.const 5)
        (i32.const 0) (i32.const 4) (f32.const 1) (i32.const 0) (i32.const 0)))))
    (local.set $at (i64.add (local.get $at) (i64.const 8)))
    (br_if $next (i64.lt_u (local.get $at) (local.get $end))))
  (call $report (i32.const 1032) (i32.const 5)
    (i32.const 0) (i32.const 1) (f32.const 1) (i32.const 0) (i32.const 0)))
(data (i32.const 1024) "FOUND\00\00\00ZEROS")
