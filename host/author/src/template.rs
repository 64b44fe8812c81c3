//! A new plugin's folder: an example of the language's SDK and its binding, side by side.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use crate::Error;
use crate::language::Language;
use crate::manifest::named_well;

/// `sdk/`, as it was when the program was built.
#[derive(RustEmbed)]
#[folder = "../../sdk"]
#[exclude = "*/target/*"]
#[exclude = "*/Cargo.lock"]
#[exclude = "*/__pycache__/*"]
#[exclude = "*/node_modules/*"]
#[exclude = "*/package-lock.json"]
#[exclude = "*.wasm"]
struct Sdk;

/// The package that Rust's SDK is, beside which Cargo takes no other of that name.
const SDK: &str = "pixelrate-schedule";

/// What stands for the plugin's name in a template.
const NAME: &str = "{{name}}";

/// The examples that `language` has, in alphabetical order.
pub fn examples(language: &Language) -> Vec<String> {
    let place = format!("{}/examples/", language.name);
    let mut names: Vec<String> = Sdk::iter()
        .filter_map(|path| {
            let (example, _) = path.strip_prefix(&place)?.split_once('/')?;
            Some(example.to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Makes `folder` with an example of `language` under the plugin's `name`, and tells the files, from the folder.
///
/// # Errors
/// [`Error::Name`], [`Error::Example`], [`Error::InTheWay`], or the disk's.
pub fn create(
    folder: &Path,
    name: &str,
    language: &Language,
    example: &str,
) -> Result<Vec<PathBuf>, Error> {
    if !named_well(name) {
        return Err(Error::Name(name.to_owned()));
    }
    if name == SDK && language.name == "rust" {
        return Err(Error::Taken(name.to_owned()));
    }
    let known = examples(language);
    if !known.iter().any(|one| one == example) {
        return Err(Error::Example {
            language: language.name,
            given: example.to_owned(),
            known: known.join(", "),
        });
    }
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Error::InTheWay(folder.to_owned()));
    }
    let mut made = Vec::new();
    for path in Sdk::iter() {
        let (Some(place), Some(file)) = (place(&path, language, example), Sdk::get(&path)) else {
            continue;
        };
        let target = folder.join(&place);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io("make", parent))?;
        }
        fs::write(&target, named(&file.data, name)).map_err(Error::io("write", &target))?;
        made.push(place);
    }
    let ignored = PathBuf::from(".gitignore");
    let target = folder.join(&ignored);
    fs::write(&target, gitignore(language)).map_err(Error::io("write", &target))?;
    made.push(ignored);
    made.sort();
    Ok(made)
}

/// The patterns of what a build leaves, which is not to be committed.
fn gitignore(language: &Language) -> String {
    let mut text = "# What `pixelrate build` makes.\n/*.wasm\n".to_owned();
    for pattern in language.leaves {
        text.push_str(pattern);
        text.push('\n');
    }
    text
}

/// Where a file of `sdk/` goes in a plugin's folder; nowhere if it belongs to another language or example.
fn place(path: &str, language: &Language, example: &str) -> Option<PathBuf> {
    if let Some(rest) = path.strip_prefix("wit/") {
        return language.wants_wit.then(|| Path::new("wit").join(rest));
    }
    let own = path.strip_prefix(language.name)?.strip_prefix('/')?;
    if let Some(rest) = own.strip_prefix("examples/") {
        let file = rest.strip_prefix(example)?.strip_prefix('/')?;
        return Some(PathBuf::from(file));
    }
    (own != "README.md").then(|| Path::new(language.binding_folder).join(own))
}

fn named<'a>(bytes: &'a [u8], name: &str) -> Cow<'a, [u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(NAME) => text.replace(NAME, name).into_bytes().into(),
        _ => bytes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::manifest::Manifest;

    #[test]
    fn every_language_has_the_same_examples_and_a_manifest_in_each() {
        for language in language::ALL {
            let names = examples(language);
            assert!(
                names == ["cosine", "image"] || names == ["cosine", "image", "plateau"],
                "{}: {names:?}",
                language.name
            );
            for example in names {
                let place = tempfile::tempdir().unwrap();
                let folder = place.path().join("mine");
                let files = create(&folder, "my-schedule", language, &example).unwrap();
                assert!(files.iter().all(|file| folder.join(file).is_file()));
                assert!(!files.contains(&"README.md".into()), "{files:?}");
                assert_eq!(
                    files.contains(&"wit/schedule.wit".into()),
                    language.wants_wit
                );
                let manifest = Manifest::read(&folder).unwrap();
                assert_eq!(
                    (manifest.name.as_str(), manifest.language.as_str()),
                    ("my-schedule", language.name)
                );
                assert!(!manifest.test.is_empty(), "{} {example}", language.name);
                for file in files {
                    let text = fs::read_to_string(folder.join(&file)).unwrap();
                    assert!(
                        !text.contains(NAME),
                        "{}: {}",
                        language.name,
                        file.display()
                    );
                }
            }
        }
    }

    #[test]
    fn what_a_build_leaves_is_not_committed() {
        for (name, wanted) in [
            ("c", "/*.wasm\n"),
            ("rust", "/*.wasm\n/target\n"),
            ("moonbit", "/*.wasm\n/_build\n/node_modules\n"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let language = language::find(name).unwrap();
            let files = create(place.path(), "mine", language, "cosine").unwrap();
            assert!(files.contains(&".gitignore".into()), "{files:?}");
            let text = fs::read_to_string(place.path().join(".gitignore")).unwrap();
            assert_eq!(text, format!("# What `pixelrate build` makes.\n{wanted}"));
        }
    }

    #[test]
    fn what_cannot_be_made_is_told() {
        let place = tempfile::tempdir().unwrap();
        let zig = language::find("zig").unwrap();
        let told = |folder: &Path, name: &str, example: &str| {
            create(folder, name, zig, example).unwrap_err().to_string()
        };
        let fresh = place.path().join("fresh");
        assert!(told(&fresh, "My Schedule", "cosine").contains("lower-case letters"));
        let rust = language::find("rust").unwrap();
        let taken = create(&fresh, SDK, rust, "cosine").unwrap_err();
        assert!(taken.to_string().contains("the SDK's own name"));
        assert!(told(&fresh, "mine", "sine").contains("it has cosine, image, plateau"));
        assert!(!fresh.exists());
        fs::write(place.path().join("file"), "").unwrap();
        assert!(told(place.path(), "mine", "cosine").contains("not empty"));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
