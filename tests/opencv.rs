//! Resizing, colours and blending against OpenCV and Pillow.
//!
//! `tests/fixtures/make_opencv.py` makes the fixtures and says with which versions.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ::image::RgbImage;
use gradlens::image::{
    Channels, Picture, Preprocessing, Region, preprocess, resize_linear, resize_triangle,
};
use gradlens::render::{ColorMap, Heat, add_weighted, normalize};
use ndarray::{Array2, Array3, Axis};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/opencv")
        .join(name)
}

fn plane(name: &str) -> Array2<f32> {
    ndarray_npy::read_npy(fixture(&format!("{name}.npy"))).unwrap()
}

fn facts() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("facts.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
}

/// The largest difference, relative to the range of what is expected.
fn difference(ours: &Array2<f32>, expected: &Array2<f32>) -> f32 {
    assert_eq!(ours.dim(), expected.dim());
    let most = expected.iter().copied().fold(f32::MIN, f32::max);
    let least = expected.iter().copied().fold(f32::MAX, f32::min);
    let worst = ours
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    worst / (most - least).max(most.abs()).max(f32::MIN_POSITIVE)
}

#[test]
fn resizing_equals_opencv_and_pillow() {
    let facts = facts();
    for case in facts["resizes"].as_array().unwrap() {
        let [rows, columns, height, width] = [0, 1, 2, 3].map(|i| number(&case[i]));
        let name = format!("{rows}x{columns}-{height}x{width}");
        let source = plane(&format!("source-{name}"));
        assert_eq!(source.dim(), (rows, columns));
        let linear = resize_linear(&source.view(), height, width);
        let off = difference(&linear, &plane(&format!("linear-{name}")));
        // Rows shorter than its vectors OpenCV computes without fused multiply-adds.
        let allowed = if width < 8 { 3e-7 } else { 0.0 };
        assert!(off <= allowed, "linear {name}: {off}");
        let triangle = resize_triangle(&source.view(), height, width);
        let off = difference(&triangle, &plane(&format!("triangle-{name}")));
        assert!(off <= 1e-6, "triangle {name}: {off}");
    }
}

#[test]
fn colour_tables_are_opencvs() {
    let facts = facts();
    for map in ColorMap::ALL {
        let bgr: Vec<u8> = map
            .table()
            .iter()
            .flat_map(|&[r, g, b]| [b, g, r])
            .collect();
        assert_eq!(sha256(&bgr), facts["colormaps"][map.name()], "{map}");
    }
    // The same in OpenCV 4.5 and 4.10.
    assert!(
        facts["colormaps"]["hot"]
            .as_str()
            .unwrap()
            .starts_with("ba3719310cfb")
    );
    assert!(
        facts["colormaps"]["inferno"]
            .as_str()
            .unwrap()
            .starts_with("9c23e2944db7")
    );
}

#[test]
fn all_weighted_sums_are_opencvs() {
    for case in facts()["add_weighted"].as_array().unwrap() {
        let [alpha, beta, gamma] =
            ["alpha", "beta", "gamma"].map(|key| case[key].as_f64().unwrap() as f32);
        let row = |a| (0..=u8::MAX).map(move |b| add_weighted(a, alpha, b, beta, gamma));
        let sums: Vec<u8> = (0..=u8::MAX).flat_map(row).collect();
        assert_eq!(sha256(&sums), case["sha256"], "{case}");
    }
}

/// The picture that the script draws by the same formula.
fn synthetic_picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        ::image::Rgb([0, 1, 2].map(|c| ((x * 7 + y * 13 + c * 29 + x * y / 50) % 256) as u8))
    })
}

#[test]
fn the_articles_overlay_is_the_same_byte_for_byte() {
    let facts = facts();
    let heat = plane("heat");
    let picture = synthetic_picture(
        number(&facts["big"]["width"]) as u32,
        number(&facts["big"]["height"]) as u32,
    );
    for case in facts["overlays"].as_array().unwrap() {
        let region: Region = serde_json::from_value(case["region"].clone()).unwrap();
        let resized = resize_linear(&heat.view(), region.height as usize, region.width as usize);
        let bytes: Vec<u8> = resized
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert_eq!(sha256(&bytes), case["resized_sha256"], "resized, {case}");
        let levels: Vec<u8> = normalize(&resized.view()).into_iter().collect();
        assert_eq!(sha256(&levels), case["levels_sha256"], "levels, {case}");

        let colormap: ColorMap = case["colormap"].as_str().unwrap().parse().unwrap();
        let opacity = case["opacity"].as_f64().unwrap() as f32;
        let overlay = Heat::new(&heat.view(), region)
            .unwrap()
            .overlay(&picture, colormap, opacity)
            .unwrap();
        assert_eq!(
            sha256(overlay.as_raw()),
            case["overlay_sha256"],
            "overlay, {case}"
        );
    }
}

#[test]
fn the_tensor_is_that_of_numpy_and_pillow() {
    let picture = Picture::from_rgb8(synthetic_picture(131, 83)).unwrap();
    for (index, block) in facts()["preprocessings"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let how: Preprocessing = serde_json::from_value(block.clone()).unwrap();
        let expected: Array3<f32> =
            ndarray_npy::read_npy(fixture(&format!("prepared-{index}.npy"))).unwrap();
        let prepared = preprocess(&picture, &how, 24, 20, Channels::Rgb).unwrap();
        let ours = prepared.tensor.index_axis(Axis(0), 0);
        assert_eq!(ours.dim(), expected.dim());
        let worst = ours
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst <= 2e-6, "{block}: {worst}");
    }
}
