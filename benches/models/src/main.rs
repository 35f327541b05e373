//! Fits one of our models to rows in files and measures it: one process a measurement, so that its peak of memory is its
//! own. `benches/models/bench.py` calls it, and its peers alike. Prints one JSON object.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time as it goes by")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use driftmill_models::{Algorithm, Model, artifact, metrics};
use linfa::Dataset;
use ndarray::{Array1, Array2, Axis};
use serde_json::{Value, json};

/// Rows predicted one by one.
const SINGLE: usize = 2_000;
/// Rows of a batch: models of trees share larger ones among threads.
const BATCH: usize = 8_000;
/// Batches are predicted again until so much time has gone by.
const ENOUGH: Duration = Duration::from_millis(300);

/// What to fit, and to what.
#[derive(Parser)]
struct Arguments {
    /// Folder with `train.x`, `train.y`, `test.x` and `test.y`: little-endian f64, rows one after the other.
    data: PathBuf,
    /// Values in a row.
    #[arg(long)]
    features: usize,
    /// Name in a pipeline file.
    #[arg(long)]
    algorithm: String,
    /// Parameters, as JSON.
    #[arg(long, default_value = "{}")]
    params: String,
    /// Whether targets are values; else class indices.
    #[arg(long)]
    regression: bool,
    /// Threads of the fit. Predictions have one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let asked = Arguments::parse();
    let (train, test) = (Part::read(&asked, "train")?, Part::read(&asked, "test")?);
    let params: Value = serde_json::from_str(&asked.params).context("--params")?;
    let algorithm = Algorithm::from_spec(&asked.algorithm, params.as_object().context("--params is no object")?)?;
    let algorithm = on_threads(algorithm, asked.threads);
    forget_peak()?;
    let before = memory("VmRSS")?;
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let model = fit(&algorithm, train, asked.regression)?;
    let (fit_s, fit_cpu_s, peak) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu, memory("VmHWM")?);
    let (single_us, batch_us) = predict(&model, &test)?;
    let mut found = json!({
        "fit_s": fit_s,
        "fit_cpu_s": fit_cpu_s,
        "memory_mib": (peak - before) / 1024.0,
        "single_us": single_us,
        "batch_us": batch_us,
        "model_mib": artifact::encode(&model.clone().into(), &Value::Null)?.len() as f64 / f64::from(1 << 20),
    });
    found["quality"] = quality(&model, &test)?;
    println!("{found}");
    Ok(())
}

/// Rows with their targets.
struct Part {
    x: Array2<f64>,
    y: Array1<f64>,
}

impl Part {
    fn read(asked: &Arguments, name: &str) -> anyhow::Result<Self> {
        let x = numbers(&asked.data.join(format!("{name}.x")))?;
        let y = numbers(&asked.data.join(format!("{name}.y")))?;
        ensure!(x.len() == y.len() * asked.features, "{name}: {} values are not {} rows", x.len(), y.len());
        Ok(Self { x: Array2::from_shape_vec((y.len(), asked.features), x)?, y: y.into() })
    }

    fn labels(&self) -> Vec<usize> {
        self.y.iter().map(|&label| label as usize).collect()
    }
}

fn numbers(path: &Path) -> anyhow::Result<Vec<f64>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    ensure!(rest.is_empty(), "{}: its length is no multiple of 8", path.display());
    Ok(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

fn on_threads(algorithm: Algorithm, threads: usize) -> Algorithm {
    match algorithm {
        Algorithm::RandomForest(params) => Algorithm::RandomForest(params.n_jobs(Some(threads))),
        Algorithm::GradientBoosting(params) => Algorithm::GradientBoosting(params.n_jobs(Some(threads))),
        Algorithm::LogisticRegression(params) => Algorithm::LogisticRegression(params.n_jobs(Some(threads))),
        other => other,
    }
}

fn fit(algorithm: &Algorithm, train: Part, regression: bool) -> anyhow::Result<Model> {
    if regression {
        return Ok(algorithm.fit_regression(&Dataset::new(train.x, train.y), 1)?);
    }
    let labels = train.labels();
    let classes = labels.iter().max().map_or(0, |label| label + 1);
    Ok(algorithm.fit(&Dataset::new(train.x, labels.into()), classes, 1)?)
}

/// Microseconds a row: one by one, and in batches of all test rows.
fn predict(model: &Model, test: &Part) -> anyhow::Result<(f64, f64)> {
    let mut out = vec![0.0; model.n_outputs()];
    let rows: Vec<Vec<f64>> = test.x.rows().into_iter().cycle().take(SINGLE).map(|row| row.to_vec()).collect();
    let mut single = f64::INFINITY;
    // The best of three: the first one also fills the caches.
    for _ in 0..3 {
        let started = Instant::now();
        for row in &rows {
            model.outputs_into(black_box(row), &mut out)?;
            black_box(&out);
        }
        single = single.min(started.elapsed().as_secs_f64() / rows.len() as f64);
    }
    let (started, mut batches) = (Instant::now(), 0);
    while batches == 0 || started.elapsed() < ENOUGH {
        black_box(answer(model, test)?);
        batches += 1;
    }
    let batch = started.elapsed().as_secs_f64() / (batches * test.y.len()) as f64;
    Ok((single * 1e6, batch * 1e6))
}

fn answer(model: &Model, test: &Part) -> anyhow::Result<Array2<f64>> {
    let batches = test.x.axis_chunks_iter(Axis(0), BATCH).map(|rows| model.outputs(rows));
    let batches: Vec<Array2<f64>> = batches.collect::<Result<_, _>>()?;
    let views: Vec<_> = batches.iter().map(Array2::view).collect();
    Ok(ndarray::concatenate(Axis(0), &views)?)
}

fn quality(model: &Model, test: &Part) -> anyhow::Result<Value> {
    let answers = answer(model, test)?;
    if model.classes() == 0 {
        let predicted = answers.column(0).to_vec();
        return Ok(json!({ "rmse": metrics::root_mean_squared_error(&test.y.to_vec(), &predicted)? }));
    }
    let truth = test.labels();
    let predicted = model.predict_batch(test.x.view())?.to_vec();
    Ok(json!({
        "accuracy": metrics::accuracy(&truth, &predicted)?,
        "log_loss": metrics::log_loss(&truth, answers.view())?,
    }))
}

/// Lets the peak of memory begin anew: to read the rows took more than to have them does.
fn forget_peak() -> anyhow::Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// A figure of `/proc/self/status`, in KiB.
fn memory(name: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let Some(line) = status.lines().find(|line| line.starts_with(name)) else { bail!("there is no {name}") };
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse()?)
}

/// User and system time of this process.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // Fields 14 and 15 of proc(5), in hundredths; two stand before the parenthesis.
    Ok((ticks(11) + ticks(12)) / 100.0)
}
