;; A provider that wants the store of an integration.
;; world: provider
;; call: load
;; says: hostile imports fumehood:kv/kv@0.1.0, which a provider may not have
(component (import "fumehood:kv/kv@0.1.0" (instance)))
