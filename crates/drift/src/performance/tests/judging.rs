//! When a change counts.

use super::{super::*, *};

fn shares(right: u64, of: u64) -> Performance {
    let mut counts = ClassCounts::new(2).unwrap();
    counts.cells = vec![right / 2, (of - right) / 2, of - right - (of - right) / 2, right - right / 2];
    counts.performance(ALPHA).unwrap()
}

const RULE: Rule = Rule { metric: Metric::Accuracy, margin: 0.02, min_rows: 100 };

#[test]
fn worse_is_beyond_chance_and_beyond_the_margin() {
    let reference = shares(1_800, 2_000);
    let judged = |right, of| judge(&RULE, &reference, &shares(right, of)).unwrap();
    let Judgement::Worse(worsening) = judged(800, 1_000) else { panic!("{:?}", judged(800, 1_000)) };
    assert!((worsening.by - 0.1).abs() < 1e-12 && worsening.interval.0 > 0.05 && worsening.interval.1 < 0.15);
    // The interval of a difference of two accuracies is Newcombe's.
    let (low, high) = crate::proportion::difference((1_800, 2_000), (800, 1_000), ALPHA);
    assert!((worsening.interval.0 - low).abs() < 1e-9 && (worsening.interval.1 - high).abs() < 1e-9);
    assert!(matches!(judged(970, 1_000), Judgement::Better(_)));
    assert!(matches!(judged(885, 1_000), Judgement::Kept(_)), "chance explains it");
    assert!(matches!(judged(88_500, 100_000), Judgement::Kept(_)), "it does not matter");
    assert_eq!(judged(10, 99), Judgement::TooFewLabels { have: 99, need: 100 });
}

#[test]
fn a_sample_of_the_same_model_is_seldom_judged_worse() {
    let strict = Rule { margin: 0.0, ..RULE };
    let mut other = 0;
    for seed in 0..300 {
        let mut random = Lcg::new(seed + 31);
        let (reference, window) = (rows(&mut random, 500, 2, 1.5, 1.0), rows(&mut random, 300, 2, 1.5, 1.0));
        other +=
            u32::from(!matches!(judge(&strict, &reference.measured(), &window.measured()), Ok(Judgement::Kept(_))));
    }
    assert!((3..=30).contains(&other), "{other} of 300 at alpha .05");
}

#[test]
fn an_estimate_is_judged_like_a_measurement() {
    let mut random = Lcg::new(32);
    let reference = rows(&mut random, 3_000, 2, 1.5, 2.0);
    let calibrator = reference.calibrator();
    let judged = |window: &Rows| judge(&RULE, &reference.measured(), &window.estimate(&calibrator)).unwrap();
    assert!(matches!(judged(&rows(&mut random, 2_000, 2, 1.5, 2.0)), Judgement::Kept(_)));
    assert!(matches!(judged(&rows(&mut random, 2_000, 2, 0.5, 2.0)), Judgement::Worse(_)));
    assert!(matches!(judged(&rows(&mut random, 2_000, 2, 4.0, 2.0)), Judgement::Better(_)));
}

#[test]
fn of_losses_more_is_worse_and_the_margin_is_a_part_of_the_reference() {
    let errors = |seed, deviation| {
        let mut counts = ValueCounts::default();
        counts.count(&Lcg::new(seed).normals(2_000, 0.0, deviation), &[0.0; 2_000]).unwrap();
        counts.performance(ALPHA).unwrap()
    };
    let judged = |margin, deviation| {
        let rule = Rule { metric: Metric::Rmse, margin, min_rows: 100 };
        judge(&rule, &errors(1, 1_000.0), &errors(2, deviation)).unwrap()
    };
    assert!(matches!(judged(0.1, 1_300.0), Judgement::Worse(worsening) if worsening.by > 200.0));
    assert!(matches!(judged(0.5, 1_300.0), Judgement::Kept(_)));
    assert!(matches!(judged(0.1, 700.0), Judgement::Better(worsening) if worsening.by < -200.0));
}

#[test]
fn what_cannot_be_judged_says_why() {
    let reference = shares(90, 100);
    let area = Rule { metric: Metric::RocAuc, ..RULE };
    let error = judge(&area, &reference, &reference).unwrap_err().to_string();
    assert!(error.contains("give no roc_auc"), "{error}");
    let with_area = rows(&mut Lcg::new(33), 300, 2, 1.5, 1.0).measured();
    assert_eq!(judge(&area, &with_area, &reference), Ok(Judgement::TooFewLabels { have: 0, need: 100 }));
    let other = Performance { alpha: 0.1, ..reference.clone() };
    assert!(judge(&RULE, &reference, &other).unwrap_err().to_string().contains("the same alpha"));
    let error = judge(&Rule { margin: f64::NAN, ..RULE }, &reference, &reference).unwrap_err().to_string();
    assert!(error.contains("`margin`"), "{error}");
    let judgement = judge(&RULE, &reference, &shares(9_000, 10_000)).unwrap();
    let text = serde_json::to_string(&judgement).unwrap();
    assert!(text.starts_with(r#"{"judgement":"kept","by":"#), "{text}");
    assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap(), judgement);
}
