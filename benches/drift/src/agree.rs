//! The statistics by themselves, for comparison with SciPy's.

use std::path::PathBuf;

use crate::question::{Numbers, Slice};
use driftmill_drift::{Layout, Profile, ReferenceProfile, chi2, fdr, ks, psi};
use serde::Deserialize;
use serde_json::{Value, json};

/// Pairs of samples.
#[derive(Deserialize)]
pub struct Pairs {
    file: PathBuf,
    pairs: Vec<(Slice, Slice)>,
}

/// D of the samples, both p-values, and what the bins know of D.
pub fn pairs(asked: &Pairs) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&asked.file)?;
    let mut found = Vec::new();
    for &(a, b) in &asked.pairs {
        let (a, b) = (numbers.of(a)?, numbers.of(b)?);
        let (m, n) = (a.len() as u64, b.len() as u64);
        let d = ks::statistic(a, b).unwrap_or(f64::NAN);
        let exact = if m * n <= ks::EXACT_LIMIT { ks::p_exact(d, m, n) } else { None };
        let layout = Layout::new(ReferenceProfile::build(&[("x", a)])?)?;
        let mut profile = Profile::new(&layout);
        profile.observe("x", b)?;
        let bounds = layout.feature(0).ks(profile.feature(0)).map(|bounds| (bounds.low, bounds.high));
        found.push(json!({
            "d": d, "p": ks::p_value(d, m, n), "exact": exact, "asymptotic": ks::p_asymptotic(d, m, n), "bounds": bounds,
        }));
    }
    Ok(json!({ "pairs": found }))
}

/// Tables of counts, and p-values of many features.
#[derive(Deserialize)]
pub struct Counts {
    tables: Vec<(Vec<u64>, Vec<u64>)>,
    p: Vec<f64>,
}

/// What is known of each table; the q-values.
pub fn counts(asked: &Counts) -> anyhow::Result<Value> {
    let table = |(a, b): &(Vec<u64>, Vec<u64>)| {
        let test = chi2::homogeneity(a, b);
        json!({
            "chi2": test.statistic, "df": test.df, "p": test.p, "jensen_shannon": chi2::jensen_shannon(a, b),
            "psi": psi::psi(a, b), "psi_without_pseudo_count": psi::psi_with(a, b, 0.0),
        })
    };
    let tables: Vec<Value> = asked.tables.iter().map(table).collect();
    Ok(json!({ "tables": tables, "q": fdr::benjamini_hochberg(&asked.p) }))
}
