//! Convolutions and pooling with each set of instructions that the machine has, against their definition and on several threads.

use gradlens::engine::kernels::{After, Convolution, Set, Window, largest, mean};
#[cfg(not(target_arch = "wasm32"))]
use gradlens::engine::threads;
use gradlens::random::SplitMix;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Numbers, assert_same};

/// A convolution of random geometry, of up to `scale` times 30 maps; `None` where the window is larger than the map.
fn random_convolution(numbers: &mut Numbers, scale: usize) -> Option<Convolution> {
    let mut pair = |first: usize, bound: usize| [0, 1].map(|_| first + numbers.below(bound));
    // Rows of some are longer than two of the widest registers.
    let is_long = scale == 1 && pair(0, 8)[0] == 0;
    let size = pair(1, if is_long { 72 } else { 32 });
    let kernel = match pair(0, 6)[0] {
        0 => [3, 3],
        1 => [1, 1],
        2 => [5, 5],
        _ => pair(1, 7),
    };
    let strides = match pair(0, 8)[0] {
        0..4 => [1, 1],
        4 => [2, 2],
        5..7 => pair(1, 3),
        _ => pair(1, 40),
    };
    let dilations = match pair(0, 4)[0] {
        0 => pair(1, 2),
        _ => [1, 1],
    };
    let (before, behind) = (pair(0, 4), pair(0, 3));
    let mut output = [0; 2];
    for axis in 0..2 {
        let extent = (kernel[axis] - 1) * dilations[axis] + 1;
        let room = (size[axis] + before[axis] + behind[axis]).checked_sub(extent)?;
        output[axis] = room / strides[axis] + 1;
    }
    let [a, b, c] = [5, 9, 30].map(|bound| 1 + numbers.below(scale * bound));
    let (maps, rows, groups) = match numbers.below(3) {
        0 => (b, b, b),
        1 => (2 * a, 2 * b, 2),
        _ => (c, b + 2 * a, 1),
    };
    let after = match numbers.below(4) {
        0 => vec![],
        1 => vec![After::AtLeast(0.0)],
        2 => vec![After::AtLeast(0.0), After::AtMost(6.0)],
        _ => vec![After::HardSwish],
    };
    let window = Window {
        size,
        output,
        kernel,
        strides,
        dilations,
        before,
    };
    Some(Convolution {
        window,
        maps,
        rows,
        groups,
        after,
        set: Set::best(),
    })
}

/// The definition, in double precision.
fn by_definition(of: &Convolution, kernels: &[f32], bias: &[f32], maps: &[f32]) -> Vec<f32> {
    let Window {
        size,
        output,
        kernel,
        strides,
        dilations,
        before,
    } = &of.window;
    let [maps_each, rows_each] = [of.maps / of.groups, of.rows / of.groups];
    let mut results = Vec::new();
    for row in 0..of.rows {
        for position in 0..output[0] * output[1] {
            let place = [position / output[1], position % output[1]];
            let mut sum = f64::from(bias[row]);
            for map in 0..maps_each {
                for tap in 0..kernel[0] * kernel[1] {
                    let tap_at = [tap / kernel[1], tap % kernel[1]];
                    let at = [0, 1].map(|axis| {
                        (place[axis] * strides[axis] + tap_at[axis] * dilations[axis])
                            .checked_sub(before[axis])
                            .filter(|&at| at < size[axis])
                    });
                    let [Some(y), Some(x)] = at else { continue };
                    let map_index = row / rows_each * maps_each + map;
                    let weight = kernels[(row * maps_each + map) * kernel[0] * kernel[1] + tap];
                    let value = maps[(map_index * size[0] + y) * size[1] + x];
                    sum += f64::from(weight) * f64::from(value);
                }
            }
            for step in &of.after {
                sum = match *step {
                    After::AtLeast(low) => sum.max(low.into()),
                    After::AtMost(high) => sum.min(high.into()),
                    After::HardSwish => sum * (sum / 6.0 + 0.5).clamp(0.0, 1.0),
                };
            }
            results.push(sum as f32);
        }
    }
    results
}

#[wasm_bindgen_test(unsupported = test)]
fn convolutions_of_random_geometry_are_what_the_definition_says() {
    for set in Set::available() {
        let mut numbers = Numbers(SplitMix(2));
        for case in 0..600 {
            // Every sixth is large: its columns are several panels, and its maps more than stay in the cache.
            let scale = if case % 6 == 0 { 8 } else { 1 };
            let Some(convolution) = random_convolution(&mut numbers, scale) else {
                continue;
            };
            let convolution = Convolution { set, ..convolution };
            let window = &convolution.window;
            let count = convolution.rows * convolution.maps / convolution.groups;
            let mut floats = |count: usize| (0..count).map(|_| numbers.float()).collect::<Vec<_>>();
            let kernels = floats(count * window.taps());
            let bias = floats(convolution.rows);
            let maps = floats(convolution.maps * window.size[0] * window.size[1]);
            let mut found = vec![f32::NAN; convolution.rows * window.positions()];
            let mut prepared = vec![f32::NAN; convolution.prepared_length()];
            convolution.prepare(&kernels, &mut prepared);
            convolution.run(&prepared, &bias, &maps, &mut found);
            let expected = by_definition(&convolution, &kernels, &bias, &maps);
            let name = set.name();
            // Sums are of up to 12000 numbers below one.
            let bound = 5e-5 * (scale as f32).sqrt();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() < bound * expected.abs().max(1.0),
                    "{name}, case {case}: {found}, {expected}, {convolution:?}"
                );
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn pooling_is_the_same_with_every_set_of_instructions_and_what_the_definition_says() {
    let mut numbers = Numbers(SplitMix(5));
    for case in 0..200 {
        let Some(of) = random_convolution(&mut numbers, 1) else {
            continue;
        };
        let window = &of.window;
        let [rows, columns] = window.size;
        let maps: Vec<f32> = (0..3 * rows * columns).map(|_| numbers.float()).collect();
        let pooled = |pool: &dyn Fn(&mut [f32])| {
            let mut pooled = vec![f32::NAN; 3 * window.positions()];
            pool(&mut pooled);
            pooled
        };
        let mut expected = vec![f32::NEG_INFINITY; 3 * window.positions()];
        for (index, largest) in expected.iter_mut().enumerate() {
            let (map, position) = (index / window.positions(), index % window.positions());
            let place = [position / window.output[1], position % window.output[1]];
            for tap in 0..window.taps() {
                let tap = [tap / window.kernel[1], tap % window.kernel[1]];
                let at = [0, 1].map(|axis| {
                    let at =
                        place[axis] * window.strides[axis] + tap[axis] * window.dilations[axis];
                    at.checked_sub(window.before[axis])
                        .filter(|&at| at < window.size[axis])
                });
                if let [Some(y), Some(x)] = at {
                    *largest = largest.max(maps[(map * rows + y) * columns + x]);
                }
            }
        }
        let means = |set, rim| pooled(&|pooled| mean(set, window, rim, &maps, pooled));
        let plain = Set::available().pop().unwrap();
        for set in Set::available() {
            let what = format!("{}, case {case}: {window:?}", set.name());
            let found = pooled(&|pooled| largest(set, window, &maps, pooled));
            assert_same(&found, &expected, &what);
            for rim in [false, true] {
                assert_same(&means(set, rim), &means(plain, rim), &what);
            }
        }
    }
}

/// What convolutions and pooling of random geometry make of random maps, bit by bit.
#[cfg(not(target_arch = "wasm32"))]
fn bits_of_random_geometry(set: Set) -> Vec<Vec<u32>> {
    let mut numbers = Numbers(SplitMix(3));
    let mut results = Vec::new();
    while results.len() < 150 {
        let Some(convolution) = random_convolution(&mut numbers, 12) else {
            continue;
        };
        let convolution = Convolution { set, ..convolution };
        let window = &convolution.window;
        let count = convolution.rows * convolution.maps / convolution.groups;
        let mut floats = |count: usize| (0..count).map(|_| numbers.float()).collect::<Vec<_>>();
        let mut kernels = vec![f32::NAN; convolution.prepared_length()];
        convolution.prepare(&floats(count * window.taps()), &mut kernels);
        let bias = floats(convolution.rows);
        let maps = floats(convolution.maps * window.size[0] * window.size[1]);
        let mut convolved = vec![f32::NAN; convolution.rows * window.positions()];
        convolution.run(&kernels, &bias, &maps, &mut convolved);
        let pooled = |pool: &dyn Fn(&mut [f32])| {
            let mut pooled = vec![f32::NAN; convolution.maps * window.positions()];
            pool(&mut pooled);
            pooled
        };
        let parts = [
            convolved,
            pooled(&|pooled| largest(set, window, &maps, pooled)),
            pooled(&|pooled| mean(set, window, true, &maps, pooled)),
            pooled(&|pooled| mean(set, window, false, &maps, pooled)),
        ];
        results.push(parts.concat().into_iter().map(f32::to_bits).collect());
    }
    results
}

/// Natively, since the threads of a browser are the page's; what they do is the same there.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn several_threads_give_the_same_as_one_to_the_bit() {
    assert_eq!(threads::running(), 1, "no other test may start threads");
    let every_set = || {
        Set::available()
            .into_iter()
            .flat_map(bits_of_random_geometry)
    };
    let alone: Vec<_> = every_set().collect();
    for more in [1, 2] {
        for _ in 0..more {
            std::thread::spawn(threads::join);
        }
        let count = if more == 1 { 2 } else { 4 };
        while threads::running() < count {
            std::thread::yield_now();
        }
        for (case, (alone, together)) in alone.iter().zip(every_set()).enumerate() {
            assert!(*alone == together, "case {case}, {count} threads");
        }
    }
}
