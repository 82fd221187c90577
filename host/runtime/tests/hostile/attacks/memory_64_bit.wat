;; A memory that 64 bits address, which is switched off.
;; call: load
;; says: ?
(memory $wide i64 1)
