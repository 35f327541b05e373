//! Which partition a record goes to: the one of its entity, so that an entity's records stay in order, else in turn.

/// The partition of a record with that key and number.
pub(crate) fn partition(key: &[u8], sequence: u64, partitions: usize) -> i32 {
    let partitions = partitions.max(1) as u64;
    let hash = if key.is_empty() { sequence } else { u64::from(murmur2(key) & 0x7fff_ffff) };
    // A topic has fewer partitions than i32 holds.
    (hash % partitions) as i32
}

/// MurmurHash2, 32 bits, seed 9747b28c: what Kafka's own clients choose partitions by, so that theirs and ours agree.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_kafkas_clients() {
        // Values of the Java client's own tests.
        let cases = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, wanted) in cases {
            assert_eq!(murmur2(text.as_bytes()) as i32, wanted, "{text}");
        }
    }

    #[test]
    fn an_entity_stays_in_one_partition_and_others_take_turns() {
        assert_eq!((0..4).map(|n| partition(b"", n, 3)).collect::<Vec<_>>(), [0, 1, 2, 0]);
        assert_eq!(partition(b"x", 1, 7), partition(b"x", 2, 7));
        assert_eq!(partition(b"", 5, 0), 0);
    }
}
