//! `driftmill dead-letters list`: a summary, then the newest letters.

use driftmill_processors::dead_letters::{Group, Letter, Table};
use serde_json::{Value, json};

use super::args::List;
use super::text::{self, escaped, shortened};
use super::{filter, spinner, time};

/// Characters of a reason in a line.
const REASON_SHOWN: usize = 120;

/// Lists letters; `now` is milliseconds since 1970 UTC.
pub async fn run(table: &Table, asked: &List, now: i64) -> anyhow::Result<()> {
    let filter = filter(&asked.chosen, now)?;
    let waiting = spinner(format!("counting the dead letters of {}", asked.pipeline));
    let groups = table.groups(&filter).await?;
    let letters = table.newest(&filter, asked.all, asked.limit).await?;
    drop(waiting);
    if asked.json {
        println!("{}", text::json(&described(&asked.pipeline, &groups, &letters)));
    } else {
        print!("{}", written(&asked.pipeline, &groups, &letters));
    }
    Ok(())
}

fn written(pipeline: &str, groups: &[Group], letters: &[Letter]) -> String {
    let (all, replayed) = groups.iter().fold((0, 0), |sum, g| (sum.0 + g.letters, sum.1 + g.replayed));
    if all == 0 {
        return format!("{pipeline}: no dead letters\n");
    }
    let mut text = format!("{pipeline}: {all} dead letters, {replayed} of them replayed\n\n");
    let place = groups.iter().map(|group| escaped(&group.place).chars().count()).max().unwrap_or(0).max(5);
    let line = |cells: [&str; 7]| {
        let [open, replayed, stage, kind, from, first, last] = cells;
        format!("{open:>9} {replayed:>9}  {stage:<12} {kind:<18} {from:<place$}  {first:<19}  {last:<19}\n")
    };
    text.push_str(&line(["open", "replayed", "stage", "kind", "from", "first (UTC)", "last (UTC)"]));
    for group in groups {
        text.push_str(&line([
            &(group.letters - group.replayed).to_string(),
            &group.replayed.to_string(),
            &escaped(&group.stage),
            &escaped(&group.kind),
            &escaped(&group.place),
            &time::short(group.first),
            &time::short(group.last),
        ]));
    }
    if !letters.is_empty() {
        text.push_str("\nnewest first:\n");
        let origin = letters.iter().map(|letter| escaped(&letter.origin).chars().count()).max().unwrap_or(0);
        for letter in letters {
            text.push_str(&format!(
                "{:<origin$}  {}  {:<18} {}{}\n",
                escaped(&letter.origin),
                time::short(letter.at),
                escaped(&letter.kind),
                shortened(&letter.message, REASON_SHOWN),
                if letter.replayed_at.is_some() { " (replayed)" } else { "" },
            ));
        }
        text.push_str(&format!("\n`driftmill dead-letters show {pipeline} ORIGIN` says what to do about one\n"));
    }
    text
}

fn described(pipeline: &str, groups: &[Group], letters: &[Letter]) -> Value {
    let group = |group: &Group| {
        json!({
            "stage": group.stage,
            "kind": group.kind,
            "from": group.place,
            "letters": group.letters,
            "replayed": group.replayed,
            "first": time::written(group.first),
            "last": time::written(group.last),
        })
    };
    json!({
        "pipeline": pipeline,
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "letters": letters.iter().map(letter).collect::<Vec<_>>(),
    })
}

/// What the table says of a letter. Times are UTC.
pub fn letter(letter: &Letter) -> Value {
    let position = (!letter.topic.is_empty())
        .then(|| json!({ "topic": letter.topic, "partition": letter.partition, "offset": letter.offset }));
    json!({
        "origin": letter.origin,
        "at": time::written(letter.at),
        "stage": letter.stage,
        "kind": letter.kind,
        "message": letter.message,
        "position": position,
        "source": (!letter.source.is_empty()).then_some(&letter.source),
        "replayed_at": letter.replayed_at.map(time::written),
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A letter of a stranger who wishes no good.
    pub fn hostile() -> Letter {
        Letter {
            origin: "iris.raw/0/7".to_owned(),
            at: 0,
            stage: "decode".to_owned(),
            kind: "Odd\u{1b}[2J".to_owned(),
            message: "reason\nof two lines".to_owned(),
            topic: "iris.raw".to_owned(),
            partition: 0,
            offset: 7,
            source: String::new(),
            original: String::new(),
            bytes: 3,
            preview: "abc".to_owned(),
            rejected: (0, 0),
            begun_at: None,
            replayed_at: None,
        }
    }

    #[test]
    fn a_letter_is_one_line_whatever_it_holds() {
        let group = Group {
            stage: "decode".to_owned(),
            kind: "Odd\u{1b}[2J".to_owned(),
            place: "iris.raw".to_owned(),
            letters: 3,
            replayed: 2,
            first: 0,
            last: 1_000,
        };
        let text = written("iris", &[group], &[hostile()]);
        assert!(text.starts_with("iris: 3 dead letters, 2 of them replayed\n"), "{text}");
        assert!(text.contains("1         2  decode"), "{text}");
        assert!(text.contains("reason\\nof two lines\n") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(written("iris", &[], &[]), "iris: no dead letters\n");
    }
}
