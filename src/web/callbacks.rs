//! What JavaScript gives to be called: a reader of files beside a model, a listener to passes.

use std::sync::OnceLock;

use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

use super::now;
use crate::explain::{Tape, Watch};
use crate::model::Beside;

/// The files that were chosen together with a model, read by a JavaScript function `(name, offset, length) => Uint8Array` that
/// throws the reason.
pub struct Chosen(pub Option<js_sys::Function>);

impl Beside for Chosen {
    fn read(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let reason = |error: JsValue| {
            let error = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
            error.map_or("cannot be read".into(), String::from)
        };
        let Some(read) = &self.0 else {
            return Err("was not chosen with it".into());
        };
        let (offset, length) = (offset as f64, length as f64);
        let bytes = read
            .call3(&JsValue::NULL, &name.into(), &offset.into(), &length.into())
            .map_err(reason)?;
        bytes
            .dyn_into::<js_sys::Uint8Array>()
            .map(|bytes| bytes.to_vec())
            .map_err(|_| "cannot be read".into())
    }
}

/// Work that is done in parts: which, what its passes gave, and the milliseconds that it took so far.
#[derive(Default)]
pub struct Parts {
    key: String,
    pub tape: Tape,
    pub spent: f64,
}

impl Parts {
    /// Turns to this work; what is known of another is forgotten.
    pub fn turn_to(&mut self, key: &str) {
        if self.key != key {
            *self = Parts {
                key: key.to_owned(),
                ..Parts::default()
            };
        }
    }
}

/// Who waits on the page: a function that is told of passes, a hundred times at most, and is given a rest when its patience is over. Then the same call
/// goes on where it was.
pub struct Told<'a> {
    /// It belongs to the thread that it was given to.
    tell: SendWrapper<Option<js_sys::Function>>,
    /// Milliseconds of work before a rest, and what was done before earlier ones.
    rests: Option<(f64, &'a Tape)>,
    began: f64,
    /// When the first pass of this call was over: what came before it is work that has been done before.
    first: OnceLock<f64>,
}

/// A call works at least so many times longer than it takes to come back to where it was.
const WORTH: f64 = 4.0;

impl<'a> Told<'a> {
    /// `patience` is in milliseconds; without it the work is done in one go.
    pub fn new(tell: Option<js_sys::Function>, patience: Option<f64>, tape: &'a Tape) -> Told<'a> {
        tape.rewind();
        Told {
            tell: SendWrapper::new(tell),
            rests: patience.map(|patience| (patience, tape)),
            began: now(),
            first: OnceLock::new(),
        }
    }
}

impl Watch for Told<'_> {
    fn goes_on(&self, done: usize, of: usize) -> bool {
        let time = now();
        let first = *self.first.get_or_init(|| time);
        if self.tell.valid()
            && let Some(tell) = self.tell.as_ref()
            && (self.rests.is_some() || done.is_multiple_of(of.div_ceil(100)))
        {
            // Who does not listen misses nothing.
            let _ = tell.call2(&JsValue::NULL, &done.into(), &of.into());
        }
        match self.rests {
            Some((patience, _)) => time - first < patience.max(WORTH * (first - self.began)),
            None => true,
        }
    }

    fn tape(&self) -> Option<&Tape> {
        self.rests.map(|(_, tape)| tape)
    }
}
