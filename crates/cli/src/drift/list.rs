//! `driftmill drift list`: the newest verdicts and alarms.

use super::args::List;
use super::events::{self, Event};
use super::release;
use crate::context::Context;
use crate::text::{escaped, shortened};
use crate::time;

/// Characters of a reason in a line.
const REASON_SHOWN: usize = 110;
/// Characters of a window's name in a line: enough to tell it apart.
const NAME_SHOWN: usize = 12;

/// Lists events.
pub async fn run(context: &Context, asked: &List) -> anyhow::Result<()> {
    let events = events::newest(context, &asked.pipeline, asked.stream.as_deref(), asked.limit).await?;
    if asked.json {
        for event in &events {
            println!("{}", serde_json::to_string(event)?);
        }
        return Ok(());
    }
    if events.is_empty() {
        println!("{}: nothing was judged yet", asked.pipeline);
        return Ok(());
    }
    let releases = match events.iter().any(|event| event.verdict == "quarantine") {
        true => context.registry.releases(&asked.pipeline).await?,
        false => Vec::new(),
    };
    for event in &events {
        println!("{}", line(event));
        if let Some(release) = releases.iter().find(|release| release.window == event.window) {
            println!("    {}", release::told(release));
        }
    }
    println!("\n`driftmill drift explain {} WINDOW` tells every number behind one", asked.pipeline);
    Ok(())
}

fn line(event: &Event) -> String {
    let Event { at, window, stream, model_version, verdict, rows, reasons } = event;
    let name: String = escaped(window).chars().take(NAME_SHOWN).collect();
    let reason = reasons.first().map_or_else(String::new, |reason| shortened(reason, REASON_SHOWN));
    let more = if reasons.len() > 1 { format!(" (and {} more)", reasons.len() - 1) } else { String::new() };
    format!(
        "{}  {name:<NAME_SHOWN$}  {stream:<11}  v{model_version:<4} {verdict:<12} {rows:>8} rows  {reason}{more}",
        time::short(*at)
    )
}
