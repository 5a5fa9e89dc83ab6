//! DICOM files beside what pydicom makes of them.
//!
//! `tests/fixtures/make_dicom.py` writes the files and the brightness that pydicom finds. `GRADLENS_DICOM=DIR` compares the files of
//! another folder, made by `make_dicom.py --peers DIR` of those that pydicom's package carries.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

use std::path::{Path, PathBuf};

use gradlens::image::{
    Applied, Decoded, Function, ImageError, Limits, Wanted, Window, decode, decode_as,
};
use ndarray::{ArrayD, Axis};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.retain(|name| !name.ends_with(".npy"));
    names.sort();
    names
}

fn read(name: &str, wanted: &Wanted) -> Decoded {
    decode_as(&bytes(name), &Limits::default(), wanted)
        .unwrap_or_else(|error| panic!("{name} {error}"))
}

/// The largest difference to what pydicom finds, in greys of 255.
fn apart(file: &Path, decoded: &Decoded) -> f64 {
    let expected: ArrayD<f32> = ndarray_npy::read_npy(format!("{}.npy", file.display())).unwrap();
    let picture = &decoded.picture;
    assert_eq!(
        (picture.height() as usize, picture.width() as usize),
        (expected.shape()[0], expected.shape()[1]),
        "{}",
        file.display()
    );
    let whole = gradlens::image::Region::whole(picture.width(), picture.height());
    let channels = expected.shape().get(2).copied().unwrap_or(1);
    let differences = (0..channels).flat_map(|channel| {
        let ours = picture.channel_of(channel, whole);
        let theirs = match expected.ndim() {
            3 => expected.index_axis(Axis(2), channel).to_owned(),
            _ => expected.clone(),
        };
        ours.iter()
            .zip(&theirs)
            .map(|(a, b)| f64::from((a - b).abs()) * 255.0)
            .collect::<Vec<f64>>()
    });
    differences.fold(0.0, f64::max)
}

/// How far may a file be from pydicom's? Half a grey of 65535 where both compute the same, which is next to nothing in greys of 255;
/// one grey where a lossy decoder or a conversion of colours rounds to 8 bits on the way, three where it does both
/// (blue is 1.77 times a rounded difference).
fn allowed(name: &str) -> f64 {
    match name {
        "jpeg-colour.dcm" => 3.01,
        "jpeg.dcm" | "jpeg-monochrome1.dcm" | "jpeg-2000-lossy.dcm" | "ybr.dcm" => 1.01,
        _ => 0.01,
    }
}

#[test]
fn every_kind_is_seen_as_pydicom_sees_it() {
    let names = names(&folder());
    assert!(names.len() > 36);
    for name in names.iter().filter(|name| *name != "jpeg-ls.dcm") {
        let worst = apart(&folder().join(name), &read(name, &Wanted::Usual));
        println!("{name}: {worst:.4}");
        assert!(worst <= allowed(name), "{name}: {worst}");
    }
}

/// Files of others: read as pydicom reads them, or refused in a line.
#[test]
fn files_of_pydicoms_package() {
    let Some(folder) = std::env::var_os("GRADLENS_DICOM").map(PathBuf::from) else {
        println!("skipped: GRADLENS_DICOM names no folder that make_dicom.py --peers wrote");
        return;
    };
    let mut far = Vec::new();
    for name in names(&folder) {
        let file = folder.join(&name);
        let known = folder.join(format!("{name}.npy")).is_file();
        match decode_as(
            &std::fs::read(&file).unwrap(),
            &Limits::default(),
            &Wanted::Usual,
        ) {
            Ok(decoded) if known => {
                let worst = apart(&file, &decoded);
                println!("{name}: {worst:.4} {:?}", decoded.note);
                if worst > 3.1 {
                    far.push(format!("{name}: {worst}"));
                }
            }
            Ok(_) => println!("{name}: read, and not by pydicom"),
            Err(error) => println!(
                "{name}: {error}{}",
                if known { " (pydicom reads it)" } else { "" }
            ),
        }
    }
    assert!(far.is_empty(), "{}", far.join("\n"));
}

#[test]
fn windows_are_named_and_chosen() {
    let usual = read("cr-12bit.dcm", &Wanted::Usual);
    let levels = usual.levels.unwrap();
    let names: Vec<&str> = levels.presets.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["NORMAL", "LUNG", "all values"]);
    let window = |center, width| {
        Applied::Window(Window {
            center,
            width,
            function: Function::Linear,
        })
    };
    assert_eq!(levels.applied, Some(window(1900.0, 3000.0)));

    let lung = read("cr-12bit.dcm", &Wanted::Preset("lung".into()));
    assert_eq!(lung.levels.unwrap().applied, Some(window(1200.0, 800.0)));
    let by_hand = read(
        "cr-12bit.dcm",
        &Wanted::Centered {
            center: 1200.0,
            width: 800.0,
        },
    );
    assert_eq!(by_hand.picture, lung.picture);
    assert_ne!(by_hand.picture, usual.picture);

    // A window by hand has the file's own function.
    let sigmoid = Wanted::Centered {
        center: 1900.0,
        width: 1500.0,
    };
    let chosen = read("sigmoid.dcm", &sigmoid);
    assert_eq!(chosen.picture, read("sigmoid.dcm", &Wanted::Usual).picture);

    let hu = read("signed-hu.dcm", &Wanted::Usual).levels.unwrap();
    assert_eq!(hu.units, Some("HU"));
    assert!(hu.low < -600.0 && hu.high > 0.0);
    let tables = read("voi-lut.dcm", &Wanted::Usual).levels.unwrap();
    assert_eq!(tables.applied, Some(Applied::Table { table: 1 }));
    assert_eq!(tables.presets[1].name, "SOFT");
    assert_eq!(
        read("frames.dcm", &Wanted::Usual).note.as_deref(),
        Some("the first of 3 frames")
    );

    let refused = |name: &str, wanted: Wanted| {
        let decoded = decode_as(&bytes(name), &Limits::default(), &wanted);
        decoded.map(|_| ()).unwrap_err()
    };
    let wanted = Wanted::Centered {
        center: 1.0,
        width: 2.0,
    };
    assert_eq!(refused("rgb.dcm", wanted), ImageError::NoLevels);
}

#[test]
fn what_no_decoder_reads_is_named() {
    let error = decode(&bytes("jpeg-ls.dcm"), &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "is a DICOM picture that cannot be read here: its pixels are compressed as JPEG-LS (lossless); save it uncompressed, or \
         as JPEG, JPEG 2000 or RLE"
    );
}

/// Everything that the crate can say of a file, and nothing of the patient in it.
#[test]
fn nothing_of_a_patient_comes_out() {
    for name in names(&folder()) {
        let file = bytes(&name);
        let all = match decode_as(&file, &Limits::default(), &Wanted::Usual) {
            Ok(decoded) => format!("{:?} {:?}", decoded.levels, decoded.note),
            Err(error) => error.to_string(),
        };
        let all = all.to_lowercase();
        assert!(
            !all.contains("secret") && !all.contains("1999") && !all.contains("19010203"),
            "{name}"
        );
        // The name is there to be found.
        let deflated = name == "deflated.dcm";
        assert!(
            deflated || file.windows(6).any(|part| part == b"Secret"),
            "{name}"
        );
    }
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    for name in names(&folder()) {
        let whole = bytes(&name);
        for length in (1..whole.len()).step_by(if whole.len() > 4000 { 7 } else { 1 }) {
            let cut = &whole[..length];
            match decode(cut, &Limits::default()) {
                Err(ImageError::NotAPicture(_)) => assert!(length < 132, "{name} {length}"),
                Err(ImageError::Damaged(_) | ImageError::Unsupported { .. }) => {}
                // What is cut off is the filling up of the pixels to an even number of bytes, or the end mark of their pieces.
                Ok(_) if length + 1 == whole.len() => {}
                other => panic!("{name} cut at {length}: {:?}", other.map(|_| ())),
            }
        }
    }
}

#[test]
fn a_huge_claim_is_refused_before_memory_is_taken() {
    let mut file = bytes("cr-12bit.dcm");
    // Rows (0028,0010) and Columns (0028,0011), explicit: tag, US, length 2, value.
    for tag in [0x10_u8, 0x11] {
        let at = file
            .windows(6)
            .position(|part| part == [0x28, 0, tag, 0, b'U', b'S'])
            .unwrap();
        file[at + 8..at + 10].copy_from_slice(&60_000_u16.to_le_bytes());
    }
    let error = decode(&file, &Limits::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "is 60000 x 60000 pixels; the limit is 32768 pixels a side"
    );
    // A size within the limits, and not within the file.
    for tag in [0x10_u8, 0x11] {
        let at = file
            .windows(6)
            .position(|part| part == [0x28, 0, tag, 0, b'U', b'S'])
            .unwrap();
        file[at + 8..at + 10].copy_from_slice(&5_000_u16.to_le_bytes());
    }
    let error = decode(&file, &Limits::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "is damaged: 828 bytes of pixels are too few for 5000 x 5000 pixels"
    );
}
