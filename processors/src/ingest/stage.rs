//! The ingest stage of one pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use async_trait::async_trait;
use driftmill_features::{Columns, FeatureMatrix, Program, Scratch};
use driftmill_platform::clickhouse::{FeatureTable, InsertBody};
use driftmill_platform::kafka::{MessageBatch, OffsetRange};
use driftmill_platform::metrics::{Labels, Metrics};
use driftmill_platform::schemas::{Found, Schemas};
use driftmill_platform::stage::{Error, Output, Stage, Tally, token};
use driftmill_schemas::pipeline::{Loaded, Severity};
use driftmill_schemas::topic::Topics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::added::{AddedColumn, AddedColumns};
use super::champion::Slot;
use super::decode::{AvroDecoder, Fault};
use super::encode::{Body, Encoder, Rows};
use super::judge::{Judge, Judgement};
use super::profiler::Panes;
use super::{Place, dead_letter, fields};

/// What ingestion counts.
#[derive(Debug, Clone)]
pub struct IngestMetrics {
    rows: Family<Labels, Counter>,
    rejected: Family<Labels, Counter>,
    breaches: Family<Labels, Counter>,
    left_out: Family<Labels, Counter>,
}

impl IngestMetrics {
    /// Registers the counters.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            rows: metrics.register("driftmill_ingest_rows", "Feature rows written", Family::default()),
            rejected: metrics.register(
                "driftmill_ingest_rejected",
                "Records that became dead letters",
                Family::default(),
            ),
            breaches: metrics.register(
                "driftmill_expectation_breaches",
                "Records that broke an expectation, by its severity",
                Family::default(),
            ),
            left_out: metrics.register(
                "driftmill_ingest_fields_left_out",
                "Fields of newer schemas that became no column",
                Family::default(),
            ),
        }
    }

    /// Counts a field that became no column.
    pub(super) fn field_left_out(&self, pipeline: &str) {
        self.left_out.get_or_create(&vec![("pipeline", pipeline.to_owned())]).inc();
    }
}

/// Messages gone through together: what is made of them stays in the processor's caches, and is small beside the batch.
const PIECE: usize = 4_096;

/// What becomes of a batch.
struct Made {
    body: Body,
    panes: Option<Panes>,
    tallies: BTreeMap<i32, Tally>,
    faults: Vec<Fault>,
}

/// Turns the raw topic of one pipeline into its feature table, dead letters and profiles.
pub struct Ingest {
    name: String,
    loaded: Arc<Loaded>,
    topics: Topics,
    table: String,
    decoder: AvroDecoder,
    schemas: Schemas,
    added: AddedColumns,
    program: Program,
    names: Vec<String>,
    judge: Judge,
    columns: Columns,
    scratch: Scratch,
    matrix: FeatureMatrix,
    encoder: Encoder,
    champion: Slot,
    metrics: IngestMetrics,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Ingest {
    /// The stage of `loaded`, whose expressions must compile.
    pub fn new(
        loaded: Arc<Loaded>,
        schemas: Schemas,
        added: AddedColumns,
        champion: Slot,
        metrics: IngestMetrics,
    ) -> Result<Self, Error> {
        let name = format!("ingest.{}", loaded.pipeline.name);
        let (program, conditions) = driftmill_features::check(&loaded).map_err(|problems| Error::Stage {
            stage: name.clone(),
            reason: problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; "),
        })?;
        let judge = Judge::new(&loaded.pipeline, conditions);
        Ok(Self {
            topics: Topics::of(&loaded.pipeline.name),
            table: FeatureTable::of(&loaded.pipeline.name).rows,
            decoder: AvroDecoder::new(loaded.schema.clone()),
            encoder: Encoder::new(program.names()),
            columns: Columns::new(&loaded.schema),
            scratch: Scratch::default(),
            matrix: FeatureMatrix::default(),
            names: program.names().map(str::to_owned).collect(),
            name,
            loaded,
            schemas,
            added,
            program,
            judge,
            champion,
            metrics,
        })
    }

    /// Finds the schemas that messages name for the first time, and returns the columns that the batch's rows may have beside
    /// the usual ones.
    async fn learn(&mut self, batch: &MessageBatch) -> Result<Vec<AddedColumn>, Error> {
        let named = AvroDecoder::named(batch);
        let unknown = self.decoder.unknown(&named);
        if !unknown.is_empty() {
            // Whatever is the matter, these messages are not what is wrong: they wait.
            let found = self.schemas.find(&self.loaded.pipeline.name, &unknown).await;
            let found = found.map_err(|e| Error::Waiting { stage: self.name.clone(), reason: e.to_string() })?;
            for (schema, found) in found {
                match found {
                    Found::Schema(text) => self.decoder.learn(schema, text),
                    Found::Nowhere(reason) => self.decoder.give_up(schema, reason),
                }
            }
        }
        let mut beyond = Vec::new();
        for schema in named {
            let (fields, unusable) = self.decoder.beyond(schema);
            beyond.extend_from_slice(fields);
            unusable.iter().for_each(|(field, reason)| self.added.leave_out(field, reason));
        }
        Ok(self.added.columns(&beyond).await?)
    }

    /// Goes through a batch piece by piece.
    fn featurize(
        &mut self,
        batch: &MessageBatch,
        ranges: &[OffsetRange],
        added: &[AddedColumn],
    ) -> Result<Made, Error> {
        let champion = self.champion.borrow().clone();
        let mut made = Made {
            body: self.encoder.begin(added).map_err(|e| self.broken(e))?,
            panes: champion.map(|champion| Panes::new(champion, &self.names)),
            tallies: ranges.iter().map(|range| (range.partition, Tally::default())).collect(),
            faults: Vec::new(),
        };
        for start in (0..batch.len()).step_by(PIECE) {
            let decoded = self.decoder.decode(batch, start..batch.len().min(start + PIECE));
            made.faults.extend(decoded.faults);
            for (part, indices) in decoded.parts {
                let rows = self.rows_of(batch, &part, &indices, added, &mut made.faults).map_err(|e| self.broken(e))?;
                made.add(rows).map_err(|e| self.broken(e))?;
            }
        }
        made.faults.sort_by_key(|fault| fault.index);
        Ok(made)
    }

    /// The rows of `part`, whose row `i` is the message `indices[i]`; those that are refused become faults.
    fn rows_of(
        &mut self,
        batch: &MessageBatch,
        part: &RecordBatch,
        indices: &[usize],
        added: &[AddedColumn],
        faults: &mut Vec<Fault>,
    ) -> Result<Rows, String> {
        self.columns.clear();
        self.columns.extend(part).map_err(|e| e.to_string())?;
        let pipeline = &self.loaded.pipeline;
        let labels = fields::texts(part, &pipeline.label.field);
        let entities = match &pipeline.entity {
            Some(entity) => fields::texts(part, entity),
            None => StringArray::new_null(part.num_rows()),
        };
        let mut times: Vec<i64> = indices.iter().map(|&index| batch.timestamps()[index]).collect();
        if let Some(field) = &pipeline.event_time {
            fields::times(part, field, &mut times);
        }
        let judgement = self.judge.judge(&self.columns, &labels, &mut self.scratch);
        self.count_breaches(&judgement);
        self.program.evaluate(&self.columns, &mut self.scratch, &mut self.matrix);
        let mut quarantined = vec![0; indices.len()];
        judgement.quarantined.iter().for_each(|&row| quarantined[row] = 1);
        let rows = Rows {
            partitions: indices.iter().map(|&index| batch.partitions()[index]).collect(),
            offsets: indices.iter().map(|&index| batch.offsets()[index]).collect(),
            event_times: times,
            entities,
            labels,
            quarantined,
            features: self.matrix.columns().map(<[f64]>::to_vec).collect(),
            added: added.iter().map(|column| column.values(part)).collect(),
        };
        if judgement.refused.is_empty() {
            return Ok(rows);
        }
        let kept: Vec<bool> = (0..indices.len()).map(|row| !judgement.refused.contains_key(&row)).collect();
        faults.extend(judgement.refused.into_iter().map(|(row, (kind, message))| Fault {
            index: indices[row],
            kind,
            message,
        }));
        rows.filtered(&kept).map_err(|e| e.to_string())
    }

    fn count_breaches(&self, judgement: &Judgement) {
        for &(place, count) in &judgement.breaches {
            let (severity, title) = self.judge.expectation(place);
            let severity = match severity {
                Severity::Reject => "reject",
                Severity::Quarantine => "quarantine",
                Severity::Warn => "warn",
            };
            let labels = vec![
                ("pipeline", self.loaded.pipeline.name.clone()),
                ("expectation", title.to_owned()),
                ("severity", severity.to_owned()),
            ];
            self.metrics.breaches.get_or_create(&labels).inc_by(count);
        }
    }

    fn broken(&self, reason: impl ToString) -> Error {
        Error::Stage { stage: self.name.clone(), reason: reason.to_string() }
    }
}

impl Made {
    fn add(&mut self, rows: Rows) -> Result<(), String> {
        for partition in &rows.partitions {
            self.tallies.entry(*partition).or_default().rows += 1;
        }
        if let Some(panes) = &mut self.panes {
            panes.observe(&rows).map_err(|e| e.to_string())?;
        }
        self.body.add(rows).map_err(|e| e.to_string())
    }
}

#[async_trait]
impl Stage for Ingest {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        let added = self.learn(batch).await?;
        // Tens of milliseconds of arithmetic for a full batch: the other tasks of this thread move elsewhere meanwhile.
        tokio::task::block_in_place(|| self.transform(batch, &added))
    }
}

impl Ingest {
    fn transform(&mut self, batch: &MessageBatch, added: &[AddedColumn]) -> Result<Output, Error> {
        let ranges = batch.ranges();
        let Made { body, panes, mut tallies, faults } = self.featurize(batch, &ranges, added)?;
        let mut output = Output::default();
        let pipeline = self.loaded.pipeline.name.clone();
        for fault in &faults {
            let place = Place {
                topic: batch.topic(),
                partition: batch.partitions()[fault.index],
                offset: batch.offsets()[fault.index],
                timestamp: batch.timestamps()[fault.index],
            };
            tallies.entry(place.partition).or_default().rejected += 1;
            let stage = if fault.kind == "BrokenExpectation" || fault.kind == "UnknownClass" {
                "expectation"
            } else {
                "decode"
            };
            let letter = dead_letter(place, stage, fault.kind, &fault.message, batch.payload(fault.index));
            output.records.push((self.topics.rejected.clone(), letter));
            let labels = vec![("pipeline", pipeline.clone()), ("kind", fault.kind.to_owned())];
            self.metrics.rejected.get_or_create(&labels).inc();
        }
        if let Some(panes) = panes {
            let panes = panes.finish(&tallies, &ranges);
            output.records.extend(panes.into_iter().map(|pane| (self.topics.profiles.clone(), pane)));
        }
        let count = body.rows();
        if count > 0 {
            self.metrics.rows.get_or_create(&vec![("pipeline", pipeline)]).inc_by(count);
            let body = body.finish().map_err(|e| self.broken(e))?;
            output.inserts.push(InsertBody {
                table: self.table.clone(),
                format: "ArrowStream",
                token: token(&self.name, &ranges, &body),
                body,
                rows: count,
            });
        }
        output.tallies = tallies;
        Ok(output)
    }
}
