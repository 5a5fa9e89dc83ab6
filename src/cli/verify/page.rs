//! The worst cases of a run as one HTML page: maps claimed and found beside each other, and everything that differs. No scripts, nothing from
//! elsewhere, and no pixel of a picture.

use std::path::{Path, PathBuf};

use maud::{Markup, html};
use ndarray::Array2;

use super::super::failure::Failure;
use super::super::files;
use super::super::html::{self, figure, short};
use super::desk::Desk;
use super::reports::Raw;
use super::shown::{Counts, in_words};
use super::worst::Worst;
use crate::model::DEFAULT_NOTICE;
use crate::report::verify::Difference;
use crate::report::{MapEntry, Report};
use crate::verdict::{Check, Terms, Verdict};

/// Cases that a page shows.
const MOST_CASES: usize = 24;

/// Bytes of a report whose maps are shown: what is kept in memory until the page is written.
const MOST_BYTES: u64 = 1 << 20;

/// Differences of one case that are shown.
const MOST_DIFFERENCES: usize = 40;

/// A page while its cases come in.
pub struct Page {
    place: PathBuf,
    worst: Worst<Case>,
}

struct Case {
    check: Check,
    /// The report, unless it is large.
    raw: Option<Raw>,
}

impl Page {
    /// Begins a page at `place`.
    pub fn begin(place: &Path) -> Result<Page, Failure> {
        let folder = place.parent().filter(|folder| *folder != Path::new(""));
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(Failure::of(place, "lies in no folder that there is"));
        }
        Ok(Page {
            place: place.to_owned(),
            worst: Worst::most(MOST_CASES),
        })
    }

    /// Takes a verdict and its report.
    pub fn add(&mut self, check: &Check, raw: Raw) {
        self.worst.add(check.rank(), || Case {
            check: check.clone(),
            raw: (raw.weight <= MOST_BYTES).then_some(raw),
        });
    }

    /// Writes the page. The maps that were found are found once more, so that they need not be kept.
    pub fn end(self, desk: &Desk, counts: &Counts) -> Result<(), Failure> {
        let cases: Vec<Markup> = self.worst.iter().map(|case| section(case, desk)).collect();
        let page = whole(&cases, counts, desk.terms());
        files::write(&self.place, page.into_string().as_bytes())
    }
}

fn whole(cases: &[Markup], counts: &Counts, terms: &Terms) -> Markup {
    let title = format!("Reports checked: {}", counts.words());
    html::page(
        &title,
        html! {
            h1 { "Reports checked" }
            p.notice { (DEFAULT_NOTICE) }
            p { (counts.words()) "." }
            (under(terms))
            p {
                "The worst " (cases.len()) " of " (counts.all()) ", the worst first: what differs by how many tolerances it is apart, where what must be "
                "the same and is not comes before any number; then what cannot be checked; then what holds. Maps are drawn cell by cell, claim and \
                 repetition on one scale; no pixel of a picture is on this page."
            }
            @for case in cases { (case) }
        },
    )
}

fn under(terms: &Terms) -> Markup {
    let (tolerances, engine) = (&terms.tolerances, &terms.engine);
    html! {
        table.under {
            tr { th { "tolerance" } td { (tolerances.score) " for scores, " (tolerances.map) " of a map's range, cosine at least " (tolerances.cosine) } }
            tr { th { "signed by" } td { (terms.key.as_deref().unwrap_or("anyone or nobody")) } }
            tr { th { "models" } td { (terms.models) } }
            tr { th { "computed by" } td { "gradlens " (crate::VERSION) ", " (engine.name) " " (engine.version) " on " (engine.device) } }
        }
    }
}

fn section(case: &Case, desk: &Desk) -> Markup {
    let check = &case.check;
    let differences = &check.comparison.differences;
    let claim = case.raw.as_ref().and_then(Raw::claim);
    let again = claim
        .as_ref()
        .and_then(|claim| desk.examine(claim, None).again);
    let claimed = claim
        .as_ref()
        .and_then(|claim| claim.report.as_deref().ok());
    html! {
        section {
            h2 { (short(&check.report)) }
            p {
                @match check.verdict {
                    Verdict::Differs => span.differs { (check.verdict.words()) },
                    _ => (check.verdict.words()),
                }
                @if let Some(reason) = &check.reason { ": " (short(reason)) }
                @if check.comparison.scores.is_some() { ", " (check.nearness()) }
                @if let Some(apart) = check.comparison.in_tolerances { ", at most " (in_words(Some(apart))) " tolerances" }
            }
            p { "picture " (short(&check.picture)) ", model " (short(&check.model)) ", report " code { (check.sha256) } }
            @if let Some(claimed) = claimed { (maps(claimed, again.as_deref())) }
            @if !differences.is_empty() {
                table {
                    tr { th { "what" } th { "claimed" } th { "found" } th { "tolerances" } }
                    @for one in differences.iter().take(MOST_DIFFERENCES) { (row(one)) }
                }
                @if differences.len() > MOST_DIFFERENCES { p { "and " (differences.len() - MOST_DIFFERENCES) " more" } }
            }
        }
    }
}

fn row(one: &Difference) -> Markup {
    html! {
        tr { td { (short(&one.what)) } td { (short(&one.claimed)) } td { (short(&one.found)) } td { (in_words(one.in_tolerances)) } }
    }
}

/// The claimed map, the one found, and how far they are apart.
fn maps(claimed: &Report, again: Option<&Report>) -> Markup {
    let found = again.map(|again| &again.map);
    // On the scale of what was found, so that a claim beyond it shows.
    let scale = found.unwrap_or(&claimed.map);
    let (low, high) = (scale.min, scale.max);
    let apart = found.and_then(|found| apart(&claimed.map, found));
    let what = format!(
        "{} of {}, layer {}",
        claimed.method, claimed.explained.label, claimed.layer
    );
    html! {
        p { (short(&what)) }
        div.maps {
            (figure("claimed", claimed.map.array(), low, high))
            @if let Some(found) = found { (figure("found", found.array(), low, high)) }
            @if let Some(apart) = apart { (figure("apart", Some(apart), 0.0, high - low)) }
        }
    }
}

/// How far each cell is from the one found.
fn apart(claimed: &MapEntry, found: &MapEntry) -> Option<Array2<f32>> {
    let (claimed, found) = (claimed.array()?, found.array()?);
    (claimed.dim() == found.dim()).then(|| (claimed - found).mapv(f32::abs))
}
