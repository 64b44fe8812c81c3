//! Many comparisons at once.

/// Holm's step-down correction ("A simple sequentially rejective multiple test procedure", 1979): the p-values, in their
/// order, so that all those below a level are together wrong with no more than its probability. What could not be tested
/// stays `None` and counts as no comparison.
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> = p_values
        .iter()
        .enumerate()
        .filter_map(|(place, p)| Some((place, (*p)?)))
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut corrected = vec![None; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &(place, p)) in order.iter().enumerate() {
        // A larger p-value is never corrected to a smaller one.
        least = least.max(p * (order.len() - rank) as f64).min(1.0);
        corrected[place] = Some(least);
    }
    corrected
}
