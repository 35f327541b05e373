//! What a replay comes to.

use std::collections::BTreeMap;

use driftmill_processors::dead_letters::{Letter, Outcome};

use super::text::{escaped, shortened};

/// Characters of a reason that are shown.
const REASON_SHOWN: usize = 300;

/// Counts outcomes; of those that are no success, one example each.
#[derive(Debug, Default)]
pub struct Report {
    replayed: u64,
    already: u64,
    /// By kind: how many, and origin and reason of the first.
    refused: BTreeMap<String, (u64, String, String)>,
    /// By reason: how many, and origin of the first.
    impossible: BTreeMap<String, (u64, String)>,
}

impl Report {
    /// Counts what became of `letter`.
    pub fn add(&mut self, letter: &Letter, outcome: &Outcome) {
        match outcome {
            Outcome::Row => self.replayed += 1,
            Outcome::Already => self.already += 1,
            Outcome::Refused { kind, message } => {
                let first = || (0, letter.origin.clone(), message.clone());
                self.refused.entry(kind.clone()).or_insert_with(first).0 += 1;
            }
            Outcome::Impossible(why) => self.miss(&letter.origin, why),
        }
    }

    /// Counts a letter that cannot be replayed.
    pub fn miss(&mut self, origin: &str, why: &str) {
        self.impossible.entry(why.to_owned()).or_insert_with(|| (0, origin.to_owned())).0 += 1;
    }

    /// Letters that are still refused, and letters that cannot be replayed.
    pub fn left(&self) -> (u64, u64) {
        (self.refused.values().map(|found| found.0).sum(), self.impossible.values().map(|found| found.0).sum())
    }

    /// For people.
    pub fn written(&self, pipeline: &str, dry: bool) -> String {
        let (refused, impossible) = self.left();
        let (replayed, still) =
            if dry { ("would be replayed", "would still be refused") } else { ("replayed", "still refused") };
        let mut text = format!("{pipeline}: {} {replayed}, {refused} {still}", self.replayed);
        if impossible > 0 {
            text.push_str(&format!(", {impossible} cannot be replayed"));
        }
        if self.already > 0 {
            text.push_str(&format!(", {} were replayed before", self.already));
        }
        text.push('\n');
        for (kind, (count, origin, message)) in &self.refused {
            let (kind, origin, message) = (escaped(kind), escaped(origin), shortened(message, REASON_SHOWN));
            text.push_str(&format!("  {count} × {kind}, first {origin}: {message}\n"));
        }
        for (why, (count, origin)) in &self.impossible {
            let (origin, why) = (escaped(origin), shortened(why, REASON_SHOWN));
            text.push_str(&format!("  {count} × not replayable, first {origin}: {why}\n"));
        }
        text
    }
}

/// What became of one letter, as a line.
pub fn line(origin: &str, outcome: &Outcome, dry: bool) -> String {
    let what = match (outcome, dry) {
        (Outcome::Row, false) => "is a row now".to_owned(),
        (Outcome::Row, true) => "would become a row".to_owned(),
        (Outcome::Already, _) => "was replayed before".to_owned(),
        (Outcome::Refused { kind, message }, false) => format!("is still refused: {kind}: {message}"),
        (Outcome::Refused { kind, message }, true) => format!("would still be refused: {kind}: {message}"),
        (Outcome::Impossible(why), _) => format!("cannot be replayed: {why}"),
    };
    format!("{} {}", escaped(origin), shortened(&what, REASON_SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::list::tests::hostile;

    #[test]
    fn a_report_counts_every_letter_once_and_gives_one_example_a_reason() {
        let mut report = Report::default();
        let refused = |kind: &str| Outcome::Refused { kind: kind.to_owned(), message: "x\u{1b}".to_owned() };
        let why = Outcome::Impossible("its bytes are gone".to_owned());
        let outcomes = [Outcome::Row, Outcome::Row, Outcome::Already, refused("A"), refused("A"), refused("B"), why];
        for (i, outcome) in outcomes.iter().enumerate() {
            report.add(&Letter { origin: format!("o/{i}"), ..hostile() }, outcome);
        }
        assert_eq!(report.left(), (3, 1));
        assert_eq!(
            report.written("iris", false),
            "iris: 2 replayed, 3 still refused, 1 cannot be replayed, 1 were replayed before\n  \
             2 × A, first o/3: x\\u{1b}\n  1 × B, first o/5: x\\u{1b}\n  \
             1 × not replayable, first o/6: its bytes are gone\n"
        );
        assert!(report.written("iris", true).starts_with("iris: 2 would be replayed, 3 would still be refused"));
    }

    #[test]
    fn a_line_says_what_would_come_of_a_letter_and_what_came_of_it() {
        assert_eq!(line("t/0/1", &Outcome::Row, true), "t/0/1 would become a row");
        assert_eq!(line("t/0/1", &Outcome::Row, false), "t/0/1 is a row now");
        let refused = Outcome::Refused { kind: "K".to_owned(), message: "a\nb".to_owned() };
        assert_eq!(line("t/0/1", &refused, false), "t/0/1 is still refused: K: a\\nb");
    }
}
