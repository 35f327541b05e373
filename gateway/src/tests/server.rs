//! The gateway as a process's role, with every service away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::clock::{SharedClock, SystemClock};
use driftmill_platform::config::{Layer, Settings};
use driftmill_platform::kafka::Producer;
use driftmill_platform::metrics::Metrics;
use driftmill_platform::registry::Registry;
use driftmill_platform::schemas::{AnnouncedSchemas, Schemas};
use driftmill_platform::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::fixture::bundled;
use crate::{GatewayOptions, serve};

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[test]
fn it_answers_while_every_service_is_away_and_ends_when_told() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(start_ask_and_stop());
    // librdkafka's look-ups go on for seconds; as in the process itself, nobody waits for them.
    runtime.shutdown_background();
}

async fn start_ask_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Layer {
        kafka_brokers: Some("127.0.0.1:1".to_owned()),
        clickhouse_url: Some("http://127.0.0.1:1".parse().unwrap()),
        data_dir: Some(folder.path().to_owned()),
        ..Layer::default()
    };
    let settings = Settings::from_layers([layer]).unwrap();
    let producer = Producer::new(&settings.kafka, Duration::from_millis(5)).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let store = Store::open(&settings.object_store).unwrap();
    let registry = Registry::new(ClickHouse::new(&settings.clickhouse), store, producer.clone(), Arc::clone(&clock));
    let announced = AnnouncedSchemas::new(settings.kafka.clone(), producer.clone());
    let schemas = Schemas::new(announced, None, Arc::clone(&clock));
    let options = GatewayOptions {
        settings,
        pipelines: vec![Arc::new(bundled("iris")), Arc::new(bundled("loan"))],
        metrics: Metrics::default(),
        clock,
        registry,
        producer,
        schemas,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let server = tokio::spawn(serve(options, listener, cancel.clone()));

    assert!(get(address, "/health").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/ready").await.starts_with("HTTP/1.1 503"));
    let pipelines = get(address, "/api/v1/pipelines").await;
    assert!(pipelines.starts_with("HTTP/1.1 503") && pipelines.contains("retry-after"), "{pipelines}");
    // An idle connection does not hold up the end.
    let _idle = TcpStream::connect(address).await.unwrap();
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(30), server).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
