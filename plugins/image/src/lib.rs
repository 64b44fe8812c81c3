//! A picture's pixels, one a step, as the learning rate: the blog post's schedule.

mod order;

pub use order::{Order, places};
use pixelrate_schedule::{Picture, Run, Schedule, export_schedule};

struct Image {
    base: f64,
    span: f64,
    picture: Picture,
    /// Which pixel comes when; `None` for the order in which they lie.
    places: Option<Vec<u32>>,
    luma: bool,
    /// Values that a scan gives.
    values: u64,
}

impl Schedule for Image {
    fn new(run: &Run) -> Result<Self, String> {
        let luma = match run.param("channels") {
            0.0 => false,
            1.0 => true,
            other => {
                return Err(format!(
                    "`channels` is {other}: must be interleaved or luma"
                ));
            }
        };
        let order = match run.param("order") {
            0.0 => Order::Raster,
            1.0 => Order::Serpentine,
            2.0 => Order::Hilbert,
            3.0 => Order::Spiral,
            other => {
                return Err(format!(
                    "`order` is {other}: must be raster, serpentine, hilbert or spiral"
                ));
            }
        };
        let wanted = match run.param("samples") {
            0.0 => run.total_steps(),
            some => some as u64,
        };
        // A picture is resized to three values a pixel; luma has one.
        let picture = run.open("image", if luma { wanted * 3 } else { wanted });
        let (width, height) = (picture.width(), picture.height());
        let luma = luma && picture.channels() == 3;
        let pixels = u64::from(width) * u64::from(height);
        let base = run.param("base_lr");
        Ok(Self {
            base,
            span: run.param("max_lr") - base,
            places: (order != Order::Raster).then(|| places(order, width, height)),
            values: if luma {
                pixels
            } else {
                pixels * u64::from(picture.channels())
            },
            luma,
            picture,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        // The last value holds where the picture has fewer values than the run has steps.
        let index = step.min(self.values - 1);
        let channels = if self.luma {
            1
        } else {
            u64::from(self.picture.channels())
        };
        let (pixel, channel) = (index / channels, index % channels);
        let pixel = match &self.places {
            Some(places) => u64::from(places[pixel as usize]),
            None => pixel,
        };
        let value = if self.luma {
            self.luma_of(pixel)
        } else {
            self.picture.value(pixel * channels + channel)
        };
        self.base + self.span * value
    }
}

impl Image {
    /// Rec. 601 in Pillow's integers (`convert("L")`), so that the result is the same everywhere.
    fn luma_of(&self, pixel: u64) -> f64 {
        let byte = |channel: u64| (self.picture.value(pixel * 3 + channel) * 255.0).round() as u32;
        let luma = (byte(0) * 19_595 + byte(1) * 38_470 + byte(2) * 7_471 + 0x8000) >> 16;
        f64::from(luma as f32 / 255.0)
    }
}

export_schedule!(Image, parameters: [
    {"image" picture, "The picture: a file of the study's picture folder, or a built-in one."},
    {"base_lr" = 1e-5, "The rate of a black pixel."},
    {"max_lr" = 1e-2, "The rate of a white pixel."},
    {"samples" = 0, "How many values the picture is resized to; 0 takes the run's steps."},
    {"order" = 0 in ["raster", "serpentine", "hilbert", "spiral"], "How the picture is scanned; raster is the post's."},
    {"channels" = 0 in ["interleaved", "luma"], "Red, green and blue in turn, as the post, or one luma a pixel."},
]);
