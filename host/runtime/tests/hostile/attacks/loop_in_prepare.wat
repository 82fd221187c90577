;; Computes for ever while it is prepared.
;; call: load
;; says: hostile: preparing the rules failed: it computed for longer than 30000 ms and was stopped
(func $prepare (param i32 i32) (result i32)
  (loop $again (br $again))
  unreachable)
