//! What the engine asks of a GPU: memory, and kernels run in it.

use crate::engine::EngineError;

/// A GPU that has the kernels of [`kernels`](super::kernels).
pub trait Gpu: Send + Sync {
    /// The card's name.
    fn name(&self) -> String;

    /// A piece of memory of `bytes` bytes, to be used by one thread at a time.
    ///
    /// # Errors
    /// [`EngineError::Device`] where there is not so much.
    fn memory(&self, bytes: usize) -> Result<Box<dyn Memory>, EngineError>;
}

/// Memory of a GPU, and what is done in it, in order.
pub trait Memory: Send {
    /// The address of its first byte, as kernels see it.
    fn address(&self) -> u64;

    /// Copies bytes to a place in it.
    ///
    /// # Errors
    /// [`EngineError::Run`].
    fn write(&mut self, place: usize, bytes: &[u8]) -> Result<(), EngineError>;

    /// Copies bytes from a place in it, when all that was launched before is done.
    ///
    /// # Errors
    /// [`EngineError::Run`], also for what went wrong in a kernel before.
    fn read(&mut self, place: usize, bytes: &mut [u8]) -> Result<(), EngineError>;

    /// Launches a kernel by so many blocks, with its struct, and does not wait for it.
    ///
    /// # Errors
    /// [`EngineError::Run`].
    fn launch(&mut self, kernel: &str, blocks: usize, arguments: &[u64])
    -> Result<(), EngineError>;
}
