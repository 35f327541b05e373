//! Chaos: everything is killed, stopped and cut off at random while records flow; then every position is accounted for.
//!
//! ```text
//! schedule (seed) ─► faults ─► world: processors, broker, engine, proxies between them
//! load ─► raw topic ─► … ─► view and dead letters
//!            └─► truth ───────────► audit ◄──┘
//! ```
//! What is proved: 0 lost, 0 twice, and every row at the position its record was sent to, holding what was sent.
//!
//! `DRIFTMILL_TEST_CHAOS_ROUNDS` and `DRIFTMILL_TEST_CHAOS_SEED` make the run longer or another one (`make chaos`). The
//! faults of a seed are always the same; when exactly each hits is up to the machine.

mod audit;
mod links;
mod load;
mod proxy;
mod proxy_tests;
mod records;
mod run;
mod schedule;
mod sql;
mod truth;
mod world;
mod zombie;

use std::time::Duration;

use crate::harness::{BrokerKind, watch};
use run::{Plan, run};

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok().filter(|text| !text.is_empty());
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_twice_whatever_breaks() {
    let plan = Plan {
        broker: BrokerKind::chosen(),
        seed: number("DRIFTMILL_TEST_CHAOS_SEED", 1),
        first: number("DRIFTMILL_TEST_CHAOS_FIRST", 0),
        rounds: number("DRIFTMILL_TEST_CHAOS_ROUNDS", 10),
        alone: std::env::var_os("DRIFTMILL_TEST_CHAOS_ROUNDS").is_some(),
    };
    // Each round waits for its faults to heal, which the run itself bounds.
    watch::limited_to(Duration::from_mins(10 + plan.rounds));
    if let Err(report) = run(&plan).await {
        panic!("{report}");
    }
}
