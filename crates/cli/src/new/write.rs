//! The files of a new pipeline, as text that a person will read.

use serde_json::json;

use super::infer::{Guess, Seen};

/// The Avro schema.
pub fn schema(name: &str, guess: &Guess) -> anyhow::Result<String> {
    let fields: Vec<_> = guess
        .columns
        .iter()
        .map(|column| {
            // The label is nullable whatever the file says: it comes late, or never.
            if column.nullable || column.field == guess.label.field {
                json!({"name": column.field, "type": ["null", column.kind], "default": null})
            } else {
                json!({"name": column.field, "type": column.kind})
            }
        })
        .collect();
    let schema =
        json!({"type": "record", "name": "Record", "namespace": format!("driftmill.{name}"), "fields": fields});
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// The pipeline file.
pub fn pipeline(name: &str, guess: &Guess) -> String {
    let features: Vec<&Seen> =
        guess.columns.iter().filter(|c| c.field != guess.label.field && c.kind != "string").collect();
    let mut text = format!(
        "# Inferred from {} rows by `driftmill new`. Read it, correct it, then run `driftmill check {name}`.\n\
         version: 1\nname: {name}\ndescription: \"\"\nschema: record.avsc\n\nsources:\n\
         \x20 - name: file\n    start: automatic\n    csv:\n      path: data/data.csv\n",
        guess.rows
    );
    let renamed: Vec<&Seen> = guess.columns.iter().filter(|c| c.header != c.field).collect();
    if !renamed.is_empty() {
        text.push_str("      columns:\n");
        for column in renamed {
            text.push_str(&format!("        {}: {}\n", json!(column.header), column.field));
        }
    }
    let ranged: Vec<(&Seen, (f64, f64))> = features.iter().filter_map(|c| Some((*c, c.range?))).collect();
    if !ranged.is_empty() {
        text.push_str("\n# Seen in the file, widened by a tenth of the range; a value outside is counted, not refused.\nexpectations:\n");
        for (column, (low, high)) in ranged {
            let slack = (high - low) / 10.0;
            let (low, high) = (low - slack, high + slack);
            text.push_str(&format!(
                "  - {{ field: {}, between: [{low:?}, {high:?}], severity: warn }}\n",
                column.field
            ));
        }
    }
    text.push_str("\nfeatures:\n");
    for column in &features {
        text.push_str(&format!("  - name: {}\n", column.field));
    }
    let classes: Vec<String> = guess.label.classes.iter().map(|class| json!(class).to_string()).collect();
    text.push_str(&format!("\nlabel:\n  field: {}\n  classes: [{}]\n", guess.label.field, classes.join(", ")));
    let rows = (guess.rows as u64 / 2).max(1);
    text.push_str(&format!(
        "\ntraining:\n  algorithm: random_forest\n  params: {{ n_estimators: 100 }}\n  min_rows: {rows}\n"
    ));
    text.push_str("\npromotion:\n  metric: accuracy\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::new::infer::GuessedLabel;

    #[test]
    fn what_is_written_is_a_pipeline_that_checks() {
        let column = |header: &str, field: &str, kind, nullable, range| Seen {
            header: header.to_owned(),
            field: field.to_owned(),
            kind,
            nullable,
            range,
        };
        let guess = Guess {
            rows: 500,
            columns: vec![
                column("Length: \"x\"", "length_x", "double", true, Some((0.0, 1.0))),
                column("note", "note", "string", false, None),
                column("y", "y", "long", false, Some((0.0, 1.0))),
            ],
            label: GuessedLabel { field: "y".to_owned(), classes: vec!["0".to_owned(), "1".to_owned()] },
            notes: Vec::new(),
        };
        let avro = schema("flowers", &guess).unwrap();
        let text = pipeline("flowers", &guess);
        let parsed = driftmill_schemas::pipeline::parse(&text, "pipeline.yaml".as_ref(), |_| Ok(avro.clone()));
        let (pipeline, _, _) = parsed.unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(pipeline.features.len(), 1);
    }
}
