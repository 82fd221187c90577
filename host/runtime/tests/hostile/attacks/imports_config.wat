;; Wants the settings of others.
;; call: load
;; says: hostile imports fumehood:config/config@0.1.0, which a scanner may not have
(component (import "fumehood:config/config@0.1.0" (instance)))
