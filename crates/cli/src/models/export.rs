//! What belongs to a version, as files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use driftmill_onnx::Names;
use driftmill_platform::registry::ModelVersion;
use driftmill_schemas::model::ModelCard;

use crate::context::Context;

/// What a version says of itself.
pub async fn card(context: &Context, version: &ModelVersion) -> anyhow::Result<ModelCard> {
    let bytes = context.registry.artifact(version).await?;
    let (_, header) = driftmill_models::artifact::decode(&bytes)?;
    Ok(ModelCard::from_header(header)?)
}

/// Makes a folder, which may be there if nothing is in it.
pub fn empty_folder(to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("`{}`", to.display()))?;
    if std::fs::read_dir(to)?.next().is_some() {
        bail!("`{}` is not empty: give a new folder, so that nothing is written over", to.display());
    }
    Ok(())
}

/// Writes model, reference profile and registry entry of a version.
pub async fn version(context: &Context, version: &ModelVersion, to: &Path) -> anyhow::Result<()> {
    let name = |what: &str| to.join(format!("{}-v{}.{what}", version.pipeline, version.version));
    std::fs::write(name("model"), context.registry.artifact(version).await?)?;
    std::fs::write(name("reference.json"), context.registry.reference(version).await?)?;
    std::fs::write(name("json"), serde_json::to_vec_pretty(version)?)?;
    Ok(())
}

/// Writes a version as ONNX, or says why there is no such file.
pub async fn onnx(context: &Context, version: &ModelVersion, card: &ModelCard, to: &Path) -> anyhow::Result<()> {
    let (estimator, _) = driftmill_models::artifact::decode(&context.registry.artifact(version).await?)?;
    let names = Names {
        features: card.features.iter().map(|feature| feature.name.clone()).collect(),
        classes: card.classes.clone(),
        metadata: BTreeMap::from([("snapshot".to_owned(), version.snapshot.clone())]),
    };
    match driftmill_onnx::export(&estimator, &names) {
        Ok(bytes) => std::fs::write(to.join(format!("{}-v{}.onnx", version.pipeline, version.version)), bytes)?,
        Err(reason) => eprintln!("not written as ONNX: {reason}"),
    }
    Ok(())
}

/// Prints links to model, reference profile and snapshot of a version, for those who have no key to the object store.
pub async fn links(context: &Context, version: &ModelVersion, valid: Duration) -> anyhow::Result<()> {
    let name = |what: &str| format!("{}-v{}.{what}", version.pipeline, version.version);
    let files = [
        (&version.artifact, name("model")),
        (&version.reference, name("reference.json")),
        (&version.snapshot, snapshot_name(&version.snapshot)),
    ];
    for (hash, name) in files {
        link(context, hash, &name, valid).await?;
    }
    Ok(())
}

/// Prints a link to a snapshot.
pub async fn snapshot_link(context: &Context, hash: &str, valid: Duration) -> anyhow::Result<()> {
    link(context, hash, &snapshot_name(hash), valid).await
}

async fn link(context: &Context, hash: &str, name: &str, valid: Duration) -> anyhow::Result<()> {
    println!("{name}\t{}", context.store.link(hash, name, valid).await?);
    Ok(())
}

fn snapshot_name(hash: &str) -> String {
    format!("{hash}.parquet")
}

/// Writes a snapshot under its hash.
pub async fn snapshot(context: &Context, hash: &str, to: &Path) -> anyhow::Result<()> {
    std::fs::write(to.join(snapshot_name(hash)), context.store.get(hash).await?)?;
    Ok(())
}
