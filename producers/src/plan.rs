//! What a job comes down to: one source with every override applied, its identity, and how to open it.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use driftmill_schemas::pipeline::{
    CsvSource, HttpSource, ImageSource, JsonLinesSource, Loaded, ParquetSource, SOURCE_KINDS, SourceKind,
    SyntheticSource, TopicSource,
};
use driftmill_schemas::record::RecordSchema;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::evidence;
use crate::folder;
use crate::job::{Job, Overrides};
use crate::source::{
    AvroReader, CsvReader, Generator, HttpReader, ImageReader, JsonLinesReader, Opening, PIPE, ParquetReader, Pipe,
    PipeFormat, PipeReader, Position, RecordSource, TopicReader,
};

/// A source, ready to open.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub pipeline: String,
    /// The source's name.
    pub name: String,
    /// The source's identity: `<name>@<16 hexadecimal digits>`.
    pub key: String,
    /// What places are told by: the file, or the name of a generator.
    pub origin: String,
    /// Items in all, at most.
    pub limit: Option<u64>,
    /// Records a second.
    pub rate: Option<f64>,
    /// The item to begin at, whatever was sent before.
    pub restart: Option<u64>,
    kind: Kind,
    /// What is read instead of the file.
    pipe: Option<Pipe>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A file, and the folder that what stands beside it is found from.
    Csv(PathBuf, PathBuf, CsvSource),
    JsonLines(PathBuf, JsonLinesSource),
    Parquet(PathBuf, ParquetSource),
    Http(HttpSource),
    Topic(TopicSource),
    Images(PathBuf, ImageSource),
    Synthetic(SyntheticSource),
    /// A container, out of a pipe.
    Avro,
}

impl Plan {
    pub(crate) fn new(job: &Job) -> Result<Self, Error> {
        let name = &job.source.name;
        let at_fault = |reason: String| Error::Declaration { source_name: name.clone(), reason };
        let kind = match job.source.kind() {
            _ if job.pipe.as_ref().is_some_and(|pipe| pipe.format == PipeFormat::Avro) => Kind::Avro,
            Some(SourceKind::Csv(csv)) => {
                let (file, folder) = (found(job, &csv.path)?, beside(job));
                Kind::Csv(file, folder, csv.clone())
            }
            Some(SourceKind::JsonLines(lines)) => Kind::JsonLines(found(job, &lines.path)?, lines.clone()),
            Some(SourceKind::Parquet(parquet)) => Kind::Parquet(found(job, &parquet.path)?, parquet.clone()),
            Some(SourceKind::Http(http)) => Kind::Http(http.clone()),
            Some(SourceKind::Topic(topic)) => Kind::Topic(topic.clone()),
            Some(SourceKind::Images(images)) => Kind::Images(found(job, &images.path)?, images.clone()),
            Some(SourceKind::Synthetic(source)) => {
                Kind::Synthetic(overridden(source, &job.overrides).map_err(at_fault)?)
            }
            None => return Err(at_fault(SOURCE_KINDS.to_owned())),
        };
        let overrides = &job.overrides;
        let generated = matches!(kind, Kind::Synthetic(_));
        if !generated && (overrides.seed.is_some() || overrides.signal.is_some()) {
            return Err(at_fault("a seed and a signal are for generators, and this source is a file".to_owned()));
        }
        if generated && overrides.from.is_some() {
            return Err(at_fault("it is a generator and reads no file: name a source that does".to_owned()));
        }
        if matches!(kind, Kind::Http(_) | Kind::Topic(_)) && overrides.from.is_some() {
            return Err(at_fault("it reads no file: name a source that does".to_owned()));
        }
        if job.pipe.is_some() && !matches!(kind, Kind::Csv(..) | Kind::JsonLines(..) | Kind::Avro) {
            return Err(at_fault("it cannot read an input from its beginning: name a source of text".to_owned()));
        }
        if job.pipe.is_none() && overrides.skip > 0 {
            return Err(at_fault("rows are passed over in a pipe only: a file goes on where it stopped".to_owned()));
        }
        let origin = match &kind {
            _ if job.pipe.is_some() => PIPE.to_owned(),
            Kind::Csv(path, ..) | Kind::JsonLines(path, _) | Kind::Parquet(path, _) | Kind::Images(path, _) => {
                path.display().to_string()
            }
            Kind::Http(http) => http.shown_url().to_owned(),
            Kind::Topic(topic) => topic.name.clone(),
            Kind::Synthetic(_) | Kind::Avro => name.clone(),
        };
        let digest = hex::encode(Sha256::digest(identity(job, &kind).as_bytes()));
        Ok(Self {
            pipeline: job.loaded.pipeline.name.clone(),
            name: name.clone(),
            key: format!("{name}@{}", &digest[..16]),
            origin,
            limit: overrides.rows,
            rate: overrides.rate.or(job.source.rate),
            restart: overrides.restart.then_some(overrides.skip),
            pipe: job.pipe.clone(),
            kind,
        })
    }

    /// Whether its items are found by what they are, and have to be remembered.
    pub(crate) fn remembers(&self) -> bool {
        matches!(self.kind, Kind::Http(_) | Kind::Images(..))
    }

    /// Whether it says which items need not be remembered any more.
    pub(crate) fn forgets(&self) -> bool {
        matches!(self.kind, Kind::Http(_))
    }

    /// Opens the source where `opening` says. Blocks on the disk.
    pub(crate) fn open(&self, loaded: &Loaded, opening: Opening) -> Result<Box<dyn RecordSource>, Error> {
        let (schema, position) = (&loaded.schema, opening.position);
        if let Some(pipe) = &self.pipe {
            return self.open_pipe(pipe, schema, position.sequence);
        }
        Ok(match &self.kind {
            Kind::Csv(path, folder, declared) => {
                let (file, size) = self.open_file(path)?;
                Box::new(CsvReader::open(file, size, &self.origin, folder, declared, schema, position)?)
            }
            Kind::JsonLines(path, declared) => {
                let (file, size) = self.open_file(path)?;
                Box::new(JsonLinesReader::open(file, size, &self.origin, declared, schema, position)?)
            }
            Kind::Parquet(path, declared) => Box::new(ParquetReader::open(path, declared, schema, position)?),
            Kind::Http(declared) => Box::new(HttpReader::open(&self.pipeline, &self.name, declared, schema, opening)?),
            Kind::Images(path, declared) => Box::new(ImageReader::open(path, declared, schema, opening)?),
            Kind::Topic(declared) => Box::new(TopicReader::open(&self.name, declared, loaded, opening)?),
            Kind::Synthetic(declared) => {
                Box::new(Generator::open(&self.name, declared, schema, &loaded.pipeline.label, position)?)
            }
            Kind::Avro => return Err(Error::PipeTaken),
        })
    }

    fn open_pipe(&self, pipe: &Pipe, schema: &RecordSchema, skip: u64) -> Result<Box<dyn RecordSource>, Error> {
        let input = pipe.take()?;
        let inner: Box<dyn RecordSource> = match &self.kind {
            Kind::Csv(_, folder, declared) => {
                Box::new(CsvReader::begin(input, 0, &self.origin, folder, declared, schema)?)
            }
            Kind::JsonLines(_, declared) => Box::new(JsonLinesReader::begin(input, 0, &self.origin, declared, schema)?),
            Kind::Avro => Box::new(AvroReader::open(BufReader::new(input), &self.origin, schema)?),
            Kind::Parquet(..) | Kind::Http(_) | Kind::Topic(_) | Kind::Images(..) | Kind::Synthetic(_) => {
                return Err(Error::PipeTaken);
            }
        };
        Ok(Box::new(PipeReader::new(inner, skip)))
    }

    fn open_file(&self, path: &Path) -> Result<(File, u64), Error> {
        let failed = |error| Error::File { file: self.origin.clone(), doing: "opened", error };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Ok((file, metadata.len()))
    }

    /// The hash that stands for what was read up to `position`, see [`Checkpoint::evidence`]; `None` for a generator and a
    /// pipe, or when there is less than that, or nothing any more.
    pub(crate) async fn evidence(&self, position: Position) -> Option<String> {
        self.look(position).await.ok().flatten()
    }

    /// Fails when the file is not the one that `last` tells of, in the part that was sent.
    pub(crate) async fn check_unchanged(&self, last: &Checkpoint) -> Result<(), Error> {
        let Some(wanted) = &last.evidence else { return Ok(()) };
        let Position { sequence, bytes, .. } = last.position;
        let reason = match (self.look(last.position).await?, &self.kind) {
            (Some(found), _) if found == *wanted => return Ok(()),
            (_, Kind::Http(_) | Kind::Topic(_) | Kind::Images(..) | Kind::Synthetic(_) | Kind::Avro) => return Ok(()),
            (None, Kind::Parquet(..)) => format!("it has fewer than the {sequence} rows that were read"),
            (Some(_), Kind::Parquet(..)) => format!("the files of its first {sequence} rows are not what they were"),
            (None, _) => format!("it is shorter than the {bytes} bytes that were read of it"),
            (Some(_), _) => format!("its first {bytes} bytes are not what they were"),
        };
        Err(Error::Changed { file: self.origin.clone(), reason, sent: sequence })
    }

    async fn look(&self, position: Position) -> Result<Option<String>, Error> {
        if self.pipe.is_some() {
            return Ok(None);
        }
        let (kind, origin) = (self.kind.clone(), self.origin.clone());
        let look = move || match kind {
            Kind::Csv(path, ..) | Kind::JsonLines(path, _) => evidence::of_text(&path, position.bytes)
                .map_err(|error| Error::File { file: origin, doing: "read", error }),
            Kind::Parquet(path, _) => evidence::of_parquet(&path, position.sequence),
            Kind::Http(_) | Kind::Topic(_) | Kind::Images(..) | Kind::Synthetic(_) | Kind::Avro => Ok(None),
        };
        tokio::task::spawn_blocking(look).await.map_err(|_| Error::ShuttingDown)?
    }
}

/// What the job's source reads: what its declaration names, what is given instead, or what is found in the folder that is.
fn found(job: &Job, declared: &str) -> Result<PathBuf, Error> {
    match &job.overrides.from {
        None => Ok(job.loaded.folder.join(declared)),
        Some(given) if given.is_dir() && job.pipe.is_none() => folder::find(&job.loaded, &job.source, given),
        Some(given) => Ok(given.clone()),
    }
}

/// The folder that what stands beside a file is found from.
fn beside(job: &Job) -> PathBuf {
    match &job.overrides.from {
        None => job.loaded.folder.clone(),
        Some(given) if given.is_dir() => given.clone(),
        Some(given) => given.parent().map(Path::to_owned).unwrap_or_default(),
    }
}

fn overridden(source: &SyntheticSource, overrides: &Overrides) -> Result<SyntheticSource, String> {
    let mut source = source.clone();
    source.seed = overrides.seed.unwrap_or(source.seed);
    source.rows = overrides.rows.or(source.rows);
    if let Some(signal) = overrides.signal {
        match &mut source.outcome {
            Some(outcome) if !outcome.depends_on.is_empty() => outcome.signal = signal,
            _ => return Err("a signal changes nothing here: its `outcome` has no `depends_on`".to_owned()),
        }
    }
    Ok(source)
}

/// What makes a source the same source in the next run: the file as the pipeline names it (so that the pipeline's folder
/// may move), another file by its absolute path, an API by its address and by what tells its rows apart, or a generator's declaration but for how many rows it makes.
fn identity(job: &Job, kind: &Kind) -> String {
    if job.pipe.is_some() {
        return "pipe".to_owned();
    }
    let (path, declared) = match kind {
        Kind::Avro => return "pipe".to_owned(),
        Kind::Synthetic(source) => {
            let endless = SyntheticSource { rows: None, ..source.clone() };
            return format!("synthetic {}", serde_json::to_string(&endless).unwrap_or_default());
        }
        Kind::Http(source) => {
            let rows = (&source.parameters, &source.format, &source.records, &source.key);
            let cursor = source.cursor.as_ref().map(|cursor| &cursor.field);
            return format!("http {} {rows:?} {cursor:?}", source.url);
        }
        Kind::Topic(source) => return format!("topic {} from {:?}", source.name, source.from),
        Kind::Csv(path, _, source) => (path, &source.path),
        Kind::JsonLines(path, source) => (path, &source.path),
        Kind::Parquet(path, source) => (path, &source.path),
        Kind::Images(path, source) => (path, &source.path),
    };
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = if absolute(path) == absolute(&job.loaded.folder.join(declared)) {
        format!("file {declared}")
    } else {
        format!("other file {}", absolute(path).display())
    };
    match kind {
        // It decides how many items a row is, and so which number each has.
        Kind::Csv(_, _, CsvSource { unpivot: Some(unpivot), null, .. }) => {
            let null = if unpivot.keep_empty { &[][..] } else { null };
            format!("{file} {unpivot:?} {null:?}")
        }
        _ => file,
    }
}
