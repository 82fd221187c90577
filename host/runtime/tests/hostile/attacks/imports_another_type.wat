;; Wants a host function with other parameters than it has.
;; call: load
;; says: hostile does not fit the world scanner: component imports instance `fumehood:log/log@0.1.0`, but a matching implementation was not found in the linker: instance export `log` has the wrong type: type mismatch with parameters: expected 2-tuple, found 1-tuple
(component
  (import "fumehood:log/log@0.1.0" (instance $i (export "log" (func (param "message" u64))))))
