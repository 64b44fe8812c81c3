//! The training pictures on the device, and the batch of each step, drawn from a seed.
//!
//! What a step sees depends on the seed and the step alone: two runs of one seed see the same pictures in
//! the same order, cropped and flipped alike, whatever their schedule, and a resumed run needs no generator
//! to be kept. As TensorFlow's `repeat` and `batch` in the post's code, batches run on across the border of
//! two epochs.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, IndexOp, Kind, Tensor};

use crate::data::{Dataset, Split};

/// Pixels of zero around a picture before it is cropped, as the official CIFAR code has it.
const PADDING: i64 = 4;

/// The training set on the device, as bytes, padded where it is augmented.
pub struct TrainSet {
    pixels: Tensor,
    labels: Tensor,
    examples: u64,
    shape: [i64; 3],
    augment: bool,
    seed: u64,
    device: Device,
    /// The epochs that the newest batches came from: at most two are held at a time.
    epochs: Vec<Epoch>,
    rows: Tensor,
    columns: Tensor,
    channels: Tensor,
}

/// One epoch's order and augmentation, on the device.
struct Epoch {
    number: u64,
    /// `[examples]`, which picture comes when.
    order: Tensor,
    /// `[3, examples]`: the crop's top, its left, and 1 where it is mirrored. `None` if nothing is augmented.
    crops: Option<Tensor>,
}

impl TrainSet {
    /// Puts the first `examples` training pictures of `dataset` onto `device`. Of one that was not read none can be drawn.
    pub fn new(dataset: &Dataset, examples: u64, seed: u64, device: Device) -> Self {
        let shape = dataset.shape.map(|side| side as i64);
        let (pixels, labels) = upload(&dataset.train, shape, examples as i64, device);
        let pixels = if dataset.augment {
            pixels.constant_pad_nd([PADDING; 4])
        } else {
            pixels
        };
        let side = |dimension: usize| Tensor::arange(shape[dimension], (Kind::Int64, device));
        Self {
            pixels,
            labels,
            examples,
            shape,
            augment: dataset.augment,
            seed,
            device,
            epochs: Vec::new(),
            rows: side(1).view([1, 1, -1, 1]),
            columns: side(2).view([1, 1, 1, -1]),
            channels: side(0).view([1, -1, 1, 1]),
        }
    }

    /// Pictures in an epoch.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The pictures (`[batch, channels, height, width]`, float) and labels (`[batch]`) of step `step`.
    pub fn batch(&mut self, step: u64, size: u32) -> (Tensor, Tensor) {
        let mut position = step * u64::from(size);
        let end = position + u64::from(size);
        let mut parts = Vec::with_capacity(2);
        while position < end {
            let (number, offset) = (position / self.examples, position % self.examples);
            let count = (self.examples - offset).min(end - position);
            parts.push(self.draw(number, offset as i64, count as i64));
            position += count;
        }
        self.epochs
            .retain(|epoch| epoch.number >= (end - 1) / self.examples);
        let (pixels, labels): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let pixels = if pixels.len() == 1 {
            pixels[0].shallow_clone()
        } else {
            Tensor::cat(&pixels, 0)
        };
        let labels = if labels.len() == 1 {
            labels[0].shallow_clone()
        } else {
            Tensor::cat(&labels, 0)
        };
        (normalise(&pixels, self.augment), labels)
    }

    fn draw(&mut self, number: u64, offset: i64, count: i64) -> (Tensor, Tensor) {
        let at = match self.epochs.iter().position(|epoch| epoch.number == number) {
            Some(at) => at,
            None => {
                let epoch = self.shuffle(number);
                self.epochs.push(epoch);
                self.epochs.len() - 1
            }
        };
        let epoch = &self.epochs[at];
        let chosen = epoch.order.narrow(0, offset, count);
        let labels = self.labels.index_select(0, &chosen);
        let Some(crops) = &epoch.crops else {
            return (self.pixels.index_select(0, &chosen), labels);
        };
        let crops = crops.narrow(1, offset, count).view([3, -1, 1, 1, 1]);
        let (top, left, mirrored) = (crops.i(0), crops.i(1), crops.i(2));
        let rows = &self.rows + top;
        // A mirrored picture reads its columns from the right: left + (width - 1) - column.
        let columns = left + &mirrored * (self.shape[2] - 1) + &self.columns * (1 - 2 * &mirrored);
        let pixels = self.pixels.index(&[
            Some(chosen.view([-1, 1, 1, 1])),
            Some(self.channels.shallow_clone()),
            Some(rows),
            Some(columns),
        ]);
        (pixels, labels)
    }

    /// Draws an epoch on the host, where the generator gives the same numbers on every machine, and sends
    /// it over in one go.
    fn shuffle(&self, number: u64) -> Epoch {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(number);
        let mut order: Vec<i64> = (0..self.examples as i64).collect();
        order.shuffle(&mut generator);
        let crops = self.augment.then(|| {
            let mut values = vec![0_i64; 3 * order.len()];
            let (tops, rest) = values.split_at_mut(order.len());
            let (lefts, mirrored) = rest.split_at_mut(order.len());
            for ((top, left), mirror) in tops.iter_mut().zip(lefts).zip(mirrored) {
                *top = generator.random_range(0..=2 * PADDING);
                *left = generator.random_range(0..=2 * PADDING);
                *mirror = i64::from(generator.random::<bool>());
            }
            Tensor::from_slice(&values)
                .view([3, -1])
                .to_device(self.device)
        });
        Epoch {
            number,
            order: Tensor::from_slice(&order).to_device(self.device),
            crops,
        }
    }
}

/// The test pictures on the device, as bytes.
pub struct TestSet {
    pixels: Tensor,
    labels: Tensor,
    augmented: bool,
}

impl TestSet {
    /// Puts the test pictures of `dataset` onto `device`.
    pub fn new(dataset: &Dataset, device: Device) -> Self {
        let shape = dataset.shape.map(|side| side as i64);
        let examples = dataset.test.labels.len() as i64;
        let (pixels, labels) = upload(&dataset.test, shape, examples, device);
        Self {
            pixels,
            labels,
            augmented: dataset.augment,
        }
    }

    /// How many there are.
    pub fn examples(&self) -> u64 {
        self.labels.size()[0] as u64
    }

    /// All of them in order, `size` at a time: pictures and labels.
    pub fn batches(&self, size: i64) -> impl Iterator<Item = (Tensor, Tensor)> {
        let examples = self.labels.size()[0];
        (0..examples).step_by(size as usize).map(move |start| {
            let count = size.min(examples - start);
            let pixels = self.pixels.narrow(0, start, count);
            (
                normalise(&pixels, self.augmented),
                self.labels.narrow(0, start, count),
            )
        })
    }
}

fn upload(split: &Split, shape: [i64; 3], examples: i64, device: Device) -> (Tensor, Tensor) {
    let size = [split.labels.len() as i64, shape[0], shape[1], shape[2]];
    let examples = examples.min(size[0]);
    let pixels = Tensor::from_data_size(&split.pixels, &size, Kind::Uint8).narrow(0, 0, examples);
    let labels = Tensor::from_slice(&split.labels).narrow(0, 0, examples);
    (
        pixels.to_device(device),
        labels.to_device(device).to_kind(Kind::Int64),
    )
}

/// Bytes to what a model takes: where the set is augmented (colour pictures), as TensorFlow's
/// `per_image_standardization`, (x - mean) / max(deviation, 1 / sqrt(values)) of each picture; else x / 255,
/// as the official MNIST code.
fn normalise(pixels: &Tensor, augmented: bool) -> Tensor {
    let pixels = pixels.to_kind(Kind::Float);
    if !augmented {
        return pixels / 255.0;
    }
    let values = pixels.size()[1..].iter().product::<i64>() as f64;
    let over = [1, 2, 3].as_slice();
    let mean = pixels.mean_dim(over, true, Kind::Float);
    let deviation = pixels
        .std_dim(over, false, true)
        .clamp_min(1.0 / values.sqrt());
    (pixels - mean) / deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(augment: bool) -> Dataset {
        let split = || Split {
            pixels: (0..10 * 3 * 8 * 8).map(|i| (i % 251) as u8).collect(),
            labels: (0..10).collect(),
        };
        Dataset {
            name: "counting".into(),
            classes: 10,
            shape: [3, 8, 8],
            train: split(),
            test: split(),
            sha256: String::new(),
            origin: crate::data::Origin::Drawn,
            augment,
        }
    }

    fn labels(set: &mut TrainSet, step: u64) -> Vec<i64> {
        Vec::try_from(set.batch(step, 4).1).unwrap()
    }

    #[test]
    fn an_epoch_shows_every_picture_once_and_batches_cross_its_border() {
        let mut set = TrainSet::new(&counting(false), 10, 7, Device::Cpu);
        let seen: Vec<i64> = (0..5).flat_map(|step| labels(&mut set, step)).collect();
        let sorted = |part: &[i64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part
        };
        assert_eq!(sorted(&seen[..10]), (0..10).collect::<Vec<_>>());
        assert_eq!(sorted(&seen[10..]), (0..10).collect::<Vec<_>>());
        assert_ne!(seen[..10], seen[10..], "epochs differ in order");
    }

    #[test]
    fn a_step_depends_on_seed_and_step_alone() {
        let mut one = TrainSet::new(&counting(true), 10, 7, Device::Cpu);
        let mut other = TrainSet::new(&counting(true), 10, 7, Device::Cpu);
        let late = other.batch(6, 4);
        for step in 0..6 {
            drop(one.batch(step, 4));
        }
        let again = one.batch(6, 4);
        assert_eq!(late.0, again.0);
        assert_eq!(late.1, again.1);
        let mut seeded = TrainSet::new(&counting(true), 10, 8, Device::Cpu);
        assert_ne!(seeded.batch(6, 4).0, late.0);
    }

    #[test]
    fn a_crop_is_a_window_of_the_padded_picture_or_its_mirror() {
        let dataset = counting(true);
        let mut set = TrainSet::new(&dataset, 10, 3, Device::Cpu);
        let padded = set.pixels.shallow_clone();
        for step in 0..20 {
            drop(set.batch(step, 1));
            let (pixels, label) = set.draw(step / 10, (step % 10) as i64, 1);
            let picture = padded.i(i64::try_from(label).unwrap());
            let windows = (0..=2 * PADDING).flat_map(|y| (0..=2 * PADDING).map(move |x| (y, x)));
            let found = windows.into_iter().any(|(y, x)| {
                let window = picture.narrow(1, y, 8).narrow(2, x, 8);
                window == pixels.i(0) || window.flip([2]) == pixels.i(0)
            });
            assert!(found, "step {step}");
        }
    }

    #[test]
    fn pictures_are_standardised_one_by_one() {
        let test = TestSet::new(&counting(true), Device::Cpu);
        let (pixels, _) = test.batches(10).next().unwrap();
        let mean = f64::try_from(pixels.i(3).mean(Kind::Double)).unwrap();
        let square = f64::try_from(pixels.i(3).square().mean(Kind::Double)).unwrap();
        assert!(
            mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5,
            "{mean} {square}"
        );
    }
}
