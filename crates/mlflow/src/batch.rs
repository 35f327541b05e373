//! What a run has to say, in requests as large as the server takes.

use std::collections::VecDeque;

use serde::Serialize;
use serde::ser::Serializer;

/// Metrics of a request, with one tag beside them: a thousand things in all.
const METRICS: usize = 999;
/// Parameters of a request, and tags.
const PARAMS: usize = 100;
/// Bytes of a request; MLflow takes a million.
const BYTES: usize = 900_000;

/// A name and a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Pair {
    pub key: String,
    pub value: String,
}

impl Pair {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Bytes it takes at most, each of them escaped as JSON.
    fn size(&self) -> usize {
        json_len(&self.key) + json_len(&self.value) + 32
    }
}

/// Length of a text in JSON.
fn json_len(text: &str) -> usize {
    serde_json::to_string(text).map_or(text.len(), |json| json.len())
}

/// A metric at a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Metric {
    pub key: String,
    #[serde(serialize_with = "any_number")]
    pub value: f64,
    pub timestamp: i64,
    pub step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_digest: Option<String>,
}

/// JSON has no such numbers; MLflow reads them as texts.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn any_number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        value if value.is_nan() => serializer.serialize_str("NaN"),
        value if value.is_infinite() && *value > 0.0 => serializer.serialize_str("Infinity"),
        value if value.is_infinite() => serializer.serialize_str("-Infinity"),
        value => serializer.serialize_f64(*value),
    }
}

/// One request `runs/log-batch`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Batch {
    pub run_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
}

/// Requests with all parameters and tags.
pub(crate) fn texts(run_id: &str, params: Vec<Pair>, tags: Vec<Pair>) -> Vec<Batch> {
    let (mut params, mut tags) = (VecDeque::from(params), VecDeque::from(tags));
    let mut batches = Vec::new();
    while !(params.is_empty() && tags.is_empty()) {
        let mut room = BYTES;
        let params = take(&mut params, &mut room);
        let tags = take(&mut tags, &mut room);
        batches.push(Batch { run_id: run_id.to_owned(), params, tags, ..Batch::default() });
    }
    batches
}

fn take(from: &mut VecDeque<Pair>, room: &mut usize) -> Vec<Pair> {
    let mut taken = Vec::new();
    while taken.len() < PARAMS
        && let Some(pair) = from.pop_front()
    {
        let Some(left) = room.checked_sub(pair.size()) else {
            from.push_front(pair);
            break;
        };
        *room = left;
        taken.push(pair);
    }
    taken
}

/// Requests with all metrics.
pub(crate) fn metrics(run_id: &str, metrics: &[Metric]) -> Vec<Batch> {
    let size = |metric: &Metric| serde_json::to_string(metric).map_or(BYTES, |json| json.len() + 1);
    let longest = metrics.iter().map(size).max().unwrap_or(1);
    let most = (BYTES / longest).clamp(1, METRICS);
    let batch = |part: &[Metric]| Batch { run_id: run_id.to_owned(), metrics: part.to_vec(), ..Batch::default() };
    metrics.chunks(most).map(batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(value: f64) -> Metric {
        Metric {
            key: "loss".to_owned(),
            value,
            timestamp: 1,
            step: 2,
            model_id: None,
            dataset_name: None,
            dataset_digest: None,
        }
    }

    #[test]
    fn no_request_has_more_than_the_server_takes_and_nothing_is_lost() {
        let params: Vec<Pair> = (0..250).map(|n| Pair::new(format!("p{n}"), "v")).collect();
        let tags: Vec<Pair> = (0..120).map(|n| Pair::new(format!("t{n}"), "v")).collect();
        let batches = texts("r", params.clone(), tags.clone());
        assert_eq!(batches.len(), 3);
        assert!(batches.iter().all(|batch| batch.params.len() <= 100 && batch.tags.len() <= 100));
        assert_eq!(batches.iter().flat_map(|batch| batch.params.clone()).collect::<Vec<_>>(), params);
        assert_eq!(batches.iter().flat_map(|batch| batch.tags.clone()).collect::<Vec<_>>(), tags);

        let many: Vec<Metric> = (0..2_500).map(|n| metric(f64::from(n))).collect();
        let batches = super::metrics("r", &many);
        assert_eq!(batches.iter().map(|batch| batch.metrics.len()).collect::<Vec<_>>(), [999, 999, 502]);
        assert!(super::metrics("r", &[]).is_empty() && texts("r", Vec::new(), Vec::new()).is_empty());
    }

    #[test]
    fn a_request_stays_below_a_million_bytes_whatever_the_texts() {
        // Six bytes in JSON for each of these characters.
        let long: Vec<Pair> = (0..100).map(|n| Pair::new(format!("p{n}"), "\u{1}".repeat(6_000))).collect();
        let batches = texts("r", long.clone(), long);
        assert!(batches.iter().all(|batch| serde_json::to_vec(batch).unwrap().len() < 1_000_000));
        assert_eq!(batches.iter().map(|batch| batch.params.len() + batch.tags.len()).sum::<usize>(), 200);

        let (key, dataset_name) = ("ö".repeat(250), Some("\u{1}".repeat(250)));
        let many = vec![Metric { key, dataset_name, ..metric(0.1) }; 3_000];
        let batches = super::metrics("r", &many);
        assert!(batches.iter().all(|batch| serde_json::to_vec(batch).unwrap().len() < 1_000_000));
        assert_eq!(batches.iter().map(|batch| batch.metrics.len()).sum::<usize>(), 3_000);
    }

    #[test]
    fn what_is_no_number_is_sent_as_a_text() {
        let value = |value| serde_json::to_value(metric(value)).unwrap()["value"].clone();
        assert_eq!(value(f64::NAN), "NaN");
        assert_eq!(value(f64::INFINITY), "Infinity");
        assert_eq!(value(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(value(0.5), 0.5);
    }
}
