//! What a schedule is told: the run's facts, and what training has just shown.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::pictures::FILTER;
use crate::{DecodedPicture, Filter, Limits, Pictures};

/// What stays the same for a whole run: the contract's interface `run`.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps that begin in an epoch, rounded up.
    pub steps_per_epoch: u64,
    /// Pictures in the training set.
    pub train_examples: u64,
    /// Pictures a step.
    pub batch_size: u32,
    /// The run's seed.
    pub seed: u64,
    /// The study's parameters for the schedule.
    pub params: BTreeMap<String, Value>,
    /// Where pictures come from.
    pub pictures: Pictures,
}

impl RunFacts {
    /// The picture that the parameter `param` names, resized to about `samples` values by the filter that the study asks
    /// for: what a schedule is given that opens it.
    ///
    /// # Errors
    /// What is wrong with the parameter, the filter or the picture, in the user's words.
    pub fn picture(
        &self,
        param: &str,
        samples: u64,
        limits: &Limits,
    ) -> Result<DecodedPicture, String> {
        let wrong = |problem: String| format!("parameter `{param}` {problem}");
        let name = match self.params.get(param) {
            Some(Value::Text(name)) => name,
            Some(Value::Number(number)) => {
                return Err(wrong(format!(
                    "is {number}, and must be the name of a picture: one that is a number is named with its ending, as \
                     {number}.png"
                )));
            }
            None => {
                return Err(wrong(
                    "is missing: it must be the name of a picture".to_owned(),
                ));
            }
        };
        let filter = match self.params.get(FILTER) {
            None => Filter::Nearest,
            Some(Value::Text(word)) => word.parse()?,
            Some(Value::Number(number)) => {
                return Err(format!(
                    "parameter `{FILTER}` is {number}, and must be a word"
                ));
            }
        };
        self.pictures
            .open(name, limits)
            .and_then(|picture| picture.resized(samples, filter, limits))
            .map_err(|e| format!("parameter `{param}`: picture \"{name}\": {}", e.problem))
    }
}

/// A parameter's value in a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Given")]
pub enum Value {
    /// A finite number, which the plugin reads by `param`.
    Number(f64),
    /// A picture's name, which the plugin reads by `image.open`, or one of a parameter's named choices.
    Text(String),
}

/// A value as a file has it, whatever the number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Number(f64),
    Text(String),
}

/// A number must be finite: JSON, in which takeovers are recorded, has no other.
impl TryFrom<Given> for Value {
    type Error = String;

    fn try_from(given: Given) -> Result<Self, String> {
        match given {
            Given::Number(number) if number.is_finite() => Ok(Self::Number(number)),
            Given::Number(number) => Err(format!("{number} is no finite number: use one")),
            Given::Text(text) => Ok(Self::Text(text)),
        }
    }
}

/// A number if the text is one.
impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(match text.parse() {
            Ok(number) => Given::Number(number),
            Err(_) => Given::Text(text.to_owned()),
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What training has just shown: the contract's interfaces `training` and `weights`. NaN where there is nothing yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingValues {
    /// Cross-entropy of the step before.
    pub train_loss: f64,
    /// Euclidean norm of the gradient of the step before.
    pub grad_norm: f64,
    /// Cross-entropy on the pictures that the run is evaluated on.
    pub eval_loss: f64,
    /// Accuracy on them, in [0, 1].
    pub eval_accuracy: f64,
    /// Steps done when the model was tested last; 0 before the first.
    pub eval_step: u64,
    /// Euclidean norm of all trained parameters before the step that is being asked for: the contract's interface
    /// `weights`.
    pub weight_norm: f64,
}

impl TrainingValues {
    /// Before the first step.
    pub const NONE: Self = Self {
        train_loss: f64::NAN,
        grad_norm: f64::NAN,
        eval_loss: f64::NAN,
        eval_accuracy: f64::NAN,
        eval_step: 0,
        weight_norm: f64::NAN,
    };
}
