;; Computes for ever before anything of it was called.
;; call: load
;; says: hostile: preparing the rules failed: it computed for longer than 30000 ms and was stopped
(func $start (loop $again (br $again)))
(start $start)
