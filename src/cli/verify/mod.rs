//! `gradlens verify`: reports in, a verdict on each out.

mod claim;
mod desk;
mod reports;
mod shelf;
mod shown;
mod worst;

use std::process::ExitCode;

use indicatif::ProgressBar;

use super::args;
use super::batch::order::in_order;
use super::failure::Failure;
use super::{DIFFERS, Outcome, device, keys, say, tell};
use crate::guard::caught;
use crate::report::verify::Tolerances;
use crate::verdict::{Check, Verdict};
use desk::Desk;
use reports::{Files, Raw};
use shelf::{Models, Pictures};
use shown::Shown;

pub fn run(arguments: &args::Verify) -> Outcome {
    let tolerances = arguments
        .tolerance
        .map_or_else(Tolerances::default, Tolerances::of);
    let place = device::place(arguments.device)?;
    let key = arguments.key.as_deref().map(keys::public).transpose()?;
    let (files, failures) = Files::of(&arguments.reports);
    let desk = Desk::new(
        place.engine.clone(),
        Models::at(arguments.model.as_deref())?,
        Pictures::below(&arguments.pictures)?,
        key,
        tolerances,
    );
    let mut results = Results {
        json: arguments.json,
        progress: super::progress(0, arguments.json, "reports"),
        shown: Shown::default(),
        failures,
    };
    place.run(|| {
        in_order(
            files.reports(),
            |raw| judge(&desk, raw),
            |judged| results.take(judged),
        );
    })?;
    results.end(arguments, &tolerances)
}

/// The verdict on a report; none where it is none and nobody asked.
fn judge(desk: &Desk, raw: Result<Raw, Failure>) -> Result<Option<Check>, Failure> {
    let raw = raw?;
    let examined = || raw.claim().map(|claim| desk.examine(&claim, None).check);
    let examined =
        caught(examined).map_err(|panic| Failure::usage(format!("{}: {panic}", raw.from)));
    examined
}

/// What becomes of verdicts as they come in, in the order of the reports.
struct Results {
    json: bool,
    progress: ProgressBar,
    shown: Shown,
    failures: Vec<Failure>,
}

impl Results {
    /// Takes the next verdict; `false` where there is no use in going on.
    fn take(&mut self, judged: Result<Option<Check>, Failure>) -> bool {
        self.progress.inc(1);
        match judged {
            Err(failure) => self.failures.push(failure),
            Ok(None) => {}
            Ok(Some(check)) => {
                if self.json {
                    match serde_json::to_string(&check) {
                        Ok(line) => say(&line),
                        Err(error) => self.failures.push(Failure::usage(error)),
                    }
                }
                self.shown.add(check);
            }
        }
        true
    }

    fn end(self, arguments: &args::Verify, tolerances: &Tolerances) -> Outcome {
        self.progress.finish_and_clear();
        let (shown, failures) = (self.shown, self.failures);
        if shown.is_empty() && failures.is_empty() {
            let given = arguments
                .reports
                .iter()
                .map(|path| path.display().to_string());
            let given: Vec<String> = given.collect();
            return Err(Failure::usage(format!("no report in {}", given.join(", "))).into());
        }
        tell(&failures);
        if !self.json {
            shown.print(tolerances);
        }
        if shown.count(Verdict::Differs) > 0 {
            Ok(ExitCode::from(DIFFERS))
        } else if shown.count(Verdict::CannotCheck) > 0 || !failures.is_empty() {
            Ok(ExitCode::from(super::BAD_INPUT))
        } else {
            Ok(ExitCode::SUCCESS)
        }
    }
}
