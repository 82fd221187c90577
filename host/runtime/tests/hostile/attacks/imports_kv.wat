;; Wants to keep what it read.
;; call: load
;; says: hostile imports fumehood:kv/kv@0.1.0, which a scanner may not have
(component (import "fumehood:kv/kv@0.1.0" (instance)))
