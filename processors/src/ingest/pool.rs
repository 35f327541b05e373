//! Buffers of insert bodies, used again: fresh memory of some megabytes for every batch costs more than filling it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept: one that is filled, one that is on its way.
const KEPT: usize = 2;

/// Buffers that wait to be used again.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that goes back when nobody reads it any more.
struct Lent {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Pool {
    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Lends a filled one out, until the last clone of what is returned is dropped.
    pub fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { bytes, pool: self.clone() })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            bytes.clear();
            kept.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_after_its_last_reader() {
        let pool = Pool::default();
        let body = pool.lend(b"rows".to_vec());
        let (address, again) = (body.as_ptr(), body.clone());
        drop(body);
        assert_eq!(pool.take().capacity(), 0, "it is still read");
        assert_eq!(&again[..], b"rows");
        drop(again);
        let back = pool.take();
        assert_eq!((back.len(), back.as_ptr()), (0, address));
    }
}
