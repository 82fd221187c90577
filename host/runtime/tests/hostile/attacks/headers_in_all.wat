;; Hands the host three megabytes of headers at a time, each call within its own bound.
;; world: provider
;; says: hostile went over its limit of bytes handed to the host in all and was stopped
(import "fumehood:http/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(memory $memory (export "memory") 64)
(func $models (result i32)
  (i32.store (i32.const 1024) (i32.const 65536))
  (i32.store (i32.const 1028) (i32.const 3000000))
  (loop $again
    (call $send (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2048))
    (br $again))
  unreachable)
