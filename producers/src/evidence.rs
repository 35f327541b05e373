//! What tells whether the part of a source that was sent is still what it was.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;
use crate::source::parquet;

/// How much of the beginning and of the end of what was read of a text stands for all of it.
const TEXT_BYTES: u64 = 1 << 20;
/// How much of a Parquet file's end stands for it: the footer, which says where each column lies and between which values.
const FOOTER_BYTES: u64 = 64 << 10;

/// The hash of the first `bytes` of a text file; `None` when it is shorter.
pub(crate) fn of_text(path: &Path, bytes: u64) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < bytes {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    let first = bytes.min(TEXT_BYTES);
    io::copy(&mut Read::by_ref(&mut file).take(first), &mut hash)?;
    let last = (bytes - first).min(TEXT_BYTES);
    file.seek(SeekFrom::Start(bytes - last))?;
    io::copy(&mut file.take(last), &mut hash)?;
    Ok(Some(hex::encode(hash.finalize())))
}

/// The hash of the names, sizes and footers of the Parquet files that hold the first `rows`; `None` when there are fewer.
pub(crate) fn of_parquet(path: &Path, mut rows: u64) -> Result<Option<String>, Error> {
    let mut hash = Sha256::new();
    for path in parquet::files(path)? {
        if rows == 0 {
            break;
        }
        rows = rows.saturating_sub(parquet::rows(&path)?);
        let failed = |error| Error::File { file: path.display().to_string(), doing: "read", error };
        let mut file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(size.to_le_bytes());
        file.seek(SeekFrom::Start(size.saturating_sub(FOOTER_BYTES))).map_err(failed)?;
        io::copy(&mut file, &mut hash).map_err(failed)?;
    }
    Ok((rows == 0).then(|| hex::encode(hash.finalize())))
}
