//! Agreement with SciPy over a grid (`fixtures/generate.py`), and the binned bounds against the statistic of the samples.

use super::*;
use crate::layout::Layout;
use crate::testing::{Lcg, fixture, pair};
use serde_json::Value;

fn numbers(row: &Value) -> Vec<f64> {
    row.as_array().unwrap().iter().map(|cell| cell.as_f64().unwrap()).collect()
}

fn assert_close(got: f64, want: f64, relative: f64, what: &str) {
    assert!((got - want).abs() <= relative * want.abs(), "{what}: got {got:e}, want {want:e}");
}

#[test]
fn the_kolmogorov_tail_agrees_with_scipy_to_1e_9() {
    for row in fixture("kolmogorov")["kstwo"].as_array().unwrap() {
        let [n, d, want] = numbers(row)[..] else { panic!("three cells") };
        assert_close(kstwo_sf(d, n as u64), want, 1e-9, &format!("n {n} d {d}"));
    }
}

#[test]
fn the_exact_tail_agrees_with_scipy_to_1e_9() {
    for row in fixture("kolmogorov")["exact"].as_array().unwrap() {
        let [m, n, steps, want] = numbers(row)[..] else { panic!("four cells") };
        let (m_rows, n_rows) = (m as u64, n as u64);
        let gcd = (1..=m_rows).rev().find(|g| m_rows.is_multiple_of(*g) && n_rows.is_multiple_of(*g)).unwrap();
        let d = steps / (m * n / gcd as f64);
        let got = p_exact(d, m as u64, n as u64).unwrap();
        assert_close(got, want, 1e-9, &format!("m {m} n {n} steps {steps}"));
        assert_eq!(got, p_exact(d, n as u64, m as u64).unwrap(), "symmetric");
    }
}

#[test]
fn vectors_v1_v2_v5_v6_agree_with_scipy() {
    let fixtures = fixture("samples");
    for name in ["v1", "v2", "v5", "v6"] {
        let vector = &fixtures[name];
        let (reference, live) = pair(vector);
        let (m, n) = (reference.len() as u64, live.len() as u64);
        let d = statistic(&reference, &live).unwrap();
        assert!((d - vector["d"].as_f64().unwrap()).abs() < 1e-12, "{name}");
        assert_close(p_asymptotic(d, m, n), vector["asymptotic"].as_f64().unwrap(), 1e-9, name);
        if m * n <= EXACT_LIMIT {
            assert_close(p_value(d, m, n), vector["exact"].as_f64().unwrap(), 1e-9, name);
        }
    }
}

#[test]
fn vectors_v1_and_v2_have_the_published_numbers() {
    let fixtures = fixture("samples");
    for (name, d, exact, asymptotic) in [
        ("v1", 0.038, 0.4659595288557257, 0.454659503072802),
        ("v2", 0.142, 2.7104792657669987e-06, 2.5406774997153438e-06),
    ] {
        let (reference, live) = pair(&fixtures[name]);
        let (m, n) = (reference.len() as u64, live.len() as u64);
        let got = statistic(&reference, &live).unwrap();
        assert!((got - d).abs() < 1e-12);
        assert_close(p_value(got, m, n), exact, 1e-9, name);
        assert_close(p_asymptotic(got, m, n), asymptotic, 1e-9, name);
    }
    let (reference, live) = pair(&fixtures["v5"]);
    assert!((statistic(&reference, &live).unwrap() - 0.21425).abs() < 1e-12);
}

#[test]
fn vector_v9_needs_no_fixture() {
    let reference: Vec<f64> = Lcg::new(1).take(10_000).collect();
    let same: Vec<f64> = Lcg::new(2).take(5_000).collect();
    let shifted: Vec<f64> = same.iter().map(|x| x.powf(1.1)).collect();
    for (live, d, p) in [(same, 0.0105, 0.8520864079492223), (shifted, 0.0435, 6.4329623426990335e-06)] {
        let got = statistic(&reference, &live).unwrap();
        assert!((got - d).abs() < 1e-12);
        assert_close(p_value(got, 10_000, 5_000), p, 1e-9, "V9");
    }
}

#[test]
fn vector_v3_is_significant_and_small() {
    assert_close(p_value(0.00619, 200_000, 200_000), 9.3567e-4, 1e-4, "V3");
}

#[test]
fn the_bounds_hold_the_statistic_and_are_a_bin_apart() {
    for name in ["v1", "v2", "v5", "v6"] {
        let vector = &fixture("samples")[name];
        let (reference, live) = pair(vector);
        let layout = Layout::of(&[("x", &reference)]);
        let bins = layout.feature(0);
        let d = vector["d"].as_f64().unwrap();
        let got = bins.ks(&bins.count(&live)).unwrap();
        assert!(got.low <= d + 1e-15 && d <= got.high + 1e-15, "{name}: {got:?} {d}");
        let heaviest = *bins.reference().counts.iter().max().unwrap() as f64 / reference.len() as f64;
        assert!(got.high - got.low <= heaviest + 1e-15, "{name}: {got:?}");
        assert!(heaviest <= (reference.len() as f64 / 1024.0).ceil() / reference.len() as f64);
    }
}

#[test]
fn the_bounds_hold_for_any_mix_of_atoms_and_gaps() {
    let mut random = Lcg::new(5);
    for case in 0..60 {
        let (atoms, spread) = (1.0 + random.next().unwrap() * 30.0, 1.0 + random.next().unwrap() * 50.0);
        let mut draw = |shift: f64| -> f64 {
            let x = random.next().unwrap();
            if x < 0.4 { (random.next().unwrap() * atoms).floor() } else { random.next().unwrap() * spread + shift }
        };
        let reference: Vec<f64> = (0..300 + case * 40).map(|_| draw(0.0)).collect();
        let live: Vec<f64> = (0..100 + case * 7).map(|_| draw(0.3)).collect();
        let layout = Layout::of(&[("x", &reference)]);
        let bins = layout.feature(0);
        let d = statistic(&reference, &live).unwrap();
        let got = bins.ks(&bins.count(&live)).unwrap();
        assert!(got.low <= d + 1e-15 && d <= got.high + 1e-15, "{got:?} {d}");
        assert!(got.high - got.low <= 1.0 / 300.0 + 1e-15, "{got:?}");
    }
}

#[test]
fn up_to_512_distinct_values_the_statistic_is_exact() {
    let mut random = Lcg::new(6);
    let reference: Vec<f64> = (0..5_000).map(|_| (random.next().unwrap() * 500.0).floor()).collect();
    let live: Vec<f64> = (0..700).map(|_| random.next().unwrap() * 450.0).collect();
    let layout = Layout::of(&[("x", &reference)]);
    let got = layout.feature(0).ks(&layout.feature(0).count(&live)).unwrap();
    assert_eq!(got.low, got.high);
    let whole: Vec<f64> = live.iter().map(|x| x.floor()).collect();
    let got = layout.feature(0).ks(&layout.feature(0).count(&whole)).unwrap();
    assert!((got.low - statistic(&reference, &whole).unwrap()).abs() < 1e-15);
}

#[test]
fn empty_and_single_samples_are_no_evidence() {
    assert_eq!(statistic(&[], &[1.0]), None);
    assert_eq!(statistic(&[f64::NAN], &[1.0]), None);
    assert_eq!(p_value(1.0, 0, 5), 1.0);
    assert_eq!(p_value(1.0, 1, 1), 1.0);
    assert_eq!(p_asymptotic(0.3, 0, 0), 1.0);
    assert_eq!(p_value(0.0, 100, 100), 1.0);
    assert_eq!(kstwo_sf(f64::NAN, 10), 1.0);
}
