//! A TCP proxy that breaks what goes through it: on request, and in no other way.
//!
//! ```text
//! client ── requests ──► proxy ── requests ──► upstream
//!        ◄── answers ───       ◄── answers ───
//! ```
//! *Weather* holds for every connection until it changes; a *cut* hits one connection once; a *reset* hits those there are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What becomes of bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    #[default]
    Pass,
    /// They wait, and go on when the weather changes.
    Hold,
    /// Each piece goes on so much later.
    Delay(Duration),
}

/// What holds for every connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    pub requests: Flow,
    pub answers: Flow,
    /// New connections are closed at once.
    pub refuses: bool,
}

/// Where a connection is cut, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The matching request goes no further than its first bytes.
    Request,
    /// The matching request is delivered; its answer goes no further than its first bytes.
    Answer,
}

/// A connection is cut at the next request that holds `needle` (any, when it is empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub side: Side,
    pub needle: &'static str,
    /// Bytes that still go through.
    pub keep: usize,
}

struct Shared {
    upstream: SocketAddr,
    weather: watch::Sender<Weather>,
    cut: Mutex<Option<Cut>>,
    /// What waits for the weather to change.
    held: Mutex<Vec<Vec<u8>>>,
    connections: Mutex<Connections>,
}

/// Fires for the connections of now; those to come get successors.
#[derive(Default)]
struct Connections {
    reset: CancellationToken,
    forgotten: CancellationToken,
}

/// A proxy on a port of its own. Dropping it closes every connection.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before `upstream`, which need not listen yet.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            weather: watch::Sender::default(),
            cut: Mutex::default(),
            held: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, accepting }
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather; what was held goes on unless it is held again.
    pub fn set(&self, weather: Weather) {
        self.shared.held.lock().unwrap().clear();
        self.shared.weather.send_replace(weather);
    }

    /// Whether something with `needle` in it is held back.
    pub fn holds(&self, needle: &str) -> bool {
        self.shared.held.lock().unwrap().iter().any(|piece| holds(piece, needle.as_bytes()))
    }

    /// Closes the connections there are.
    pub fn reset(&self) {
        std::mem::take(&mut self.shared.connections.lock().unwrap().reset).cancel();
    }

    /// The connections there are stay open and never carry a byte again, as when a router has forgotten them.
    pub fn forget(&self) {
        std::mem::take(&mut self.shared.connections.lock().unwrap().forgotten).cancel();
    }

    /// Cuts the next connection that `cut` matches.
    pub fn arm(&self, cut: Cut) {
        *self.shared.cut.lock().unwrap() = Some(cut);
    }

    /// Whether a cut still waits for what it matches.
    pub fn is_armed(&self) -> bool {
        self.shared.cut.lock().unwrap().is_some()
    }

    /// Takes a cut back.
    pub fn disarm(&self) {
        self.shared.cut.lock().unwrap().take();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        if shared.weather.borrow().refuses {
            continue;
        }
        let shared = Arc::clone(&shared);
        let (reset, forgotten) = {
            let connections = shared.connections.lock().unwrap();
            (connections.reset.clone(), connections.forgotten.clone())
        };
        tokio::spawn(async move {
            tokio::select! {
                () = carry(client, &shared, &forgotten) => {}
                () = reset.cancelled() => {}
            }
        });
    }
}

/// Carries one connection until either side ends it, or it is cut.
async fn carry(client: TcpStream, shared: &Shared, forgotten: &CancellationToken) {
    let Ok(upstream) = TcpStream::connect(shared.upstream).await else { return };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (upstream_reads, upstream_writes) = upstream.into_split();
    // Bytes of the next answer that still go through; set by the request whose answer is to be cut.
    let doomed = Mutex::new(None);
    let requests = pump(
        client_reads,
        upstream_writes,
        shared,
        forgotten,
        |weather| weather.requests,
        |bytes| {
            let mut armed = shared.cut.lock().unwrap();
            let cut = armed.take_if(|cut| cut.needle.is_empty() || holds(bytes, cut.needle.as_bytes()))?;
            match cut.side {
                Side::Request => Some(cut.keep),
                Side::Answer => {
                    *doomed.lock().unwrap() = Some(cut.keep);
                    None
                }
            }
        },
    );
    let answers = pump(
        upstream_reads,
        client_writes,
        shared,
        forgotten,
        |weather| weather.answers,
        |_| doomed.lock().unwrap().take(),
    );
    // Neither protocol half-closes: the end of one direction is the end of both.
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

/// Moves bytes one way. `cut` says of each piece whether it is the last, and how much of it still goes.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    forgotten: &CancellationToken,
    flow: impl Fn(&Weather) -> Flow,
    cut: impl Fn(&[u8]) -> Option<usize>,
) {
    let mut weather = shared.weather.subscribe();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let now = flow(&weather.borrow_and_update());
        if let Flow::Delay(by) = now {
            tokio::time::sleep(by).await;
        }
        if now == Flow::Hold {
            shared.held.lock().unwrap().push(buffer[..read].to_vec());
        }
        if weather.wait_for(|weather| flow(weather) != Flow::Hold).await.is_err() {
            return;
        }
        if forgotten.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let last = cut(&buffer[..read]);
        let goes = last.map_or(read, |keep| keep.min(read));
        if to.write_all(&buffer[..goes]).await.is_err() || last.is_some() {
            return;
        }
    }
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
