//! `driftmill models gold`: show, set or take away the rows that judge every challenger of a pipeline.

use std::sync::Arc;

use driftmill_platform::clock::SystemClock;
use driftmill_platform::registry::GoldSet;
use driftmill_schemas::pipeline::{Gold, Loaded};
use driftmill_trainer::{clear_gold, set_gold_of_rows, set_gold_of_version};
use tokio_util::sync::CancellationToken;

use crate::args::GoldAsked;
use crate::context::Context;
use crate::text::escaped;
use crate::{person, rows, time};

/// A smaller set hardly tells a worse challenger from chance, and refuses good ones.
const FEW_ROWS: u64 = 100;

/// Shows the gold set, or changes it.
pub async fn run(context: &Context, loaded: &Arc<Loaded>, asked: &GoldAsked) -> anyhow::Result<()> {
    context.prepare(&CancellationToken::new()).await?;
    let (registry, pipeline) = (&context.registry, &loaded.pipeline.name);
    let who = person::who();
    if asked.clear {
        let reason = asked.reason.as_deref().unwrap_or("taken away by hand");
        clear_gold(registry, pipeline, &who, reason).await?;
        println!("{pipeline} has no gold set any more");
        return Ok(());
    }
    if let Some(file) = &asked.from {
        let read = rows::read(loaded, file, asked.source.as_deref(), Arc::new(SystemClock)).await?;
        read.tell_rejected();
        let reason = asked.reason.clone().unwrap_or_else(|| format!("the rows of {}", file.display()));
        tell(&set_gold_of_rows(registry, loaded, read.arrow.into(), &who, &reason).await?);
        return Ok(());
    }
    if let Some(version) = asked.version {
        let reason = asked.reason.clone().unwrap_or_else(|| format!("the rows that judged version {version}"));
        tell(&set_gold_of_version(registry, loaded, version, &who, &reason).await?);
        return Ok(());
    }
    let history = registry.gold_history(pipeline).await?;
    if asked.json {
        println!("{}", serde_json::to_string_pretty(&history)?);
        return Ok(());
    }
    if history.first().is_none_or(GoldSet::is_none) {
        println!("{pipeline}: no gold set{}", expected(loaded, history.is_empty()));
    }
    for (number, set) in history.iter().enumerate() {
        println!("{}", line(set, number == 0));
    }
    Ok(())
}

/// Where one comes from by itself.
fn expected(loaded: &Loaded, never: bool) -> &'static str {
    match loaded.pipeline.promotion.gold {
        Some(Gold::First) if never => "; the rows that judge the first champion will be it",
        _ => "",
    }
}

fn tell(set: &GoldSet) {
    println!("{} rows are the gold set of {} from now on: {}", set.rows, set.pipeline, set.snapshot);
    if set.rows < FEW_ROWS {
        println!("so few judge roughly: give {FEW_ROWS} or more");
    }
}

fn line(set: &GoldSet, in_force: bool) -> String {
    let what = match (set.is_none(), in_force) {
        (true, _) => "none".to_owned(),
        (false, true) => format!("{} rows, in force: {}", set.rows, set.snapshot),
        (false, false) => format!("{} rows: {}", set.rows, set.snapshot),
    };
    format!("  since {}  {what}\n    {} ({})", time::short(set.at), escaped(&set.reason), escaped(&set.who))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_told_with_who_and_why() {
        let mut set = GoldSet {
            pipeline: "p".to_owned(),
            sequence: 1,
            at: 0,
            snapshot: "abc".to_owned(),
            rows: 80,
            features: String::new(),
            who: "somebody\u{1b}".to_owned(),
            reason: "checked by hand".to_owned(),
        };
        let told = line(&set, true);
        assert!(
            told.contains("80 rows, in force: abc") && told.contains("checked by hand (somebody\\u{1b})"),
            "{told}"
        );
        set.snapshot.clear();
        assert!(line(&set, true).contains("none"));
    }
}
