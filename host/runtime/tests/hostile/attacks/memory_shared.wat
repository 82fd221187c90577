;; A memory for threads, which are switched off.
;; call: load
;; says: ?
(memory $shared 1 1 shared)
