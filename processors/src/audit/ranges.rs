//! Sets of offsets as sorted, disjoint, half-open ranges.

use driftmill_platform::kafka::merged;

/// Offsets `from..to`.
pub type Range = (i64, i64);

/// The offsets of any of `ranges` that lie in `within`.
pub fn union(ranges: Vec<Range>, within: Range) -> Vec<Range> {
    merged(ranges.into_iter().map(|(from, to)| (from.max(within.0), to.min(within.1))).collect())
}

/// The offsets of `all` that are not in `taken`; both sorted and disjoint.
pub fn without(all: &[Range], taken: &[Range]) -> Vec<Range> {
    let mut rest = Vec::new();
    for &(start, to) in all {
        let mut from = start;
        for &(taken_from, taken_to) in taken.iter().filter(|taken| taken.1 > start && taken.0 < to) {
            if taken_from > from {
                rest.push((from, taken_from));
            }
            from = from.max(taken_to);
        }
        if from < to {
            rest.push((from, to));
        }
    }
    rest
}

/// Number of offsets.
pub fn count(ranges: &[Range]) -> u64 {
    ranges.iter().map(|(from, to)| (to - from).unsigned_abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_and_touching_ranges_become_one() {
        assert_eq!(union(vec![(5, 9), (0, 2), (2, 4), (6, 12), (20, 20)], (1, 10)), [(1, 4), (5, 10)]);
        assert_eq!(union(vec![(0, 3)], (3, 9)), []);
    }

    #[test]
    fn what_is_taken_is_cut_out() {
        assert_eq!(without(&[(0, 10), (20, 30)], &[(0, 2), (4, 5), (8, 22)]), [(2, 4), (5, 8), (22, 30)]);
        assert_eq!(without(&[(0, 10)], &[(0, 10)]), []);
        assert_eq!(count(&without(&[(0, 10)], &[])), 10);
    }
}
