//! What could not be read, as a message: the original bytes, the reason in headers.

use bytes::Bytes;
use driftmill_platform::kafka::Headers;
use driftmill_platform::store::{self, Store};
use driftmill_schemas::message::dead_letter as header;

use crate::source::Reason;

/// The largest original that travels in the message itself.
const INLINE_BYTES: usize = 1 << 20;
/// What the message shows of one that does not.
const PREVIEW_BYTES: usize = 1 << 10;
/// The stage that these dead letters name.
const STAGE: &str = "source";

/// Headers and value of the dead letter of what was found at `place`. An original above 1 MiB goes to the object store;
/// the message then has its address and its first KiB.
pub(crate) async fn dead_letter(
    store: &Store,
    place: &str,
    reason: &Reason,
    original: Vec<u8>,
) -> Result<(Headers, Vec<u8>), store::Error> {
    let text = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut headers = vec![
        text(header::STAGE, STAGE),
        text(header::EXCEPTION_CLASS, reason.kind()),
        text(header::EXCEPTION_MESSAGE, &reason.to_string()),
        text(header::SOURCE, place),
    ];
    if original.len() <= INLINE_BYTES {
        return Ok((headers, original));
    }
    let preview = original[..PREVIEW_BYTES].to_vec();
    let hash = store.put(Bytes::from(original)).await?;
    headers.push(text(header::ORIGINAL, &hash));
    Ok((headers, preview))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_original_is_kept_in_the_store_and_shown_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&url::Url::from_file_path(folder.path()).unwrap()).unwrap();
        let reason = Reason::too_long(5, 5);
        let (headers, value) = dead_letter(&store, "f:1", &reason, vec![b'x'; INLINE_BYTES]).await.unwrap();
        assert!(value.len() == INLINE_BYTES && headers.iter().all(|(name, _)| name != header::ORIGINAL));

        let original = vec![b'y'; INLINE_BYTES + 1];
        let (headers, value) = dead_letter(&store, "f:1", &reason, original.clone()).await.unwrap();
        let hash = headers.iter().find(|(name, _)| name == header::ORIGINAL).map(|(_, value)| value.clone()).unwrap();
        assert_eq!(value.len(), PREVIEW_BYTES);
        assert_eq!(store.get(std::str::from_utf8(&hash).unwrap()).await.unwrap(), original);
    }
}
