;; Answers with few findings whose kinds are, together, 40 MiB: all of them are the same megabyte.
;; says: hostile went over its limit of bytes handed to the host in one call and was stopped
(memory $memory (export "memory") 32)
(global $at (mut i32) (i32.const 65536))
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (loop $more
    (i32.store (global.get $at) (i32.const 131072))
    (i32.store offset=4 (global.get $at) (i32.const 1048576))
    (global.set $at (i32.add (global.get $at) (i32.const 32)))
    (br_if $more (i32.lt_u (global.get $at) (i32.const 66816))))
  (i32.store (i32.const 264) (i32.const 65536))
  (i32.store (i32.const 268) (i32.const 40))
  (i32.const 256))
