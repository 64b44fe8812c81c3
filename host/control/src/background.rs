//! Threads that work beside a trainer and must not hold it up.

/// How much nicer than the trainer they are: about a third of its share where both want one core.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Lets the calling thread, and those that it will start, step aside for a trainer that wants the same core: woken by it,
/// they would be put in its place in the middle of a step. Only Linux counts this by thread; elsewhere it does nothing.
pub(crate) fn step_aside() {
    // Where a sandbox forbids it, steps are late now and then, and nothing else.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICER);
}
