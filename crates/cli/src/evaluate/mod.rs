//! `driftmill evaluate`: judges a model on the rows of a file, which it has never seen.

pub mod forecast;
pub mod text;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use driftmill_platform::clock::SystemClock;
use driftmill_platform::registry::{CHAMPION, ModelVersion};
use driftmill_platform::telemetry;
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::pipeline::{Loaded, Pipeline};
use serde_json::json;

use crate::args::{Evaluate, Located};
use crate::backing::Backing;
use crate::context::Context;
use crate::{pipelines, rows};

/// Runs the command.
pub async fn run(located: Located, asked: Evaluate) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&located.settings.pipelines, &asked.pipeline)?;
    let backing = Backing::find(located).await?;
    let judged = judge(&backing, &loaded, &asked).await;
    backing.stop().await;
    let text = judged?;
    print!("{text}");
    Ok(())
}

async fn judge(backing: &Backing, loaded: &Arc<Loaded>, asked: &Evaluate) -> anyhow::Result<String> {
    let context = backing.context().await?;
    let (version, alias) = choose(&context, asked).await?;
    let bytes = context.registry.artifact(&version).await?;
    let (model, header) = driftmill_models::artifact::decode(&bytes)?;
    let card = ModelCard::from_header(header)?;
    let loaded = as_the_model_saw_it(loaded, &card);
    let file = rows::read(&loaded, &asked.data, asked.source.as_deref(), Arc::new(SystemClock)).await?;
    if !asked.json {
        file.tell_rejected();
    }
    let (rejected, read) = (file.rejected(), file.rows);
    let labelled = driftmill_trainer::rows(&loaded.pipeline, file.arrow.into())?;
    let unlabelled = read - labelled.len();
    let about = About { version: &version, alias, data: &asked.data, rejected, unlabelled };
    if let Some(judged) = driftmill_trainer::evaluate_forecasts(&model, &labelled, &loaded.pipeline)? {
        if asked.importance {
            anyhow::bail!("--importance is about answers from features, and this model forecasts series: leave it out");
        }
        return forecast::told(&about, asked, &judged.backtest, &judged.metrics);
    }
    let pipeline = loaded.pipeline.clone();
    let slice_by = asked.slice_by.clone();
    let importance = asked.importance;
    let judging = move || {
        let report = driftmill_trainer::evaluate(&model, &labelled, &pipeline, &slice_by)?;
        let importances =
            if importance { driftmill_trainer::importances(&model, &labelled, &pipeline)? } else { Vec::new() };
        Ok::<_, driftmill_trainer::Error>((report, importances))
    };
    let (report, importances) = tokio::task::spawn_blocking(judging)
        .await?
        .with_context(|| format!("{} cannot judge the model", asked.data.display()))?;
    if let Some(file) = &asked.csv {
        std::fs::write(file, report.metrics_csv()).with_context(|| format!("`{}`", file.display()))?;
    }
    if asked.json {
        let mut object = about.json();
        if let (Some(object), Ok(serde_json::Value::Object(report))) =
            (object.as_object_mut(), serde_json::to_value(&report))
        {
            object.extend(report);
        }
        if asked.importance {
            object["importance"] = serde_json::to_value(&importances)?;
        }
        return Ok(format!("{object:#}\n"));
    }
    let metric = loaded.pipeline.promotion.metric.name();
    let importances = text::importances(metric, &importances);
    Ok(format!("{}\n{}{importances}", about.line(), text::report(&report)))
}

/// What was judged, and by what.
pub struct About<'a> {
    version: &'a ModelVersion,
    alias: Option<&'static str>,
    data: &'a Path,
    rejected: u64,
    unlabelled: usize,
}

impl About<'_> {
    fn json(&self) -> serde_json::Value {
        json!({
            "pipeline": self.version.pipeline,
            "version": self.version.version,
            "alias": self.alias,
            "algorithm": self.version.algorithm,
            "data": self.data,
            "rejected": self.rejected,
            "unlabelled": self.unlabelled,
        })
    }

    fn line(&self) -> String {
        let alias = self.alias.map(|alias| format!(" ({alias})")).unwrap_or_default();
        let version = self.version;
        let mut said = format!("{} version {}{alias}, {}", version.pipeline, version.version, version.algorithm);
        if self.unlabelled > 0 {
            said.push_str(&format!(", {} rows without a known label left out", self.unlabelled));
        }
        said
    }
}

/// The version that was asked for, and its alias if that is how it was found.
async fn choose(context: &Context, asked: &Evaluate) -> anyhow::Result<(ModelVersion, Option<&'static str>)> {
    let name = &asked.pipeline;
    if let Some(version) = asked.version {
        return Ok((context.registry.version(name, version).await?, None));
    }
    if let Some(champion) = context.registry.resolve(name, CHAMPION).await? {
        return Ok((champion, Some(CHAMPION)));
    }
    let newest = context.registry.versions(name).await?.into_iter().max_by_key(|version| version.version);
    let newest = newest.with_context(|| {
        format!("pipeline `{name}` has no model yet: `driftmill train {name} --from FILE` makes one")
    })?;
    if !asked.json {
        eprintln!("no version of {name} is champion; version {} is judged, the newest one", newest.version);
    }
    Ok((newest, None))
}

/// The pipeline with the features and classes of the model's day, whatever its file says now.
fn as_the_model_saw_it(loaded: &Loaded, card: &ModelCard) -> Arc<Loaded> {
    let mut label = loaded.pipeline.label.clone();
    label.classes.clone_from(&card.classes);
    // A class that the model does not know is one it cannot be asked about: such records are rejected, and told.
    label.open = false;
    let pipeline = Pipeline { features: card.features.clone(), label, ..loaded.pipeline.clone() };
    Arc::new(Loaded { pipeline, ..loaded.clone() })
}
