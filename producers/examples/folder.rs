//! What the sources of a pipeline make of a file or a folder: `cargo run --example folder -- PIPELINE_FILE PATH`.
//! With a path within the folder of the evaluation data, `DRIFTMILL_DATA` is put before it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftmill_platform::clock::ManualClock;
use driftmill_producers::{Content, Job, Overrides, preview, source_for};
use driftmill_schemas::pipeline::load;
use driftmill_schemas::record::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (pipeline, given) = (arguments.next().unwrap(), arguments.next());
    let loaded = load(Path::new(&pipeline)).unwrap_or_else(|error| panic!("{error}"));
    let from = given.map(|given| {
        std::env::var("DRIFTMILL_DATA").map_or_else(|_| PathBuf::from(&given), |data| Path::new(&data).join(&given))
    });
    let source = match &from {
        Some(from) => source_for(&loaded, from).unwrap_or_else(|error| panic!("{error}")),
        None => loaded.pipeline.sources.iter().find(|source| source.synthetic.is_some()).unwrap().clone(),
    };
    let (framing, loaded) = (Job::fingerprint(&loaded), Arc::new(loaded));
    let name = source.name.clone();
    let job = Job {
        loaded: Arc::clone(&loaded),
        source,
        overrides: Overrides { from, ..Overrides::default() },
        pipe: None,
        framing,
    };
    let items = preview(&job, usize::MAX, Arc::new(ManualClock::at(0))).unwrap_or_else(|error| panic!("{error}"));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut bytes = 0;
    for (number, item) in items.iter().enumerate() {
        match &item.content {
            Content::Record(record) => {
                *counts.entry("records".to_owned()).or_default() += 1;
                for (value, field) in record.values.iter().zip(&loaded.schema.fields) {
                    *counts.entry(format!("{} null", field.name)).or_default() += usize::from(*value == Value::Null);
                    bytes += value.weight();
                }
                let label = loaded.schema.index(&loaded.pipeline.label.field).unwrap();
                let label = record.values[label].to_text().unwrap_or_default();
                if loaded.pipeline.label.classes.contains(&label) {
                    *counts.entry(format!("label {label}")).or_default() += 1;
                }
                if number < 6 {
                    let shown: Vec<String> =
                        record.values.iter().map(|value| format!("{value:?}").chars().take(90).collect()).collect();
                    println!("{}", shown.join(" | "));
                }
            }
            Content::Unreadable { reason, .. } => {
                *counts.entry(reason.kind().to_owned()).or_default() += 1;
                if number < 6 {
                    println!("line {}: {reason}", item.line);
                }
            }
            other => println!("{other:?}"),
        }
    }
    println!("source {name}: {} items, {bytes} bytes of texts and files: {counts:?}", items.len());
}
