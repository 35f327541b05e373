//! The items that are acknowledged, of a source that cannot say otherwise where it stands.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::Bytes;
use driftmill_platform::store::Store;

use crate::Error;
use crate::source::Fingerprint;

/// Fingerprints that a checkpoint holds itself; when there are more, they move to the object store, if the source never
/// forgets any.
const SEALED: usize = 8_192;

/// Fingerprints of items. A source that forgets (an API that is polled) keeps all of them in the checkpoint; one that does
/// not (a folder of images) writes them to the object store, 8,192 an object, which never change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    sealed: Vec<String>,
    recent: BTreeSet<Fingerprint>,
}

impl Known {
    /// What a checkpoint tells.
    pub(crate) fn from_checkpoint(sealed: &[String], recent: Option<&str>) -> Self {
        let bytes = recent.and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
        Self { sealed: sealed.to_vec(), recent: Fingerprint::all(&bytes).collect() }
    }

    /// What a checkpoint is to tell: the objects, and the fingerprints that are in none.
    pub(crate) fn to_checkpoint(&self) -> (Vec<String>, Option<String>) {
        let recent = (!self.recent.is_empty()).then(|| BASE64.encode(bytes(&self.recent)));
        (self.sealed.clone(), recent)
    }

    pub(crate) fn insert(&mut self, one: Fingerprint) -> bool {
        self.recent.insert(one)
    }

    pub(crate) fn forget(&mut self, one: &Fingerprint) {
        self.recent.remove(one);
    }

    /// Bytes that the fingerprints take up in a checkpoint.
    pub(crate) fn weight(&self) -> usize {
        self.recent.len() * Fingerprint::BYTES * 4 / 3
    }

    /// All of them.
    pub(crate) async fn all(&self, store: &Store) -> Result<BTreeSet<Fingerprint>, Error> {
        let mut all = self.recent.clone();
        for hash in &self.sealed {
            all.extend(Fingerprint::all(&store.get(hash).await?));
        }
        Ok(all)
    }

    /// Moves the recent ones to the object store when they are many.
    pub(crate) async fn seal(&mut self, store: &Store) -> Result<(), Error> {
        if self.recent.len() >= SEALED {
            let hash = store.put(Bytes::from(bytes(&self.recent))).await?;
            self.sealed.push(hash);
            self.recent.clear();
        }
        Ok(())
    }
}

fn bytes(fingerprints: &BTreeSet<Fingerprint>) -> Vec<u8> {
    fingerprints.iter().flat_map(|one| *one.bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(number: u64) -> Fingerprint {
        Fingerprint::of([number.to_le_bytes().as_slice()])
    }

    #[tokio::test]
    async fn what_is_known_comes_back_from_checkpoint_and_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&url::Url::from_file_path(folder.path()).unwrap()).unwrap();
        let mut known = Known::default();
        for number in 0..20_000 {
            known.insert(one(number));
            known.seal(&store).await.unwrap();
        }
        let (sealed, recent) = known.to_checkpoint();
        assert_eq!((sealed.len(), known.weight()), (2, (20_000 - 2 * 8_192) * 16));
        let back = Known::from_checkpoint(&sealed, recent.as_deref());
        assert_eq!(back, known);
        let all = back.all(&store).await.unwrap();
        assert!(all.len() == 20_000 && (0..20_000).all(|number| all.contains(&one(number))));
        let mut few = Known::default();
        few.insert(one(1));
        few.forget(&one(1));
        assert_eq!(few.to_checkpoint(), (Vec::new(), None));
    }
}
