//! Long curves at a bounded number of places.

use crate::statistics::Running;

/// Stretches of a run whose lowest and highest learning rate are kept.
const RATES: u64 = 700;
/// Stretches of a run over which the training loss is averaged.
const LOSSES: u64 = 240;

/// A place of a curve: its value, and its band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) step: f64,
    /// The mean over the seeds; of learning rates, that of one run, and NaN where it logged nothing.
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Point {
    /// The mean of what came together at `step`, and its 95 % interval.
    pub(super) fn with_interval(step: f64, values: &Running) -> Option<Self> {
        let found = values.estimate()?;
        let half = found.half_width.unwrap_or(0.0);
        Some(Self {
            step,
            value: found.mean,
            low: found.mean - half,
            high: found.mean + half,
        })
    }
}

/// Which of a number of equal stretches of a run a step belongs to, and back.
#[derive(Clone, Copy)]
struct Stretches {
    count: u64,
    total: u64,
}

impl Stretches {
    fn over(total: u64, most: u64) -> Self {
        Self {
            count: most.min(total),
            total,
        }
    }

    fn of(self, step: u64) -> usize {
        (u128::from(step.min(self.total - 1)) * u128::from(self.count) / u128::from(self.total))
            as usize
    }

    /// First and last step.
    fn ends(self, stretch: usize) -> (u64, u64) {
        let start = |stretch: u128| {
            (stretch * u128::from(self.total)).div_ceil(u128::from(self.count)) as u64
        };
        (start(stretch as u128), start(stretch as u128 + 1) - 1)
    }
}

/// The learning rates of one run: two values a stretch, the lowest and the highest in the order in which they came.
pub(super) struct RunRates {
    stretches: Stretches,
    cells: Vec<Option<[f64; 2]>>,
    /// The stretch that is being read, and its lowest and highest value with their steps.
    now: Option<(usize, [(u64, f64); 2])>,
}

impl RunRates {
    pub(super) fn over(total: u64) -> Self {
        let stretches = Stretches::over(total, RATES);
        Self {
            stretches,
            cells: vec![None; stretches.count as usize],
            now: None,
        }
    }

    pub(super) fn add(&mut self, step: u64, rate: f64) {
        let stretch = self.stretches.of(step);
        match &mut self.now {
            Some((at, [low, high])) if *at == stretch => {
                if rate < low.1 {
                    *low = (step, rate);
                }
                if rate > high.1 {
                    *high = (step, rate);
                }
            }
            _ => {
                self.end_stretch();
                self.now = Some((stretch, [(step, rate); 2]));
            }
        }
    }

    fn end_stretch(&mut self) {
        if let Some((stretch, [low, high])) = self.now.take() {
            let in_order = low.0 <= high.0;
            let [first, second] = if in_order { [low, high] } else { [high, low] };
            self.cells[stretch] = Some([first.1, second.1]);
        }
    }

    /// A cell a stretch; none where the run logged nothing.
    pub(super) fn cells(mut self) -> Vec<Option<[f64; 2]>> {
        self.end_stretch();
        self.cells
    }
}

/// The training losses of one run, averaged over each stretch.
pub(super) struct RunLosses {
    stretches: Stretches,
    cells: Vec<Option<f64>>,
    /// The stretch that is being read, the sum of its losses, and their number.
    now: Option<(usize, f64, u64)>,
}

impl RunLosses {
    pub(super) fn over(total: u64) -> Self {
        let stretches = Stretches::over(total, LOSSES);
        Self {
            stretches,
            cells: vec![None; stretches.count as usize],
            now: None,
        }
    }

    pub(super) fn add(&mut self, step: u64, loss: Option<f64>) {
        let Some(loss) = loss.filter(|loss| loss.is_finite()) else {
            return;
        };
        let stretch = self.stretches.of(step);
        match &mut self.now {
            Some((at, sum, count)) if *at == stretch => {
                *sum += loss;
                *count += 1;
            }
            _ => {
                self.end_stretch();
                self.now = Some((stretch, loss, 1));
            }
        }
    }

    fn end_stretch(&mut self) {
        if let Some((stretch, sum, count)) = self.now.take() {
            self.cells[stretch] = Some(sum / count as f64);
        }
    }

    /// A cell a stretch; none where no loss of the run was finite.
    pub(super) fn cells(mut self) -> Vec<Option<f64>> {
        self.end_stretch();
        self.cells
    }
}

/// Learning rates over many runs of as many steps: one run's line, and from where to where all of them go. A mean of runs
/// whose rates are drawn anew for each seed would show a rate that none of them had.
pub(super) struct Rates {
    stretches: Stretches,
    cells: Vec<[Running; 2]>,
    line: Vec<Option<[f64; 2]>>,
}

impl Rates {
    pub(super) fn over(total: u64) -> Self {
        let stretches = Stretches::over(total, RATES);
        Self {
            stretches,
            cells: vec![Default::default(); stretches.count as usize],
            line: Vec::new(),
        }
    }

    /// Takes a run in: [`RunRates::cells`], over the same steps.
    pub(super) fn add(&mut self, run: &[Option<[f64; 2]>]) {
        for (cell, values) in self.cells.iter_mut().zip(run) {
            if let Some(values) = values {
                cell.iter_mut()
                    .zip(values)
                    .for_each(|(cell, value)| cell.add(*value));
            }
        }
    }

    /// Takes the run in whose rates are the line: [`RunRates::cells`], over the same steps.
    pub(super) fn add_line(&mut self, run: Vec<Option<[f64; 2]>>) {
        self.add(&run);
        self.line = run;
    }

    pub(super) fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for (stretch, cells) in self.cells.iter().enumerate() {
            let (first, last) = self.stretches.ends(stretch);
            let places = if first == last { 1 } else { 2 };
            let line = self.line.get(stretch).copied().flatten();
            let line = line.unwrap_or([f64::NAN; 2]);
            for ((cell, value), step) in cells.iter().zip(line).zip([first, last]).take(places) {
                points.extend(cell.estimate().map(|found| Point {
                    step: step as f64,
                    value,
                    low: found.min,
                    high: found.max,
                }));
            }
        }
        points
    }
}

/// Training losses over many runs of as many steps.
pub(super) struct Losses {
    stretches: Stretches,
    cells: Vec<Running>,
}

impl Losses {
    pub(super) fn over(total: u64) -> Self {
        let stretches = Stretches::over(total, LOSSES);
        Self {
            stretches,
            cells: vec![Running::default(); stretches.count as usize],
        }
    }

    /// Takes a run in: [`RunLosses::cells`], over the same steps.
    pub(super) fn add(&mut self, run: &[Option<f64>]) {
        for (cell, loss) in self.cells.iter_mut().zip(run) {
            if let Some(loss) = loss {
                cell.add(*loss);
            }
        }
    }

    pub(super) fn points(&self) -> Vec<Point> {
        let place = |stretch| {
            let (first, last) = self.stretches.ends(stretch);
            0.5 * (first + last) as f64
        };
        let cells = self.cells.iter().enumerate();
        cells
            .filter_map(|(stretch, cell)| Point::with_interval(place(stretch), cell))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_share_the_steps_out_without_gaps() {
        for (total, most) in [
            (1, 700),
            (699, 700),
            (700, 700),
            (1_125, 700),
            (97_656, 240),
        ] {
            let stretches = Stretches::over(total, most);
            let mut next = 0;
            for stretch in 0..stretches.count as usize {
                let (first, last) = stretches.ends(stretch);
                assert_eq!(first, next, "{total} in {most}");
                assert!(last >= first);
                assert_eq!(
                    (stretches.of(first), stretches.of(last)),
                    (stretch, stretch)
                );
                next = last + 1;
            }
            assert_eq!(next, total);
        }
    }

    #[test]
    fn rates_keep_their_spikes_and_their_spread_over_seeds() {
        let mut rates = Rates::over(100_000);
        for seed in 0..2 {
            let mut run = RunRates::over(100_000);
            for step in 0..100_000 {
                let spike = if step == 54_321 { 7.0 } else { 0.1 };
                run.add(step, spike + f64::from(seed));
            }
            if seed == 0 {
                rates.add_line(run.cells());
            } else {
                rates.add(&run.cells());
            }
        }
        let points = rates.points();
        assert_eq!(points.len() as u64, 2 * RATES);
        assert!(points.windows(2).all(|pair| pair[0].step < pair[1].step));
        assert_eq!(points.last().unwrap().step, 99_999.0);
        let spikes: Vec<_> = points.iter().filter(|point| point.high == 8.0).collect();
        assert_eq!(spikes.len(), 1);
        assert_eq!((spikes[0].low, spikes[0].value), (7.0, 7.0));
    }

    #[test]
    fn the_line_of_rates_is_one_run_and_ends_where_that_does() {
        let mut rates = Rates::over(10);
        // Rates that differ from seed to seed: their mean is 0.5 throughout, and no run's.
        for seed in 0..2_u64 {
            let mut run = RunRates::over(10);
            let steps = if seed == 0 { 6 } else { 10 };
            (0..steps).for_each(|step| run.add(step, ((step + seed) % 2) as f64));
            match seed {
                0 => rates.add_line(run.cells()),
                _ => rates.add(&run.cells()),
            }
        }
        let points = rates.points();
        let line: Vec<f64> = points.iter().map(|point| point.value).take(6).collect();
        assert_eq!(line, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert!(points[..6].iter().all(|at| (at.low, at.high) == (0.0, 1.0)));
        assert_eq!(points.len(), 10);
        assert!(
            points[6..]
                .iter()
                .all(|at| at.value.is_nan() && at.low == at.high)
        );
    }

    #[test]
    fn losses_are_averaged_over_a_stretch_and_then_over_seeds() {
        let mut losses = Losses::over(480);
        for seed in [0.0, 2.0] {
            let mut run = RunLosses::over(480);
            for step in 0..480 {
                let loss = if step % 2 == 0 {
                    1.0 + seed
                } else {
                    3.0 + seed
                };
                run.add(step, Some(if step == 479 { f64::NAN } else { loss }));
            }
            losses.add(&run.cells());
        }
        let points = losses.points();
        assert_eq!(
            (points.len(), points[0].step, points[0].value),
            (240, 0.5, 3.0)
        );
        // A loss that is no number is left out of its stretch.
        assert_eq!(points[239].value, 2.0);
        assert!((points[0].high - 3.0 - 12.706_204_736).abs() < 1e-6);
    }
}
