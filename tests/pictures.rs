//! Reading picture files: every kind, and every way to be broken.
//!
//! `tests/fixtures/make_opencv.py` and `make_pictures.py` make the files, and beside each what Pillow reads in it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

use std::path::{Path, PathBuf};

use gradlens::image::{ImageError, Limits, Picture, Region, Wanted, decode, decode_as};
use ndarray::{Array2, Array3};
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn names() -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<String> = std::fs::read_dir(folder()).unwrap().map(name).collect();
    names.retain(|name| !name.ends_with(".npy"));
    names.sort();
    assert!(names.len() > 20);
    names
}

fn read(name: &str) -> Picture {
    decode(&bytes(name), &Limits::default()).unwrap_or_else(|error| panic!("{name} {error}"))
}

#[test]
fn every_kind_is_read_as_pillow_reads_it() {
    for name in names().iter().filter(|name| !name.contains("16")) {
        let expected: Array3<u8> =
            ndarray_npy::read_npy(folder().join(format!("{name}.npy"))).unwrap();
        let picture = read(name);
        let (height, width, _) = expected.dim();
        assert_eq!(
            (picture.width() as usize, picture.height() as usize),
            (width, height),
            "{name}"
        );
        let rgb = picture.to_rgb8();
        let differences = rgb.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
        // Two JPEG decoders may round differently; where chroma is subsampled, or CMYK is converted, a little more.
        let allowed = match name.as_str() {
            name if name.ends_with(".png") => 0,
            // Chroma is subsampled, and brought up again by another filter.
            "lossy.webp" => 4,
            "grey-jpeg.tiff" => 1,
            name if !name.ends_with(".jpg") => 0,
            "rgb-420.jpg" | "progressive.jpg" | "restarts.jpg" | "cmyk.jpg" => 4,
            _ => 2,
        };
        let worst = differences.max().unwrap();
        println!("{name}: {worst}");
        assert!(worst <= allowed, "{name}: {worst}");
    }
}

#[test]
fn sixteen_bits_arrive() {
    for name in ["grey16.png", "grey16-big-endian.tiff", "grey16-tiles.tiff"] {
        let expected: Array2<u16> =
            ndarray_npy::read_npy(folder().join(format!("{name}.npy"))).unwrap();
        let picture = read(name);
        assert_eq!((picture.bits(), picture.channels()), (16, 1), "{name}");
        assert_eq!(
            picture.luma(),
            expected.mapv(|value| f32::from(value) / 65535.0),
            "{name}"
        );
    }
    for name in ["rgb16.png", "rgb16.tiff"] {
        let expected: Array3<u16> =
            ndarray_npy::read_npy(folder().join(format!("{name}.npy"))).unwrap();
        let picture = read(name);
        assert_eq!((picture.bits(), picture.channels()), (16, 3), "{name}");
        let whole = Region::whole(picture.width(), picture.height());
        for channel in 0..3 {
            let expected = expected.index_axis(ndarray::Axis(2), channel);
            assert_eq!(
                picture.channel_of(channel, whole),
                expected.mapv(|value| f32::from(value) / 65535.0),
                "{name}"
            );
        }
    }
}

#[test]
fn a_window_suits_any_picture_of_sixteen_bits() {
    let file = bytes("grey16.png");
    let seen = |wanted: &Wanted| decode_as(&file, &Limits::default(), wanted).unwrap();
    let usual = seen(&Wanted::Usual);
    let levels = usual.levels.unwrap();
    // 65535 is white, whatever the picture holds.
    assert_eq!(levels.applied, None);
    let whole = seen(&Wanted::Centered {
        center: 32768.0,
        width: 65536.0,
    });
    assert_eq!(whole.picture, usual.picture);
    let stretched = seen(&Wanted::Preset("all values".into())).picture.luma();
    let range = stretched.iter().fold((1.0_f32, 0.0_f32), |(low, high), v| {
        (low.min(*v), high.max(*v))
    });
    assert_eq!(range, (0.0, 1.0));
    let eight = decode_as(&bytes("grey8.png"), &Limits::default(), &Wanted::Usual).unwrap();
    assert_eq!(eight.levels, None);
    let pages = decode_as(&bytes("pages.tiff"), &Limits::default(), &Wanted::Usual).unwrap();
    assert_eq!(pages.note.as_deref(), Some("the first of several pages"));
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    for name in names() {
        let whole = bytes(&name);
        let expected = read(&name);
        for length in 0..whole.len() {
            match decode(&whole[..length], &Limits::default()) {
                Err(ImageError::Empty) => assert_eq!(length, 0),
                Err(ImageError::NotAPicture(_)) => assert!(length < 12),
                // What a TIFF ends with may be its second page, or the filling up of its last strip.
                Ok(picture) if name.ends_with(".tiff") => {
                    assert_eq!(picture, expected, "{name} {length}")
                }
                Err(ImageError::Damaged(_)) => {}
                other => panic!("{name} cut at {length}: {other:?}"),
            }
        }
    }
}

/// A PNG that claims a size and holds nothing.
fn claim(width: u32, height: u32) -> Vec<u8> {
    let mut file = bytes("grey8.png");
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&file[12..29]);
    file[29..33].copy_from_slice(&crc.to_be_bytes());
    file
}

/// The checksum of a PNG chunk. Source: the PNG specification, annex D.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            if c & 1 == 1 {
                0xedb8_8320 ^ (c >> 1)
            } else {
                c >> 1
            }
        })
    })
}

#[test]
fn a_huge_claim_is_refused_before_memory_is_taken() {
    let error = |file: &[u8]| decode(file, &Limits::default()).unwrap_err().to_string();
    assert_eq!(
        error(&claim(60_000, 60_000)),
        "is 60000 x 60000 pixels; the limit is 32768 pixels a side"
    );
    assert_eq!(
        error(&claim(20_000, 20_000)),
        "is 20000 x 20000 pixels; the limit is 100000000 pixels in all"
    );
    assert!(error(&claim(9_000, 9_000)).contains("too few for 9000 x 9000 pixels"));
    assert!(error(&claim(0, 5)).starts_with("is damaged"));

    let mut jpeg = bytes("grey.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    assert_eq!(
        error(&jpeg),
        "is 60000 x 60000 pixels; the limit is 32768 pixels a side"
    );
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0x40, 0x1f, 0x40]);
    assert!(error(&jpeg).contains("too few for 8000 x 8000 pixels"));
}

#[test]
fn spoilt_jpeg_data_are_an_error_not_grey_filler() {
    let mut file = bytes("grey.jpg");
    let scan = file
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    let middle = scan + (file.len() - scan) / 2;
    file[middle..middle + 2].copy_from_slice(&[0xff, 0xc4]);
    assert!(matches!(
        decode(&file, &Limits::default()),
        Err(ImageError::Damaged(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"RIFF\xff\0\0\0WEBPVP8 ",
            b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0", b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let error = decode(&[start, &rest].concat(), &Limits::default()).map(|_| ()).unwrap_err().to_string();
        prop_assert!(!error.contains('\n') && error.len() < 300);
    }

    #[test]
    fn spoilt_pictures_never_panic(
        name in prop::sample::select(names()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = bytes(&name);
        for (at, value) in edits {
            let at = at.index(file.len());
            file[at] = value;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        // Limits keep a spoilt size from costing time.
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        if let Ok(picture) = decode(&file, &limits) {
            prop_assert!(picture.width() > 0 && picture.height() > 0);
        }
    }
}
