//! A study's parameters for a picture.

use crate::{Channels, Control, Fit, Normalise, Order, Tone};

/// How a picture becomes a schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The rate of a value of 0.
    pub base: f64,
    /// The rate of a value of 1, less `base`.
    pub span: f64,
    /// Values that the picture is resized to.
    pub samples: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Which pixel comes when.
    pub order: Order,
    /// What of a pixel is read.
    pub channels: Channels,
    /// Whether the scan goes from its end to its beginning.
    pub reverse: bool,
    /// How light and dark.
    pub tone: Tone,
    /// How values meet steps.
    pub fit: Fit,
    /// What takes the picture's place.
    pub control: Control,
    /// What decides all that is drawn by chance.
    pub seed: u64,
}

impl Settings {
    /// The plugin's parameters but for the picture, and the number of each where a study gives none: the blog post's.
    pub const DEFAULTS: [(&str, f64); 16] = [
        ("base_lr", 1e-5),
        ("max_lr", 1e-2),
        ("samples", 0.0),
        ("order", 0.0),
        ("channels", 0.0),
        ("reverse", 0.0),
        ("invert", 0.0),
        ("normalise", 0.0),
        ("mean", 0.5),
        ("deviation", 0.2),
        ("contrast", 1.0),
        ("gamma", 1.0),
        ("smooth", 0.0),
        ("fit", 0.0),
        ("control", 0.0),
        ("noise_seed", 0.0),
    ];

    /// The words of a parameter that has some, by their numbers.
    pub fn words(name: &str) -> &'static [&'static str] {
        match name {
            "order" => Order::WORDS,
            "channels" => Channels::WORDS,
            "normalise" => Normalise::WORDS,
            "fit" => Fit::WORDS,
            "control" => Control::WORDS,
            "reverse" | "invert" => &["no", "yes"],
            _ => &[],
        }
    }

    /// Reads them: `param` gives the number of each of the plugin's parameters, for a run of so many steps and this seed.
    ///
    /// # Errors
    /// What is wrong with one, in the user's words.
    pub fn read(param: impl Fn(&str) -> f64, steps: u64, seed: u64) -> Result<Self, String> {
        let not_negative = |name: &str| match param(name) {
            value if value.is_finite() && value >= 0.0 => Ok(value),
            value => Err(format!("`{name}` is {value}: must be 0 or more")),
        };
        let whole = |name: &str| match param(name) {
            value if value >= 0.0 && value.fract() == 0.0 => Ok(value as u64),
            value => Err(format!(
                "`{name}` is {value}: must be a whole number, 0 or more"
            )),
        };
        let share = |name: &str| match param(name) {
            value if (0.0..=1.0).contains(&value) => Ok(value),
            value => Err(format!("`{name}` is {value}: must be from 0 to 1")),
        };
        let flag = |name: &str| match param(name) {
            0.0 => Ok(false),
            1.0 => Ok(true),
            value => Err(format!("`{name}` is {value}: must be no or yes")),
        };
        let base = param("base_lr");
        let of_user = |given: u64, otherwise| if given == 0 { otherwise } else { given };
        Ok(Self {
            base,
            span: param("max_lr") - base,
            samples: of_user(whole("samples")?, steps),
            steps,
            order: Order::of(param("order"))?,
            channels: Channels::of(param("channels"))?,
            reverse: flag("reverse")?,
            tone: Tone {
                invert: flag("invert")?,
                normalise: Normalise::of(param("normalise"))?,
                mean: share("mean")?,
                deviation: not_negative("deviation")?,
                contrast: not_negative("contrast")?,
                gamma: not_negative("gamma")?,
                smooth: whole("smooth")?,
            },
            fit: Fit::of(param("fit"))?,
            control: Control::of(param("control"))?,
            seed: of_user(whole("noise_seed")?, seed),
        })
    }

    /// How many values to ask the picture for. It is resized as if each pixel gave three; most channels give one.
    pub fn picture_samples(&self) -> u64 {
        match self.channels {
            Channels::Interleaved | Channels::Planar => self.samples,
            _ => self.samples.saturating_mul(3),
        }
    }
}
