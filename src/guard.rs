//! Calling tract so that neither its errors nor its panics reach the user as they are.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::tract_hir::prelude::TractResult;

/// Runs tract code: an error becomes its innermost sentence, a panic becomes an error.
///
/// (In WebAssembly a panic cannot be caught: the page ends its worker and starts another.)
pub(crate) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match caught(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(first_line(&error.root_cause().to_string())),
        Err(panic) => Err(panic),
    }
}

/// Runs any code: a panic becomes its message.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        first_line(text.unwrap_or("it panicked"))
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
