//! How a question names its numbers: slices of one file of little-endian f64.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use driftmill_drift::{Layout, Policy, Profile, ReferenceProfile};
use serde::Deserialize;
use std::sync::Arc;

/// The rows of a batch, as the processors observe them.
pub const BATCH: usize = 4_096;

/// First value and number of values.
pub type Slice = (usize, usize);

/// A reference sample and a live one.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Column {
    pub reference: Slice,
    pub live: Slice,
}

/// Columns of one table.
#[derive(Deserialize)]
pub struct Table {
    pub file: PathBuf,
    pub columns: Vec<Column>,
    #[serde(default)]
    pub policy: Policy,
}

/// All numbers of the file.
pub struct Numbers(Vec<f64>);

impl Numbers {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        ensure!(rest.is_empty(), "{}: its length is no multiple of 8", path.display());
        Ok(Self(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()))
    }

    pub fn of(&self, (first, count): Slice) -> anyhow::Result<&[f64]> {
        self.0.get(first..first + count).context("a slice outside of the file")
    }
}

/// What codes of categories are called, as the peers call them.
const CATEGORIES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// The categories of codes; a code without a name is a missing value.
pub fn categories(codes: &[f64]) -> Vec<Option<&'static str>> {
    codes.iter().map(|&code| if code.is_nan() { None } else { CATEGORIES.get(code as usize).copied() }).collect()
}

/// `x0`, `x1`, …
pub fn names(columns: &[Column]) -> Vec<String> {
    (0..columns.len()).map(|index| format!("x{index}")).collect()
}

/// The reference of the columns.
pub fn reference(numbers: &Numbers, columns: &[Column]) -> anyhow::Result<ReferenceProfile> {
    let names = names(columns);
    let table: Vec<(&str, &[f64])> = names
        .iter()
        .zip(columns)
        .map(|(name, column)| Ok((name.as_str(), numbers.of(column.reference)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(ReferenceProfile::build(&table)?)
}

/// The live rows, counted batch by batch.
pub fn observe(layout: &Arc<Layout>, numbers: &Numbers, columns: &[Column]) -> anyhow::Result<Profile> {
    let names = names(columns);
    let mut profile = Profile::new(layout);
    let live: Vec<&[f64]> = columns.iter().map(|column| numbers.of(column.live)).collect::<anyhow::Result<_>>()?;
    let rows = live.first().map_or(0, |values| values.len());
    for from in (0..rows).step_by(BATCH) {
        let batch = from..(from + BATCH).min(rows);
        let columns: Vec<(&str, &[f64])> =
            names.iter().zip(&live).map(|(name, values)| (name.as_str(), &values[batch.clone()])).collect();
        profile.observe_batch(batch.len(), &columns)?;
    }
    Ok(profile)
}
