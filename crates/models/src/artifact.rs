//! An estimator as bytes that describe themselves, and back.
//!
//! ```text
//! "DMMODEL1"                          8 bytes
//! length of the header                u32, little endian
//! header                              canonical JSON: {"algorithm", "format_version", "metadata"}
//! body                                the estimator, postcard
//! SHA-256 of everything before        32 bytes
//! ```
//! The same estimator and metadata give the same bytes: keys are sorted, and nothing in here knows the time or the place.
//! Bytes from elsewhere may be anything; what decodes can be asked.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Estimator;

const MAGIC: &[u8; 8] = b"DMMODEL1";
/// The layout of header and body. A change of either is a new number.
const FORMAT_VERSION: u64 = 3;
const HEADER_LIMIT: usize = 16 << 20;
const DIGEST: usize = 32;
/// Below serde_json's own limit, which the metadata's two levels of wrapping count towards.
const DEPTH_LIMIT: usize = 100;

/// Why bytes are not a model, or a model has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not our format at all.
    #[error("this is not a model artifact: it does not begin with {:?}", "DMMODEL1")]
    Magic,
    /// Cut off.
    #[error("the artifact is cut off after {0} bytes; fetch it again")]
    Truncated(usize),
    /// The bytes are not those that were written.
    #[error("the artifact is damaged: its SHA-256 is {actual}, recorded is {recorded}; fetch it again")]
    Digest {
        /// Of the bytes.
        actual: String,
        /// In the trailer.
        recorded: String,
    },
    /// Written by another version.
    #[error("the artifact has format version {0}, this program reads {FORMAT_VERSION}; use the version that wrote it")]
    Version(String),
    /// A header that cannot be read or written.
    #[error("the artifact's header is not valid: {0}")]
    Header(String),
    /// A body that is not a model one can predict with.
    #[error("the artifact's model is not valid: {0}")]
    Body(String),
}

/// Writes an estimator with the caller's metadata (signature, class names, lineage: any JSON).
///
/// # Errors
/// [`Error::Header`] when the metadata exceeds 16 MiB or 100 levels.
pub fn encode(estimator: &Estimator, metadata: &Value) -> Result<Vec<u8>, Error> {
    let mut header =
        format!(r#"{{"algorithm":"{}","format_version":{FORMAT_VERSION},"metadata":"#, estimator.algorithm());
    write_canonical(metadata, DEPTH_LIMIT, &mut header)?;
    header.push('}');
    if header.len() > HEADER_LIMIT {
        return Err(Error::Header(format!("it has {} bytes, the limit is {HEADER_LIMIT}", header.len())));
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    let mut bytes = postcard::to_extend(estimator, bytes).map_err(|error| Error::Body(error.to_string()))?;
    bytes.extend_from_slice(&Sha256::digest(&bytes));
    Ok(bytes)
}

/// Reads what [`encode`] wrote: the estimator and the metadata.
///
/// # Errors
/// For every other input; never a panic, nor memory out of proportion to the input.
pub fn decode(bytes: &[u8]) -> Result<(Estimator, Value), Error> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Error::Magic)?;
    let truncated = || Error::Truncated(bytes.len());
    let (content, recorded) = bytes.split_last_chunk::<DIGEST>().ok_or_else(truncated)?;
    let actual = Sha256::digest(content);
    if actual.as_slice() != recorded {
        return Err(Error::Digest { actual: hex::encode(actual), recorded: hex::encode(recorded) });
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > HEADER_LIMIT || length + DIGEST > rest.len() {
        return Err(Error::Header(format!("it claims {length} bytes")));
    }
    let (header, rest) = rest.split_at(length);
    let mut header: Value = serde_json::from_slice(header).map_err(|error| Error::Header(error.to_string()))?;
    if header["format_version"] != FORMAT_VERSION {
        return Err(Error::Version(header["format_version"].to_string()));
    }
    let body = &rest[..rest.len() - DIGEST];
    let (estimator, left_over) =
        postcard::take_from_bytes::<Estimator>(body).map_err(|error| Error::Body(error.to_string()))?;
    if !left_over.is_empty() {
        return Err(Error::Body(format!("{} bytes follow it", left_over.len())));
    }
    if header["algorithm"] != estimator.algorithm() {
        return Err(Error::Header(format!("it says {}, the model is {}", header["algorithm"], estimator.algorithm())));
    }
    estimator.validate().map_err(Error::Body)?;
    Ok((estimator, header["metadata"].take()))
}

/// JSON with sorted keys and no spaces, whatever order the map keeps.
fn write_canonical(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::Header(format!("it has more than {DEPTH_LIMIT} levels")));
    }
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_canonical(value, depth - 1, out)?;
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_canonical(value, depth - 1, out)?;
            }
            out.push(']');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
