//! A folder of images.
//!
//! ```text
//! look:  all files, by path ─► those not known ─► read ─► an image? ─► item, known by path, size and time
//!            ▲                                                        └ no: a dead letter, known as well
//!            └── after `every` seconds: what was added, and what was written anew, is not known
//! ```
//!
//! A file is known by its path, its size and the time it was written last. So one that arrives late is found whatever its
//! name or age, one that is written anew is a new record, and one that was read half written comes again when it is whole.
//! Files that were written within the last seconds are left for the next look, if there is one. What is known is
//! remembered, 12 bytes a file, for ever: a folder that is away for a while does not come twice.

mod format;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use driftmill_schemas::pipeline::{ImagePart, ImageSource};
use driftmill_schemas::record::{Record, RecordSchema, Value};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::warn;

use self::format::{Fault, Format};
use self::scan::{Found, scan};
use super::{
    Content, Fingerprint, Identity, Item, KEPT_ROW_BYTES, Live, More, Opening, Position, Reason, RecordSource, Total,
};
use crate::Error;

/// How long a file must be left alone before it is read, if the folder is looked at again.
const SETTLED: i64 = 2_000;

/// The files of a folder. Item = file.
pub(crate) struct ImageReader {
    folder: PathBuf,
    declared: ImageSource,
    schema: RecordSchema,
    known: BTreeSet<Fingerprint>,
    /// Files of this look that are still to be read.
    waiting: VecDeque<Found>,
    /// When the next look is due; absent before the first.
    due: Option<Instant>,
    ended: bool,
    position: Position,
    live: Live,
}

impl ImageReader {
    /// Opens a folder, which must be there.
    pub(crate) fn open(
        folder: &Path,
        declared: &ImageSource,
        schema: &RecordSchema,
        opening: Opening,
    ) -> Result<Self, Error> {
        let failed = |error| Error::File { file: folder.display().to_string(), doing: "opened", error };
        let folder = folder.canonicalize().map_err(failed)?;
        if !folder.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let Opening { position, known, live, .. } = opening;
        let (declared, schema) = (declared.clone(), schema.clone());
        Ok(Self { folder, declared, schema, known, waiting: VecDeque::new(), due: None, ended: false, position, live })
    }

    /// Looks for files that are not known, when that is due; false when the source has ended, or the run is over.
    fn look(&mut self) -> Result<bool, Error> {
        if let Some(due) = self.due {
            let Some(every) = self.declared.every else {
                self.ended = true;
                return Ok(false);
            };
            if self.live.wait(async { tokio::time::sleep_until(due).await }).is_none() {
                return Ok(false);
            }
            self.due = Some(Instant::now() + Duration::from_secs_f64(every));
        } else {
            let every = self.declared.every.unwrap_or_default();
            self.due = Some(Instant::now() + Duration::from_secs_f64(every));
        }
        let found = match scan(&self.folder, self.declared.recursive) {
            Ok(found) => found,
            // A disk that is away comes back.
            Err((path, error)) if self.declared.every.is_some() => {
                warn!(folder = %path.display(), %error, "the folder cannot be looked at for now");
                return Ok(true);
            }
            Err((path, error)) => {
                return Err(Error::File { file: path.display().to_string(), doing: "read", error });
            }
        };
        let now = self.live.clock.now();
        let settles = |found: &Found| self.declared.every.is_none() || now - found.modified >= SETTLED;
        self.waiting =
            found.into_iter().filter(|found| !self.known.contains(&found.fingerprint()) && settles(found)).collect();
        Ok(true)
    }

    /// What a file is; `None` when it is not what it was a moment ago: the next look decides.
    fn content(&self, found: &Found) -> Option<Content> {
        let refused = |reason, original| Some(Content::Unreadable { reason, original });
        let image = |fault: Fault| Reason::Image { fault: fault.to_string(), kind: fault.kind() };
        if let Some(fault) = found.refused {
            return refused(image(fault), Vec::new());
        }
        let path = self.folder.join(&found.path);
        let limit = self.declared.max_bytes as u64;
        let kept = if found.size > limit { KEPT_ROW_BYTES as u64 } else { limit };
        let bytes = match read(&path, kept) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return refused(image(Fault::Unreadable(error.kind())), Vec::new()),
        };
        if !found.is_unchanged(&self.folder) {
            return None;
        }
        if found.size > limit {
            return refused(image(Fault::TooLarge { bytes: found.size, limit }), bytes);
        }
        match format::of(&bytes) {
            Ok(format) => Some(Content::Record(self.record(found, format, bytes))),
            Err(fault) => refused(image(fault), bytes),
        }
    }

    fn record(&self, found: &Found, format: Format, bytes: Vec<u8>) -> Record {
        let mut values = vec![Value::Null; self.schema.fields.len()];
        let mut fill = |part, value: Value| {
            if let Some(index) = self.declared.field(part, &self.schema) {
                // The declaration was checked: what does not fit is null, and refused if it must not be.
                values[index] = value.for_field(&self.schema.fields[index]).unwrap_or(Value::Null);
            }
        };
        fill(ImagePart::Path, Value::String(found.path.clone()));
        fill(ImagePart::Hash, Value::String(hex::encode(Sha256::digest(&bytes))));
        fill(ImagePart::Label, found.label().map_or(Value::Null, |label| Value::String(label.to_owned())));
        fill(ImagePart::Size, Value::Long(i64::try_from(found.size).unwrap_or(i64::MAX)));
        fill(ImagePart::Modified, Value::Long(found.modified));
        fill(ImagePart::Format, Value::String(format.name().to_owned()));
        fill(ImagePart::Bytes, Value::Bytes(bytes));
        Record { values }
    }
}

/// How many files in a folder are named like images; that is what tells whether it is one of images.
pub(crate) fn image_files(folder: &Path, recursive: bool) -> io::Result<usize> {
    const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff", "avif", "heic"];
    let found = scan(&folder.canonicalize()?, recursive).map_err(|(_, error)| error)?;
    let is_image = |found: &&Found| {
        found
            .path
            .rsplit_once('.')
            .is_some_and(|(_, end)| EXTENSIONS.iter().any(|known| end.eq_ignore_ascii_case(known)))
    };
    Ok(found.iter().filter(is_image).count())
}

/// The format of an image, or what is wrong with it.
#[cfg(test)]
pub(crate) fn images_format(bytes: &[u8]) -> Result<&'static str, String> {
    format::of(bytes).map(Format::name).map_err(|fault| fault.to_string())
}

/// The first `most` bytes of a file.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl RecordSource for ImageReader {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            let Some(found) = self.waiting.pop_front() else {
                if self.ended || !self.look()? {
                    return Ok(None);
                }
                continue;
            };
            let Some(content) = self.content(&found) else { continue };
            let fingerprint = found.fingerprint();
            self.known.insert(fingerprint);
            let more = More {
                place: Some(self.folder.join(&found.path).display().to_string()),
                ..More::of(Identity::Hash(fingerprint))
            };
            let sequence = self.position.sequence;
            self.position.sequence += 1;
            return Ok(Some(Item { sequence, line: 1, content, next: self.position, more: Some(Box::new(more)) }));
        }
    }

    fn total_hint(&self) -> Option<Total> {
        None
    }

    fn at_hand(&self) -> bool {
        !self.waiting.is_empty()
    }
}
