;; Wants a version of the contract that the host does not have.
;; call: load
;; says: hostile needs Fumehood 0.2.0 or newer because it imports fumehood:log/log@0.2.0
(component
  (import "fumehood:log/log@0.2.0" (instance $i (export "log" (func (param "message" string))))))
