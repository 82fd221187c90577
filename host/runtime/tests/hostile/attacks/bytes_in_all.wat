;; Hands the host a megabyte at a time, each call within its own bound.
;; world: provider
;; says: hostile went over its limit of bytes handed to the host in all and was stopped
(import "fumehood:http/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(memory $memory (export "memory") 32)
(func $models (result i32)
  (loop $again
    (call $send (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 1) (i32.const 65536) (i32.const 1048576) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
    (br $again))
  unreachable)
