//! Content-addressed objects: models, reference profiles, snapshots, and originals too large for a message. A folder by
//! default, any S3-compatible server by URL (docs/object-store.md).
//!
//! ```text
//! put:   small ─► put if absent ─┬► done                          large ─► there already? ─► in parts, visible when whole
//!                                ├► there already ─► whole? done, or over it
//!                                └► the server knows no conditions ─► over it: the same bytes do no harm
//! get:   fetch ─► hash them ─► what was asked for, or an error
//! ```

mod error;
mod s3;

pub use error::Error;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use sha2::{Digest, Sha256};
use url::Url;

/// Objects above this are put in parts, each of which may be repeated alone.
const IN_PARTS: usize = 16 << 20;
/// Bytes of a part; S3 takes no less than 5 MiB and no more than 10,000 of them.
const PART: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// The object store. An object's name is the SHA-256 of its bytes, so putting one twice changes nothing and a reader
/// knows that it has what was meant.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// The same, where it is S3.
    s3: Option<S3>,
    prefix: Path,
    place: Arc<str>,
    /// Whether the server is still believed to know conditional puts.
    conditional: Arc<AtomicBool>,
}

#[derive(Clone)]
struct S3 {
    client: AmazonS3,
    keyless: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.place)
    }
}

impl Store {
    /// Opens the store at `url` (`file://` or `s3://`); how to reach S3 and the key come from the usual `AWS_*` environment.
    pub fn open(url: &Url) -> Result<Self, Error> {
        Self::open_with(url, std::env::vars())
    }

    /// Like [`Self::open`], with an environment given.
    pub fn open_with(url: &Url, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let bad = |reason: String| {
            let mut url = url.clone();
            // Without a login that has no place there, and neither on a screen.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            Error::Url { url: url.to_string(), reason }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("holds a login: give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()));
        }
        let conditional = Arc::new(AtomicBool::new(true));
        match url.scheme() {
            "file" => {
                let folder = url.to_file_path().map_err(|()| bad("is no absolute path".to_owned()))?;
                std::fs::create_dir_all(&folder).map_err(|e| bad(format!("cannot be created: {e}")))?;
                let local = object_store::local::LocalFileSystem::new_with_prefix(&folder)
                    .map_err(|e| bad(e.to_string()))?
                    // The registry names an object once it is there: also after a power failure.
                    .with_fsync(true);
                let place = format!("`{}`", folder.display()).into();
                Ok(Self { objects: Arc::new(local), s3: None, prefix: Path::default(), place, conditional })
            }
            "s3" | "s3a" => {
                let variables: BTreeMap<String, String> =
                    environment.into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect();
                let s3::Opened { client, prefix, place, keyless } = s3::open(url, &variables).map_err(bad)?;
                let s3 = Some(S3 { client: client.clone(), keyless });
                Ok(Self { objects: Arc::new(client), s3, prefix, place: place.into(), conditional })
            }
            _ => Err(bad("is no store: use file:///folder or s3://bucket/prefix".to_owned())),
        }
    }

    /// Keeps `bytes` and returns their SHA-256 in hexadecimal. It is there as a whole or not at all, whatever happens to
    /// this process.
    pub async fn put(&self, bytes: Bytes) -> Result<String, Error> {
        let hash = hex::encode(Sha256::digest(&bytes));
        self.has_key().await?;
        let (path, size) = (self.path(&hash), bytes.len());
        let putting = async {
            if bytes.len() <= IN_PARTS {
                self.put_at_once(&path, bytes).await
            } else if self.holds(&path, bytes.len()).await? {
                Ok(())
            } else {
                self.put_in_parts(&path, bytes).await
            }
        };
        match putting.await {
            Ok(()) => Ok(hash),
            // The server has forgotten an upload in parts: it is complete and was told so twice, or it is to be begun anew.
            Err(error) if error::is_forgotten_upload(&error) => match self.holds(&path, size).await {
                Ok(true) => Ok(hash),
                _ => Err(Error::Away { place: self.place.to_string(), reason: "it forgot the upload".to_owned() }),
            },
            // What is put cannot be missing: where to put it is.
            Err(object_store::Error::NotFound { .. }) if self.s3.is_some() => {
                Err(Error::NoBucket { place: self.place.to_string() })
            }
            Err(error) => Err(self.fault(&error, &hash)),
        }
    }

    async fn put_at_once(&self, path: &Path, bytes: Bytes) -> Result<(), object_store::Error> {
        if self.conditional.load(Ordering::Relaxed) {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.objects.put_opts(path, bytes.clone().into(), options).await {
                Ok(_) => return Ok(()),
                // There already; or somebody else is putting it, or something cut it off: then over it.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    if self.holds(path, bytes.len()).await? {
                        return Ok(());
                    }
                }
                Err(error) if error::without_condition(&error) => self.conditional.store(false, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
        }
        self.objects.put(path, bytes.into()).await.map(drop)
    }

    async fn put_in_parts(&self, path: &Path, bytes: Bytes) -> Result<(), object_store::Error> {
        let mut upload = self.objects.put_multipart(path).await?;
        let parts: Vec<_> = (0..bytes.len())
            .step_by(PART)
            .map(|start| upload.put_part(bytes.slice(start..bytes.len().min(start + PART)).into()))
            .collect();
        let sent = stream::iter(parts).buffer_unordered(PARTS_AT_ONCE).try_collect::<()>().await;
        let outcome = match sent {
            Ok(()) => upload.complete().await.map(drop),
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // What stays if this fails, too, is nobody's object: docs/object-store.md says how to have it tidied up.
            let _ = upload.abort().await;
        }
        outcome
    }

    /// Whether an object of that size is there.
    async fn holds(&self, path: &Path, size: usize) -> Result<bool, object_store::Error> {
        match self.objects.head(path).await {
            Ok(found) => Ok(found.size == size as u64),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fetches the object with that hash, and checks it.
    pub async fn get(&self, hash: &str) -> Result<Bytes, Error> {
        self.has_key().await?;
        let fetching = async { self.objects.get(&self.path(hash)).await?.bytes().await };
        let bytes = fetching.await.map_err(|error| self.fault(&error, hash))?;
        let found = hex::encode(Sha256::digest(&bytes));
        if found == hash { Ok(bytes) } else { Err(Error::Corrupt { wanted: hash.to_owned(), found }) }
    }

    /// A link by which anybody may download the object as a file called `name`, without a key, for so long; seven days is
    /// the most that S3 grants. Whoever has the link has the object: it is written to no log.
    pub async fn link(&self, hash: &str, name: &str, valid: Duration) -> Result<Url, Error> {
        let Some(s3) = &self.s3 else { return Err(Error::NoLinks { place: self.place.to_string() }) };
        self.has_key().await?;
        let path = self.path(hash);
        let signing = async {
            // A link to nothing, or one made with a key that does not do, would be found out by somebody else.
            self.objects.head(&path).await?;
            let as_file = ("response-content-disposition", format!("attachment; filename=\"{name}\""));
            let options = SignedUrlOptions::new().with_query([as_file]);
            s3.client.signed_url_opts(Method::GET, &path, valid, &options).await
        };
        signing.await.map_err(|error| self.fault(&error, hash))
    }

    /// Without a key given the machine is asked for one; what it answers is kept while it is valid.
    async fn has_key(&self) -> Result<(), Error> {
        if let Some(S3 { client, keyless: true }) = &self.s3
            && let Err(error) = client.credentials().get_credential().await
        {
            return Err(Error::NoKey { place: self.place.to_string(), reason: error::deepest(&error) });
        }
        Ok(())
    }

    fn fault(&self, error: &object_store::Error, hash: &str) -> Error {
        Error::of(error, &self.place, hash)
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
    use crate::error::{Retry, Retryable as _};

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
        for url in ["gopher://x/y", "memory:///", "https://example.com/models"] {
            assert!(Store::open(&Url::parse(url).unwrap()).unwrap_err().to_string().contains("s3://bucket/prefix"));
        }
    }

    #[tokio::test]
    async fn a_login_in_the_url_is_refused_and_not_repeated() {
        let refused = Store::open(&Url::parse("s3://key:s3cr3t@models/x").unwrap()).unwrap_err().to_string();
        assert!(refused.contains("AWS_ACCESS_KEY_ID") && !refused.contains("s3cr3t"), "{refused}");
    }

    #[tokio::test]
    async fn a_machine_without_a_key_says_which_to_set() {
        let nowhere = [("AWS_METADATA_ENDPOINT".to_owned(), "http://127.0.0.1:1".to_owned())];
        let store = Store::open_with(&Url::parse("s3://models").unwrap(), nowhere).unwrap();
        let error = store.get(&"0".repeat(64)).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Later);
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
