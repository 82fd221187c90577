  ;; What every hostile transport has beside its attack; each part only where the attack brings none of its own. The
  ;; attack imports `$new`, which makes the connection's handle.

;; part $memory
  (memory $memory (export "memory") 1)

;; part $realloc
  ;; Never frees; grows where it must.
  (global $free (mut i32) (i32.const 4096))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
    (local.get $at))

;; part $open
  (func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 264) (call $new (i32.const 1)))
    (i32.const 256))

;; part $handle
  (func $handle (param $self i32) (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 0))

;; part exports
  (export "fumehood:transport/guest@0.1.0#open" (func $open))
  (export "fumehood:transport/guest@0.1.0#[method]connection.handle" (func $handle))
