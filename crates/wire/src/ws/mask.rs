//! Masking (RFC 6455 §5.3), which is its own inverse.

/// Masks or unmasks `bytes`, of which the first is byte number `offset` of its frame's payload.
///
/// Works in words of 8 bytes, which the compiler widens to vectors.
pub(super) fn apply_mask(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    let mut key = key;
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn words_and_single_bytes_agree_at_every_length_and_offset() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for length in 0..70 {
            for offset in 0..5 {
                let mut masked = vec![0xa5_u8; length];
                apply_mask(&mut masked, key, offset);
                for (index, byte) in masked.iter().enumerate() {
                    assert_eq!(*byte, 0xa5 ^ key[(index + offset) % 4]);
                }
            }
        }
    }
}
