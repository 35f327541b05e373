//! What `driftmill drift` may be asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Run the drift processor; or look at what it said.
#[derive(Debug, Args)]
pub struct Drift {
    /// What to look at; absent: run the role.
    #[command(subcommand)]
    pub command: Option<Look>,
}

/// What was said of drift.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// The newest verdicts and alarms.
    List(List),
    /// One verdict with every number behind it; checks that the stored facts still give it.
    Explain(Explain),
    /// Try policies on the stored history: which windows would have been drift, and which trainings would have begun.
    Backtest(Backtest),
    /// Say that a window in quarantine was sound: trainings use its rows again.
    Release(Release),
    /// What was counted of a version's rows, added up over all stored panes: JSON.
    Profile(Profile),
}

/// Which verdicts.
#[derive(Debug, Args)]
pub struct List {
    /// The pipeline.
    pub pipeline: String,
    /// So many.
    #[arg(long, default_value_t = 20, value_name = "EVENTS")]
    pub limit: u32,
    /// Only those of records, of predictions, or of the performance that labels tell.
    #[arg(long, value_parser = ["records", "predictions", "performance"])]
    pub stream: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Which event.
#[derive(Debug, Args)]
pub struct Explain {
    /// The pipeline.
    pub pipeline: String,
    /// The window, or as much of its name as no other one begins with; absent: the newest.
    pub window: Option<String>,
    /// Write a page with plots, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The stored report as JSON.
    #[arg(long, conflicts_with = "html")]
    pub json: bool,
}

/// Which policies.
#[derive(Debug, Args)]
pub struct Backtest {
    /// The pipeline; its file's policy is tried first.
    pub pipeline: String,
    /// Try another policy beside it: settings of the file's `drift`, such as `windows=1,ks_effect=0.1`; may be given several
    /// times.
    #[arg(long = "policy", value_name = "KEY=VALUE,…")]
    pub policies: Vec<String>,
    /// Tell every window that is not stable.
    #[arg(long)]
    pub events: bool,
    /// One JSON object a policy.
    #[arg(long)]
    pub json: bool,
}

/// Which window, and why.
#[derive(Debug, Args)]
pub struct Release {
    /// The pipeline.
    pub pipeline: String,
    /// The window, or as much of its name as no other one begins with.
    pub window: String,
    /// Why it is sound, for the record.
    #[arg(long)]
    pub reason: String,
}

/// Which counts.
#[derive(Debug, Args)]
pub struct Profile {
    /// The pipeline.
    pub pipeline: String,
    /// Counted against the reference of this version; absent: the newest that has counts.
    #[arg(long)]
    pub version: Option<u64>,
    /// Records, or predictions.
    #[arg(long, default_value = "records", value_parser = ["records", "predictions"])]
    pub stream: String,
}

impl Look {
    /// The pipeline that is asked about.
    pub fn pipeline(&self) -> &str {
        match self {
            Self::List(list) => &list.pipeline,
            Self::Explain(explain) => &explain.pipeline,
            Self::Backtest(backtest) => &backtest.pipeline,
            Self::Profile(profile) => &profile.pipeline,
            Self::Release(release) => &release.pipeline,
        }
    }
}
