//! Tables of a report as CSV (RFC 4180, with line feeds).

use std::collections::BTreeMap;

use super::MetricSet;

/// A value, quoted where it must be.
pub(super) fn field(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// The metrics of all rows and of each slice, one a line.
pub(super) fn metrics(all: &MetricSet, slices: &BTreeMap<String, MetricSet>) -> String {
    let mut lines = vec!["slice,metric,value,lower,upper,confidence,rows,undefined".to_owned()];
    for (slice, scores) in std::iter::once(("", all)).chain(slices.iter().map(|(name, scores)| (name.as_str(), scores)))
    {
        let slice = field(slice);
        for (name, estimate) in &scores.metrics {
            let bounds = estimate.interval.map_or_else(
                || ",,".to_owned(),
                |bounds| format!("{},{},{}", bounds.lower, bounds.upper, bounds.confidence),
            );
            lines.push(format!("{slice},{name},{},{bounds},{},", estimate.value, scores.rows));
        }
        for (name, reason) in &scores.undefined {
            lines.push(format!("{slice},{name},,,,,{},{}", scores.rows, field(reason)));
        }
    }
    lines.join("\n") + "\n"
}
