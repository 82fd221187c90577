;; Wants something that nobody offers.
;; call: load
;; says: hostile imports acme:secret/door@1.0.0, which a scanner may not have
(component (import "acme:secret/door@1.0.0" (instance)))
