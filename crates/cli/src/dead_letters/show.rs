//! `driftmill dead-letters show`: everything about one letter.

use std::collections::BTreeSet;

use anyhow::bail;
use driftmill_processors::dead_letters::{Kept, Letter, Originals, Table, Whence, advice, decoded};
use driftmill_schemas::pipeline::Loaded;
use serde_json::{Map, Value, json};

use super::args::Show;
use super::text::{self, as_text, escaped, escaped_lines, hex_dump};
use super::{list, spinner, time};
use crate::context::Context;

/// Bytes that are dumped.
const BYTES_SHOWN: usize = 512;
/// Characters of text that are shown.
const TEXT_SHOWN: usize = 2_000;

/// What was found out about a letter.
struct Found {
    pipeline: String,
    letter: Letter,
    advice: String,
    /// Whether the feature table has a row at its position.
    row: bool,
    kept: Kept,
    /// Field and value, or why there is none.
    fields: Result<Vec<(String, Option<String>)>, String>,
}

/// Shows the letter that was asked for.
pub async fn run(context: &Context, loaded: &Loaded, table: Table, asked: &Show) -> anyhow::Result<()> {
    let waiting = spinner(format!("looking for {}", escaped(&asked.origin)));
    let Some(letter) = table.named(std::slice::from_ref(&asked.origin)).await?.pop() else {
        let (pipeline, origin) = (&asked.pipeline, escaped(&asked.origin));
        bail!("`{pipeline}` has no dead letter `{origin}`; `driftmill dead-letters list {pipeline} --all` names them");
    };
    let mut originals = Originals::new(&context.settings.kafka, context.store.clone(), table.topics().clone())?;
    let kept = originals.of(&letter).await?;
    let fields = if letter.stage == "source" {
        Err("it is a line of a source, and no record yet".to_owned())
    } else if kept.whole {
        decoded(&kept.payload, loaded, &context.schemas).await
    } else {
        Err("only the beginning of its bytes is left".to_owned())
    };
    let position = BTreeSet::from([(letter.partition, letter.offset)]);
    let row = table.is_raw(&letter) && !table.rows_at(&position).await?.is_empty();
    drop(waiting);
    let advice = advice(&asked.pipeline, &letter.stage, &letter.kind);
    let found = Found { pipeline: asked.pipeline.clone(), letter, advice, row, kept, fields };
    if asked.json {
        println!("{}", text::json(&described(&found)));
    } else {
        print!("{}", written(&found));
    }
    Ok(())
}

fn written(found: &Found) -> String {
    let Found { pipeline, letter, advice, kept, fields, .. } = found;
    let from = if letter.topic.is_empty() {
        escaped(&letter.source)
    } else {
        format!("topic {}, partition {}, offset {}", escaped(&letter.topic), letter.partition, letter.offset)
    };
    let held = kept.payload.len();
    let bytes = match (kept.whence, kept.whole) {
        (Whence::Letter, true) => format!("{held}, kept in topic {pipeline}.rejected"),
        (Whence::Letter, false) => format!("{held}, the beginning of more, kept in topic {pipeline}.rejected"),
        (Whence::Raw, _) => format!("{held}, still in topic {pipeline}.raw"),
        (Whence::Store, _) => format!("{held}, kept in the object store as {}", escaped(&letter.original)),
        (Whence::Preview, _) => format!("{} at the time; all that is left is their beginning, as text", letter.bytes),
    };
    let mut text = format!("{}\n", escaped(&letter.origin));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<11} {value}\n"));
    line("from", &from);
    line("refused", &format!("{} UTC by stage {}", time::written(letter.at), escaped(&letter.stage)));
    line("kind", &escaped(&letter.kind));
    line("reason", &escaped(&letter.message));
    line("replayed", &replayed(found));
    if letter.replayed_at.is_none() {
        line("what to do", advice);
    }
    line("bytes", &bytes);
    match fields {
        Ok(fields) => {
            let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            text.push_str("\nfields\n");
            for (name, value) in fields {
                let value = value.as_deref().map_or("(none)".to_owned(), escaped);
                text.push_str(&format!("  {name:<width$}  {value}\n"));
            }
        }
        Err(why) => text.push_str(&format!("\nno fields: {}\n", escaped(why))),
    }
    text.push_str(&format!("\n{}", shown(&kept.payload)));
    text
}

/// What came of replays.
fn replayed(found: &Found) -> String {
    let (letter, row) = (&found.letter, found.row);
    let place = format!("partition {}, offset {} of `{}_features`", letter.partition, letter.offset, found.pipeline);
    match (letter.replayed_at, letter.begun_at) {
        (Some(at), _) if row => format!("{} UTC: it is the row at {place}", time::written(at)),
        (Some(at), _) => format!("{} UTC, but there is no row at {place}: it was deleted since", time::written(at)),
        (None, Some(at)) => format!("begun {} UTC and not finished: the next replay finishes it", time::written(at)),
        (None, None) => "no".to_owned(),
    }
}

/// The beginning of bytes, as text if they are, else as a dump.
fn shown(bytes: &[u8]) -> String {
    if let Some(all) = as_text(bytes) {
        let begin: String = all.chars().take(TEXT_SHOWN).collect();
        let more = if begin.len() < all.len() { "…\n" } else { "" };
        return format!("{}\n{more}", escaped_lines(&begin));
    }
    let mut dump = hex_dump(&bytes[..bytes.len().min(BYTES_SHOWN)]);
    if bytes.len() > BYTES_SHOWN {
        dump.push_str(&format!("… and {} bytes more\n", bytes.len() - BYTES_SHOWN));
    }
    dump
}

fn described(found: &Found) -> Value {
    let Found { letter, advice, row, kept, fields, .. } = found;
    let mut value = list::letter(letter);
    let from = match kept.whence {
        Whence::Letter => "dead letter",
        Whence::Raw => "raw topic",
        Whence::Store => "object store",
        Whence::Preview => "preview",
    };
    let mut bytes = json!({ "count": kept.payload.len(), "whole": kept.whole, "from": from });
    match std::str::from_utf8(&kept.payload) {
        Ok(text) => bytes["text"] = json!(text),
        Err(_) => bytes["hex"] = json!(kept.payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
    value["begun_at"] = json!(letter.begun_at.map(time::written));
    value["row"] = json!(row);
    value["advice"] = json!(advice);
    value["bytes"] = bytes;
    match fields {
        Ok(fields) => {
            let fields: Map<String, Value> = fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            value["fields"] = Value::Object(fields);
        }
        Err(why) => value["no_fields"] = json!(why),
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::list::tests::hostile;

    fn found(letter: Letter, row: bool) -> Found {
        let kept = Kept { payload: b"\x1b[2J\xff".to_vec(), timestamp: 0, whole: true, whence: Whence::Letter };
        let fields = Ok(vec![("name".to_owned(), Some("\u{1b}[31m".to_owned())), ("age".to_owned(), None)]);
        Found { pipeline: "iris".to_owned(), letter, advice: "mend it".to_owned(), row, kept, fields }
    }

    #[test]
    fn whatever_a_letter_holds_is_shown_and_nothing_of_it_reaches_the_terminal_as_it_is() {
        let text = written(&found(hostile(), false));
        assert!(!text.contains('\u{1b}'), "{text}");
        for part in ["topic iris.raw, partition 0, offset 7", "reason\\nof two lines", "mend it", "1b 5b 32 4a ff"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let value = described(&found(hostile(), false));
        assert_eq!((&value["bytes"]["hex"], &value["fields"]["age"]), (&json!("1b5b324aff"), &Value::Null));
    }

    #[test]
    fn what_came_of_a_replay_is_told() {
        let told = |begun_at, replayed_at, row| replayed(&found(Letter { begun_at, replayed_at, ..hostile() }, row));
        assert_eq!(told(None, None, false), "no");
        assert!(told(Some(1), None, true).contains("the next replay finishes it"));
        assert!(told(Some(1), Some(2), true).contains("it is the row at partition 0, offset 7 of `iris_features`"));
        assert!(told(Some(1), Some(2), false).contains("there is no row"));
    }

    #[test]
    fn long_originals_are_cut() {
        assert!(shown(&[0; 600]).ends_with("… and 88 bytes more\n"));
        assert!(shown("ä".repeat(3_000).as_bytes()).ends_with("ä\n…\n"));
    }
}
