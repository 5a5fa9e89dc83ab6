//! The terminal: files in, files and tables out. Thin; what it calls is in the other modules.

mod args;
mod explain;
mod failure;
mod files;
mod gradient;
mod inspect;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use failure::Failure;

/// Exit code for bad input or usage.
const BAD_INPUT: u8 = 2;

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    // tract reports panics as errors (see `engine`): the default hook's backtrace would only stand beside the clear line.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let wanted = !error.use_stderr();
            // A closed pipe is no reason to fail.
            let _ = error.print();
            return if wanted {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(BAD_INPUT)
            };
        }
    };
    let outcome = match &arguments.command {
        Command::Explain(arguments) => explain::run(arguments),
        Command::Gradient(arguments) => gradient::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failures) => {
            for failure in failures {
                eprintln!("gradlens: {failure}");
            }
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// What a command ends with: nothing, or what went wrong with each file that failed.
type Outcome = Result<(), Vec<Failure>>;

/// Prints a line to standard output; a closed pipe (`gradlens ... | head`) ends the printing, not the work.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
