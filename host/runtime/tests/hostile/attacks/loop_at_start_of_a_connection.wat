;; Computes for ever when a connection is opened, before anything of it was called.
;; world: transport
;; says: hostile computed for longer than 5000 ms and was stopped
(import "[export]fumehood:transport/guest@0.1.0" "[resource-new]connection" (func $new (param i32) (result i32)))
(func $start (loop $again (br $again)))
(start $start)
