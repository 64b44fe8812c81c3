//! What a schedule has opened, to be kept with the run: whoever runs it again may not have the study's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The files of pictures that were opened, by their place in a folder of pictures. Clones note into the same.
#[derive(Debug, Clone, Default)]
pub struct Opened(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Opened {
    /// Takes the noted files, and leaves none.
    pub fn take(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the file `place`, unless it is noted already: every instance of a schedule opens its pictures anew.
    pub(super) fn note(&self, place: &Path, file: impl FnOnce() -> Vec<u8>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.contains_key(place) {
            noted.insert(place.to_owned(), file());
        }
    }
}
