//! Whether a report holds: what it claims beside the same numbers computed again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MapEntry, Report};
use crate::explain::method;

/// How far numbers may lie apart before a report differs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerances {
    /// Of probabilities, absolute; of logits, times their size where that is above 1.
    pub score: f64,
    /// Of the map's values, as a share of its range.
    pub map: f64,
    /// The same for the methods that look at the pixels: behind a whole network of ReLUs an activation next to a kink falls on one side in one
    /// engine and on the other in the next, and a few pixels' gradients with it.
    pub pixels: f64,
    /// The least cosine between the maps.
    pub cosine: f64,
}

impl Default for Tolerances {
    fn default() -> Self {
        Tolerances {
            pixels: 0.1,
            ..Tolerances::of(1e-3)
        }
    }
}

impl Tolerances {
    /// One number for scores and maps; two maps that differ by less than it everywhere have a cosine near 1 by its square.
    #[must_use]
    pub fn of(tolerance: f64) -> Self {
        Tolerances {
            score: tolerance,
            map: tolerance,
            pixels: tolerance,
            cosine: 1.0 - tolerance,
        }
    }

    /// How far the maps of a method may lie apart.
    fn of_method(&self, id: &str) -> Tolerances {
        let at_pixels = method(id).is_ok_and(|method| method.how().reaches_pixels());
        Tolerances {
            map: if at_pixels { self.pixels } else { self.map },
            ..*self
        }
    }
}

/// One thing that a report says and that is not so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Where in the report: `scores[0].logit`, `map.values`.
    pub what: String,
    /// What the report says.
    pub claimed: String,
    /// What was found.
    pub found: String,
    /// How many tolerances lie between them; `None` where they must be the same.
    pub in_tolerances: Option<f64>,
}

impl Difference {
    /// Of two things that must be the same.
    pub fn of_words(what: &str, claimed: &dyn ToString, found: &dyn ToString) -> Difference {
        Difference {
            what: what.into(),
            claimed: claimed.to_string(),
            found: found.to_string(),
            in_tolerances: None,
        }
    }
}

/// A report beside the same report made again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// Everything that differs.
    pub differences: Vec<Difference>,
    /// The largest difference of all numbers, in units of what is tolerated: up to 1 it holds. `None` where nothing was compared.
    pub in_tolerances: Option<f64>,
    /// The largest difference of two scores, as [`Tolerances::score`] counts it; `None` where nothing was compared.
    pub scores: Option<f64>,
    /// The largest difference of two values of the map as a share of its range; `None` where the maps cannot be compared.
    pub map: Option<f64>,
    /// Cosine between the maps; `None` where they cannot be compared or one of them is nothing but zeros.
    pub cosine: Option<f64>,
}

/// Compares a report with the same report made again. The picture's name and the engine are the claimant's own and not compared.
#[must_use]
pub fn compare(claim: &Report, again: &Report, tolerances: &Tolerances) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.words(claim, again);
    comparison.companion(claim, again, tolerances);
    comparison.scores(claim, again, tolerances);
    let of_maps = tolerances.of_method(&again.method);
    comparison.map(&claim.map, &again.map, &of_maps);
    comparison
}

impl Comparison {
    /// Whether the report holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.differences.is_empty()
    }

    /// Everything that is not a number with a tolerance.
    fn words(&mut self, claim: &Report, again: &Report) {
        let pairs = [
            (
                "picture.sha256",
                &claim.picture.sha256,
                &again.picture.sha256,
            ),
            ("model.id", &claim.model.id, &again.model.id),
            ("model.sha256", &claim.model.sha256, &again.model.sha256),
            (
                "model.gradient_sha256",
                &claim.model.gradient_sha256,
                &again.model.gradient_sha256,
            ),
            (
                "explained.label",
                &claim.explained.label,
                &again.explained.label,
            ),
            ("method", &claim.method, &again.method),
            ("layer", &claim.layer, &again.layer),
            ("notice", &claim.notice, &again.notice),
        ];
        for (what, claimed, found) in pairs {
            self.same(what, claimed, found);
        }
        self.same("schema", &claim.schema, &again.schema);
        self.same("picture.width", &claim.picture.width, &again.picture.width);
        self.same(
            "picture.height",
            &claim.picture.height,
            &again.picture.height,
        );
        self.fields(
            "picture.window",
            &claim.picture.window,
            &again.picture.window,
        );
        self.fields("picture.note", &claim.picture.note, &again.picture.note);
        self.same(
            "explained.index",
            &claim.explained.index,
            &again.explained.index,
        );
        self.same(
            "explained.target",
            &claim.explained.target,
            &again.explained.target,
        );
        self.fields(
            "explained.contrast",
            &claim.explained.contrast,
            &again.explained.contrast,
        );
        self.same(
            "explained.counterfactual",
            &claim.explained.counterfactual,
            &again.explained.counterfactual,
        );
        self.fields("layers", &claim.layers, &again.layers);
        self.fields("smooth", &claim.smooth, &again.smooth);
        self.fields("preprocessing", &claim.preprocessing, &again.preprocessing);
    }

    /// What looked at the picture first, without its logit, which has a tolerance.
    fn companion(&mut self, claim: &Report, again: &Report, tolerances: &Tolerances) {
        let (mut claimed, mut found) = (claim.companion.clone(), again.companion.clone());
        let gates = [&mut claimed, &mut found]
            .map(|entry| entry.as_mut().and_then(|entry| entry.gate.as_mut()));
        if let [Some(claimed), Some(found)] = gates {
            self.number(
                "companion.gate.logit",
                claimed.logit,
                found.logit,
                tolerances.score,
            );
            claimed.logit = found.logit;
        }
        self.fields("companion", &claimed, &found);
    }

    fn scores(&mut self, claim: &Report, again: &Report, tolerances: &Tolerances) {
        self.same(
            "scores, their number",
            &claim.scores.len(),
            &again.scores.len(),
        );
        for (at, (claimed, found)) in claim.scores.iter().zip(&again.scores).enumerate() {
            self.same(&format!("scores[{at}].index"), &claimed.index, &found.index);
            self.same(&format!("scores[{at}].label"), &claimed.label, &found.label);
            let numbers = [
                ("logit", claimed.logit, found.logit),
                ("probability", claimed.probability, found.probability),
            ];
            for (what, claimed, found) in numbers {
                self.number(
                    &format!("scores[{at}].{what}"),
                    claimed,
                    found,
                    tolerances.score,
                );
            }
        }
    }

    fn map(&mut self, claim: &MapEntry, again: &MapEntry, tolerances: &Tolerances) {
        self.same("map.width", &claim.width, &again.width);
        self.same("map.height", &claim.height, &again.height);
        self.fields("map.empty", &claim.empty, &again.empty);
        let (Some(claimed), Some(found)) = (claim.array(), again.array()) else {
            self.same(
                "map.values, their number",
                &claim.values.len(),
                &again.values.len(),
            );
            return;
        };
        if claimed.dim() != found.dim() {
            return;
        }
        let range = f64::from(again.max) - f64::from(again.min);
        // A flat map has no range: its one value is the measure then.
        let unit = [range, f64::from(again.max.abs()), f64::MIN_POSITIVE]
            .into_iter()
            .find(|unit| *unit > 0.0);
        let unit = unit.unwrap_or(f64::MIN_POSITIVE);
        let apart = |a: f32, b: f32| match a == b {
            true => 0.0,
            false => (f64::from(a) - f64::from(b)).abs() / unit,
        };
        let pairs = || claimed.iter().zip(&found);
        let farthest = pairs()
            .enumerate()
            .map(|(at, (a, b))| (at, *a, *b, apart(*a, *b)))
            // NaN is farther than anything.
            .max_by(|a, b| a.3.total_cmp(&b.3));
        if let Some((at, a, b, most)) = farthest {
            self.map = Some(finite(most));
            let (row, column) = (at / claimed.ncols(), at % claimed.ncols());
            let what = format!("map.values, row {row}, column {column}");
            self.apart(&what, &a, &b, most, tolerances.map);
        }
        for (what, a, b) in [
            ("map.min", claim.min, again.min),
            ("map.max", claim.max, again.max),
        ] {
            self.apart(what, &a, &b, apart(a, b), tolerances.map);
        }
        let product = |x: &dyn Fn((&f32, &f32)) -> f64| pairs().map(x).sum::<f64>();
        let both = product(&|(a, b)| f64::from(*a) * f64::from(*b));
        let norms =
            product(&|(a, _)| f64::from(*a).powi(2)) * product(&|(_, b)| f64::from(*b).powi(2));
        if norms > 0.0 {
            let cosine = both / norms.sqrt();
            self.cosine = Some(cosine);
            self.apart(
                "map, cosine with the one found",
                &format!("{cosine:.6}"),
                &"1",
                // Rounding may take the cosine of like maps a little past 1.
                if cosine > 1.0 { 0.0 } else { 1.0 - cosine },
                1.0 - tolerances.cosine,
            );
        }
        self.peak(claim, again, &apart, tolerances);
    }

    /// The highest place, unless the two candidates are as high as one another.
    fn peak(
        &mut self,
        claim: &MapEntry,
        again: &MapEntry,
        apart: &dyn Fn(f32, f32) -> f64,
        tolerances: &Tolerances,
    ) {
        let (Some(claimed), Some(found)) = (claim.highest(), again.highest()) else {
            return;
        };
        let rivals = [claimed, found].map(|at| again.values.get(at).copied().unwrap_or(f32::NAN));
        if claimed != found {
            let width = claim.width.max(1);
            let place = |at: usize| format!("row {}, column {}", at / width, at % width);
            self.apart(
                "map, its highest place",
                &place(claimed),
                &place(found),
                apart(rivals[0], rivals[1]),
                2.0 * tolerances.map,
            );
        }
    }

    fn number(&mut self, what: &str, claimed: f32, found: f32, tolerance: f64) {
        let apart = (f64::from(claimed) - f64::from(found)).abs() / f64::from(found.abs()).max(1.0);
        let apart = if claimed == found { 0.0 } else { apart };
        self.apart(what, &claimed, &found, apart, tolerance);
        self.scores = Some(self.scores.unwrap_or(0.0).max(finite(apart)));
    }

    /// Takes two things that are so far apart.
    fn apart(
        &mut self,
        what: &str,
        claimed: &dyn ToString,
        found: &dyn ToString,
        apart: f64,
        tolerance: f64,
    ) {
        let units = match apart == 0.0 {
            true => 0.0,
            false => finite(apart / tolerance),
        };
        self.in_tolerances = Some(self.in_tolerances.unwrap_or(0.0).max(units));
        if !within(apart, tolerance) {
            self.differences.push(Difference {
                in_tolerances: Some(units),
                ..Difference::of_words(what, claimed, found)
            });
        }
    }

    fn same<T: PartialEq + ToString>(&mut self, what: &str, claimed: &T, found: &T) {
        if claimed != found {
            self.differences
                .push(Difference::of_words(what, claimed, found));
        }
    }

    /// Compares field by field, so that the one that differs is named.
    fn fields<T: Serialize>(&mut self, what: &str, claimed: &T, found: &T) {
        let json = |value: &T| serde_json::to_value(value).unwrap_or_default();
        self.json(what, &json(claimed), &json(found));
    }

    fn json(&mut self, what: &str, claimed: &Value, found: &Value) {
        match (claimed, found) {
            (Value::Object(a), Value::Object(b)) => {
                let missing = b.keys().filter(|key| !a.contains_key(*key));
                for key in a.keys().chain(missing) {
                    let of = |map: &serde_json::Map<String, Value>| {
                        map.get(key).cloned().unwrap_or_default()
                    };
                    self.json(&format!("{what}.{key}"), &of(a), &of(b));
                }
            }
            _ => self.same(what, claimed, found),
        }
    }
}

/// Whether a difference is tolerated; NaN is not.
fn within(apart: f64, tolerance: f64) -> bool {
    apart <= tolerance
}

/// The number as JSON can say it: NaN and infinity are as far as a number goes.
fn finite(apart: f64) -> f64 {
    if apart.is_nan() {
        f64::MAX
    } else {
        apart.min(f64::MAX)
    }
}
