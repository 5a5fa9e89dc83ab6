//! A report as one HTML file: picture, overlay, scores, what was asked, what was checked, and the report itself. It opens offline, holds no script that runs and asks
//! for nothing from elsewhere.

use base64ct::{Base64, Encoding as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::Report;
use crate::evidence::{Entry, Finding};

/// What the page shows beside the report.
pub struct Page<'a> {
    /// The report.
    pub report: &'a Report,
    /// The model's name for people, and what it was trained on.
    pub model: (&'a str, &'a str),
    /// What is explained, in a line.
    pub caption: &'a str,
    /// Where the map is highest, or why it shows nothing: a sentence.
    pub says: &'a str,
    /// The picture, the overlay and what the network saw: PNG files.
    pub pictures: [&'a [u8]; 3],
    /// What was checked.
    pub checks: &'a [Entry],
    /// Plots of checks, by the check's id: SVG elements that whoever calls made, which go in as they are.
    pub plots: &'a [(String, String)],
}

const STYLE: &str = include_str!("page.css");

impl Page<'_> {
    /// The whole file.
    ///
    /// # Errors
    /// None in practice: the report is JSON already.
    pub fn whole(&self) -> Result<String, serde_json::Error> {
        let report = self.report;
        let title = format!("{}: {}", report.picture.name, self.caption);
        let style = Base64::encode_string(&Sha256::digest(STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
        );
        // Nothing in it may end the element that holds it.
        let json = serde_json::to_string(report)?.replace('<', "\\u003c");
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    meta name="generator" content={ "gradlens " (crate::VERSION) };
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (report.picture.name) }
                        p { (self.caption) }
                        p.notice { (report.notice) }
                        @if let Some(warning) = report.companion.as_ref().and_then(super::CompanionEntry::warning) {
                            p.warning { (report.picture.name) " " (warning) "." }
                        }
                        (self.figures())
                        section { h2 { "Scores" } (self.scores()) }
                        section { h2 { "Is it to be believed?" } (self.checked()) }
                        section { h2 { "What was computed from what" } (self.provenance()) }
                    }
                    script type="application/json" id="gradlens-report" { (PreEscaped(json)) }
                }
            }
        };
        Ok(page.into_string())
    }

    fn figures(&self) -> Markup {
        let names = [
            ("Picture", "The picture"),
            ("Heat map over it", self.caption),
            ("What the network saw", "The network's input"),
        ];
        html! {
            div.pictures {
                @for ((name, about), png) in names.into_iter().zip(self.pictures) {
                    figure {
                        img src={ "data:image/png;base64," (Base64::encode_string(png)) } alt=(about);
                        figcaption { (name) }
                    }
                }
            }
            p { (self.says) " The map's values run from " (self.report.map.min) " to " (self.report.map.max) ", unnormalised." }
        }
    }

    fn scores(&self) -> Markup {
        let explained = &self.report.explained;
        html! {
            table {
                thead { tr { th scope="col" { "Class" } th scope="col" { "Probability" } th scope="col" { "Logit" } } }
                tbody {
                    @for score in &self.report.scores {
                        tr class=[(score.index == explained.index).then_some("explained")] {
                            th scope="row" { (score.label) }
                            td { (format!("{:.1} %", 100.0 * score.probability)) }
                            td { (format!("{:.4}", score.logit)) }
                        }
                    }
                }
            }
        }
    }

    fn checked(&self) -> Markup {
        html! {
            @if self.checks.is_empty() { p { "Nothing was checked." } }
            @for entry in self.checks {
                article {
                    h3 { (entry.name) }
                    @if let Some(found) = &entry.found {
                        p { (found.says) }
                        @for (_, plot) in self.plots.iter().filter(|(check, _)| *check == entry.check) { (PreEscaped(plot)) }
                        (numbers(&entry.name, found))
                    }
                    @if let Some(nothing) = &entry.nothing { p { (nothing) } }
                    p.quiet { (entry.about) " " (entry.does_not_say) }
                }
            }
        }
    }

    fn provenance(&self) -> Markup {
        let report = self.report;
        let region = report.preprocessing.region;
        let engine = &report.engine;
        let signed = report.signature.as_ref();
        let facts = [
            (
                "Picture",
                format!(
                    "{} x {} pixels, sha256 {}",
                    report.picture.width, report.picture.height, report.picture.sha256
                ),
            ),
            (
                "Model",
                format!(
                    "{} ({}), sha256 {}",
                    self.model.0, report.model.id, report.model.sha256
                ),
            ),
            ("Trained on", self.model.1.to_owned()),
            (
                "Gradient graph",
                format!("sha256 {}", report.model.gradient_sha256),
            ),
            (
                "Method",
                format!(
                    "{} of the {}, layer {}",
                    report.method, report.explained.target, report.layer
                ),
            ),
            (
                "Region",
                format!(
                    "{} x {} pixels at {}, {}, brought to {} x {}",
                    region.width,
                    region.height,
                    region.x,
                    region.y,
                    report.preprocessing.input[0],
                    report.preprocessing.input[1]
                ),
            ),
            (
                "Map",
                format!("{} x {} values", report.map.width, report.map.height),
            ),
            (
                "Engine",
                format!(
                    "{} {}, {}, threads: {}, {}",
                    engine.name, engine.version, engine.device, engine.threads, engine.simd
                ),
            ),
            (
                "Signed by",
                signed
                    .map(|signature| signature.key.clone())
                    .unwrap_or_default(),
            ),
            ("Written by", format!("gradlens {}", crate::VERSION)),
        ];
        html! {
            dl {
                @for (term, fact) in facts.into_iter().filter(|(_, fact)| !fact.is_empty()) {
                    dt { (term) } dd { (fact) }
                }
            }
            p.quiet { "The report itself, with the raw map, is in this file: " code { "#gradlens-report" } ". Saved as JSON, " code { "gradlens verify" } " computes it again." }
        }
    }
}

/// The numbers of a check, and of its curves.
fn numbers(name: &str, found: &Finding) -> Markup {
    html! {
        table {
            caption { "Numbers: " (name) }
            tbody {
                @for number in &found.numbers {
                    tr { th scope="row" { (number.name.replace('_', " ")) } td { (format!("{:.4}", number.value)) } }
                }
            }
        }
        @for curve in &found.curves {
            details {
                summary { "Curve: " (curve.name.replace('_', " ")) }
                table {
                    thead { tr { th scope="col" { (curve.against) } th scope="col" { (curve.name.replace('_', " ")) } } }
                    tbody {
                        @for [at, value] in &curve.points { tr { th scope="row" { (format!("{at:.4}")) } td { (format!("{value:.4}")) } } }
                    }
                }
            }
        }
    }
}
