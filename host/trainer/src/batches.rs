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
mod tests;
