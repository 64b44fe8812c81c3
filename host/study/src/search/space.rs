//! What a parameter may be, and how candidates are drawn from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use pixelrate_sandbox::Value;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// Candidates that are drawn of a schedule with ranges, where a search says nothing.
const CANDIDATES: usize = 27;
/// Combinations at most of a schedule's choices, which are all dealt out.
const MOST_COMBINATIONS: usize = 1_000_000;
/// Significant digits of a number that is drawn: what a run is called by is what it ran with.
const DIGITS: usize = 4;
/// How often a candidate is drawn again that is there already.
const ATTEMPTS: usize = 100;

/// What a search may set a parameter to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "a value, a list of choices, or a range { min = …, max = …, scale = \"linear\" or \"log\" }"
)]
pub enum Domain {
    /// This alone. For a picture, `"*"` stands for all that there are.
    Fixed(Value),
    /// Each of these.
    Choices(Vec<Value>),
    /// Anything between two numbers.
    Range(Range),
}

/// Two numbers, and how those between them are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The least.
    pub min: Bound,
    /// The greatest.
    pub max: Bound,
    /// Whether numbers or their logarithms are uniform.
    #[serde(default)]
    pub scale: Scale,
}

/// An end of a range. Where both are written as whole numbers, whole numbers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a number")]
pub enum Bound {
    /// Written without a point.
    Whole(i64),
    /// Any other number.
    Real(f64),
}

/// What is uniform in a range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// The number.
    #[default]
    Linear,
    /// Its logarithm.
    Log,
}

impl Bound {
    fn value(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl Range {
    /// What is wrong with it, as the rest of a sentence.
    fn problem(&self) -> Option<String> {
        let (min, max) = (self.min.value(), self.max.value());
        if !(min.is_finite() && max.is_finite() && min < max) {
            return Some(format!(
                "is from {min} to {max}: the least must be below the greatest"
            ));
        }
        (self.scale == Scale::Log && min <= 0.0)
            .then(|| format!("begins at {min}: a logarithmic range must begin above 0"))
    }

    fn draw(&self, generator: &mut ChaCha8Rng) -> f64 {
        let (min, max) = (self.min.value(), self.max.value());
        let share: f64 = generator.random();
        let whole = matches!((self.min, self.max), (Bound::Whole(_), Bound::Whole(_)));
        let drawn = match (self.scale, whole) {
            (Scale::Linear, false) => min + share * (max - min),
            (Scale::Linear, true) => (min + share * (max - min + 1.0)).floor(),
            (Scale::Log, _) => (min.ln() + share * (max / min).ln()).exp(),
        };
        let rounded = if whole { drawn.round() } else { short(drawn) };
        rounded.clamp(min, max)
    }
}

/// To four significant digits.
fn short(number: f64) -> f64 {
    format!("{number:.*e}", DIGITS - 1)
        .parse()
        .unwrap_or(number)
}

/// Reads what the command line says of a parameter: `0.1`, `raster,hilbert`, `100..2000` or `1e-4..1.0:log`.
impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((min, rest)) = text.split_once("..") else {
            return Ok(match text.split_once(',') {
                None => Self::Fixed(text.parse()?),
                Some(_) => {
                    Self::Choices(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
                }
            });
        };
        let (max, scale) = match rest.split_once(':') {
            None => (rest, Scale::Linear),
            Some((max, "log")) => (max, Scale::Log),
            Some((max, "linear")) => (max, Scale::Linear),
            Some((_, other)) => return Err(format!("\"{other}\" is no scale: use log or linear")),
        };
        let bound = |text: &str| {
            let whole = text.parse().map(Bound::Whole);
            whole
                .or_else(|_| text.parse().map(Bound::Real))
                .map_err(|_| {
                    format!("\"{text}\" is no number: write a range as MIN..MAX or MIN..MAX:log")
                })
        };
        Ok(Self::Range(Range {
            min: bound(min)?,
            max: bound(max)?,
            scale,
        }))
    }
}

/// A value as names and tables show it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            format!("{number}")
        }
        Value::Number(number) => format!("{number:?}"),
    }
}

/// What a schedule's candidates are drawn from: parameters that vary, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Space {
    pub(crate) choices: BTreeMap<String, Vec<Value>>,
    pub(crate) ranges: BTreeMap<String, Range>,
}

/// A parameter that cannot be searched: its name, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit(pub(crate) String, pub(crate) String);

impl Space {
    /// Whether nothing varies: there is one candidate.
    pub(crate) fn is_empty(&self) -> bool {
        self.choices.is_empty() && self.ranges.is_empty()
    }

    pub(crate) fn check(&self) -> Result<(), Unfit> {
        for (name, range) in &self.ranges {
            if let Some(problem) = range.problem() {
                return Err(Unfit(name.clone(), problem));
            }
        }
        for (name, values) in &self.choices {
            let distinct: BTreeSet<_> = values.iter().map(shown).collect();
            if values.is_empty() || distinct.len() != values.len() {
                let problem = "must name at least one choice, and each once".to_owned();
                return Err(Unfit(name.clone(), problem));
            }
        }
        let combinations = self.combinations();
        match self.choices.keys().next_back() {
            Some(name) if combinations > MOST_COMBINATIONS => {
                let problem = format!(
                    "makes more than {MOST_COMBINATIONS} combinations with the other choices: name fewer, or give a range"
                );
                Err(Unfit(name.clone(), problem))
            }
            _ => Ok(()),
        }
    }

    /// Combinations of the choices.
    fn combinations(&self) -> usize {
        let counts = self.choices.values().map(Vec::len);
        counts.fold(1, usize::saturating_mul)
    }

    /// `count` candidates (27 where nothing is said; without ranges there are no more than the combinations of the
    /// choices, and all of them where nothing is said): the values of what varies. Choices are a grid whose combinations
    /// are dealt in a shuffled order, so that all come before any comes again; ranges are drawn. The same seed and `lane`
    /// give the same candidates, and a greater count the same ones and more.
    pub(crate) fn draw(
        &self,
        count: Option<usize>,
        seed: u64,
        lane: u32,
    ) -> Vec<BTreeMap<String, Value>> {
        let combinations = self.combinations();
        let count = match (count, self.ranges.is_empty()) {
            (None, true) => combinations,
            (None, false) => CANDIDATES.max(combinations),
            (Some(count), true) => count.min(combinations),
            (Some(count), false) => count,
        };
        // A stream a candidate: none depends on how many there are.
        let stream = |number: usize| {
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            generator.set_stream((u64::from(lane) << 32) | number as u64);
            generator
        };
        let order = shuffled(combinations, &mut stream(0));
        let (mut seen, mut drawn) = (BTreeSet::new(), Vec::new());
        for number in 0..count {
            let mut generator = stream(number + 1);
            let combination = order[number % combinations];
            let fresh = (0..ATTEMPTS)
                .map(|_| self.one(combination, &mut generator))
                .find(|values| {
                    let name: Vec<_> = values.iter().map(|(k, v)| (k.clone(), shown(v))).collect();
                    seen.insert(name)
                });
            drawn.extend(fresh);
        }
        drawn
    }

    fn one(&self, mut combination: usize, generator: &mut ChaCha8Rng) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        for (name, choices) in &self.choices {
            let chosen = choices[combination % choices.len()].clone();
            combination /= choices.len();
            values.insert(name.clone(), chosen);
        }
        for (name, range) in &self.ranges {
            values.insert(name.clone(), Value::Number(range.draw(generator)));
        }
        values
    }
}

/// The numbers below `count` in an order that the generator decides (Fisher and Yates).
fn shuffled(count: usize, generator: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, generator.random_range(0..=last));
    }
    order
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(params: &[(&str, &str)]) -> Space {
        let mut space = Space::default();
        for (name, text) in params {
            match text.parse().unwrap() {
                Domain::Range(range) => {
                    space.ranges.insert((*name).to_owned(), range);
                }
                Domain::Choices(values) => {
                    space.choices.insert((*name).to_owned(), values);
                }
                Domain::Fixed(_) => {}
            }
        }
        space.check().unwrap();
        space
    }

    fn number(values: &BTreeMap<String, Value>, name: &str) -> f64 {
        match values[name] {
            Value::Number(number) => number,
            Value::Text(_) => f64::NAN,
        }
    }

    #[test]
    fn ranges_are_drawn_evenly_and_as_they_are_written() {
        let space = space(&[("rate", "1e-4..1.0:log"), ("size", "100..2000")]);
        let drawn = space.draw(Some(400), 7, 0);
        assert_eq!(drawn.len(), 400);
        let mut decades = [0; 4];
        for values in &drawn {
            let (rate, size) = (number(values, "rate"), number(values, "size"));
            assert!((1e-4..=1.0).contains(&rate) && (100.0..=2000.0).contains(&size));
            assert_eq!((size.fract(), short(rate)), (0.0, rate));
            decades[((rate.log10() + 4.0) as usize).min(3)] += 1;
        }
        // A hundred each; a fair draw is off by 40 once in ten thousand tries, and this one is always the same.
        assert!(
            decades.iter().all(|count| (60..140).contains(count)),
            "{decades:?}"
        );
    }

    #[test]
    fn the_seed_decides_and_a_greater_count_adds() {
        let space = space(&[("rate", "0.0..1.0"), ("order", "raster,hilbert,spiral")]);
        let few = space.draw(Some(7), 1, 0);
        assert_eq!(few, space.draw(Some(20), 1, 0)[..7]);
        assert_ne!(few, space.draw(Some(7), 2, 0));
        assert_ne!(few, space.draw(Some(7), 1, 1));
        // Choices are dealt: each comes before any comes again.
        let orders: BTreeSet<_> = few[..3]
            .iter()
            .map(|values| shown(&values["order"]))
            .collect();
        assert_eq!(orders.len(), 3);
    }

    #[test]
    fn choices_alone_are_a_grid_without_repetition() {
        let space = space(&[("a", "1,2,3"), ("b", "x,y")]);
        assert_eq!(space.draw(None, 0, 0).len(), 6);
        assert_eq!(space.draw(Some(100), 0, 0).len(), 6);
        assert_eq!(space.draw(Some(4), 0, 0).len(), 4);
        // Five whole numbers are five candidates, however many are asked for.
        let mut five = Space::default();
        let whole = "1..5".parse().unwrap();
        if let Domain::Range(range) = whole {
            five.ranges.insert("n".to_owned(), range);
        }
        assert_eq!(five.draw(Some(50), 0, 0).len(), 5);
    }

    #[test]
    fn what_cannot_be_drawn_is_told() {
        let problem = |text: &str| match text.parse::<Domain>() {
            Err(problem) => problem,
            Ok(Domain::Range(range)) => range.problem().unwrap_or_default(),
            Ok(_) => String::new(),
        };
        assert!(problem("2..1").contains("below the greatest"));
        assert!(problem("0..1:log").contains("above 0"));
        assert!(problem("0..1:cubic").contains("no scale"));
        assert!(problem("a..b").contains("MIN..MAX"));
        assert_eq!("0.1".parse(), Ok(Domain::Fixed(Value::Number(0.1))));
    }

    #[test]
    fn more_combinations_than_memory_holds_are_told() {
        let two = || vec![Value::Number(1.0), Value::Number(2.0)];
        let space = |names: u32| Space {
            choices: (0..names).map(|name| (name.to_string(), two())).collect(),
            ..Space::default()
        };
        assert!(space(10).check().is_ok());
        for names in [20, 64, 70] {
            let Unfit(_, problem) = space(names).check().unwrap_err();
            assert!(
                problem.contains("more than 1000000 combinations"),
                "{problem}"
            );
        }
    }
}
