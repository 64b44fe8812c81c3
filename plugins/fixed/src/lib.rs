//! One learning rate for the whole run: the post's `fixed` (3e-4 with momentum) and `andrej` (3e-4 with Adam).

use pixelrate_schedule::{Run, Schedule, export_schedule};

struct Fixed {
    learning_rate: f64,
}

impl Schedule for Fixed {
    fn new(run: &Run) -> Result<Self, String> {
        Ok(Self {
            learning_rate: run.param("learning_rate"),
        })
    }

    fn learning_rate(&mut self, _: u64) -> f64 {
        self.learning_rate
    }
}

export_schedule!(Fixed, parameters: [
    {"learning_rate" = 3e-4, "The rate of every step."},
]);
