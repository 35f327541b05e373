//! `driftmill test`: runs pipelines over given records and compares with the expected rows. A case is one file in the folder
//! `tests` beside the pipeline file.

mod case;
mod compare;
mod given;
mod golden;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use driftmill_platform::clock::{SharedClock, SystemClock};
use driftmill_platform::config::Settings;
use driftmill_processors::trial::{self, Outcome, Trial};
use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::pipeline::Loaded;

use crate::args::Test;
use crate::pipelines;

use case::Case;

/// Runs the cases that are asked for; one that fails is an error at the end.
pub async fn run(settings: &Settings, asked: &Test) -> anyhow::Result<()> {
    let cases = cases(&settings.pipelines, &asked.names)?;
    if cases.is_empty() {
        bail!(
            "there is no case to run: put a file into `{}/PIPELINE/tests/` that names `given` records, and run \
             `driftmill test --update` to fill in what is expected of them",
            settings.pipelines.display()
        );
    }
    let mut failed = 0;
    for (loaded, file) in &cases {
        let name = format!("{}/{}", loaded.pipeline.name, stem(file));
        match run_case(loaded, file, asked.update).await {
            Ok(said) => println!("ok      {name}: {said}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => bail!("{failed} of {} cases failed", cases.len()),
    }
}

/// The files of the cases that `names` ask for, in order; all without names.
fn cases(folder: &Path, names: &[String]) -> anyhow::Result<Vec<(Arc<Loaded>, PathBuf)>> {
    let all = if names.is_empty() { pipelines::names(folder)? } else { names.to_vec() };
    let mut cases = Vec::new();
    for name in &all {
        let (pipeline, case) = name.split_once('/').map_or((name.as_str(), None), |(p, case)| (p, Some(case)));
        let loaded = pipelines::load_one(folder, pipeline)?;
        let files = files(&loaded.folder.join("tests"))?;
        match case {
            None => cases.extend(files.into_iter().map(|file| (Arc::clone(&loaded), file))),
            Some(case) => match files.iter().find(|file| stem(file) == case) {
                Some(file) => cases.push((loaded, file.clone())),
                None => {
                    let known: Vec<String> = files.iter().map(|file| stem(file)).collect();
                    let hint = did_you_mean(case, known.iter().map(String::as_str));
                    bail!("pipeline `{pipeline}` has no case `{case}`{hint}");
                }
            },
        }
    }
    Ok(cases)
}

/// The cases in a folder, sorted; none without the folder.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("`{}` cannot be read", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs one case, and says what came out.
async fn run_case(loaded: &Arc<Loaded>, file: &Path, update: bool) -> anyhow::Result<String> {
    let case = Case::read(file)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let trial = given::read(loaded, &case, Arc::clone(&clock))?.run(loaded, clock).await?;
    let said = summary(&trial);
    if update {
        let text = golden::updated(&case.text, loaded, &trial)?;
        if text != case.text {
            let after = Case::parse(text.clone(), file);
            if !after.is_ok_and(|after| golden::keeps_what_is_given(&case.file, &after.file, trial.outcomes.len())) {
                bail!(
                    "what is expected cannot be written into this file: write it as YAML whose keys stand at the beginning of \
                     their lines, without quotes, with `expected` and `windows` last"
                );
            }
            std::fs::write(file, text).with_context(|| format!("`{}` cannot be written", file.display()))?;
            return Ok(format!("{said}; written as expected"));
        }
        return Ok(said);
    }
    let differences = compare::differences(&case, loaded, &trial);
    if differences.is_empty() {
        return Ok(said);
    }
    bail!("{said}\n{}", differences.join("\n"))
}

fn summary(trial: &Trial) -> String {
    let rows = trial.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Row(_))).count();
    let rejected = trial.outcomes.len() - rows;
    let windows = match trial.windows.len() {
        0 => String::new(),
        count => {
            let met = trial.windows.iter().filter(|window| window.met).count();
            format!(", {met} of {count} windows as they should be")
        }
    };
    format!("{} records, {rows} rows, {rejected} rejected{windows}", trial.outcomes.len())
}

/// Where a case's time begins: 2026-01-01 00:00:00 UTC. Records arrive a second apart unless they say when.
pub(crate) const EPOCH: i64 = 1_767_225_600_000;

pub(crate) use trial::Window;
