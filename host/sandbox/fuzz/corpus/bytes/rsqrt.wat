(module
  (func (export "learning_rate") (param $step i64) (result f64)
    (f64.div (f64.const 0.1) (f64.sqrt (f64.convert_i64_u (i64.add (local.get $step) (i64.const 1)))))))
