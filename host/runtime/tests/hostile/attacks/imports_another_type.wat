;; Wants a host function with other parameters than it has.
;; call: load
;; says: ?
(component
  (import "fumehood:log/log@0.1.0" (instance $i (export "log" (func (param "message" u64))))))
