;; A straight warm-up, then half a cosine from max_lr down to min_lr.

(module
  (import "pixelrate:schedule/run@1.0.0" "total-steps" (func $total_steps (result i64)))
  (import "pixelrate:schedule/run@1.0.0" "param"
    (func $run_param (param $name i32) (param $length i32) (param $default f64) (result f64)))

  ;; Texts pass as a pointer and a length: the trainer reads them here.
  (memory (export "memory") 1)

  ;; Texts end at a zero byte, so that no length has to be counted by hand.
  (data (i32.const 0x10) "max_lr\00")
  (data (i32.const 0x20) "min_lr\00")
  (data (i32.const 0x30) "warmup_steps\00")

  ;; What `parameters` tells: JSON. The defaults are those of `init`.
  (data (i32.const 0x40)
    "[{\"name\":\"max_lr\",\"default\":0.1,\"doc\":\"Learning rate at the end of the warm-up.\"},"
    "{\"name\":\"min_lr\",\"default\":0,\"doc\":\"Learning rate of the end of the run.\"},"
    "{\"name\":\"warmup_steps\",\"default\":0,"
    "\"doc\":\"Steps in which the rate rises from 0 in a straight line.\"}]\00")

  (global $max_lr (mut f64) (f64.const 0))
  (global $min_lr (mut f64) (f64.const 0))
  (global $warmup (mut f64) (f64.const 0))
  (global $total (mut f64) (f64.const 0))

  ;; Text as an export gives it: the address of a pointer and a length.
  (func (export "parameters") (result i32)
    (i32.store (i32.const 0) (i32.const 0x40))
    (i32.store (i32.const 4) (call $length (i32.const 0x40)))
    (i32.const 0))

  (func (export "init")
    (global.set $max_lr (call $param (i32.const 0x10) (f64.const 0.1)))
    (global.set $min_lr (call $param (i32.const 0x20) (f64.const 0)))
    (global.set $warmup (call $param (i32.const 0x30) (f64.const 0)))
    (global.set $total (f64.convert_i64_u (call $total_steps))))

  (func (export "learning-rate") (param $step i64) (result f64)
    (local $s f64) (local $t f64) (local $c f64)
    (local.set $s (f64.convert_i64_u (local.get $step)))
    (if (f64.lt (local.get $s) (global.get $warmup))
      (then
        ;; max_lr * ((s + 1) / warmup)
        (return
          (f64.mul
            (global.get $max_lr)
            (f64.div (f64.add (local.get $s) (f64.const 1)) (global.get $warmup))))))
    ;; t = min((s - warmup) / max(total - warmup, 1), 1)
    (local.set $t
      (f64.min
        (f64.div
          (f64.sub (local.get $s) (global.get $warmup))
          (f64.max (f64.sub (global.get $total) (global.get $warmup)) (f64.const 1)))
        (f64.const 1)))
    ;; The square of the half angle's cosine is 0.5 * (1 + cos(pi * t)) without its cancellation near the end of the
    ;; run: so written, the schedules of all languages agree to a few units in the last place.
    (local.set $c (call $cos (f64.mul (local.get $t) (f64.const 1.5707963267948966))))
    ;; min_lr + (max_lr - min_lr) * (c * c)
    (f64.add
      (global.get $min_lr)
      (f64.mul
        (f64.sub (global.get $max_lr) (global.get $min_lr))
        (f64.mul (local.get $c) (local.get $c)))))

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
    (i32.sub (local.get $end) (local.get $start)))

  ;; The cosine of $x, 0 <= $x <= pi / 2, to less than one unit in the last place: WASM has none. The polynomials and
  ;; the names of their coefficients are those of fdlibm, which many C libraries have:
  ;;   Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
  ;;   Developed at SunPro, a Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this
  ;;   software is freely granted, provided that this notice is preserved.
  (func $cos (param $x f64) (result f64)
    (local $r f64) (local $y f64)
    (if (f64.le (local.get $x) (f64.const 0.7853981633974483))
      (then (return (call $cos_below_quarter_pi (local.get $x)))))
    ;; cos(x) = sin(pi/2 - x), and pi/2 is the sum of two f64: 1.57… and 6.12e-17. The first less x is exact, since it
    ;; is at most twice x; y and its tail are that and the second, again without a rounding error.
    (local.set $r (f64.sub (f64.const 1.5707963267948966) (local.get $x)))
    (local.set $y (f64.add (local.get $r) (f64.const 6.123233995736766e-17)))
    (call $sin_below_quarter_pi
      (local.get $y)
      (f64.sub (f64.const 6.123233995736766e-17) (f64.sub (local.get $y) (local.get $r)))))

  ;; __kernel_cos.
  (func $cos_below_quarter_pi (param $x f64) (result f64)
    (local $z f64) (local $r f64) (local $half f64) (local $w f64)
    (local.set $z (f64.mul (local.get $x) (local.get $x)))
    ;; r = z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * C6)))))
    (local.set $r (f64.const -1.13596475577881948265e-11))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const 2.08757232129817482790e-09)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const -2.75573143513906633035e-07)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const 2.48015872894767294178e-05)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const -1.38888888888741095749e-03)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const 4.16666666666666019037e-02)))
    (local.set $r (f64.mul (local.get $r) (local.get $z)))
    ;; 1 - z/2 + z * r, with what the first subtraction rounded away.
    (local.set $half (f64.mul (f64.const 0.5) (local.get $z)))
    (local.set $w (f64.sub (f64.const 1) (local.get $half)))
    (f64.add
      (local.get $w)
      (f64.add
        (f64.sub (f64.sub (f64.const 1) (local.get $w)) (local.get $half))
        (f64.mul (local.get $z) (local.get $r)))))

  ;; __kernel_sin, of $x + $tail.
  (func $sin_below_quarter_pi (param $x f64) (param $tail f64) (result f64)
    (local $z f64) (local $r f64) (local $v f64)
    (local.set $z (f64.mul (local.get $x) (local.get $x)))
    (local.set $v (f64.mul (local.get $z) (local.get $x)))
    ;; r = S2 + z * (S3 + z * (S4 + z * (S5 + z * S6)))
    (local.set $r (f64.const 1.58969099521155010221e-10))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const -2.50507602534068634195e-08)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const 2.75573137070700676789e-06)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const -1.98412698298579493134e-04)))
    (local.set $r (f64.add (f64.mul (local.get $r) (local.get $z)) (f64.const 8.33333333332248946124e-03)))
    ;; x - ((z * (tail / 2 - v * r) - tail) - v * S1)
    (f64.sub
      (local.get $x)
      (f64.sub
        (f64.sub
          (f64.mul
            (local.get $z)
            (f64.sub (f64.mul (f64.const 0.5) (local.get $tail)) (f64.mul (local.get $v) (local.get $r))))
          (local.get $tail))
        (f64.mul (local.get $v) (f64.const -1.66666666666666324348e-01))))))
