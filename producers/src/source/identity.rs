//! What tells an item from all others of its source, in every run.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The name of an item. Every message carries it, so that the next run finds out what had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// Its number: the source yields the same items in the same order whenever it is opened.
    Number(u64),
    /// Its place in another topic: in order within a partition, in any order between them.
    Place(i32, i64),
    /// What it is: the source yields its items in any order, again and again.
    Hash(Fingerprint),
}

/// The first 96 bits of a SHA-256: among a billion items, two share one with a probability of 10⁻¹¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; Self::BYTES]);

impl Fingerprint {
    /// Its size.
    pub(crate) const BYTES: usize = 12;

    /// The fingerprint of `parts`, each told from its neighbours.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut head = [0; Self::BYTES];
        head.copy_from_slice(&hash.finalize()[..Self::BYTES]);
        Self(head)
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Those written one behind the other in `bytes`; what is left over is none.
    pub(crate) fn all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.as_chunks::<{ Self::BYTES }>().0.iter().map(|chunk| Self(*chunk))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Place(partition, offset) => write!(f, "{partition}/{offset}"),
            Self::Hash(Fingerprint(bytes)) => write!(f, "#{}", hex::encode(bytes)),
        }
    }
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(digits) = text.strip_prefix('#') {
            let mut bytes = [0; Fingerprint::BYTES];
            hex::decode_to_slice(digits, &mut bytes).map_err(|_| ())?;
            return Ok(Self::Hash(Fingerprint(bytes)));
        }
        match text.split_once('/') {
            Some((partition, offset)) => {
                Ok(Self::Place(partition.parse().map_err(|_| ())?, offset.parse().map_err(|_| ())?))
            }
            None => text.parse().map(Self::Number).map_err(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_comes_back_from_its_text() {
        let hash = Fingerprint::of([&b"a"[..]]);
        for identity in [Identity::Number(7), Identity::Place(3, 1 << 40), Identity::Hash(hash)] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
        for text in ["", "x", "1/", "/1", "#12", "-1"] {
            assert_eq!(text.parse::<Identity>(), Err(()), "{text}");
        }
    }

    #[test]
    fn parts_are_told_from_their_neighbours() {
        assert_ne!(Fingerprint::of([&b"ab"[..], b"c"]), Fingerprint::of([&b"a"[..], b"bc"]));
        let hash = Fingerprint::of([]);
        let twice = [hash.bytes().as_slice(), hash.bytes(), b"x"].concat();
        assert_eq!(Fingerprint::all(&twice).collect::<Vec<_>>(), [hash, hash]);
    }
}
