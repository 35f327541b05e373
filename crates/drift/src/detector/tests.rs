//! What the detector must find, and what it must leave alone.

use super::*;
use crate::{
    binner::Binner,
    column::{Column, binned},
    edges::quantile_edges,
    resample::Reason,
    testing::{Lcg, autoregressive},
};
use std::f64::consts::TAU;

/// A detector made from a history.
struct Fitted {
    binner: Binner,
    scores: Scores,
    calibration: Calibration,
}

impl Fitted {
    fn new(history: &[f64]) -> Self {
        let mut sorted: Vec<f64> = history.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let binner = Binner::new(&quantile_edges(&sorted));
        let rows = binned(&binner, history);
        let column = Column { rows: &rows, bins: binner.bins() };
        let calibration = calibrate(&column, 1, &quick()).unwrap();
        let scores = Scores::new(&column.counts()[..binner.bins()]);
        Self { binner, scores, calibration }
    }

    fn step(&self, cusum: &mut Cusum, value: f64) -> Option<Alarm> {
        let bin = self.binner.bin(value);
        cusum.update(&self.calibration.limits, self.scores.z(bin)?, self.scores.w(bin)?)
    }

    fn alarms(&self, values: impl IntoIterator<Item = f64>) -> Vec<Alarm> {
        let mut cusum = Cusum::default();
        let step = |value| {
            let alarm = self.step(&mut cusum, value);
            alarm.inspect(|_| cusum.reset())
        };
        values.into_iter().filter_map(step).collect()
    }
}

/// A quarter of the usual work.
fn quick() -> Settings {
    Settings { replicates: 128, rows: 40_000, ..Settings::default() }
}

fn day(random: &mut Lcg, rows: usize) -> Vec<f64> {
    (0..rows).map(|row| (TAU * row as f64 / 1_440.0).sin() + random.normal()).collect()
}

#[test]
fn scores_are_standard_over_the_reference_and_finite_beyond_it() {
    let mut heavy = vec![0u64, 3, 1, 0, 900, 7];
    heavy.extend([2; 500]);
    heavy.push(0);
    let even: Vec<u64> = [0].into_iter().chain([10; 1_024]).chain([0]).collect();
    for counts in [heavy, even] {
        let scores = Scores::new(&counts);
        let n = counts.iter().sum::<u64>() as f64;
        let mean = |value: &dyn Fn(usize) -> f64| {
            counts.iter().enumerate().map(|(bin, &count)| count as f64 * value(bin)).sum::<f64>() / n
        };
        for score in [Scores::z, Scores::w] {
            let score = |bin| score(&scores, bin).unwrap();
            assert!(mean(&score).abs() < 1e-12 && (mean(&|bin| score(bin).powi(2)) - 1.0).abs() < 1e-12);
        }
        let z: Vec<f64> = (0..counts.len()).map(|bin| scores.z(bin).unwrap()).collect();
        assert!(z.is_sorted() && z.iter().all(|z| z.is_finite() && z.abs() < 10.0));
        assert!(z[0] < z[1] && scores.w(0).unwrap() > scores.w(counts.len() / 2).unwrap());
    }
    let fair = Scores::new(&[0, 10_240, 0]);
    assert_eq!((fair.z(1), fair.w(1), fair.z(3), fair.bins()), (Some(0.0), Some(0.0), None, 3));
    assert!(fair.z(2).unwrap() > 3.0 && (fair.z(0).unwrap() + fair.z(2).unwrap()).abs() < 1e-9);
    // Two equally heavy values have one spread only.
    assert_eq!(Scores::new(&[5, 5]).w(0), Some(0.0));
    assert_eq!((Scores::new(&[0, 0]).z(1), Scores::new(&[]).z(0)), (Some(0.0), None));
}

#[test]
fn sums_leave_missing_values_out() {
    let scores = Scores::new(&[1, 2, 1]);
    let sums = scores.sums(&[1, 0, 2, 99]);
    assert_eq!(sums.n, 3);
    assert_eq!(sums.z, scores.z(0).unwrap() + 2.0 * scores.z(2).unwrap());
    assert_eq!(scores.sums(&[0, 0, 0, 5]), Sums::default());
}

#[test]
fn evidence_adds_up_and_an_alarm_says_since_when() {
    let limits = Limits { k_location: 0.5, k_spread: 0.5, thresholds: [2.0, 2.0, 9.0, 9.0] };
    let mut cusum = Cusum::default();
    for z in [0.0, 1.0, -1.0, 1.5] {
        assert_eq!(cusum.update(&limits, z, 0.0), None);
    }
    assert_eq!(cusum.sides[0], Side { value: 1.0, since: 1 });
    assert_eq!(cusum.update(&limits, 1.0, 0.0), None);
    let alarm = cusum.update(&limits, 1.0, 0.0).filter(|_| false);
    assert_eq!(alarm, None, "2.0 is not above 2.0");
    let stored: Cusum = serde_json::from_str(&serde_json::to_string(&cusum).unwrap()).unwrap();
    assert_eq!(stored, cusum);
    let alarm = cusum.advance(&limits, &Sums { n: 4, z: 2.5, w: -3.0 }).unwrap();
    assert_eq!(alarm, Alarm { direction: Direction::LocationUp, value: 2.5, threshold: 2.0, since: 7 });
    assert_eq!(cusum.alarm(&limits), Some(alarm));
    cusum.reset();
    assert_eq!((cusum, cusum.alarm(&limits)), (Cusum::default(), None));
    let both = cusum.advance(&limits, &Sums { n: 10, z: -8.0, w: 40.0 }).unwrap();
    assert_eq!(both.direction, Direction::SpreadUp, "35 of 9 is more than 3 of 2");
}

#[test]
fn panes_have_no_more_evidence_than_their_values() {
    let mut random = Lcg::new(2);
    let limits = Limits { k_location: 0.1, k_spread: 0.1, thresholds: [1e9; 4] };
    let (mut single, mut panes) = (Cusum::default(), Cusum::default());
    for _ in 0..200 {
        let mut sums = Sums::default();
        for _ in 0..1 + random.bits() % 40 {
            let (z, w) = (random.normal(), random.normal());
            single.update(&limits, z, w);
            sums = Sums { n: sums.n + 1, z: sums.z + z, w: sums.w + w };
        }
        panes.advance(&limits, &sums);
        let pairs = panes.sides.iter().zip(single.sides);
        pairs.for_each(|(pane, single)| assert!(pane.value <= single.value + 1e-9, "{pane:?} {single:?}"));
    }
}

#[test]
fn streams_without_drift_are_left_alone_whatever_their_distribution() {
    let (mut random, mut alarms) = (Lcg::new(3), 0);
    for _ in 0..5 {
        let history = random.normals(10_000, 0.0, 1.0);
        let fitted = Fitted::new(&history);
        // Ranks are all that counts, so a tail however heavy changes nothing.
        let heavy: Vec<f64> = history.iter().map(|x| (4.0 * x).exp()).collect();
        let stream = random.normals(100_000, 0.0, 1.0);
        let found = fitted.alarms(stream.iter().copied());
        assert_eq!(Fitted::new(&heavy).alarms(stream.iter().map(|x| (4.0 * x).exp())), found);
        alarms += found.len();
    }
    // 0.8 per 100,000 are granted: 4.
    assert!(alarms <= 12, "{alarms} alarms in 500,000 rows");
}

#[test]
fn a_daily_wave_is_no_drift() {
    let (mut random, mut alarms) = (Lcg::new(4), 0);
    for _ in 0..3 {
        let fitted = Fitted::new(&day(&mut random, 10_000));
        assert_eq!(fitted.calibration.blocks.reason, Reason::Periodic);
        alarms += fitted.alarms(day(&mut random, 100_000)).len();
    }
    assert!(alarms <= 9, "{alarms} alarms in 300,000 rows");
    let fitted = Fitted::new(&random.normals(10_000, 0.0, 1.5f64.sqrt()));
    assert!(fitted.alarms(day(&mut random, 100_000)).len() > 100, "thresholds for independent rows alarm daily");
}

#[test]
fn rows_that_resemble_their_neighbours_need_higher_thresholds() {
    let mut random = Lcg::new(5);
    let independent = Fitted::new(&random.normals(10_000, 0.0, 1.0)).calibration;
    let fitted = Fitted::new(&autoregressive(&mut random, 10_000, 0.8));
    let ratio = fitted.calibration.limits.thresholds[0] / independent.limits.thresholds[0];
    assert!((4.0..12.0).contains(&ratio), "{ratio}");
    assert!(fitted.alarms(autoregressive(&mut random, 200_000, 0.8)).len() <= 10);
}

#[test]
fn shifts_are_found_within_tens_of_values_and_none_is_missed() {
    use Direction::{LocationDown, LocationUp, SpreadUp};
    let mut random = Lcg::new(6);
    let fits: Vec<Fitted> = (0..3).map(|_| Fitted::new(&random.normals(10_000, 0.0, 1.0))).collect();
    for (shift, scale, most, direction) in [
        (0.25, 1.0, 290, LocationUp),
        (-0.5, 1.0, 110, LocationDown),
        (1.0, 1.0, 50, LocationUp),
        (0.0, 2.0, 50, SpreadUp),
    ] {
        let (mut delays, mut right) = (Vec::new(), 0);
        for fitted in fits.iter().cycle().take(30) {
            let mut cusum = Cusum::default();
            random.normals(500, 0.0, 1.0).into_iter().for_each(|value| {
                fitted.step(&mut cusum, value).inspect(|_| cusum.reset());
            });
            let alarm = (1..=5_000).find_map(|row| {
                fitted.step(&mut cusum, shift + scale * random.normal()).map(|alarm| (row, alarm.direction))
            });
            let (row, found) = alarm.unwrap();
            delays.push(row);
            right += usize::from(found == direction);
        }
        delays.sort_unstable();
        // A large shift moves values away from the middle, too.
        assert!(delays[15] <= most && right >= 24, "{shift} {scale}: {right} right, {delays:?}");
    }
}

#[test]
fn a_constant_is_quiet_until_it_changes() {
    let mut history = vec![7.0; 2_000];
    history[3] = f64::NAN;
    let fitted = Fitted::new(&history);
    assert_eq!(fitted.calibration.blocks.reason, Reason::Constant);
    assert_eq!(fitted.alarms([7.0; 10_000]), []);
    assert_eq!(fitted.alarms([7.0, 7.0, 8.0, 7.0]), [], "one odd value is no drift");
    assert_eq!(fitted.alarms([7.0, 7.0, 8.0, 8.0])[0].since, 2);
    for history in [&[][..], &[f64::NAN; 50], &[1.0], &[1.0, 2.0]] {
        let Calibration { limits, .. } = Fitted::new(history).calibration;
        assert!(limits.thresholds.iter().all(|limit| limit.is_finite() && *limit > 0.0), "{limits:?}");
        assert!(limits.k_location.is_finite() && limits.k_spread.is_finite());
    }
}

#[test]
fn a_short_history_says_so_and_allows_for_what_it_does_not_know() {
    let mut random = Lcg::new(7);
    let fitted = Fitted::new(&random.normals(150, 0.0, 1.0));
    assert_eq!(fitted.calibration.blocks.reason, Reason::TooShort);
    assert!(fitted.calibration.limits.k_location > 0.3, "{:?}", fitted.calibration.limits);
    assert!(fitted.alarms(random.normals(50_000, 0.0, 1.0)).len() <= 10);
    assert_eq!(fitted.alarms(random.normals(200, 1.5, 1.0))[0].direction, Direction::LocationUp);
}

#[test]
fn a_calibration_repeats_with_its_seed_and_comes_back_from_json() {
    let rows: Vec<u16> = Lcg::new(8).take(1_000).map(|x| (x * 50.0) as u16).collect();
    let column = Column { rows: &rows, bins: 50 };
    let calibrate = |seed| calibrate(&column, seed, &quick()).unwrap();
    assert_eq!(calibrate(1), calibrate(1));
    assert_ne!(calibrate(1).limits, calibrate(2).limits);
    let json = serde_json::to_string(&calibrate(1)).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&json).unwrap(), calibrate(1));
}

#[test]
fn senseless_settings_are_refused() {
    let spoil: [fn(&mut Settings); 5] = [
        |settings| settings.target_per_100k = 0.0,
        |settings| settings.spread_share = 1.0,
        |settings| settings.k_location = f64::NAN,
        |settings| settings.replicates = 0,
        |settings| settings.rows = 0,
    ];
    for spoil in spoil {
        let mut settings = Settings::default();
        spoil(&mut settings);
        let error = calibrate(&Column { rows: &[], bins: 1 }, 1, &settings).unwrap_err().to_string();
        assert!(error.contains("must be"), "{error}");
    }
}
