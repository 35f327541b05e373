//! Counts the rows of a batch against the champion's reference: one pane a partition, named by its offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, BinaryArray, StringArray};
use driftmill_drift::reference::LABEL;
use driftmill_drift::{Pane, PaneId, Profile, Stream, Values, profile};
use driftmill_features::aspects;
use driftmill_platform::kafka::{MAX_RECORD_BYTES, OffsetRange, Outgoing};
use driftmill_platform::stage::Tally;
use driftmill_schemas::pipeline::{FeatureType, Pipeline};
use tracing::warn;

use super::champion::Champion;
use super::encode::{FeatureColumn, Rows};
use crate::counting::{count, count_aspects, count_texts, knows_any};

/// What is counted of the rows' features, in their order.
#[derive(Debug)]
pub struct Watched {
    features: Vec<(FeatureType, Vec<String>)>,
    /// Whether the label is a number.
    label_is_value: bool,
}

impl Watched {
    /// What is counted of the rows of a pipeline.
    pub fn of(pipeline: &Pipeline) -> Self {
        let names = pipeline.features.iter().map(|feature| (feature.kind, aspects::names(&feature.name, feature.kind)));
        Self { features: names.collect(), label_is_value: pipeline.label.is_value() }
    }
}

/// The panes of one batch, while its rows come in.
pub struct Panes {
    champion: Arc<Champion>,
    watched: Arc<Watched>,
    partitions: BTreeMap<i32, Counted>,
    chosen: Vec<f64>,
}

struct Counted {
    profile: Profile,
    max_event_time: i64,
}

impl Panes {
    /// Nothing is counted yet.
    pub fn new(champion: Arc<Champion>, watched: Arc<Watched>) -> Self {
        Self { champion, watched, partitions: BTreeMap::new(), chosen: Vec::new() }
    }

    /// Counts rows, but those that an expectation set aside: nobody trains on them.
    pub fn observe(&mut self, rows: &Rows) -> Result<(), profile::Error> {
        let Some(&first) = rows.partitions.first() else { return Ok(()) };
        // Almost always: one partition, nothing set aside.
        if rows.partitions.iter().all(|partition| *partition == first) && rows.quarantined.iter().all(|one| *one == 0) {
            return self.count(first, rows, None);
        }
        let mut of_partition: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (row, partition) in rows.partitions.iter().enumerate().filter(|(row, _)| rows.quarantined[*row] == 0) {
            of_partition.entry(*partition).or_default().push(row);
        }
        of_partition.into_iter().try_for_each(|(partition, mine)| self.count(partition, rows, Some(&mine)))
    }

    /// Counts the rows `mine`, or all of them, for `partition`.
    fn count(&mut self, partition: i32, rows: &Rows, mine: Option<&[usize]>) -> Result<(), profile::Error> {
        let layout = &self.champion.layout;
        let counted = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Counted { profile: Profile::new(layout), max_event_time: i64::MIN });
        let profile = &mut counted.profile;
        let gathered: Vec<i64>;
        let times: &[i64] = match mine {
            None => &rows.event_times,
            Some(mine) => {
                gathered = mine.iter().map(|&row| rows.event_times[row]).collect();
                &gathered
            }
        };
        for ((kind, names), column) in self.watched.features.iter().zip(&rows.features) {
            match column {
                FeatureColumn::Numbers(values) => {
                    let values = match mine {
                        None => values,
                        Some(mine) => {
                            self.chosen.clear();
                            self.chosen.extend(mine.iter().map(|&row| values[row]));
                            &self.chosen
                        }
                    };
                    count(profile, &names[0], Values::Numbers(values), times)?;
                }
                FeatureColumn::Array(array) => {
                    if let Some(texts) = array.as_any().downcast_ref::<StringArray>() {
                        let texts = chosen(texts.len(), mine).map(|row| texts.is_valid(row).then(|| texts.value(row)));
                        match kind {
                            FeatureType::Category => {
                                count(profile, &names[0], Values::Categories(&texts.collect::<Vec<_>>()), &[])?;
                            }
                            _ => count_texts(profile, names, texts)?,
                        }
                    } else if let Some(images) = array.as_any().downcast_ref::<BinaryArray>()
                        && knows_any(profile, names)
                    {
                        let pixels = chosen(images.len(), mine);
                        let pixels = pixels.map(|row| images.is_valid(row).then(|| images.value(row)));
                        count_aspects(profile, names, &aspects::of_images(pixels))?;
                    }
                }
            }
        }
        // Not every record has its label yet: one without says nothing.
        let labels = chosen(rows.labels.len(), mine).filter(|row| rows.labels.is_valid(*row));
        let labels = labels.map(|row| rows.labels.value(row));
        if self.watched.label_is_value {
            let values: Vec<f64> = labels.filter_map(|label| label.parse().ok()).collect();
            count(profile, LABEL, Values::Numbers(&values), &[])?;
        } else {
            count(profile, LABEL, Values::Categories(&labels.map(Some).collect::<Vec<_>>()), &[])?;
        }
        counted.max_event_time = counted.max_event_time.max(times.iter().max().copied().unwrap_or(i64::MIN));
        Ok(())
    }

    /// The panes of `ranges` as records of the profiles topic, keyed by partition: a range without rows has one, too.
    pub fn finish(mut self, tallies: &BTreeMap<i32, Tally>, ranges: &[OffsetRange]) -> Vec<Outgoing> {
        let mut records = Vec::with_capacity(ranges.len());
        for range in ranges {
            let counted = self.partitions.remove(&range.partition);
            let pane = Pane {
                id: PaneId { partition: range.partition, from_offset: range.from, to_offset: range.to },
                model_version: self.champion.version,
                rejected: tallies.get(&range.partition).map_or(0, |tally| tally.rejected),
                max_event_time: counted.as_ref().map_or(0, |counted| counted.max_event_time),
                profile: counted.map_or_else(|| Profile::new(&self.champion.layout), |counted| counted.profile),
            };
            let key = range.partition.to_string().into_bytes();
            let payload = pane.to_json(Stream::Records).into_bytes();
            if payload.len() > MAX_RECORD_BYTES {
                // Features must not wait for ever for a pane that no topic takes.
                let (bytes, pane) = (payload.len(), pane.id.to_string());
                warn!(
                    pane,
                    bytes, "a pane of so many features is larger than a record may be: it is not watched for drift"
                );
                continue;
            }
            records.push(Outgoing { key, payload, ..Outgoing::default() });
        }
        records
    }
}

/// The rows `mine`, or all of `rows`.
fn chosen(rows: usize, mine: Option<&[usize]>) -> impl Iterator<Item = usize> + '_ {
    (0..mine.map_or(rows, <[usize]>::len)).map(move |i| mine.map_or(i, |mine| mine[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_drift::{Layout, ReferenceProfile};
    use driftmill_schemas::pipeline::Feature;
    use std::sync::Arc;

    const NUMBER: f64 = 2.0;

    fn layout() -> Arc<Layout> {
        let numbers = [1.0, NUMBER, 3.0, 4.0];
        let categories = [Some("red"), Some("blue"), Some("red"), None];
        let mut reference =
            ReferenceProfile::of(&[("size", Values::Numbers(&numbers)), ("colour", Values::Categories(&categories))])
                .unwrap();
        let texts = aspects::of_texts([Some("a few words"), Some("more of them")].into_iter());
        for (name, values) in aspects::names("text", FeatureType::Text).iter().zip(&texts) {
            reference = reference.with(name, Values::Numbers(values)).unwrap();
        }
        let dark = [0u8; 12];
        let images = aspects::of_images([Some(&dark[..])].into_iter());
        for (name, values) in aspects::names("photo", FeatureType::Image).iter().zip(&images) {
            reference = reference.with(name, Values::Numbers(values)).unwrap();
        }
        Layout::new(reference.with(LABEL, Values::Categories(&[Some("yes"), Some("no")])).unwrap()).unwrap()
    }

    fn watched() -> Arc<Watched> {
        let kinds = [
            ("size", FeatureType::Number),
            ("colour", FeatureType::Category),
            ("text", FeatureType::Text),
            ("photo", FeatureType::Image),
            ("added later", FeatureType::Number),
        ];
        let feature = |(name, kind): (&str, FeatureType)| Feature { name: name.to_owned(), kind, ..Feature::default() };
        let features = kinds.map(feature);
        let names = features.iter().map(|feature| (feature.kind, aspects::names(&feature.name, feature.kind)));
        Arc::new(Watched { features: names.collect(), label_is_value: false })
    }

    /// Four rows on two partitions, the last of which is set aside.
    fn rows() -> Rows {
        let white = [255u8; 12];
        Rows {
            partitions: vec![0, 1, 0, 1],
            offsets: vec![10, 20, 11, 21],
            event_times: vec![5, 6, 7, 900],
            entities: StringArray::new_null(4),
            labels: StringArray::from(vec![Some("yes"), None, Some("no"), Some("yes")]),
            quarantined: vec![0, 0, 0, 1],
            broken: Vec::new(),
            features: vec![
                FeatureColumn::Numbers(vec![NUMBER, f64::NAN, 9.0, 1.0]),
                FeatureColumn::Array(Arc::new(StringArray::from(vec![Some("red"), Some("green"), None, Some("red")]))),
                FeatureColumn::Array(Arc::new(StringArray::from(vec![Some("one two"), None, Some(""), Some("x")]))),
                FeatureColumn::Array(Arc::new(BinaryArray::from(vec![Some(&white[..]), None, None, Some(&white)]))),
                FeatureColumn::Numbers(vec![1.0; 4]),
            ],
            added: Vec::new(),
        }
    }

    #[test]
    fn every_kind_of_value_is_counted_for_its_partition_but_rows_that_are_set_aside() {
        let layout = layout();
        let champion = Arc::new(Champion { version: 4, layout: Arc::clone(&layout) });
        let mut panes = Panes::new(champion, watched());
        panes.observe(&rows()).unwrap();
        let range = |partition, from, to| OffsetRange { topic: "t".to_owned(), partition, from, to };
        let tallies = BTreeMap::from([(1, Tally { rejected: 3, ..Tally::default() })]);
        let records = panes.finish(&tallies, &[range(0, 10, 12), range(1, 20, 22), range(2, 0, 5)]);
        let panes: Vec<Pane> =
            records.iter().map(|record| Pane::from_json(&layout, &record.payload).unwrap()).collect();
        let counted = |pane: &Pane, name: &str| {
            let feature = pane.profile.feature(layout.index_of(name).unwrap());
            (feature.rows(), feature.missing())
        };
        let [first, second, third] = panes.as_slice() else { panic!("{panes:?}") };
        assert_eq!((first.model_version, first.max_event_time, first.rejected), (4, 7, 0));
        assert_eq!((second.max_event_time, second.rejected), (6, 3));
        assert_eq!(third.profile.rows(), 0, "a range without rows has a pane, too");
        assert_eq!((counted(first, "size"), counted(second, "size")), ((2, 0), (1, 1)));
        assert_eq!(first.profile.above(0), 1);
        assert_eq!((counted(first, "colour"), counted(second, "colour")), ((2, 1), (1, 0)));
        assert_eq!(second.profile.unseen(1), 1);
        // A missing text is missing once, and an empty one has no share of letters.
        assert_eq!((counted(second, "text.length"), counted(second, "text.words")), ((1, 1), (0, 0)));
        assert_eq!((counted(first, "text.words"), counted(first, "text.letters")), ((2, 0), (2, 1)));
        assert_eq!((counted(first, "photo.contrast"), counted(first, "photo.mean_red")), ((1, 0), (2, 1)));
        // A record without its label says nothing of labels.
        assert_eq!((counted(first, LABEL), counted(second, LABEL)), ((2, 0), (0, 0)));
    }

    #[test]
    fn a_feature_of_another_kind_than_the_model_knows_is_passed_over() {
        let reference = ReferenceProfile::of(&[("size", Values::Categories(&[Some("large")]))]).unwrap();
        let layout = Layout::new(reference).unwrap();
        let mut panes = Panes::new(Arc::new(Champion { version: 1, layout }), watched());
        panes.observe(&rows()).unwrap();
        assert_eq!(panes.partitions[&0].profile.rows(), 0);
    }
}
