//! Counting into profiles what a model's reference knows; what it does not know was added after the model was fitted, and it
//! does not see it.

use driftmill_drift::layout::Cells;
use driftmill_drift::{Profile, Values, profile};
use driftmill_features::aspects;

/// Counts `values` of `name` if the reference has such a feature of that kind. `times` as in [`Profile::observe_values`].
///
/// # Errors
/// More rows than counters hold.
pub fn count(profile: &mut Profile, name: &str, values: Values<'_>, times: &[i64]) -> Result<(), profile::Error> {
    let Some(index) = profile.layout().index_of(name) else { return Ok(()) };
    let fits = match (profile.layout().feature(index).cells(), values) {
        (Cells::Numbers { .. }, Values::Numbers(_)) | (Cells::Categories(_), Values::Categories(_)) => true,
        // A number in the model is a category now: another model has to be fitted first.
        _ => false,
    };
    if fits { profile.observe_values(name, values, times) } else { Ok(()) }
}

/// Counts the aspects of a feature, as [`aspects`] gives them.
///
/// # Errors
/// As [`count`].
pub fn count_aspects(profile: &mut Profile, names: &[String], columns: &[Vec<f64>]) -> Result<(), profile::Error> {
    names.iter().zip(columns).try_for_each(|(name, values)| count(profile, name, Values::Numbers(values), &[]))
}

/// Whether the reference has any of the aspects: those of an image cost something.
pub fn knows_any(profile: &Profile, names: &[String]) -> bool {
    names.iter().any(|name| profile.layout().index_of(name).is_some())
}

/// Counts texts by their aspects.
///
/// # Errors
/// As [`count`].
pub fn count_texts<'a>(
    profile: &mut Profile,
    names: &[String],
    texts: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), profile::Error> {
    if knows_any(profile, names) { count_aspects(profile, names, &aspects::of_texts(texts)) } else { Ok(()) }
}
