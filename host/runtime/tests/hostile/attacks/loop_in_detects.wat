;; Computes for ever where it is asked what it finds.
;; call: detects
;; says: hostile computed for longer than 5000 ms and was stopped
(func $detects (result i32)
  (loop $again (br $again))
  unreachable)
