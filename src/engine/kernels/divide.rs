//! Work divided among threads, where there are several. Every value is computed as one thread would compute it.

use std::marker::PhantomData;
use std::ops::Range;

use crate::engine::threads;

/// Steps (a multiplication and an addition of vectors, a few values moved) that a part should have at least: with less, telling
/// another thread of it takes longer than doing it. Natively a step takes a quarter of the time that it does in WebAssembly.
const LEAST: usize = if cfg!(target_arch = "wasm32") {
    8 << 10
} else {
    32 << 10
};

/// Parts for each thread: one that is held up leaves the rest of its work to the others.
pub(super) const EACH: usize = 2;

/// Into how many parts work of so many steps should be divided.
pub(super) fn parts(steps: usize) -> usize {
    match threads::free() {
        1 => 1,
        threads => (steps / LEAST).clamp(1, EACH * threads),
    }
}

/// The `index`th of `parts` parts of `length` things, all of about the same size.
pub(super) fn part(length: usize, parts: usize, index: usize) -> Range<usize> {
    length * index / parts..length * (index + 1) / parts
}

/// Calls `work` with the number of each part.
pub(super) fn each(parts: usize, work: impl Fn(usize) + Sync) {
    if parts > 1 {
        threads::each(parts, &work);
    } else {
        (0..parts).for_each(work);
    }
}

/// Calls `work` with the first of each part's things and their values, where each of the things has as many values.
pub(super) fn each_slice(
    values: &mut [f32],
    things: usize,
    parts: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let length = values.len() / things.max(1);
    let values = Shared::new(values);
    each(parts, |index| {
        let part = part(things, parts, index);
        // Safety: parts do not overlap.
        work(part.start, unsafe {
            values.slice(part.start * length, part.len() * length)
        });
    });
}

/// Values that several threads write, each its own.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    values: *mut f32,
    length: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// Safety: what is reached through it is for those who call `slice` and `place` to keep apart.
unsafe impl Sync for Shared<'_> {}
unsafe impl Send for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(values: &'a mut [f32]) -> Shared<'a> {
        Shared {
            values: values.as_mut_ptr(),
            length: values.len(),
            lifetime: PhantomData,
        }
    }

    /// Where the first of some values lies.
    #[inline(always)]
    pub(super) fn place(self, first: usize, length: usize) -> *mut f32 {
        assert!(first <= self.length && length <= self.length - first);
        self.values.wrapping_add(first)
    }

    /// Some of the values.
    ///
    /// # Safety
    /// No two slices that are alive at the same time may overlap.
    #[inline(always)]
    pub(super) unsafe fn slice(self, first: usize, length: usize) -> &'a mut [f32] {
        // Safety: it lies inside the values, and is nobody else's, as the caller grants.
        unsafe { std::slice::from_raw_parts_mut(self.place(first, length), length) }
    }
}
