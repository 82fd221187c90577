;; Traps before anything of it was called.
;; call: load
;; says: hostile: preparing the rules failed: it trapped and was stopped: it gave up (unreachable code, usually a panic; see the plugin's log)
(func $start unreachable)
(start $start)
