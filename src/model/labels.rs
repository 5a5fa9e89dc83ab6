//! Labels as people have them: a line a class, JSON, or what a trainer left in a model's metadata.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use tract_onnx::pb::ModelProto;

use super::{Label, ModelError};

/// Keys of a model's metadata that hold labels: Ultralytics', Hugging Face's, and what others call them.
const METADATA: &[&str] = &[
    "names",
    "id2label",
    "labels",
    "classes",
    "class_names",
    "classnames",
];
/// The longest text of labels, in bytes: ImageNet-21k has 1 MB.
const MOST_BYTES: usize = 8 << 20;

/// Reads labels from a text: a JSON array of names, a JSON object from index to name (or from name to index), the same as a
/// Python literal, or a line a class.
///
/// # Errors
/// [`ModelError::Manifest`] where the text has no such form.
pub fn parse(text: &str) -> Result<Vec<Label>, ModelError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.len() > MOST_BYTES {
        return Err(ModelError::Manifest(
            "its labels are more than 8 MiB of text".into(),
        ));
    }
    let names = if text.starts_with(['[', '{']) {
        let value = serde_json::from_str(text).or_else(|error| {
            serde_json::from_str(&python_to_json(text)).map_err(|_| {
                ModelError::Manifest(format!("its labels look like JSON and are not: {error}"))
            })
        })?;
        from_json(&value).ok_or_else(|| {
            ModelError::Manifest(
                "its labels are JSON, but no list of names and no object from 0, 1, 2 ... to names"
                    .into(),
            )
        })?
    } else {
        from_lines(text)
    };
    Ok(with_ids(names))
}

/// The labels in the model's own metadata, where there are as many as it has classes, and the key that they lie under.
pub fn from_metadata(proto: &ModelProto, classes: usize) -> Option<(Vec<Label>, &'static str)> {
    METADATA.iter().find_map(|&key| {
        let entry = proto.metadata_props.iter().find(|entry| entry.key == key)?;
        // Some write one line with commas.
        let commas = || {
            with_ids(
                entry
                    .value
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
            )
        };
        let labels = parse(&entry.value)
            .ok()
            .filter(|labels| labels.len() == classes);
        let labels = labels.or_else(|| Some(commas()).filter(|labels| labels.len() == classes))?;
        Some((labels, key))
    })
}

/// Labels for classes that nobody named.
pub fn numbered(classes: usize) -> Vec<Label> {
    let label = |index: usize| Label {
        id: index.to_string(),
        name: format!("class {index}"),
    };
    (0..classes).map(label).collect()
}

/// A line a class; a number before it is left out where all lines are numbered from 0 or from 1.
fn from_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let split = |line: &'_ str| -> Option<(usize, String)> {
        let end = line.find(|c: char| !c.is_ascii_digit())?;
        let (number, rest) = line.split_at(end);
        let rest = rest.trim_start_matches([':', ',', ';', '\t', ' ', '.', ')']);
        Some((number.parse().ok()?, rest.to_owned()))
    };
    let numbered: Option<Vec<(usize, String)>> = lines.iter().map(|line| split(line)).collect();
    match numbered {
        Some(numbered)
            if numbered
                .iter()
                .enumerate()
                .all(|(at, (number, _))| *number == at)
                || numbered
                    .iter()
                    .enumerate()
                    .all(|(at, (number, _))| *number == at + 1) =>
        {
            numbered.into_iter().map(|(_, name)| name).collect()
        }
        _ => lines.into_iter().map(str::to_owned).collect(),
    }
}

fn from_json(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(values) => values.iter().map(name_of).collect(),
        Value::Object(entries) => {
            let by_index: Option<BTreeMap<usize, String>> = entries
                .iter()
                .map(|(key, value)| Some((key.trim().parse().ok()?, name_of(value)?)))
                .collect();
            let by_name = || -> Option<BTreeMap<usize, String>> {
                let entry = |(name, value): (&String, &Value)| {
                    Some((usize::try_from(value.as_u64()?).ok()?, name.clone()))
                };
                entries.iter().map(entry).collect()
            };
            let names = by_index.or_else(by_name)?;
            // Every index once, from 0 on.
            let whole = names.keys().copied().eq(0..entries.len());
            whole.then(|| names.into_values().collect())
        }
        _ => None,
    }
}

/// A name; of a list (`["n01440764", "tench"]`) the last one, of an object its `name`.
fn name_of(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(values) => name_of(values.last()?),
        Value::Object(entries) => name_of(entries.get("name")?),
        _ => None,
    }
}

/// A Python literal of lists, dictionaries, numbers and strings in JSON.
fn python_to_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => {
                let mut string = String::new();
                while let Some(inner) = rest.next().filter(|&inner| inner != c) {
                    match inner {
                        '\\' => string.extend(rest.next()),
                        other => string.push(other),
                    }
                }
                json.push_str(&Value::String(string).to_string());
            }
            '0'..='9' => {
                let mut number = String::from(c);
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    number.push(digit);
                }
                let key = rest.clone().find(|c| !c.is_whitespace()) == Some(':');
                json.push_str(&if key { format!("\"{number}\"") } else { number });
            }
            '(' => json.push('['),
            ')' => json.push(']'),
            other => json.push(other),
        }
    }
    json
}

/// Names with ids that are all different: the names themselves, with a number where one comes again (ImageNet has two cranes).
fn with_ids(names: Vec<String>) -> Vec<Label> {
    let mut taken = HashSet::new();
    let mut label = |name: String| {
        let mut id = name.clone();
        let mut number = 1;
        while !taken.insert(id.clone()) {
            number += 1;
            id = format!("{name} ({number})");
        }
        Label { id, name }
    };
    names.into_iter().map(&mut label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|label| label.name)
            .collect()
    }

    #[test]
    fn every_usual_form_is_read() {
        let expected = ["tench", "o'clock, late", "crane"];
        for text in [
            "tench\no'clock, late\r\ncrane\n\n",
            "0: tench\n1: o'clock, late\n2: crane",
            "1\ttench\n2\to'clock, late\n3\tcrane",
            r#"["tench", "o'clock, late", "crane"]"#,
            r#"{"0": "tench", "2": "crane", "1": "o'clock, late"}"#,
            r#"{"0": ["n1", "tench"], "1": ["n2", "o'clock, late"], "2": ["n3", "crane"]}"#,
            r#"{"tench": 0, "crane": 2, "o'clock, late": 1}"#,
            r#"{0: 'tench', 1: "o'clock, late", 2: 'crane'}"#,
            r#"[{"id": "a", "name": "tench"}, {"id": "b", "name": "o'clock, late"}, {"id": "c", "name": "crane"}]"#,
            "\u{feff}['tench', 'o\\'clock, late', 'crane']",
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
        // Digits that are names, and numbers that are not all there, stay.
        assert_eq!(names("0\n1\n2"), ["0", "1", "2"]);
        assert_eq!(names("3 wheeler\ncar"), ["3 wheeler", "car"]);
        assert_eq!(names(""), [""; 0]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "{\"a\": \"b\"}",
            "[1, {]",
            "{\"0\": \"a\", \"2\": \"b\"}",
            "[[]]",
            "['a",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("manifest: its labels"), "{text}: {error}");
        }
    }

    #[test]
    fn ids_are_unique() {
        let labels = parse("crane\ncrane\ncrane (2)").unwrap();
        let ids: Vec<&str> = labels.iter().map(|label| label.id.as_str()).collect();
        assert_eq!(ids, ["crane", "crane (2)", "crane (2) (2)"]);
    }
}
