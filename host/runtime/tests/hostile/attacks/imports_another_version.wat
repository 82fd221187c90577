;; Wants a version of the contract that the host does not have.
;; call: load
;; says: hostile does not fit the world scanner: component imports instance `fumehood:log/log@0.2.0`, but a matching implementation was not found in the linker: instance export `log` has the wrong type: function implementation is missing
(component
  (import "fumehood:log/log@0.2.0" (instance $i (export "log" (func (param "message" string))))))
