;; A transport that wants to send by itself.
;; world: transport
;; call: load
;; says: hostile imports fumehood:http/http@0.1.0, which a transport may not have
(component (import "fumehood:http/http@0.1.0" (instance)))
