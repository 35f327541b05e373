//! Sets of offsets of one partition.

/// The same offsets as ranges that ascend, and neither overlap nor touch. An empty range is none.
pub fn merged(mut ranges: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    ranges.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from, to) in ranges.into_iter().filter(|(from, to)| from < to) {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(merged(vec![(7, 9), (1, 3), (3, 4), (2, 3), (8, 8)]), [(1, 4), (7, 9)]);
    }
}
