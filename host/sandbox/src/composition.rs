//! Schedules that are made of schedules: what they are, and the one file that each of them is.
//!
//! A [`Composition`] is a tree of [`Node`]s whose leaves are plugins. Its bytes ([`Composition::to_bytes`]) hold the tree
//! and every plugin in it, so that they are loaded, hashed, kept, swapped and replayed like any other plugin's; what they
//! name is nowhere else. The same tree and plugins give the same bytes.
//!
//! # Clocks
//!
//! A node has a clock: steps from 0 up to its own length. The whole has the run's. A part of a chain, what is repeated and
//! what comes after a warm-up count from 0 where they begin, and their length is what `total-steps` tells them; with
//! [`Clock::Run`] they keep the clock of what is around them. Lengths are real numbers of steps, added up and rounded up
//! where one ends: a chain of five epochs of 390.625 steps has its second part begin at step 1,954. What training shows is
//! told on the same clock: `eval-step` counts from where the part begins, and an evaluation from before that is not shown.
//! Seed, batch size, epochs and pictures are the run's.
//!
//! # Limits
//!
//! They hold for the whole: file size, time to compile, memory, tables, open pictures, the fuel and time of all `init`s
//! together and of all calls of one step together. A plugin that is in it twice is compiled once, and lives twice.

mod bundle;
mod cast;
mod clock;
mod ensemble;
mod names;
mod state;
mod tree;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Value;
pub(crate) use cast::{Cast, Role};
pub(crate) use ensemble::Ensemble;
pub use names::leaf_names;
pub(crate) use names::parameters;

/// Plugins that a composition may be made of, counted each time that they are used.
pub const MOST_PLUGINS: usize = 64;
/// Nodes that may lie in one another.
pub const MOST_DEPTH: usize = 32;

/// A schedule made of schedules.
#[derive(Debug, Clone, PartialEq)]
pub struct Composition {
    /// How its parts are put together.
    pub node: Node,
    /// The files of the plugins, each once, in the order in which the tree names them first.
    pub plugins: Vec<Vec<u8>>,
}

/// A schedule in a composition: a plugin, or what is made of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Node {
    /// A plugin.
    Plugin(Leaf),
    /// One after another: PyTorch's `SequentialLR`, optax's `join_schedules`.
    Chain(Vec<Link>),
    /// All at once, the rate the product of theirs: PyTorch's `ChainedScheduler` of factors. Momentum and weight decay are
    /// those of the first that exports them.
    Multiply(Vec<Node>),
    /// Again and again from its first step: warm restarts. A plugin with state begins each time as it did the first time.
    Repeat {
        /// From one beginning to the next.
        every: Every,
        /// What is repeated.
        node: Box<Node>,
    },
    /// The rate times a factor.
    Scale {
        /// Finite, 0 or more.
        factor: f64,
        /// Whose rate.
        node: Box<Node>,
    },
    /// The rate and a number.
    Offset {
        /// What is added; finite.
        by: f64,
        /// To whose rate.
        node: Box<Node>,
    },
    /// The rate, and no less or more than the bounds.
    Clamp {
        /// The least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        /// Whose rate.
        node: Box<Node>,
    },
    /// A linear warm-up: step k of its n has the factor `from + (1 - from) k / n`, as PyTorch's `LinearLR` and
    /// Transformers' warm-ups (whose `from` is 0).
    ///
    /// With [`Clock::Own`] the rate rises to the first rate of `node`, which begins after it: what a fresh instance
    /// answers to step 0 before training has shown anything. Momentum and weight decay are that answer's. With
    /// [`Clock::Run`], `node` runs from the start, and the factor multiplies its rates.
    Warmup {
        /// How long.
        over: Length,
        /// The factor of the first step, from 0 to 1.
        from: f64,
        /// Where the clock of `node` begins.
        clock: Clock,
        /// What is warmed up to.
        node: Box<Node>,
    },
}

/// A plugin in a composition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// Its place in [`Composition::plugins`].
    pub plugin: usize,
    /// What it is called, without a dot: its label, or its file's name. The second leaf of a name is called `name-2`.
    pub label: String,
    /// Its parameters, where whoever uses the composition gives no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
}

/// A part of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// How long it is in force; the last takes what is left, and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// Where its clock begins.
    pub clock: Clock,
    /// What is in force.
    pub node: Node,
}

/// How long something is in force.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Steps, at least one.
    Steps(u64),
    /// Passes over the training set, above 0.
    Epochs(f64),
    /// Of the length of what is around it, above 0 and at most 1.
    Fraction(f64),
}

/// From one beginning of what is repeated to the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// So long.
    Length(Length),
    /// So often, at least once, in the length of what is around it.
    Times(u64),
}

/// Where a part's clock begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Where the part does; its `total-steps` is its own length.
    #[default]
    Own,
    /// Where that of what is around it does; its `total-steps` is that one's too.
    Run,
}
