//! MurmurHash3, 32 bits, by Austin Appleby (public domain), with seed 0: the hash of scikit-learn's `HashingVectorizer`.

/// The hash of some bytes.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    let scramble = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut h = 0_u32;
    for block in blocks {
        h ^= scramble(u32::from_le_bytes(*block));
        h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    h ^= scramble(tail.iter().rev().fold(0, |k, &byte| k << 8 | u32::from(byte)));
    h ^= bytes.len() as u32;
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

/// The bucket of a term: the hash's absolute value as a signed number, modulo the number of buckets.
pub(super) fn bucket(term: &str, buckets: u32) -> u32 {
    hash(term.as_bytes()).cast_signed().unsigned_abs() % buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_scikit_learn() {
        for (term, expected) in [
            ("", 0),
            ("a", 1_009_084_850),
            ("ab", -1_681_926_305),
            ("abc", -1_277_324_294),
            ("abcd", 1_139_631_978),
            ("fox", -1_621_867_415),
            ("the quick", -112_969_417),
            ("café", 605_818_632),
        ] {
            assert_eq!(hash(term.as_bytes()).cast_signed(), expected, "{term}");
        }
    }
}
