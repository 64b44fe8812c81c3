//! What holds of every tree, whoever made it.

use super::{Every, Leaf, Length, Link, MOST_DEPTH, MOST_PLUGINS, Node};

impl Node {
    /// The nodes right below this one.
    pub(crate) fn below(&self) -> Vec<&Self> {
        match self {
            Self::Plugin(_) => Vec::new(),
            Self::Chain(links) => links.iter().map(|link| &link.node).collect(),
            Self::Multiply(nodes) => nodes.iter().collect(),
            Self::Repeat { node, .. }
            | Self::Scale { node, .. }
            | Self::Offset { node, .. }
            | Self::Clamp { node, .. }
            | Self::Warmup { node, .. } => vec![node],
        }
    }

    /// The plugins of this tree, from its first to its last.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::Plugin(leaf) => vec![leaf],
            _ => self.below().into_iter().flat_map(Self::leaves).collect(),
        }
    }

    /// The plugins of this tree, from its first to its last, to be changed.
    pub fn leaves_mut(&mut self) -> Vec<&mut Leaf> {
        match self {
            Self::Plugin(leaf) => vec![leaf],
            Self::Chain(links) => links
                .iter_mut()
                .flat_map(|link| link.node.leaves_mut())
                .collect(),
            Self::Multiply(nodes) => nodes.iter_mut().flat_map(Self::leaves_mut).collect(),
            Self::Repeat { node, .. }
            | Self::Scale { node, .. }
            | Self::Offset { node, .. }
            | Self::Clamp { node, .. }
            | Self::Warmup { node, .. } => node.leaves_mut(),
        }
    }

    /// Says what is wrong with the numbers and names of this tree, and with its size.
    ///
    /// # Errors
    /// The first thing that is wrong, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        self.check_below(MOST_DEPTH)?;
        match self.leaves().len() {
            0..=MOST_PLUGINS => Ok(()),
            many => Err(format!(
                "it uses {many} plugins, over the {MOST_PLUGINS} that a composition may have"
            )),
        }
    }

    fn check_below(&self, depth: usize) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("its parts are nested more than {MOST_DEPTH} deep"));
        };
        self.check_alone()?;
        self.below()
            .into_iter()
            .try_for_each(|node| node.check_below(depth))
    }

    fn check_alone(&self) -> Result<(), String> {
        let finite = |what: &str, value: f64| match value.is_finite() {
            true => Ok(()),
            false => Err(format!("`{what}` is {value}: must be a finite number")),
        };
        match self {
            Self::Plugin(leaf) => check_label(&leaf.label),
            Self::Chain(links) => check_chain(links),
            Self::Multiply(nodes) if nodes.is_empty() => {
                Err("`multiply` needs at least one part".to_owned())
            }
            Self::Multiply(_) => Ok(()),
            Self::Repeat { every, .. } => every.check(),
            Self::Scale { factor, .. } if *factor < 0.0 => {
                Err(format!("`scale` is {factor}: must not be negative"))
            }
            Self::Scale { factor, .. } => finite("scale", *factor),
            Self::Offset { by, .. } => finite("offset", *by),
            Self::Clamp { min, max, .. } => {
                for (what, value) in [("min", min), ("max", max)] {
                    value.map_or(Ok(()), |value| finite(what, value))?;
                }
                match (min, max) {
                    (None, None) => Err("`clamp` needs `min` or `max`".to_owned()),
                    (Some(min), Some(max)) if min > max => Err(format!(
                        "`clamp` has a `min` of {min}, which is above its `max` of {max}"
                    )),
                    _ => Ok(()),
                }
            }
            Self::Warmup { over, from, .. } => {
                if !(0.0..=1.0).contains(from) {
                    return Err(format!("`from` is {from}: must be from 0 to 1"));
                }
                over.check()
            }
        }
    }
}

/// Parameters are called `label.name`, and faults tell of a part by its label.
fn check_label(label: &str) -> Result<(), String> {
    let plain = |c: char| !c.is_control() && c != '.' && c != '=';
    if !label.is_empty() && label.len() <= 100 && label.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "the label {label:?} cannot name a part: use up to 100 letters, without `.` or `=`"
    ))
}

fn check_chain(links: &[Link]) -> Result<(), String> {
    let Some((last, others)) = links.split_last() else {
        return Err("`chain` needs at least one part".to_owned());
    };
    for (index, link) in others.iter().enumerate() {
        match link.length {
            Some(length) => length.check()?,
            None => {
                return Err(format!(
                    "part {} of the chain needs a length, `steps`, `epochs` or `fraction`: only the last takes what is left",
                    index + 1
                ));
            }
        }
    }
    match last.length {
        None => Ok(()),
        Some(_) => Err(
            "the last part of a chain takes all remaining steps: remove its `steps`, `epochs` or `fraction`"
                .to_owned(),
        ),
    }
}

impl Length {
    fn check(self) -> Result<(), String> {
        match self {
            Self::Steps(0) => Err("`steps` is 0: must be at least 1".to_owned()),
            Self::Steps(_) => Ok(()),
            Self::Epochs(epochs) if epochs > 0.0 && epochs.is_finite() => Ok(()),
            Self::Epochs(epochs) => Err(format!(
                "`epochs` is {epochs}: must be a finite number above 0"
            )),
            Self::Fraction(fraction) if fraction > 0.0 && fraction <= 1.0 => Ok(()),
            Self::Fraction(fraction) => Err(format!(
                "`fraction` is {fraction}: must be above 0 and at most 1"
            )),
        }
    }
}

impl Every {
    fn check(self) -> Result<(), String> {
        match self {
            Self::Length(length) => length.check(),
            Self::Times(0) => Err("`times` is 0: must be at least 1".to_owned()),
            Self::Times(_) => Ok(()),
        }
    }
}
