//! What makes trainings begin by themselves: schedules whose time is due, rows that have come, runs that are tried again.
//!
//! Each becomes a request on `driftmill.trainings`, whose id is a hash of what it is for. So it does not matter how many
//! trainers look at the clock, or whether one died between request and note: requests of one id are one run.
//!
//! A schedule has one run at a time: what is due meanwhile is passed over, as it would only wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::registry::{CHAMPION, Firing, PendingRetry, Switch};
use driftmill_schemas::message::{self, FirstCause, TrainingRequest};
use driftmill_schemas::pipeline::{GRACE, Loaded, NEW_ROWS, Schedule, Timetable};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::snapshot::Since;
use crate::{Error, Trainer};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Every so many ticks the tables are asked for rows that have come and tries that are due.
const TICKS: u64 = 5;
const HOUR: i64 = 3_600_000;
/// For how long a try that is due is of use, in milliseconds.
const OF_USE: i64 = 24 * HOUR;

/// How a run that has no end is called.
const STARTED: &str = "started";

/// The schedule of a pipeline, with the newest of its times that was dealt with.
struct Watched {
    loaded: Arc<Loaded>,
    schedule: Schedule,
    timetable: Timetable,
    decided: Option<i64>,
}

/// Fires what is due until `cancel` fires.
pub async fn fire(trainer: Arc<Trainer>, cancel: CancellationToken) -> Result<(), Error> {
    // A server that does not answer is not waited for: whatever was not fired is due after the next start.
    cancel.run_until_cancelled(fire_on(trainer)).await;
    Ok(())
}

async fn fire_on(trainer: Arc<Trainer>) {
    let mut schedules: Vec<Watched> = trainer.all().flat_map(watched).collect();
    // What was fired for rows, and need not be asked for again.
    let mut counted_from: HashMap<String, Uuid> = HashMap::new();
    for tick in 0_u64.. {
        for watched in &mut schedules {
            if let Err(error) = look(&trainer, watched).await {
                let (pipeline, schedule) = (&watched.loaded.pipeline.name, &watched.schedule.name);
                warn!(pipeline, schedule, %error, "a schedule is looked at again later");
            }
        }
        if tick % TICKS == 0 {
            for loaded in trainer.all() {
                if let Err(error) = try_again(&trainer, &loaded.pipeline.name).await {
                    warn!(pipeline = loaded.pipeline.name, %error, "tries that are due are looked at again later");
                }
                if let Err(error) = look_at_rows(&trainer, loaded, &mut counted_from).await {
                    warn!(pipeline = loaded.pipeline.name, %error, "new rows are looked at again later");
                }
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// The schedules of a pipeline. Its file was checked: all of them have times.
fn watched(loaded: &Arc<Loaded>) -> Vec<Watched> {
    let watched = |schedule: &Schedule| {
        let timetable = schedule.timetable().ok()?;
        Some(Watched { loaded: Arc::clone(loaded), schedule: schedule.clone(), timetable, decided: None })
    };
    loaded.pipeline.training.schedules.iter().filter_map(watched).collect()
}

/// Fires a schedule if it is due. The tables are asked once for each of its times: one that comes while it is paused stays
/// without a training, however soon it is switched on.
async fn look(trainer: &Trainer, watched: &mut Watched) -> Result<(), Error> {
    let now = trainer.clock().now();
    let known = watched.decided.as_slice();
    let Some(due) = watched.timetable.due(known, i64::MIN, now) else { return Ok(()) };
    let (pipeline, schedule) = (&watched.loaded.pipeline.name, &watched.schedule);
    let switch = switch_of(trainer, pipeline, &schedule.name).await?;
    if let Some(switch) = switch.filter(|switch| switch.enabled == 1) {
        let fired = trainer.registry().fired(pipeline, &schedule.name, now - GRACE).await?;
        // One that was switched on later than now was so before the clock was put back.
        let since = if switch.at > now { i64::MIN } else { switch.at };
        if watched.timetable.due(&fired, since, now) == Some(due) {
            if let Some(earlier) = under_way(trainer, watched, now).await? {
                let (schedule, passed) = (&schedule.name, watched.timetable.written(due));
                warn!(pipeline, schedule, due = passed, run = %earlier, "passed over: the run before it has not ended");
                watched.decided = Some(due);
                return Ok(());
            }
            let id = message::id_of(&["schedule", pipeline, &schedule.name, &due.to_string()]);
            let request = TrainingRequest {
                params: schedule.params.clone(),
                search: schedule.search,
                reason: format!("due {}", watched.timetable.written(due)),
                ..TrainingRequest::new(id, pipeline, schedule.requester(), now)
            };
            send(trainer, request, &schedule.name, due).await?;
        }
    }
    watched.decided = Some(due);
    Ok(())
}

/// The run of what the schedule fired last, while it is waited for: it has no end, and may still come to one.
async fn under_way(trainer: &Trainer, watched: &Watched, now: i64) -> Result<Option<Uuid>, Error> {
    let (pipeline, schedule) = (&watched.loaded.pipeline, &watched.schedule);
    let Some(last) = trainer.registry().last_firing(&pipeline.name, &schedule.name).await? else { return Ok(None) };
    let timeout = i64::try_from(pipeline.training.timeout).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
    if now.saturating_sub(last.at).saturating_abs() >= timeout.saturating_add(HOUR) {
        return Ok(None);
    }
    let run = message::run_id(&pipeline.name, &message::cause_of(last.request_id, &schedule.requester()));
    let found = trainer.registry().run_of(&pipeline.name, run).await?;
    Ok(found.is_none_or(|found| found.state == STARTED).then_some(run))
}

async fn switch_of(trainer: &Trainer, pipeline: &str, schedule: &str) -> Result<Option<Switch>, Error> {
    let switches = trainer.registry().switches(pipeline).await?;
    Ok(switches.into_iter().find(|switch| switch.schedule == schedule))
}

/// Requests a training and notes it, in this order: a crash in between requests it once more, under the same id.
async fn send(trainer: &Trainer, request: TrainingRequest, schedule: &str, due: i64) -> Result<(), Error> {
    trainer.registry().request_training(&request).await?;
    info!(pipeline = request.pipeline, schedule, request = %request.id, "fired");
    let firing = Firing {
        pipeline: request.pipeline,
        schedule: schedule.to_owned(),
        due,
        at: trainer.clock().now(),
        request_id: request.id,
    };
    Ok(trainer.registry().record_firing(firing).await?)
}

/// Requests a training when enough rows have come since the newest one took its snapshot. It is named by that one, so that
/// rows are counted anew only from the next.
async fn look_at_rows(
    trainer: &Trainer,
    loaded: &Loaded,
    counted_from: &mut HashMap<String, Uuid>,
) -> Result<(), Error> {
    let pipeline = &loaded.pipeline;
    let Some(wanted) = pipeline.training.new_rows else { return Ok(()) };
    let (run, at, rows) = match trainer.registry().newest_snapshot(&pipeline.name).await? {
        Some(of) if counted_from.get(&pipeline.name) == Some(&of.run_id) => return Ok(()),
        Some(of) => (of.run_id, of.at, trainer.rows_since(loaded, &Since::Beyond(of.reached)).await?),
        // Nothing was learned from the table: what its versions learned from were files, whose rows are others.
        None => match trainer.registry().versions(&pipeline.name).await?.pop() {
            Some(version) if counted_from.get(&pipeline.name) == Some(&version.run_id) => return Ok(()),
            Some(version) => (version.run_id, version.created_at, trainer.rows_since(loaded, &Since::Newest).await?),
            // The first training has its own reason.
            None => return Ok(()),
        },
    };
    if rows < wanted {
        return Ok(());
    }
    // Unlike a schedule it was switched on by its declaration.
    let switch = switch_of(trainer, &pipeline.name, NEW_ROWS).await?;
    if switch.is_some_and(|switch| switch.enabled == 0) {
        return Ok(());
    }
    let id = message::id_of(&[NEW_ROWS, &pipeline.name, &run.to_string()]);
    let request = TrainingRequest {
        reason: format!("{rows} labelled rows have come since run {run}"),
        ..TrainingRequest::new(id, &pipeline.name, NEW_ROWS, trainer.clock().now())
    };
    if trainer.registry().fired(&pipeline.name, NEW_ROWS, at).await?.is_empty() {
        send(trainer, request, NEW_ROWS, at).await?;
    }
    counted_from.insert(pipeline.name.clone(), run);
    Ok(())
}

/// Requests the tries that are due and of use.
async fn try_again(trainer: &Trainer, pipeline: &str) -> Result<(), Error> {
    for retry in trainer.registry().due_retries(pipeline, trainer.clock().now()).await? {
        match use_of(trainer, pipeline, &retry).await? {
            // The run that it follows goes on, or anew where its process ended: its end counts.
            Use::NotYet => continue,
            Use::Again => {
                trainer.registry().request_training(&retry.request).await?;
                info!(pipeline, run = %retry.run_id, "tried again");
            }
            Use::No(why) => info!(pipeline, run = %retry.run_id, why, "not tried again"),
        }
        trainer.registry().take_up_retry(&retry).await?;
    }
    Ok(())
}

/// What a try that is due is good for.
enum Use {
    Again,
    NotYet,
    No(&'static str),
}

async fn use_of(trainer: &Trainer, pipeline: &str, retry: &PendingRetry) -> Result<Use, Error> {
    if trainer.clock().now().saturating_sub(retry.due) > OF_USE {
        return Ok(Use::No("it was due more than a day ago"));
    }
    match trainer.registry().run_of(pipeline, retry.run_id).await? {
        Some(run) if ["failed", "timed_out"].contains(&run.state.as_str()) => {}
        Some(run) if run.state != STARTED => return Ok(Use::No("the run before it has made a model after all")),
        _ => return Ok(Use::NotYet),
    }
    if let Some(FirstCause::Drift { champion, .. }) = retry.request.again.as_ref().map(|again| &again.cause) {
        let serves = trainer.registry().resolve(pipeline, CHAMPION).await?;
        if serves.is_none_or(|serves| serves.version != *champion) {
            return Ok(Use::No("the version that drifted no longer serves"));
        }
    }
    Ok(Use::Again)
}
