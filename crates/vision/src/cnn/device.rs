//! What computes gradients: the CPU, or a graphics card where the build has the feature `gpu`.

use burn::tensor::Device as Handle;
use serde::Deserialize;

use crate::Error;

/// What a network is trained on. Predictions are computed on the CPU either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The cores of this machine.
    #[default]
    Cpu,
    /// The fastest graphics card that Vulkan, Metal, DirectX 12 or OpenGL knows; a software one where there is no other.
    Gpu,
}

impl Device {
    /// Readies it. Only who trains asks: a pipeline of a graphics card is served, and read by every other role, without one.
    pub(super) fn open(self) -> Result<Processor, Error> {
        match self {
            Self::Cpu => Ok(Processor { handle: Handle::flex().autodiff(), name: None }),
            #[cfg(feature = "gpu")]
            Self::Gpu => adapter::open(),
            #[cfg(not(feature = "gpu"))]
            Self::Gpu => Err(Error::NoGpuSupport),
        }
    }
}

/// A device that is ready.
#[derive(Clone)]
pub(super) struct Processor {
    pub handle: Handle,
    /// How a graphics card calls itself.
    pub name: Option<String>,
}

#[cfg(feature = "gpu")]
mod adapter {
    use std::sync::OnceLock;

    use super::{Error, Handle, Processor};

    /// The card stays open while the process lives: `burn` opens one once, and keeps what it compiled for it.
    static OPENED: OnceLock<Result<Processor, String>> = OnceLock::new();

    pub(super) fn open() -> Result<Processor, Error> {
        let opened = OPENED.get_or_init(|| {
            let (handle, setup) = Handle::wgpu_options().init_with_setup().map_err(|error| error.to_string())?;
            let info = setup.adapter.get_info();
            Ok(Processor { handle: handle.autodiff(), name: Some(format!("{} ({})", info.name, info.backend)) })
        });
        opened.clone().map_err(Error::NoGpu)
    }
}
