//! `gradlens verify`: reports in, a verdict on each out.

pub mod claim;
pub mod desk;
mod line;
mod log;
mod page;
mod reports;
mod results;
pub mod shelf;
mod shown;
mod table;
mod worst;

use std::sync::Arc;

use super::args;
use super::batch::order::in_order;
use super::failure::Failure;
use super::{Outcome, device, files, keys};
use crate::guard::caught;
use desk::Desk;
use log::{Earlier, Log};
use reports::{Files, Raw};
use results::{Judged, Results};
use shelf::{Models, Pictures};

pub fn run(arguments: &args::Verify) -> Outcome {
    let place = device::place(arguments.place)?;
    let tolerances = device::tolerances(arguments.place.precision, arguments.tolerance);
    let key = arguments.key.as_deref().map(keys::public).transpose()?;
    let (mut reports, failures) = Files::of(&arguments.reports);
    for written in [&arguments.out, &arguments.table, &arguments.page] {
        written.iter().try_for_each(|file| reports.spare(file))?;
    }
    let desk = Desk::new(
        place.engine.clone(),
        Arc::new(Models::at(arguments.model.as_deref())?),
        Pictures::below(&arguments.pictures)?,
        key,
        tolerances,
    );
    // First what tells whether another run is at it, then what would be in its way.
    let (log, earlier) = match (&arguments.out, arguments.resume) {
        (None, _) => (None, None),
        (Some(file), false) => (Some(Log::begin(file)?), None),
        (Some(file), true) => match Earlier::open(file)? {
            None => (Some(Log::begin(file)?), None),
            earlier => (None, earlier),
        },
    };
    if arguments.resume {
        files::remove_parts_of(arguments.table.as_deref());
        files::remove_parts_of(arguments.page.as_deref());
    }
    let mut results = Results::begin(arguments, reports.weight(), failures)?;
    results.log = log;
    let mut reports = reports.reports();
    let ahead = match earlier {
        Some(earlier) => go_on(earlier, &desk, &mut reports, &mut results)?,
        None => None,
    };
    place.run(|| {
        in_order(
            ahead.into_iter().chain(reports),
            |raw| judge(&desk, raw),
            |judged| results.take(judged),
        );
    })?;
    results.end(arguments, &desk)
}

/// The verdict on a report; none where it is none and nobody asked.
fn judge(desk: &Desk, raw: Result<Raw, Failure>) -> Judged {
    let raw = raw?;
    let examined = caught(|| raw.claim().map(|claim| desk.examine(&claim, None).check));
    let check = examined.map_err(|panic| Failure::usage(format!("{}: {panic}", raw.from)))?;
    Ok((raw, check))
}

/// Takes over an earlier run's verdicts: those on the same reports in the same order, up to the first that is not. The report that was read
/// then is handed back.
fn go_on(
    mut earlier: Earlier,
    desk: &Desk,
    reports: &mut impl Iterator<Item = Result<Raw, Failure>>,
    results: &mut Results,
) -> Result<Option<Result<Raw, Failure>>, Failure> {
    let mut ahead = None;
    'verdicts: while let Some(check) = earlier.next(desk.terms())? {
        for raw in reports.by_ref() {
            match raw {
                Ok(raw) if raw.from == check.report && raw.sha256 == check.sha256 => {
                    earlier.keep();
                    results.add(raw, check)?;
                    continue 'verdicts;
                }
                Ok(raw) if raw.claim().is_none() => {}
                Err(failure) => results.fail(failure),
                Ok(raw) => {
                    ahead = Some(Ok(raw));
                    break 'verdicts;
                }
            }
        }
        break;
    }
    results.log = Some(earlier.go_on()?);
    Ok(ahead)
}
