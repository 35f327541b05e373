//! `driftmill new NAME --from data.csv`: a first pipeline file, to be read and corrected by a person.

mod infer;
mod write;

use anyhow::{Context as _, bail};
use driftmill_platform::config::Settings;
use driftmill_schemas::name;

use crate::args::New;
use crate::pipelines;

/// Looks at the CSV and writes `<pipelines>/<name>/`: pipeline file, schema, and a copy of the data.
pub fn run(settings: &Settings, new: &New) -> anyhow::Result<()> {
    name::check(&new.name)?;
    let folder = settings.pipelines.join(&new.name);
    if folder.exists() {
        bail!("`{}` exists already: choose another name, or remove it", folder.display());
    }
    let guess = infer::infer(&new.from, new.label.as_deref())?;
    std::fs::create_dir_all(folder.join("data")).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    std::fs::copy(&new.from, folder.join("data/data.csv"))?;
    std::fs::write(folder.join("record.avsc"), write::schema(&new.name, &guess)?)?;
    std::fs::write(folder.join("pipeline.yaml"), write::pipeline(&new.name, &guess))?;
    println!("made {} from {} rows; the label is guessed to be `{}`", folder.display(), guess.rows, guess.label.field);
    for note in &guess.notes {
        println!("  note: {note}");
    }
    println!(
        "next: read {}, then `driftmill check {}`",
        pipelines::file(&settings.pipelines, &new.name).display(),
        new.name
    );
    Ok(())
}
