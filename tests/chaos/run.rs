//! Rounds of faults, an audit every few, and a report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::{join, join_all};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::audit::{Audit, Auditor};
use super::load::Load;
use super::records::Recipe;
use super::schedule::{self, Action, Round, WINDOW};
use super::truth::Truth;
use super::world::World;
use crate::harness::BrokerKind;

/// Rounds between two audits. Faults that hit while the last ones still heal are the better ones.
const TOGETHER: u64 = 5;
/// Every so many audits begin at offset 0 again: what was right may not become wrong.
const FROM_THE_BEGINNING: u64 = 20;
/// How long the pipeline may take to catch up. A forgotten connection to Kafka alone costs a minute.
const HEALING: Duration = Duration::from_secs(150);

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub broker: BrokerKind,
    pub seed: u64,
    /// Number of the first round: a run can begin where another one failed.
    pub first: u64,
    pub rounds: u64,
    /// Whether no other test runs in this process.
    pub alone: bool,
}

/// Runs the plan; what went wrong is the error, with everything needed to look into it.
pub async fn run(plan: &Plan) -> Result<(), String> {
    let (seed, broker) = (plan.seed, plan.broker);
    let mut log = Log::new(format!("chaos: seed {seed}, {} rounds, {broker:?}", plan.rounds));
    // Before anything is started: whatever ends this run takes everything down with it. Not among other tests: a signal that
    // was caught once no longer ends the process, and so not them either.
    let interrupted = async {
        if !plan.alone {
            return std::future::pending().await;
        }
        let mut interrupt = signal(SignalKind::interrupt()).unwrap();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
        }
    };
    tokio::pin!(interrupted);
    let world = tokio::select! {
        biased;
        how = &mut interrupted => return Err(how.to_owned()),
        world = World::start(broker) => world,
    };
    let outcome = tokio::select! {
        outcome = rounds(plan, &world, &mut log) => outcome,
        how = &mut interrupted => Err(how.to_owned()),
    };
    let Err(reason) = outcome else { return Ok(()) };
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{broker:?}-{seed}").to_lowercase());
    let ledger = world.evidence(&kept).await;
    log.say(format!("FAILED: {reason}\nledger (stage, partition, reached, rows, rejected):\n{ledger}"));
    std::fs::write(kept.join("chaos.log"), &log.text).unwrap();
    let again = format!("run it again by: make chaos BROKER={} SEED={seed}", format!("{broker:?}").to_lowercase());
    Err(format!("{}\nlogs: {}\n{again}", log.text, kept.display()))
}

async fn rounds(plan: &Plan, world: &World, log: &mut Log) -> Result<(), String> {
    let recipe = Recipe::new(plan.seed);
    let load = Load::new(recipe.clone(), &world.brokers);
    let truth = Truth::follow(recipe.clone(), &world.brokers);
    let mut auditor = Auditor::new(recipe, world.sql.clone());
    let begun = Instant::now();
    let last = plan.first + plan.rounds;
    for number in plan.first..last {
        let round = schedule::round(plan.seed, number, plan.broker);
        log.round(&round);
        let faults = join_all(round.faults.iter().map(|fault| world.inflict(fault)));
        let (_, inflicted) = join(load.send(round.records, WINDOW), faults).await;
        inflicted.into_iter().collect::<Result<(), String>>()?;
        world.all_run().await?;
        let done = number + 1 - plan.first;
        if done.is_multiple_of(TOGETHER) || number + 1 == last {
            if number + 1 == last || (done / TOGETHER).is_multiple_of(FROM_THE_BEGINNING) {
                auditor.rewind();
            }
            let healing = Instant::now();
            let audit = heal(world, &load, &truth, &mut auditor).await?;
            log.audit(done, load.sent(), &audit, healing.elapsed(), begun.elapsed());
        }
    }
    log.summary(&load, world.crashes(), begun.elapsed());
    let complaint = truth.complaint();
    if !complaint.is_empty() {
        log.say(&complaint);
        if plan.broker == BrokerKind::Kafka {
            return Err(complaint);
        }
    }
    Ok(())
}

/// Waits until everything sent is accounted for. What is wrong now will not become right; what is missing may come.
pub async fn heal(world: &World, load: &Load, truth: &Truth, auditor: &mut Auditor) -> Result<Audit, String> {
    let topic = truth.catch_up(load).await?;
    let mut last = Err("ClickHouse was never asked".to_owned());
    let healed = timeout(HEALING, async {
        loop {
            world.all_run().await?;
            last = auditor.audit(&topic).await;
            if let Ok(audit) = &last {
                if audit.is_balanced() {
                    return Ok(());
                }
                if !audit.faults.is_empty() {
                    return Err(format!("what must not be is there\n{}", audit.table()));
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    match (healed, last) {
        (Ok(Ok(())), last) => last,
        (Ok(Err(wrong)), _) => Err(wrong),
        (Err(_), Ok(audit)) => Err(format!("not whole after {HEALING:?}\n{}", audit.table())),
        (Err(_), Err(error)) => Err(format!("ClickHouse does not answer after {HEALING:?}: {error}")),
    }
}

/// What has happened so far, printed as it happens.
struct Log {
    text: String,
    faults: BTreeMap<String, usize>,
    slowest: Duration,
}

impl Log {
    fn new(title: String) -> Self {
        let mut log = Self { text: String::new(), faults: BTreeMap::new(), slowest: Duration::ZERO };
        log.say(title);
        log
    }

    fn say(&mut self, line: impl AsRef<str>) {
        eprintln!("{}", line.as_ref());
        let _ = writeln!(self.text, "{}", line.as_ref());
    }

    fn round(&mut self, round: &Round) {
        self.say(format!("round {}: {} records", round.number, round.records));
        for fault in &round.faults {
            self.say(format!("  {fault}"));
            let kind = match fault.action {
                Action::Kill { .. } => "kill",
                Action::Stop { .. } => "stop",
                Action::Reset => "reset",
                Action::Forget => "forget",
                Action::Cut { .. } => "cut",
                Action::Withhold { .. } => "withhold",
                Action::Blackhole { .. } => "blackhole",
                Action::Delay { .. } => "delay",
                Action::Refuse { .. } => "refuse",
            };
            *self.faults.entry(format!("{kind} {}", fault.target)).or_default() += 1;
        }
    }

    fn audit(&mut self, rounds: u64, sent: u64, audit: &Audit, healing: Duration, all: Duration) {
        self.slowest = self.slowest.max(healing);
        let rows: usize = audit.partitions.iter().map(|p| p.rows).sum();
        let dead: usize = audit.partitions.iter().map(|p| p.dead_letters).sum();
        let offsets: usize = audit.partitions.iter().map(|p| p.offsets).sum();
        self.say(format!(
            "whole after {:.1} s: {rows} rows + {dead} dead letters = {offsets} offsets ({sent} sent, {rounds} rounds in {:.0} s)",
            healing.as_secs_f64(),
            all.as_secs_f64()
        ));
    }

    fn summary(&mut self, load: &Load, crashes: usize, all: Duration) {
        let faults: usize = self.faults.values().sum();
        self.say(format!(
            "0 lost, 0 twice: {} records, {} with an outcome the broker never told, {faults} faults, {:.0} s, \
             slowest healing {:.1} s",
            load.sent(),
            load.unknown(),
            all.as_secs_f64(),
            self.slowest.as_secs_f64()
        ));
        if crashes > 0 {
            self.say(format!("{crashes} times the engine ended by itself and was started again"));
        }
        let kinds: Vec<String> = self.faults.iter().map(|(kind, count)| format!("  {count:>5} {kind}")).collect();
        self.say(kinds.join("\n"));
    }
}
