//! Work on another thread that ends when nobody waits for it any more.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by whoever waits: when it is dropped, its signals say so.
#[derive(Debug, Default)]
pub(crate) struct Halt(Arc<AtomicBool>);

/// Asked by the work from time to time.
#[derive(Debug, Clone)]
pub(crate) struct Signal(Arc<AtomicBool>);

impl Halt {
    pub fn signal(&self) -> Signal {
        Signal(Arc::clone(&self.0))
    }
}

impl Drop for Halt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Signal {
    /// Whether to go on.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_while_somebody_waits() {
        let halt = Halt::default();
        let signal = halt.signal();
        assert!(signal.flow().is_continue());
        drop(halt);
        assert!(signal.flow().is_break());
    }
}
