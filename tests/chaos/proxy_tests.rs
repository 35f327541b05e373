//! What the proxy does to a conversation of two: the server answers every request with `re:` and the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::proxy::{Cut, Flow, Proxy, Side, Weather};
use crate::harness::eventually;

struct Talk {
    proxy: Proxy,
    /// Bytes of requests that have arrived at the server.
    arrived: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Talk {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await;
        let arrived = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&arrived);
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        count.fetch_add(read, Ordering::SeqCst);
                        let _ = stream.write_all(&[b"re:", &buffer[..read]].concat()).await;
                    }
                });
            }
        });
        Self { proxy, arrived, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.proxy.port())).await.unwrap()
    }

    async fn has_arrived(&self, bytes: usize) {
        eventually("the request arrives", async || (self.arrived.load(Ordering::SeqCst) == bytes).then_some(())).await;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Everything until the other side closes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    all
}

async fn says(stream: &mut TcpStream, request: &[u8], answer: &[u8]) {
    stream.write_all(request).await.unwrap();
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(got, answer);
}

/// Whether nothing comes for a moment. A slow machine can only make this true.
async fn silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn fair_weather_carries_both_ways() {
    let talk = Talk::start().await;
    let mut stream = talk.connect().await;
    says(&mut stream, b"one", b"re:one").await;
    says(&mut stream, b"two", b"re:two").await;
}

#[tokio::test]
async fn a_cut_answer_leaves_a_request_that_was_delivered_and_a_torn_answer() {
    let talk = Talk::start().await;
    let mut stream = talk.connect().await;
    talk.proxy.arm(Cut { side: Side::Answer, needle: "INSERT", keep: 4 });
    says(&mut stream, b"SELECT", b"re:SELECT").await;
    stream.write_all(b"an INSERT").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"re:a");
    talk.has_arrived(b"SELECTan INSERT".len()).await;
    assert!(!talk.proxy.is_armed(), "a cut happens once");
    says(&mut talk.connect().await, b"INSERT", b"re:INSERT").await;
}

#[tokio::test]
async fn a_cut_request_is_delivered_in_part() {
    let talk = Talk::start().await;
    let mut stream = talk.connect().await;
    talk.proxy.arm(Cut { side: Side::Request, needle: "", keep: 2 });
    stream.write_all(b"INSERT").await.unwrap();
    rest(&mut stream).await;
    talk.has_arrived(2).await;
}

#[tokio::test]
async fn answers_that_were_held_back_come_late_and_whole() {
    let talk = Talk::start().await;
    let mut stream = talk.connect().await;
    talk.proxy.set(Weather { answers: Flow::Hold, ..Weather::default() });
    stream.write_all(b"INSERT").await.unwrap();
    talk.has_arrived(6).await;
    assert!(silent(&mut stream).await);
    talk.proxy.set(Weather::default());
    says(&mut stream, b"", b"re:INSERT").await;
}

#[tokio::test]
async fn requests_that_were_held_back_arrive_late_and_whole() {
    let talk = Talk::start().await;
    let mut stream = talk.connect().await;
    talk.proxy.set(Weather { requests: Flow::Hold, ..Weather::default() });
    stream.write_all(b"INSERT").await.unwrap();
    eventually("the request is held", async || talk.proxy.holds("SER").then_some(())).await;
    assert!(silent(&mut stream).await && !talk.proxy.holds("SELECT"));
    talk.proxy.set(Weather::default());
    says(&mut stream, b"", b"re:INSERT").await;
}

#[tokio::test]
async fn what_is_delayed_comes_all_the_same() {
    let talk = Talk::start().await;
    let by = Flow::Delay(Duration::from_millis(5));
    talk.proxy.set(Weather { requests: by, answers: by, refuses: false });
    says(&mut talk.connect().await, b"one", b"re:one").await;
}

#[tokio::test]
async fn a_reset_closes_the_connections_there_are_and_no_other() {
    let talk = Talk::start().await;
    let mut first = talk.connect().await;
    says(&mut first, b"one", b"re:one").await;
    talk.proxy.reset();
    assert_eq!(rest(&mut first).await, b"");
    says(&mut talk.connect().await, b"two", b"re:two").await;
}

#[tokio::test]
async fn a_forgotten_connection_stays_open_and_silent() {
    let talk = Talk::start().await;
    let mut first = talk.connect().await;
    says(&mut first, b"one", b"re:one").await;
    talk.proxy.forget();
    first.write_all(b"two").await.unwrap();
    assert!(silent(&mut first).await);
    says(&mut talk.connect().await, b"four", b"re:four").await;
    talk.has_arrived(b"onefour".len()).await;
}

#[tokio::test]
async fn refused_connections_are_closed_and_the_next_ones_are_not() {
    let talk = Talk::start().await;
    talk.proxy.set(Weather { refuses: true, ..Weather::default() });
    assert_eq!(rest(&mut talk.connect().await).await, b"");
    talk.proxy.set(Weather::default());
    says(&mut talk.connect().await, b"one", b"re:one").await;
}

#[tokio::test]
async fn a_server_that_is_away_closes_the_connection_and_one_that_is_back_does_not() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    let proxy = Proxy::start(address).await;
    drop(gone);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
}
