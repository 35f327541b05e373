//! Ports that a server can take again after it was killed.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that was free a moment ago, below those that the kernel gives to outgoing connections: a client that tries to
/// connect to a server that is away would sooner or later be given that very port, and keep it.
pub fn free() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at the same time begin at different places.
    let begin = (std::process::id() % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| FIRST + (begin + NEXT.fetch_add(7, Ordering::SeqCst)) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}
