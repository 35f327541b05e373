//! A way to the server that loses answers.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that hands every request on, and after some answers loses all.
pub struct Lossy {
    pub address: String,
    task: tokio::task::JoinHandle<()>,
}

impl Lossy {
    /// One before the server at `address`, that lets so many answers through.
    pub async fn start(address: &str, answers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let server = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let task = tokio::spawn(async move {
            let mut left = answers;
            // One at a time, as a mirror asks.
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(answer) = handed_on(&mut client, &server).await else { continue };
                if left > 0 {
                    left -= 1;
                    let _ = client.write_all(&answer).await;
                }
            }
        });
        Self { address: here, task }
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server's answer to one request of the client.
async fn handed_on(client: &mut TcpStream, server: &str) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while request.len() < head + length {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let mut upstream = TcpStream::connect(server).await.ok()?;
    // The end of the answer is the end of the connection, then.
    request.splice(head - 2..head - 2, *b"Connection: close\r\n");
    upstream.write_all(&request).await.ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}
