//! What a job comes down to: one source with every override applied, its identity, and how to open it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use driftmill_schemas::pipeline::{CsvSource, JsonLinesSource, Loaded, SourceKind, SyntheticSource};
use driftmill_schemas::record::RecordSchema;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::job::{Job, Overrides};
use crate::source::{
    AvroReader, CsvReader, Generator, JsonLinesReader, PIPE, Pipe, PipeFormat, PipeReader, Position, RecordSource,
};

/// How much of the beginning and of the end of what was read stands for all of it.
const EVIDENCE_BYTES: u64 = 1 << 20;

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
    Csv(PathBuf, CsvSource),
    JsonLines(PathBuf, JsonLinesSource),
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
            Some(SourceKind::Csv(csv)) => Kind::Csv(file(job, &csv.path), csv.clone()),
            Some(SourceKind::JsonLines(lines)) => Kind::JsonLines(file(job, &lines.path), lines.clone()),
            Some(SourceKind::Synthetic(source)) => {
                Kind::Synthetic(overridden(source, &job.overrides).map_err(at_fault)?)
            }
            None => return Err(at_fault("give exactly one of `csv`, `json_lines` and `synthetic`".to_owned())),
        };
        let overrides = &job.overrides;
        let generated = matches!(kind, Kind::Synthetic(_));
        if !generated && (overrides.seed.is_some() || overrides.signal.is_some()) {
            return Err(at_fault("a seed and a signal are for generators, and this source is a file".to_owned()));
        }
        if generated && overrides.from.is_some() {
            return Err(at_fault(
                "it is a generator and reads no file: name a source with `csv` or `json_lines`".to_owned(),
            ));
        }
        if generated && job.pipe.is_some() {
            return Err(at_fault("it is a generator and reads no input: name a source of text".to_owned()));
        }
        if job.pipe.is_none() && overrides.skip > 0 {
            return Err(at_fault("rows are passed over in a pipe only: a file goes on where it stopped".to_owned()));
        }
        let origin = match &kind {
            _ if job.pipe.is_some() => PIPE.to_owned(),
            Kind::Csv(path, _) | Kind::JsonLines(path, _) => path.display().to_string(),
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

    /// Opens the source at `position`. Blocks on the disk.
    pub(crate) fn open(&self, loaded: &Loaded, position: Position) -> Result<Box<dyn RecordSource>, Error> {
        let schema = &loaded.schema;
        if let Some(pipe) = &self.pipe {
            return self.open_pipe(pipe, schema, position.sequence);
        }
        Ok(match &self.kind {
            Kind::Csv(path, declared) => {
                let (file, size) = self.open_file(path)?;
                Box::new(CsvReader::open(file, size, &self.origin, declared, schema, position)?)
            }
            Kind::JsonLines(path, declared) => {
                let (file, size) = self.open_file(path)?;
                Box::new(JsonLinesReader::open(file, size, &self.origin, declared, schema, position)?)
            }
            Kind::Synthetic(declared) => {
                Box::new(Generator::open(&self.name, declared, schema, &loaded.pipeline.label, position)?)
            }
            Kind::Avro => return Err(Error::PipeTaken),
        })
    }

    fn open_pipe(&self, pipe: &Pipe, schema: &RecordSchema, skip: u64) -> Result<Box<dyn RecordSource>, Error> {
        let input = pipe.take()?;
        let inner: Box<dyn RecordSource> = match &self.kind {
            Kind::Csv(_, declared) => Box::new(CsvReader::begin(input, 0, &self.origin, declared, schema)?),
            Kind::JsonLines(_, declared) => Box::new(JsonLinesReader::begin(input, 0, &self.origin, declared, schema)?),
            Kind::Avro => Box::new(AvroReader::open(BufReader::new(input), &self.origin, schema)?),
            Kind::Synthetic(_) => return Err(Error::PipeTaken),
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

    fn path(&self) -> Option<PathBuf> {
        match &self.kind {
            _ if self.pipe.is_some() => None,
            Kind::Csv(path, _) | Kind::JsonLines(path, _) => Some(path.clone()),
            Kind::Synthetic(_) | Kind::Avro => None,
        }
    }

    /// The hash that stands for the first `bytes` of the file, see [`Checkpoint::evidence`]; `None` for a generator, or
    /// when the file is shorter or gone.
    pub(crate) async fn evidence(&self, bytes: u64) -> Option<String> {
        let path = self.path()?;
        let read = tokio::task::spawn_blocking(move || evidence(&path, bytes)).await;
        read.ok().and_then(Result::ok).flatten()
    }

    /// Fails when the file is not the one that `last` tells of, in the part that was sent.
    pub(crate) async fn check_unchanged(&self, last: &Checkpoint) -> Result<(), Error> {
        let (Some(path), Some(wanted)) = (self.path(), &last.evidence) else { return Ok(()) };
        let bytes = last.position.bytes;
        let read =
            tokio::task::spawn_blocking(move || evidence(&path, bytes)).await.map_err(|_| Error::ShuttingDown)?;
        let changed =
            |reason: String| Error::Changed { file: self.origin.clone(), reason, sent: last.position.sequence };
        match read {
            Err(error) => Err(Error::File { file: self.origin.clone(), doing: "read", error }),
            Ok(None) => Err(changed(format!("it is shorter than the {bytes} bytes that were read of it"))),
            Ok(Some(found)) if found != *wanted => {
                Err(changed(format!("its first {bytes} bytes are not what they were")))
            }
            Ok(Some(_)) => Ok(()),
        }
    }
}

fn file(job: &Job, declared: &str) -> PathBuf {
    job.overrides.from.clone().unwrap_or_else(|| job.loaded.folder.join(declared))
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
/// may move), another file by its absolute path, or a generator's declaration but for how many rows it makes.
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
        Kind::Csv(path, source) => (path, &source.path),
        Kind::JsonLines(path, source) => (path, &source.path),
    };
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if absolute(path) == absolute(&job.loaded.folder.join(declared)) {
        format!("file {declared}")
    } else {
        format!("other file {}", absolute(path).display())
    }
}

fn evidence(path: &Path, bytes: u64) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < bytes {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    let first = bytes.min(EVIDENCE_BYTES);
    io::copy(&mut Read::by_ref(&mut file).take(first), &mut hash)?;
    let last = (bytes - first).min(EVIDENCE_BYTES);
    file.seek(SeekFrom::Start(bytes - last))?;
    io::copy(&mut file.take(last), &mut hash)?;
    Ok(Some(hex::encode(hash.finalize())))
}
