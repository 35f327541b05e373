//! `driftmill schedules`: when pipelines train by themselves, switched on and off by a person.

use anyhow::{Context as _, bail};
use driftmill_platform::registry::{RunSummary, Switch};
use driftmill_platform::telemetry;
use driftmill_schemas::message::TrainingRequest;
use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::pipeline::{Loaded, NEW_ROWS, Schedule};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::args::{Located, Schedules, SchedulesCommand};
use crate::backing::Backing;
use crate::context::Context;
use crate::roles::train;
use crate::{pipelines, runs, shutdown, text, time};

/// Times to come that are shown.
const COMING: usize = 3;

/// Runs the command.
pub async fn run(located: Located, asked: Schedules) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let Schedules { command, pipeline, json } = asked;
    match command {
        None => {
            if let Some(pipeline) = &pipeline {
                pipelines::load_one(&located.settings.pipelines, pipeline)?;
            }
            let backing = Backing::find(located).await?;
            let listed = list(&backing, pipeline.as_deref(), json).await;
            backing.stop().await;
            listed
        }
        Some(SchedulesCommand::Resume { pipeline, name }) => switch(located, &pipeline, &name, true).await,
        Some(SchedulesCommand::Pause { pipeline, name }) => switch(located, &pipeline, &name, false).await,
        Some(SchedulesCommand::Run { pipeline, name, params }) => now(located, &pipeline, &name, &params).await,
    }
}

/// What a pipeline declares under a name: a schedule, or nothing more for its new rows.
fn declared<'a>(loaded: &'a Loaded, name: &str) -> anyhow::Result<Option<&'a Schedule>> {
    let training = &loaded.pipeline.training;
    if let Some(schedule) = training.schedules.iter().find(|schedule| schedule.name == name) {
        return Ok(Some(schedule));
    }
    if name == NEW_ROWS && training.new_rows.is_some() {
        return Ok(None);
    }
    let names: Vec<&str> = names(loaded).collect();
    let pipeline = &loaded.pipeline.name;
    if names.is_empty() {
        bail!("{pipeline} has no schedule: declare one in its pipeline.yaml, below `training.schedules`");
    }
    bail!(
        "{pipeline} has no schedule `{name}`{}; it has: {}",
        did_you_mean(name, names.iter().copied()),
        names.join(", ")
    )
}

fn names(loaded: &Loaded) -> impl Iterator<Item = &str> {
    let training = &loaded.pipeline.training;
    let new_rows = training.new_rows.map(|_| NEW_ROWS);
    training.schedules.iter().map(|schedule| schedule.name.as_str()).chain(new_rows)
}

async fn switch(located: Located, pipeline: &str, name: &str, enabled: bool) -> anyhow::Result<()> {
    let loaded = pipelines::load_one(&located.settings.pipelines, pipeline)?;
    let schedule = declared(&loaded, name)?;
    let backing = Backing::find(located).await?;
    let switched = async {
        let context = backing.context().await?;
        context.tables(&CancellationToken::new()).await?;
        context.registry.set_switch(pipeline, name, enabled, &who()).await?;
        anyhow::Ok(context.clock.now())
    };
    let switched = switched.await;
    backing.stop().await;
    let now = switched?;
    let next = match schedule {
        Some(schedule) if enabled => {
            let timetable = schedule.timetable().map_err(anyhow::Error::msg)?;
            timetable.next(now).map(|at| format!("; it fires next on {}", timetable.written(at))).unwrap_or_default()
        }
        _ => String::new(),
    };
    println!("{name} of {pipeline} is {}{next}", if enabled { "on" } else { "paused" });
    Ok(())
}

/// Who gives the command, as far as the machine tells.
fn who() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "cli".to_owned())
}

async fn now(located: Located, pipeline: &str, name: &str, params: &[String]) -> anyhow::Result<()> {
    let settings = located.settings;
    let loaded = pipelines::load_one(&settings.pipelines, pipeline)?;
    let schedule = declared(&loaded, name)?;
    let mut all = schedule.map(|schedule| schedule.params.clone()).unwrap_or_default();
    all.extend(train::params(params)?);
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let context = Context::new(settings)?;
    context.prepare(&cancel).await?;
    let request = TrainingRequest {
        params: all,
        search: schedule.is_some_and(|schedule| schedule.search),
        ..TrainingRequest::new(Uuid::now_v7(), pipeline, by_hand(name), context.clock.now())
    };
    let event = train::ask(&context, &request, &cancel).await?;
    train::report(&event)
}

fn by_hand(name: &str) -> String {
    format!("cli (schedule {name})")
}

async fn list(backing: &Backing, pipeline: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let context = backing.context().await?;
    let mut shown = 0;
    for loaded in &context.pipelines {
        let of = &loaded.pipeline;
        if pipeline.is_some_and(|wanted| wanted != of.name) || names(loaded).next().is_none() {
            continue;
        }
        let switches = context.registry.switches(&of.name).await?;
        for name in names(loaded) {
            let last = context.registry.newest_caused(&of.name, &ends(loaded, name)?).await?;
            let told = Told::of(loaded, name, &switches, last, context.clock.now())?;
            match as_json {
                true => println!("{}", text::json(&told.json())),
                false => print!("{}", told.page()),
            }
            shown += 1;
        }
    }
    if shown == 0 && !as_json {
        println!("no schedule is declared: `training.schedules` of a pipeline.yaml declares some");
    }
    Ok(())
}

/// What the causes of its runs end with.
fn ends(loaded: &Loaded, name: &str) -> anyhow::Result<[String; 2]> {
    let requester = declared(loaded, name)?.map_or_else(|| NEW_ROWS.to_owned(), Schedule::requester);
    Ok([format!(" by {requester}"), format!(" by {}", by_hand(name))])
}

/// What is told of one schedule.
struct Told<'a> {
    pipeline: &'a str,
    name: &'a str,
    when: String,
    time_zone: Option<&'a str>,
    enabled: bool,
    switch: Option<&'a Switch>,
    next: Vec<(i64, String)>,
    last: Option<RunSummary>,
}

impl<'a> Told<'a> {
    fn of(
        loaded: &'a Loaded,
        name: &'a str,
        switches: &'a [Switch],
        last: Option<RunSummary>,
        now: i64,
    ) -> anyhow::Result<Self> {
        let schedule = declared(loaded, name)?;
        let switch = switches.iter().find(|switch| switch.schedule == name);
        let next = match schedule {
            Some(schedule) => {
                let timetable = schedule.timetable().map_err(anyhow::Error::msg).context("the pipeline file")?;
                timetable.coming(now, COMING).into_iter().map(|at| (at, timetable.written(at))).collect()
            }
            None => Vec::new(),
        };
        Ok(Self {
            pipeline: &loaded.pipeline.name,
            name,
            when: match schedule {
                Some(schedule) => schedule.cron.clone(),
                None => format!("{} new rows", loaded.pipeline.training.new_rows.unwrap_or_default()),
            },
            time_zone: schedule.map(|schedule| schedule.time_zone.as_str()),
            // A schedule begins paused, and new rows on.
            enabled: switch.map_or(schedule.is_none(), |switch| switch.enabled == 1),
            switch,
            next,
            last,
        })
    }

    fn page(&self) -> String {
        let since = match self.switch {
            Some(switch) => format!(" since {} UTC, by {}", time::short(switch.at), text::escaped(&switch.who)),
            None if self.enabled => " as declared".to_owned(),
            None => format!(": `driftmill schedules resume {} {}` switches it on", self.pipeline, self.name),
        };
        let state = if self.enabled { "on" } else { "paused" };
        let zone = self.time_zone.map(|zone| format!(" {zone}")).unwrap_or_default();
        let mut page = format!("{} {}  {}{zone}\n  {state}{since}\n", self.pipeline, self.name, self.when);
        if !self.next.is_empty() {
            let next: Vec<&str> = self.next.iter().map(|(_, written)| written.as_str()).collect();
            let word = if self.enabled { "next" } else { "would fire" };
            page += &format!("  {word}: {}\n", next.join(", "));
        }
        match &self.last {
            Some(run) => page += &format!("  last: {}\n", runs::line(run)),
            None => page += "  never ran\n",
        }
        page
    }

    fn json(&self) -> Value {
        json!({
            "pipeline": self.pipeline,
            "schedule": self.name,
            "when": self.when,
            "time_zone": self.time_zone,
            "enabled": self.enabled,
            "switched_at": self.switch.map(|switch| switch.at),
            "switched_by": self.switch.map(|switch| &switch.who),
            "next": self.next.iter().map(|(at, _)| at).collect::<Vec<_>>(),
            "last_run": self.last,
        })
    }
}
