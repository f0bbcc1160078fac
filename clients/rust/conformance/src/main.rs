//! Runs what `clients/conformance/README.md` asks of a program: `conformance COMMAND WORLD.json`.

mod check;
mod produce;
mod pushback;
mod report;
mod world;

use std::error::Error;
use std::process::ExitCode;

use report::Report;
use world::World;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, path] = arguments.as_slice() else {
        return usage();
    };
    if !["check", "produce", "pushback"].contains(&command.as_str()) {
        return usage();
    }
    let mut report = Report::default();
    if let Err(error) = run(command, path, &mut report).await {
        report.fail(command, &error.to_string());
    }
    if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(command: &str, path: &str, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let world = World::read(path)?;
    match command {
        "check" => check::run(&world, report).await,
        "produce" => produce::run(&world, report).await,
        _ => pushback::run(&world, report).await,
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: conformance check|produce|pushback WORLD.json");
    ExitCode::from(2)
}
