//! `gradlens survey`: a list of pictures in; tables, plots and one page out.

mod list;
mod page;
mod plots;
mod table;

use std::fs;
use std::process::ExitCode;

use super::batch::order::in_order;
use super::failure::Failure;
use super::ready::Ready;
use super::waiting::Waiting;
use super::{Outcome, args, files, say};
use crate::explain::Explainer;
use crate::guard::caught;
use crate::image::{Limits, Wanted};
use crate::lungs::Lungs;
use crate::study::{Request, Study};
use crate::survey::{MeanMap, Measures, Picture, findings, measure, summarize};
use list::{Entry, List};
use ndarray::Array2;

pub fn run(arguments: &args::Survey) -> Outcome {
    let ready = Ready::of(&arguments.ask)?;
    let request = ready.request()?.clone();
    let Ready {
        place,
        explainer,
        lungs,
        wanted,
        ..
    } = ready;
    let list = List::read(&arguments.manifest, &explainer.model.manifest)?;
    let labels: Vec<String> = explainer
        .model
        .manifest
        .labels
        .iter()
        .map(|label| label.id.clone())
        .collect();
    fs::create_dir_all(&arguments.out)
        .map_err(|error| Failure::of(&arguments.out, files::reason(&error)))?;

    let progress = super::progress(list.entries.len(), false, "pictures");
    let (mut pictures, mut means, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    place.run(|| {
        in_order(
            list.entries.into_iter(),
            |entry| {
                let looked = caught(|| look(&explainer, lungs.as_ref(), &request, &wanted, &entry));
                let looked = looked.unwrap_or_else(|panic| Err(Failure::of(&entry.file, panic)));
                (entry, looked)
            },
            |(entry, looked)| {
                progress.inc(1);
                match looked {
                    Err(failure) => failures.push(failure),
                    Ok((measures, map)) => {
                        MeanMap::add(&mut means, measures.explained, &map);
                        pictures.push(picture(entry, measures));
                    }
                }
                true
            },
        );
    })?;
    progress.finish_and_clear();
    if pictures.is_empty() {
        failures.push(Failure::of(
            &arguments.manifest,
            "none of its pictures could be explained",
        ));
        return Err(failures);
    }
    let summary = summarize(&labels, &pictures);
    let found = findings(&summary);
    let at = |name: &str| arguments.out.join(name);
    table::write(
        &at("pictures.csv"),
        &at("pictures.parquet"),
        &labels,
        &pictures,
    )?;
    let notice = &explainer.model.manifest.notice;
    let json = serde_json::json!({
        "schema": "gradlens.survey/1",
        "model": {"id": explainer.model.manifest.id, "sha256": explainer.model.sha256},
        "method": arguments.ask.method,
        "layer": explainer.layer,
        "engine": explainer.engine(),
        "findings": found,
        "summary": summary,
        "problems": failures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notice": notice,
    });
    let json =
        serde_json::to_vec_pretty(&json).map_err(|error| Failure::of(&at("survey.json"), error))?;
    files::write(&at("survey.json"), &json)?;
    means.sort_by_key(|mean| mean.class);
    let page = page::Page {
        explainer: &explainer,
        method: &arguments.ask.method,
        summary: &summary,
        findings: &found,
        means: &means,
        pictures: &pictures,
        failures: failures.len(),
    };
    files::write(&at("survey.html"), page.whole().into_string().as_bytes())?;
    for finding in &found {
        say(&finding.text);
    }
    say(&format!(
        "{} pictures; {}",
        pictures.len(),
        at("survey.html").display()
    ));
    say(notice);
    match failures.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(failures),
    }
}

/// Explains a picture and measures it.
fn look(
    explainer: &Explainer,
    lungs: Option<&Lungs>,
    request: &Request,
    wanted: &Wanted,
    entry: &Entry,
) -> Result<(Measures, Array2<f32>), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::of(&entry.file, error);
    let bytes = files::read(&entry.file)?;
    let name = entry.file.file_name().unwrap_or_default().to_string_lossy();
    let limits = Limits::default();
    let study = Study::open_as(explainer, lungs, &name, &bytes, &limits, wanted);
    let study = study.map_err(|error| failed(&error))?;
    let answer = study.ask_watched(explainer, request, &Waiting::AmongOthers);
    let answer = answer.map_err(|error| failed(&error))?;
    let measures = measure(explainer, &study, &answer).map_err(|error| failed(&error))?;
    Ok((measures, answer.map.values))
}

fn picture(entry: Entry, measures: Measures) -> Picture {
    Picture {
        file: entry.file.display().to_string(),
        patient: entry.patient,
        truth: entry.truth,
        groups: entry.groups,
        measures,
    }
}
