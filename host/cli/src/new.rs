//! `pixelrate new`: a folder for a plugin of one's own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use pixelrate_author::{language, template};

/// Create a folder for a new schedule in a language of your choice: an example that builds as it is, with its test.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate new my-schedule --lang zig\n         cd my-schedule && pixelrate build"
)]
pub(crate) struct Args {
    /// The plugin's name, and its folder's: lower-case letters, digits and -.
    name: PathBuf,
    /// The language: `pixelrate new --help` lists them.
    #[arg(long = "lang", value_name = "LANGUAGE", long_help = languages())]
    language: String,
    /// What to begin with: cosine, image (scans a picture), or in some languages plateau (keeps state).
    #[arg(long, default_value = "cosine")]
    example: String,
}

fn languages() -> String {
    let lines = language::ALL
        .iter()
        .map(|one| format!("  {:16}{}", one.name, one.title));
    let lines: Vec<String> = lines.collect();
    format!("The language:\n{}", lines.join("\n"))
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let language = language::find(&args.language)?;
    let name = args
        .name
        .file_name()
        .context("the plugin needs a name")?
        .to_string_lossy();
    let files = template::create(&args.name, &name, language, &args.example)?;
    println!("{}: a schedule in {}", args.name.display(), language.title);
    for file in files {
        println!("  {}", file.display());
    }
    println!("next: {}", next(&args.name));
    Ok(ExitCode::SUCCESS)
}

fn next(folder: &Path) -> String {
    format!("cd {} && pixelrate build", folder.display())
}
