//! The ingest stage of one pipeline.

mod look_back;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{RecordBatch, StringArray};
use async_trait::async_trait;
use driftmill_features::{Columns, FeatureMatrix, Program, Scratch};
use driftmill_platform::clickhouse::{ClickHouse, FeatureTable, InsertBody};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::{MessageBatch, OffsetRange};
use driftmill_platform::schemas::{Found, Schemas};
use driftmill_platform::stage::{Error, Output, PIECE, Streaming, token};
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::topic::Topics;
use tracing::warn;

use super::added::{AddedColumn, AddedColumns};
use super::champion::{Known, Slot};
use super::decode::{AvroDecoder, Fault};
use super::encode::{Body, Encoder, FeatureColumn, Rows};
use super::history::History;
use super::judge::{Judge, Judgement, Refusal};
use super::metrics::IngestMetrics;
use super::profiler::{Panes, Watched};
use super::{Place, dead_letter, fields};
use look_back::{Judged, settle};

/// What the stage needs of its surroundings.
pub struct Needs {
    /// Where schemas are that messages name; `None`: only the pipeline's own is known.
    pub schemas: Option<Schemas>,
    /// Makes columns of fields that came later; `None`: they are left out.
    pub added: Option<AddedColumns>,
    /// The model whose reference rows are counted against.
    pub champion: Slot,
    /// What is counted.
    pub metrics: IngestMetrics,
    /// What was processed before.
    pub history: Box<dyn History>,
    /// Where expectations look values up; `None`: one that does cannot be judged.
    pub clickhouse: Option<ClickHouse>,
    /// How old looked-up values are.
    pub clock: SharedClock,
}

/// What became of the messages since the last output.
#[derive(Default)]
struct Open {
    /// Columns beside the usual ones, and rows. Where messages come that may have other columns, another insert begins.
    inserts: Vec<(Vec<AddedColumn>, Body)>,
    /// Counts against the champion there was when it began.
    panes: Option<Panes>,
    /// Dead letters and tallies.
    output: Output,
    /// Bytes of the dead letters.
    letters: usize,
}

/// Bytes that the headers of a dead letter take up, roughly.
const HEADERS: usize = 1_024;
/// How long rows wait at the start until it is known which model serves.
const CHAMPION_LIMIT: Duration = Duration::from_secs(30);

/// Turns the raw topic of one pipeline into its feature table, dead letters and profiles.
pub struct Ingest {
    name: String,
    loaded: Arc<Loaded>,
    topics: Topics,
    table: String,
    decoder: AvroDecoder,
    schemas: Option<Schemas>,
    added: Option<AddedColumns>,
    program: Program,
    names: Vec<String>,
    watched: Arc<Watched>,
    judge: Judge,
    columns: Columns,
    scratch: Scratch,
    matrix: FeatureMatrix,
    encoder: Encoder,
    champion: Slot,
    /// Whether rows have waited for the champion in vain.
    gave_up: bool,
    metrics: IngestMetrics,
    history: Box<dyn History>,
    clickhouse: Option<ClickHouse>,
    clock: SharedClock,
    open: Option<Open>,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Ingest {
    /// The stage of `loaded`, whose expressions must compile.
    pub fn new(loaded: Arc<Loaded>, needs: Needs) -> Result<Self, Error> {
        let name = format!("ingest.{}", loaded.pipeline.name);
        let broken = |reason: String| Error::Stage { stage: name.clone(), reason };
        let (program, conditions) = driftmill_features::check(&loaded)
            .map_err(|problems| broken(problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; ")))?;
        let judge = Judge::new(&loaded, conditions).map_err(|e| broken(e.to_string()))?;
        let Needs { schemas, added, champion, metrics, history, clickhouse, clock } = needs;
        Ok(Self {
            topics: Topics::of(&loaded.pipeline.name),
            table: FeatureTable::of(&loaded.pipeline.name).rows,
            decoder: AvroDecoder::new(loaded.schema.clone()),
            encoder: Encoder::new(program.names().zip(program.kinds().iter().copied()), judge.marks()),
            columns: Columns::new(&loaded.schema),
            scratch: Scratch::default(),
            matrix: FeatureMatrix::default(),
            names: program.names().map(str::to_owned).collect(),
            watched: Arc::new(Watched::of(&loaded.pipeline)),
            name,
            loaded,
            schemas,
            added,
            program,
            judge,
            champion,
            metrics,
            history,
            clickhouse,
            clock,
            gave_up: false,
            open: None,
        })
    }

    /// The output of one batch that stands for itself.
    pub async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        self.discard();
        self.add(batch).await?;
        self.finish(&batch.ranges())
    }

    /// Waits until it is known which model serves, for a while: features must not wait for an object store for ever.
    async fn know_the_champion(&mut self) {
        if self.gave_up || !matches!(*self.champion.borrow(), Known::NotYet) {
            return;
        }
        let known = self.champion.wait_for(|known| !matches!(known, Known::NotYet));
        if tokio::time::timeout(CHAMPION_LIMIT, known).await.is_err() {
            self.gave_up = true;
            warn!(
                pipeline = self.loaded.pipeline.name,
                "the model that serves could not be read within {CHAMPION_LIMIT:?}: rows are not counted for drift until it can"
            );
        }
    }

    /// Whether records are compared with those before them: then the messages of a batch must be neighbours.
    pub fn looks_back(&self) -> bool {
        self.judge.wants_unique()
    }

    /// Finds the schemas that messages name for the first time, and returns the columns that the batch's rows may have beside
    /// the usual ones.
    async fn learn(&mut self, batch: &MessageBatch) -> Result<Vec<AddedColumn>, Error> {
        let named = AvroDecoder::named(batch);
        let unknown = self.decoder.unknown(&named);
        if let Some(schemas) = self.schemas.as_ref().filter(|_| !unknown.is_empty()) {
            // Whatever is the matter, these messages are not what is wrong: they wait.
            let found = schemas.find(&self.loaded.pipeline.name, &unknown).await;
            for (schema, found) in found.map_err(|e| self.waiting(e.to_string()))? {
                match found {
                    Found::Schema(text) => self.decoder.learn(schema, text),
                    Found::Nowhere(reason) => self.decoder.give_up(schema, reason),
                }
            }
        }
        let mut beyond = Vec::new();
        let Some(added) = &mut self.added else { return Ok(Vec::new()) };
        for schema in named {
            let (fields, unusable) = self.decoder.beyond(schema);
            beyond.extend_from_slice(fields);
            unusable.iter().for_each(|(field, reason)| added.leave_out(field, reason));
        }
        Ok(added.columns(&beyond).await?)
    }

    /// Goes through messages piece by piece. Their rows may have the columns `added` beside the usual ones.
    fn transform(&mut self, batch: &MessageBatch, added: &[AddedColumn]) -> Result<usize, Error> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open {
                panes: match &*self.champion.borrow() {
                    Known::Serves(champion) => Some(Panes::new(Arc::clone(champion), Arc::clone(&self.watched))),
                    Known::NotYet | Known::Nobody => None,
                },
                ..Open::default()
            },
        };
        let (begins, added) = columns(open.inserts.last().map(|(columns, _)| columns.as_slice()), added);
        if begins {
            let body = self.encoder.begin(&added).map_err(|e| self.broken(e))?;
            open.inserts.push((added.clone(), body));
        }
        for start in (0..batch.len()).step_by(PIECE) {
            let decoded = self.decoder.decode(batch, start..batch.len().min(start + PIECE));
            let mut parts = Vec::with_capacity(decoded.parts.len());
            let mut judged = Vec::with_capacity(decoded.parts.len());
            for (part, indices) in decoded.parts {
                let (one, rows) = self.rows_of(batch, &part, indices, &added).map_err(|e| self.broken(e))?;
                judged.push(one);
                parts.push(rows);
            }
            settle(&mut self.judge, &mut judged, batch);
            let mut refused: Vec<(Fault, Option<usize>)> =
                decoded.faults.into_iter().map(|fault| (fault, None)).collect();
            for (judged, rows) in judged.into_iter().zip(parts) {
                self.count_breaches(&judged.judgement);
                open.add(judged, rows, &mut refused).map_err(|e| self.broken(e))?;
            }
            refused.sort_by_key(|(fault, _)| fault.index);
            for (fault, expectation) in refused {
                self.refuse(batch, &fault, expectation, &mut open);
            }
        }
        for range in batch.ranges() {
            self.judge.reached(range.partition, range.to);
        }
        let bytes = open.bytes();
        self.open = Some(open);
        Ok(bytes)
    }

    /// Makes a dead letter of a message, which breaks the expectation at that place, if any.
    fn refuse(&self, batch: &MessageBatch, fault: &Fault, expectation: Option<usize>, open: &mut Open) {
        let place = Place {
            topic: batch.topic(),
            partition: batch.partitions()[fault.index],
            offset: batch.offsets()[fault.index],
            timestamp: batch.timestamps()[fault.index],
        };
        open.output.tallies.entry(place.partition).or_default().rejected += 1;
        let is_judged = fault.kind == "BrokenExpectation" || fault.kind == "UnknownClass";
        let stage = if is_judged { "expectation" } else { "decode" };
        let mut letter = dead_letter(place, stage, fault.kind, &fault.message, batch.payload(fault.index));
        if let Some(rule) = expectation {
            let title = self.judge.expectation(rule).1.as_bytes().to_vec();
            letter.headers.push((header::EXPECTATION.to_owned(), title));
        }
        open.letters += letter.payload.len() + HEADERS;
        open.output.records.push((self.topics.rejected.clone(), letter));
        let labels = vec![("pipeline", self.loaded.pipeline.name.clone()), ("kind", fault.kind.to_owned())];
        self.metrics.rejected.get_or_create(&labels).inc();
    }

    /// The rows of `decoded`, whose row `i` is the message `indices[i]`, and what is thought of them.
    fn rows_of(
        &mut self,
        batch: &MessageBatch,
        decoded: &RecordBatch,
        indices: Vec<usize>,
        added: &[AddedColumn],
    ) -> Result<(Judged, Rows), String> {
        let labels = fields::texts(decoded, &self.loaded.pipeline.label.field);
        let mut times: Vec<i64> = indices.iter().map(|&index| batch.timestamps()[index]).collect();
        let mut judged = self.judged(decoded, indices, &labels, &times)?;
        let pipeline = &self.loaded.pipeline;
        let entities = match &pipeline.entity {
            Some(entity) => fields::texts(decoded, entity),
            None => StringArray::new_null(decoded.num_rows()),
        };
        if let Some(field) = &pipeline.event_time {
            fields::times(decoded, field, &mut times);
        }
        self.program.evaluate(&self.columns, &mut self.scratch, &mut self.matrix);
        for image in self.matrix.unreadable() {
            let reason = format!("feature `{}`: {}", self.names[image.feature], image.reason);
            let refusal = Refusal { kind: "UnreadableImage", reason, expectation: None };
            judged.judgement.refused.entry(image.row).or_insert(refusal);
        }
        let rows = Rows {
            partitions: judged.indices.iter().map(|&index| batch.partitions()[index]).collect(),
            offsets: judged.indices.iter().map(|&index| batch.offsets()[index]).collect(),
            event_times: times,
            entities,
            labels,
            quarantined: vec![0; decoded.num_rows()],
            broken: Vec::new(),
            features: self.matrix.columns().map(FeatureColumn::from).collect(),
            added: added.iter().map(|column| column.values(decoded)).collect(),
        };
        Ok((judged, rows))
    }

    fn count_breaches(&self, judgement: &Judgement) {
        for (place, rows) in &judgement.broken {
            let (severity, title) = self.judge.expectation(*place);
            let labels = vec![
                ("pipeline", self.loaded.pipeline.name.clone()),
                ("expectation", title.to_owned()),
                ("severity", severity.title().to_owned()),
            ];
            self.metrics.breaches.get_or_create(&labels).inc_by(rows.len() as u64);
        }
    }

    fn waiting(&self, reason: String) -> Error {
        Error::Waiting { stage: self.name.clone(), reason }
    }

    fn broken(&self, reason: impl ToString) -> Error {
        Error::Stage { stage: self.name.clone(), reason: reason.to_string() }
    }
}

/// The columns of rows that may have those of `added`, after rows with the columns `before`; and whether an insert begins with
/// them. A column that an insert has too many is null, as it would be without it; so it gets no column less than before, or
/// producers of two schemas that take turns would make an insert of every piece.
fn columns(before: Option<&[AddedColumn]>, added: &[AddedColumn]) -> (bool, Vec<AddedColumn>) {
    let mut columns = before.unwrap_or_default().to_vec();
    let known = columns.len();
    columns.extend(added.iter().filter(|column| !before.unwrap_or_default().contains(column)).cloned());
    (before.is_none() || columns.len() > known, columns)
}

impl Open {
    /// Adds the rows that are kept; the others are refused, each with the place of the expectation it breaks.
    fn add(
        &mut self,
        judged: Judged,
        mut rows: Rows,
        refused_here: &mut Vec<(Fault, Option<usize>)>,
    ) -> Result<(), String> {
        let Judged { indices, judgement: Judgement { refused, quarantined, broken }, .. } = judged;
        quarantined.iter().for_each(|&row| rows.quarantined[row] = 1);
        rows.broken = broken;
        if !refused.is_empty() {
            let kept: Vec<bool> = (0..indices.len()).map(|row| !refused.contains_key(&row)).collect();
            rows = rows.filtered(&kept).map_err(|e| e.to_string())?;
        }
        for (row, refusal) in refused {
            let fault = Fault { index: indices[row], kind: refusal.kind, message: refusal.reason };
            refused_here.push((fault, refusal.expectation));
        }
        // Messages come in runs of a partition.
        for run in rows.partitions.chunk_by(|a, b| a == b) {
            self.output.tallies.entry(run[0]).or_default().rows += run.len() as u64;
        }
        if let Some(panes) = &mut self.panes {
            panes.observe(&rows).map_err(|e| e.to_string())?;
        }
        match self.inserts.last_mut() {
            Some((_, body)) => body.add(rows).map_err(|e| e.to_string()),
            None => Err("there is no insert for the rows".to_owned()),
        }
    }

    fn bytes(&self) -> usize {
        self.letters + self.inserts.iter().map(|(_, body)| body.len()).sum::<usize>()
    }
}

#[async_trait]
impl Streaming for Ingest {
    fn name(&self) -> &str {
        &self.name
    }

    async fn add(&mut self, piece: &MessageBatch) -> Result<usize, Error> {
        self.know_the_champion().await;
        let added = self.learn(piece).await?;
        self.judge
            .refresh(self.clickhouse.as_ref(), self.clock.now())
            .await
            .map_err(|e| self.waiting(e.to_string()))?;
        self.look_back(piece).await?;
        // Milliseconds of arithmetic for a full piece: the other tasks of this thread move elsewhere meanwhile.
        tokio::task::block_in_place(|| self.transform(piece, &added))
    }

    fn finish(&mut self, ranges: &[OffsetRange]) -> Result<Output, Error> {
        let Open { inserts, panes, mut output, .. } = self.open.take().unwrap_or_default();
        if let Some(panes) = panes {
            let panes = panes.finish(&output.tallies, ranges);
            output.records.extend(panes.into_iter().map(|pane| (self.topics.profiles.clone(), pane)));
        }
        for (_, body) in inserts {
            let rows = body.rows();
            if rows == 0 {
                continue;
            }
            self.metrics.rows.get_or_create(&vec![("pipeline", self.loaded.pipeline.name.clone())]).inc_by(rows);
            let body = body.finish().map_err(|e| self.broken(e))?;
            output.inserts.push(InsertBody {
                table: self.table.clone(),
                format: "ArrowStream",
                token: token(&self.name, ranges, &body),
                body,
                rows,
            });
        }
        Ok(output)
    }

    fn discard(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests;
