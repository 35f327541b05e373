//! `X-Request-Id`: taken from the client, or made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use driftmill_platform::clock::SharedClock;
use uuid::Uuid;

/// The header, in both directions.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// An id longer than this is not taken over.
const MAX_LEN: usize = 128;

/// The id of one request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header's value.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

#[cfg(test)]
impl From<&str> for RequestId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

/// Makes ids that are unique over processes and, within one, ordered by time: version 7 UUIDs whose random part is a
/// counter and the process's own bytes.
#[derive(Debug)]
pub(crate) struct RequestIds {
    clock: SharedClock,
    instance: Uuid,
    made: AtomicU64,
}

impl RequestIds {
    /// Ids of the process called `instance`.
    pub(crate) fn new(clock: SharedClock, instance: Uuid) -> Self {
        Self { clock, instance, made: AtomicU64::new(0) }
    }

    /// The client's id if it is safe to repeat in headers, logs and keys, else a new one.
    pub(crate) fn take(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(|id| is_safe(id));
        match given {
            Some(id) => RequestId(id.into()),
            None => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                RequestId(Arc::from(&*self.uuid().hyphenated().encode_lower(&mut text)))
            }
        }
    }

    /// A new one as a UUID.
    pub(crate) fn uuid(&self) -> Uuid {
        let number = self.made.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let instance = self.instance.as_bytes();
        // The version takes the high half of byte 0, the variant two bits of byte 2: the counter avoids both.
        let mut tail = [0; 10];
        tail[0] = number[2];
        tail[1] = number[3];
        tail[2] = instance[0];
        tail[3..7].copy_from_slice(&number[4..]);
        tail[7..].copy_from_slice(&instance[1..4]);
        let millis = u64::try_from(self.clock.now()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }
}

fn is_safe(id: &str) -> bool {
    (1..=MAX_LEN).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@~,".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use driftmill_platform::clock::ManualClock;

    use super::*;

    fn ids() -> RequestIds {
        RequestIds::new(Arc::new(ManualClock::at(1_700_000_000_000)), Uuid::from_u128(7))
    }

    #[test]
    fn ids_made_within_one_millisecond_are_different_version_7_uuids() {
        let ids = ids();
        let made: HashSet<String> = (0..1000).map(|_| ids.take(&HeaderMap::new()).as_str().to_owned()).collect();
        assert_eq!(made.len(), 1000);
        for id in made {
            let id: Uuid = id.parse().unwrap();
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
        }
    }

    #[test]
    fn a_client_s_id_is_kept_only_if_it_is_harmless() {
        let ids = ids();
        let kept = |id: &str| {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(id).unwrap())]);
            ids.take(&headers).as_str() == id
        };
        assert!(kept("order-17/retry:2"));
        for id in ["", "two words", "quote\"", &"x".repeat(129)] {
            assert!(!kept(id), "{id}");
        }
    }
}
