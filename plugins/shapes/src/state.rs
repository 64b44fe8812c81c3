//! The state of a schedule that follows the training, as numbers of 8 bytes.

/// The bytes of the words.
pub fn pack(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The words of the bytes.
///
/// # Errors
/// They are not `least` words or more: another schedule's state.
pub fn unpack(bytes: &[u8], least: usize) -> Result<Vec<u64>, String> {
    let (words, rest) = bytes.as_chunks::<8>();
    if words.len() < least || !rest.is_empty() {
        return Err(format!(
            "the state has {} bytes, and {} or more in eights were expected: it is another schedule's",
            bytes.len(),
            least * 8
        ));
    }
    Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}
