;; Grows a table without end. It is told no, as it should be; a finding says at what size, in 30,000 elements.
;; world: transport
;; does: 3
(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))
(table $table 0 funcref)
(global $grew (mut i32) (i32.const 0))
(func $handle (param i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (block $full
    (loop $more
      (br_if $full (i32.eq (table.grow $table (ref.null func) (i32.const 30000)) (i32.const -1)))
      (global.set $grew (i32.add (global.get $grew) (i32.const 1)))
      (br $more)))
  (i32.store (i32.const 264) (i32.const 32768))
  (i32.store (i32.const 268) (global.get $grew))
  (i32.const 256))
