//! The pixels of a picture, one a step, row by row: the blog post's schedule.

use pixelrate_schedule::{Picture, Run, Schedule, export_schedule};

struct Image {
    picture: Picture,
    last: u64,
    base: f64,
    max: f64,
}

impl Schedule for Image {
    fn new(run: &Run) -> Result<Self, String> {
        let picture = run.open("image", run.total_steps());
        Ok(Self {
            last: picture.len() - 1,
            picture,
            base: run.param("base_lr"),
            max: run.param("max_lr"),
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        // The last value holds where the picture has fewer values than the run has steps.
        let value = self.picture.value(step.min(self.last));
        self.base + (self.max - self.base) * value
    }
}

export_schedule!(Image, parameters: [
    {"image" picture, "The picture: a file of the study's picture folder, or a built-in one."},
    {"base_lr" = 1e-5, "Learning rate of a black pixel."},
    {"max_lr" = 1e-2, "Learning rate of a white pixel."},
]);
