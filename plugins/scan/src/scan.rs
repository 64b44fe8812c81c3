//! A picture, scanned: a learning rate for every step.

use crate::chance::Chance;
use crate::channel::Colour;
use crate::control::MOST_STEPS;
use crate::texture::texture;
use crate::{Channels, Control, Order, Settings, places};

/// A picture, already resized.
pub trait Pixels {
    /// Pixels a row.
    fn width(&self) -> u32;
    /// Rows.
    fn height(&self) -> u32;
    /// 1 for a grey picture, 3 (red, green, blue) for any other.
    fn channels(&self) -> u32;
    /// One value in [0, 1]: row by row, pixel by pixel, channel by channel.
    fn value(&self, index: u64) -> f64;
}

/// A picture as a schedule.
///
/// Where nothing but order and channels is asked for, values are read when their step comes; else all are made at once.
#[derive(Debug)]
pub struct Scan<P> {
    settings: Settings,
    picture: P,
    width: u32,
    pixels: u64,
    channels: u32,
    /// Which pixel comes when; `None` for the order in which they lie.
    places: Option<Vec<u32>>,
    /// The picture's values, where a control changed them.
    picture_values: Option<Vec<f64>>,
    /// The scan's values, where a tone changed them.
    values: Option<Vec<f64>>,
    /// The rates of all steps, where a control made them.
    rates: Option<Vec<f64>>,
}

impl<P: Pixels> Scan<P> {
    /// A picture of [`Settings::picture_samples`] values, as `settings` say.
    ///
    /// # Errors
    /// A run of more than [`MOST_STEPS`] steps under a control that is made from all of them.
    pub fn new(settings: Settings, picture: P) -> Result<Self, String> {
        let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
        let pixels = u64::from(width) * u64::from(height);
        let mut scan = Self {
            settings,
            width,
            pixels,
            channels,
            places: visits(&settings, width, height),
            picture_values: None,
            values: None,
            rates: None,
            picture,
        };
        if settings.control == Control::Texture {
            let all = 0..pixels * u64::from(channels);
            let mut values: Vec<f64> = all.map(|index| scan.picture.value(index)).collect();
            let mut chance = Chance::new(settings.seed, settings.control.word());
            texture(&mut values, width as usize, channels as usize, &mut chance);
            scan.picture_values = Some(values);
        }
        if !settings.tone.is_none() {
            let mut values: Vec<f64> = (0..scan.len()).map(|index| scan.read(index)).collect();
            settings.tone.apply(&mut values);
            scan.values = Some(values);
        }
        if settings.control.is_of_steps() {
            if settings.steps > MOST_STEPS {
                return Err(format!(
                    "the control {} holds the rates of all steps in memory, and {} steps are more than {MOST_STEPS}",
                    settings.control.word(),
                    settings.steps
                ));
            }
            let mut rates: Vec<f64> = (0..settings.steps).map(|step| scan.value(step)).collect();
            settings.control.apply(&mut rates, settings.seed);
            let Settings { base, span, .. } = settings;
            rates
                .iter_mut()
                .for_each(|rate| *rate = base + span * *rate);
            settings.control.straighten(&mut rates);
            scan.rates = Some(rates);
        }
        Ok(scan)
    }

    /// The learning rate of `step`; after the last step of the run, its.
    pub fn rate(&self, step: u64) -> f64 {
        match &self.rates {
            Some(rates) => rates[step.min(rates.len() as u64 - 1) as usize],
            None => self.settings.base + self.settings.span * self.value(step),
        }
    }

    /// How many values the scan has.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a picture has at least one pixel"
    )]
    pub fn len(&self) -> u64 {
        self.pixels * u64::from(self.per_pixel())
    }

    /// Numbers that each pixel gives.
    pub fn per_pixel(&self) -> u32 {
        self.settings.channels.per_pixel(self.channels)
    }

    /// Which of the scan's values `step` has, or is nearest to.
    pub fn index(&self, step: u64) -> u64 {
        let Settings { fit, steps, .. } = self.settings;
        fit.at(step, steps, self.len(), |index| index as f64)
            .round() as u64
    }

    /// Where the scan's value number `index` lies: its pixel (`row * width + column`), and which of the pixel's numbers
    /// it is.
    pub fn site(&self, index: u64) -> (u64, u32) {
        let index = if self.settings.reverse {
            self.len() - 1 - index
        } else {
            index
        };
        let (visit, part) = match self.settings.channels {
            Channels::Planar => (index % self.pixels, (index / self.pixels) as u32),
            _ => {
                let parts = u64::from(self.per_pixel());
                (index / parts, (index % parts) as u32)
            }
        };
        let pixel = match &self.places {
            Some(places) => u64::from(places[visit as usize]),
            None => visit,
        };
        (pixel, part)
    }

    /// Pixels a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// How the picture is scanned.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The picture that is scanned.
    pub fn picture(&self) -> &P {
        &self.picture
    }

    /// The value of `step`, before any control of steps.
    fn value(&self, step: u64) -> f64 {
        let Settings { fit, steps, .. } = self.settings;
        fit.at(step, steps, self.len(), |index| match &self.values {
            Some(values) => values[index as usize],
            None => self.read(index),
        })
    }

    /// The scan's value number `index`, as the picture has it.
    fn read(&self, index: u64) -> f64 {
        let (pixel, part) = self.site(index);
        let first = pixel * u64::from(self.channels);
        match self.settings.channels {
            Channels::Interleaved | Channels::Planar => self.picture_value(first + u64::from(part)),
            // A grey picture's luma is its value, to the last bit.
            Channels::Luma if self.channels == 1 => self.picture_value(first),
            channels => {
                let [red, green, blue] = match self.channels {
                    1 => [self.picture_value(first); 3],
                    _ => [0, 1, 2].map(|part| self.picture_value(first + part)),
                };
                Colour { red, green, blue }.read(channels)
            }
        }
    }

    fn picture_value(&self, index: u64) -> f64 {
        match &self.picture_values {
            Some(values) => values[index as usize],
            None => self.picture.value(index),
        }
    }
}

/// The pixels (column and row) of a picture of `width` by `height` in the order in which `settings` visit them, each once.
pub fn path(settings: &Settings, width: u32, height: u32) -> Vec<(u32, u32)> {
    let places = visits(settings, width, height).unwrap_or_else(|| (0..width * height).collect());
    let mut points: Vec<_> = places
        .into_iter()
        .map(|place| (place % width, place / width))
        .collect();
    if settings.reverse {
        points.reverse();
    }
    points
}

/// Which pixel comes when; `None` for the order in which they lie.
fn visits(settings: &Settings, width: u32, height: u32) -> Option<Vec<u32>> {
    let (across, down) = settings.control.flips();
    if settings.order == Order::Raster && !across && !down {
        return None;
    }
    let mut places = places(settings.order, width, height, settings.seed);
    for place in &mut places {
        let (x, y) = (*place % width, *place / width);
        let turned = |at: u32, length: u32, turn| if turn { length - 1 - at } else { at };
        *place = turned(y, height, down) * width + turned(x, width, across);
    }
    Some(places)
}
