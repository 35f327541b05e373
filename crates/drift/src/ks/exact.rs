//! The exact two-sample p-value by counting lattice paths (Hodges 1957).

/// P(D ≥ d) over all orderings of `m` and `n` values, all equally likely when both samples come from one continuous
/// distribution (with ties the result is conservative). `d` is snapped to the nearest multiple of 1/lcm(m, n).
/// Costs O(m·n) time and O(min(m, n)) memory; meant for m·n up to [`super::EXACT_LIMIT`].
///
/// An ordering is a path from (0, 0) to (m, n). Let P(x, y) be the share of the paths to (x, y) that touched
/// |x/m − y/n| ≥ d on the way. It is 1 where the point itself is that far out, else
/// `P(x, y) = (x·P(x−1, y) + y·P(x, y−1)) / (x + y)`. Only positive numbers are added, so tiny p-values stay accurate,
/// and the points of one diagonal x + y do not depend on each other.
pub(super) fn two_sample_sf(d: f64, m: u64, n: u64) -> f64 {
    if m == 0 || n == 0 || d.is_nan() || d <= 0.0 {
        return 1.0;
    }
    let (m, n) = (m.min(n), m.max(n));
    let gcd = greatest_common_divisor(m, n);
    let (step_x, step_y) = (n / gcd, m / gcd);
    let lcm = step_x * m;
    // A point is outside when |x·step_x − y·step_y| ≥ limit.
    let limit = (d * lcm as f64).round().max(1.0) as u64;
    if limit > lcm {
        return 0.0;
    }
    // While diagonal s is worked on, share[x] goes from P(x, s − 1 − x) to P(x, s − x); 1 outside the band of inner points.
    let mut share = vec![1.0f64; m as usize + 1];
    share[0] = 0.0;
    let mut former_low = 0;
    for s in 1..=m + n {
        // Inner points of the diagonal: |x·(step_x + step_y) − s·step_y| < limit, within the grid.
        let (slope, centre) = (step_x + step_y, s * step_y);
        let low = (centre + 1).saturating_sub(limit).div_ceil(slope).max(s.saturating_sub(n)) as usize;
        let high = ((centre + limit - 1) / slope).min(m).min(s) as usize;
        if low > high {
            return 1.0;
        }
        advance(&mut share[low.max(1) - 1..=high], low.max(1), s);
        share[former_low..low].fill(1.0);
        former_low = low;
    }
    share[m as usize].min(1.0)
}

/// Moves `share[1..]`, whose x start at `first`, on to diagonal `s`; `share[0]` belongs to x = first − 1 and stays.
fn advance(share: &mut [f64], first: usize, s: u64) {
    let (total, inverse) = (s as f64, 1.0 / s as f64);
    // Downwards: share[x − 1] must still be that of the diagonal before.
    for index in (1..share.len()).rev() {
        let x = (first + index - 1) as f64;
        share[index] = (x * share[index - 1] + (total - x) * share[index]) * inverse;
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
