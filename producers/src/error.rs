//! Why a source cannot be produced. A row that cannot be read is no error: it is a dead letter.

use driftmill_platform::error::{Retry, Retryable};
use driftmill_platform::{kafka, store};

/// What stopped a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("`{file}` cannot be {doing}: {error}")]
    File {
        /// The file.
        file: String,
        /// `opened`, `read`.
        doing: &'static str,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The header row cannot be read.
    #[error("`{file}`: the header cannot be read: {reason}")]
    Header {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A field that must have a value has no column.
    #[error(
        "`{file}` has no column for the field `{field}`, which must have a value{hint}; its header is {header}: name the \
         right one under `columns` of the source"
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// The field.
        field: String,
        /// The header, for people.
        header: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// Two columns fill one field.
    #[error(
        "`{file}`: the columns `{first}` and `{second}` both fill the field `{field}`: list one under `ignore`, or rename it"
    )]
    HeaderTwice {
        /// The file.
        file: String,
        /// The field.
        field: String,
        /// The earlier column.
        first: String,
        /// The later column.
        second: String,
    },
    /// The declaration needs columns that the file does not have as it says.
    #[error("`{file}`: {reason}")]
    Columns {
        /// The file.
        file: String,
        /// What is wrong, and what there is.
        reason: String,
    },
    /// The file that is joined to another cannot be.
    #[error("`{place}`, which is joined: {reason}")]
    Joined {
        /// The file, with the line if one is at fault.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A folder has not what the source reads.
    #[error("source `{source_name}` finds nothing to read in the folder `{folder}`: {reason}")]
    NotInFolder {
        /// The source.
        source_name: String,
        /// The folder.
        folder: String,
        /// What was looked for.
        reason: String,
    },
    /// No source of the pipeline reads what was given.
    #[error("`{given}` is read by no source of pipeline `{pipeline}`: {reason}")]
    NothingReads {
        /// The file or folder.
        given: String,
        /// The pipeline.
        pipeline: String,
        /// What each looked for, or what to do.
        reason: String,
    },
    /// A Parquet file, or a pattern for some, cannot be read.
    #[error("`{file}`: {reason}")]
    Parquet {
        /// The file or the pattern.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// An Avro container cannot be read any further.
    #[error("`{file}`, the Avro container: {reason}")]
    Container {
        /// The file.
        file: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The pipe ends within a row.
    #[error("the input ends in the middle of row {row}, which was not sent: {reason}")]
    CutOff {
        /// The row, from 1.
        row: u64,
        /// Why what there is of it is none.
        reason: String,
    },
    /// The pipe has less than was to be passed over.
    #[error(
        "the input has fewer than the {skip} rows that were to be passed over: feed it the same rows as before, from the \
         first one"
    )]
    TooShort {
        /// Rows that were to be passed over.
        skip: u64,
    },
    /// The pipe was read before.
    #[error("the input was read already, and cannot be read twice")]
    PipeTaken,
    /// The source's declaration cannot work.
    #[error("source `{source_name}`: {reason}")]
    Declaration {
        /// The source.
        source_name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The file is another one than the one that was sent.
    #[error(
        "`{file}` has changed: {reason}. Its first {sent} rows were already sent. Give `--restart` to send the whole file, \
         or put the new rows at its end"
    )]
    Changed {
        /// The file.
        file: String,
        /// What differs.
        reason: String,
        /// Rows sent.
        sent: u64,
    },
    /// Somebody else sends the same source now.
    #[error("the source `{source_name}` is being sent by another process right now: stop that one first")]
    Busy {
        /// The source.
        source_name: String,
    },
    /// A topic is missing.
    #[error("there is no topic `{0}`: create the pipeline's topics first, as `driftmill up` does")]
    NoTopic(String),
    /// A topic ends before what was acknowledged.
    #[error(
        "topic `{topic}` partition {partition} ends at offset {end}, and offset {wanted} was acknowledged before: the topic \
         was deleted and made anew. Give `--restart` to send the source again"
    )]
    TopicRecreated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: usize,
        /// The next offset by the checkpoint.
        wanted: i64,
        /// The topic's end.
        end: i64,
    },
    /// The tail of a topic does not arrive.
    #[error("topic `{0}` does not deliver what it says it holds")]
    Stalled(String),
    /// Kafka refused.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The object store refused an original.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An API that is asked only once does not answer.
    #[error("`{url}` does not answer with rows: {reason}; that was try {tries}, and the last one")]
    Api {
        /// The address, without its query.
        url: String,
        /// What went wrong last.
        reason: String,
        /// How often it was asked.
        tries: u32,
    },
    /// The process is shutting down.
    #[error("the reading was cut off because the process is shutting down")]
    ShuttingDown,
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Kafka(error) => error.retry(),
            Self::Store(error) => error.retry(),
            Self::Stalled(_) | Self::Busy { .. } => Retry::Later,
            Self::File { .. }
            | Self::Header { .. }
            | Self::MissingColumn { .. }
            | Self::HeaderTwice { .. }
            | Self::Columns { .. }
            | Self::Joined { .. }
            | Self::NotInFolder { .. }
            | Self::NothingReads { .. }
            | Self::Parquet { .. }
            | Self::Container { .. }
            | Self::CutOff { .. }
            | Self::TooShort { .. }
            | Self::PipeTaken
            | Self::Declaration { .. }
            | Self::Changed { .. }
            | Self::NoTopic(_)
            | Self::TopicRecreated { .. }
            | Self::Api { .. }
            | Self::ShuttingDown => Retry::Never,
        }
    }
}
