//! Tables of what was measured.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::machine::Machine;
use crate::measure::Measurement;
use crate::plot;

/// What the ratio of a drain is to: the same topic consumed and the same bodies inserted, with nothing between.
const CEILING: (&str, &str) = ("ceiling", "consume + insert");
/// Means of features may differ by the last digits of another mathematical library.
const SAME: f64 = 1e-6;

/// Says what a run gave.
pub fn line(run: &Measurement) {
    eprintln!(
        "{:8} {:16} {} {:>9.0} rows/s in {:5.1} s; CPU s: {:.1} own, {:.1} Kafka, {:.1} engine, {:.1} harness, {:.1} \
         others, {:.1} stolen; {:.0} rows/CPU s own; peak {} MiB, {} MiB of it anonymous",
        run.scenario,
        run.system,
        run.repetition,
        run.rows_per_second,
        run.seconds,
        run.cpu.system,
        run.cpu.kafka,
        run.cpu.engine,
        run.cpu.harness,
        run.cpu.others,
        run.cpu.stolen,
        run.rows_per_cpu_second(),
        run.memory.rss / 1024,
        run.memory.anonymous / 1024,
    );
    if run.more.contains_key("p50_ms") {
        let of = |key: &str| run.number(key).unwrap_or_default();
        eprintln!(
            "         produced to queryable: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms; {} polls of {:.1} ms, {} out of order",
            of("p50_ms"),
            of("p99_ms"),
            of("max_ms"),
            of("polls"),
            of("poll_took_ms"),
            of("polls_out_of_order")
        );
    }
    if let Some(audit) = run.audit {
        eprintln!(
            "         offsets {} = rows {} + dead letters {} + lost {}; twice {}",
            audit.offsets, audit.rows, audit.dead_letters, audit.lost, audit.twice
        );
    }
}

/// The runs of one system in one scenario.
pub struct Group<'a> {
    /// What was done.
    pub scenario: &'a str,
    /// Who did it.
    pub system: &'a str,
    runs: Vec<&'a Measurement>,
}

/// Least, median and most of a figure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread {
    /// Least.
    pub least: f64,
    /// Median.
    pub median: f64,
    /// Most.
    pub most: f64,
}

impl Group<'_> {
    /// Spread of a figure over the runs.
    pub fn of(&self, figure: impl Fn(&Measurement) -> f64) -> Spread {
        let mut values: Vec<f64> = self.runs.iter().map(|run| figure(run)).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let middle = (at(values.len() / 2) + at(values.len().saturating_sub(1) / 2)) / 2.0;
        Spread { least: at(0), median: middle, most: at(values.len().saturating_sub(1)) }
    }
}

/// Groups in the order in which they came.
pub fn groups(measured: &[Measurement]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for run in measured {
        match groups.iter_mut().find(|group| group.scenario == run.scenario && group.system == run.system) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { scenario: run.scenario, system: &run.system, runs: vec![run] }),
        }
    }
    groups
}

/// Writes every run as JSON, the medians as Markdown, and the plot.
pub fn write(bench: &Bench, machine: &Machine, measured: &[Measurement]) -> anyhow::Result<()> {
    let out = &bench.plan.out;
    let json =
        json!({ "machine": machine, "load": bench.loaded, "partitions": bench.plan.partitions, "runs": measured });
    std::fs::write(out.join("results.json"), serde_json::to_string_pretty(&json)? + "\n").context("results.json")?;
    let groups = groups(measured);
    let text = format!(
        "# Results of the ingestion benchmark\n\nMade by `make bench-ingest`; what each line means and how it is measured \
         stands in [README.md](../README.md).\n\n{}- {} records of {} bytes in {} partitions\n- CPU of processes that have \
         nothing to do with the benchmark, while it measured: {:.0} % of this machine\n\n{}\n{}{}",
        machine.markdown(),
        bench.loaded.records,
        bench.loaded.bytes / bench.loaded.records.max(1),
        bench.plan.partitions,
        100.0 * share_of_others(measured),
        throughput(&groups),
        latency(&groups),
        features_agree(measured),
    );
    println!("{text}");
    std::fs::write(out.join("results.md"), &text).context("results.md")?;
    std::fs::write(out.join("ingest.svg"), plot::draw(&groups, out)).context("ingest.svg")
}

fn share_of_others(measured: &[Measurement]) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let others: f64 = measured.iter().map(|run| run.cpu.others).sum();
    let all: f64 = measured.iter().map(|run| cores * run.cpu.wall).sum();
    if all > 0.0 { others / all } else { 0.0 }
}

fn throughput(groups: &[Group<'_>]) -> String {
    let ceiling = groups.iter().find(|group| (group.scenario, group.system) == CEILING);
    let ceiling = ceiling.map(|group| group.of(|run| run.rows_per_second).median);
    let mut table = String::from(
        "| scenario | system | runs | rows/s: median (least–most) | of the ceiling | rows per own CPU s | rows per CPU s, with \
         broker and engine | peak RSS | of it anonymous | lost | twice |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for group in groups.iter().filter(|group| group.scenario != "latency") {
        let rate = group.of(|run| run.rows_per_second);
        let share = match ceiling {
            Some(ceiling) if group.scenario == "drain" => format!("{:.0} %", 100.0 * rate.median / ceiling),
            _ => "–".to_owned(),
        };
        let audits: Vec<_> = group.runs.iter().filter_map(|run| run.audit).collect();
        let count = |total: i64| if audits.is_empty() { "–".to_owned() } else { total.to_string() };
        table.push_str(&format!(
            "| {} | {} | {} | {} ({}–{}) | {share} | {} | {} | {:.0} MiB | {:.0} MiB | {} | {} |\n",
            group.scenario,
            group.system,
            group.runs.len(),
            thousands(rate.median),
            thousands(rate.least),
            thousands(rate.most),
            thousands(group.of(Measurement::rows_per_cpu_second).median),
            thousands(group.of(Measurement::rows_per_all_cpu_second).median),
            group.of(|run| run.memory.rss as f64 / 1024.0).median,
            group.of(|run| run.memory.anonymous as f64 / 1024.0).median,
            count(audits.iter().map(|audit| audit.lost).sum()),
            count(audits.iter().map(|audit| audit.twice as i64).sum()),
        ));
    }
    table
}

fn latency(groups: &[Group<'_>]) -> String {
    let mut table = String::new();
    for group in groups.iter().filter(|group| group.scenario == "latency") {
        if table.is_empty() {
            table.push_str(
                "Produced to queryable, at a steady rate (a peer that cannot hold the rate gets half of what it can):\n\n| system | runs | rows/s | p50 | p90 | p99: median (least–most) | max | CPU s a \
                 second: own, broker, engine |\n|---|---|---|---|---|---|---|---|\n",
            );
        }
        let of = |key: &'static str| group.of(move |run| run.number(key).unwrap_or_default());
        let (p99, wall) = (of("p99_ms"), group.of(|run| run.cpu.wall).median.max(0.001));
        table.push_str(&format!(
            "| {} | {} | {} | {:.0} ms | {:.0} ms | {:.0} ms ({:.0}–{:.0}) | {:.0} ms | {:.2}, {:.2}, {:.2} |\n",
            group.system,
            group.runs.len(),
            thousands(group.of(|run| run.rows_per_second).median),
            of("p50_ms").median,
            of("p90_ms").median,
            p99.median,
            p99.least,
            p99.most,
            of("max_ms").median,
            group.of(|run| run.cpu.system).median / wall,
            group.of(|run| run.cpu.kafka).median / wall,
            group.of(|run| run.cpu.engine).median / wall,
        ));
    }
    if table.is_empty() { table } else { table + "\n" }
}

/// Whether everybody computed the same features.
fn features_agree(measured: &[Measurement]) -> String {
    let means = |run: &Measurement| -> Option<Vec<Option<f64>>> {
        Some(run.more.get("means")?.as_array()?.iter().map(Value::as_f64).collect())
    };
    let Some(ours) = measured.iter().find(|run| run.system == "driftmill").and_then(means) else {
        return String::new();
    };
    let differs = |run: &Measurement| {
        let theirs = means(run)?;
        let close = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= SAME * a.abs().max(1.0),
            (a, b) => a == b,
        };
        let same = theirs.len() == ours.len() && ours.iter().zip(&theirs).all(close);
        (!same).then(|| format!("{} {}", run.system, run.repetition))
    };
    let different: Vec<String> = measured.iter().filter_map(differs).collect();
    if different.is_empty() {
        "All systems computed the same features (means over the first 2,000 offsets of a partition).\n".to_owned()
    } else {
        format!("**Features differ from ours in: {}.**\n", different.join(", "))
    }
}

/// A number with commas between its thousands.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts: Vec<String> = [0.4, 999.0, 1000.0, 1_234_567.0].into_iter().map(thousands).collect();
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
