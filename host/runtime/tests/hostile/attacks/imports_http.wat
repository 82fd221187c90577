;; Wants the network.
;; call: load
;; says: hostile imports fumehood:http/http@0.1.0, which a scanner may not have
(component (import "fumehood:http/http@0.1.0" (instance)))
