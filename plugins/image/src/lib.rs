//! A picture's pixels, one a step, as the learning rate: the blog post's schedule.

use pixelrate_scan::{Pixels, Scan, Settings};
use pixelrate_schedule::{Picture, Run, Schedule, export_schedule};

struct Image(Scan<Opened>);

/// A picture that the trainer holds.
struct Opened(Picture);

impl Pixels for Opened {
    fn width(&self) -> u32 {
        self.0.width()
    }

    fn height(&self) -> u32 {
        self.0.height()
    }

    fn channels(&self) -> u32 {
        self.0.channels()
    }

    fn value(&self, index: u64) -> f64 {
        self.0.value(index)
    }
}

impl Schedule for Image {
    fn new(run: &Run) -> Result<Self, String> {
        let settings = Settings::read(|name| run.param(name), run.total_steps(), run.seed())?;
        let picture = run.open("image", settings.picture_samples());
        Ok(Self(Scan::new(settings, Opened(picture))?))
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        self.0.rate(step)
    }
}

export_schedule!(Image, parameters: [
    {"image" picture, "The picture: a file of the study's picture folder, or a built-in one."},
    {"base_lr" = 1e-5, "The rate of a black pixel."},
    {"max_lr" = 1e-2, "The rate of a white pixel."},
    {"samples" = 0, "How many values the picture is resized to; 0 takes the run's steps. A pixel has three, one if it is grey."},
    {"order" = 0 in ["raster", "serpentine", "hilbert", "spiral", "columns", "column_serpentine", "zigzag", "spiral_out",
        "gilbert", "morton", "peano", "radial", "interlaced", "random"],
        "How the picture is scanned; raster is the post's."},
    {"channels" = 0 in ["interleaved", "luma", "red", "green", "blue", "planar", "mean", "luma_709", "value", "saturation",
        "hue", "lightness", "lab_l", "lab_a", "lab_b", "oklab_l", "cb", "cr"],
        "Red, green and blue in turn, as the post, or the whole picture in one after another (planar); else one number a pixel."},
    {"reverse" = 0 in ["no", "yes"], "Whether the scan goes from its end to its beginning."},
    {"invert" = 0 in ["no", "yes"], "Whether the picture is read as its negative."},
    {"normalise" = 0 in ["none", "stretch", "percentile", "moments", "equalise"],
        "What its values are brought to: darkest and lightest to 0 and 1; their 2nd and 98th percentile; `mean` and `deviation`; or every value as often as any other."},
    {"mean" = 0.5, "The mean that `normalise = moments` brings its values to, in [0, 1]."},
    {"deviation" = 0.2, "The standard deviation that `normalise = moments` brings its values to."},
    {"contrast" = 1, "Values move away from 1/2 by this factor, clipped to [0, 1]."},
    {"gamma" = 1, "Values are raised to this power: over 1 darkens."},
    {"smooth" = 0, "Each value becomes the mean of so many around it; 0 and 1 leave it."},
    {"fit" = 0 in ["hold", "nearest", "linear", "repeat"],
        "How values meet steps: one a step, and the last holds, as the post; spread over all steps, by the nearest or on straight lines; or again from the first."},
    {"control" = 0 in ["none", "shuffled", "sorted", "sorted_rising", "upside_down", "rows_reversed", "rotated", "constant",
        "white", "pink", "brown", "phase_randomised", "texture", "linear", "linear_mean"],
        "What takes the picture's place, to tell what of it matters. Noise has the mean and the variance of the picture's own rates; `linear` falls to 0 from their peak."},
    {"noise_seed" = 0, "What decides order, noise and phases that are drawn by chance; 0 takes the run's seed, so that each seed of a study has its own."},
]);

#[cfg(test)]
mod tests {
    use pixelrate_scan::Settings;

    /// What the macro takes are literals: they must be the scan's words and defaults.
    #[test]
    fn what_is_declared_is_what_the_scan_has() {
        let source: String = include_str!("lib.rs").split_whitespace().collect();
        for (name, default) in Settings::DEFAULTS {
            let words = Settings::words(name);
            let declared = match words {
                [] => format!("{{\"{name}\"="),
                _ => format!("{{\"{name}\"=0in[\"{}\"],", words.join("\",\"")),
            };
            let (_, after) = source.split_once(&declared).expect(&declared);
            if words.is_empty() {
                let (number, _) = after.split_once(',').expect(name);
                assert_eq!(number.parse(), Ok(default), "{name}");
            }
        }
    }
}
