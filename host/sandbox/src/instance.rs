//! One instance of a schedule: of a plugin alone, or of all plugins of a composition.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::composition::{Cast, Ensemble};
use crate::limits::{Allowance, Budget};
use crate::live::{Live, Raw};
use crate::{Fault, Limits, Plugin, TrainingValues};

/// An instance. After a fault that spoils it, it must not be called again.
pub(crate) enum Instance {
    Alone(Box<Live>),
    Composed(Box<Ensemble>),
}

impl Instance {
    /// Makes an instance, and calls its `init`.
    pub(crate) fn new(plugin: &Plugin, cast: &Arc<Cast>, limits: &Limits) -> Result<Self, Fault> {
        if plugin.composed().is_some() {
            let ensemble = Ensemble::new(plugin, cast, limits)?;
            return Ok(Self::Composed(Box::new(ensemble)));
        }
        let (budget, mut init) = (Budget::new(limits), Allowance::of_init(limits));
        let live = Live::new(plugin, &cast.roles[0].facts, limits, &budget, &mut init)?;
        Ok(Self::Alone(Box::new(live)))
    }

    /// Asks for the values of `step`.
    pub(crate) fn step(&mut self, step: u64, training: TrainingValues) -> Result<Raw, Fault> {
        match self {
            Self::Alone(live) => live.step(step, training),
            Self::Composed(ensemble) => ensemble.step(step, training),
        }
    }

    /// The state to carry over, if the schedule exports `save`.
    pub(crate) fn save(&mut self, step: Option<u64>) -> Result<Option<Vec<u8>>, Fault> {
        match self {
            Self::Alone(live) => live.save(step),
            Self::Composed(ensemble) => ensemble.save(step),
        }
    }

    pub(crate) fn restore(&mut self, state: &[u8], step: Option<u64>) -> Result<(), Fault> {
        match self {
            Self::Alone(live) => live.restore(state, step),
            Self::Composed(ensemble) => ensemble.restore(state, step),
        }
    }

    /// What the plugin of this number in the cast asked for, as it calls it.
    pub(crate) fn asked(&mut self, index: usize) -> &BTreeMap<String, Option<f64>> {
        match self {
            Self::Alone(live) => &live.host().asked,
            Self::Composed(ensemble) => ensemble.asked(index),
        }
    }

    /// What was asked for, as whoever uses the schedule calls it.
    pub(crate) fn all_asked(&mut self) -> BTreeMap<String, Option<f64>> {
        match self {
            Self::Alone(live) => live.host().asked.clone(),
            Self::Composed(ensemble) => ensemble.all_asked(),
        }
    }

    /// What was said since it was asked last. Cheap where that is nothing: called at every step.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        match self {
            Self::Alone(live) => {
                let lines = live.host().lines();
                if lines.is_empty() {
                    Vec::new()
                } else {
                    lines.take()
                }
            }
            Self::Composed(ensemble) => ensemble.take_lines(),
        }
    }

    /// Fuel that the newest step burnt, over all its functions.
    pub(crate) fn fuel_used(&self) -> u64 {
        match self {
            Self::Alone(live) => live.fuel_used(),
            Self::Composed(ensemble) => ensemble.fuel_used(),
        }
    }

    /// Bytes of linear memory that the instance holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Alone(live) => live.memory_bytes(),
            Self::Composed(ensemble) => ensemble.memory_bytes(),
        }
    }
}
