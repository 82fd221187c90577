;; Wants the network, by way of WASI.
;; call: load
;; says: hostile imports wasi:http/outgoing-handler@0.2.0, which a scanner may not have; build without it (componentize-qjs and componentize-py: --stub-wasi; ComponentizeJS: --disable all) and use fumehood:http
(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))
