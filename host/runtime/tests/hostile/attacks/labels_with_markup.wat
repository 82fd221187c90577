;; A detector with markup in it, and a kind that is none: the kind is any text, which only `Kind` of `redact` may
;; turn into a label, the detector is shown as it is and so must be plain.
;; finds: OTHER 0..4 1 unnamed
(func $scan (param i32 i32 i64 i32 i32 i32 i32) (result i32)
  (call $report (i32.const 1024) (i32.const 25) (i32.const 0) (i32.const 4) (f32.const 1) (i32.const 1056) (i32.const 25)))
(data (i32.const 1024) "<script>alert(1)</script>")
(data (i32.const 1056) "<b onclick=alert(1)>x</b>")
