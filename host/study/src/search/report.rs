//! What a search came to, for people: `search.md`, `search.svg` and `winner.toml`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use pixelrate_control::write_whole;
use pixelrate_sandbox::{Filter, Value};
use pixelrate_trainer::spec::EvalSplit;
use serde::Serialize;

use super::candidates::Search;
use super::file::Metric;
use super::judge::Choice;
use super::record::{Confirmed, Tuning, choices, tuning};
use super::space::shown;
use crate::Error;
use crate::figure::{self, Climb};
use crate::raster;
use crate::spec::TrainingKeys;

/// Candidates whose pictures are shown.
const PICTURED: usize = 3;
/// Values of a picture that is made small.
const SAMPLES: u64 = 3 * 96 * 96;
/// Candidates of the table.
const ROWS: usize = 12;

/// What a search came to.
#[derive(Debug, Serialize)]
pub struct Told {
    /// What it cost and found.
    #[serde(flatten)]
    pub tuning: Tuning,
    /// Each candidate's last line of `choices.jsonl`, the best first.
    pub ranking: Vec<Choice>,
    /// A `[[schedule]]` of the best, for a study.
    pub winner: String,
    /// All of it in Markdown.
    #[serde(skip)]
    pub markdown: String,
    /// The files that were written.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

/// Reports on the search in `folder`, which has ended, into files there.
///
/// # Errors
/// [`Error::NoSearch`] if it has not ended; what cannot be read or written.
pub fn report(search: &Search, folder: &Path) -> Result<Told, Error> {
    let tuning = tuning(folder)?.ok_or_else(|| Error::NoSearch(folder.to_owned()))?;
    let decided = choices(folder)?;
    let ranking: Vec<Choice> = ranked(&decided).into_iter().cloned().collect();
    let winner = winner(search, &tuning, folder)?;
    let picture = folder.join("search.svg");
    draw(search, &decided, &picture)?;
    let markdown = markdown(search, &tuning, &ranking, &winner);
    let mut files = vec![picture];
    for (name, text) in [("search.md", &markdown), ("winner.toml", &winner)] {
        let path = folder.join(name);
        write_whole(&path, text.as_bytes())?;
        files.push(path);
    }
    Ok(Told {
        tuning,
        ranking,
        winner,
        markdown,
        files,
    })
}

/// The last choice of each candidate: those that came furthest first, and of these the best.
pub(super) fn ranked(decided: &[Choice]) -> Vec<&Choice> {
    let mut last: BTreeMap<&str, &Choice> = BTreeMap::new();
    for choice in decided {
        last.insert(&choice.candidate, choice);
    }
    let mut all: Vec<&Choice> = last.into_values().collect();
    all.sort_by_key(|choice| (std::cmp::Reverse(choice.rung), choice.rank));
    all
}

/// A `[[schedule]]` of a study.
#[derive(Serialize)]
struct Winner<'a> {
    schedule: [WinningSchedule<'a>; 1],
}

#[derive(Serialize)]
struct WinningSchedule<'a> {
    label: String,
    plugin: &'a str,
    tuned: PathBuf,
    params: &'a BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    training: toml::Table,
}

fn winner(search: &Search, tuning: &Tuning, folder: &Path) -> Result<String, Error> {
    let mut all = search.candidates.iter();
    let best = all
        .find(|one| one.label == tuning.best.candidate)
        .ok_or_else(|| Error::NothingFound(folder.to_owned()))?;
    let schedule = &best.spec.schedule;
    let entry = Winner {
        schedule: [WinningSchedule {
            label: format!("{}-tuned", best.schedule),
            plugin: &schedule.plugin,
            tuned: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()),
            params: &schedule.params,
            // What is held back is the search's affair.
            training: training(&TrainingKeys {
                validation_examples: None,
                ..best.training.clone()
            }),
        }],
    };
    let failed = |e: toml::ser::Error| Error::io("write", folder, std::io::Error::other(e));
    let mut text = toml::to_string(&entry).map_err(failed)?;
    if let Some(pictures) = &schedule.picture_folder {
        let line = format!(
            "# The study's pictures: [study] pictures = {:?}\n",
            pictures
        );
        text.insert_str(0, &line);
    }
    Ok(text)
}

fn training(keys: &TrainingKeys) -> toml::Table {
    toml::Table::try_from(keys).unwrap_or_default()
}

fn markdown(search: &Search, tuning: &Tuning, ranked: &[Choice], winner: &str) -> String {
    let mut text = format!("# {}\n\n", search.name);
    let budgets: Vec<String> = search
        .rungs
        .iter()
        .map(|rung| format!("{} for {}", rung.candidates, epochs(rung.epochs)))
        .collect();
    let _ = writeln!(
        text,
        "Successive halving over {} candidates of {}: {} epochs; seeds {:?} at every rung; ranked by {} {}.\n",
        tuning.candidates,
        tuning.schedules.join(", "),
        budgets.join(", "),
        search.seeds,
        search.evaluated_on(),
        search.metric,
    );
    let unit = if search.metric == Metric::Accuracy {
        ", %"
    } else {
        ", nats"
    };
    let _ = writeln!(
        text,
        "| rank | candidate | {} {}{unit} | epochs | seeds | diverged | failed |",
        search.evaluated_on(),
        search.metric
    );
    text.push_str("| ---: | --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (place, choice) in ranked.iter().take(ROWS).enumerate() {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            place + 1,
            choice.candidate,
            score(search.metric, choice.mean, choice.half_width),
            epochs(choice.epochs),
            choice.seeds.len(),
            choice.diverged,
            choice.failed,
        );
    }
    if ranked.len() > ROWS {
        let _ = writeln!(
            text,
            "\n{} more candidates are in `choices.jsonl`.",
            ranked.len() - ROWS
        );
    }
    let cost = &tuning.cost;
    let _ = writeln!(
        text,
        "\nIt took {} runs and {} steps in all, as many as {:.1} full-length runs, and {:.0} core seconds; {} diverged, \
         {} failed.",
        cost.runs, cost.steps, cost.full_runs, cost.core_seconds, cost.diverged, cost.failed
    );
    for refused in &search.refused {
        let _ = writeln!(text, "\nNot run: {}: {}", refused.label, refused.problem);
    }
    let params: Vec<String> = tuning
        .best
        .params
        .iter()
        .map(|(name, value)| format!("{name} = {}", shown(value)))
        .collect();
    let _ = writeln!(text, "\nThe best: {}.", params.join(", "));
    if tuning.confirmed.is_empty() {
        let _ = writeln!(
            text,
            "\n**The best score was selected: as the best of many, luck included, it is an optimistic estimate of what \
             these parameters achieve.** `--confirm 5` trains the best candidates again with five seeds that were not used \
             here, and reports those results instead{}",
            match search.evaluated_on() {
                EvalSplit::Validation =>
                    ". Those runs also train on what was held back, and are measured on the test set, which the search has not seen.",
                EvalSplit::Test => ". Both are measured on the same test pictures.",
            }
        );
    } else {
        confirmed(&mut text, search, tuning);
    }
    text.push_str("\n```toml\n");
    text.push_str(winner);
    text.push_str("```\n\n![The metric of each candidate against the budget](search.svg)\n");
    text
}

/// The numbers to report: those of fresh seeds.
fn confirmed(text: &mut String, search: &Search, tuning: &Tuning) {
    let metric = search.metric;
    let (unseen, seen) = match search.evaluated_on() {
        EvalSplit::Validation => (", and the test pictures,", ""),
        EvalSplit::Test => ("", " (the test pictures are the same)"),
    };
    let seeds = |one: &Confirmed| one.seeds.len();
    let count = tuning.confirmed.first().map_or(0, seeds);
    let _ = writeln!(
        text,
        "\n## With {count} fresh seeds\n\nThe numbers to report: these seeds{unseen} were not used in the search, so these scores \
         had no part in the selection{seen}. After ± is half of the mean's 95 % interval (Student's t).\n\n\
         | candidate | test {metric}{} | seeds | diverged |\n| --- | ---: | ---: | ---: |",
        match metric {
            Metric::Accuracy => ", %",
            Metric::Loss => "",
        }
    );
    for one in &tuning.confirmed {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            one.candidate,
            score(metric, one.mean, one.half_width),
            seeds(one),
            one.diverged
        );
    }
    let order = |a: f64, b: f64| match metric {
        Metric::Accuracy => a.total_cmp(&b),
        Metric::Loss => b.total_cmp(&a),
    };
    // Of equal ones the first, which the search ranked higher.
    let with_mean = tuning
        .confirmed
        .iter()
        .rev()
        .filter_map(|one| Some((one, one.mean?)));
    if let Some((first, _)) = with_mean.max_by(|a, b| order(a.1, b.1))
        && first.candidate != tuning.best.candidate
    {
        let _ = writeln!(
            text,
            "\n**Not confirmed: {} has the better mean here, and the search had chosen {}.** Whether the two differ at all, \
             `pixelrate report` tells of these runs' folder.",
            first.candidate, tuning.best.candidate
        );
    }
    if metric == Metric::Loss && tuning.confirmed.iter().any(|one| one.diverged > 0) {
        text.push_str("\nA run that diverged has no loss: the mean is over the other runs.\n");
    }
}

fn score(metric: Metric, mean: Option<f64>, half_width: Option<f64>) -> String {
    let told = |value: f64| match metric {
        Metric::Accuracy => format!("{:.2}", 100.0 * value),
        Metric::Loss => format!("{value:.4}"),
    };
    match (mean, half_width) {
        (None, _) => "–".to_owned(),
        (Some(mean), None) => told(mean),
        (Some(mean), Some(half)) => format!("{} ± {}", told(mean), told(half)),
    }
}

fn epochs(epochs: f64) -> String {
    format!("{}", (epochs * 1e3).round() / 1e3)
}

/// The picture of a candidate whose schedule has one, made small.
fn thumbnail(search: &Search, candidate: &str) -> Option<(Vec<u8>, u32, u32)> {
    let spec = &search
        .candidates
        .iter()
        .find(|one| one.label == candidate)?
        .spec;
    let pictures = pixelrate_trainer::pictures::of(spec);
    // A word among the parameters is a picture's name, or that of a choice, which no picture has.
    let words = spec
        .schedule
        .params
        .values()
        .filter_map(|value| match value {
            Value::Text(word) => Some(word),
            Value::Number(_) => None,
        });
    let opened = words.filter_map(|word| pictures.open(word, &spec.limits).ok());
    let small = opened
        .filter_map(|picture| {
            picture
                .resized(SAMPLES, Filter::Bilinear, &spec.limits)
                .ok()
        })
        .next()?;
    let png = raster::png_of(small.width, small.height, small.channels, &small.values)?;
    Some((png, small.width, small.height))
}

/// The metric of all candidates against the budget.
fn draw(search: &Search, decided: &[Choice], path: &Path) -> Result<(), Error> {
    let scale = match search.metric {
        Metric::Accuracy => 100.0,
        Metric::Loss => 1.0,
    };
    let climbs: Vec<Climb> = ranked(decided)
        .into_iter()
        .enumerate()
        .map(|(place, last)| {
            let own = decided
                .iter()
                .filter(|choice| choice.candidate == last.candidate);
            Climb {
                name: last.candidate.clone(),
                points: own
                    .filter_map(|choice| {
                        let half = choice.half_width.unwrap_or(0.0);
                        Some((choice.rung - 1, scale * choice.mean?, scale * half))
                    })
                    .collect(),
                finished: last.rung == last.rungs,
                thumbnail: (place < PICTURED)
                    .then(|| thumbnail(search, &last.candidate))
                    .flatten(),
            }
        })
        .collect();
    let budgets: Vec<f64> = search.rungs.iter().map(|rung| rung.epochs).collect();
    let unit = match search.metric {
        Metric::Accuracy => "%",
        Metric::Loss => "nats",
    };
    let y = format!(
        "{} {}, {unit}; mean over seeds, its 95 % interval",
        search.evaluated_on(),
        search.metric
    );
    let title = format!("{}: {} candidates", search.name, search.candidates.len());
    figure::climbs(path, &title, &y, &budgets, &climbs)
}
