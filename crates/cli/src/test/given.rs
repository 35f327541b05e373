//! The records of a case.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use driftmill_platform::clock::SharedClock;
use driftmill_processors::trial::{self, Outcome, Trial};
use driftmill_producers::{Content, Job, Overrides, preview};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::record::{Encoder, ObjectReader, Record};
use serde_json::{Map, Value};

use super::EPOCH;
use super::case::{Case, FromSource};

/// Records at most: they, and what becomes of them, are held in memory.
const MOST: usize = 100_000;

/// What a case gives: messages, and what no message can be made of.
pub struct Given {
    messages: Vec<trial::Given>,
    /// By their numbers.
    unreadable: BTreeMap<usize, Outcome>,
    count: usize,
}

/// The records that the case names.
pub fn read(loaded: &Arc<Loaded>, case: &Case, clock: SharedClock) -> anyhow::Result<Given> {
    let mut given = Given { messages: Vec::new(), unreadable: BTreeMap::new(), count: 0 };
    // One of the two, as the file was checked.
    let reader = ObjectReader::new(&loaded.schema);
    for object in case.file.given.iter().flatten() {
        let line = object.referenced.line();
        let (at, text) = arrival(&object.value, given.count).with_context(|| format!("line {line}: `_at`"))?;
        match reader.read(&text) {
            Ok(record) => given.add(loaded, &record, at)?,
            Err(error) => given.refuse(error.kind(), error.to_string()),
        }
    }
    if let Some(source) = &case.file.source {
        given.read_source(loaded, source, clock)?;
    }
    Ok(given)
}

/// When an object arrives, and its text without saying so.
fn arrival(object: &Map<String, Value>, number: usize) -> anyhow::Result<(i64, String)> {
    let mut object = object.clone();
    let at = match object.remove("_at") {
        None => EPOCH + 1_000 * number as i64,
        Some(Value::Number(millis)) => millis.as_i64().context("is no whole number of milliseconds")?,
        Some(Value::String(text)) => chrono::DateTime::parse_from_rfc3339(&text)
            .with_context(|| format!("`{text}` is no time such as 2026-01-31T12:00:00Z"))?
            .timestamp_millis(),
        Some(other) => bail!("`{other}` is no time"),
    };
    Ok((at, Value::Object(object).to_string()))
}

impl Given {
    fn add(&mut self, loaded: &Loaded, record: &Record, at: i64) -> anyhow::Result<()> {
        let payload = Encoder::new(loaded, Job::fingerprint(loaded)).payload(record)?;
        self.messages.push(trial::Given { payload, at });
        self.count += 1;
        Ok(())
    }

    /// A producer would not have sent it.
    fn refuse(&mut self, kind: &str, message: String) {
        let refused = Outcome::Rejected { error: kind.to_owned(), message, expectation: None };
        self.unreadable.insert(self.count, refused);
        self.count += 1;
    }

    fn read_source(&mut self, loaded: &Arc<Loaded>, wanted: &FromSource, clock: SharedClock) -> anyhow::Result<()> {
        let sources = &loaded.pipeline.sources;
        let Some(source) = sources.iter().find(|source| source.name == wanted.name) else {
            let near = driftmill_schemas::name::did_you_mean(&wanted.name, sources.iter().map(|s| s.name.as_str()));
            bail!("the pipeline has no source `{}`{near}", wanted.name);
        };
        if wanted.rows > MOST {
            bail!("`rows`: a case has at most {MOST} records");
        }
        let from = wanted.file.as_ref().map(|file| loaded.folder.join("tests").join(file));
        let job = Job {
            loaded: Arc::clone(loaded),
            source: source.clone(),
            overrides: Overrides { from, ..Overrides::default() },
            pipe: None,
            framing: Job::fingerprint(loaded),
        };
        for item in preview(&job, wanted.rows, clock)? {
            let at = EPOCH + 1_000 * self.count as i64;
            match item.content {
                Content::Record(record) | Content::Framed(record, _) => self.add(loaded, &record, at)?,
                Content::Nothing => {}
                Content::Unreadable { reason, .. } => self.refuse(reason.kind(), reason.to_string()),
            }
        }
        Ok(())
    }

    /// What becomes of them.
    pub async fn run(mut self, loaded: &Arc<Loaded>, clock: SharedClock) -> anyhow::Result<Trial> {
        let trial = trial::run(Arc::clone(loaded), &self.messages, clock).await?;
        let mut outcomes = trial.outcomes.into_iter();
        let outcomes = (0..self.count).filter_map(|number| self.unreadable.remove(&number).or_else(|| outcomes.next()));
        Ok(Trial { outcomes: outcomes.collect(), windows: trial.windows })
    }
}
