;; A hundred thousand headers in one request.
;; world: provider
;; says: hostile went over its limit of bytes handed to the host in one call and was stopped
(import "fumehood:http/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(memory $memory (export "memory") 64)
(func $models (result i32)
  (call $send (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 100000)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2048))
  (i32.const 0))
