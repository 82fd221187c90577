;; Refuses its rules with a message that is long and would write to the terminal.
;; call: load
;; says: hostile: preparing the rules failed: ␤[2J␤]0;owned␤␤␤ok
(func $prepare (param i32 i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 1))
  (i32.store (i32.const 272) (i32.const 1024))
  (i32.store (i32.const 276) (i32.const 18))
  (i32.const 256))
(data (i32.const 1024) "\1b[2J\1b]0;owned\07\0d\0aok")
