//! Finds libtorch 2.11, or fetches it once into a cache folder of the user's, and links `.libtorch` to it, where
//! `.cargo/config.toml` looks for it.

mod folder;
mod wheels;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use folder::Libtorch;
pub(crate) use wheels::Device;

use crate::python::Python;

const RELEASE: &str = "2.11";
const LINK: &str = ".libtorch";

/// Makes sure that `.libtorch` leads to a libtorch 2.11, and says which. A `device` looks anew, for that one.
///
/// # Errors
/// None can be found or fetched, or what `LIBTORCH` names cannot be used: each says what to do.
pub(crate) fn set_up(root: &Path, device: Option<Device>) -> Result<()> {
    compiler()?;
    let python = Python::find();
    let link = root.join(LINK);
    let own = own_variable(root, env::var_os("LIBTORCH").map(PathBuf::from));
    let chosen = choose(&Places {
        variable: own.as_deref(),
        link: device.is_none().then_some(&link),
        python: &|| {
            let folder = python.as_ref()?.torch()?;
            let wanted = device.is_none_or(|device| {
                Libtorch::read(&folder).is_ok_and(|found| found.cuda == (device == Device::Cuda))
            });
            wanted.then_some(folder)
        },
        fetch: &|| wheels::fetch(python.as_ref(), device.unwrap_or_else(Device::here)),
        loads: &|libtorch| {
            python
                .as_ref()
                .map_or(Ok(()), |python| loads(python, libtorch))
        },
    })?;
    eprintln!("libtorch: {} ({})", chosen.libtorch, chosen.source);
    if own.is_none() && !chosen.libtorch.cuda && Device::here() == Device::Cuda {
        eprintln!(
            "libtorch: this is the CPU's part; `cargo xtask setup --cuda` fetches the one for the NVIDIA GPU"
        );
    }
    if point(&link, &chosen.libtorch.folder)? {
        // The variable's value is the link's name as before, so cargo would keep what it built against the other.
        let forgotten = Command::new("cargo")
            .current_dir(root)
            .args(["clean", "--quiet", "--package", "torch-sys"])
            .status()
            .context("cannot start cargo")?;
        if !forgotten.success() {
            bail!(
                "cargo could not forget what it built against another libtorch: `cargo clean` does"
            );
        }
    }
    Ok(())
}

/// tch compiles C++ against libtorch's headers.
fn compiler() -> Result<()> {
    let name = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    // CXX may carry arguments, such as `ccache g++`.
    let name = name.to_string_lossy();
    let mut words = name.split_whitespace();
    let program = words.next().unwrap_or("c++");
    match Command::new(program).args(words).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!("there is no C++ compiler ({name}): on Debian or Ubuntu, `apt-get install g++`"),
    }
}

/// The user's own `LIBTORCH`: cargo passes the default of `.cargo/config.toml` on to us in the same variable.
fn own_variable(root: &Path, variable: Option<PathBuf>) -> Option<PathBuf> {
    let ours = |given: &Path| {
        given.file_name() == Some(LINK.as_ref())
            && given
                .parent()
                .and_then(|parent| fs::canonicalize(parent).ok())
                == fs::canonicalize(root).ok()
    };
    variable.filter(|given| !given.as_os_str().is_empty() && !ours(given))
}

/// Where to look, in this order.
struct Places<'a> {
    variable: Option<&'a Path>,
    link: Option<&'a PathBuf>,
    python: &'a dyn Fn() -> Option<PathBuf>,
    fetch: &'a dyn Fn() -> Result<PathBuf>,
    loads: &'a dyn Fn(&Libtorch) -> Result<()>,
}

#[derive(Debug)]
struct Chosen {
    libtorch: Libtorch,
    source: &'static str,
}

fn choose(places: &Places) -> Result<Chosen> {
    if let Some(folder) = places.variable {
        let libtorch = Libtorch::read(folder).context("LIBTORCH is set: mend or unset it")?;
        return Ok(Chosen {
            libtorch,
            source: "from LIBTORCH",
        });
    }
    // What an earlier set-up chose stays, so that nothing is built twice.
    if let Some(libtorch) = places
        .link
        .and_then(|link| Libtorch::read(&fs::canonicalize(link).ok()?).ok())
    {
        return Ok(Chosen {
            libtorch,
            source: "found before; remove .libtorch to look again",
        });
    }
    if let Some(folder) = (places.python)() {
        match Libtorch::read(&folder)
            .and_then(|libtorch| (places.loads)(&libtorch).map(|()| libtorch))
        {
            Ok(libtorch) => {
                return Ok(Chosen {
                    libtorch,
                    source: "the current Python's PyTorch",
                });
            }
            Err(problem) => {
                eprintln!("libtorch: the current Python's PyTorch does not serve: {problem:#}")
            }
        }
    }
    let libtorch = Libtorch::read(&(places.fetch)()?)?;
    (places.loads)(&libtorch).with_context(|| {
        format!(
            "remove {} and try again, or set LIBTORCH",
            libtorch.folder.display()
        )
    })?;
    Ok(Chosen {
        libtorch,
        source: "PyTorch's wheels",
    })
}

/// Whether the libraries and all that they need can be loaded on this machine.
fn loads(python: &Python, libtorch: &Libtorch) -> Result<()> {
    let library = libtorch.folder.join("lib/libtorch.so");
    let code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])";
    python
        .ask(code, &[library.as_os_str()])
        .map(drop)
        .with_context(|| format!("{} cannot be loaded", library.display()))
}

/// Makes `link` lead to `folder`; tells whether it led somewhere else before.
fn point(link: &Path, folder: &Path) -> Result<bool> {
    if fs::canonicalize(link).ok() == fs::canonicalize(folder).ok() {
        return Ok(false);
    }
    let before = link.symlink_metadata();
    if before.as_ref().is_ok_and(|found| !found.is_symlink()) {
        bail!(
            "{} is in the way, and no link: move it away, or set LIBTORCH to it",
            link.display()
        );
    }
    let fresh = link.with_extension(format!("{}", std::process::id()));
    std::os::unix::fs::symlink(fs::canonicalize(folder)?, &fresh)
        .and_then(|()| fs::rename(&fresh, link))
        .with_context(|| format!("cannot link {}", link.display()))?;
    Ok(before.is_ok())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tempfile::TempDir;

    use super::folder::tests::fake;
    use super::*;

    /// Chooses among folders, of which the last is what a fetch gives; tells where it was found, and whether it fetched.
    fn chosen(
        variable: Option<&Path>,
        link: Option<&PathBuf>,
        python: Option<&Path>,
        wheel: &Path,
    ) -> (Result<Chosen>, bool) {
        let fetched = Cell::new(false);
        let chosen = choose(&Places {
            variable,
            link,
            python: &|| python.map(Path::to_owned),
            fetch: &|| {
                fetched.set(true);
                Ok(wheel.to_owned())
            },
            loads: &|_| Ok(()),
        });
        (chosen, fetched.get())
    }

    fn folders() -> (TempDir, [PathBuf; 4]) {
        let home = TempDir::new().unwrap();
        let all = ["variable", "link", "python", "wheel"]
            .map(|name| home.path().canonicalize().unwrap().join(name));
        for folder in &all {
            fake(folder, "2.11.0+cpu");
        }
        (home, all)
    }

    #[test]
    fn the_variable_then_the_link_then_python_then_the_wheels() {
        let (_home, [variable, link, python, wheel]) = folders();
        let (found, fetched) = chosen(Some(&variable), Some(&link), Some(&python), &wheel);
        assert_eq!((found.unwrap().libtorch.folder, fetched), (variable, false));
        let (found, fetched) = chosen(None, Some(&link), Some(&python), &wheel);
        assert_eq!((found.unwrap().libtorch.folder, fetched), (link, false));
        let (found, fetched) = chosen(None, None, Some(&python), &wheel);
        assert_eq!((found.unwrap().libtorch.folder, fetched), (python, false));
        let (found, fetched) = chosen(None, None, None, &wheel);
        assert_eq!((found.unwrap().libtorch.folder, fetched), (wheel, true));
    }

    #[test]
    fn what_does_not_serve_is_passed_over_but_not_the_users_word() {
        let (home, [variable, link, python, wheel]) = folders();
        fake(&python, "2.9.1");
        let gone = home.path().join("gone");
        let (found, fetched) = chosen(None, Some(&gone), Some(&python), &wheel);
        assert_eq!(
            (found.unwrap().libtorch.folder, fetched),
            (wheel.clone(), true)
        );
        fake(&variable, "2.12.0");
        let (found, fetched) = chosen(Some(&variable), Some(&link), None, &wheel);
        let problem = format!("{:#}", found.unwrap_err());
        assert!(
            problem.contains("LIBTORCH is set") && problem.contains("2.12.0"),
            "{problem}"
        );
        assert!(!fetched);
    }

    #[test]
    fn a_python_whose_libtorch_cannot_be_loaded_is_passed_over() {
        let (_home, [_, _, python, wheel]) = folders();
        let found = choose(&Places {
            variable: None,
            link: None,
            python: &|| Some(python.clone()),
            fetch: &|| Ok(wheel.clone()),
            loads: &|libtorch| {
                if libtorch.folder == python {
                    bail!("no libcudart.so.13")
                } else {
                    Ok(())
                }
            },
        });
        assert_eq!(found.unwrap().libtorch.folder, wheel);
    }

    #[test]
    fn cargos_default_is_not_the_users_own_variable() {
        let home = TempDir::new().unwrap();
        assert_eq!(
            own_variable(home.path(), Some(home.path().join(LINK))),
            None
        );
        assert_eq!(own_variable(home.path(), Some(PathBuf::new())), None);
        assert_eq!(own_variable(home.path(), None), None);
        let own = home.path().join("libtorch");
        assert_eq!(own_variable(home.path(), Some(own.clone())), Some(own));
    }

    #[test]
    fn the_link_follows_and_tells_of_a_change() {
        let (home, [variable, _, python, _]) = folders();
        let link = home.path().join(LINK);
        assert!(!point(&link, &python).unwrap(), "there was none");
        assert!(!point(&link, &python).unwrap(), "the same");
        assert!(point(&link, &variable).unwrap(), "another");
        assert_eq!(fs::canonicalize(&link).unwrap(), variable);
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        assert!(
            point(&link, &variable)
                .unwrap_err()
                .to_string()
                .contains("in the way")
        );
    }
}
