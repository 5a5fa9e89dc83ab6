//! A manifest for a model that comes without one, with the reasons that it rests on.

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::facts::Facts;
use super::input::PictureInput;
use super::outputs::Outputs;
use super::{DEFAULT_NOTICE, Input, Label, Manifest, SCHEMA, Squash, labels};
use crate::image::{Channels, Preprocessing};

/// How many nodes behind the picture may scale it.
const MOST_STEPS: usize = 8;

/// The manifest and, a sentence each, why it is so.
pub(super) fn manifest(
    id: &str,
    proto: &ModelProto,
    graph: &GraphProto,
    facts: &Facts,
    input: &PictureInput,
    outputs: &Outputs,
) -> (Manifest, Vec<String>) {
    let mut reasons = Vec::new();
    if input.open_size {
        reasons.push(format!(
            "The model takes any size of picture: {} × {} is what is usual.",
            input.width, input.height
        ));
    }
    let preprocessing = preprocessing(graph, facts, input, &mut reasons);
    let labels = match labels::from_metadata(proto, label_count(outputs)) {
        Some((labels, key)) => {
            reasons.push(format!(
                "The labels are in the model's own metadata ('{key}')."
            ));
            labels
        }
        None => {
            reasons.push("The file holds no labels: the classes are numbered.".into());
            unnamed(outputs)
        }
    };
    reasons.push(answer(outputs));
    let manifest = Manifest {
        schema: SCHEMA.into(),
        id: id.into(),
        name: id.into(),
        version: String::new(),
        labels,
        input: Input {
            name: input.name.clone(),
            width: input.width,
            height: input.height,
            channels: match input.channels {
                1 => Channels::Grey,
                _ => Channels::Rgb,
            },
        },
        preprocessing,
        scores: None,
        probabilities: None,
        squash: None,
        layer: None,
        companion: None,
        notice: DEFAULT_NOTICE.into(),
        sources: String::new(),
    };
    (manifest, reasons)
}

/// A single score stands between two labels.
fn label_count(outputs: &Outputs) -> usize {
    if outputs.is_two_sided() {
        2
    } else {
        outputs.classes
    }
}

/// Labels where nobody named the classes.
pub(super) fn unnamed(outputs: &Outputs) -> Vec<Label> {
    let mut labels = labels::numbered(label_count(outputs));
    if outputs.is_two_sided() {
        for (label, name) in labels.iter_mut().zip(["negative", "positive"]) {
            label.name = name.into();
        }
    }
    labels
}

/// What the scores are taken for.
fn answer(outputs: &Outputs) -> String {
    let Outputs {
        scores, classes, ..
    } = outputs;
    match (outputs.own_squash, outputs.squash) {
        (Some(Squash::Softmax), _) => {
            format!("The model ends in a softmax of '{scores}': one of {classes} classes.")
        }
        (Some(Squash::Sigmoid), _) if *classes == 1 => {
            format!(
                "The model ends in a sigmoid of its one score '{scores}': positive above 0, else negative."
            )
        }
        (Some(Squash::Sigmoid), _) => {
            format!(
                "The model ends in a sigmoid of '{scores}': each of {classes} classes for itself."
            )
        }
        (None, Squash::Sigmoid) => {
            format!(
                "The model ends in one score, '{scores}': positive above 0, else negative, by a sigmoid."
            )
        }
        (None, Squash::Softmax) => format!(
            "The model ends in {classes} scores, '{scores}': taken for one of {classes} classes, by a softmax. Choose the \
             sigmoid if several can be there at once."
        ),
    }
}

/// ImageNet's normalisation, unless the model normalises by itself.
fn preprocessing(
    graph: &GraphProto,
    facts: &Facts,
    input: &PictureInput,
    reasons: &mut Vec<String>,
) -> Preprocessing {
    let grey = input.channels == 1;
    let imagenet = Preprocessing::imagenet();
    let (mean, std) = match own_scaling(graph, facts, input)
        .map(|scaling| (scaling.range(), scaling))
    {
        Some((Some(range), scaling)) => {
            reasons.push(format!(
                "The model's first nodes subtract {} and divide by {}: so it takes values of 0 to {range}.",
                numbers(&scaling.mean()),
                numbers(&scaling.std())
            ));
            (vec![0.0], vec![1.0 / f64::from(range)])
        }
        _ if grey => {
            reasons.push("One channel: grey values of -1 to 1, which is what is usual.".into());
            (vec![0.5], vec![0.5])
        }
        _ => {
            reasons.push(
                "Three channels and no normalisation of the model's own: ImageNet's mean and standard deviation, which is \
                 what most classifiers were trained with."
                    .into(),
            );
            (imagenet.mean.clone(), imagenet.std.clone())
        }
    };
    Preprocessing {
        grey,
        mean,
        std,
        ..imagenet
    }
}

/// What the nodes right behind the picture do to a channel: `gain * x + shift`.
struct Scaling {
    gain: Vec<f64>,
    shift: Vec<f64>,
}

impl Scaling {
    fn mean(&self) -> Vec<f64> {
        self.gain
            .iter()
            .zip(&self.shift)
            .map(|(gain, shift)| -shift / gain)
            .collect()
    }

    fn std(&self) -> Vec<f64> {
        self.gain.iter().map(|gain| 1.0 / gain).collect()
    }

    /// The largest value that the picture should have: 1 or 255; `None` where the scaling does not tell.
    fn range(&self) -> Option<u8> {
        let largest = |values: Vec<f64>| values.into_iter().map(f64::abs).fold(0.0, f64::max);
        let (mean, std) = (largest(self.mean()), largest(self.std()));
        let told =
            mean.is_finite() && std.is_finite() && (mean > 0.02 || !(0.9..=1.1).contains(&std));
        told.then_some(if mean > 2.0 || std > 2.0 { 255 } else { 1 })
    }

    /// Applies `combine` with a constant of one value, or one a channel.
    fn apply(&mut self, constant: &[f64], combine: impl Fn(&mut f64, &mut f64, f64)) -> Option<()> {
        let channels = self.gain.len();
        (constant.len() == 1 || constant.len() == channels).then_some(())?;
        let values = constant.iter().cycle();
        for ((gain, shift), &value) in self.gain.iter_mut().zip(&mut self.shift).zip(values) {
            combine(gain, shift, value);
        }
        Some(())
    }
}

/// The scaling that the model begins with; `None` where it begins with something else.
fn own_scaling(graph: &GraphProto, facts: &Facts, input: &PictureInput) -> Option<Scaling> {
    let mut scaling = Scaling {
        gain: vec![1.0; input.channels],
        shift: vec![0.0; input.channels],
    };
    let mut tensor = input.name.as_str();
    let mut scales = false;
    for _ in 0..MOST_STEPS {
        let mut readers = graph
            .node
            .iter()
            .filter(|node| node.op_type != "Shape" && node.input.iter().any(|name| name == tensor));
        let (Some(node), None) = (readers.next(), readers.next()) else {
            break;
        };
        match step(&mut scaling, node, tensor, facts) {
            Some(true) => scales = true,
            Some(false) => {}
            None => break,
        }
        tensor = node.output.first()?;
    }
    scales.then_some(scaling)
}

/// Takes one node into the scaling: whether it scales; `None` for one that does something else.
fn step(scaling: &mut Scaling, node: &NodeProto, tensor: &str, facts: &Facts) -> Option<bool> {
    let values = |position: usize| -> Option<&[f64]> {
        facts.get(node.input.get(position)?)?.values.as_deref()
    };
    let first = node.input.first().is_some_and(|name| name == tensor);
    let other = || values(usize::from(first));
    match node.op_type.as_str() {
        "Identity" | "Cast" => return Some(false),
        "Add" => scaling.apply(other()?, |_, shift, value| *shift += value)?,
        "Sub" if first => scaling.apply(other()?, |_, shift, value| *shift -= value)?,
        "Mul" => scaling.apply(other()?, |gain, shift, value| {
            *gain *= value;
            *shift *= value;
        })?,
        "Div" if first => scaling.apply(other()?, |gain, shift, value| {
            *gain /= value;
            *shift /= value;
        })?,
        "BatchNormalization" => {
            let epsilon = node.attribute.iter().find(|a| a.name == "epsilon");
            let epsilon = epsilon.map_or(1e-5, |attribute| f64::from(attribute.f));
            scaling.apply(values(3)?, |_, shift, mean| *shift -= mean)?;
            scaling.apply(values(4)?, |gain, shift, variance| {
                *gain /= (variance + epsilon).sqrt();
                *shift /= (variance + epsilon).sqrt();
            })?;
        }
        _ => return None,
    }
    Some(true)
}

/// `0.485, 0.456, 0.406`, or one number where all are the same.
fn numbers(values: &[f64]) -> String {
    let texts: Vec<String> = values
        .iter()
        .map(|value| format!("{}", (value * 1e4).round() / 1e4))
        .collect();
    match texts.split_first() {
        Some((first, rest)) if rest.iter().all(|text| text == first) => first.clone(),
        _ => texts.join(", "),
    }
}
