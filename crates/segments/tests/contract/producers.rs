use std::collections::BTreeSet;

use nisshi_sans_io::ErrorCode;
use nisshi_storage::{ArcDynStorage, Topition};

use super::{code, read, sequenced, topic};

async fn producer(storage: &ArcDynStorage) -> i64 {
    let producer = storage.init_producer(None, 0, Some(-1), Some(-1)).await.unwrap();
    assert_eq!((producer.error, producer.epoch), (ErrorCode::None, 0));
    producer.id
}

pub(crate) async fn a_repeated_batch_is_stored_once(storage: &ArcDynStorage) {
    let topition = topic(storage, "repeated", 2, &[]).await;
    let id = producer(storage).await;
    for i in 0..7_i32 {
        let sent = sequenced(id, 0, i * 3, 3);
        assert_eq!(storage.produce(None, &topition, sent.clone()).await.unwrap(), i64::from(i) * 3);
        assert_eq!(storage.produce(None, &topition, sent).await.unwrap(), i64::from(i) * 3);
    }
    // Five may be in flight, and their order of arrival is not that of their departure.
    for i in 2..7_i32 {
        assert_eq!(storage.produce(None, &topition, sequenced(id, 0, i * 3, 3)).await.unwrap(), i64::from(i) * 3);
    }
    assert_eq!(read(storage, &topition, 0).await.len(), 21);
    // Each partition counts for itself.
    let other = Topition::new("repeated", 1);
    assert_eq!(storage.produce(None, &other, sequenced(id, 0, 0, 1)).await.unwrap(), 0);
}

pub(crate) async fn a_batch_out_of_order_is_refused(storage: &ArcDynStorage) {
    let topition = topic(storage, "order", 1, &[]).await;
    let id = producer(storage).await;
    let out_of_order = ErrorCode::OutOfOrderSequenceNumber;
    assert_eq!(code(storage.produce(None, &topition, sequenced(id, 0, 3, 1)).await), out_of_order);
    storage.produce(None, &topition, sequenced(id, 0, 0, 3)).await.unwrap();
    for (sequence, records) in [(4, 1), (0, 2), (1, 1)] {
        let refused = storage.produce(None, &topition, sequenced(id, 0, sequence, records)).await;
        assert_eq!(code(refused), out_of_order, "{sequence}");
    }
    assert_eq!(storage.produce(None, &topition, sequenced(id, 0, 3, 1)).await.unwrap(), 3);
    assert_eq!(read(storage, &topition, 0).await.len(), 4);
}

pub(crate) async fn a_new_epoch_replaces_the_old_one(storage: &ArcDynStorage) {
    let topition = topic(storage, "epochs", 1, &[]).await;
    let id = producer(storage).await;
    storage.produce(None, &topition, sequenced(id, 0, 0, 2)).await.unwrap();
    let refused = storage.produce(None, &topition, sequenced(id, 1, 2, 1)).await;
    assert_eq!(code(refused), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(storage.produce(None, &topition, sequenced(id, 1, 0, 1)).await.unwrap(), 2);
    let refused = storage.produce(None, &topition, sequenced(id, 0, 2, 1)).await;
    assert_eq!(code(refused), ErrorCode::ProducerFenced);
    assert_eq!(storage.produce(None, &topition, sequenced(id, 1, 1, 1)).await.unwrap(), 3);
}

pub(crate) async fn producer_ids_are_unique(storage: &ArcDynStorage) {
    let mut ids = BTreeSet::new();
    for _ in 0..2_500 {
        assert!(ids.insert(producer(storage).await));
    }
    assert!(ids.first() > Some(&-1));
    let half_a_claim = storage.init_producer(None, 0, Some(3), Some(-1)).await.unwrap();
    assert_eq!(half_a_claim.error, ErrorCode::InvalidRequest);
}
