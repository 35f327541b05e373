//! Evidence that a mean is above a bound, valid however often it is looked at.

/// Bets that evidence is averaged over.
const BETS: u32 = 64;

/// The natural logarithm of an e-value against "the mean of these values is at most `bound`". Under that hypothesis the chance
/// that it ever exceeds ln(1/α), over all looks at a growing sample, is at most α (Ville's inequality).
///
/// `values` are values and how often each was seen; none is below `least`, which is below `bound`. The wealth of a gambler who
/// stakes λ on every value, Π (1 + λ (x − bound)), averaged over λ from 0 to 1/(bound − least): Waudby-Smith and Ramdas,
/// "Estimating means of bounded random variables by betting", 2023, with fixed bets, so that the order of values does not
/// matter.
pub fn log_evidence(values: &[(f64, u64)], bound: f64, least: f64) -> f64 {
    let most = 1.0 / (bound - least);
    let wealth = |bet: u32| -> f64 {
        let stake = most * f64::from(bet) / f64::from(BETS + 1);
        values.iter().map(|(value, times)| *times as f64 * (stake * (value - bound)).ln_1p()).sum()
    };
    let wealth: Vec<f64> = (1..=BETS).map(wealth).collect();
    let highest = wealth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = wealth.iter().map(|one| (one - highest).exp()).sum();
    highest + (sum / f64::from(BETS)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{RngCore, SeedableRng},
    };

    /// The first look at which the evidence is enough, of `rows` looks.
    fn first(
        seed: u64,
        rows: usize,
        alpha: f64,
        bound: f64,
        least: f64,
        draw: fn(&mut ChaCha8Rng) -> f64,
    ) -> Option<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut seen: Vec<(f64, u64)> = Vec::new();
        (1..=rows).find(|_| {
            let value = draw(&mut random);
            match seen.iter_mut().find(|(known, _)| *known == value) {
                Some((_, times)) => *times += 1,
                None => seen.push((value, 1)),
            }
            log_evidence(&seen, bound, least) > (1.0 / alpha).ln()
        })
    }

    fn failing(share: f64, random: &mut ChaCha8Rng) -> f64 {
        let uniform = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        if uniform < share { 1.0 } else { 0.0 }
    }

    #[test]
    fn a_look_at_every_row_alarms_no_more_often_than_agreed() {
        let alarms =
            (0..1_000).filter(|seed| first(*seed, 400, 0.05, 0.1, 0.0, |random| failing(0.1, random)).is_some());
        let alarms = alarms.count();
        assert!(alarms <= 55, "{alarms} of 1,000");
        let alarms = (0..1_000).filter(|seed| {
            let draw = |random: &mut ChaCha8Rng| failing(0.3, random) - failing(0.28, random);
            first(*seed, 400, 0.05, 0.02, -1.0, draw).is_some()
        });
        let alarms = alarms.count();
        assert!(alarms <= 55, "{alarms} of 1,000");
    }

    #[test]
    fn what_is_worse_is_found_soon() {
        let mut delays: Vec<usize> = (0..200)
            .map(|seed| first(seed, 2_000, 0.003, 0.02, -1.0, |random| failing(0.5, random) - failing(0.05, random)))
            .map(|found| found.expect("always found"))
            .collect();
        delays.sort_unstable();
        assert!(delays[100] <= 60, "a median of {} rows", delays[100]);
        assert_eq!(first(1, 100, 0.003, 0.01, 0.0, |_| 1.0), Some(2), "two failures out of two");
    }

    #[test]
    fn nothing_seen_is_no_evidence() {
        assert_eq!(log_evidence(&[], 0.1, 0.0), 0.0);
        assert!(log_evidence(&[(0.0, 1_000_000)], 0.1, 0.0) < 0.0);
        assert!(log_evidence(&[(1.0, 1_000_000)], 0.1, 0.0).is_finite());
    }
}
