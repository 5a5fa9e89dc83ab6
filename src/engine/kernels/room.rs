//! Room for intermediate values, kept from call to call: its memory would be asked for at every convolution.

use std::cell::RefCell;

/// Floats of a line of the processor's cache: registers as long as that are loaded twice as fast from its start.
const LINE: usize = 16;

thread_local! {
    /// What nobody uses at the moment, the last one given back on top: nested calls find what they had the last time.
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with room for `length` floats, whatever they are. It may ask for more room, and be interrupted by other work.
pub(super) fn with_room<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut room = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if room.len() < length + LINE {
        room.resize(length + LINE, 0.0);
    }
    let start = room.as_ptr().align_offset(4 * LINE).min(LINE);
    let result = work(&mut room[start..][..length]);
    SPARE.with_borrow_mut(|spare| spare.push(room));
    result
}
