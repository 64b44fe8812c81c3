//! The state of a schedule that follows the training, as numbers of 8 bytes.

/// The bytes of the words.
pub fn pack(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The words of the bytes.
///
/// # Errors
/// They are not whole words: another schedule's state.
pub fn unpack(bytes: &[u8]) -> Result<Vec<u64>, String> {
    match bytes.as_chunks::<8>() {
        (words, []) => Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect()),
        _ => Err(foreign(bytes)),
    }
}

/// What is said of bytes that are not the schedule's own.
pub fn foreign(bytes: &[u8]) -> String {
    format!(
        "the state has {} bytes: it is another schedule's",
        bytes.len()
    )
}
