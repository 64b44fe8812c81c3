//! A plugin's folder through its language's own compiler.

use std::path::{Path, PathBuf};

use crate::language::{self, Compiler, Language};
use crate::manifest::{self, Manifest};
use crate::tool::Tool;
use crate::{Error, Step, rust};

/// One call of a tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) tool: &'static Tool,
    /// Words with spaces between them; `{name}` stands for the plugin's name.
    pub(crate) arguments: &'static str,
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// A path in the plugin's folder that makes the call needless.
    pub(crate) unless: Option<&'static str>,
}

impl Call {
    pub(crate) const fn of(tool: &'static Tool, arguments: &'static str) -> Self {
        Self {
            tool,
            arguments,
            variables: &[],
            unless: None,
        }
    }

    pub(crate) const fn unless(self, path: &'static str) -> Self {
        Self {
            unless: Some(path),
            ..self
        }
    }

    fn step(&self, language: &Language, folder: &Path, name: &str) -> Result<Step, Error> {
        let mut words = self.tool.find(language, folder)?;
        let arguments = self.arguments.split(' ');
        words.extend(arguments.map(|word| word.replace("{name}", name)));
        let step = Step::new(words);
        Ok(self
            .variables
            .iter()
            .fold(step, |step, (name, value)| step.with(name, value)))
    }
}

/// Compiles the plugin of `folder` to `<name>.wasm` there, and gives its path. `say` is shown each command before it
/// runs; what compilers print goes where this program's own output goes. A build that fails leaves the plugin of the one
/// before, as a run that begins under it needs.
///
/// # Errors
/// [`Error::Language`], [`Error::Missing`], [`Error::Old`], [`Error::Compiler`] and [`Error::NoOutput`].
pub fn build(
    folder: &Path,
    manifest: &Manifest,
    say: &mut dyn FnMut(&Step),
) -> Result<PathBuf, Error> {
    let (language, name) = (language::find(&manifest.language)?, &manifest.name);
    let output = folder.join(format!("{name}.wasm"));
    let before = std::fs::read(&output).ok();
    // What an earlier build left must not pass for this one's.
    match std::fs::remove_file(&output) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &output)(e));
        }
        _ => {}
    }
    let compiled = compile(folder, language, name, &output, say);
    if compiled.is_err()
        && let Some(before) = before
    {
        // What the compiler said is what there is to know.
        let _ = replace(&output, &before);
    }
    compiled.map(|()| output)
}

/// Writes the plugin at once: a run may begin under it at any moment.
fn replace(output: &Path, wasm: &[u8]) -> Result<(), Error> {
    let draft = output.with_extension(format!("wasm.{}.tmp", std::process::id()));
    std::fs::write(&draft, wasm)
        .and_then(|()| std::fs::rename(&draft, output))
        .inspect_err(|_| drop(std::fs::remove_file(&draft)))
        .map_err(Error::io("write", output))
}

fn compile(
    folder: &Path,
    language: &Language,
    name: &str,
    output: &Path,
    say: &mut dyn FnMut(&Step),
) -> Result<(), Error> {
    match language.compiler {
        Compiler::Text => {
            let path = folder.join("schedule.wat");
            let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let wasm = wat::Parser::new()
                .parse_bytes(Some(&path), &text)
                .map_err(|e| Error::Text(e.to_string()))?;
            replace(output, &wasm)?;
        }
        Compiler::Cargo => {
            let package = name.replace('-', "_");
            let built = folder.join(format!("target/{}/release/{package}.wasm", rust::TARGET));
            // Nor must another package's, where the manifests disagree.
            let _ = std::fs::remove_file(&built);
            let step = rust::Compiler::find(folder)?.build(&["--target-dir", "target"], None);
            say(&step);
            step.run(folder)?;
            if !built.is_file() {
                return Err(Error::Manifest {
                    path: folder.join(manifest::FILE),
                    problem: format!(
                        "`name` is \"{name}\", but Cargo.toml names the package differently: make them equal"
                    ),
                });
            }
            let wasm = std::fs::read(&built).map_err(Error::io("read", &built))?;
            replace(output, &wasm)?;
        }
        Compiler::Programs(calls) => {
            for call in calls {
                if call.unless.is_some_and(|path| folder.join(path).exists()) {
                    continue;
                }
                let step = call.step(language, folder, name)?;
                say(&step);
                step.run(folder)?;
            }
        }
    }
    if output.is_file() {
        Ok(())
    } else {
        Err(Error::NoOutput {
            language: language.title,
            path: output.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(language: &str) -> Manifest {
        Manifest {
            name: "mine".to_owned(),
            language: language.to_owned(),
            test: Vec::new(),
        }
    }

    #[test]
    fn a_text_is_built_by_ourselves_and_its_errors_have_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("schedule.wat");
        std::fs::write(&source, "(module)").unwrap();
        let built = build(folder.path(), &manifest("wat"), &mut |_| {}).unwrap();
        let before = std::fs::read(&built).unwrap();
        assert!(before.starts_with(b"\0asm"));
        std::fs::write(&source, "(module\n (func (wrong)))").unwrap();
        let problem = build(folder.path(), &manifest("wat"), &mut |_| {}).unwrap_err();
        assert!(problem.to_string().contains("schedule.wat:2:"), "{problem}");
        assert_eq!(std::fs::read(&built).unwrap(), before);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "a draft is left");
    }

    #[test]
    fn a_language_that_is_not_here_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let problem = build(folder.path(), &manifest("pyhton"), &mut |_| {}).unwrap_err();
        assert!(
            problem.to_string().contains("did you mean `python`?"),
            "{problem}"
        );
    }

    #[test]
    fn a_command_is_shown_as_a_person_would_type_it() {
        let step = Step::new(["go", "build", "a b", "-o", "x.wasm"]).with("GOOS", "wasip1");
        assert_eq!(step.to_string(), "GOOS=wasip1 go build 'a b' -o x.wasm");
        let failed = Step::new(["false"]).run(Path::new(".")).unwrap_err();
        assert!(
            failed
                .to_string()
                .starts_with("false failed (exit status: 1)"),
            "{failed}"
        );
    }
}
