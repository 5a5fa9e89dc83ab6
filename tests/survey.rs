//! `gradlens survey`: who decides by the rim of the pictures is told so first; tables, page, bad lists.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;

use gradlens::evidence::middle;
use gradlens::random::SplitMix;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use program::gradlens;
use prost::Message as _;
use serde_json::{Value, json};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};

const SIDE: usize = 32;

fn in_middle(y: usize, x: usize) -> bool {
    let (rows, columns) = middle(SIDE, SIDE);
    rows.contains(&y) && columns.contains(&x)
}

/// A classifier whose score is how bright the rim is, or the middle.
fn model(folder: &Path, by_rim: bool) {
    let value = |name: &str, shape: &[usize]| ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto {
                    dim: shape
                        .iter()
                        .map(|&size| Dimension {
                            value: Some(dimension::Value::DimValue(size as i64)),
                            ..Dimension::default()
                        })
                        .collect(),
                }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    };
    let floats = |name: &str, dims: &[usize], values: Vec<f32>| TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&size| size as i64).collect(),
        data_type: DataType::Float as i32,
        float_data: values,
        ..TensorProto::default()
    };
    let node = |operator: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: operator.into(),
        name: output.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let places = (0..SIDE * SIDE).map(|at| in_middle(at / SIDE, at % SIDE) != by_rim);
    let mask = places.map(|seen| f32::from(u8::from(seen))).collect();
    let proto = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(GraphProto {
            name: "bright".into(),
            input: vec![value("input", &[1, 1, SIDE, SIDE])],
            output: vec![value("scores", &[1, 2])],
            initializer: vec![
                floats("w", &[2, 1, 1, 1], vec![1.0, -1.0]),
                floats("b", &[2], vec![-0.5, 0.5]),
                floats("mask", &[1, 1, SIDE, SIDE], mask),
                floats("gain", &[2, 2], vec![40.0, 0.0, 0.0, 40.0]),
            ],
            node: vec![
                node("Conv", &["input", "w", "b"], "tone"),
                node("Mul", &["tone", "mask"], "seen"),
                node("GlobalAveragePool", &["seen"], "mean"),
                node("Flatten", &["mean"], "flat"),
                node("MatMul", &["flat", "gain"], "scores"),
            ],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    let manifest = json!({
        "schema": "gradlens.model/1", "id": "bright", "name": "Bright or dark", "version": "1",
        "labels": [{"id": "bright", "name": "Bright"}, {"id": "dark", "name": "Dark"}],
        "input": {"name": "input", "width": SIDE, "height": SIDE, "channels": "grey"},
        "preprocessing": {"grey": true, "crop": "none", "resize": "triangle", "mean": [0.0], "std": [1.0]},
        "scores": "scores", "layer": "seen",
        "notice": "Not for diagnostic use. A classifier of a test.",
    });
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("model.onnx"), proto.encode_to_vec()).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
}

/// Noisy pictures that are bright, or dark, all over: which part a classifier looks at cannot be told from its scores.
fn pictures(folder: &Path, count: usize) {
    let mut list = String::from("file,label,patient,site\n");
    for at in 0..count {
        let mut random = SplitMix::of(7, at);
        let tone = if at % 2 == 0 { 150.0 } else { 100.0 };
        let picture = image::GrayImage::from_fn(SIDE as u32, SIDE as u32, |_, _| {
            image::Luma([(tone + 40.0 * (random.unit() - 0.5)) as u8])
        });
        let bytes = png(&picture);
        fs::write(folder.join(format!("{at}.png")), bytes).unwrap();
        let label = if at % 2 == 0 { "bright" } else { "dark" };
        list += &format!(
            "{at}.png,{label},p{},{}\n",
            at / 2,
            ["a", "<b>"][at / 2 % 2]
        );
    }
    fs::write(folder.join("list.csv"), list).unwrap();
}

fn png(picture: &image::GrayImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(picture.as_raw()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Surveys the pictures of a folder; the page, and what survey.json holds.
fn survey(folder: &Path, by_rim: bool) -> (String, Value) {
    let own = folder.join(if by_rim { "rim" } else { "middle" });
    model(&own, by_rim);
    let out = own.join("out");
    let output = gradlens(&[
        "survey",
        "--manifest",
        folder.join("list.csv").to_str().unwrap(),
        "--model",
        own.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let json = fs::read(out.join("survey.json")).unwrap();
    let page = fs::read_to_string(out.join("survey.html")).unwrap();
    (page, serde_json::from_slice(&json).unwrap())
}

#[test]
fn who_decides_by_the_rim_is_told_so_in_the_first_paragraph() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 60);
    let (page, bad) = survey(folder.path(), true);
    let first = page.split("<p>").nth(1).unwrap();
    assert!(
        first.contains("This classifier knows") && first.contains("by the rim"),
        "{first}"
    );
    assert_eq!(bad["findings"][0]["gravity"], 2);
    assert!(bad["summary"]["all"]["rim"]["value"].as_f64().unwrap() > 0.9);
    let (page, honest) = survey(folder.path(), false);
    let first = page.split("<p>").nth(1).unwrap();
    assert!(first.contains("the rim does not decide"), "{first}");
    let findings = honest["findings"].as_array().unwrap();
    assert!(
        findings.iter().all(|finding| finding["gravity"] != 2),
        "{findings:?}"
    );
    assert!(honest["summary"]["all"]["rim"]["value"].as_f64().unwrap() < 0.1);
    // Both score alike: accuracy does not tell them apart.
    for survey in [&bad, &honest] {
        assert_eq!(survey["summary"]["all"]["accuracy"]["value"], 1.0);
    }
    assert!(page.contains("Not for diagnostic use") && page.contains("&lt;b&gt;"));
    for unwanted in ["<script", "<b>", "http:"] {
        // The namespace of SVG is a name, no address that is fetched.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(unwanted), "{unwanted}");
    }
    assert!(page.contains("<svg") && page.contains("data:image/png"));

    let out = folder.path().join("rim/out");
    let table = fs::read_to_string(out.join("pictures.csv")).unwrap();
    assert_eq!(table.lines().count(), 61);
    assert!(
        table
            .lines()
            .next()
            .unwrap()
            .starts_with("file,patient,truth,predicted")
    );
    let parquet = fs::File::open(out.join("pictures.parquet")).unwrap();
    let rows = SerializedFileReader::new(parquet).unwrap();
    assert_eq!(rows.metadata().file_metadata().num_rows(), 60);
}

#[test]
fn bad_lists_are_told_in_a_line_and_bad_pictures_leave_the_others() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 12);
    model(&folder.path().join("m"), false);
    let call = |list: &str| {
        let file = folder.path().join("bad.csv");
        fs::write(&file, list).unwrap();
        gradlens(&[
            "survey",
            "--manifest",
            file.to_str().unwrap(),
            "--model",
            folder.path().join("m").to_str().unwrap(),
            "--out",
            folder.path().join("out").to_str().unwrap(),
        ])
    };
    for (list, word) in [
        ("name,label\nx,bright\n", "picture, file"),
        (
            "file,label\n0.png,grey\n",
            "row 2: there is no class 'grey'",
        ),
        ("file\n", "lists no pictures"),
        ("file\nnowhere.png\n", "nowhere.png"),
    ] {
        let output = call(list);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(line.contains(word), "{line}");
    }
    fs::write(
        folder.path().join("cut.png"),
        &fs::read(folder.path().join("0.png")).unwrap()[..40],
    )
    .unwrap();
    let output = call("file\n0.png\ncut.png\n1.png\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cut.png"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 pictures"));
    let json = fs::read(folder.path().join("out/survey.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 1);
}
