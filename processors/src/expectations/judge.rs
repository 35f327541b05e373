//! Whether a window meets an expectation.

use driftmill_schemas::pipeline::{Pipeline, Rule, Severity};

/// Milliseconds of the windows that results about records are counted in.
const MINUTE: i64 = 60_000;

/// An expectation as it is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its name.
    pub title: String,
    /// What a breach leads to.
    pub severity: Severity,
    /// Milliseconds of its windows.
    pub per: i64,
    /// What is wanted of a window.
    pub kind: Kind,
}

/// What is wanted of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// No record in it breaks the rule.
    Records,
    /// At most this share of its rows breaks the rule; fewer than so many are not judged.
    Share {
        /// 0 to 1.
        at_most: f64,
        /// Rows.
        min_rows: u64,
    },
    /// It holds so many rows.
    Volume {
        /// Fewest.
        at_least: Option<u64>,
        /// Most.
        at_most: Option<u64>,
    },
}

impl Kind {
    /// What the rule is about, as the table says it.
    pub fn about(self) -> &'static str {
        match self {
            Self::Records => "record",
            Self::Share { .. } | Self::Volume { .. } => "window",
        }
    }
}

/// What a window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were written.
    pub rows: u64,
    /// Records that an expectation, or a label that is no class, kept from becoming rows.
    pub refused: u64,
    /// Rows and refused records that break the rule.
    pub broken: u64,
}

/// What became of an expectation in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Records, or rows, that were looked at.
    pub checked: u64,
    /// Those that break the rule.
    pub broken: u64,
    /// Whether the window is as it should be.
    pub met: bool,
    /// What there is to say about it, for people.
    pub detail: String,
}

/// The expectations of a pipeline, in the order of its file.
pub fn watched(pipeline: &Pipeline) -> Vec<Watched> {
    let watched = |expectation: &driftmill_schemas::pipeline::Expectation| {
        let rule = expectation.rule().ok()?;
        let kind = match &rule {
            Rule::NullRate(_, rule) => Kind::Share { at_most: rule.at_most, min_rows: rule.min_rows },
            Rule::Volume(rule) => Kind::Volume { at_least: rule.at_least, at_most: rule.at_most },
            _ => Kind::Records,
        };
        let per = rule.window().map_or(MINUTE, |seconds| i64::try_from(seconds).unwrap_or(MINUTE) * 1_000);
        Some(Watched { title: expectation.title(), severity: expectation.severity(), per, kind })
    };
    pipeline.expectations.iter().filter_map(watched).collect()
}

/// Judges a window that is over.
pub fn judge(kind: Kind, counts: Counts) -> Outcome {
    let Counts { rows, refused, broken } = counts;
    match kind {
        Kind::Records => {
            let checked = rows + refused;
            Outcome { checked, broken, met: broken == 0, detail: format!("{broken} of {checked} records break it") }
        }
        Kind::Share { min_rows, .. } if rows < min_rows => {
            let detail = format!("not judged: {rows} rows, and {min_rows} are wanted");
            Outcome { checked: rows, broken, met: true, detail }
        }
        Kind::Share { at_most, .. } => {
            let share = if rows == 0 { 0.0 } else { broken as f64 / rows as f64 };
            let detail = format!("{broken} of {rows} rows are null: {share:.4}");
            Outcome { checked: rows, broken, met: share <= at_most, detail }
        }
        Kind::Volume { at_least, at_most } => {
            let enough = at_least.is_none_or(|least| rows >= least);
            let met = enough && at_most.is_none_or(|most| rows <= most);
            Outcome { checked: rows, broken: 0, met, detail: format!("{rows} rows") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_judged_by_what_it_holds() {
        let share = Kind::Share { at_most: 0.1, min_rows: 10 };
        let volume = Kind::Volume { at_least: Some(2), at_most: Some(5) };
        let cases = [
            (Kind::Records, (10, 0, 0), (10, 0, true)),
            (Kind::Records, (10, 3, 2), (13, 2, false)),
            (share, (20, 5, 2), (20, 2, true)),
            (share, (20, 5, 3), (20, 3, false)),
            (share, (9, 0, 9), (9, 9, true)),
            (Kind::Share { at_most: 0.1, min_rows: 0 }, (0, 0, 0), (0, 0, true)),
            (volume, (1, 9, 0), (1, 0, false)),
            (volume, (2, 0, 0), (2, 0, true)),
            (volume, (5, 0, 0), (5, 0, true)),
            (volume, (6, 0, 0), (6, 0, false)),
        ];
        for (kind, (rows, refused, broken), wanted) in cases {
            let outcome = judge(kind, Counts { rows, refused, broken });
            assert_eq!((outcome.checked, outcome.broken, outcome.met), wanted, "{kind:?}");
        }
    }

    #[test]
    fn few_rows_are_said_to_be_few() {
        let outcome = judge(Kind::Share { at_most: 0.1, min_rows: 10 }, Counts { rows: 9, refused: 0, broken: 9 });
        assert!(outcome.detail.contains("not judged"), "{}", outcome.detail);
    }
}
