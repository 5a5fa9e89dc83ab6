//! What cannot be opened, and the error that says why.

use gradlens::model::onnx::parts::int;
use gradlens::model::{Manifest, Model, onnx};
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, attribute_proto::AttributeType,
    tensor_proto::DataType,
};

use crate::graphs::{floats, format, node, refusal, sound, value};

const SHIPPED: &[u8] = include_bytes!("../../models/covid-xray/model.onnx");
const MANIFEST: &str = include_str!("../../models/covid-xray/manifest.json");

#[test]
fn what_is_missing_is_named() {
    let flat = refusal(|graph| {
        graph.input = vec![value("x", DataType::Float, &[1, 192])];
        graph.node = vec![node("MatMul", &["x", "m"], "y")];
        graph.initializer = vec![floats("m", &[192, 3])];
    });
    assert!(
        flat.contains("no image input") && flat.contains("x float [1, 192]"),
        "{flat}"
    );

    let integers = refusal(|graph| graph.input = vec![value("x", DataType::Uint8, &[1, 3, 8, 8])]);
    assert!(!integers.is_empty());

    let no_layer = refusal(|graph| {
        graph.node = vec![
            node("Flatten", &["x"], "f"),
            node("MatMul", &["f", "m"], "y"),
        ];
        graph.initializer = vec![floats("m", &[192, 3])];
    });
    assert!(no_layer.contains("no layer"), "{no_layer}");

    let no_scores =
        refusal(|graph| graph.output = vec![value("a", DataType::Float, &[1, 4, 6, 6])]);
    assert!(
        no_scores.contains("no class scores") && no_scores.contains("a [1, 4, 6, 6]"),
        "{no_scores}"
    );

    let two_inputs = refusal(|graph| {
        graph.input.push(value("age", DataType::Float, &[1, 4]));
        graph.node[4] = node("MatMul", &["g", "m"], "y");
        graph.node.insert(4, node("Add", &["f", "age"], "g"));
    });
    assert!(two_inputs.contains("'age'"), "{two_inputs}");
}

#[test]
fn operators_that_trust_their_rank_are_checked_first() {
    let flat = refusal(|graph| {
        graph.initializer.push(floats("v", &[4]));
        let mut norm = node("BatchNormalization", &["v", "v", "v", "v", "v"], "n");
        norm.name = "norm".into();
        graph.node.push(norm);
    });
    assert!(flat.contains("BatchNormalization (node norm)"), "{flat}");
    let beyond = refusal(|graph| {
        graph.initializer.push(floats("v", &[4]));
        let mut norm = node("LayerNormalization", &["a", "v"], "n");
        norm.attribute.push(int("axis", -6));
        graph.node.push(norm);
    });
    assert!(beyond.contains("LayerNormalization"), "{beyond}");
    let far = refusal(|graph| {
        let mut softmax = node("Softmax", &["y"], "s");
        softmax.attribute.push(int("axis", 1 << 40));
        graph.node.push(softmax);
    });
    assert!(far.contains("axis"), "{far}");
}

#[test]
fn damage_is_named() {
    let dangling = refusal(|graph| graph.node[1] = node("Relu", &["nothing"], "a"));
    assert!(dangling.contains("'nothing'"), "{dangling}");
    let twice = refusal(|graph| graph.node[1] = node("Relu", &["c"], "c"));
    assert!(twice.contains("'c'"), "{twice}");
    let unsorted = refusal(|graph| graph.node.swap(0, 1));
    assert!(unsorted.contains("'c'"), "{unsorted}");
    let no_output = refusal(|graph| graph.output = vec![value("z", DataType::Float, &[1, 3])]);
    assert!(no_output.contains("'z'"), "{no_output}");
    let short = refusal(|graph| graph.initializer[0].float_data.truncate(5));
    assert!(
        short.contains("'w'") && short.contains("holds 5"),
        "{short}"
    );
    let huge = refusal(|graph| graph.initializer[0].dims = vec![1_000_000, 1_000_000]);
    assert!(huge.contains("'w'") && huge.contains("limit"), "{huge}");
    let negative = refusal(|graph| graph.initializer[0].dims = vec![-4, 27]);
    assert!(negative.contains("-4"), "{negative}");
    let outside = refusal(|graph| graph.initializer[0].data_location = Some(1));
    assert!(outside.contains("data file"), "{outside}");
    let foreign = refusal(|graph| graph.node[1].domain = "com.example".into());
    assert!(foreign.contains("com.example"), "{foreign}");
    let wrong_shape = refusal(|graph| graph.initializer[1] = floats("m", &[5, 3]));
    assert!(!wrong_shape.is_empty());
    let branch = refusal(|graph| {
        graph.node[1].attribute.push(AttributeProto {
            name: "body".into(),
            r#type: AttributeType::Graph as i32,
            g: Some(GraphProto::default()),
            ..AttributeProto::default()
        });
    });
    assert!(branch.contains("control flow"), "{branch}");
}

#[test]
fn a_manifest_that_contradicts_the_model_is_refused() {
    let open = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json: serde_json::Value = serde_json::from_str(MANIFEST).unwrap();
        change(&mut json);
        Model::open(SHIPPED, Some(&json.to_string()), "x")
            .unwrap_err()
            .to_string()
    };
    let says = |text: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let error = open(change);
        assert!(
            error.starts_with("manifest: ") && error.contains(text),
            "{error}"
        );
    };
    says("2 labels", &|json| {
        drop(json["labels"].as_array_mut().unwrap().pop())
    });
    says("256 x 224", &|json| json["input"]["width"] = 256.into());
    says("'picture'", &|json| {
        json["input"]["name"] = "picture".into()
    });
    says("'blocks.99'", &|json| json["layer"] = "blocks.99".into());
    says("'nothing'", &|json| json["scores"] = "nothing".into());
    says("gradlens.model/7", &|json| {
        json["schema"] = "gradlens.model/7".into()
    });
    let swap = |json: &mut serde_json::Value| {
        json["scores"] = "probabilities".into();
        json["probabilities"] = "logits".into();
    };
    says("does not depend on", &swap);
    says("two of its labels", &|json| {
        json["labels"][1]["id"] = "covid".into()
    });
    says("std", &|json| {
        json["preprocessing"]["std"] = serde_json::json!([0])
    });
    says("channels", &|json| {
        json["input"]["channels"] = "grey".into()
    });
    says("unknown field", &|json| json["colour"] = "red".into());
    let mut json: serde_json::Value = serde_json::from_str(MANIFEST).unwrap();
    json["notice"] = "".into();
    let manifest = Manifest::parse(&json.to_string()).unwrap();
    assert_eq!(manifest.notice, "Not for diagnostic use.");
    let unnormalised = Manifest::parse("{}").unwrap_err().to_string();
    assert!(unnormalised.contains("missing field"), "{unnormalised}");
}

#[test]
fn what_no_form_allows_is_named() {
    let undecided = format("undecided").unwrap_err().to_string();
    assert!(
        undecided.contains("(If)") && undecided.contains("not known"),
        "{undecided}"
    );
    let alone = format("external").unwrap_err().to_string();
    assert!(
        alone.contains("'external.onnx.data' is not at hand"),
        "{alone}"
    );
    let mut endless = sound();
    endless.functions.push(FunctionProto {
        name: Some("Again".into()),
        domain: Some("local".into()),
        input: vec!["v".into()],
        output: vec!["r".into()],
        node: vec![
            NodeProto {
                domain: "local".into(),
                ..node("Again", &["v"], "r")
            };
            2
        ],
        ..FunctionProto::default()
    });
    let again = NodeProto {
        domain: "local".into(),
        ..node("Again", &["c"], "a")
    };
    endless.graph.as_mut().unwrap().node[1] = again;
    let error = Model::open(&onnx::write(&endless), None, "x")
        .unwrap_err()
        .to_string();
    assert!(error.contains("limit"), "{error}");
}
