//! `driftmill cross-validate`: how good a pipeline's algorithm is on the rows of a file, each answered by a model that has not seen
//! it. No model is kept, and nothing else needs to run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use driftmill_platform::clock::SystemClock;
use driftmill_platform::telemetry;
use driftmill_schemas::pipeline::Pipeline;
use driftmill_trainer::{Answers, Asked, CrossValidation, cross_validate};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::args::{CrossValidate, Located};
use crate::evaluate::{forecast, text};
use crate::roles::train::params;
use crate::{pipelines, rows};

/// Runs the command.
pub async fn run(located: Located, asked: CrossValidate) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&located.settings.pipelines, &asked.pipeline)?;
    let wanted = Asked {
        folds: usize::from(asked.folds),
        overrides: params(&asked.params)?,
        slice_by: asked.slice_by.clone(),
        learning_curve: asked.learning_curve,
    };
    let bar = ProgressBar::new_spinner().with_message(format!("reading {}", asked.data.display()));
    bar.enable_steady_tick(Duration::from_millis(120));
    let file = rows::read(&loaded, &asked.data, asked.source.as_deref(), Arc::new(SystemClock)).await?;
    bar.suspend(|| file.tell_rejected());
    let labelled = driftmill_trainer::rows(&loaded.pipeline, file.arrow.into())?;
    let (rows, shown, of) = (labelled.len(), bar.clone(), Arc::clone(&loaded));
    let validating = move || {
        cross_validate(&labelled, &of.pipeline, &wanted, &|what, done, of| {
            shown.set_message(format!("{what}: {done} of {of}"));
        })
    };
    let found = tokio::task::spawn_blocking(validating).await?;
    bar.finish_and_clear();
    let found = found.with_context(|| format!("{} cannot be cross-validated on", asked.data.display()))?;
    print!("{}", told(&loaded.pipeline, &asked, rows, &found)?);
    Ok(())
}

fn told(pipeline: &Pipeline, asked: &CrossValidate, rows: usize, found: &CrossValidation) -> anyhow::Result<String> {
    if let (Some(file), CrossValidation::Answers(answers)) = (&asked.csv, found) {
        std::fs::write(file, answers.report.metrics_csv()).with_context(|| format!("`{}`", file.display()))?;
    }
    if asked.json {
        let mut object = json!({
            "pipeline": pipeline.name, "algorithm": pipeline.training.algorithm, "data": asked.data, "rows": rows,
            "metric": pipeline.promotion.metric,
        });
        let found = match found {
            CrossValidation::Answers(answers) => serde_json::to_value(answers)?,
            CrossValidation::Forecasts(judged) => json!({"metrics": judged.metrics, "forecast": judged.backtest}),
        };
        if let (Some(object), Value::Object(found)) = (object.as_object_mut(), found) {
            object.extend(found);
        }
        return Ok(format!("{object:#}\n"));
    }
    Ok(match found {
        CrossValidation::Answers(answers) => in_words(pipeline, rows, answers),
        CrossValidation::Forecasts(judged) => {
            let backtest = &judged.backtest;
            let mut text = format!(
                "{}, {}: {} origins in the second half of {rows} rows, {} steps ahead from each\n",
                pipeline.name, pipeline.training.algorithm, backtest.origins, backtest.horizon
            );
            for series in backtest.series.iter().chain(&backtest.all_series) {
                text.push_str(&forecast::table(series));
            }
            text
        }
    })
}

fn in_words(pipeline: &Pipeline, rows: usize, answers: &Answers) -> String {
    let metric = pipeline.promotion.metric.name();
    let folds: Vec<String> = answers.folds.iter().map(|score| format!("{score:.4}")).collect();
    let better = answers.better_by;
    let mut text = format!(
        "{}, {}: {} folds of {rows} rows\n{}\n{metric} by fold: {}\nconstant baseline: {metric} {:.4}; better by {:+.4}, {:.0} % interval [{:+.4}, {:+.4}]\n",
        pipeline.name,
        pipeline.training.algorithm,
        answers.folds.len(),
        text::report(&answers.report),
        folds.join(" "),
        answers.baseline,
        better.estimate,
        pipeline.promotion.confidence * 100.0,
        better.lower,
        better.upper,
    );
    if let Some(curve) = &answers.learning_curve {
        text.push_str(&format!(
            "\nlearning curve, {metric} of a fold\n{:>8}  {:>8}  {:>16}\n",
            "rows", "learned", "not seen"
        ));
        for point in curve {
            text.push_str(&format!(
                "{:>8}  {:>8.4}  {:>7.4} ± {:.4}\n",
                point.size, point.train.mean, point.test.mean, point.test.deviation
            ));
        }
    }
    text
}
