//! The report as text for a terminal of a hundred columns.

use super::{
    Context, Earlier,
    cells::{Change, changes, moved_cells},
    format::{columns_of, shortened, visible, width},
    heat::{Level, Timeline},
    measures, rules,
    standing::{self, Ranked},
    summary::{REASON, facts, partitions},
    verdict_mark, verdict_sentence, verdict_word,
};
use crate::report::DriftReport;

/// Columns of a line at most.
const COLUMNS: usize = 100;
/// Columns of a feature's name.
const NAME: usize = 30;
/// Earlier windows in a line.
const WINDOWS: usize = 40;
/// Columns of the longest bar, and of the name of its cell.
const BAR: usize = 36;
const LABEL: usize = 24;

/// The report as plain text, the features that moved first. No line is longer than 100 columns, and nothing in it is a command
/// to a terminal.
pub fn text(report: &DriftReport, context: &Context) -> String {
    let ranked = standing::ranked(report);
    let now = Earlier::of(report, context.judged_at_ms);
    let timeline = Timeline::of(context, &now, WINDOWS);
    let history = |name: &str| -> String {
        let levels = timeline.levels(name, &report.policy);
        if levels.len() > 1 { levels.into_iter().map(Level::mark).collect() } else { String::new() }
    };
    let mut lines = Lines::default();
    head(&mut lines, report, context);
    let (told, quiet): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|ranked| ranked.standing.is_told());
    for ranked in told {
        lines.blank();
        feature(&mut lines, report, ranked, &history(&ranked.feature.name));
    }
    if !quiet.is_empty() {
        lines.blank();
        lines.wrap("", "Others");
    }
    for ranked in quiet {
        brief(&mut lines, ranked, &history(&ranked.feature.name));
    }
    if !context.earlier.is_empty() {
        let legend: Vec<String> = Level::ALL.iter().map(|level| format!("{} {}", level.mark(), level.word())).collect();
        lines.wrap("  ", &format!("Over time, the newest window last: {}", legend.join(", ")));
    }
    rules(&mut lines, report, context);
    lines.0
}

fn head(lines: &mut Lines, report: &DriftReport, context: &Context) {
    let pipeline = shortened(&visible(&context.pipeline), NAME);
    let (mark, word) = (verdict_mark(report.verdict), verdict_word(report.verdict).to_uppercase());
    lines.wrap("", &format!("{mark} {word}  {pipeline}: {}", verdict_sentence(report)));
    for reason in &report.reasons {
        lines.wrap("  - ", &shortened(&visible(reason), REASON));
    }
    if let Some(consequence) = &context.consequence {
        lines.wrap("  → ", &shortened(&visible(consequence), REASON));
    }
    lines.blank();
    let facts = facts(report, context).into_iter().map(|(term, value)| (term.to_owned(), value));
    let offsets = |(partition, ranges)| (format!("Partition {partition}"), format!("offsets {ranges}"));
    for (term, value) in facts.chain(partitions(&report.ranges).into_iter().map(offsets)) {
        lines.wrap(&format!("{term:<15}"), &value);
    }
}

/// All of a feature that is worth a look.
fn feature(lines: &mut Lines, report: &DriftReport, Ranked { feature, standing }: Ranked<'_>, history: &str) {
    let name = shortened(&visible(&feature.name), NAME);
    lines.wrap("", &format!("{} {name}  {}  {history}", standing.mark(), standing.word()));
    if let Some(why) = measures::not_compared(feature) {
        lines.wrap("    ", why);
    }
    for sentence in moved_cells(feature) {
        lines.wrap("    ", &sentence);
    }
    let told = |measure: measures::Measure| match measure.against.is_empty() {
        true => format!("{} {}", measure.name, measure.value),
        false => {
            let yes = if measure.passed { ", yes" } else { "" };
            format!("{} {} ({}{yes})", measure.name, measure.value, measure.against)
        }
    };
    let measures: Vec<String> = measures::of(feature, &report.policy).into_iter().map(told).collect();
    lines.wrap("    ", &measures.join(" · "));
    if feature.is_comparable() {
        histogram(lines, &changes(feature));
    }
}

/// One line of a feature that did not move.
fn brief(lines: &mut Lines, Ranked { feature, standing }: Ranked<'_>, history: &str) {
    let name = padded(&shortened(&visible(&feature.name), NAME), NAME);
    let numbers = match measures::not_compared(feature) {
        Some(why) => why.to_owned(),
        None => format!("D {:<7.3} PSI {:<7.3}", feature.d_low, feature.psi),
    };
    lines.wrap(&format!("{} {name} ", standing.mark()), &format!("{numbers} {history}"));
}

fn histogram(lines: &mut Lines, changes: &[Change]) {
    let longest = changes.iter().flat_map(|change| [change.before, change.now]).fold(f64::MIN_POSITIVE, f64::max);
    let bar = |share: f64, of: &str| of.repeat((BAR as f64 * share / longest).round() as usize);
    for change in changes {
        let label = padded(&shortened(&change.label, LABEL), LABEL);
        let shares = format!("{}{}", change.mark(), change.shares());
        lines.push(&format!("    {label} {} {shares}", padded(&bar(change.before, "░"), BAR)));
        if change.now > 0.0 {
            lines.push(&format!("    {} {}", padded("", LABEL), bar(change.now, "█")));
        }
    }
    lines.push(&format!("    {} ░ reference  █ window", padded("", LABEL)));
}

fn rules(lines: &mut Lines, report: &DriftReport, context: &Context) {
    lines.blank();
    lines.wrap("", &format!("Judged by policy {}", report.policy_hash));
    for sentence in rules::sentences(&report.policy) {
        lines.wrap("  - ", &sentence);
    }
    lines.blank();
    lines.wrap("", "To check it:");
    lines.push(&format!("  {}", rules::command(report, context)));
    lines.wrap("  ", rules::REPLAY);
    lines.blank();
    for (term, meaning) in rules::GLOSSARY {
        lines.wrap(&format!("{term:<5}"), meaning);
    }
}

/// Lines of text, none too long.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn blank(&mut self) {
        self.0.push('\n');
    }

    fn push(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    /// `text` behind `lead`, its further lines indented as far.
    fn wrap(&mut self, lead: &str, text: &str) {
        let indent = width(lead);
        let mut line = lead.to_owned();
        let mut is_fresh = true;
        for word in text.split_inclusive(' ').flat_map(|word| pieces(word, COLUMNS - indent)) {
            if !is_fresh && width(&line) + width(word.trim_end()) > COLUMNS {
                self.push(&line);
                line = " ".repeat(indent);
            }
            line.push_str(word);
            is_fresh = false;
        }
        self.push(&line);
    }
}

/// A word in pieces of at most `most` columns.
fn pieces(word: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut columns) = (0, 0);
    for (at, c) in word.char_indices() {
        let wide = columns_of(c);
        if columns + wide > most && c != ' ' {
            pieces.push(&word[from..at]);
            (from, columns) = (at, 0);
        }
        columns += wide;
    }
    pieces.push(&word[from..]);
    pieces
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::{super::testing, *};

    fn said(report: &DriftReport) -> String {
        text(report, &testing::context(report, 60))
    }

    #[test]
    fn every_report_fits_into_a_hundred_columns() {
        for report in testing::all() {
            for line in said(&report).lines() {
                assert!(width(line) <= COLUMNS || line.contains("drift explain"), "{}: {line}", width(line));
                assert_eq!(line.trim_end(), line);
            }
        }
    }

    #[test]
    fn what_moved_comes_before_what_did_not() {
        let report = testing::drifted();
        let text = said(&report);
        let place = |name: &str| text.find(&format!("{name} ")).unwrap();
        assert!(text.starts_with("▲ DRIFTED  loan: "), "{text}");
        assert!(text.find("Others").unwrap() < place("○ age"), "{text}");
        assert!(report.features.iter().all(|feature| text.contains(&feature.name)), "{text}");
        assert!(text.contains("driftmill drift explain loan ") && text.contains("values above "), "{text}");
    }

    #[test]
    fn names_in_wide_letters_and_without_spaces_are_broken() {
        let mut report = testing::stable();
        report.features[0].name = "身長".repeat(40);
        report.reasons = vec!["体重".repeat(200), "x".repeat(500)];
        let text = said(&report);
        assert!(text.lines().filter(|line| !line.contains("explain")).all(|line| width(line) <= COLUMNS), "{text}");
        assert!(text.contains('身') && text.contains('体'));
    }

    #[test]
    fn a_terminal_obeys_nothing_in_it() {
        let mut report = testing::drifted();
        report.features[0].name = "a\u{1b}]0;x\u{7}\u{202e}".to_owned();
        report.reasons.push("b\u{9b}31m\r".to_owned());
        let mut context = testing::context(&report, 1);
        context.pipeline = "c\u{1b}[2J".to_owned();
        context.consequence = Some("d\u{8}".to_owned());
        let text = text(&report, &context);
        assert!(text.chars().all(|c| c == '\n' || !crate::page::format::is_unsafe(c)), "{text}");
    }
}
