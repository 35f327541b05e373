//! Where the bins of a feature end: reference quantiles, with bins of their own for heavy values.

/// K: the number of quantile edges at most. One more edge, just below the smallest value, separates what is below the range.
pub(crate) const MAX_QUANTILE_EDGES: usize = 1_024;

/// Upper edges of right-closed bins `(eᵢ₋₁, eᵢ]` over ascending `sorted` values (no NaN, finite); the last bin is open.
///
/// No bin holds more than a share of about 1/K of the values, unless it can hold one single value: a heavier value `v` gets
/// the bin between its next smaller float and itself. The first edge lies just below the smallest value and the last is the
/// largest, so the end bins count what is out of range. Edges are finite and strictly increasing.
pub(crate) fn quantile_edges(sorted: &[f64]) -> Vec<f64> {
    let atoms = atoms(sorted);
    // A bin for every value makes the statistics exact.
    if 2 * atoms.len() <= MAX_QUANTILE_EDGES + 1 {
        return pack(&atoms, 0);
    }
    let rows = sorted.len() as u64;
    let mut fits = rows;
    let mut too_small = rows.div_ceil(MAX_QUANTILE_EDGES as u64) - 1;
    // Nearly always the smallest capacity fits at once; many ties of middling weight need a larger one.
    let mut capacity = too_small + 1;
    loop {
        let edges = pack(&atoms, capacity);
        if edges.len() <= MAX_QUANTILE_EDGES + 1 {
            fits = capacity;
            if fits - too_small <= 1 {
                return edges;
            }
        } else {
            too_small = capacity;
            if fits - too_small <= 1 {
                return pack(&atoms, fits);
            }
        }
        capacity = too_small + (fits - too_small) / 2;
    }
}

/// Distinct values with their counts.
fn atoms(sorted: &[f64]) -> Vec<(f64, u64)> {
    sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect()
}

/// Fills bins greedily up to `capacity` values; an atom above it gets a bin of its own.
fn pack(atoms: &[(f64, u64)], capacity: u64) -> Vec<f64> {
    let mut edges = Vec::new();
    let Some(&(smallest, _)) = atoms.first() else { return edges };
    let mut close = |edge: f64| {
        // -∞ below the smallest float and the largest float as upper edge would separate nothing.
        let useful = edge.is_finite() && edge < f64::MAX;
        if useful && edges.last().is_none_or(|&last| last < edge) {
            edges.push(edge);
        }
    };
    close(smallest.next_down());
    let (mut held, mut previous) = (0, smallest);
    for &(value, count) in atoms {
        if held > 0 && (count > capacity || held + count > capacity) {
            close(previous);
            held = 0;
        }
        if count > capacity {
            close(value.next_down());
            close(value);
        } else {
            held += count;
        }
        previous = value;
    }
    close(previous);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sorted: &[f64]) -> (usize, f64) {
        let edges = quantile_edges(sorted);
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        let mut heaviest = 0;
        for pair in edges.windows(2) {
            let inside = sorted.iter().filter(|&&x| x > pair[0] && x <= pair[1]).count();
            if pair[0].next_up() != pair[1] {
                heaviest = heaviest.max(inside);
            }
        }
        (edges.len(), heaviest as f64 / sorted.len() as f64)
    }

    #[test]
    fn distinct_values_give_1024_equal_bins() {
        let values: Vec<f64> = (0..20_480).map(f64::from).collect();
        assert_eq!(shares(&values), (1_025, 20.0 / 20_480.0));
    }

    #[test]
    fn a_heavy_value_has_its_own_bin() {
        let mut values: Vec<f64> = (0..6_000).map(f64::from).collect();
        values.extend(vec![2_500.0; 4_000]);
        values.sort_by(f64::total_cmp);
        let edges = quantile_edges(&values);
        let at = edges.iter().position(|&edge| edge == 2_500.0).unwrap();
        assert_eq!(edges[at - 1], 2_500.0f64.next_down());
        let (count, heaviest) = shares(&values);
        assert!(count <= 1_025 && heaviest <= 10.0 / 10_000.0, "{count} {heaviest}");
    }

    #[test]
    fn many_middling_ties_still_fit() {
        let values: Vec<f64> = (0..30_000).map(|i| f64::from(i % 1_500)).collect();
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let (count, heaviest) = shares(&sorted);
        assert!(count <= 1_025 && heaviest <= 2.0 / 1_024.0, "{count} {heaviest}");
    }

    #[test]
    fn a_constant_has_three_bins_and_nothing_has_one() {
        assert_eq!(quantile_edges(&[0.0, 0.0]), vec![-5e-324, 0.0]);
        assert_eq!(quantile_edges(&[]), Vec::<f64>::new());
        assert_eq!(quantile_edges(&[f64::MIN, f64::MAX]), vec![f64::MIN, f64::MAX.next_down()]);
    }
}
