//! The pipelines of a folder: `<folder>/<name>/pipeline.yaml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use driftmill_schemas::name;
use driftmill_schemas::pipeline::{self, Loaded};

/// The file of the pipeline called `name`.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).join("pipeline.yaml")
}

/// Names of the pipelines in `folder`, sorted.
pub fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("the pipelines' folder `{}` cannot be read; give another with --pipelines", folder.display())
    })?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join("pipeline.yaml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("`{}` holds no pipeline: `driftmill new NAME --from data.csv` makes one", folder.display());
    }
    Ok(names)
}

/// Loads the pipeline called `wanted`.
pub fn load_one(folder: &Path, wanted: &str) -> anyhow::Result<Arc<Loaded>> {
    let known = names(folder)?;
    if !known.iter().any(|name| name == wanted) {
        let hint = name::did_you_mean(wanted, known.iter().map(String::as_str));
        bail!("there is no pipeline `{wanted}` in `{}`{hint}", folder.display());
    }
    Ok(load(&file(folder, wanted))?)
}

/// Loads every pipeline; the first that is wrong is the error.
pub fn load_all(folder: &Path) -> anyhow::Result<Vec<Arc<Loaded>>> {
    names(folder)?.iter().map(|name| Ok(load(&file(folder, name))?)).collect()
}

/// Reads a pipeline file and checks all of it: what it declares, its expressions, its algorithm.
pub fn load(file: &Path) -> Result<Arc<Loaded>, pipeline::Error> {
    let loaded = pipeline::load(file)?;
    let mut problems = driftmill_processors::ingest::check(&loaded).err().unwrap_or_default();
    let learner = driftmill_trainer::learner(&loaded.pipeline, &serde_json::Map::new());
    if let Err(error) = learner.and_then(|_| driftmill_trainer::check_training(&loaded.pipeline)) {
        problems.push(loaded.places.problem("training", error.to_string()));
    }
    for schedule in loaded.pipeline.training.schedules.iter().filter(|schedule| !schedule.params.is_empty()) {
        if let Err(error) = driftmill_trainer::learner(&loaded.pipeline, &schedule.params) {
            let fault = format!("schedule `{}`: {error}", schedule.name);
            problems.push(loaded.places.problem("training", fault));
        }
    }
    if problems.is_empty() { Ok(Arc::new(loaded)) } else { Err(pipeline::Error { file: file.to_owned(), problems }) }
}
