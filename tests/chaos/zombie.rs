//! A processor that sleeps through the loss of its partitions, with an insert on its way, and wakes up.

use super::audit::Auditor;
use super::load::Load;
use super::proxy::{Cut, Flow, Proxy, Side, Weather};
use super::records::Recipe;
use super::run::heal;
use super::schedule::WINDOW;
use super::truth::Truth;
use super::world::World;
use crate::harness::{BrokerKind, eventually};

/// What only an insert into the feature table has in it: its statement travels in the URL.
const ROWS: &str = "chaos_features_rows%60";

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_slept_until_its_partitions_had_moved_writes_nothing_twice() {
    let world = World::start(BrokerKind::chosen()).await;
    let recipe = Recipe::new(11);
    let load = Load::new(recipe.clone(), &world.brokers);
    let truth = Truth::follow(recipe.clone(), &world.brokers);
    let mut auditor = Auditor::new(recipe, world.sql.clone());
    let link = world.clickhouse_of(0);

    for number in 0..world.processors() {
        takes_part(&load, world.clickhouse_of(number)).await;
    }

    // Its inserts do not reach ClickHouse from now on, and in the middle of one it falls asleep. When it is something else that
    // is held (an entry of the ledger, the rest of an insert that had begun), no insert would begin: that one is let go first.
    eventually("an insert is held", async || {
        link.set(Weather::default());
        load.send(200, WINDOW).await;
        link.set(Weather { requests: Flow::Hold, ..Weather::default() });
        load.send(200, WINDOW).await;
        link.holds(ROWS).then_some(())
    })
    .await;
    world.freeze(0).await;
    load.send(2_000, WINDOW).await;
    // What is whole while it sleeps is the other's work: every partition has moved.
    heal(&world, &load, &truth, &mut auditor).await.unwrap_or_else(|e| panic!("{e}"));

    // The insert of the past arrives late, and its sender wakes up with everything it had in hand.
    link.set(Weather::default());
    load.send(500, WINDOW).await;
    world.wake(0).await;
    load.send(2_000, WINDOW).await;
    auditor.rewind();
    heal(&world, &load, &truth, &mut auditor).await.unwrap_or_else(|e| panic!("{e}"));

    takes_part(&load, link).await;
    auditor.rewind();
    heal(&world, &load, &truth, &mut auditor).await.unwrap_or_else(|e| panic!("{e}"));
}

/// Waits until the processor behind `link` inserts, and keeps the answer from it.
async fn takes_part(load: &Load, link: &Proxy) {
    link.arm(Cut { side: Side::Answer, needle: ROWS, keep: 0 });
    eventually("the processor inserts", async || {
        load.send(200, WINDOW).await;
        (!link.is_armed()).then_some(())
    })
    .await;
}
