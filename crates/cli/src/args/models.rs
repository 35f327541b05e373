//! What is asked of trainings, models and their data.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// Training now, or waiting for reasons to.
#[derive(Debug, Args)]
pub struct Train {
    /// Train this pipeline once, now, through the running trainer; absent: be the trainer.
    pub pipeline: Option<String>,
    /// Train on the rows of this file instead of those in ClickHouse, here and now; needs no running trainer.
    #[arg(long, value_name = "PATH", requires = "pipeline")]
    pub from: Option<PathBuf>,
    /// The source whose declaration reads that file; absent: the first one for files of its kind.
    #[arg(long, requires = "from")]
    pub source: Option<String>,
    /// Hyper-parameter for this run, as NAME=JSON.
    #[arg(long = "param", value_name = "NAME=JSON")]
    pub params: Vec<String>,
    /// Search for the best hyper-parameters first, in the space that the pipeline file declares; `driftmill search` shows what
    /// was tried.
    #[arg(long, requires = "pipeline")]
    pub search: bool,
    /// Promote the model even if a gate refuses it.
    #[arg(long)]
    pub force: bool,
    /// Once its gates are passed, let it take over at once, whatever the pipeline file says of a rollout.
    #[arg(long, requires = "pipeline")]
    pub direct: bool,
}

/// What to judge, and by what.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The pipeline.
    pub pipeline: String,
    /// A file that the pipeline can read, with labels.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The source whose declaration reads that file; absent: the first one for files of its kind.
    #[arg(long)]
    pub source: Option<String>,
    /// The version to judge; absent: the champion, or the newest version when there is none.
    #[arg(long)]
    pub version: Option<u64>,
    /// Judge the rows of each value of this feature on their own, too; again for more features.
    #[arg(long = "by", value_name = "FEATURE")]
    pub slice_by: Vec<String>,
    /// Also tell which features the model goes by: what the metric loses when one is shuffled, and, of trees, their Shapley
    /// values.
    #[arg(long)]
    pub importance: bool,
    /// Also write every metric, over all rows and each slice, as CSV.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Of what to tell how good it was.
#[derive(Debug, Args)]
pub struct Performance {
    /// The pipeline.
    pub pipeline: String,
    /// Only answers of this version.
    #[arg(long)]
    pub version: Option<u64>,
    /// Answers of a window.
    #[arg(long, default_value_t = 500, value_name = "ANSWERS")]
    pub window: usize,
    /// Only the newest so many answers.
    #[arg(long, default_value_t = 20_000, value_name = "ANSWERS")]
    pub last: u32,
    /// One JSON object a window.
    #[arg(long)]
    pub json: bool,
}

/// What to cross-validate on, and how.
#[derive(Debug, Args)]
pub struct CrossValidate {
    /// The pipeline.
    pub pipeline: String,
    /// A file that the pipeline can read, with labels.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The source whose declaration reads that file; absent: the first one for files of its kind.
    #[arg(long)]
    pub source: Option<String>,
    /// Folds, made as the pipeline splits: classes in proportion, entities together, or by time. Forecasts are judged by a rolling
    /// origin instead.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub folds: u16,
    /// Hyper-parameter instead of that of the pipeline file, as NAME=JSON.
    #[arg(long = "param", value_name = "NAME=JSON")]
    pub params: Vec<String>,
    /// Judge the rows of each value of this feature on their own, too; again for more features.
    #[arg(long = "by", value_name = "FEATURE")]
    pub slice_by: Vec<String>,
    /// Also fit to more and more rows of the first fold: would more rows help?
    #[arg(long)]
    pub learning_curve: bool,
    /// Also write every metric, over all rows and each slice, as CSV.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Look at models and move the champion.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Versions of a pipeline, with metrics and aliases.
    List {
        /// The pipeline; absent: all.
        pipeline: Option<String>,
    },
    /// Everything about one version.
    Show {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: u64,
    },
    /// What sets two versions apart: data, parameters, metrics, gates.
    Diff {
        /// The pipeline.
        pipeline: String,
        /// The one version.
        from: u64,
        /// The other.
        to: u64,
    },
    /// The model card of a version, as Markdown.
    Card {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: u64,
    },
    /// Write everything of a version into a folder: model, card, data, reference profile. Or print links to them.
    Export {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: u64,
        /// The folder, which must be new or empty.
        #[arg(long, required_unless_present = "link")]
        to: Option<PathBuf>,
        /// Where to find the files instead.
        #[command(flatten)]
        link: Link,
    },
    /// Register a model that others fitted, from an ONNX file; it is judged by rows of yours, and its gates decide.
    Import {
        /// The pipeline, whose features are the model's inputs, in their order.
        pipeline: String,
        /// The ONNX file, as skl2onnx writes it.
        file: PathBuf,
        /// Labelled rows that judge it, which it has not seen: a file or folder as for `driftmill train --from`.
        #[arg(long, value_name = "FILE")]
        data: PathBuf,
        /// Source of the pipeline that reads the rows.
        #[arg(long)]
        source: Option<String>,
    },
    /// How versions took over from champions: each step, and why it was taken. With a version: let it take over step by step,
    /// as the pipeline file says of rollouts.
    Rollout {
        /// The pipeline.
        pipeline: String,
        /// The version that is to take over.
        version: Option<u64>,
        /// End the rollout that is on its way; the champion stays.
        #[arg(long, conflicts_with = "version")]
        stop: bool,
        /// Why, for the record.
        #[arg(long, default_value = "by hand")]
        reason: String,
        /// At most so many steps.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// One JSON object a step, with what it was judged from.
        #[arg(long)]
        json: bool,
    },
    /// Show the gold set of a pipeline: trusted rows that judge every challenger, and that nobody learns from. Or set it.
    Gold(GoldAsked),
    /// Make the version champion that was it before.
    Rollback {
        /// The pipeline.
        pipeline: String,
        /// Why, for the record.
        #[arg(long, default_value = "rolled back by hand")]
        reason: String,
    },
    /// Make a version champion, whatever its gates said.
    Promote {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: u64,
        /// Why, for the record.
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
}

/// Which gold set, and what to do with it.
#[derive(Debug, Args)]
pub struct GoldAsked {
    /// The pipeline.
    pub pipeline: String,
    /// Make the labelled rows of this file or folder the gold set; they are read as those of `driftmill train --from` are.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["version", "clear"])]
    pub from: Option<PathBuf>,
    /// The source whose declaration reads that file; absent: the first one for files of its kind.
    #[arg(long, requires = "from")]
    pub source: Option<String>,
    /// Make the rows that judged this version the gold set.
    #[arg(long, conflicts_with = "clear")]
    pub version: Option<u64>,
    /// Do without a gold set from now on.
    #[arg(long)]
    pub clear: bool,
    /// Why, for the record.
    #[arg(long)]
    pub reason: Option<String>,
    /// All that there ever were, as JSON.
    #[arg(long, conflicts_with_all = ["from", "version", "clear"])]
    pub json: bool,
}

/// Which trainings.
#[derive(Debug, Args)]
pub struct Runs {
    /// The pipeline; absent: all.
    pub pipeline: Option<String>,
    /// All of one run, its log included: its id, or the first four or more of its digits.
    pub run: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Trainings by the clock and by new rows.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Schedules {
    #[command(subcommand)]
    pub command: Option<SchedulesCommand>,
    /// List those of this pipeline; absent: all.
    pub pipeline: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// What to do with a schedule.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// Switch it on, from now on: a time that has passed is not made good.
    Resume {
        /// The pipeline.
        pipeline: String,
        /// The schedule; `new_rows` for the trigger by new rows.
        name: String,
    },
    /// Switch it off.
    Pause {
        /// The pipeline.
        pipeline: String,
        /// The schedule; `new_rows` for the trigger by new rows.
        name: String,
    },
    /// Train now as it would, whether it is on or off, and show what becomes of it.
    Run {
        /// The pipeline.
        pipeline: String,
        /// The schedule; `new_rows` for the trigger by new rows.
        name: String,
        /// Hyper-parameter for this run, as NAME=JSON, beside those of the schedule or instead of them.
        #[arg(long = "set", value_name = "NAME=JSON")]
        params: Vec<String>,
    },
}

/// Whose search.
#[derive(Debug, Args)]
pub struct Search {
    /// The pipeline.
    pub pipeline: String,
    /// At most so many combinations.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// All of them, as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Look at the data that models were fitted on.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// The snapshots of a pipeline, with the versions that were fitted on them.
    List {
        /// The pipeline; absent: all.
        pipeline: Option<String>,
    },
    /// The columns of a snapshot.
    Show {
        /// SHA-256 of the snapshot, or the first eight or more of its digits.
        snapshot: String,
    },
    /// Write a snapshot, and the models that were fitted on it, as they are, byte by byte.
    Restore {
        /// SHA-256 of the snapshot, or the first eight or more of its digits.
        snapshot: String,
        /// The folder, which must be new or empty.
        #[arg(long)]
        to: PathBuf,
    },
    /// Write a snapshot as a file that other tools read.
    Export {
        /// SHA-256 of the snapshot, or the first eight or more of its digits.
        snapshot: String,
        /// The file, which ends in .parquet or .csv.
        #[arg(long, required_unless_present = "link")]
        to: Option<PathBuf>,
        /// Where to find it instead.
        #[command(flatten)]
        link: Link,
    },
}

/// Links in place of files.
#[derive(Debug, Args)]
pub struct Link {
    /// Print links by which anybody may download from the object store, without a key. S3 only.
    #[arg(long, conflicts_with = "to")]
    pub link: bool,
    /// How long the links are good for: 15m, 1h, 7d (the most there is).
    #[arg(long, requires = "link", conflicts_with = "to", value_name = "TIME", default_value = "1h", value_parser = crate::time::while_of)]
    pub expires: Duration,
}
