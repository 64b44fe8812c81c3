//! Runs that were forked, with what they came from: families of one trunk and many branches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use pixelrate_runlog::{read_evals, steps};
use serde::Serialize;

use crate::Error;
use crate::figure::{Family, Legend, Series};
use crate::report::Run;

/// Families at most that the picture shows, the first by their trunks' names: a panel each, and a reading of their logs.
const DRAWN: usize = 12;
/// Tests that a run must have for a curve of them; with fewer the training loss is drawn.
const TESTS: usize = 4;
/// Tests that a branch must have after its fork.
const BRANCH_TESTS: usize = 2;
/// Stretches of which a run's lowest and highest rate are kept for the picture.
const RATE_STRETCHES: u64 = 2_000;
/// Stretches into which a run's losses are averaged for the picture.
const STRETCHES: u64 = 120;

/// A run that was forked from another, and what became of it beside its trunk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Branch {
    /// The run.
    pub run: String,
    /// Its label.
    pub schedule: String,
    /// The run that it was forked from.
    pub parent: String,
    /// The first step at which the two may differ.
    pub step: u64,
    /// The run that all of its family come from.
    pub trunk: String,
    /// Accuracy on the test set after the last step.
    pub accuracy: Option<f64>,
    /// That, less the trunk's.
    pub difference: Option<f64>,
}

/// What the picture of the families shows.
pub(crate) struct Picture {
    /// What its upper panels measure.
    pub(crate) value: &'static str,
    pub(crate) families: Vec<Family>,
    pub(crate) legend: Vec<Legend>,
}

/// The families among a study's runs.
pub(crate) struct Families {
    /// The runs by name, with those of other studies that the study's were forked from.
    runs: BTreeMap<(String, String), Run>,
    /// Each trunk, and its branches in the order of their forks.
    families: BTreeMap<(String, String), Vec<(String, String)>>,
}

impl Families {
    /// Looks for forks among the runs of `study`. What they came from may be in another study beside it, or gone.
    pub(crate) fn of(study: &Path, runs: &[Run]) -> Result<Self, Error> {
        let mut all = Self {
            runs: BTreeMap::new(),
            families: BTreeMap::new(),
        };
        if runs.iter().all(|run| run.file.spec.parent.is_none()) {
            return Ok(all);
        }
        all.runs = runs.iter().map(|run| (key(run), run.clone())).collect();
        for run in runs.iter().filter(|run| run.file.spec.parent.is_some()) {
            let trunk = all.trunk_of(study, run)?;
            all.families.entry(trunk).or_default().push(key(run));
        }
        for branches in all.families.values_mut() {
            branches.sort_by_key(|branch| {
                let spec = &all.runs[branch].file.spec;
                (
                    spec.parent.as_ref().map(|parent| parent.step),
                    spec.run.clone(),
                )
            });
        }
        Ok(all)
    }

    /// Follows the parents of `run` up to a run that has none, or whose parent is gone.
    fn trunk_of(&mut self, study: &Path, run: &Run) -> Result<(String, String), Error> {
        let mut at = run.clone();
        // Whoever edited a `run.toml` may have made a circle.
        let mut seen = BTreeSet::from([key(&at)]);
        while let Some(parent) = at.file.spec.parent.clone() {
            let name = (parent.study, parent.run);
            if !seen.insert(name.clone()) {
                break;
            }
            if !self.runs.contains_key(&name) {
                let beside = study.join("..").join(&name.0).join(&name.1);
                let Some(found) = Run::read(&beside)? else {
                    return Ok(name);
                };
                self.runs.insert(name.clone(), found);
            }
            at = self.runs[&name].clone();
        }
        Ok(key(&at))
    }

    /// A row for each branch.
    pub(crate) fn branches(&self) -> Vec<Branch> {
        let accuracy = |name: &(String, String)| self.runs.get(name)?.result()?.final_eval_accuracy;
        let mut rows = Vec::new();
        for (trunk, branches) in &self.families {
            for branch in branches {
                let spec = &self.runs[branch].file.spec;
                let Some(parent) = &spec.parent else { continue };
                let own = accuracy(branch);
                rows.push(Branch {
                    run: spec.run.clone(),
                    schedule: spec.label.clone(),
                    parent: parent.run.clone(),
                    step: parent.step,
                    trunk: trunk.1.clone(),
                    accuracy: own,
                    difference: own.zip(accuracy(trunk)).map(|(own, trunk)| own - trunk),
                });
            }
        }
        rows
    }

    /// What the picture shows; `None` without forks.
    pub(crate) fn picture(&self) -> Result<Option<Picture>, Error> {
        if self.families.is_empty() {
            return Ok(None);
        }
        let tested = self.tested()?;
        let trunks: BTreeSet<&str> = (self.families.keys().take(DRAWN))
            .filter_map(|trunk| Some(self.runs.get(trunk)?.file.spec.label.as_str()))
            .collect();
        // One colour for all trunks: where they are of several labels, each panel's title names its own.
        let trunk_name = match trunks.iter().next() {
            Some(only) if trunks.len() == 1 => (*only).to_owned(),
            _ => "trunk".to_owned(),
        };
        let mut legend = vec![Legend {
            name: trunk_name.clone(),
            note: "trunk".to_owned(),
        }];
        let mut families = Vec::new();
        for (trunk, branches) in self.families.iter().take(DRAWN) {
            let mut family = Family {
                title: trunk.1.clone(),
                ..Family::default()
            };
            let mut curves = BTreeMap::new();
            if let Some(run) = self.runs.get(trunk) {
                let values = curve(run, tested, 0)?;
                family.upper.push(series(&trunk_name, values.clone()));
                family.lower.push(series(&trunk_name, rates(run, 0)?));
                curves.insert(trunk.clone(), values);
            }
            for branch in branches {
                let run = &self.runs[branch];
                let spec = &run.file.spec;
                let Some(parent) = &spec.parent else { continue };
                let mut values = curve(run, tested, parent.step)?;
                let from = curves
                    .get(&(parent.study.clone(), parent.run.clone()))
                    .and_then(|values| between(values, parent.step as f64));
                if let Some(from) = from {
                    values.insert(0, (parent.step as f64, from));
                }
                if !family.forks.iter().any(|fork| fork.0 == parent.step as f64) {
                    family.forks.push((parent.step as f64, from));
                }
                family.upper.push(series(&spec.label, values.clone()));
                family
                    .lower
                    .push(series(&spec.label, rates(run, parent.step)?));
                curves.insert(branch.clone(), values);
                if !legend.iter().any(|entry| entry.name == spec.label) {
                    legend.push(Legend {
                        name: spec.label.clone(),
                        note: format!("from step {}", parent.step),
                    });
                }
            }
            families.push(family);
        }
        if let [_] = families.as_slice() {
            self.add_ends(&mut legend);
        }
        let value = if tested {
            "test accuracy, %"
        } else {
            "training loss, nats"
        };
        Ok(Some(Picture {
            value,
            families,
            legend,
        }))
    }

    /// Where there is one family, a line's end may stand beside its name.
    fn add_ends(&self, legend: &mut [Legend]) {
        for (trunk, branches) in &self.families {
            for (place, name) in std::iter::once(trunk).chain(branches).enumerate() {
                let Some(run) = self.runs.get(name) else {
                    continue;
                };
                let label = &run.file.spec.label;
                let entry = match place {
                    0 => legend.first_mut(),
                    _ => legend.iter_mut().skip(1).find(|entry| entry.name == *label),
                };
                if let (Some(entry), Some(row)) = (entry, run.result())
                    && let Some(accuracy) = row.final_eval_accuracy
                {
                    let _ = write!(entry.note, ": accuracy {:.2} %", 100.0 * accuracy);
                }
            }
        }
    }

    /// Whether all runs were tested often enough for curves of their accuracy.
    fn tested(&self) -> Result<bool, Error> {
        for (trunk, branches) in self.families.iter().take(DRAWN) {
            for name in std::iter::once(trunk).chain(branches) {
                let Some(run) = self.runs.get(name) else {
                    continue;
                };
                let (least, from) = match &run.file.spec.parent {
                    None => (TESTS, 0),
                    Some(parent) => (BRANCH_TESTS, parent.step),
                };
                if curve(run, true, from)?.len() < least {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The section of a report that tells of the branches; empty without any.
pub(crate) fn markdown(branches: &[Branch]) -> String {
    if branches.is_empty() {
        return String::new();
    }
    let mut text =
        "\n## Forks\n\n| branch | forked from | at step | test accuracy, % | beside the trunk |\n\
                    | --- | --- | ---: | ---: | ---: |\n"
            .to_owned();
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    for branch in branches {
        let accuracy = or_dash(branch.accuracy.map(|value| format!("{:.2}", 100.0 * value)));
        let difference = or_dash(branch.difference.map(|value| {
            // A difference that rounds to nothing has no sign.
            let points = (1e4 * value).round() / 1e2;
            if points == 0.0 {
                "0.00".to_owned()
            } else {
                format!("{points:+.2}")
            }
        }));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {accuracy} | {difference} |",
            branch.run, branch.parent, branch.step
        );
    }
    text.push_str(
        "\nUp to its step a branch is the run that it was forked from. The last column is its accuracy less that of its \
         trunk, in percentage points, both after the last step.\n\n![Branches beside their trunks](lineage.svg)\n",
    );
    if let Some(told) = left_out(branches) {
        let _ = writeln!(text, "\n{told}");
    }
    text
}

/// What the picture leaves out, in a sentence.
pub(crate) fn left_out(branches: &[Branch]) -> Option<String> {
    let trunks: BTreeSet<&str> = branches.iter().map(|branch| &*branch.trunk).collect();
    let all = trunks.len();
    (all > DRAWN).then(|| {
        format!("The picture has {DRAWN} of {all} families, the first by their trunks' names.")
    })
}

fn key(run: &Run) -> (String, String) {
    let spec = &run.file.spec;
    (spec.study.clone(), spec.run.clone())
}

fn series(name: &str, points: Vec<(f64, f64)>) -> Series {
    Series {
        name: name.to_owned(),
        points,
        ..Series::default()
    }
}

/// The run's test accuracy in percent, or its training loss averaged over stretches, after `from` steps.
fn curve(run: &Run, tested: bool, from: u64) -> Result<Vec<(f64, f64)>, Error> {
    if tested {
        let rows = read_evals(&run.folder)?;
        return Ok(rows
            .iter()
            .filter(|row| row.split == "test" && (row.step > from || from == 0))
            .map(|row| (row.step as f64, 100.0 * row.accuracy))
            .collect());
    }
    let total = run.total_steps();
    // Of each stretch: its losses' sum and number, and its last step.
    let mut stretches: BTreeMap<u64, (f64, u64, u64)> = BTreeMap::new();
    for row in steps(&run.folder)? {
        let row = row?;
        if let Some(loss) = row.train_loss.filter(|loss| loss.is_finite())
            && row.step >= from
        {
            let place = (row.step * STRETCHES / total).min(STRETCHES);
            let (sum, count, last) = stretches.entry(place).or_default();
            *sum += loss;
            *count += 1;
            *last = row.step;
        }
    }
    Ok(stretches
        .values()
        .map(|(sum, count, last)| (*last as f64, sum / *count as f64))
        .filter(|point| from == 0 || point.0 > from as f64)
        .collect())
}

/// The run's learning rates from a step on: of each stretch the lowest and the highest, in their order.
fn rates(run: &Run, from: u64) -> Result<Vec<(f64, f64)>, Error> {
    let total = run.total_steps();
    let mut stretches: Vec<(u64, [(f64, f64); 2])> = Vec::new();
    for row in steps(&run.folder)? {
        let row = row?;
        if row.step < from {
            continue;
        }
        let (place, point) = (
            row.step * RATE_STRETCHES / total,
            (row.step as f64, row.learning_rate),
        );
        match stretches.last_mut() {
            Some((last, [low, high])) if *last == place => {
                if point.1 < low.1 {
                    *low = point;
                }
                if point.1 > high.1 {
                    *high = point;
                }
            }
            _ => stretches.push((place, [point, point])),
        }
    }
    let ends = stretches.into_iter().flat_map(|(_, mut ends)| {
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        ends
    });
    let mut points: Vec<_> = ends.collect();
    points.dedup();
    Ok(points)
}

/// The value of a curve at a place between two of its points.
fn between(points: &[(f64, f64)], place: f64) -> Option<f64> {
    let after = points.iter().position(|point| point.0 >= place)?;
    let end = points[after];
    let Some(start) = after.checked_sub(1).map(|before| points[before]) else {
        return (end.0 == place).then_some(end.1);
    };
    Some(start.1 + (end.1 - start.1) * (place - start.0) / (end.0 - start.0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use pixelrate_control::{Cause, Takeover, Takeovers};
    use pixelrate_runlog::{EvalRow, RunStatus, StepRow};
    use pixelrate_trainer::spec::RunSpec;

    use super::{between, markdown};
    use crate::report::{Options, report};
    use crate::runs::tests::{begin, spec, summary};

    /// Steps of a run in these tests, tested every 50.
    const STEPS: u64 = 1_000;

    /// A run from step `from` on whose accuracy heads for `goal`, the faster the closer it is to its end.
    fn trained(
        study: &Path,
        spec: &RunSpec,
        from: u64,
        rate: impl Fn(f64) -> f64,
        accuracy: impl Fn(f64) -> f64,
    ) -> std::path::PathBuf {
        let (folder, mut log) = begin(study, spec);
        let wobble = |step: u64| ((step * 7_919 + spec.seed * 31) % 100) as f64 / 100.0 - 0.5;
        for step in from..STEPS {
            let share = step as f64 / STEPS as f64;
            log.step(StepRow {
                step,
                epoch: share * 4.0,
                learning_rate: rate(share),
                momentum: None,
                weight_decay: None,
                train_loss: Some(2.3 * (1.0 - accuracy(share)) + 0.3 * wobble(step)),
                grad_norm: None,
                step_ns: 5_000_000,
                schedule_ns: 200,
                schedule: Arc::from("ab".repeat(32)),
                swaps: 0,
            })
            .unwrap();
            if (step + 1).is_multiple_of(50) {
                let share = (step + 1) as f64 / STEPS as f64;
                log.eval(EvalRow {
                    step: step + 1,
                    epoch: share * 4.0,
                    split: "test".to_owned(),
                    loss: 1.0 - accuracy(share),
                    accuracy: accuracy(share) + 0.012 * wobble(step),
                    examples: 1_000,
                })
                .unwrap();
            }
        }
        log.sync().unwrap();
        drop(log);
        let row = summary(spec, RunStatus::Finished, accuracy(1.0));
        pixelrate_runlog::write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
        folder
    }

    /// One trunk with a step down at 0.8, and two branches at 0.5 and one at 0.25 of it.
    fn family(study: &Path, seed: u64) {
        let trunk = |share: f64| 0.1 + 0.72 * (1.0 - (-3.5 * share).exp());
        let run = format!("cyclic-seed{seed}");
        let stairs = |share: f64| if share < 0.8 { 0.1 } else { 0.01 };
        let stepped = move |share: f64| trunk(share) + if share < 0.8 { 0.0 } else { 0.03 };
        trained(study, &spec("cyclic", seed, None), 0, stairs, stepped);
        let branches = [
            ("cyclic-cosine-at500", 500, 0.09),
            ("cyclic-fixed-learning_rate=0.5-at500", 500, -0.06),
            ("cyclic-piecewise-at250", 250, 0.04),
        ];
        for (label, step, gain) in branches {
            let spec = spec(label, seed, Some((&run, step)));
            let from = step as f64 / STEPS as f64;
            let since = move |share: f64| ((share - from) / (1.0 - from)).max(0.0);
            let rate = move |share: f64| match label {
                "cyclic-cosine-at500" => 0.05 + 0.05 * (std::f64::consts::PI * since(share)).cos(),
                "cyclic-piecewise-at250" if since(share) > 0.5 => 0.003,
                "cyclic-piecewise-at250" => 0.03,
                _ => 0.5,
            };
            let accuracy = move |share: f64| trunk(share) + gain * since(share).sqrt();
            // The log begins with the steps from the checkpoint on, which are the trunk's.
            let folder = trained(study, &spec, step - 40, rate, accuracy);
            let mut takeovers = Takeovers::open(&folder).unwrap();
            for (cause, step) in [(Cause::Swap, step - 60), (Cause::Fork, step)] {
                takeovers.add(&takeover(&spec, cause, step)).unwrap();
            }
        }
    }

    fn takeover(spec: &RunSpec, cause: Cause, step: u64) -> Takeover {
        Takeover {
            step,
            cause,
            schedule: spec.schedule.clone(),
            sha256: "ab".repeat(32),
            state: None,
            left: None,
            request: None,
            time_unix_ms: 0,
        }
    }

    #[test]
    fn of_many_families_all_are_told_and_the_first_are_drawn() {
        let place = tempfile::tempdir().unwrap();
        let (study, out) = (place.path().join("demo"), place.path().join("report"));
        (10..23).for_each(|seed| family(&study, seed));
        let found = report(&study, &out, &Options::default()).unwrap();
        assert_eq!(found.branches.len(), 39);
        let told = "The picture has 12 of 13 families";
        let page = std::fs::read_to_string(out.join("report.html")).unwrap();
        assert!(found.markdown.contains(told) && page.contains(told));
        let picture = std::fs::read_to_string(out.join("lineage.svg")).unwrap();
        assert!(picture.contains("cyclic-seed21") && !picture.contains("cyclic-seed22"));
    }

    #[test]
    fn a_report_tells_of_branches_and_draws_them_beside_their_trunk() {
        let place = tempfile::tempdir().unwrap();
        let study = place.path().join("demo");
        family(&study, 0);
        let out = place.path().join("report");
        let found = report(&study, &out, &Options::default()).unwrap();
        // A branch is a row of its own.
        assert_eq!(found.rows.len(), 4);
        assert!(
            found
                .rows
                .iter()
                .all(|row| row.runs == 1 && row.changed == 0)
        );
        let steps: Vec<u64> = found.branches.iter().map(|branch| branch.step).collect();
        assert_eq!(steps, [250, 500, 500]);
        let text = &found.markdown;
        assert!(text.contains("## Forks"), "{text}");
        let row = "| cyclic-cosine-at500-seed0 | cyclic-seed0 | 500 | 88.83 | +6.00 |";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("| -9.00 |") && text.contains("(lineage.svg)"),
            "{text}"
        );
        assert!(!text.contains("changed schedule"), "{text}");
        let picture = std::fs::read_to_string(out.join("lineage.svg")).unwrap();
        for words in [
            "step 250",
            "from step 500: accuracy 88.83 %",
            "test accuracy, %",
            "learning rate",
        ] {
            assert!(picture.contains(words), "{words}");
        }
    }

    #[test]
    fn a_branch_is_not_averaged_with_the_label_of_its_trunk() {
        let place = tempfile::tempdir().unwrap();
        let study = place.path().join("demo");
        for seed in [0, 1] {
            trained(
                &study,
                &spec("fixed", seed, None),
                0,
                |_| 0.1,
                |share| 0.5 + 0.4 * share,
            );
        }
        let branch = RunSpec {
            run: "other".to_owned(),
            ..spec("fixed", 0, Some(("fixed-seed0", 300)))
        };
        trained(&study, &branch, 300, |_| 0.2, |share| 0.4 + 0.4 * share);
        // A branch of the branch: it is held against the trunk of both.
        let twig = spec("twig", 0, Some(("other", 600)));
        trained(&study, &twig, 600, |_| 0.1, |share| 0.5 + 0.35 * share);
        // Its trunk is gone: it is told of all the same.
        let orphan = spec("orphan", 0, Some(("gone-seed0", 100)));
        trained(&study, &orphan, 100, |_| 0.2, |share| 0.4 + 0.4 * share);
        let mut takeovers = Takeovers::open(&study.join("fixed-seed1")).unwrap();
        let changed = takeover(&branch, Cause::Reload, 700);
        takeovers.add(&changed).unwrap();

        let found = report(&study, &place.path().join("report"), &Options::default()).unwrap();
        let rows: Vec<(&str, usize)> = (found.rows.iter())
            .map(|row| (row.schedule.as_str(), row.runs))
            .collect();
        assert_eq!(
            rows,
            [
                ("fixed", 2),
                ("fixed, from step 300", 1),
                ("orphan", 1),
                ("twig", 1)
            ]
        );
        let text = &found.markdown;
        assert!(
            text.contains("**fixed**: 1 of 2 runs changed schedule while they trained"),
            "{text}"
        );
        assert!(
            text.contains("| other | fixed-seed0 | 300 | 80.00 | -10.00 |"),
            "{text}"
        );
        assert!(
            text.contains("| twig-seed0 | other | 600 | 85.00 | -5.00 |"),
            "{text}"
        );
        assert!(
            text.contains("| orphan-seed0 | gone-seed0 | 100 | 80.00 | – |"),
            "{text}"
        );
    }

    #[test]
    fn without_forks_there_is_no_section_and_no_picture() {
        let place = tempfile::tempdir().unwrap();
        trained(
            place.path(),
            &spec("fixed", 0, None),
            0,
            |_| 0.1,
            |share| 0.5 + 0.4 * share,
        );
        let out = place.path().join("report");
        let found = report(place.path(), &out, &Options::default()).unwrap();
        assert!(!out.join("lineage.svg").exists());
        assert!(!found.markdown.contains("Forks") && markdown(&[]).is_empty());
    }

    #[test]
    fn a_value_between_two_points_is_on_their_line() {
        let line = [(10.0, 1.0), (20.0, 3.0)];
        assert_eq!(between(&line, 15.0), Some(2.0));
        assert_eq!(between(&line, 10.0), Some(1.0));
        assert_eq!((between(&line, 5.0), between(&line, 21.0)), (None, None));
    }
}
