//! Canonical bytes under SHA-256: lengths before contents, integers and float bits little-endian.

use sha2::{Digest, Sha256};

/// A SHA-256 fed with typed fields.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    /// Starts a hash of one kind of thing, so that equal bytes of two kinds do not collide.
    pub(crate) fn of(kind: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.text(kind);
        hasher
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.integer(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    pub(crate) fn integer(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.integer(value.to_bits());
    }

    pub(crate) fn optional(&mut self, value: Option<f64>) {
        self.integer(u64::from(value.is_some()));
        self.float(value.unwrap_or_default());
    }

    /// 64 hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}
