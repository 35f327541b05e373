//! Rows are judged by themselves, and then by what stands before them in the topic.

use arrow_array::{RecordBatch, StringArray};
use driftmill_platform::kafka::{self, MessageBatch};
use driftmill_platform::stage::{Error, PIECE};

use super::super::fields;
use super::super::judge::{self, Judge, Judgement};
use super::super::rules::Keys;
use super::Ingest;

/// What is thought of decoded rows.
pub(super) struct Judged {
    /// Message of each row.
    pub(super) indices: Vec<usize>,
    pub(super) judgement: Judgement,
    /// What names the rows, where a rule wants them to be unique.
    keys: Option<Keys>,
}

/// Judges rows by those before them. Messages of several schemas are in several parts, and come in turn all the same.
pub(super) fn settle(judge: &mut Judge, parts: &mut [Judged], batch: &MessageBatch) {
    if !judge.wants_unique() {
        return;
    }
    let rows_of = |(part, judged): (usize, &Judged)| {
        judged.indices.iter().enumerate().map(move |(row, index)| (*index, part, row)).collect::<Vec<_>>()
    };
    let mut order: Vec<(usize, usize, usize)> = parts.iter().enumerate().flat_map(rows_of).collect();
    order.sort_unstable();
    for (index, part, row) in order {
        let Judged { judgement, keys: Some(keys), .. } = &mut parts[part] else { continue };
        let position = (batch.partitions()[index], batch.offsets()[index], batch.timestamps()[index]);
        judge.compare(judgement, keys, row, position);
    }
}

impl Ingest {
    /// Judges each row of `decoded` by itself. Its columns stay for the features.
    pub(super) fn judged(
        &mut self,
        decoded: &RecordBatch,
        indices: Vec<usize>,
        labels: &StringArray,
        arrived: &[i64],
    ) -> Result<Judged, String> {
        self.columns.clear();
        self.columns.extend(decoded).map_err(|e| e.to_string())?;
        let rows = judge::Rows { decoded, columns: &self.columns, labels, arrived };
        let judgement = self.judge.judge(&rows, &mut self.scratch);
        let keys = self.judge.wants_unique().then(|| self.judge.keys(decoded));
        Ok(Judged { indices, judgement, keys })
    }

    /// Judges what stands in the topic before the batch, as far as the rules look back and do not remember it.
    pub(super) async fn look_back(&mut self, batch: &MessageBatch) -> Result<(), Error> {
        for gap in self.judge.gaps(&batch.ranges()) {
            let mut next = gap.from;
            while next < gap.to {
                let read = self.history.read(batch.topic(), gap.partition, next, gap.to).await;
                let waiting = |e: kafka::Error| self.waiting(e.to_string());
                let (earlier, reached) = read.map_err(waiting)?;
                self.learn(&earlier).await?;
                tokio::task::block_in_place(|| self.look_over(&earlier)).map_err(|e| self.broken(e))?;
                next = reached;
            }
            self.judge.reached(gap.partition, gap.to);
        }
        Ok(())
    }

    fn look_over(&mut self, earlier: &MessageBatch) -> Result<(), String> {
        for start in (0..earlier.len()).step_by(PIECE) {
            let decoded = self.decoder.decode(earlier, start..earlier.len().min(start + PIECE));
            let mut judged = Vec::with_capacity(decoded.parts.len());
            for (part, indices) in decoded.parts {
                let labels = fields::texts(&part, &self.loaded.pipeline.label.field);
                let times: Vec<i64> = indices.iter().map(|&index| earlier.timestamps()[index]).collect();
                judged.push(self.judged(&part, indices, &labels, &times)?);
            }
            settle(&mut self.judge, &mut judged, earlier);
        }
        Ok(())
    }
}
