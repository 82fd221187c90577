  ;; What every hostile scanner has beside its attack; each part only where the attack brings none of its own.
  ;; Memory: 0..256 stays zero (an empty answer), 256..512 is the answer with one finding, 1024..4096 is the attack's.

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

;; part $report
  ;; An answer with one finding.
  (func $report (param $kind i32) (param $kind_len i32) (param $start i32) (param $end i32) (param $confidence f32)
                (param $detector i32) (param $detector_len i32) (result i32)
    (i32.store (i32.const 264) (i32.const 288))
    (i32.store (i32.const 268) (i32.const 1))
    (i32.store (i32.const 288) (local.get $kind))
    (i32.store (i32.const 292) (local.get $kind_len))
    (i32.store (i32.const 296) (local.get $start))
    (i32.store (i32.const 300) (local.get $end))
    (f32.store (i32.const 304) (local.get $confidence))
    (i32.store (i32.const 312) (local.get $detector))
    (i32.store (i32.const 316) (local.get $detector_len))
    (i32.const 256))

;; part $detects
  (func $detects (result i32) (i32.const 0))

;; part $prepare
  (func $prepare (param $rules i32) (param $rules_len i32) (result i32) (i32.const 0))

;; part $scan
  (func $scan (param $text i32) (param $len i32) (param $offset i64) (param $before i32) (param $after i32)
              (param $extensions i32) (param $extensions_len i32) (result i32)
    (i32.const 0))

;; part exports
  (export "fumehood:scanner/guest@0.1.0#detects" (func $detects))
  (export "fumehood:scanner/guest@0.1.0#prepare" (func $prepare))
  (export "fumehood:scanner/guest@0.1.0#scan" (func $scan))
