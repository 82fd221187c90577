;; The honest scanner that is asked after each attack: it reports the first `@`.
(func $scan (param $text i32) (param $len i32) (param i64 i32 i32 i32 i32) (result i32)
  (local $at i32)
  (block $none
    (loop $next
      (br_if $none (i32.ge_u (local.get $at) (local.get $len)))
      (if (i32.eq (i32.load8_u (i32.add (local.get $text) (local.get $at))) (i32.const 64))
        (then
          (return (call $report (i32.const 1024) (i32.const 5)
            (local.get $at) (i32.add (local.get $at) (i32.const 1)) (f32.const 1) (i32.const 1032) (i32.const 4)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
  (i32.const 0))
(data (i32.const 1024) "EMAIL\00\00\00rule")
