//! `driftmill models import`: a model that others fitted becomes a version like ours.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use driftmill_platform::clock::SystemClock;
use driftmill_schemas::message::TrainingRequest;
use driftmill_schemas::pipeline::Loaded;
use driftmill_trainer::{Reason, Trainer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::context::Context;
use crate::roles::train::report;
use crate::rows;

/// Reads, checks, judges and registers the model in `file`.
pub async fn run(
    context: &Context,
    loaded: &Arc<Loaded>,
    file: &Path,
    data: &Path,
    source: Option<&str>,
    nobody_serves: bool,
) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("`{}`", file.display()))?;
    let imported = driftmill_onnx::import(&bytes).with_context(|| format!("`{}`", file.display()))?;
    check_classes(&imported.classes, &loaded.pipeline.label.classes)?;
    let rows = rows::read(loaded, data, source, Arc::new(SystemClock)).await?;
    rows.tell_rejected();
    context.prepare(&CancellationToken::new()).await?;
    let pipeline = &loaded.pipeline.name;
    let request = TrainingRequest {
        direct: nobody_serves,
        ..TrainingRequest::new(
            Uuid::now_v7(),
            pipeline,
            format!("cli, import of {}", file.display()),
            context.clock.now(),
        )
    };
    let trainer = Trainer::new(
        vec![Arc::clone(loaded)],
        context.clickhouse.clone(),
        context.registry.clone(),
        Arc::clone(&context.clock),
    );
    let event = trainer.import(pipeline, &Reason::Request(request), imported.estimator, rows.arrow.into()).await?;
    report(&event.context("this request was dealt with before")?)
}

/// The model numbers its classes as the pipeline does: by the same names, or by the numbers themselves.
fn check_classes(found: &[String], wanted: &[String]) -> anyhow::Result<()> {
    let numbered = found.iter().enumerate().all(|(index, class)| class.parse() == Ok(index));
    if found == wanted || (numbered && found.len() == wanted.len()) {
        return Ok(());
    }
    bail!("the model's classes are {}, and the pipeline's {}, in this order", found.join(", "), wanted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_go_together_by_name_or_by_number() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(check_classes(&names(&["a", "b"]), &names(&["a", "b"])).is_ok());
        assert!(check_classes(&names(&["0", "1"]), &names(&["a", "b"])).is_ok());
        assert!(check_classes(&[], &[]).is_ok());
        assert!(check_classes(&names(&["b", "a"]), &names(&["a", "b"])).is_err());
        assert!(check_classes(&names(&["0", "1", "2"]), &names(&["a", "b"])).is_err());
    }
}
