//! What JavaScript gives to be called: a reader of files beside a model, a listener to passes.

use wasm_bindgen::prelude::*;

use crate::explain::Watch;
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

/// A JavaScript function that is told of passes, a hundred times at most.
pub struct Told(pub Option<js_sys::Function>);

impl Watch for Told {
    fn goes_on(&self, done: usize, of: usize) -> bool {
        if let Some(tell) = &self.0
            && done.is_multiple_of(of.div_ceil(100))
        {
            // Who does not listen misses nothing.
            let _ = tell.call2(&JsValue::NULL, &done.into(), &of.into());
        }
        true
    }
}
