//! `pixelrate data`: fetch and check data sets.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use pixelrate_trainer::data;

/// Fetch data sets from their official addresses, and check them.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate data get cifar10")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Where the data sets lie.
    #[arg(
        long,
        visible_alias = "data-folder",
        env = "PIXELRATE_DATA",
        default_value = "data",
        global = true
    )]
    folder: PathBuf,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Download a data set; an interrupted download continues.
    Get {
        /// mnist, fashion-mnist, cifar10 or cifar100.
        name: String,
        /// Address of a mirror's folder of the official files. Their checksums must still be the official ones.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Load a data set, and print its size, shape, origin and SHA-256.
    Check {
        /// The data set.
        name: String,
    },
    /// The data sets, and what each is.
    List,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::List => data::names().for_each(|name| {
            println!("{name:14} {}", data::describe(name).unwrap_or_default());
        }),
        Command::Get { name, mirror } => {
            let style =
                ProgressStyle::with_template("{prefix} {bar:30} {bytes}/{total_bytes} {eta} left")?;
            let bar = ProgressBar::new(0).with_style(style);
            let mirror = mirror
                .as_ref()
                .map(|base| format!("{}/", base.trim_end_matches('/')));
            data::get_from(mirror.as_deref(), name, &args.folder, &mut |transfer| {
                bar.set_prefix(transfer.file.clone());
                bar.set_length(transfer.total.unwrap_or(0));
                bar.set_position(transfer.done);
            })?;
            bar.finish_and_clear();
            println!("{name} is in {}", args.folder.join(name).display());
        }
        Command::Check { name } => {
            let set = data::load(name, &args.folder)?;
            println!(
                "{name}: {} training and {} test pictures of {:?} in {} classes, {}, SHA-256 {}",
                set.train.labels.len(),
                set.test.labels.len(),
                set.shape,
                set.classes,
                set.origin,
                set.sha256,
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
