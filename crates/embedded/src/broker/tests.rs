use std::io;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn memory(port: Option<u16>) -> BrokerOptions {
    BrokerOptions { data_dir: PathBuf::from("/nowhere"), port, storage: BrokerStorage::Memory }
}

/// Asks for the protocol versions, as every Kafka client does first, and returns the size of the answer.
async fn api_versions(address: SocketAddr) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address).await?;
    // Length, then: api key 18, version 0, correlation id 7, client id "t".
    stream.write_all(&[0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 7, 0, 1, b't']).await?;
    let size = stream.read_u32().await?;
    let correlation_id = stream.read_u32().await?;
    assert_eq!(correlation_id, 7);
    Ok(usize::try_from(size).unwrap())
}

#[tokio::test]
async fn a_started_broker_answers_and_a_stopped_one_has_left_its_port() {
    let broker = EmbeddedBroker::start(memory(None), CancellationToken::new()).await.unwrap();
    let address = broker.address();
    assert_eq!(broker.bootstrap(), address.to_string());
    assert!(api_versions(address).await.unwrap() > 100);

    broker.stop().await.unwrap();

    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_port_that_was_asked_for_is_the_same_after_a_restart() {
    let first = EmbeddedBroker::start(memory(None), CancellationToken::new()).await.unwrap();
    let port = first.address().port();
    // A connection that is open when the broker stops must not keep the port from its successor.
    let _open = TcpStream::connect(first.address()).await.unwrap();
    first.stop().await.unwrap();

    let second = EmbeddedBroker::start(memory(Some(port)), CancellationToken::new()).await.unwrap();
    assert_eq!(second.address().port(), port);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = EmbeddedBroker::start(memory(Some(port)), CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}: another program")), "{error}");
}

#[tokio::test]
async fn a_broker_starts_again_on_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().join("my data");
    for _ in 0..2 {
        let options = BrokerOptions { data_dir: data_dir.clone(), port: None, storage: BrokerStorage::default() };
        let broker = EmbeddedBroker::start(options, CancellationToken::new()).await.unwrap();
        assert!(api_versions(broker.address()).await.unwrap() > 100);
        broker.stop().await.unwrap();
    }
    assert!(data_dir.join("broker/segments/format").exists());
}

#[tokio::test]
async fn a_start_that_was_given_up_leaves_nothing_behind() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome = EmbeddedBroker::start(memory(None), cancel).await;
    assert!(matches!(outcome, Err(Error::Cancelled)));
}

fn client(broker: &EmbeddedBroker) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker.bootstrap());
    client
}

#[tokio::test]
async fn records_and_committed_offsets_are_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let options = BrokerOptions {
        data_dir: home.path().to_owned(),
        port: None,
        storage: BrokerStorage::Segments(Durability::Power),
    };
    let mut sent = 0_i64;
    for round in 0..3 {
        let broker = EmbeddedBroker::start(options.clone(), CancellationToken::new()).await.unwrap();
        {
            let producer: FutureProducer = client(&broker)
                .set("enable.idempotence", "true")
                .set("compression.codec", ["none", "lz4", "zstd"][round])
                .create()
                .unwrap();
            for _ in 0..10 {
                let payload = sent.to_be_bytes();
                let record = FutureRecord::to("kept").partition(0).key("k").payload(&payload);
                let delivery = producer.send(record, Duration::from_secs(30)).await.unwrap();
                assert_eq!(delivery.offset, sent);
                sent += 1;
            }
            let consumer: StreamConsumer = client(&broker)
                .set("group.id", "readers")
                .set("auto.offset.reset", "earliest")
                .set("enable.auto.commit", "false")
                .create()
                .unwrap();
            consumer.subscribe(&["kept"]).unwrap();
            // Half of this round's, and what the round before has left.
            while let Ok(message) = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await {
                let message = message.unwrap();
                let offset = message.offset();
                assert_eq!(message.payload().unwrap(), offset.to_be_bytes());
                if offset == sent - 5 {
                    let mut next = TopicPartitionList::new();
                    next.add_partition_offset("kept", 0, Offset::Offset(offset + 1)).unwrap();
                    consumer.commit(&next, CommitMode::Sync).unwrap();
                    break;
                }
                assert!(offset >= sent - 15 && offset < sent - 5, "{offset} after {sent} were sent");
            }
        }
        broker.stop().await.unwrap();
    }
}

#[tokio::test]
async fn records_arrive_at_once_however_long_a_consumer_would_wait_for_them() {
    let home = tempfile::tempdir().unwrap();
    let options = BrokerOptions { data_dir: home.path().to_owned(), port: None, storage: BrokerStorage::default() };
    let broker = EmbeddedBroker::start(options, CancellationToken::new()).await.unwrap();
    let producer: FutureProducer = client(&broker).set("linger.ms", "0").create().unwrap();
    let send = async || {
        let record = FutureRecord::<(), [u8]>::to("t").partition(0).payload(b"r");
        producer.send(record, Duration::from_secs(30)).await.unwrap();
    };
    send().await;
    let consumer: StreamConsumer = client(&broker)
        .set("group.id", "patient")
        .set("enable.auto.commit", "false")
        // Longer than anybody here waits: a fetch that slept out its time would show.
        .set("fetch.wait.max.ms", "290000")
        .set("socket.timeout.ms", "300000")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset("t", 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    for offset in 0..5 {
        let message = tokio::time::timeout(Duration::from_secs(60), consumer.recv()).await;
        assert_eq!(message.expect("the record ends the fetch's wait").unwrap().offset(), offset);
        // The next fetch is on its way, or waits already, when the next record comes.
        send().await;
    }
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_running_broker_deletes_what_its_topics_shall_not_keep() {
    let home = tempfile::tempdir().unwrap();
    let options = BrokerOptions { data_dir: home.path().to_owned(), port: None, storage: BrokerStorage::default() };
    let broker = EmbeddedBroker::start(options.clone(), CancellationToken::new()).await.unwrap();
    let admin: AdminClient<_> = client(&broker).create().unwrap();
    let topic = NewTopic::new("short", 1, TopicReplication::Fixed(1)).set("retention.ms", "1");
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let producer: FutureProducer = client(&broker).create().unwrap();
    let record = FutureRecord::<(), [u8]>::to("short").partition(0).payload(b"r").timestamp(1);
    producer.send(record, Duration::from_secs(30)).await.unwrap();
    broker.stop().await.unwrap();

    // Maintenance comes with the start, and then every few minutes.
    let broker = EmbeddedBroker::start(options, CancellationToken::new()).await.unwrap();
    let reader: BaseConsumer = client(&broker).create().unwrap();
    let gone = tokio::task::spawn_blocking(move || {
        (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            reader.fetch_watermarks("short", 0, Duration::from_secs(30)).is_ok_and(|ends| ends == (1, 1))
        })
    });
    assert!(gone.await.unwrap(), "the record is still there");
    broker.stop().await.unwrap();
}
