//! The benchmarks, and the ratios that they print held against those that are kept.
//!
//! A ratio compares two things of one run on one machine, so that it says something on any: a benchmark prints it on a line
//! `ratio NAME VALUE`, and the greater, the better. `tests/bench/ratios.toml` keeps them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::steps::Steps;
use crate::{libtorch, parity};

/// A ratio that is smaller than the least that is kept, by more than this share of it, is worse. The least, since one day's
/// reading differs from another's by more than that where a peer's does.
const MARGIN: f64 = 0.10;
/// So many of a ratio's readings are kept.
const READINGS: usize = 5;
/// What the names of a GPU's ratios begin with.
const GPU: &str = "cuda.";
const KEPT: &str = "tests/bench/ratios.toml";
const HEAD: &str = "\
# What the benchmarks' ratios were, the newest reading last: `cargo xtask bench --compare` fails where one is below all of its
# readings by more than a tenth, and `cargo xtask bench --bless` adds a reading. Greater is better.
";

/// Names and values.
type Ratios = BTreeMap<String, f64>;

/// Names and readings, the newest last.
type Kept = BTreeMap<String, Vec<f64>>;

/// What is done with the ratios.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    Compare,
    Bless,
}

/// Runs the benchmarks of these names, or all. `--compare` fails if a ratio is worse than the one that is kept; `--bless`
/// keeps them.
///
/// # Errors
/// A benchmark fails, or a ratio is worse.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let (mut then, mut names) = (Then::Nothing, Vec::new());
    for argument in arguments {
        match argument.as_str() {
            "--compare" => then = Then::Compare,
            "--bless" => then = Then::Bless,
            option if option.starts_with('-') => {
                bail!("bench takes --compare, --bless and names of benchmarks, not {option}")
            }
            name => names.push(name),
        }
    }
    libtorch::set_up(root, None)?;
    let mut steps = Steps::new(root);
    match parity::python(root) {
        Ok(python) => {
            steps.set("PIXELRATE_BENCH_PYTHON", python);
        }
        Err(problem) => eprintln!("bench: without PyTorch to compare with: {problem:#}"),
    }
    // The profile of `cargo run`: what is measured is what people run, and it is built already.
    let mut cargo = vec!["bench", "--locked", "--workspace", "--profile", "dev"];
    let all = names.is_empty();
    if all {
        // Those that a machine cannot run, as without a GPU, say so and are passed over.
        steps.set("PIXELRATE_BENCH_ALL", "1".into());
    }
    for name in if all { vec!["*"] } else { names } {
        cargo.extend(["--bench", name]);
    }
    let found = ratios(&steps.cargo_told("benchmarks", cargo)?)?;
    let file = root.join(KEPT);
    match then {
        Then::Nothing => Ok(()),
        Then::Compare => {
            let kept = read(&file)?;
            let (table, worse) = compare(&kept, &found, all);
            print!("{table}");
            if !worse.is_empty() {
                bail!(
                    "worse than {KEPT} by more than {:.0} %: {}",
                    100.0 * MARGIN,
                    worse.join(", ")
                );
            }
            Ok(())
        }
        Then::Bless => {
            // Those of benchmarks that were not run stay.
            let mut kept = if file.exists() {
                read(&file)?
            } else {
                Kept::new()
            };
            bless(&mut kept, found);
            let lines: String = kept
                .iter()
                .map(|(name, readings)| format!("\"{name}\" = {readings:?}\n"))
                .collect();
            fs::write(&file, format!("{HEAD}\n{lines}")).with_context(|| file.display().to_string())
        }
    }
}

/// The ratios among lines that benchmarks printed.
fn ratios(printed: &str) -> Result<Ratios> {
    let lines = printed.lines().filter(|line| line.starts_with("ratio "));
    lines
        .map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [_, name, value] => {
                let value: f64 = value.parse().with_context(|| line.to_owned())?;
                if !value.is_finite() {
                    bail!("\"{line}\": a benchmark measured nothing, or took no time");
                }
                Ok((name.to_owned(), value))
            }
            _ => bail!("\"{line}\" is not `ratio NAME VALUE`"),
        })
        .collect()
}

/// Adds a reading to each ratio.
fn bless(kept: &mut Kept, found: Ratios) {
    for (name, value) in found {
        let readings = kept.entry(name).or_default();
        readings.push(value);
        let old = readings.len().saturating_sub(READINGS);
        readings.drain(..old);
    }
}

fn read(file: &Path) -> Result<Kept> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

/// A table of all, and what is wrong: names that are worse, and, of a run of `all` benchmarks, names that are missing.
fn compare(kept: &Kept, found: &Ratios, all: bool) -> (String, Vec<String>) {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for (name, &value) in found {
        // Writing to a text cannot fail.
        let readings = kept.get(name).map_or(&[][..], Vec::as_slice);
        let least = readings.iter().copied().reduce(f64::min);
        let most = readings.iter().copied().reduce(f64::max);
        let _ = match least.zip(most) {
            None => writeln!(table, "{name:<48} {value:>9.3}  new: --bless keeps it"),
            Some((least, most)) => {
                let is_worse = value < least * (1.0 - MARGIN);
                if is_worse {
                    wrong.push(name.clone());
                }
                let word = if is_worse { "WORSE" } else { "" };
                let change = 100.0 * (value / least - 1.0);
                writeln!(
                    table,
                    "{name:<48} {value:>9.3}  was {least:>9.3} to {most:>9.3} {change:>+7.1} % {word}"
                )
            }
        };
    }
    if all {
        // A machine without a GPU measures none.
        let measures =
            |name: &str| !name.starts_with(GPU) || found.keys().any(|name| name.starts_with(GPU));
        let missing = (kept.keys()).filter(|name| !found.contains_key(*name) && measures(name));
        wrong.extend(missing.map(|name| format!("{name} (not measured)")));
    }
    (table, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_readings_are_kept() {
        let mut kept = Kept::new();
        for value in 0..7 {
            bless(&mut kept, of(&[("a", f64::from(value))]));
        }
        bless(&mut kept, of(&[("b", 1.0)]));
        assert_eq!(kept["a"], [2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(kept["b"], [1.0]);
    }

    fn of(pairs: &[(&str, f64)]) -> Ratios {
        let owned = pairs.iter().map(|&(name, value)| (name.to_owned(), value));
        owned.collect()
    }

    #[test]
    fn ratios_are_read_from_among_other_lines() {
        let found = ratios("running\nratio a.b 1.500\nof the ratio 3\nratio c 2\n");
        assert_eq!(found.ok(), Some(of(&[("a.b", 1.5), ("c", 2.0)])));
        assert!(ratios("ratio a\n").is_err());
        assert!(ratios("ratio a fast\n").is_err());
        assert!(ratios("ratio a NaN\n").is_err());
    }

    #[test]
    fn what_is_worse_by_more_than_the_margin_is_named() {
        let readings = [
            ("a", vec![2.5, 2.0]),
            ("b", vec![2.0, 2.5]),
            ("c", vec![2.0]),
            ("cuda.d", vec![2.0]),
            ("gone", vec![1.0]),
        ];
        let kept: Kept = readings.map(|(name, all)| (name.to_owned(), all)).into();
        let found = of(&[("a", 1.79), ("b", 1.81), ("c", 3.0), ("new", 1.0)]);
        let (table, wrong) = compare(&kept, &found, true);
        assert_eq!(wrong, ["a", "gone (not measured)"]);
        assert_eq!(table.matches("WORSE").count(), 1, "{table}");
        assert_eq!(table.lines().count(), 4, "{table}");
        assert_eq!(compare(&kept, &found, false).1, ["a"]);
        let of_gpu = of(&[("a", 2.0), ("b", 2.0), ("c", 2.0), ("cuda.e", 1.0)]);
        let missing = ["cuda.d (not measured)", "gone (not measured)"];
        assert_eq!(compare(&kept, &of_gpu, true).1, missing);
    }
}
