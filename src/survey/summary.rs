//! The numbers of all pictures together, and of groups of them, with intervals.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::Serialize;

use super::Measures;
use super::measure::share;
use crate::evidence::statistics::{bootstrap, mean};

/// Draws of the bootstrap.
const DRAWS: usize = 1000;

/// Groups of one kind that are told apart; a column with more values than this is no grouping.
pub const MOST_GROUPS: usize = 12;

/// A picture of the data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// Its file, as the list has it.
    pub file: String,
    /// Its patient, or itself where the list has none: who is drawn together.
    pub patient: String,
    /// What it truly shows, as a class, where the list says so.
    pub truth: Option<usize>,
    /// Its groups: the values of the list's other columns.
    pub groups: BTreeMap<String, String>,
    /// What was measured.
    pub measures: Measures,
}

/// A number and where it probably lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// From where to where it lies, 95 %, by bootstrap over patients.
    pub interval: Option<(f64, f64)>,
}

/// The numbers of a group of pictures; `None` where nothing could be counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The column, or what else makes the group.
    pub by: String,
    /// Its value.
    pub name: String,
    /// Pictures.
    pub pictures: usize,
    /// Patients.
    pub patients: usize,
    /// Share of those with a truth that are predicted so.
    pub accuracy: Option<Estimate>,
    /// Mean probability of the explained class.
    pub probability: Option<Estimate>,
    /// How well the classes are told apart with the middle hidden: the mean of [`Class::without_middle`].
    pub without_middle: Option<Estimate>,
    /// The same with the rim hidden.
    pub without_rim: Option<Estimate>,
    /// Mean share of a map's energy on the rim.
    pub rim: Option<Estimate>,
    /// Mean share of a map's energy outside the lungs.
    pub outside_lungs: Option<Estimate>,
    /// Mean share of the seen area outside the lungs.
    pub outside_lungs_of_area: Option<Estimate>,
    /// Share of maps whose highest place is on the rim.
    pub peak_on_rim: Option<Estimate>,
    /// Share of pictures that are not what the model was made for.
    pub strange: Option<Estimate>,
    /// Share of maps that show nothing.
    pub empty: Option<Estimate>,
}

/// A class of the classifier and how much of it is left when a part of the pictures is hidden.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Its label.
    pub label: String,
    /// Pictures that are called so as they are.
    pub pictures: usize,
    /// With the middle hidden: the share of them that still are, less the share of the others that now are (Youden's J of the prediction without beside the
    /// prediction with). 1: nothing is missed. 0: by chance, falling back on one class for all included.
    pub without_middle: Option<Estimate>,
    /// The first of the two shares.
    pub kept_without_middle: Option<Estimate>,
    /// The same with the rim hidden.
    pub without_rim: Option<Estimate>,
    /// The first of its two shares.
    pub kept_without_rim: Option<Estimate>,
}

/// The mean of the maps of one explained class, each with the sum 1.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanMap {
    /// The class.
    pub class: usize,
    /// How many maps.
    pub maps: usize,
    /// Their mean.
    pub values: Array2<f64>,
}

impl MeanMap {
    /// Takes a map into the means; one of another size than the first of its class, or without anything to see, is left out.
    pub fn add(means: &mut Vec<MeanMap>, class: usize, map: &Array2<f32>) {
        let Some(map) = share(map) else { return };
        match means.iter_mut().find(|mean| mean.class == class) {
            Some(mean) if mean.values.dim() == map.dim() => {
                mean.maps += 1;
                let weight = 1.0 / mean.maps as f64;
                mean.values
                    .zip_mut_with(&map, |mean, &value| *mean += (value - *mean) * weight);
            }
            Some(_) => {}
            None => means.push(MeanMap {
                class,
                maps: 1,
                values: map,
            }),
        }
    }
}

/// A data set in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Labels of the classes.
    pub labels: Vec<String>,
    /// All pictures.
    pub all: Group,
    /// Each class.
    pub classes: Vec<Class>,
    /// By explained class, by truth, by each column with few values.
    pub groups: Vec<Group>,
}

/// Sums up pictures.
#[must_use]
pub fn summarize(labels: &[String], pictures: &[Picture]) -> Summary {
    let everything: Vec<&Picture> = pictures.iter().collect();
    let label = |class: usize| {
        labels
            .get(class)
            .cloned()
            .unwrap_or_else(|| class.to_string())
    };
    let mut kinds: BTreeMap<(usize, &str), BTreeMap<String, Vec<&Picture>>> = BTreeMap::new();
    for picture in pictures {
        let mut put = |order, by, name: String| {
            kinds
                .entry((order, by))
                .or_default()
                .entry(name)
                .or_default()
                .push(picture);
        };
        put(0, "explained class", label(picture.measures.explained));
        if let Some(truth) = picture.truth {
            put(1, "truth", label(truth));
        }
        for (by, name) in &picture.groups {
            put(2, by, name.clone());
        }
    }
    let groups = kinds
        .iter()
        .filter(|(_, groups)| (2..=MOST_GROUPS).contains(&groups.len()))
        .flat_map(|((_, by), groups)| {
            groups
                .iter()
                .map(|(name, pictures)| group(by, name, pictures, labels.len()))
        });
    Summary {
        labels: labels.to_vec(),
        all: group("all", "all", &everything, labels.len()),
        classes: classes(labels, &everything),
        groups: groups.collect(),
    }
}

/// The numbers of some pictures.
fn group(by: &str, name: &str, pictures: &[&Picture], classes: usize) -> Group {
    let patients = patients(pictures);
    let estimates = estimates(pictures, &patients, &|chosen| {
        numbers(chosen, classes).to_vec()
    });
    let estimate = |at: usize| estimates.get(at).copied().flatten();
    Group {
        by: by.into(),
        name: name.into(),
        pictures: pictures.len(),
        patients: patients.len(),
        accuracy: estimate(0),
        probability: estimate(1),
        without_middle: estimate(2),
        without_rim: estimate(3),
        rim: estimate(4),
        outside_lungs: estimate(5),
        outside_lungs_of_area: estimate(6),
        peak_on_rim: estimate(7),
        strange: estimate(8),
        empty: estimate(9),
    }
}

/// The positions of each patient's pictures.
fn patients(pictures: &[&Picture]) -> Vec<Vec<usize>> {
    let mut patients: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, picture) in pictures.iter().enumerate() {
        patients.entry(&picture.patient).or_default().push(at);
    }
    patients.into_values().collect()
}

/// Numbers of pictures, with intervals over patients.
fn estimates(
    pictures: &[&Picture],
    patients: &[Vec<usize>],
    numbers: &dyn Fn(&[&Picture]) -> Vec<Option<f64>>,
) -> Vec<Option<Estimate>> {
    let intervals = bootstrap(patients, DRAWS, 1, |chosen| {
        let chosen: Vec<&Picture> = chosen
            .iter()
            .filter_map(|at| pictures.get(*at).copied())
            .collect();
        numbers(&chosen)
    });
    let values = numbers(pictures).into_iter().enumerate();
    values
        .map(|(at, value)| {
            Some(Estimate {
                value: value?,
                interval: intervals.get(at).copied().flatten(),
            })
        })
        .collect()
}

fn classes(labels: &[String], pictures: &[&Picture]) -> Vec<Class> {
    let patients = patients(pictures);
    let of = |(class, label): (usize, &String)| {
        let numbers = |pictures: &[&Picture]| {
            let [middle, rim] = PARTS.map(|then| left(pictures, class, then));
            let kept = |left: Option<Left>| left.map(|left| left.kept);
            vec![
                middle.and_then(Left::told),
                kept(middle),
                rim.and_then(Left::told),
                kept(rim),
            ]
        };
        let estimates = estimates(pictures, &patients, &numbers);
        let estimate = |at: usize| estimates.get(at).copied().flatten();
        let is_own = |picture: &&&Picture| picture.measures.predicted == class;
        Class {
            label: label.clone(),
            pictures: pictures.iter().filter(is_own).count(),
            without_middle: estimate(0),
            kept_without_middle: estimate(1),
            without_rim: estimate(2),
            kept_without_rim: estimate(3),
        }
    };
    labels.iter().enumerate().map(of).collect()
}

/// The class predicted with the middle, and with the rim hidden.
const PARTS: [fn(&Measures) -> usize; 2] = [
    |measures| measures.without_middle,
    |measures| measures.without_rim,
];

/// What is left of a class when a part is hidden.
#[derive(Clone, Copy)]
struct Left {
    /// Share of its pictures that stay in it.
    kept: f64,
    /// Share of the others that come to it; `None` without others.
    joined: Option<f64>,
}

impl Left {
    fn told(self) -> Option<f64> {
        Some(self.kept - self.joined?)
    }
}

/// What is left of a class; `None` where no picture was called so.
fn left(pictures: &[&Picture], class: usize, then: fn(&Measures) -> usize) -> Option<Left> {
    let share = |own: bool| {
        let chosen = pictures
            .iter()
            .filter(|picture| (picture.measures.predicted == class) == own);
        let now = chosen.map(|picture| f64::from(u8::from(then(&picture.measures) == class)));
        mean(&now.collect::<Vec<f64>>())
    };
    Some(Left {
        kept: share(true)?,
        joined: share(false),
    })
}

/// The numbers of [`Group`], in its order.
fn numbers(pictures: &[&Picture], classes: usize) -> [Option<f64>; 10] {
    let over = |number: &dyn Fn(&Picture) -> Option<f64>| {
        let known = pictures.iter().filter_map(|picture| number(picture));
        mean(&known.collect::<Vec<f64>>())
    };
    let share = |holds: bool| f64::from(u8::from(holds));
    let [middle, rim] = PARTS.map(|then| {
        let told = (0..classes).filter_map(|class| left(pictures, class, then)?.told());
        mean(&told.collect::<Vec<f64>>())
    });
    [
        over(&|picture| Some(share(picture.truth? == picture.measures.predicted))),
        over(&|picture| Some(picture.measures.probability)),
        middle,
        rim,
        over(&|picture| picture.measures.rim),
        over(&|picture| picture.measures.outside_lungs),
        over(&|picture| picture.measures.outside_lungs_of_area),
        over(&|picture| picture.measures.peak_on_rim.map(share)),
        over(&|picture| picture.measures.frontal.map(|frontal| share(!frontal))),
        over(&|picture| Some(share(picture.measures.empty.is_some()))),
    ]
}
