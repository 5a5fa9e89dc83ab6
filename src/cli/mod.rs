//! The terminal: files in, files and tables out. Thin; what it calls is in the other modules.

mod args;
mod batch;
mod device;
mod evidence;
mod explain;
mod failure;
mod files;
mod gradient;
mod html;
mod inspect;
mod kept;
mod key;
mod keys;
mod question;
mod ready;
mod serve;
mod survey;
mod verify;
mod waiting;

use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use args::{Arguments, Command};
use failure::Failure;

use crate::guard::caught;

/// Exit code for bad input or usage.
const BAD_INPUT: u8 = 2;

/// Exit code where a report does not hold.
const DIFFERS: u8 = 1;

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    // A panic is caught and told in a line (below, and in `guard`): the default hook's text would only stand beside it.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && !is_bare(&error) => {
            return refused(&[Failure::usage(usage(&error))]);
        }
        Err(error) => {
            // Help or the version; a closed pipe is no reason to fail.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(BAD_INPUT)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let outcome = caught(|| match &arguments.command {
        Command::Evidence(arguments) => evidence::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Gradient(arguments) => gradient::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Key(arguments) => key::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Survey(arguments) => survey::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
    });
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(failures)) => refused(&failures),
        Err(panic) => refused(&[Failure::usage(format!(
            "an error in gradlens itself: {panic}"
        ))]),
    }
}

/// Whether the command was called with nothing at all, which shows the help.
fn is_bare(error: &clap::Error) -> bool {
    error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// A usage error in one line: what clap says before it goes on to hints.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    format!(
        "{} (see --help)",
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    )
}

/// Tells the failures; the exit code for them.
fn refused(failures: &[Failure]) -> ExitCode {
    tell(failures);
    ExitCode::from(BAD_INPUT)
}

/// Prints a line a failure to standard error.
fn tell(failures: &[Failure]) {
    use std::io::Write;
    for failure in failures {
        // Where standard error is gone, the exit code still tells.
        let _ = writeln!(std::io::stderr(), "gradlens: {failure}");
    }
}

/// What a command ends with: its exit code, or what went wrong with each file that failed.
type Outcome = Result<ExitCode, Vec<Failure>>;

/// A bar on a terminal where there is something to wait for.
fn progress(length: usize, json: bool, of: &str) -> ProgressBar {
    let template = format!("{{bar:30}} {{pos}} of {{len}} {of}, {{per_sec}}, {{eta}} left");
    bar(if length < 2 { 0 } else { length as u64 }, json, &template)
}

/// A bar in this form, unless there is nothing to wait for or no terminal, or lines are printed to the same one.
fn bar(length: u64, lines: bool, template: &str) -> ProgressBar {
    use std::io::IsTerminal as _;
    let printed = lines && std::io::stdout().is_terminal();
    if length == 0 || printed || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Prints a line to standard output; a closed pipe (`gradlens ... | head`) ends the printing, not the work.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
