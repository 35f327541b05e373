//! What librdkafka was told in the end. Its defaults are made for other uses, and the user's properties come in between.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaConfRes;
use tokio_util::sync::CancellationToken;

use super::{BatchPolicy, Consumer, ConsumerOptions, Error, Position};
use crate::config::{self, Secret};

/// A property of a running consumer.
fn in_force(consumer: &Consumer, property: &str) -> String {
    let name = CString::new(property).unwrap();
    let mut value = [0_u8; 512];
    let mut size = value.len();
    // SAFETY: the client is alive and the configuration is part of it; at most `size` bytes are written.
    let outcome = unsafe {
        let configuration = sys::rd_kafka_conf(consumer.handle.inner.client().native_ptr());
        sys::rd_kafka_conf_get(configuration, name.as_ptr(), value.as_mut_ptr().cast(), &mut size)
    };
    assert_eq!(outcome, RDKafkaConfRes::RD_KAFKA_CONF_OK, "{property}");
    CStr::from_bytes_until_nul(&value).unwrap().to_str().unwrap().to_owned()
}

/// There is no broker: nothing of this asks one.
fn settings(properties: &[(&str, &str)]) -> config::Kafka {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
    config::Kafka { brokers: "127.0.0.1:1".to_owned(), properties, ..config::Kafka::default() }
}

fn consumer(settings: &config::Kafka, bytes: usize) -> Consumer {
    let batch = BatchPolicy { bytes, ..BatchPolicy::default() };
    let options = ConsumerOptions { topic: "t".to_owned(), group: Some("g".to_owned()), headers: false, batch };
    let nowhere = Arc::new(|_: &str, _: &[i32]| -> Result<Vec<Position>, Error> { Ok(Vec::new()) });
    Consumer::start(settings, options, nowhere, &CancellationToken::new()).unwrap()
}

#[tokio::test]
async fn a_queue_that_was_full_is_filled_again_as_soon_as_it_is_drained() {
    let consumer = consumer(&settings(&[]), 1 << 20);
    assert_eq!(in_force(&consumer, "fetch.queue.backoff.ms"), "5");
    consumer.close().await;
}

#[tokio::test]
async fn a_consumer_s_queue_is_bounded_by_the_size_of_its_batches() {
    for (bytes, kilobytes) in [(7 << 20, "1792"), (4_096, "1024")] {
        let consumer = consumer(&settings(&[]), bytes);
        assert_eq!(in_force(&consumer, "queued.max.messages.kbytes"), kilobytes);
        consumer.close().await;
    }
}

#[tokio::test]
async fn what_is_tuned_is_the_user_s_to_change_and_what_makes_it_right_is_not() {
    let properties = [
        ("consumer.fetch.wait.max.ms", "77"),
        ("consumer.enable.auto.commit", "true"),
        ("consumer.enable.auto.offset.store", "true"),
        ("producer.linger.ms", "3"),
    ];
    let consumer = consumer(&settings(&properties), 1 << 20);
    let of = |property: &str| in_force(&consumer, property);
    assert_eq!(of("fetch.wait.max.ms"), "77");
    // The ledger says where to go on. Offsets that librdkafka commits by itself would say that nothing is left to do.
    assert_eq!([of("enable.auto.commit"), of("enable.auto.offset.store")], ["false", "false"]);
    assert_eq!(of("partition.assignment.strategy"), "cooperative-sticky");
    consumer.close().await;
}
