//! The budgets of a search, and how many candidates each is for.

use pixelrate_sandbox::RunFacts;
use serde::{Deserialize, Serialize};

/// One budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Passes over the training set by its end, since the run began.
    pub epochs: f64,
    /// Steps by its end.
    pub step: u64,
    /// Candidates that enter it, at the most.
    pub candidates: usize,
}

/// Hyperband's bracket (Li et al., 2018, algorithm 1) of the most rungs: budgets epochs / eta^(s - i) and
/// floor(n / eta^i) candidates for i = 0..=s, where s is the greatest for which the first budget is at least
/// `min_epochs` and the last rung has a candidate.
///
/// # Errors
/// What is wrong with the numbers: the key, and a sentence.
pub(crate) fn rungs(
    epochs: f64,
    min_epochs: f64,
    eta: u32,
    candidates: usize,
    facts: &RunFacts,
) -> Result<Vec<Rung>, (&'static str, String)> {
    if eta < 2 {
        return Err(("eta", format!("is {eta}: must be at least 2")));
    }
    if !(min_epochs > 0.0 && min_epochs <= epochs) {
        return Err((
            "min_epochs",
            format!("is {min_epochs}: must be above 0, and at most the {epochs} `epochs`"),
        ));
    }
    let least = |rung: u32| f64::from(eta).powi(rung as i32);
    let most = (0..64).take_while(|&s| {
        // A float's last bit must not cost a rung.
        epochs / least(s) >= min_epochs * (1.0 - 1e-9) && candidates as f64 >= least(s)
    });
    let s = most.last().unwrap_or(0);
    let every = epochs / least(s);
    let all: Vec<Rung> = (0..=s)
        .map(|i| Rung {
            epochs: epochs / least(s - i),
            step: if i == s {
                facts.total_steps
            } else {
                step_of(u64::from(eta).pow(i), every, facts)
            },
            candidates: (candidates as f64 / least(i)) as usize,
        })
        .collect();
    if all[0].step == 0 || all.windows(2).any(|pair| pair[0].step >= pair[1].step) {
        let problem = format!("is {min_epochs}: the first rungs would have no step of their own");
        return Err(("min_epochs", problem));
    }
    Ok(all)
}

/// The first step at which `count` times `every` epochs are done: where a run that tests so often tests its model.
fn step_of(count: u64, every: f64, facts: &RunFacts) -> u64 {
    let done = |step: u64| {
        let epoch = step as f64 * f64::from(facts.batch_size) / facts.train_examples as f64;
        // As the trainer counts.
        (epoch / every + 1e-9).floor() as u64
    };
    let about = count as f64 * every * facts.train_examples as f64 / f64::from(facts.batch_size);
    let mut step = (about as u64).saturating_sub(1);
    while done(step) < count {
        step += 1;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(epochs: f64) -> RunFacts {
        RunFacts {
            total_steps: (6000.0 * epochs / 32.0) as u64,
            train_examples: 6000,
            batch_size: 32,
            ..RunFacts::default()
        }
    }

    #[test]
    fn a_bracket_of_hyperband() {
        // Table 1 of Li et al. (2018), s = 4: 81 candidates for 1, 27 for 3, 9 for 9, 3 for 27, 1 for 81.
        let found = rungs(81.0, 1.0, 3, 81, &facts(81.0)).unwrap();
        let told: Vec<_> = found.iter().map(|r| (r.candidates, r.epochs)).collect();
        assert_eq!(told, [(81, 1.0), (27, 3.0), (9, 9.0), (3, 27.0), (1, 81.0)]);
        // 187.5 steps an epoch: the first step by which it is over.
        assert_eq!(
            (found[0].step, found[1].step, found[4].step),
            (188, 563, 15_187)
        );
        // Few candidates make fewer rungs, which are the later ones.
        let found = rungs(81.0, 1.0, 3, 10, &facts(81.0)).unwrap();
        let told: Vec<_> = found.iter().map(|r| (r.candidates, r.epochs)).collect();
        assert_eq!(told, [(10, 9.0), (3, 27.0), (1, 81.0)]);
        assert_eq!(rungs(1.0, 1.0, 2, 8, &facts(1.0)).unwrap().len(), 1);
    }

    #[test]
    fn budgets_that_cannot_be_are_told() {
        let key = |epochs, min, eta| rungs(epochs, min, eta, 9, &facts(1.0)).unwrap_err().0;
        assert_eq!(key(1.0, 2.0, 3), "min_epochs");
        assert_eq!(key(1.0, 0.0, 3), "min_epochs");
        assert_eq!(key(1.0, 0.5, 1), "eta");
        let short = RunFacts {
            total_steps: 2,
            ..facts(1.0)
        };
        assert_eq!(
            rungs(0.01, 1e-4, 3, 81, &short).unwrap_err().0,
            "min_epochs"
        );
    }
}
