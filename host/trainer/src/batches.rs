//! The training pictures on the device, and the batch of each step, drawn from a seed.
//!
//! What a step sees depends on the seed and the step alone: two runs of one seed see the same pictures in
//! the same order, cropped and flipped alike, whatever their schedule, and a resumed run needs no generator
//! to be kept. As TensorFlow's `repeat` and `batch` in the post's code, batches run on across the border of
//! two epochs.

mod device;
mod host;
mod scale;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use crate::data::Dataset;
use crate::device::is_host;
use crate::spec::{Flip, PaddingMode, Training};
use scale::Scale;

/// How training pictures are cropped and mirrored, where those of their data set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    padding: Padding,
    flip: Flip,
}

impl Augmentation {
    /// What `training` says of it.
    pub fn of(training: &Training) -> Self {
        Self {
            padding: Padding {
                pixels: training.crop_padding as usize,
                mode: training.crop_padding_mode,
            },
            flip: training.flip,
        }
    }
}

/// What is around a picture before it is cropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Padding {
    pixels: usize,
    mode: PaddingMode,
}

impl Padding {
    /// Where what is at `place` of a padded side comes from, in the side of `length`; `None` where nothing is.
    fn source(self, place: usize, length: usize) -> Option<usize> {
        let (place, last) = (place as isize - self.pixels as isize, length as isize - 1);
        let source = match self.mode {
            _ if (0..=last).contains(&place) => place,
            PaddingMode::Zeros => return None,
            // At the outermost pixel, which is not doubled.
            PaddingMode::Reflect if place < 0 => -place,
            PaddingMode::Reflect => 2 * last - place,
        };
        Some(source as usize)
    }
}

/// The training set where it is trained, as bytes.
pub struct TrainSet {
    pictures: Pictures,
    examples: u64,
    augmentation: Option<Augmentation>,
    seed: u64,
    /// The epochs that the newest batch came from, by their numbers: at most two.
    epochs: Vec<(u64, Epoch)>,
}

/// Where pictures lie.
enum Pictures {
    Host(host::Pictures),
    Device(device::Pictures),
}

/// What a picture is cropped to: a window of its size in the padded picture, or that window's mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Crop {
    top: usize,
    left: usize,
    mirrored: bool,
}

/// One epoch's order and augmentation.
struct Epoch {
    /// Which picture comes when.
    order: Vec<usize>,
    /// How each is cropped, by its place in the order. `None` if nothing is augmented.
    crops: Option<Vec<Crop>>,
}

impl TrainSet {
    /// Puts the first `examples` training pictures of `dataset` onto `device`. Of one that was not read none can be drawn.
    pub fn new(
        dataset: &Dataset,
        examples: u64,
        seed: u64,
        augmentation: Augmentation,
        device: Device,
    ) -> Self {
        let (split, shape) = (&dataset.train, dataset.shape);
        let count = examples as usize;
        let augmentation = dataset.augment.then_some(augmentation);
        let padding = augmentation.map(|augmentation| augmentation.padding);
        let scale = Scale::of(dataset);
        Self {
            pictures: if is_host(device) {
                let padding = padding.unwrap_or_default();
                Pictures::Host(host::Pictures::new(split, shape, count, scale, padding))
            } else {
                Pictures::Device(device::Pictures::new(
                    split, shape, count, scale, padding, device,
                ))
            },
            examples,
            augmentation,
            seed,
            epochs: Vec::new(),
        }
    }

    /// Pictures in an epoch.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The pictures (`[batch, channels, height, width]`, float) and labels (`[batch]`) of step `step`.
    pub fn batch(&mut self, step: u64, size: u32) -> (Tensor, Tensor) {
        let chosen = self.chosen(step, size as usize);
        match &self.pictures {
            Pictures::Host(pictures) => pictures.batch(&chosen),
            Pictures::Device(pictures) => {
                let mut draws = pictures.draws(chosen.len());
                pictures.write(&chosen, &mut draws);
                pictures.show(&draws)
            }
        }
    }

    /// Room on the device for what a step of `size` pictures draws, which [`draw`](Self::draw) fills and
    /// [`show`](Self::show) reads. `None` where pictures lie on the host.
    pub(crate) fn draws(&self, size: u32) -> Option<Tensor> {
        match &self.pictures {
            Pictures::Host(_) => None,
            Pictures::Device(pictures) => Some(pictures.draws(size as usize)),
        }
    }

    /// Fills `draws` with what step `step` draws. Nothing waits for the device.
    pub(crate) fn draw(&mut self, step: u64, draws: &mut Tensor) {
        let size = draws.size().last().copied().unwrap_or_default();
        let chosen = self.chosen(step, size as usize);
        match &self.pictures {
            Pictures::Host(_) => unreachable!("there are draws of pictures on a device alone"),
            Pictures::Device(pictures) => pictures.write(&chosen, draws),
        }
    }

    /// The pictures and labels of `draws`, as [`batch`](Self::batch) gives them, to the bit, by operations that are the same
    /// in every step.
    pub(crate) fn show(&self, draws: &Tensor) -> (Tensor, Tensor) {
        match &self.pictures {
            Pictures::Host(_) => unreachable!("there are draws of pictures on a device alone"),
            Pictures::Device(pictures) => pictures.show(draws),
        }
    }

    /// Which pictures step `step` shows, and how each is cropped.
    fn chosen(&mut self, step: u64, size: usize) -> Vec<(usize, Option<Crop>)> {
        let begin = step * size as u64;
        let examples = self.examples;
        self.epochs
            .retain(|&(number, _)| number >= begin / examples);
        (begin..begin + size as u64)
            .map(|position| {
                let epoch = self.epoch(position / examples);
                epoch.at((position % examples) as usize)
            })
            .collect()
    }

    /// An epoch, which is drawn if it was not yet.
    fn epoch(&mut self, number: u64) -> &Epoch {
        let found = self.epochs.iter().position(|&(held, _)| held == number);
        let at = found.unwrap_or_else(|| {
            self.epochs.push((number, self.shuffle(number)));
            self.epochs.len() - 1
        });
        &self.epochs[at].1
    }

    /// Draws an epoch on the host, where the generator gives the same numbers on every machine.
    fn shuffle(&self, number: u64) -> Epoch {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(number);
        let mut order: Vec<usize> = (0..self.examples as usize).collect();
        order.shuffle(&mut generator);
        let crops = self.augmentation.map(|Augmentation { padding, flip }| {
            let side = |generator: &mut ChaCha8Rng| {
                generator.random_range(0..=2 * padding.pixels as i64) as usize
            };
            let first = (flip == Flip::Alternate).then(|| self.mirrored_at_first());
            let crop = |&picture: &usize| Crop {
                top: side(&mut generator),
                left: side(&mut generator),
                mirrored: match &first {
                    Some(first) => first[picture] != (number % 2 == 1),
                    None => generator.random::<bool>(),
                },
            };
            order.iter().map(crop).collect()
        });
        Epoch { order, crops }
    }

    /// Which pictures are mirrored in the first epoch, where those of each epoch follow from that.
    fn mirrored_at_first(&self) -> Vec<bool> {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        // Of no epoch.
        generator.set_stream(u64::MAX);
        (0..self.examples).map(|_| generator.random()).collect()
    }
}

impl Epoch {
    /// The picture that comes at `place`, and how it is cropped.
    fn at(&self, place: usize) -> (usize, Option<Crop>) {
        let crop = self.crops.as_ref().map(|crops| crops[place]);
        (self.order[place], crop)
    }
}

/// Training pictures of these numbers as a model is shown them without augmentation, on the CPU: `[count, channels, height,
/// width]`, floats.
pub(crate) fn training_pictures(dataset: &Dataset, numbers: std::ops::Range<usize>) -> Tensor {
    let (split, shape, end) = (&dataset.train, dataset.shape, numbers.end);
    let pictures = host::Pictures::new(split, shape, end, Scale::of(dataset), Padding::default());
    let chosen: Vec<_> = numbers.map(|number| (number, None)).collect();
    pictures.batch(&chosen).0
}

/// The pictures that a run is evaluated on, where its model is, as bytes.
pub struct TestSet {
    pictures: Pictures,
    examples: usize,
}

impl TestSet {
    /// Puts them onto `device`.
    pub fn new(dataset: &Dataset, device: Device) -> Self {
        let (split, shape, scale) = (&dataset.test, dataset.shape, Scale::of(dataset));
        let examples = split.labels.len();
        Self {
            pictures: if is_host(device) {
                let none = Padding::default();
                Pictures::Host(host::Pictures::new(split, shape, examples, scale, none))
            } else {
                Pictures::Device(device::Pictures::new(
                    split, shape, examples, scale, None, device,
                ))
            },
            examples,
        }
    }

    /// How many there are.
    pub fn examples(&self) -> u64 {
        self.examples as u64
    }

    /// All of them in order, `size` at a time: pictures and labels.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = (Tensor, Tensor)> {
        (0..self.examples).step_by(size).map(move |start| {
            let count = size.min(self.examples - start);
            match &self.pictures {
                Pictures::Host(pictures) => {
                    let chosen: Vec<_> =
                        (start..start + count).map(|index| (index, None)).collect();
                    pictures.batch(&chosen)
                }
                Pictures::Device(pictures) => pictures.slice(start, count),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::{IndexOp, Kind};

    use super::*;
    use crate::data::Split;
    use crate::memory::same_layout;

    fn counting(augment: bool) -> Dataset {
        square(8, augment)
    }

    fn square(side: usize, augment: bool) -> Dataset {
        let split = || Split {
            pixels: (0..10 * 3 * side * side).map(|i| (i % 251) as u8).collect(),
            labels: (0..10).collect(),
        };
        Dataset {
            name: "counting".into(),
            classes: 10,
            shape: [3, side, side],
            train: split(),
            test: split(),
            sha256: String::new(),
            origin: crate::data::Origin::Drawn,
            augment,
            channels: None,
        }
    }

    const OFFICIAL: Augmentation = augmentation(4, PaddingMode::Zeros, Flip::Random);

    const fn augmentation(pixels: usize, mode: PaddingMode, flip: Flip) -> Augmentation {
        Augmentation {
            padding: Padding { pixels, mode },
            flip,
        }
    }

    fn on_host(dataset: &Dataset, examples: u64, seed: u64) -> TrainSet {
        TrainSet::new(dataset, examples, seed, OFFICIAL, Device::Cpu)
    }

    fn labels(set: &mut TrainSet, step: u64) -> Vec<i64> {
        Vec::try_from(set.batch(step, 4).1).unwrap()
    }

    #[test]
    fn an_epoch_shows_every_picture_once_and_batches_cross_its_border() {
        let mut set = on_host(&counting(false), 10, 7);
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
        let mut one = on_host(&counting(true), 10, 7);
        let mut other = on_host(&counting(true), 10, 7);
        let late = other.batch(6, 4);
        for step in 0..6 {
            drop(one.batch(step, 4));
        }
        let again = one.batch(6, 4);
        assert_eq!(late.0, again.0);
        assert_eq!(late.1, again.1);
        let mut seeded = on_host(&counting(true), 10, 8);
        assert_ne!(seeded.batch(6, 4).0, late.0);
    }

    #[test]
    fn a_crop_is_a_window_of_the_padded_picture_or_its_mirror() {
        for side in [8, 32] {
            for pixels in [0, 2, 4, 7] {
                for mode in [PaddingMode::Zeros, PaddingMode::Reflect] {
                    crops_are_windows(side, Padding { pixels, mode });
                }
            }
        }
    }

    fn crops_are_windows(side: i64, padding: Padding) {
        let dataset = square(side as usize, true);
        let split = &dataset.train;
        let plain = host::Pictures::new(split, dataset.shape, 10, Scale::White, padding);
        let size = [10, 3, side, side];
        let bytes = Tensor::from_data_size(&split.pixels, &size, Kind::Uint8);
        let sides = [padding.pixels as i64; 4];
        let padded = match padding.mode {
            PaddingMode::Zeros => bytes.constant_pad_nd(sides),
            PaddingMode::Reflect => bytes.to_kind(Kind::Float).reflection_pad2d(sides),
        };
        let places = 0..=2 * padding.pixels;
        for (top, left, mirrored) in (places.clone())
            .flat_map(|top| places.clone().map(move |left| (top, left)))
            .flat_map(|(top, left)| [(top, left, false), (top, left, true)])
        {
            let crop = Crop {
                top,
                left,
                mirrored,
            };
            let (pixels, label) = plain.batch(&[(7, Some(crop))]);
            assert_eq!(Vec::<i64>::try_from(label).unwrap(), [7]);
            let window = padded
                .i(7)
                .narrow(1, top as i64, side)
                .narrow(2, left as i64, side);
            let window = if mirrored { window.flip([2]) } else { window };
            let window = window.to_kind(Kind::Float) / 255.0;
            assert_eq!(pixels.i(0), window, "{padding:?} {crop:?}");
        }
    }

    #[test]
    fn pictures_that_are_flipped_alternately_are_shown_both_ways_in_two_epochs() {
        let alternate = augmentation(2, PaddingMode::Reflect, Flip::Alternate);
        let set = TrainSet::new(&counting(true), 10, 7, alternate, Device::Cpu);
        let mirrored = |epoch| {
            let Epoch { order, crops } = set.shuffle(epoch);
            let mut of_picture = vec![false; 10];
            for (picture, crop) in order.into_iter().zip(crops.unwrap()) {
                assert!(crop.top <= 4 && crop.left <= 4);
                of_picture[picture] = crop.mirrored;
            }
            of_picture
        };
        let (first, second) = (mirrored(0), mirrored(1));
        assert!(first.iter().any(|&it| it) && !first.iter().all(|&it| it));
        assert!(first.iter().zip(&second).all(|(one, other)| one != other));
        assert_eq!((mirrored(2), mirrored(7)), (first, second));
    }

    #[test]
    fn a_device_is_shown_the_same_batches() {
        let mut devices = vec![Device::Cpu];
        if crate::device::open("cuda").is_ok() {
            devices.push(Device::Cuda(0));
        }
        let ways = [
            (Some(OFFICIAL), false),
            (
                Some(augmentation(2, PaddingMode::Reflect, Flip::Alternate)),
                true,
            ),
            (
                Some(augmentation(7, PaddingMode::Reflect, Flip::Random)),
                false,
            ),
            (
                Some(augmentation(0, PaddingMode::Zeros, Flip::Random)),
                true,
            ),
            (None, false),
        ];
        for ((way, by_channel), place) in ways
            .into_iter()
            .flat_map(|way| devices.iter().map(move |&device| (way, device)))
        {
            let mut dataset = counting(way.is_some());
            if by_channel {
                dataset.normalise_by_channel();
            }
            let on_host = || TrainSet::new(&dataset, 9, 3, way.unwrap_or(OFFICIAL), Device::Cpu);
            let mut host = on_host();
            let mut other = TrainSet {
                pictures: Pictures::Device(device::Pictures::new(
                    &dataset.train,
                    dataset.shape,
                    9,
                    Scale::of(&dataset),
                    way.map(|way| way.padding),
                    place,
                )),
                epochs: Vec::new(),
                ..on_host()
            };
            for step in 0..10 {
                let (a, b) = (host.batch(step, 4), other.batch(step, 4));
                let b = (b.0.to_device(Device::Cpu), b.1.to_device(Device::Cpu));
                assert_eq!(a.1, b.1);
                assert_eq!(a.0, b.0, "step {step}");
                assert!(same_layout(&a.0, &b.0), "step {step}");
            }
        }
    }

    #[test]
    fn channels_are_standardised_over_the_training_pictures() {
        let mut dataset = counting(true);
        dataset.normalise_by_channel();
        // Others than those that are trained on.
        dataset.test.pixels.reverse();
        let bytes = |split: &Split| {
            let size = [10, 3, 8, 8];
            Tensor::from_data_size(&split.pixels, &size, Kind::Uint8).to_kind(Kind::Double)
        };
        let over = [0, 2, 3].as_slice();
        let trained = bytes(&dataset.train);
        let expected = (bytes(&dataset.test) - trained.mean_dim(over, true, Kind::Double))
            / trained.std_dim(over, false, true);
        let test = TestSet::new(&dataset, Device::Cpu);
        let (pixels, _) = test.batches(10).next().unwrap();
        let expected = expected.to_kind(Kind::Float);
        assert!(pixels.allclose(&expected, 1e-5, 1e-6, false));
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
