//! Compares ClickHouse with the raw topic, position by position.
//!
//! Rows in the view + dead letters = offsets, for each partition; no position twice; each row holds what was sent to its
//! position; dead letters are the records that were sent broken, with the right reason. Nothing of the product takes part:
//! plain SQL on one side, a plain Kafka client on the other.

use std::fmt::Write as _;

use super::records::{Fate, PARTITIONS, PIPELINE, Recipe, TOPIC};
use super::sql::Sql;

/// What an audit found in one partition, from the offset it began at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    pub from: usize,
    pub offsets: usize,
    pub rows: usize,
    pub dead_letters: usize,
    /// Positions that are neither a row nor a dead letter (yet).
    pub missing: Vec<usize>,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    pub partitions: Vec<Balance>,
    /// What no time can heal.
    pub faults: Vec<String>,
}

/// One row of the view, or one dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub partition: usize,
    pub offset: usize,
    /// Columns of the row tab-separated, or the kind of the dead letter.
    pub content: String,
}

impl Audit {
    /// Compares what was found with `topic`: by partition, the number of the record at each offset. Positions before
    /// `from` are left out.
    pub fn of(recipe: &Recipe, topic: &[Vec<u64>], from: &[usize], rows: &[Found], dead_letters: &[Found]) -> Self {
        let mut audit = Self::default();
        let mut seen: Vec<Vec<bool>> = topic.iter().map(|numbers| vec![false; numbers.len()]).collect();
        for (partition, numbers) in topic.iter().enumerate() {
            let offsets = numbers.len().saturating_sub(from[partition]);
            audit.partitions.push(Balance { from: from[partition], offsets, ..Balance::default() });
        }
        for (found, dead) in rows.iter().map(|row| (row, false)).chain(dead_letters.iter().map(|letter| (letter, true)))
        {
            let what = if dead { "dead letter" } else { "row" };
            let at = format!("{}/{}", found.partition, found.offset);
            let Some(&seq) = topic.get(found.partition).and_then(|numbers| numbers.get(found.offset)) else {
                audit.faults.push(format!("{at}: a {what} of a position that is not in the topic"));
                continue;
            };
            if std::mem::replace(&mut seen[found.partition][found.offset], true) {
                audit.faults.push(format!("{at}: there twice, the second time as a {what}"));
                continue;
            }
            let balance = &mut audit.partitions[found.partition];
            let expected = match (recipe.fate(seq), dead) {
                (Fate::Row, false) => recipe.row(seq),
                (Fate::Dead(kind), true) => kind.to_owned(),
                (fate, _) => {
                    audit.faults.push(format!("{at}: record {seq} is a {what} and must be {fate:?}"));
                    continue;
                }
            };
            if dead {
                balance.dead_letters += 1;
            } else {
                balance.rows += 1;
            }
            if found.content != expected {
                let content = &found.content;
                audit
                    .faults
                    .push(format!("{at}: a {what} of record {seq} holds `{content}` and must hold `{expected}`"));
            }
        }
        for (partition, balance) in audit.partitions.iter_mut().enumerate() {
            let seen = &seen[partition];
            balance.missing = (balance.from..seen.len()).filter(|offset| !seen[*offset]).collect();
        }
        audit
    }

    /// Whether nothing is missing and nothing is wrong.
    pub fn is_balanced(&self) -> bool {
        self.faults.is_empty()
            && self.partitions.iter().all(|p| p.missing.is_empty() && p.rows + p.dead_letters == p.offsets)
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut text = "partition   offsets      rows  dead letters   missing\n".to_owned();
        for (partition, balance) in self.partitions.iter().enumerate() {
            let Balance { offsets, rows, dead_letters, missing, from } = balance;
            let _ = write!(text, "{partition:>9} {offsets:>9} {rows:>9} {dead_letters:>13} {:>9}", missing.len());
            if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
                let _ = write!(text, "  ({first} to {last})");
            }
            let _ = writeln!(text, "{}", if *from > 0 { format!("  from offset {from} on") } else { String::new() });
        }
        for fault in self.faults.iter().take(20) {
            let _ = writeln!(text, "{fault}");
        }
        if self.faults.len() > 20 {
            let _ = writeln!(text, "… and {} more", self.faults.len() - 20);
        }
        text
    }
}

/// Audits by SQL, each time from where the last audit was balanced.
pub struct Auditor {
    recipe: Recipe,
    sql: Sql,
    from: Vec<usize>,
}

impl Auditor {
    /// Begins at the beginning.
    pub fn new(recipe: Recipe, sql: Sql) -> Self {
        Self { recipe, sql, from: vec![0; PARTITIONS] }
    }

    /// Goes back to the beginning: the next audit is about everything.
    pub fn rewind(&mut self) {
        self.from.fill(0);
    }

    /// Audits what has come since the last balanced audit. An engine that does not answer is an error.
    pub async fn audit(&mut self, topic: &[Vec<u64>]) -> Result<Audit, String> {
        let rows = format!(
            "SELECT _partition, _offset, toInt64(seq), toInt64(sent_to), noise, twice, label FROM {PIPELINE}_features \
             WHERE {}",
            self.since("_partition", "_offset")
        );
        let dead_letters = format!(
            "SELECT origin_partition, origin_offset, error FROM {PIPELINE}_dead_letters \
             WHERE origin_topic = '{TOPIC}' AND ({})",
            self.since("origin_partition", "origin_offset")
        );
        let (rows, dead_letters) = (found(&self.sql.ask(&rows).await?)?, found(&self.sql.ask(&dead_letters).await?)?);
        let audit = Audit::of(&self.recipe, topic, &self.from, &rows, &dead_letters);
        if audit.is_balanced() {
            self.from = topic.iter().map(Vec::len).collect();
        }
        Ok(audit)
    }

    fn since(&self, partition: &str, offset: &str) -> String {
        let mut condition = format!("{partition} NOT BETWEEN 0 AND {}", PARTITIONS - 1);
        for (number, from) in self.from.iter().enumerate() {
            let _ = write!(condition, " OR ({partition} = {number} AND {offset} >= {from})");
        }
        condition
    }
}

fn found(answer: &str) -> Result<Vec<Found>, String> {
    let parse = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Found { partition, offset, content: parts.next()?.to_owned() })
    };
    answer.lines().map(|line| parse(line).ok_or_else(|| format!("`{line}` is no position with a content"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic of one partition with records 0 to 199, and what a right pipeline makes of it.
    fn right() -> (Recipe, Vec<Vec<u64>>, Vec<Found>, Vec<Found>) {
        let recipe = Recipe::new(1);
        let (mut rows, mut dead) = (Vec::new(), Vec::new());
        for seq in 0..200 {
            let found = |content| Found { partition: 0, offset: seq as usize, content };
            match recipe.fate(seq) {
                Fate::Row => rows.push(found(recipe.row(seq))),
                Fate::Dead(kind) => dead.push(found(kind.to_owned())),
            }
        }
        assert!(!dead.is_empty());
        (recipe, vec![(0..200).collect()], rows, dead)
    }

    #[test]
    fn what_is_right_is_balanced() {
        let (recipe, topic, rows, dead) = right();
        let audit = Audit::of(&recipe, &topic, &[0], &rows, &dead);
        assert!(audit.is_balanced(), "{}", audit.table());
        assert_eq!(audit.partitions[0].rows + audit.partitions[0].dead_letters, 200);
    }

    #[test]
    fn a_lost_position_is_missing_and_named() {
        let (recipe, topic, mut rows, dead) = right();
        let lost = rows.remove(20);
        let audit = Audit::of(&recipe, &topic, &[0], &rows, &dead);
        assert_eq!((audit.partitions[0].missing.as_slice(), audit.faults.len()), (&[lost.offset][..], 0));
        assert!(!audit.is_balanced() && audit.table().contains(&lost.offset.to_string()));
    }

    #[test]
    fn every_other_deviation_is_a_fault() {
        let (recipe, topic, rows, dead) = right();
        let faulty = |rows: &[Found], dead: &[Found], expected: &str| {
            let audit = Audit::of(&recipe, &topic, &[0], rows, dead);
            assert!(!audit.is_balanced() && audit.table().contains(expected), "{expected}: {}", audit.table());
        };
        let changed = |at: usize, change: &dyn Fn(&mut Found)| {
            let mut rows = rows.clone();
            change(&mut rows[at]);
            rows
        };
        faulty(&[&rows[..], &rows[..1]].concat(), &dead, "twice");
        faulty(&changed(3, &|row| row.content = rows[4].content.clone()), &dead, "must hold");
        faulty(&changed(3, &|row| row.offset = 200), &dead, "not in the topic");
        faulty(&changed(3, &|row| row.partition = 1), &dead, "not in the topic");
        let mut kind = dead.clone();
        kind[0].content = "Other".to_owned();
        faulty(&rows, &kind, "must hold `");
        let as_letter = Found { content: "NotAvro".to_owned(), ..rows[0].clone() };
        faulty(&rows[1..], &[&dead[..], &[as_letter]].concat(), "must be Row");
        let as_row = Found { content: rows[0].content.clone(), ..dead[0].clone() };
        faulty(&[&rows[..], &[as_row]].concat(), &dead[1..], "must be Dead");
    }

    #[test]
    fn an_audit_begins_where_the_last_one_ended() {
        let (recipe, topic, mut rows, mut dead) = right();
        rows.retain(|row| row.offset >= 150);
        dead.retain(|letter| letter.offset >= 150);
        let audit = Audit::of(&recipe, &topic, &[150], &rows, &dead);
        assert!(audit.is_balanced() && audit.partitions[0].offsets == 50, "{}", audit.table());
    }
}
