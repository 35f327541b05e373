//! Something that can be read once and not gone back in: the standard input.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Content, Item, RecordSource, Total};
use crate::Error;

/// What a pipe is called where places are told.
pub(crate) const ORIGIN: &str = "stdin";

/// How the records of a pipe are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeFormat {
    /// As the job's source declares, which then is one of text.
    Declared,
    /// An Avro object container.
    Avro,
}

type Input = Box<dyn Read + Send>;

/// An input that a job reads instead of the source's file. It is there once: a second run of the same job has nothing to
/// read.
#[derive(Clone)]
pub struct Pipe {
    input: Arc<Mutex<Option<Input>>>,
    pub(crate) format: PipeFormat,
}

impl Pipe {
    /// A pipe out of `input`.
    pub fn new(input: impl Read + Send + 'static, format: PipeFormat) -> Self {
        Self { input: Arc::new(Mutex::new(Some(Box::new(input)))), format }
    }

    /// The input; an error if somebody has begun to read it.
    pub(crate) fn take(&self) -> Result<Input, Error> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Error::PipeTaken)
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("format", &self.format).finish_non_exhaustive()
    }
}

/// The items of a pipe. It cannot be opened in the middle, so whoever goes on feeds it the same rows from the beginning,
/// and those that are acknowledged are passed over by their number.
pub(crate) struct PipeReader {
    inner: Box<dyn RecordSource>,
    skip: u64,
    /// Items read.
    read: u64,
}

impl PipeReader {
    /// The items of `inner` from number `skip` on.
    pub(crate) fn new(inner: Box<dyn RecordSource>, skip: u64) -> Self {
        Self { inner, skip, read: 0 }
    }
}

impl RecordSource for PipeReader {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            match self.inner.next()? {
                Some(item) if item.sequence < self.skip => self.read = item.sequence + 1,
                // Whoever wrote it was cut off. As a dead letter it would count as done, and the whole row would be passed
                // over when it comes.
                Some(Item { content: Content::Unreadable { reason, .. }, sequence, .. }) if self.inner.cut_off() => {
                    return Err(Error::CutOff { row: sequence + 1, reason: reason.to_string() });
                }
                Some(item) => {
                    self.read = item.sequence + 1;
                    return Ok(Some(item));
                }
                None if self.read < self.skip => return Err(Error::TooShort { skip: self.skip }),
                None => return Ok(None),
            }
        }
    }

    fn total_hint(&self) -> Option<Total> {
        None
    }

    fn at_hand(&self) -> bool {
        self.inner.at_hand()
    }
}
