//! What the numbers say, in sentences, the gravest first.

use serde::Serialize;

use super::{Class, Estimate, Group, Summary};

/// A sentence and how much it should worry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// 2: the classifier does not look where it should. 1: look closer. 0: to know.
    pub gravity: u8,
    /// The sentence.
    pub text: String,
}

/// Pictures of a group, below which groups are not compared.
const FEWEST: usize = 10;

/// Youden's J without the middle, from where on a class is known by the rim, and from where on the rim is worth a word. Of the shipped classifiers' classes on `test` the one that
/// is bad on purpose has 0.83, the honest one 0.49 at most.
const GRAVE: f64 = 0.6;
const NOTED: f64 = 0.25;

/// What a summary says.
#[must_use]
pub fn findings(summary: &Summary) -> Vec<Finding> {
    let all = &summary.all;
    let mut found = Vec::new();
    found.extend(rim(&summary.classes));
    found.extend(maps_on_rim(all));
    found.extend(outside_lungs(all));
    found.extend(gaps(summary));
    found.extend(shares(all));
    found.sort_by_key(|finding: &Finding| std::cmp::Reverse(finding.gravity));
    found
}

/// Whether the rim alone tells a class. The middle takes the lungs with it: who looks at them should then fall back to chance.
fn rim(classes: &[Class]) -> Option<Finding> {
    let low = |class: &Class| {
        let told = class.without_middle?;
        Some(told.interval.map_or(told.value, |(low, _)| low))
    };
    let known = classes
        .iter()
        .filter_map(|class| Some((low(class)?, class)));
    let (low, class) = known.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let kept = |kept: Option<Estimate>| kept.map(percent).unwrap_or_default();
    let label = &class.label;
    let numbers = format!(
        "with the middle half of the picture hidden, {} of the {} pictures that it calls {label} are still called so (with the rim hidden {}). \
         Less the share of the others that then become {label}, {} is left: chance would leave nothing",
        kept(class.kept_without_middle),
        class.pictures,
        kept(class.kept_without_rim),
        class.without_middle.map(percent).unwrap_or_default(),
    );
    let (gravity, text) = if low > GRAVE {
        (
            2,
            format!("This classifier knows {label} by the rim of the picture: {numbers}."),
        )
    } else if low > NOTED {
        (
            1,
            format!("The rim of the picture takes part in {label}: {numbers}."),
        )
    } else {
        (0, "With the middle half of the picture hidden, no class is told much better than by chance: the rim does not decide.".into())
    };
    Some(Finding { gravity, text })
}

fn maps_on_rim(all: &Group) -> Option<Finding> {
    let rim = all.rim?;
    let low = rim.interval.map_or(rim.value, |(low, _)| low);
    let peak = all
        .peak_on_rim
        .map(|peak| format!("; {} of the maps are highest there", percent(peak)));
    let peak = peak.unwrap_or_default();
    let gravity = u8::from(low > 0.5);
    Some(Finding {
        gravity,
        text: format!(
            "{} of the heat maps' energy lies on the rim, which is half of the area{peak}.",
            percent(rim)
        ),
    })
}

fn outside_lungs(all: &Group) -> Option<Finding> {
    let (energy, area) = (all.outside_lungs?, all.outside_lungs_of_area?);
    let low = energy.interval.map_or(energy.value, |(low, _)| low);
    Some(Finding {
        gravity: u8::from(low > area.value),
        text: format!(
            "{} of the heat maps' energy lies outside the lungs, {} of the area does.",
            percent(energy),
            percent(area)
        ),
    })
}

/// The groups of each kind that differ most in accuracy and on the rim, where their intervals do not touch.
fn gaps(summary: &Summary) -> Vec<Finding> {
    type Number = fn(&Group) -> Option<Estimate>;
    let numbers: [(&str, Number); 2] = [
        ("Accuracy", |group| group.accuracy),
        ("The share of the maps on the rim", |group| group.rim),
    ];
    let mut kinds: Vec<&str> = summary
        .groups
        .iter()
        .map(|group| group.by.as_str())
        .collect();
    kinds.dedup();
    let mut found = Vec::new();
    for by in kinds {
        for (what, number) in numbers {
            let own = summary
                .groups
                .iter()
                .filter(|group| group.by == by && group.pictures >= FEWEST);
            let mut own: Vec<(&str, Estimate)> = own
                .filter_map(|group| Some((group.name.as_str(), number(group)?)))
                .collect();
            own.sort_by(|a, b| a.1.value.total_cmp(&b.1.value));
            let (Some((low, least)), Some((high, most))) = (own.first(), own.last()) else {
                continue;
            };
            let apart = matches!((least.interval, most.interval), (Some(least), Some(most)) if least.1 < most.0);
            if apart {
                found.push(Finding {
                    gravity: 1,
                    text: format!(
                        "{what} differs by {by}: {} for {high}, {} for {low}.",
                        percent(*most),
                        percent(*least)
                    ),
                });
            }
        }
    }
    found
}

/// What else there is to know.
fn shares(all: &Group) -> Vec<Finding> {
    let said = [
        (
            all.strange,
            "of the pictures do not look like what the model was made for: their scores mean nothing",
        ),
        (all.empty, "of the maps show nothing"),
    ];
    let said = said.into_iter().filter_map(|(share, words)| {
        let share = share.filter(|share| share.value > 0.0)?;
        Some(Finding {
            gravity: u8::from(share.value > 0.05),
            text: format!("{} {words}.", percent(share)),
        })
    });
    let accuracy = all.accuracy.map(|accuracy| Finding {
        gravity: 0,
        text: format!(
            "{} of the pictures with a truth are predicted so.",
            percent(accuracy)
        ),
    });
    said.chain(accuracy).collect()
}

/// A share with its interval.
fn percent(share: Estimate) -> String {
    let value = format!("{:.0} %", 100.0 * share.value);
    match share.interval {
        Some((low, high)) => format!("{value} [{:.0}, {:.0}]", 100.0 * low, 100.0 * high),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Measures, Picture, summarize};
    use std::collections::BTreeMap;

    /// Pictures of two classes whose class comes back with the middle, or the rim, hidden or not.
    fn summary(keeps_by_rim: bool, keeps_by_middle: bool) -> Summary {
        let pictures: Vec<Picture> = (0..60)
            .map(|at| {
                let predicted = at % 2;
                let then = |keeps: bool| if keeps { predicted } else { 0 };
                Picture {
                    file: format!("{at}.png"),
                    patient: format!("{}", at / 2),
                    truth: Some(if at % 10 == 0 {
                        1 - predicted
                    } else {
                        predicted
                    }),
                    groups: BTreeMap::from([(
                        "site".into(),
                        if at < 30 { "a" } else { "b" }.into(),
                    )]),
                    measures: Measures {
                        predicted,
                        explained: predicted,
                        probability: 0.9,
                        without_middle: then(keeps_by_rim),
                        probability_without_middle: 0.5,
                        without_rim: then(keeps_by_middle),
                        probability_without_rim: 0.5,
                        rim: Some(if at < 30 { 0.8 } else { 0.3 }),
                        outside_lungs: None,
                        outside_lungs_of_area: None,
                        peak_on_rim: Some(at < 30),
                        frontal: None,
                        empty: None,
                    },
                }
            })
            .collect();
        summarize(&["no".into(), "yes".into()], &pictures)
    }

    #[test]
    fn who_decides_by_the_rim_is_told_so_first() {
        let first = &findings(&summary(true, false))[0];
        assert_eq!(first.gravity, 2);
        assert!(
            first.text.starts_with("This classifier knows"),
            "{}",
            first.text
        );
        let honest = findings(&summary(false, true));
        assert!(honest.iter().all(|finding| finding.gravity < 2));
        assert!(
            honest
                .iter()
                .any(|finding| finding.text.contains("rim does not decide")),
            "{honest:?}"
        );
        // Both halves of the data set lie apart on the rim, and none in accuracy.
        assert!(
            honest
                .iter()
                .any(|finding| finding.text.contains("differs by site"))
        );
        assert!(
            !honest
                .iter()
                .any(|finding| finding.text.starts_with("Accuracy differs by site"))
        );
    }

    #[test]
    fn falling_back_on_one_class_is_chance() {
        let summary = summary(false, true);
        assert_eq!(summary.all.without_middle.unwrap().value, 0.0);
        assert_eq!(summary.all.without_rim.unwrap().value, 1.0);
        assert_eq!(summary.classes[0].kept_without_middle.unwrap().value, 1.0);
    }
}
