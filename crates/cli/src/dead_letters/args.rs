//! What `driftmill dead-letters` may be asked.

use clap::{Args, Subcommand};

/// Browse dead letters, explain one, and run them once more when what refused them was mended.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// How many there are, by stage, kind and place, and the newest of them.
    List(List),
    /// Everything about one: why it was refused, what to do, its bytes, what became of it.
    Show(Show),
    /// Run letters once more, by the pipeline file as it is now, at the positions their records had: doing it twice, or from
    /// two places, changes nothing. Ends with an error when letters that were asked for are left.
    Replay(Replay),
}

impl DeadLetters {
    /// The pipeline that is asked about.
    pub fn pipeline(&self) -> &str {
        match self {
            Self::List(list) => &list.pipeline,
            Self::Show(show) => &show.pipeline,
            Self::Replay(replay) => &replay.pipeline,
        }
    }
}

/// Which letters.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Only letters of this kind, e.g. BrokenExpectation.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Only letters refused since then: `2026-01-31`, `2026-01-31 10:00` (UTC), RFC 3339, or a while ago: `90s`, `30m`,
    /// `2h`, `7d`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only letters refused before then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// What to list.
#[derive(Debug, Args)]
pub struct List {
    /// The pipeline.
    pub pipeline: String,
    #[command(flatten)]
    pub chosen: Chosen,
    /// Newest letters to show.
    #[arg(long, default_value_t = 20, value_name = "LETTERS", value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub limit: u64,
    /// Show those that were replayed, too.
    #[arg(long)]
    pub all: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What to show.
#[derive(Debug, Args)]
pub struct Show {
    /// The pipeline.
    pub pipeline: String,
    /// The letter, by the name that `list` gives it.
    pub origin: String,
    /// One JSON object, with all of the bytes.
    #[arg(long)]
    pub json: bool,
}

/// What to replay.
#[derive(Debug, Args)]
pub struct Replay {
    /// The pipeline.
    pub pipeline: String,
    /// The letters, by the names that `list` gives them; absent: all.
    #[arg(value_name = "ORIGIN", conflicts_with_all = ["kind", "since", "until"])]
    pub origins: Vec<String>,
    #[command(flatten)]
    pub chosen: Chosen,
    /// Say what would come of each, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}
