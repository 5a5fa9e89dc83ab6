//! The page of a survey: what was found in its first paragraph, then the numbers behind it. No pixel of a picture is on it.

use maud::{Markup, PreEscaped, html};

use super::super::html::{self, figure, short};
use super::plots::{bars, histogram};
use crate::explain::Explainer;
use crate::model::DEFAULT_NOTICE;
use crate::survey::{Estimate, Finding, Group, MeanMap, Picture, Summary};

/// Pictures that are named in a list of the worst.
const MOST_WORST: usize = 15;

/// A column of the table of groups: its heading and its number.
type Number = (&'static str, fn(&Group) -> Option<Estimate>);

const NUMBERS: [Number; 8] = [
    ("accuracy", |group| group.accuracy),
    ("mean probability", |group| group.probability),
    ("classes told, middle hidden", |group| group.without_middle),
    ("classes told, rim hidden", |group| group.without_rim),
    ("map on the rim", |group| group.rim),
    ("highest on the rim", |group| group.peak_on_rim),
    ("map outside the lungs", |group| group.outside_lungs),
    ("do not look like the model's pictures", |group| {
        group.strange
    }),
];

/// What the page is made of.
pub struct Page<'a> {
    pub explainer: &'a Explainer,
    pub method: &'a str,
    pub summary: &'a Summary,
    pub findings: &'a [Finding],
    pub means: &'a [MeanMap],
    pub pictures: &'a [Picture],
    pub failures: usize,
}

impl Page<'_> {
    /// The whole page.
    pub fn whole(&self) -> Markup {
        let model = &self.explainer.model;
        let title = format!("Survey of {}", model.manifest.id);
        let all = &self.summary.all;
        html::page(
            &title,
            html! {
                h1 { (title) }
                p {
                    @for finding in self.findings {
                        @match finding.gravity {
                            2 => strong.grave { (finding.text) },
                            1 => strong { (finding.text) },
                            _ => (finding.text),
                        }
                        " "
                    }
                }
                p.notice { (DEFAULT_NOTICE) }
                p {
                    (all.pictures) " pictures of " (all.patients) " patients, " (model.manifest.name) ", " (self.method) " at " (self.explainer.layer)
                    @if self.failures > 0 { "; " (self.failures) " could not be explained" }
                    ". Numbers in brackets are 95 % intervals by bootstrap over patients. The middle is the middle half of the area that the network sees, the rim \
                     the other half; hidden means grey. A classifier of what lies in the middle should lose its class without it and keep it without the rim. \"Told\" is the share \
                 of a class's pictures that keep it, less the share of the others that come to it: 1 as if nothing were hidden, 0 by chance."
                }
                section { h2 { "Classes" } (self.classes()) }
            section { h2 { "Groups" } (self.table()) }
                section {
                    h2 { "Mean maps" }
                    p { "Each map is brought to the sum 1 before the mean, so that every picture counts alike." }
                    div.maps { @for mean in self.means { (self.mean(mean)) } }
                }
                section { h2 { "Where the maps lie" } (self.histograms()) }
                section { h2 { "Groups compared" } (self.comparisons()) }
                section { h2 { "Pictures to look at" } (self.worst()) }
            },
        )
    }

    fn label(&self, class: usize) -> &str {
        self.summary.labels.get(class).map_or("?", String::as_str)
    }

    fn classes(&self) -> Markup {
        html! {
            div.wide { table {
                tr { th { "class" } th { "pictures called so" } th { "told, middle hidden" } th { "kept" } th { "told, rim hidden" } th { "kept" } }
                @for class in &self.summary.classes {
                    tr {
                        td { (short(&class.label)) }
                        td { (class.pictures) }
                        @for number in [class.without_middle, class.kept_without_middle, class.without_rim, class.kept_without_rim] { td { (written(number)) } }
                    }
                }
            } }
        }
    }

    fn table(&self) -> Markup {
        let groups: Vec<&Group> = std::iter::once(&self.summary.all)
            .chain(&self.summary.groups)
            .collect();
        let is_known = |(_, number): &&Number| groups.iter().any(|group| number(group).is_some());
        let numbers: Vec<&Number> = NUMBERS.iter().filter(is_known).collect();
        html! {
            div.wide { table {
                tr { th { "group" } th { "pictures" } @for (heading, _) in &numbers { th { (heading) } } }
                @for group in groups {
                    tr {
                        td { @if group.by != "all" { (short(&group.by)) ": " } (short(&group.name)) }
                        td { (group.pictures) }
                        @for (_, number) in &numbers { td { (written(number(group))) } }
                    }
                }
            } }
        }
    }

    fn mean(&self, mean: &MeanMap) -> Markup {
        let values = mean.values.mapv(|value| value as f32);
        let high = values.iter().copied().fold(0.0, f32::max);
        let name = format!("{}, {} maps", self.label(mean.class), mean.maps);
        figure(&name, Some(values), 0.0, high)
    }

    fn histograms(&self) -> Markup {
        let of = |number: fn(&Picture) -> Option<f64>| -> Vec<f64> {
            self.pictures.iter().filter_map(number).collect()
        };
        let area = self
            .summary
            .all
            .outside_lungs_of_area
            .map(|area| area.value);
        let plots = [
            histogram(
                "Map on the rim",
                "share of the map's energy (line: an even map)",
                &of(|picture| picture.measures.rim),
                Some(0.5),
            ),
            histogram(
                "Map outside the lungs",
                "share of the map's energy (line: an even map)",
                &of(|picture| picture.measures.outside_lungs),
                area,
            ),
            histogram(
                "Probability",
                "of the explained class",
                &of(|picture| Some(picture.measures.probability)),
                None,
            ),
            histogram(
                "Probability with the middle hidden",
                "of the explained class",
                &of(|picture| Some(picture.measures.probability_without_middle)),
                None,
            ),
            histogram(
                "Probability with the rim hidden",
                "of the explained class",
                &of(|picture| Some(picture.measures.probability_without_rim)),
                None,
            ),
        ];
        html! { @for plot in plots.into_iter().flatten() { (PreEscaped(plot)) } }
    }

    fn comparisons(&self) -> Markup {
        let mut kinds: Vec<&str> = self
            .summary
            .groups
            .iter()
            .map(|group| group.by.as_str())
            .collect();
        kinds.dedup();
        let plots = kinds.iter().flat_map(|by| {
            let own: Vec<&Group> = self
                .summary
                .groups
                .iter()
                .filter(|group| group.by == *by)
                .collect();
            let title = |what: &str| format!("{what}, by {}", short(by));
            [
                bars(&title("Accuracy"), "share", &own, |group| group.accuracy),
                bars(
                    &title("Map on the rim"),
                    "share of the map's energy",
                    &own,
                    |group| group.rim,
                ),
                bars(
                    &title("Classes told with the middle hidden"),
                    "1: as with it, 0: by chance",
                    &own,
                    |group| group.without_middle,
                ),
            ]
        });
        let plots: Vec<String> = plots.flatten().collect();
        html! {
            @if plots.is_empty() { p { "The list has no columns that make groups." } }
            @for plot in plots { (PreEscaped(plot)) }
        }
    }

    fn worst(&self) -> Markup {
        let list = |title: &str, badness: &dyn Fn(&Picture) -> Option<f64>| {
            let mut worst: Vec<(f64, &Picture)> = self
                .pictures
                .iter()
                .filter_map(|picture| Some((badness(picture)?, picture)))
                .collect();
            worst.sort_by(|a, b| b.0.total_cmp(&a.0));
            worst.truncate(MOST_WORST);
            html! {
                @if !worst.is_empty() {
                    h3 { (title) }
                    table {
                        tr { th { "picture" } th { "truth" } th { "predicted" } th { "share or probability" } }
                        @for (badness, picture) in worst {
                            tr {
                                td { (short(&picture.file)) }
                                td { (picture.truth.map_or("", |truth| self.label(truth))) }
                                td { (self.label(picture.measures.predicted)) }
                                td { (format!("{badness:.2}")) }
                            }
                        }
                    }
                }
            }
        };
        html! {
            (list("Sure without the middle", &|picture| {
                let kept = picture.measures.without_middle == picture.measures.predicted;
                kept.then_some(picture.measures.probability_without_middle)
            }))
            (list("Wrong and sure", &|picture| {
                (picture.truth? != picture.measures.predicted).then_some(picture.measures.probability)
            }))
            (list("Most of the map on the rim", &|picture| picture.measures.rim))
            (list("Most of the map outside the lungs", &|picture| picture.measures.outside_lungs))
        }
    }
}

fn written(estimate: Option<Estimate>) -> String {
    let Some(estimate) = estimate else {
        return String::new();
    };
    match estimate.interval {
        Some((low, high)) => format!("{:.2} [{low:.2}, {high:.2}]", estimate.value),
        None => format!("{:.2}", estimate.value),
    }
}
