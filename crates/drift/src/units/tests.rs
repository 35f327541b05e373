use super::*;
use crate::evaluate::feature_reports;
use crate::testing::Lcg;
use crate::{Layout, Policy, Profile};

const REFERENCE: usize = 1_000;
const WINDOW: usize = 200;
const SEEDS: u64 = 40;

type Draw = fn(&mut Lcg) -> f64;

/// Features whose spread is small beside their place, as heights, weights and temperatures have it.
const KINDS: [(&str, Draw); 4] = [
    ("normal", |random| 170.0 + 10.0 * random.normal()),
    ("lognormal", |random| 50.0 * (0.15 * random.normal()).exp()),
    ("uniform", |random| 24.0 + 6.0 * random.next().unwrap_or_default()),
    ("counts", |random| (80.0 + 9.0 * random.normal()).round().max(0.0)),
];

fn looked(reference: &[f64], live: &[f64]) -> Option<UnitChange> {
    let layout = Layout::of(&[("x", reference)]);
    let mut profile = Profile::new(&layout);
    for pane in live.chunks(37) {
        profile.observe("x", pane).unwrap();
    }
    feature_reports(&profile, &Policy::default()).remove(0).unit
}

fn drawn(random: &mut Lcg, count: usize, of: impl Fn(&mut Lcg) -> f64) -> Vec<f64> {
    (0..count).map(|_| of(random)).collect()
}

/// In how many of the seeds a window of `now` was taken for one in another unit than the reference of `of`.
fn found(of: impl Fn(&mut Lcg) -> f64, now: impl Fn(f64, usize, &mut Lcg) -> f64) -> u64 {
    let found = |seed| {
        let mut random = Lcg::new(seed * 7_919 + 1);
        let reference = drawn(&mut random, REFERENCE, &of);
        let live: Vec<f64> = (0..WINDOW)
            .map(|i| {
                let x = of(&mut random);
                now(x, i, &mut random)
            })
            .collect();
        u64::from(looked(&reference, &live).is_some())
    };
    (0..SEEDS).map(found).sum()
}

#[test]
fn values_in_another_unit_are_recognised_and_the_factor_is_told() {
    let factors = [
        2.54,
        1.0 / 2.54,
        10.0,
        0.1,
        100.0,
        1e-3,
        0.3048,
        1.0 / 0.3048,
        0.453_592_37,
        1.609_344,
        60.0,
        3_600.0,
        86_400.0,
    ];
    for (kind, of) in KINDS {
        let (mut hits, mut half, mut all) = (0, 0, 0);
        // Of that one, half of the converted values would lie where others are usual.
        for factor in factors.into_iter().filter(|factor| kind != "lognormal" || *factor != 1.609_344) {
            hits += found(of, |x, _, _| factor * x);
            // The batch begins in the middle of the window.
            half += found(of, |x, i, _| if i % 2 == 0 { factor * x } else { x });
            all += SEEDS;
        }
        println!("{kind}: {hits} of {all} whole windows, {half} of {all} half windows");
        assert!(hits * 100 >= all * 95 && half * 100 >= all * 90, "{kind}: {hits}, {half} of {all}");
    }
    let warm = |random: &mut Lcg| 20.0 + 3.0 * random.normal();
    let (there, back) =
        (found(warm, |x, _, _| 1.8 * x + 32.0), found(|random| 1.8 * warm(random) + 32.0, |x, _, _| (x - 32.0) / 1.8));
    println!("degrees: {there} and {back} of {SEEDS}");
    assert!(there + back >= 2 * SEEDS * 95 / 100);
    let mut random = Lcg::new(5);
    let (reference, live) = (drawn(&mut random, 1_000, KINDS[0].1), drawn(&mut random, 200, KINDS[0].1));
    let inches: Vec<f64> = live.iter().map(|cm| cm / 2.54).collect();
    let told = looked(&reference, &inches).unwrap();
    assert_eq!((told.names.as_str(), told.rows), ("from centimetres to inches", 200));
}

#[test]
fn what_really_changed_is_not_taken_for_another_unit() {
    let (mut alarms, mut windows) = (0, 0);
    let mut count = |what: String, found: u64| {
        if found > 0 {
            println!("{what}: {found} of {SEEDS}");
        }
        alarms += found;
        windows += SEEDS;
    };
    for (kind, of) in KINDS {
        let deviation = match kind {
            "normal" => 10.0,
            "lognormal" => 7.5,
            "uniform" => 1.7,
            _ => 9.0,
        };
        count(format!("{kind}, nothing"), found(of, |x, _, _| x));
        for sigmas in [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0] {
            for sign in [-1.0, 1.0] {
                count(format!("{kind} {}σ", sign * sigmas), found(of, |x, _, _| x + sign * sigmas * deviation));
            }
        }
        for scale in [1.5, 2.0, 3.0, 1.0 / 1.5, 0.5, 1.0 / 3.0] {
            count(format!("{kind} × {scale}"), found(of, |x, _, _| scale * x));
        }
        // A step to where a unit would bring it, with its own spread.
        for (factor, centre) in [(1.609_344, 0.609_344), (2.54, 1.54), (0.453_592_37, -0.546_407_63)] {
            let middle = drawn(&mut Lcg::new(3), 2_000, of).iter().sum::<f64>() / 2_000.0;
            count(format!("{kind} shifted to × {factor}"), found(of, |x, _, _| x + centre * middle));
        }
    }
    for sigma in [1.0, 2.0, 4.0] {
        let of = move |random: &mut Lcg| (sigma * random.normal()).exp();
        for factor in [1.0, 1.5, 2.0, 2.54, 3.0, 10.0] {
            // Of so wide a feature nobody can tell.
            count(format!("lognormal σ {sigma} × {factor}"), found(of, |x, _, _| factor * x));
        }
    }
    println!("{alarms} of {windows} windows");
    assert!(alarms * 1_000 <= windows, "{alarms} of {windows}");
}

#[test]
fn series_that_grow_constants_and_codes_are_left_alone() {
    let grown = |growth: fn(f64) -> f64| {
        let series: Vec<f64> = (0..4_000).map(|i| growth(f64::from(i))).collect();
        (0..15)
            .filter(|window| looked(&series[..1_000], &series[1_000 + window * 200..1_200 + window * 200]).is_some())
            .count()
    };
    assert_eq!(grown(|i| 10.0 + i), 0);
    assert_eq!(grown(|i| (i / 500.0).exp()), 0);
    assert_eq!(grown(|i| (10.0 + i).powi(2) + 10.0 * (i / 7.0).sin()), 0);
    assert_eq!(looked(&[7.0; 500], &[70.0; 200]), None);
    assert_eq!(looked(&[0.0; 500], &[100.0; 200]), None);
    let codes: Vec<f64> = (0..1_000).map(|i| f64::from(i % 6)).collect();
    let tenfold: Vec<f64> = codes[..200].iter().map(|code| 10.0 * code).collect();
    assert_eq!(looked(&codes, &tenfold), None);
    let few: Vec<f64> = (0..50).map(|i| 100.0 + f64::from(i)).collect();
    assert_eq!(looked(&few, &few.iter().map(|x| 10.0 * x).collect::<Vec<_>>()), None);
    assert_eq!(looked(&[], &[1.0, 2.0]), None);
    assert_eq!(looked(&codes, &[f64::INFINITY; 200]), None);
}

#[test]
fn panes_of_an_earlier_build_say_nothing_and_are_read_all_the_same() {
    let mut random = Lcg::new(9);
    let reference = drawn(&mut random, 1_000, KINDS[0].1);
    let layout = Layout::of(&[("x", reference.as_slice())]);
    let mut profile = Profile::new(&layout);
    let live: Vec<f64> = drawn(&mut random, 200, KINDS[0].1).iter().map(|cm| cm / 2.54).collect();
    profile.observe("x", &live).unwrap();
    let json = profile.to_json();
    assert_eq!(Profile::from_json(&layout, &json).unwrap(), profile);
    let mut stored: serde_json::Value = serde_json::from_str(&json).unwrap();
    let far = stored["features"]["x"].as_object_mut().unwrap().remove("far").unwrap();
    assert!(far.as_array().unwrap().len() > 10);
    let before = Profile::from_json(&layout, &stored.to_string()).unwrap();
    assert_eq!(feature_reports(&before, &Policy::default())[0].unit, None);
    stored["features"]["x"]["far"] = serde_json::json!([[5, 100_000]]);
    assert!(Profile::from_json(&layout, &stored.to_string()).is_err());
}

#[test]
fn a_reference_without_an_end_has_nothing_out_of_range() {
    for reference in [&[f64::NEG_INFINITY, 1.0, f64::INFINITY][..], &[], &[f64::MAX, f64::MIN]] {
        let layout = Layout::of(&[("x", reference)]);
        let mut profile = Profile::new(&layout);
        profile.observe("x", &[f64::NEG_INFINITY, -5.0, 0.5, f64::NAN, 7.0, f64::INFINITY]).unwrap();
        assert_eq!(Profile::from_json(&layout, &profile.to_json()).unwrap(), profile);
    }
}

#[test]
fn cells_of_strange_values_are_ordered_narrow_and_the_same_for_both_zeros() {
    assert_eq!(far_cell(0.0), far_cell(-0.0));
    assert_eq!(far_cell(f64::INFINITY), far_cell(f64::MAX));
    for value in [1.0, 1.5e-300, 3.7e200, -42.0] {
        let end = far_cell_end(far_cell(value));
        assert!((end - value).abs() <= 0.04 * value.abs() && end.abs() >= value.abs(), "{value} {end}");
    }
}
