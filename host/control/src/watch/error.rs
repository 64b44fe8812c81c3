//! What can go wrong with watching.

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system gave no thread.
    #[error(
        "cannot start the thread that watches files: {0}; end other programs or raise `ulimit -u`"
    )]
    Thread(#[source] std::io::Error),
}
