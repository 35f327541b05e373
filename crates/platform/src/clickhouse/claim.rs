//! The right to do something that only one process may do at a time.
//!
//! A claim is a row that is renewed while its owner lives. It holds while no older one lives; and one that was not renewed in
//! time is lost for good, so that an owner that was stopped for long does not come back into it. Every time is the server's:
//! the clocks of the processes do not matter.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;
use uuid::Uuid;

use super::{ClickHouse, Error, quote_text};

/// Seconds after which a claim that was not renewed is nobody's.
const LIFE: u64 = 15;
/// How long a renewal that is under way may take once the claim is given back.
const ENDING: Duration = Duration::from_secs(2);
/// How often a claim is renewed.
const RENEWED: Duration = Duration::from_secs(3);

/// The statement that makes the table of claims.
pub(super) fn table(settings: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS claims (what String, owner UUID, since DateTime64(3, 'UTC'), \
         renewed DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree(renewed) ORDER BY (what, owner) \
         TTL toDateTime(renewed) + INTERVAL 1 DAY {settings}"
    )
}

#[derive(Row, Deserialize)]
struct Holder {
    #[serde(with = "clickhouse::serde::uuid")]
    owner: Uuid,
}

/// A claim that is renewed until it is dropped or given back.
#[derive(Debug)]
pub struct Claim {
    clickhouse: ClickHouse,
    what: String,
    owner: Uuid,
    lost: CancellationToken,
    released: CancellationToken,
    renewing: AbortOnDropHandle<()>,
}

impl Claim {
    /// Claims `what`; `None` while somebody else has it.
    pub async fn of(clickhouse: &ClickHouse, what: &str) -> Result<Option<Self>, Error> {
        let owner = Uuid::now_v7();
        let name = quote_text(what);
        clickhouse
            .execute(&format!("INSERT INTO claims SELECT {name}, toUUID('{owner}'), now64(3, 'UTC') AS now, now"))
            .await?;
        if !holds(clickhouse, what, owner).await? {
            give_back(clickhouse, what, owner).await?;
            return Ok(None);
        }
        let (lost, released) = (CancellationToken::new(), CancellationToken::new());
        let renewing = renew(clickhouse.clone(), what.to_owned(), owner, lost.clone(), released.clone());
        let renewing = AbortOnDropHandle::new(tokio::spawn(renewing));
        Ok(Some(Self { clickhouse: clickhouse.clone(), what: what.to_owned(), owner, lost, released, renewing }))
    }

    /// Whether it is this process's still; asked of the server before what cannot be undone.
    pub async fn holds(&self) -> Result<bool, Error> {
        Ok(!self.lost.is_cancelled() && holds(&self.clickhouse, &self.what, self.owner).await?)
    }

    /// Lets others have it at once. A claim that is dropped is nobody's after some seconds.
    pub async fn release(self) -> Result<(), Error> {
        // A renewal that is under way would come after it has been given back. A server that is away is not waited for.
        self.released.cancel();
        let _ = tokio::time::timeout(ENDING, self.renewing).await;
        give_back(&self.clickhouse, &self.what, self.owner).await
    }
}

/// Of the claims that live, the oldest holds; two of one millisecond are told apart by their owners.
async fn holds(clickhouse: &ClickHouse, what: &str, owner: Uuid) -> Result<bool, Error> {
    let oldest = format!(
        "SELECT owner FROM claims FINAL WHERE what = {} AND renewed > now64(3, 'UTC') - INTERVAL {LIFE} SECOND \
         ORDER BY since, owner LIMIT 1",
        quote_text(what)
    );
    Ok(clickhouse.rows::<Holder>(&oldest).await?.first().is_some_and(|holder| holder.owner == owner))
}

async fn give_back(clickhouse: &ClickHouse, what: &str, owner: Uuid) -> Result<(), Error> {
    let name = quote_text(what);
    clickhouse.execute(&format!("DELETE FROM claims WHERE what = {name} AND owner = toUUID('{owner}')")).await
}

/// Renews until the claim turns out to be lost.
async fn renew(
    clickhouse: ClickHouse,
    what: String,
    owner: Uuid,
    lost: CancellationToken,
    released: CancellationToken,
) {
    // Nothing is inserted for one that was not renewed in time.
    let again = format!(
        "INSERT INTO claims SELECT what, owner, since, now64(3, 'UTC') FROM claims FINAL WHERE what = {} \
         AND owner = toUUID('{owner}') AND renewed > now64(3, 'UTC') - INTERVAL {LIFE} SECOND",
        quote_text(&what)
    );
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEWED) => {}
            () = released.cancelled() => return,
        }
        if let Err(error) = clickhouse.execute(&again).await {
            warn!(what, %error, "a claim is not renewed this time");
            continue;
        }
        match holds(&clickhouse, &what, owner).await {
            Ok(true) => {}
            Ok(false) => {
                warn!(what, "a claim is lost: it was not renewed in time");
                return lost.cancel();
            }
            Err(error) => warn!(what, %error, "it is not known whether a claim holds"),
        }
    }
}
