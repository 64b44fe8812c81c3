//! What each control keeps of a picture's schedule, and what it does not, measured.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

use pixelrate_scan::{
    Channels, Control, Fit, Normalise, Order, Pixels, Scan, Settings, Tone, moments, power,
};

const BASE: f64 = 1e-5;
const MAX: f64 = 1e-2;

/// A hill, a stripe and some grain, in colours.
#[derive(Debug)]
struct Hill {
    side: u32,
}

impl Pixels for Hill {
    fn width(&self) -> u32 {
        self.side
    }

    fn height(&self) -> u32 {
        self.side - 7
    }

    fn channels(&self) -> u32 {
        3
    }

    fn value(&self, index: u64) -> f64 {
        let (pixel, channel) = (index / 3, index % 3);
        let (x, y) = (pixel % u64::from(self.side), pixel / u64::from(self.side));
        let at = |v: u64| v as f64 / f64::from(self.side) - 0.4;
        let hill = (-6.0 * (at(x).powi(2) + at(y).powi(2))).exp();
        let grain = (index * 2_654_435_761 % 97) as f64 / 97.0;
        let byte = 255.0 * (0.2 + 0.5 * hill + 0.05 * channel as f64 + 0.1 * grain);
        f64::from(byte.round() as f32 / 255.0)
    }
}

fn settings() -> Settings {
    Settings {
        base: BASE,
        span: MAX - BASE,
        samples: 0,
        steps: 30_000,
        order: Order::Raster,
        channels: Channels::Interleaved,
        reverse: false,
        tone: Tone::NONE,
        fit: Fit::Hold,
        control: Control::None,
        seed: 1,
    }
}

/// The rate of every step.
fn rates(settings: Settings) -> Vec<f64> {
    let scan = Scan::new(settings, Hill { side: 103 }).unwrap();
    (0..settings.steps).map(|step| scan.rate(step)).collect()
}

fn under(control: Control) -> Vec<f64> {
    rates(Settings {
        control,
        ..settings()
    })
}

/// Relative to `b`.
fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The slope of the power against the frequency, both as logarithms: least squares over octaves, the lowest and the
/// highest left out.
fn slope(values: &[f64]) -> f64 {
    let power = power(values);
    let octaves: Vec<(f64, f64)> = (3..)
        .map(|octave| (1_usize << octave, 2_usize << octave))
        .take_while(|(_, to)| *to < power.len() / 2)
        .map(|(from, to)| {
            let mean = power[from..to].iter().sum::<f64>() / (to - from) as f64;
            (((from * to) as f64).sqrt().ln(), mean.ln())
        })
        .collect();
    let count = octaves.len() as f64;
    let (x, y) = octaves
        .iter()
        .fold((0.0, 0.0), |sum, at| (sum.0 + at.0, sum.1 + at.1));
    let (x, y) = (x / count, y / count);
    let product: f64 = octaves.iter().map(|at| (at.0 - x) * (at.1 - y)).sum();
    product / octaves.iter().map(|at| (at.0 - x).powi(2)).sum::<f64>()
}

#[test]
fn every_control_but_the_lines_keeps_the_mean_and_most_the_variance() {
    let (mean, variance) = moments(&under(Control::None));
    for &control in Control::ALL {
        let found = under(control);
        // A line with the same mean begins at twice the mean.
        let most = if control == Control::LinearMean {
            2.0 * mean
        } else {
            MAX
        };
        assert!(
            found.iter().all(|rate| (0.0..=most).contains(rate)),
            "{control:?}"
        );
        let (its_mean, its_variance) = moments(&found);
        let (same_mean, same_variance) = match control {
            Control::Constant => (true, false),
            Control::Linear => (false, false),
            Control::LinearMean => (true, false),
            // The picture's own corner is held, of another picture or another corner.
            Control::UpsideDown | Control::RowsReversed | Control::Rotated | Control::Texture => {
                assert!(close(its_mean, mean, 0.01), "{control:?}");
                assert!(close(its_variance, variance, 0.03), "{control:?}");
                continue;
            }
            _ => (true, true),
        };
        assert!(
            !same_mean || close(its_mean, mean, 1e-12),
            "{control:?}: {its_mean} {mean}"
        );
        assert!(
            !same_variance || close(its_variance, variance, 1e-9),
            "{control:?}: {its_variance} {variance}"
        );
    }
    let (_, flat) = moments(&under(Control::Constant));
    assert!(flat < 1e-30);
}

#[test]
fn shuffled_and_sorted_have_the_same_values() {
    let picture = under(Control::None);
    let (shuffled, falling) = (under(Control::Shuffled), under(Control::Sorted));
    assert_ne!(shuffled, picture);
    assert!(falling.is_sorted_by(|a, b| a >= b));
    assert!(under(Control::SortedRising).is_sorted());
    let values = sorted(picture);
    for control in [Control::Shuffled, Control::Sorted, Control::SortedRising] {
        assert_eq!(sorted(under(control)), values, "{control:?}");
    }
    assert!(slope(&shuffled).abs() < 0.1, "{}", slope(&shuffled));
}

#[test]
fn noise_has_its_slope() {
    for (control, wanted) in [
        (Control::White, 0.0),
        (Control::Pink, -1.0),
        (Control::Brown, -2.0),
    ] {
        for seed in [1, 2, 3] {
            let found = slope(&rates(Settings {
                control,
                seed,
                ..settings()
            }));
            assert!((found - wanted).abs() < 0.12, "{control:?}: {found}");
        }
    }
}

#[test]
fn phases_drawn_by_chance_leave_the_spectrum() {
    // Mid-grey enough that nothing is clipped: then every power is the picture's.
    let tone = Tone {
        normalise: Normalise::Moments,
        deviation: 0.05,
        ..Tone::NONE
    };
    let picture = rates(Settings { tone, ..settings() });
    let other = rates(Settings {
        tone,
        control: Control::PhaseRandomised,
        ..settings()
    });
    let (wanted, found) = (power(&picture), power(&other));
    let typical = wanted[1..].iter().sum::<f64>() / wanted.len() as f64;
    for (place, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!(
            (found - wanted).abs() < 1e-9 * typical.max(*wanted),
            "{place}: {found} {wanted}"
        );
    }
    let together: f64 = {
        let (mean, variance) = moments(&picture);
        let products = picture
            .iter()
            .zip(&other)
            .map(|(a, b)| (a - mean) * (b - mean));
        products.sum::<f64>() / picture.len() as f64 / variance
    };
    assert!(
        together.abs() < 0.5,
        "it still looks like the picture: {together}"
    );
}

#[test]
fn lines_fall_to_zero() {
    let picture = under(Control::None);
    let peak = picture.iter().copied().fold(0.0, f64::max);
    let line = under(Control::Linear);
    assert_eq!(line[0], peak);
    assert!(close(line[15_000], peak / 2.0, 1e-12));
    assert!(close(line[29_999], peak / 30_000.0, 1e-9));
    let line = under(Control::LinearMean);
    assert!(close(line[15_000], line[0] / 2.0, 1e-12));
}

#[test]
fn turned_pictures_are_scans_of_turned_pictures() {
    let order = Order::Hilbert;
    let scan = |control| {
        let settings = Settings {
            control,
            order,
            ..settings()
        };
        Scan::new(settings, Hill { side: 103 }).unwrap()
    };
    let (plain, down, across, both) = (
        scan(Control::None),
        scan(Control::UpsideDown),
        scan(Control::RowsReversed),
        scan(Control::Rotated),
    );
    for index in (0..plain.len()).step_by(101) {
        let ((pixel, part), (width, height)) = (plain.site(index), (103, 96));
        let (x, y) = (pixel % width, pixel / width);
        assert_eq!(down.site(index), ((height - 1 - y) * width + x, part));
        assert_eq!(across.site(index), (y * width + width - 1 - x, part));
        assert_eq!(
            both.site(index),
            ((height - 1 - y) * width + width - 1 - x, part)
        );
    }
}

#[test]
fn seeds_decide_chance_and_nothing_else() {
    for &control in Control::ALL {
        let with = |seed| {
            rates(Settings {
                control,
                seed,
                steps: 5_000,
                ..settings()
            })
        };
        let by_chance = matches!(
            control,
            Control::Shuffled
                | Control::White
                | Control::Pink
                | Control::Brown
                | Control::PhaseRandomised
                | Control::Texture
        );
        assert_eq!(with(1), with(1), "{control:?}");
        assert_eq!(with(1) != with(2), by_chance, "{control:?}");
    }
}

#[test]
fn a_scan_tells_where_each_step_lies() {
    for &channels in Channels::ALL {
        for (reverse, order) in [(false, Order::Raster), (true, Order::Gilbert)] {
            let settings = Settings {
                channels,
                reverse,
                order,
                ..settings()
            };
            let scan = Scan::new(settings, Hill { side: 103 }).unwrap();
            let (pixel, part) = scan.site(scan.index(4_321));
            let rate = match channels {
                Channels::Interleaved | Channels::Planar => {
                    BASE + (MAX - BASE) * scan.picture().value(pixel * 3 + u64::from(part))
                }
                Channels::Red => BASE + (MAX - BASE) * scan.picture().value(pixel * 3),
                Channels::Blue => BASE + (MAX - BASE) * scan.picture().value(pixel * 3 + 2),
                _ => continue,
            };
            assert_eq!(scan.rate(4_321), rate, "{channels:?} {order:?}");
        }
    }
}

#[test]
fn too_long_a_run_for_a_control_is_told() {
    let settings = Settings {
        control: Control::Pink,
        steps: u64::MAX,
        ..settings()
    };
    let problem = Scan::new(settings, Hill { side: 20 }).unwrap_err();
    assert!(
        problem.contains("the control pink") && problem.contains("2097152"),
        "{problem}"
    );
}
