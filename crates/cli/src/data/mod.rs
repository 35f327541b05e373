//! `driftmill data`: the snapshots that models were fitted on.

mod describe;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, bail};
use driftmill_platform::registry::ModelVersion;
use driftmill_platform::telemetry;
use polars::prelude::{CsvWriter, DataFrame, DataType, ParquetReader, SerReader as _, SerWriter as _};

use crate::args::{Data, Located};
use crate::backing::Backing;
use crate::context::Context;
use crate::models::export;

/// Digits of a hash that name a snapshot.
const LEAST_DIGITS: usize = 8;

/// Runs one of the subcommands.
pub async fn run(located: Located, command: Data) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    if let Data::List { pipeline: Some(pipeline) } = &command {
        crate::pipelines::load_one(&located.settings.pipelines, pipeline)?;
    }
    let backing = Backing::find(located).await?;
    let outcome = of(&backing, command).await;
    backing.stop().await;
    outcome
}

async fn of(backing: &Backing, command: Data) -> anyhow::Result<()> {
    let context = backing.context().await?;
    match command {
        Data::List { pipeline } => {
            let versions = versions(&context, pipeline.as_deref()).await?;
            print!("{}", describe::list(&versions));
        }
        Data::Show { snapshot } => {
            let (hash, versions) = find(&context, &snapshot).await?;
            let frame = frame(&context, &hash).await?;
            print!("{}", describe::show(&hash, &versions, &frame)?);
        }
        Data::Restore { snapshot, to } => {
            let (hash, versions) = find(&context, &snapshot).await?;
            export::empty_folder(&to)?;
            export::snapshot(&context, &hash, &to).await?;
            for version in &versions {
                export::version(&context, version, &to).await?;
            }
            println!("the snapshot and {} models are in {}", versions.len(), to.display());
        }
        Data::Export { snapshot, to, link } => {
            let (hash, _) = find(&context, &snapshot).await?;
            let Some(to) = to else { return export::snapshot_link(&context, &hash, link.expires).await };
            write(&context, &hash, &to).await?;
            println!("{} is written", to.display());
        }
    }
    Ok(())
}

/// Versions of one pipeline, or of all, oldest first.
async fn versions(context: &Context, pipeline: Option<&str>) -> anyhow::Result<Vec<ModelVersion>> {
    let mut versions = Vec::new();
    for loaded in &context.pipelines {
        let name = &loaded.pipeline.name;
        if pipeline.is_none_or(|wanted| wanted == name) {
            versions.extend(context.registry.versions(name).await?);
        }
    }
    Ok(versions)
}

/// The one snapshot whose hash begins so, and the versions that were fitted on it.
async fn find(context: &Context, wanted: &str) -> anyhow::Result<(String, Vec<ModelVersion>)> {
    if wanted.len() < LEAST_DIGITS {
        bail!("`{wanted}`: give at least {LEAST_DIGITS} digits of the hash; `driftmill data list` tells them");
    }
    let mut found: BTreeMap<String, Vec<ModelVersion>> = BTreeMap::new();
    for version in versions(context, None).await?.into_iter().filter(|version| version.snapshot.starts_with(wanted)) {
        found.entry(version.snapshot.clone()).or_default().push(version);
    }
    match found.len() {
        1 => found.pop_first().context("one was found"),
        0 => bail!("no version was fitted on a snapshot `{wanted}`; `driftmill data list` tells which there are"),
        count => bail!("`{wanted}` is the beginning of {count} snapshots: give more digits"),
    }
}

async fn frame(context: &Context, hash: &str) -> anyhow::Result<DataFrame> {
    let bytes = context.store.get(hash).await?;
    ParquetReader::new(Cursor::new(bytes)).finish().with_context(|| format!("snapshot {hash}"))
}

/// Writes the snapshot in the format that the file's name says.
async fn write(context: &Context, hash: &str, to: &Path) -> anyhow::Result<()> {
    match to.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => std::fs::write(to, context.store.get(hash).await?).with_context(|| to.display().to_string()),
        Some("csv") => {
            let mut frame = frame(context, hash).await?;
            let images: Vec<String> = frame
                .columns()
                .iter()
                .filter(|column| column.dtype() == &DataType::Binary)
                .map(|column| column.name().to_string())
                .collect();
            if !images.is_empty() {
                bail!("column {} holds images, which no CSV can: export a .parquet", images.join(", "));
            }
            let file = std::fs::File::create(to).with_context(|| to.display().to_string())?;
            Ok(CsvWriter::new(file).finish(&mut frame)?)
        }
        _ => bail!("`{}`: the file's name must end in .parquet or .csv", to.display()),
    }
}
