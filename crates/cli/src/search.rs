//! `driftmill search`: what the newest search among hyper-parameters tried, the best first.

use std::collections::BTreeMap;

use driftmill_models::search::spread;
use driftmill_platform::registry::SearchScore;
use driftmill_platform::telemetry;
use driftmill_schemas::pipeline::Pipeline;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Located, Search};
use crate::backing::Backing;

/// A combination and how it did in the last step that it was in.
#[derive(Debug, Serialize)]
struct Tried {
    /// What differs from the pipeline file.
    params: Value,
    /// Share of the rows that it learned from there.
    share: f64,
    /// Mean of the metric over the folds; none when it failed.
    mean: Option<f64>,
    /// Standard deviation over the folds (of the sample).
    deviation: Option<f64>,
    folds: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    failure: String,
}

/// Runs the command.
pub async fn run(located: Located, asked: Search) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = crate::pipelines::load_one(&located.settings.pipelines, &asked.pipeline)?;
    let backing = Backing::find(located).await?;
    let scores =
        async { Ok::<_, anyhow::Error>(backing.context().await?.registry.newest_scores(&asked.pipeline).await?) };
    let scores = scores.await;
    backing.stop().await;
    let scores = scores?;
    let pipeline = &loaded.pipeline;
    let ranking = ranking(&scores, pipeline.promotion.metric.is_of_values());
    let metric = pipeline.promotion.metric.name();
    if asked.json {
        let search = scores.first().map(|score| score.search.as_str());
        println!(
            "{:#}",
            json!({"pipeline": asked.pipeline, "search": search, "metric": metric, "candidates": ranking})
        );
        return Ok(());
    }
    match scores.first() {
        Some(_) => print!("{}", told(pipeline, &ranking, scores.len(), asked.limit)),
        None => println!(
            "pipeline `{0}` had no search yet: `driftmill train {0} --search` makes one, in `training.search.space` of its file",
            asked.pipeline
        ),
    }
    Ok(())
}

/// Every combination by how far it got on all folds, and then by its mean there; then those that are not through yet; those
/// that failed come last.
fn ranking(scores: &[SearchScore], minimize: bool) -> Vec<Tried> {
    let folds = scores.iter().map(|score| score.fold as usize + 1).max().unwrap_or_default();
    let mut by_candidate: BTreeMap<u32, BTreeMap<u32, Vec<&SearchScore>>> = BTreeMap::new();
    for score in scores {
        by_candidate.entry(score.candidate).or_default().entry(score.rung).or_default().push(score);
    }
    let mut ranked: Vec<(u32, Tried)> = by_candidate.into_values().filter_map(|rungs| tried(&rungs, folds)).collect();
    ranked.sort_by(|(rung_a, a), (rung_b, b)| {
        let by_mean = match (a.mean, b.mean) {
            (Some(a), Some(b)) if minimize => a.total_cmp(&b),
            (Some(a), Some(b)) => b.total_cmp(&a),
            _ => std::cmp::Ordering::Equal,
        };
        let by_state = |tried: &Tried| (tried.mean.is_none(), tried.folds < folds);
        by_state(a).cmp(&by_state(b)).then(rung_b.cmp(rung_a)).then(by_mean)
    });
    ranked.into_iter().map(|(_, tried)| tried).collect()
}

/// A combination in the last rung in which it was evaluated on all folds, or failed; else in the first.
fn tried(rungs: &BTreeMap<u32, Vec<&SearchScore>>, folds: usize) -> Option<(u32, Tried)> {
    let through = |scores: &[&SearchScore]| scores.len() == folds || scores.iter().any(|score| score.score.is_none());
    let last = rungs.iter().rev().find(|(_, scores)| through(scores)).or_else(|| rungs.first_key_value());
    let (rung, scores) = last?;
    let values: Vec<f64> = scores.iter().filter_map(|score| score.score).collect();
    let failure = scores.iter().find(|score| score.score.is_none()).map(|score| score.failure.clone());
    let (mean, deviation) = if failure.is_none() { spread(&values) } else { (None, None) };
    let tried = Tried {
        params: serde_json::from_str(&scores[0].params).unwrap_or_default(),
        share: scores[0].share,
        mean,
        deviation,
        folds: scores.len(),
        failure: failure.unwrap_or_default(),
    };
    Some((*rung, tried))
}

/// A value with four digits that matter; `--json` has them all.
fn short(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if !value.is_i64() && !value.is_u64() && number != 0.0 => {
            let places = (3.0 - number.abs().log10().floor()).clamp(0.0, 12.0) as usize;
            let text = format!("{number:.places$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => value.to_string(),
    }
}

fn told(pipeline: &Pipeline, ranking: &[Tried], evaluations: usize, limit: usize) -> String {
    let metric = pipeline.promotion.metric.name();
    let folds = ranking.iter().map(|tried| tried.folds).max().unwrap_or_default();
    let mut text = format!(
        "the newest search of {}: {} combinations, {evaluations} evaluations\n\n{metric:>12}  deviation   rows  parameters\n",
        pipeline.name,
        ranking.len()
    );
    for tried in ranking.iter().take(limit) {
        let params = match tried.params.as_object() {
            Some(params) if params.is_empty() => "as in the file".to_owned(),
            Some(params) => {
                params.iter().map(|(name, value)| format!("{name}={}", short(value))).collect::<Vec<_>>().join(" ")
            }
            None => tried.params.to_string(),
        };
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
        let state = match tried.failure.as_str() {
            "" if tried.folds < folds => format!("  not through: {} of {folds} folds", tried.folds),
            "" => String::new(),
            failure => format!("  failed: {failure}"),
        };
        text.push_str(&format!(
            "{:>12}  {:>9}  {:>3.0} %  {params}{state}\n",
            number(tried.mean),
            number(tried.deviation),
            tried.share * 100.0
        ));
    }
    if ranking.len() > limit {
        text.push_str(&format!("… {} more: --limit {}, or --json\n", ranking.len() - limit, ranking.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(rung: u32, candidate: u32, fold: u32, score: Option<f64>) -> SearchScore {
        SearchScore {
            pipeline: "p".to_owned(),
            search: "s".to_owned(),
            run_id: uuid::Uuid::nil(),
            rung,
            share: if rung == 0 { 0.5 } else { 1.0 },
            candidate,
            fold,
            params: json!({"depth": candidate}).to_string(),
            score,
            snapshot: String::new(),
            failure: if score.is_none() { "no rows".to_owned() } else { String::new() },
            at: 0,
        }
    }

    #[test]
    fn numbers_are_told_by_the_digits_that_matter() {
        let cases = [(json!(0.015_685_54), "0.01569"), (json!(0.5), "0.5"), (json!(120), "120"), (json!(null), "null")];
        for (value, told) in cases {
            assert_eq!(short(&value), told);
        }
        assert_eq!(short(&json!(123_456.7)), "123457");
    }

    #[test]
    fn who_got_further_comes_first_and_who_is_not_through_or_failed_comes_last() {
        let scores = [
            score(0, 0, 0, Some(0.9)),
            score(0, 0, 1, Some(0.9)),
            score(0, 1, 0, Some(0.7)),
            score(1, 1, 0, Some(0.6)),
            score(1, 1, 1, Some(0.8)),
            score(0, 2, 0, None),
            score(0, 3, 0, Some(0.99)),
            score(0, 1, 1, Some(0.7)),
            score(1, 0, 0, Some(0.99)),
        ];
        let order = |minimize| -> Vec<u64> {
            ranking(&scores, minimize).iter().map(|tried| tried.params["depth"].as_u64().unwrap()).collect()
        };
        assert_eq!(order(false), [1, 0, 3, 2]);
        assert_eq!(order(true), [1, 0, 3, 2]);
        let best = &ranking(&scores, false)[0];
        assert_eq!((best.mean, best.folds, best.share), (Some(0.7), 2, 1.0));
        assert!((best.deviation.unwrap() - 0.1414).abs() < 1e-3);
    }
}
