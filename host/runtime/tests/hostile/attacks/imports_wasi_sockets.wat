;; Wants raw sockets.
;; call: load
;; says: hostile imports wasi:sockets/tcp@0.2.0, which a scanner may not have; build without it (Rust: do not use std::net; componentize-qjs and componentize-py: --stub-wasi) and use fumehood:http
(component (import "wasi:sockets/tcp@0.2.0" (instance)))
