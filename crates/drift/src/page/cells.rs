//! The cells of a feature in words: what each stands for, and which of them moved most.

use super::format::{digits, percent, shortened, visible};
use crate::report::{CellReport, Comparison, FeatureReport};

/// Sentences about a feature at most.
const MOST_SENTENCES: usize = 3;
/// A change of a share that is worth a sentence, and a part of the largest change that is.
const WORTH_TELLING: (f64, f64) = (0.01, 0.25);
/// What a further cell must add to the change of a range of cells, so that noise does not widen it.
const WIDENS: f64 = 0.005;
/// Standard deviations of chance that a change must exceed: many, as the largest of many changes is picked.
const BEYOND_CHANCE: f64 = 4.0;
/// Columns of a category's name in a sentence.
const NAME: usize = 40;

/// One cell, or several next to each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// Which values.
    pub(super) label: String,
    /// Their share of the reference's values.
    pub(super) before: f64,
    /// Their share of the window's values.
    pub(super) now: f64,
    /// Whether chance hardly explains the difference.
    pub(super) stands_out: bool,
}

impl Change {
    fn of(label: String, (part, whole): (f64, f64), (live_part, live_whole): (f64, f64)) -> Self {
        let (before, now) = (part / whole.max(1.0), live_part / live_whole.max(1.0));
        let pooled = (part + live_part) / (whole + live_whole).max(1.0);
        let deviation = (pooled * (1.0 - pooled) * (1.0 / whole.max(1.0) + 1.0 / live_whole.max(1.0))).max(0.0).sqrt();
        let both = whole > 0.0 && live_whole > 0.0;
        let change = (now - before).abs();
        Self { label, before, now, stands_out: both && change >= WORTH_TELLING.0 && change > BEYOND_CHANCE * deviation }
    }

    pub(super) fn size(&self) -> f64 {
        (self.now - self.before).abs()
    }

    /// Which way it went, where it stands out.
    pub(super) fn mark(&self) -> &'static str {
        match (self.stands_out, self.now > self.before) {
            (false, _) => "",
            (true, true) => "▲ ",
            (true, false) => "▼ ",
        }
    }

    /// "12 % → 41 %"
    pub(super) fn shares(&self) -> String {
        format!("{} → {}", percent(self.before), percent(self.now))
    }
}

/// Which values of a feature became more or less frequent, the largest change first: `values above 5.1: 12 % → 41 %`. Nothing
/// where no change stands out from chance. Names are made safe for a terminal.
pub fn moved_cells(feature: &FeatureReport) -> Vec<String> {
    let mut changes = match feature.comparison {
        Comparison::Categories => changes(feature),
        Comparison::Numbers | Comparison::Seasonal => ranges(&feature.cells),
    };
    let side = |missing: u64, rows: u64| (missing as f64, rows as f64);
    changes.push(Change::of(
        "no value".to_owned(),
        side(feature.reference_missing, feature.reference_rows),
        side(feature.live_missing, feature.live_rows),
    ));
    changes.retain(|change| change.stands_out);
    changes.sort_by(|a, b| b.size().total_cmp(&a.size()));
    let least = changes.first().map_or(0.0, Change::size) * WORTH_TELLING.1;
    let told = changes.iter().take_while(|change| change.size() >= least).take(MOST_SENTENCES);
    told.map(|change| format!("{}: {}", change.label, change.shares())).collect()
}

/// Every cell of a feature.
pub(super) fn changes(feature: &FeatureReport) -> Vec<Change> {
    let cells = &feature.cells;
    let bounds = Bounds::of(cells);
    let whole = totals(cells);
    let change = |(index, cell): (usize, &CellReport)| {
        let label = match (&cell.category, feature.comparison) {
            (Some(name), _) => format!("“{}”", shortened(&visible(name), NAME)),
            (None, Comparison::Categories) => "all others".to_owned(),
            (None, _) => bounds.label(index, index),
        };
        Change::of(label, (cell.reference as f64, whole.0), (cell.live as f64, whole.1))
    };
    cells.iter().enumerate().map(change).collect()
}

fn totals(cells: &[CellReport]) -> (f64, f64) {
    cells.iter().fold((0.0, 0.0), |(a, b), cell| (a + cell.reference as f64, b + cell.live as f64))
}

/// The ranges of numbers, each of cells that touch, whose shares changed most: none overlaps another.
fn ranges(cells: &[CellReport]) -> Vec<Change> {
    let bounds = Bounds::of(cells);
    let (m, n) = totals(cells);
    let changes: Vec<f64> =
        cells.iter().map(|cell| cell.live as f64 / n.max(1.0) - cell.reference as f64 / m.max(1.0)).collect();
    let mut taken = vec![false; cells.len()];
    let mut found = Vec::new();
    while found.len() < MOST_SENTENCES {
        let Some((from, to)) = widest(&changes, &taken) else { break };
        taken[from..=to].fill(true);
        let (before, now) = totals(&cells[from..=to]);
        found.push(Change::of(format!("values {}", bounds.label(from, to)), (before, m), (now, n)));
    }
    // Two halves of one line say the same twice.
    if found.len() == 2 && taken.iter().all(|taken| *taken) {
        found.pop();
    }
    found
}

/// The free range of cells with the largest change, up or down. Cells are twenty at most: all ranges are tried.
fn widest(changes: &[f64], taken: &[bool]) -> Option<(usize, usize)> {
    let mut best: Option<((usize, usize), f64)> = None;
    for from in 0..changes.len() {
        let mut sum = 0.0;
        for to in (from..changes.len()).take_while(|to| !taken[*to]) {
            sum += changes[to];
            let gain = f64::abs(sum) - WIDENS * (to - from + 1) as f64;
            if gain > best.map_or(0.0, |(_, most)| most) {
                best = Some(((from, to), gain));
            }
        }
    }
    best.map(|(range, _)| range)
}

/// Where cells of numbers end, with as many digits as tell all ends apart.
struct Bounds(Vec<Option<Bound>>);

#[derive(Clone)]
struct Bound {
    value: f64,
    /// The end lies just below `value`: the next cell begins with it.
    excluded: bool,
    text: String,
}

impl Bounds {
    fn of(cells: &[CellReport]) -> Self {
        let bound = |edge: f64| {
            // A heavy value has a bin of its own that begins with the next smaller float: 1.9999999999999998 stands for 2.
            let above = edge.next_up();
            let excluded = above.is_finite() && format!("{edge:e}").len() > format!("{above:e}").len() + 4;
            Bound { value: if excluded { above } else { edge }, excluded, text: String::new() }
        };
        let mut bounds: Vec<Option<Bound>> = cells.iter().map(|cell| cell.up_to.map(bound)).collect();
        for precision in 3..=17 {
            bounds.iter_mut().flatten().for_each(|bound| bound.text = digits(bound.value, precision));
            let ends: Vec<&Bound> = bounds.iter().flatten().collect();
            if ends.windows(2).all(|pair| pair[0].text != pair[1].text || pair[0].value == pair[1].value) {
                break;
            }
        }
        Self(bounds)
    }

    /// What the cells `from` to `to` stand for.
    fn label(&self, from: usize, to: usize) -> String {
        let lower = from.checked_sub(1).and_then(|before| self.0.get(before)).and_then(Option::as_ref);
        let upper = self.0.get(to).and_then(Option::as_ref);
        match (lower, upper) {
            (None, None) => "of any size".to_owned(),
            (None, Some(end)) => format!("{} {}", if end.excluded { "below" } else { "up to" }, end.text),
            (Some(start), None) => format!("{} {}", if start.excluded { "from" } else { "above" }, start.text),
            (Some(start), Some(end)) if start.excluded && !end.excluded && start.value == end.value => {
                format!("of exactly {}", end.text)
            }
            (Some(start), Some(end)) => {
                format!("{} to {}{}", start.text, if end.excluded { "below " } else { "" }, end.text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing, *};

    fn labels(ends: &[f64]) -> Vec<String> {
        let cell = |up_to| CellReport { up_to, category: None, reference: 1, live: 1 };
        let cells: Vec<CellReport> = ends.iter().map(|end| cell(Some(*end))).chain([cell(None)]).collect();
        let bounds = Bounds::of(&cells);
        (0..cells.len()).map(|index| bounds.label(index, index)).collect()
    }

    fn feature(name: &str, report: crate::DriftReport) -> FeatureReport {
        report.features.into_iter().find(|feature| feature.name == name).unwrap()
    }

    #[test]
    fn cells_are_told_by_their_ends() {
        assert_eq!(labels(&[1.0, 2.5]), ["up to 1", "1 to 2.5", "above 2.5"]);
        assert_eq!(labels(&[]), ["of any size"]);
        assert_eq!(labels(&[f64::MIN, f64::MAX]), ["up to -1.8e308", "-1.8e308 to 1.8e308", "above 1.8e308"]);
    }

    #[test]
    fn ends_that_look_alike_get_more_digits() {
        assert_eq!(labels(&[1000.1, 1000.4]), ["up to 1,000.1", "1,000.1 to 1,000.4", "above 1,000.4"]);
    }

    #[test]
    fn a_value_with_a_cell_of_its_own_is_told_as_that_value() {
        assert_eq!(labels(&[2f64.next_down(), 2.0]), ["below 2", "of exactly 2", "above 2"]);
        assert_eq!(labels(&[2f64.next_down(), 7.0]), ["below 2", "2 to 7", "above 7"]);
    }

    #[test]
    fn a_shift_is_told_as_the_ranges_that_gained_and_lost() {
        let told = moved_cells(&feature("income", testing::drifted()));
        let is_end = |sentence: &String| sentence.starts_with("values above ") || sentence.starts_with("values up to ");
        assert!(told.len() <= 2 && told.iter().any(is_end), "{told:?}");
        assert!(told.iter().all(|sentence| sentence.contains(" % → ")), "{told:?}");
    }

    #[test]
    fn both_tails_are_told_where_the_spread_grew() {
        let live = [30, 5, 5, 5, 5, 5, 5, 5, 5, 30];
        let cell = |(index, live): (usize, &u64)| CellReport {
            up_to: (index < 9).then_some(index as f64),
            category: None,
            reference: 1_000,
            live: live * 10,
        };
        let cells: Vec<CellReport> = live.iter().enumerate().map(cell).collect();
        let told: Vec<String> =
            ranges(&cells).iter().map(|change| format!("{} {}", change.label, change.shares())).collect();
        assert_eq!(
            told,
            ["values 0 to 8 80 % → 40 %", "values up to 0 10 % → 30 %", "values above 8 10 % → 30 %"],
            "the middle lost what the tails gained"
        );
    }

    #[test]
    fn categories_are_told_by_name_and_the_last_cell_as_all_others() {
        let told = moved_cells(&feature("region", testing::categories()));
        assert!(told.iter().any(|sentence| sentence.starts_with("“north”: ")), "{told:?}");
        assert!(told.iter().any(|sentence| sentence.starts_with("all others: ")), "{told:?}");
    }

    #[test]
    fn lost_values_are_told_and_chance_is_not() {
        let told = moved_cells(&feature("income", testing::quarantine()));
        assert!(told[0].starts_with("no value: "), "{told:?}");
        for feature in testing::stable().features {
            assert!(moved_cells(&feature).is_empty(), "{feature:?}");
        }
    }

    #[test]
    fn a_terminal_obeys_no_category() {
        let mut feature = feature("region", testing::categories());
        for cell in &mut feature.cells {
            cell.category = cell.category.take().map(|name| format!("{name}\u{1b}[2J\u{202e}"));
        }
        let told = moved_cells(&feature).join("\n");
        assert!(told.contains("north\\u{1b}[2J\\u{202e}"), "{told}");
    }
}
