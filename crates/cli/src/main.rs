//! `driftmill`: one binary, its roles as subcommands.

mod args;
mod audit;
mod backing;
mod check;
mod context;
mod cross_validate;
mod data;
mod dead_letters;
mod drift;
mod evaluate;
mod health;
mod models;
mod new;
mod performance;
mod person;
mod pipelines;
mod replay;
mod roles;
mod rows;
mod runs;
mod schedules;
mod search;
mod shutdown;
mod status;
mod test;
mod text;
mod time;
#[cfg(feature = "embedded")]
mod up;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

fn main() -> ExitCode {
    #[cfg(feature = "embedded")]
    if let Some(code) = up::engine_child() {
        return code;
    }
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence: the chain of causes, each where it adds something.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let located = arguments.settings()?;
    let settings = located.settings.clone();
    if arguments.print_config {
        print!("{}", settings.print()?);
        return Ok(());
    }
    let Some(command) = arguments.command else {
        anyhow::bail!("give a command; `driftmill --help` lists them");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Check(check) => check::run(&settings, &check),
            Command::Test(test) => test::run(&settings, &test).await,
            Command::Schema => {
                println!("{}", serde_json::to_string_pretty(&driftmill_schemas::pipeline::json_schema())?);
                Ok(())
            }
            Command::New(new) => new::run(&settings, &new),
            Command::Models(command) => models::run(located, command).await,
            Command::Data(command) => data::run(located, command).await,
            Command::Runs(asked) => runs::run(located, asked).await,
            Command::Schedules(asked) => schedules::run(located, asked).await,
            Command::DeadLetters(command) => dead_letters::run(settings, command).await,
            Command::Replay(asked) => replay::run(settings, &asked).await,
            Command::Audit(audit) => audit::run(settings, &audit).await,
            Command::Status(status) => status::run(settings, &status).await,
            Command::Produce(produce) => roles::produce::run(settings, produce).await,
            Command::Process => roles::run_alone(settings, roles::Role::Process).await,
            Command::Drift(asked) => drift::run(located, asked).await,
            Command::Train(train) => roles::train::run(located, train).await,
            Command::Evaluate(evaluate) => evaluate::run(located, evaluate).await,
            Command::Performance(asked) => performance::run(located, asked).await,
            Command::CrossValidate(asked) => cross_validate::run(located, asked).await,
            Command::Search(asked) => search::run(located, asked).await,
            Command::Serve => roles::run_alone(settings, roles::Role::Serve).await,
            #[cfg(feature = "embedded")]
            Command::Up(up) => up::run(settings, up).await,
        }
    });
    // Blocking look-ups of librdkafka may still hold a thread for some seconds; nothing waits for them.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    outcome
}
