//! The state of a composition: that of each of its plugins which has some.
//!
//! A line that names the version, and then, its numbers little-endian, what of the whole is known, which version 1 has not,
//! and for each plugin what its own is:
//!
//! ```text
//! 64 characters, \n       SHA-256 of the composition
//! u64                     the first step under a state that another composition left; all ones: there was none
//!
//! u32 length, name        as messages call the part
//! u64                     the step at which it began anew the last time; all ones before its first step
//! u64 length, state       as its `save` gave it
//! ```

/// What a state of this version begins with.
const MAGIC: &[u8] = b"pixelrate composition state 2\n";
/// What one of the first version began with.
const FIRST: &[u8] = b"pixelrate composition state 1\n";
/// Characters of a SHA-256.
const HASH: usize = 64;

/// The state of one plugin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Saved<'a> {
    pub(super) name: &'a str,
    /// When what is around it was repeated last; `None` before its first step.
    pub(super) round: Option<u64>,
    pub(super) state: &'a [u8],
}

/// The state of a composition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State<'a> {
    /// The composition's SHA-256, in hexadecimal.
    pub(super) sha256: Option<&'a str>,
    /// The first step that it was asked for under a state of another composition's, if it was given one.
    pub(super) since: Option<u64>,
    pub(super) parts: Vec<Saved<'a>>,
}

/// Writes a state.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(sha256: &str, since: Option<u64>) -> Self {
        let since = number(since).to_le_bytes();
        Self([MAGIC, sha256.as_bytes(), b"\n", &since].concat())
    }

    pub(super) fn add(&mut self, saved: &Saved<'_>) {
        // Names have a hundred bytes, and a number.
        let length = u32::try_from(saved.name.len()).unwrap_or(u32::MAX);
        self.0.extend(length.to_le_bytes());
        self.0.extend(saved.name.as_bytes());
        self.0.extend(number(saved.round).to_le_bytes());
        self.0.extend((saved.state.len() as u64).to_le_bytes());
        self.0.extend(saved.state);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A step as it is written, or none.
fn number(step: Option<u64>) -> u64 {
    step.unwrap_or(u64::MAX)
}

/// Reads a state.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(super) fn read(bytes: &[u8]) -> Result<State<'_>, String> {
    const DAMAGED: &str = "the state of the composition is damaged";
    let (sha256, since, mut rest) = match (bytes.strip_prefix(MAGIC), bytes.strip_prefix(FIRST)) {
        (Some(mut rest), _) => {
            let (sha256, since) = whole(&mut rest).ok_or(DAMAGED)?;
            (Some(sha256), since, rest)
        }
        (None, Some(rest)) => (None, None, rest),
        (None, None) => return Err("the state is not a composition's".to_owned()),
    };
    let mut parts = Vec::new();
    while !rest.is_empty() {
        parts.push(one(&mut rest).ok_or(DAMAGED)?);
    }
    Ok(State {
        sha256,
        since,
        parts,
    })
}

fn whole<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, Option<u64>)> {
    let line = rest.split_off(..=HASH)?.strip_suffix(b"\n")?;
    Some((std::str::from_utf8(line).ok()?, step(rest)?))
}

/// A step that may be none.
fn step(rest: &mut &[u8]) -> Option<Option<u64>> {
    let number = u64::from_le_bytes(*rest.split_off(..8)?.as_array()?);
    Some((number != u64::MAX).then_some(number))
}

fn one<'a>(rest: &mut &'a [u8]) -> Option<Saved<'a>> {
    let length = u32::from_le_bytes(*rest.split_off(..4)?.as_array()?);
    let name = rest.split_off(..usize::try_from(length).ok()?)?;
    let round = step(rest)?;
    let length = u64::from_le_bytes(*rest.split_off(..8)?.as_array()?);
    let state = rest.split_off(..usize::try_from(length).ok()?)?;
    Some(Saved {
        name: std::str::from_utf8(name).ok()?,
        round,
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::{FIRST, HASH, MAGIC, Saved, State, Writer, read};

    #[test]
    fn states_come_back_and_damage_is_told() {
        let all = || {
            let of = |name, round, state| Saved { name, round, state };
            [of("ä", None, &[1_u8, 2][..]), of("b", Some(7), &[])]
        };
        let sha256 = "ab".repeat(HASH / 2);
        let mut writer = Writer::new(&sha256, Some(300));
        all().iter().for_each(|saved| writer.add(saved));
        let bytes = writer.finish();
        let whole = |sha256, since| State {
            sha256,
            since,
            parts: all().into(),
        };
        assert_eq!(read(&bytes), Ok(whole(Some(&*sha256), Some(300))));
        // As the first version wrote it.
        let older = [FIRST, &bytes[MAGIC.len() + HASH + 9..]].concat();
        assert_eq!(read(&older), Ok(whole(None, None)));
        let mut cut = 0;
        for end in 0..bytes.len() {
            // Cut between two plugins it is a shorter state.
            cut += usize::from(read(&bytes[..end]).is_err());
        }
        assert_eq!(cut, bytes.len() - 2);
        let mut huge = bytes;
        let at = huge.len() - 1;
        huge[at] = 0xff;
        assert!(read(&huge).is_err());
    }
}
