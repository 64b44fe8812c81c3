//! A schedule that was offered, and everything done to it before it may take over.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrate_sandbox::{Engine, Limits, OnFault, Opened, Plugin, RunFacts, Schedule, conformance};

use crate::{Cause, ScheduleSpec, Takeover, files};

/// A schedule that was admitted, started and waits for its step.
#[derive(Debug)]
pub struct Candidate {
    /// A started instance that has not been asked for a step. It aborts on any fault, since it takes over on probation.
    pub schedule: Schedule,
    /// What it is.
    pub spec: ScheduleSpec,
    /// Why it is to take over.
    pub cause: Cause,
    /// The request that offered it.
    pub request: Option<String>,
    /// Its first step; `None`: the next.
    pub at_step: Option<u64>,
    /// Whether it is given the state of the schedule before it.
    pub carry_state: bool,
    /// The takeover that it repeats, in a run that is resumed or replayed: it is given the very same state.
    pub again: Option<Box<Takeover>>,
    /// How long it took to compile, check, rehearse and start.
    pub prepared_in: Duration,
}

/// Where candidates are prepared: what stays the same for all of a run's.
#[derive(Clone)]
pub struct Stage {
    /// Compiles them.
    pub engine: Engine,
    /// What they may use.
    pub limits: Limits,
    /// What a schedule is told of the run.
    pub facts: Arc<dyn Fn(&ScheduleSpec) -> RunFacts + Send + Sync>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

impl Stage {
    /// [Loads](Self::load) a schedule and [admits](Self::admit_loaded) it.
    ///
    /// # Errors
    /// As those.
    pub fn admit(
        &self,
        run: &Path,
        spec: &ScheduleSpec,
        bytes: Option<&[u8]>,
        step: u64,
    ) -> Result<Schedule, String> {
        let plugin = self.load(spec, bytes)?;
        self.admit_loaded(run, spec, &plugin, step)
    }

    /// Compiles `bytes`, or the schedule that `spec` names as it is now. Takes milliseconds for a small module, and up to a
    /// minute for one that brings an interpreter along.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence for whoever offered it.
    pub fn load(&self, spec: &ScheduleSpec, bytes: Option<&[u8]>) -> Result<Plugin, String> {
        match bytes {
            Some(bytes) => (self.engine.load_bytes(&spec.name(), bytes)).map_err(|e| e.to_string()),
            None => pixelrate_compose::load(&self.engine, &spec.plugin).map_err(|e| e.to_string()),
        }
    }

    /// Holds `plugin` to the conformance suite, runs it over the steps before `step` and those from there on, keeps its file
    /// and its pictures in `run` and starts an instance.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence for whoever offered it.
    pub fn admit_loaded(
        &self,
        run: &Path,
        spec: &ScheduleSpec,
        plugin: &Plugin,
        step: u64,
    ) -> Result<Schedule, String> {
        let (mut facts, opened) = ((self.facts)(spec), Opened::default());
        facts.pictures = facts.pictures.noting(&opened);
        conformance::admit_from(plugin, &facts, &self.limits, &spec.guard(), step)
            .map_err(|e| e.to_string())?;
        files::keep_plugin(run, plugin.sha256(), plugin.bytes()).map_err(|e| e.to_string())?;
        files::keep_pictures(run, opened.take()).map_err(|e| e.to_string())?;
        self.start(plugin, &(self.facts)(spec), spec)
    }

    /// Starts what took over in the run in `run` once before, from the file that was kept.
    ///
    /// # Errors
    /// Its file is gone, or it does not start.
    pub fn again(&self, run: &Path, takeover: &Takeover) -> Result<Candidate, String> {
        let began = Instant::now();
        let schedule = self.kept(run, &takeover.schedule, &takeover.sha256)?;
        Ok(Candidate {
            schedule,
            spec: takeover.schedule.clone(),
            cause: takeover.cause,
            request: takeover.request.clone(),
            at_step: Some(takeover.step),
            carry_state: false,
            again: Some(Box::new(takeover.clone())),
            prepared_in: began.elapsed(),
        })
    }

    /// Starts the plugin of this hash that the run in `run` has kept.
    ///
    /// # Errors
    /// Its file is gone, or it does not start.
    pub fn kept(&self, run: &Path, spec: &ScheduleSpec, sha256: &str) -> Result<Schedule, String> {
        let path = files::plugin_path(run, sha256);
        let bytes =
            std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let plugin = self
            .engine
            .load_bytes(&spec.name(), &bytes)
            .map_err(|e| e.to_string())?;
        if plugin.sha256() != sha256 {
            return Err(format!(
                "{} is damaged: its hash is {}",
                path.display(),
                plugin.sha256()
            ));
        }
        self.start(&plugin, &(self.facts)(spec), spec)
    }

    fn start(
        &self,
        plugin: &Plugin,
        facts: &RunFacts,
        spec: &ScheduleSpec,
    ) -> Result<Schedule, String> {
        let mut schedule = Schedule::start(plugin, facts, &self.limits, &spec.guard())
            .map_err(|e| e.to_string())?;
        schedule.set_on_fault(OnFault::Abort);
        Ok(schedule)
    }
}
