//! A GPU behind NVIDIA's driver. Nothing else is needed of CUDA, neither to build nor to run: the kernels come as PTX, which the driver compiles.
#![allow(
    unsafe_code,
    reason = "a kernel is launched with untyped arguments; nobody but the driver can run it"
)]

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr as _, DriverError,
    result, sys,
};
use cudarc::nvrtc::Ptx;

use super::Precision;
use super::gpu::{Gpu, Memory};
use super::kernels::Set;
use super::program::THREADS;
use crate::engine::EngineError;

/// One GPU.
pub(super) struct Device {
    context: Arc<CudaContext>,
    modules: Vec<Arc<CudaModule>>,
    /// Kernels that have been looked up.
    kernels: Mutex<HashMap<String, CudaFunction>>,
}

impl Device {
    /// Opens the GPU with this number and gives it the kernels.
    pub fn open(number: usize, precision: Precision) -> Result<Device, EngineError> {
        // SAFETY: it only tries to load the library by its name, which is what loading it later does as well.
        if !unsafe { sys::is_culib_present() } {
            return Err(EngineError::Device(
                "there is no NVIDIA driver on this machine".into(),
            ));
        }
        let failed = |error: DriverError| {
            EngineError::Device(format!("the GPU cannot be used: {}", words(error)))
        };
        let context = CudaContext::new(number).map_err(failed)?;
        let sets: &[Set] = match precision {
            Precision::Strict => &[Set::Plain],
            Precision::Fast => &Set::ALL,
        };
        let modules = sets
            .iter()
            .map(|set| context.load_module(Ptx::from_src(set.ptx())));
        let modules = modules.collect::<Result<_, _>>().map_err(failed)?;
        Ok(Device {
            context,
            modules,
            kernels: Mutex::default(),
        })
    }

    fn kernel(&self, name: &str) -> Result<CudaFunction, EngineError> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(name) {
            return Ok(kernel.clone());
        }
        let mut found = self.modules.iter().map(|module| module.load_function(name));
        let missing = || EngineError::Run(format!("{name}: there is no such kernel"));
        let kernel = found.find_map(Result::ok).ok_or_else(missing)?;
        kernels.insert(name.into(), kernel.clone());
        Ok(kernel)
    }
}

impl Gpu for Arc<Device> {
    fn name(&self) -> String {
        self.context.name().unwrap_or_default()
    }

    fn memory(&self, bytes: usize) -> Result<Box<dyn Memory>, EngineError> {
        let failed = |error: DriverError| {
            EngineError::Device(format!(
                "the GPU has no {} MB to spare: {}",
                bytes >> 20,
                words(error)
            ))
        };
        let stream = self.context.new_stream().map_err(failed)?;
        let memory = stream.alloc_zeros::<u8>(bytes.max(1)).map_err(failed)?;
        let (address, _) = memory.device_ptr(&stream);
        Ok(Box::new(Session {
            device: self.clone(),
            address,
            stream: stream.clone(),
            memory,
        }))
    }
}

/// A piece of memory and the stream that all its work goes through, in order.
struct Session {
    device: Arc<Device>,
    stream: Arc<CudaStream>,
    memory: CudaSlice<u8>,
    address: u64,
}

impl Memory for Session {
    fn address(&self) -> u64 {
        self.address
    }

    fn write(&mut self, place: usize, bytes: &[u8]) -> Result<(), EngineError> {
        let beyond = || EngineError::Run("a tensor lies outside its memory".into());
        let mut there = self
            .memory
            .try_slice_mut(place..place + bytes.len())
            .ok_or_else(beyond)?;
        self.stream
            .memcpy_htod(bytes, &mut there)
            .map_err(|error| run("upload", error))
    }

    fn read(&mut self, place: usize, bytes: &mut [u8]) -> Result<(), EngineError> {
        let beyond = || EngineError::Run("a tensor lies outside its memory".into());
        let there = self
            .memory
            .try_slice(place..place + bytes.len())
            .ok_or_else(beyond)?;
        self.stream
            .memcpy_dtoh(&there, bytes)
            .map_err(|error| run("download", error))?;
        self.stream
            .synchronize()
            .map_err(|error| run("kernels", error))
    }

    fn launch(
        &mut self,
        kernel: &str,
        blocks: usize,
        arguments: &[u64],
    ) -> Result<(), EngineError> {
        let function = self.device.kernel(kernel)?;
        let failed = |error| run(kernel, error);
        let blocks = u32::try_from(blocks)
            .map_err(|_| EngineError::Run(format!("{kernel}: too many blocks")))?;
        self.device.context.bind_to_thread().map_err(failed)?;
        let mut parameters = [arguments.as_ptr() as *mut c_void];
        // SAFETY: the kernel takes one struct by value; `arguments` holds all of it, in its layout and alignment, and is copied before the call
        // returns. The places in it lie inside this session's memory, which outlives the launch, as it is freed on the same stream.
        let launched = unsafe {
            result::launch_kernel(
                function.cu_function(),
                (blocks, 1, 1),
                (THREADS as u32, 1, 1),
                0,
                self.stream.cu_stream(),
                &mut parameters,
            )
        };
        launched.map_err(failed)
    }
}

fn run(what: &str, error: DriverError) -> EngineError {
    EngineError::Run(format!("{what}: {}", words(error)))
}

/// The driver's own words.
fn words(error: DriverError) -> String {
    let text = error.error_string().ok();
    text.map_or_else(
        || format!("{error:?}"),
        |text| text.to_string_lossy().into_owned(),
    )
}
