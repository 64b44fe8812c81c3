//! The `pixelrate` command.

#[macro_use]
mod say;

mod build;
mod check;
mod checkpoint;
mod chosen;
mod data;
mod export;
mod find_lr;
mod fork;
mod inspect;
mod leave;
mod log;
mod new;
mod pace;
mod pause;
mod preview;
mod ps;
mod query;
mod replay;
mod report;
mod resume;
mod run;
mod search;
mod signals;
mod stop;
mod study;
mod swap;
mod table;
mod training;
mod trial;

use std::process::ExitCode;

use clap::builder::UnknownArgumentValueParser;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

/// A research platform for learning-rate schedules: WASM plugins drive a libtorch trainer, and every step is logged.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Begin with:\n  pixelrate run --schedule cosine --epochs 4\n  pixelrate study experiments/demo.toml\n  pixelrate new my-schedule --lang rust"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Study(study::Args),
    Run(Box<run::Args>),
    Resume(resume::Args),
    Ps(ps::Args),
    Log(log::Args),
    Swap(swap::Args),
    Pause(pause::Args),
    Stop(stop::Args),
    Checkpoint(checkpoint::Args),
    Fork(fork::Args),
    Replay(replay::Args),
    Report(report::Args),
    Search(Box<search::Args>),
    FindLr(find_lr::Args),
    Query(query::Args),
    Export(export::Args),
    Preview(preview::Args),
    New(new::Args),
    Build(build::Args),
    Check(check::Args),
    Inspect(inspect::Args),
    Data(data::Args),
    #[command(hide = true)]
    Pace(pace::Args),
}

fn main() -> ExitCode {
    leave::without_destructors();
    prepare_for_a_gpu();
    let cli = Cli::from_arg_matches(&command_line().get_matches());
    let outcome = match cli.unwrap_or_else(|problem| problem.exit()).command {
        Command::Study(args) => study::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Resume(args) => resume::main(&args),
        Command::Ps(args) => ps::main(&args),
        Command::Log(args) => log::main(&args),
        Command::Swap(args) => swap::main(&args),
        Command::Pause(args) => pause::main(&args),
        Command::Stop(args) => stop::main(&args),
        Command::Checkpoint(args) => checkpoint::main(&args),
        Command::Fork(args) => fork::main(&args),
        Command::Replay(args) => replay::main(&args),
        Command::Report(args) => report::main(&args),
        Command::Search(args) => search::main(&args),
        Command::FindLr(args) => find_lr::main(&args),
        Command::Query(args) => query::main(&args),
        Command::Export(args) => export::main(&args),
        Command::Preview(args) => preview::main(&args),
        Command::New(args) => new::main(&args),
        Command::Build(args) => build::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Data(args) => data::main(&args),
        Command::Pace(args) => pace::main(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The commands and their options. A number below zero is an option's value: what is wrong with it is told, and not that there is
/// no option `-1`. Who asks for a rate is told where it is to be said.
fn command_line() -> clap::Command {
    let lets_in = |option: Arg| {
        let has_value = !option.is_positional() && option.get_action().takes_values();
        option.allow_negative_numbers(has_value)
    };
    let rate = Arg::new("lr")
        .long("lr")
        .alias("learning-rate")
        .hide(true)
        .value_parser(UnknownArgumentValueParser::suggest(
            "the schedule says the rate: `--schedule fixed --param learning_rate=0.1`, or `--schedule cosine --param max_lr=0.1`",
        ));
    Cli::command().mut_subcommands(|command| {
        let takes_schedules =
            (command.get_arguments()).any(|option| option.get_long() == Some("schedule"));
        let command = command.mut_args(lets_in);
        if takes_schedules {
            command.arg(&rate)
        } else {
            command
        }
    })
}

/// Sets what CUDA reads from the environment as it starts, where the user has not. It reads it once, long before a run says
/// what it needs.
fn prepare_for_a_gpu() {
    for (name, value) in pixelrate_trainer::device::ENVIRONMENT {
        if std::env::var_os(name).is_none() {
            // SAFETY: it is the first that this program does, and there is no other thread that could read it meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// The error and its causes, less those that it tells of itself.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        // TOML's ends with an empty line.
        let cause = cause.to_string();
        let cause = cause.trim_end();
        if text.contains(cause) {
            text
        } else if text.is_empty() {
            cause.to_owned()
        } else {
            format!("{text}: {cause}")
        }
    })
}
