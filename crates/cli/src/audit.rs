//! `driftmill audit`: is every record accounted for?

use std::time::Duration;

use driftmill_platform::config::Settings;
use driftmill_platform::kafka::Admin;
use driftmill_platform::telemetry;
use driftmill_processors::audit::{Balance, audit};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::Audit;
use crate::context::Context;
use crate::pipelines;

/// Audits the pipelines from their first record on; an imbalance is an error.
pub async fn run(settings: Settings, asked: &Audit) -> anyhow::Result<()> {
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    for name in &asked.names {
        pipelines::load_one(&settings.pipelines, name)?;
    }
    let context = Context::new(settings)?;
    context.tables(&CancellationToken::new()).await?;
    let admin = Admin::new(&context.settings.kafka)?;
    let all = context.pipelines.iter().map(|loaded| &loaded.pipeline.name);
    let names: Vec<&String> = all.filter(|name| asked.names.is_empty() || asked.names.contains(name)).collect();
    let mut wrong = Vec::new();
    if !asked.json {
        print!("{}", header());
    }
    for name in names {
        let balances = audit(&context.clickhouse, &admin, name, |_| None, Duration::from_secs(asked.wait)).await?;
        if asked.json {
            println!("{}", json!({ "pipeline": name, "partitions": balances }));
        } else {
            balances.iter().for_each(|balance| print!("{}", line(name, balance)));
        }
        wrong.extend(balances.into_iter().filter(|balance| !balance.is_balanced()).map(|balance| (name, balance)));
    }
    if wrong.is_empty() {
        if !asked.json {
            println!("balanced: every processed offset is accounted for, once");
        }
        return Ok(());
    }
    anyhow::bail!("{}", wrong.iter().map(|(name, balance)| explain(name, balance)).collect::<Vec<_>>().join("\n"))
}

fn header() -> String {
    format!(
        "{:<16} {:>9} {:>23} {:>12} {:>9} {:>8} {:>8} {:>8} {:>6}\n",
        "pipeline", "partition", "offsets", "rows", "dead", "lost", "absent", "missing", "twice"
    )
}

fn line(pipeline: &str, balance: &Balance) -> String {
    format!(
        "{pipeline:<16} {:>9} {:>23} {:>12} {:>9} {:>8} {:>8} {:>8} {:>6}\n",
        balance.partition,
        format!("{}..{}", balance.from, balance.to),
        balance.rows,
        balance.dead_letters,
        balance.lost,
        balance.absent,
        balance.missing,
        balance.twice,
    )
}

fn explain(pipeline: &str, balance: &Balance) -> String {
    let Balance { partition, missing, twice, examples, .. } = balance;
    let shown: Vec<String> = examples.iter().map(|(from, to)| format!("{from}..{to}")).collect();
    let mut text = format!("partition {partition} of `{pipeline}` does not balance: {missing} offsets are missing");
    if !shown.is_empty() {
        text.push_str(&format!(" (first of all {})", shown.join(", ")));
    }
    text.push_str(&format!(", {twice} positions are there twice"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imbalance_is_told_with_its_offsets() {
        let balance = Balance {
            partition: 2,
            from: 0,
            to: 10,
            rows: 8,
            dead_letters: 0,
            lost: 0,
            absent: 0,
            missing: 2,
            twice: 0,
            examples: vec![(3, 5)],
        };
        assert_eq!(
            explain("iris", &balance),
            "partition 2 of `iris` does not balance: 2 offsets are missing (first of all 3..5), 0 positions are there twice"
        );
        assert_eq!(line("iris", &balance).len(), header().len());
    }
}
