;; A picture, read pixel by pixel: one value a step, black the lowest rate and white the highest.

(module
  (import "pixelrate:schedule/run@1.0.0" "total-steps" (func $total_steps (result i64)))
  (import "pixelrate:schedule/run@1.0.0" "param"
    (func $run_param (param $name i32) (param $length i32) (param $default f64) (result f64)))
  (import "pixelrate:schedule/images@1.0.0" "[static]image.open"
    (func $open (param $name i32) (param $length i32) (param $samples i64) (result i32)))
  (import "pixelrate:schedule/images@1.0.0" "[method]image.len"
    (func $len (param $picture i32) (result i64)))
  (import "pixelrate:schedule/images@1.0.0" "[method]image.value"
    (func $value (param $picture i32) (param $index i64) (result f64)))

  ;; Texts pass as a pointer and a length: the trainer reads them here.
  (memory (export "memory") 1)

  ;; Texts end at a zero byte, so that no length has to be counted by hand.
  (data (i32.const 0x10) "image\00")
  (data (i32.const 0x20) "base_lr\00")
  (data (i32.const 0x30) "max_lr\00")

  ;; What `parameters` tells: JSON. The defaults are those of `init`.
  (data (i32.const 0x40)
    "[{\"name\":\"image\",\"kind\":\"picture\","
    "\"doc\":\"The picture: a file of the study's picture folder, or a built-in one.\"},"
    "{\"name\":\"base_lr\",\"default\":1e-5,\"doc\":\"Learning rate of a black pixel.\"},"
    "{\"name\":\"max_lr\",\"default\":1e-2,\"doc\":\"Learning rate of a white pixel.\"}]\00")

  (global $picture (mut i32) (i32.const 0))
  (global $last (mut i64) (i64.const 0))
  (global $base_lr (mut f64) (f64.const 0))
  (global $max_lr (mut f64) (f64.const 0))

  ;; Text as an export gives it: the address of a pointer and a length.
  (func (export "parameters") (result i32)
    (i32.store (i32.const 0) (i32.const 0x40))
    (i32.store (i32.const 4) (call $length (i32.const 0x40)))
    (i32.const 0))

  (func (export "init")
    (global.set $picture
      (call $open (i32.const 0x10) (call $length (i32.const 0x10)) (call $total_steps)))
    (global.set $last (i64.sub (call $len (global.get $picture)) (i64.const 1)))
    (global.set $base_lr (call $param (i32.const 0x20) (f64.const 1e-5)))
    (global.set $max_lr (call $param (i32.const 0x30) (f64.const 1e-2))))

  (func (export "learning-rate") (param $step i64) (result f64)
    ;; base_lr + (max_lr - base_lr) * value(min(step, last)): a resized picture may have a few values fewer than the run
    ;; has steps, and then the last one is held.
    (f64.add
      (global.get $base_lr)
      (f64.mul
        (f64.sub (global.get $max_lr) (global.get $base_lr))
        (call $value
          (global.get $picture)
          (select
            (local.get $step)
            (global.get $last)
            (i64.lt_u (local.get $step) (global.get $last)))))))

  ;; The study's number for the parameter whose name lies at $name.
  (func $param (param $name i32) (param $default f64) (result f64)
    (call $run_param (local.get $name) (call $length (local.get $name)) (local.get $default)))

  ;; How long the text at $start is.
  (func $length (param $start i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $start))
    (loop $next
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.load8_u (local.get $end))))
    (i32.sub (local.get $end) (local.get $start))))
