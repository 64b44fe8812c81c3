//! The plugins of one run, and what each of them is told: one for a plugin, many for a composition.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::{Layout, Plan};
use super::names;
use crate::{Error, Fault, FaultKind, Plugin, RunFacts};

/// A plugin in a run.
pub(crate) struct Role {
    /// The plugin, which is no composition.
    pub(crate) plugin: Plugin,
    /// What it is told.
    pub(crate) facts: Arc<RunFacts>,
    /// What it is called in a composition.
    pub(crate) name: Option<String>,
    /// What its parameters' names begin with outside the composition.
    prefix: String,
}

impl Role {
    /// How its parameter `name` is called by whoever uses the schedule.
    pub(crate) fn outer(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// How messages call it.
    pub(crate) fn told(&self, whole: &Plugin) -> String {
        match &self.name {
            None => whole.name().to_owned(),
            Some(part) => format!("{}, part `{part}`,", whole.name()),
        }
    }
}

/// The plugins of a schedule in one run.
pub(crate) struct Cast {
    pub(crate) roles: Vec<Role>,
    /// When each is in force; `None` for a plugin alone.
    pub(super) plan: Option<Plan>,
    /// Warm-ups that the plan has.
    pub(super) warmups: usize,
}

impl Cast {
    /// Tells the plugins of `whole` what `facts` are to them.
    ///
    /// # Errors
    /// [`Error::Parameter`], if a parameter belongs to no part; [`Error::Start`], if the parts do not fit into the run.
    pub(crate) fn new(whole: &Plugin, facts: &RunFacts) -> Result<Self, Error> {
        let Some((node, plugins)) = whole.composed() else {
            let role = Role {
                plugin: whole.clone(),
                facts: Arc::new(facts.clone()),
                name: None,
                prefix: String::new(),
            };
            return Ok(Self {
                roles: vec![role],
                plan: None,
                warmups: 0,
            });
        };
        let (leaves, names) = (node.leaves(), names::leaf_names(node));
        let given = names::given(whole, &names, &leaves, &facts.params)?;
        let mut layout = Layout {
            facts,
            names: &names,
            totals: Vec::new(),
            warmups: 0,
        };
        let plan = layout.plan(node, facts.total_steps).map_err(|problem| {
            Error::Start(Fault {
                plugin: whole.name().to_owned(),
                sha256: whole.sha256().to_owned(),
                step: None,
                kind: FaultKind::Refused,
                message: problem,
            })
        })?;
        let (totals, warmups) = (layout.totals, layout.warmups);
        // Kept apart from the parameters, which each part has of its own.
        let run = RunFacts {
            params: BTreeMap::new(),
            ..facts.clone()
        };
        let roles = leaves.iter().zip(given).zip(totals).enumerate();
        let roles = roles.map(|(index, ((leaf, params), total_steps))| Role {
            plugin: plugins[leaf.plugin].clone(),
            facts: Arc::new(RunFacts {
                total_steps,
                params,
                ..run.clone()
            }),
            name: Some(names[index].clone()),
            prefix: names::outer(&names, index, ""),
        });
        Ok(Self {
            roles: roles.collect(),
            plan: Some(plan),
            warmups,
        })
    }
}
