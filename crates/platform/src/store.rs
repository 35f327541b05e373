//! Content-addressed objects: models, reference profiles, snapshots, and originals too large for a message. A folder by
//! default, any S3-compatible store by URL.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use sha2::{Digest, Sha256};
use url::Url;

use crate::error::{Retry, Retryable};

/// Why an object could not be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no store this build knows.
    #[error("object store `{url}`: {reason}; use file:///folder or s3://bucket/prefix")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store did not do it.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    /// What came back is not what was put.
    #[error("object {wanted} came back with the hash {found}: the store is damaged, restore the object from a backup")]
    Corrupt {
        /// The hash asked for.
        wanted: String,
        /// The hash of what came.
        found: String,
    },
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Store(object_store::Error::NotFound { .. } | object_store::Error::NotSupported { .. }) => {
                Retry::Never
            }
            Self::Store(_) => Retry::Later,
            Self::Url { .. } | Self::Corrupt { .. } => Retry::Never,
        }
    }
}

/// The object store. An object's name is the SHA-256 of its bytes, so putting one twice changes nothing and a reader
/// knows that it has what was meant.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Store {
    /// Opens the store at `url` (`file://` or `s3://`); credentials of S3 come from the usual `AWS_*` environment.
    pub fn open(url: &Url) -> Result<Self, Error> {
        let bad = |reason: String| Error::Url { url: url.to_string(), reason };
        if url.scheme() == "file" {
            let folder = url.to_file_path().map_err(|()| bad("is no absolute path".to_owned()))?;
            std::fs::create_dir_all(&folder).map_err(|e| bad(format!("cannot be created: {e}")))?;
            let local = object_store::local::LocalFileSystem::new_with_prefix(&folder)?;
            return Ok(Self { objects: Arc::new(local), prefix: Path::default() });
        }
        let environment =
            std::env::vars().filter(|(key, _)| key.starts_with("AWS_")).map(|(k, v)| (k.to_lowercase(), v));
        let (objects, prefix) = object_store::parse_url_opts(url, environment).map_err(|e| bad(e.to_string()))?;
        Ok(Self { objects: Arc::from(objects), prefix })
    }

    /// Keeps `bytes` and returns their SHA-256 in hexadecimal.
    pub async fn put(&self, bytes: Bytes) -> Result<String, Error> {
        let hash = hex::encode(Sha256::digest(&bytes));
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(&hash), bytes.into(), options).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(hash),
            // A store without conditional put: the same bytes over themselves do no harm.
            Err(e) => Err(e.into()),
        }
    }

    /// Fetches the object with that hash, and checks it.
    pub async fn get(&self, hash: &str) -> Result<Bytes, Error> {
        let bytes = self.objects.get(&self.path(hash)).await?.bytes().await?;
        let found = hex::encode(Sha256::digest(&bytes));
        if found == hash { Ok(bytes) } else { Err(Error::Corrupt { wanted: hash.to_owned(), found }) }
    }

    // Two levels, so that no folder grows to millions of entries.
    fn path(&self, hash: &str) -> Path {
        let shard = hash.get(..2).unwrap_or("00");
        self.prefix.clone().join("sha256").join(shard).join(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &std::path::Path) -> Store {
        Store::open(&Url::from_file_path(folder).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_object_comes_back_by_its_hash_and_may_be_put_twice() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let hash = store.put(Bytes::from_static(b"model")).await.unwrap();
        assert_eq!(store.put(Bytes::from_static(b"model")).await.unwrap(), hash);
        assert_eq!(store.get(&hash).await.unwrap(), Bytes::from_static(b"model"));
    }

    #[tokio::test]
    async fn a_damaged_object_is_an_error_and_not_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let hash = store.put(Bytes::from_static(b"model")).await.unwrap();
        std::fs::write(folder.path().join("sha256").join(&hash[..2]).join(&hash), b"m0del").unwrap();
        assert!(matches!(store.get(&hash).await, Err(Error::Corrupt { .. })));
    }

    #[tokio::test]
    async fn a_missing_object_and_an_unknown_store_are_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let missing = store(folder.path()).get(&"0".repeat(64)).await.unwrap_err();
        assert_eq!(missing.retry(), Retry::Never);
        assert!(Store::open(&Url::parse("gopher://x/y").unwrap()).is_err());
    }
}
