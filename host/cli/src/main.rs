//! The `pixelrate` command.

mod build;
mod check;
mod data;
mod inspect;
mod new;
mod preview;
mod report;
mod resume;
mod run;
mod signals;
mod study;
mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A research platform for learning-rate schedules: WASM plugins drive a libtorch trainer, every step is logged.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Study(study::Args),
    Run(Box<run::Args>),
    Resume(resume::Args),
    Report(report::Args),
    Preview(preview::Args),
    New(new::Args),
    Build(build::Args),
    Check(check::Args),
    Inspect(inspect::Args),
    Data(data::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if !matches!(
        command,
        Command::Study(_) | Command::Run(_) | Command::Resume(_)
    ) {
        signals::end_with_the_reader();
    }
    let outcome = match command {
        Command::Study(args) => study::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Resume(args) => resume::main(&args),
        Command::Report(args) => report::main(&args),
        Command::Preview(args) => preview::main(&args),
        Command::New(args) => new::main(&args),
        Command::Build(args) => build::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Data(args) => data::main(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, less those that it tells of itself.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else if text.is_empty() {
            cause
        } else {
            format!("{text}: {cause}")
        }
    })
}
