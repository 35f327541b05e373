//! How many records the embedded broker takes and gives per second, through a real client.
//!
//! ```sh
//! cargo run --workspace --release --locked --ignore-rust-version --example broker_throughput -- segments 4000000 none
//! ```
//!
//! Arguments: `segments`, `power` (segments that are synced before each acknowledgement), `memory`, or the address of
//! another broker; records; codec (`none`, `lz4`, `zstd` …); folder (a temporary one when missing).
//!
//! Method: the broker runs in this process, as in `driftmill up`. One idempotent librdkafka producer sends records of 200
//! bytes, half of which repeat, to four partitions, in batches as librdkafka makes them (`linger.ms` 5, at most 1 MB),
//! with `acks=all`; the clock stops when the last one is acknowledged. Then one consumer reads all of them. Broker and
//! client share the machine's cores, so both figures include the client's work, and the rates by CPU time, which are
//! worth more than the others when something else is running, are those of both together. Memory is the process's,
//! client included. The first figures of a fresh folder are the ones to compare: with more data than memory, reads come from the
//! disk.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says where")]

#[cfg(feature = "broker")]
#[tokio::main]
async fn main() {
    measure::main().await;
}

#[cfg(not(feature = "broker"))]
fn main() {
    eprintln!("built without the broker");
}

#[cfg(feature = "broker")]
mod measure {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use driftmill_embedded::{BrokerOptions, BrokerStorage, Durability, EmbeddedBroker};
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::client::ClientContext;
    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::DeliveryResult;
    use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
    use rdkafka::{Message, Offset, TopicPartitionList};
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    const PARTITIONS: i32 = 4;
    const SIZE: usize = 200;

    /// Counts what was acknowledged.
    #[derive(Clone, Default)]
    struct Acknowledged {
        count: Arc<AtomicU64>,
        error: Arc<Mutex<Option<String>>>,
    }

    impl ClientContext for Acknowledged {}

    impl ProducerContext for Acknowledged {
        type DeliveryOpaque = ();

        fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
            match result {
                Ok(_) => _ = self.count.fetch_add(1, Ordering::Relaxed),
                Err((error, _)) => *self.error.lock().unwrap() = Some(error.to_string()),
            }
        }
    }

    pub async fn main() {
        let mut arguments = std::env::args().skip(1);
        let target = arguments.next().unwrap_or_else(|| "segments".to_owned());
        let records: u64 = arguments.next().map_or(2_000_000, |records| records.parse().unwrap());
        let codec = arguments.next().unwrap_or_else(|| "none".to_owned());
        let home = tempfile::tempdir().unwrap();
        let data_dir = arguments.next().map_or_else(|| home.path().to_owned(), PathBuf::from);

        let storage = match target.as_str() {
            "segments" => Some(BrokerStorage::Segments(Durability::Process)),
            "power" => Some(BrokerStorage::Segments(Durability::Power)),
            "memory" => Some(BrokerStorage::Memory),
            _ => None,
        };
        let broker = match storage {
            None => None,
            Some(storage) => {
                let options = BrokerOptions { data_dir, port: None, storage };
                Some(EmbeddedBroker::start(options, CancellationToken::new()).await.unwrap())
            }
        };
        let bootstrap = broker.as_ref().map_or(target.clone(), EmbeddedBroker::bootstrap);
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &bootstrap).set("compression.codec", &codec);
        let topic = format!("throughput-{}", std::process::id());
        create(&client, &topic).await;

        let (produced, consumed) =
            tokio::task::spawn_blocking(move || (produce(&client, &topic, records), consume(&client, &topic, records)))
                .await
                .unwrap();
        println!("{target} {codec}, {records} records of {SIZE} bytes, at most {} MiB of memory", peak_memory() >> 20);
        for (what, spent) in [("produced", produced), ("consumed", consumed)] {
            let rate = |time: Duration| records as f64 / time.as_secs_f64();
            println!("  {what}: {:.0}/s, {:.0} per CPU-second", rate(spent.time), rate(spent.cpu));
        }
        if let Some(broker) = broker {
            broker.stop().await.unwrap();
        }
    }

    async fn create(client: &ClientConfig, topic: &str) {
        let admin: AdminClient<_> = client.create().unwrap();
        let topic = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        for result in admin.create_topics([&topic], &AdminOptions::new()).await.unwrap() {
            result.unwrap();
        }
    }

    /// Time on the clock, and on the processors by this whole process.
    struct Spent {
        time: Duration,
        cpu: Duration,
    }

    impl Spent {
        fn since((started, cpu): (Instant, Duration)) -> Self {
            Self { time: started.elapsed(), cpu: cpu_time().saturating_sub(cpu) }
        }
    }

    /// What all threads of this process have used. Linux counts it in hundredths of a second for programs.
    fn cpu_time() -> Duration {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        // The program's name stands in brackets and may hold anything.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    fn produce(client: &ClientConfig, topic: &str, records: u64) -> Spent {
        let acknowledged = Acknowledged::default();
        let producer: ThreadedProducer<Acknowledged> = client
            .clone()
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "200000")
            .create_with_context(acknowledged.clone())
            .unwrap();
        let mut payload = [0_u8; SIZE];
        let started = (Instant::now(), cpu_time());
        for i in 0..records {
            // Half noise: what a codec makes of it is neither the best nor the worst.
            let mut noise = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for chunk in payload[..SIZE / 2].chunks_exact_mut(4) {
                noise = noise.rotate_left(13).wrapping_mul(0x2545_f491_4f6c_dd1d);
                chunk.copy_from_slice(&noise.to_be_bytes()[..4]);
            }
            payload[SIZE / 2..SIZE / 2 + 8].copy_from_slice(&i.to_be_bytes());
            let partition = i32::try_from(i % 4).unwrap();
            let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(&payload);
            while let Err((_, back)) = producer.send(record) {
                record = back;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        producer.flush(Duration::from_secs(600)).unwrap();
        let spent = Spent::since(started);
        assert_eq!(*acknowledged.error.lock().unwrap(), None);
        assert_eq!(acknowledged.count.load(Ordering::Relaxed), records);
        spent
    }

    fn consume(client: &ClientConfig, topic: &str, records: u64) -> Spent {
        let consumer: BaseConsumer = client
            .clone()
            .set("group.id", "throughput")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "500")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.queue.backoff.ms", "5")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let started = (Instant::now(), cpu_time());
        let mut seen = [0_i64; PARTITIONS as usize];
        let mut count = 0;
        while count < records {
            let message = consumer.poll(Duration::from_secs(60)).expect("records arrive").unwrap();
            assert_eq!(message.payload_len(), SIZE);
            let next = &mut seen[usize::try_from(message.partition()).unwrap()];
            assert_eq!(message.offset(), *next);
            *next += 1;
            count += 1;
        }
        Spent::since(started)
    }

    /// Bytes, client and broker together.
    fn peak_memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }
}
