//! Messages by the hundred: a call of librdkafka that the Rust client does not offer, several times cheaper than one poll a
//! message. The partitions' queues are led into one of ours; the consumer's own queue is left with rebalances and errors.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use super::context::Context;
use crate::kafka::{EndsInTime, Headers};

/// Messages taken with one call.
const RUN: usize = 512;

/// A queue of librdkafka's. It must not outlive its client.
pub(super) struct Queue(*mut sys::rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used by any thread, by several at once.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

/// The partitions' messages, in order within each partition.
pub(super) struct Bulk {
    /// Taken from the queue and not yet handed out, the next one last.
    pending: Vec<Received>,
    queue: Arc<Queue>,
    /// Last: it must outlive the queue and the messages.
    _consumer: Arc<EndsInTime<BaseConsumer<Context>>>,
}

// SAFETY: librdkafka's messages may be used by any thread, and these are used by one at a time.
unsafe impl Send for Bulk {}

/// A message of librdkafka, given back to it when dropped. It must not outlive its `Bulk`.
pub(super) struct Received(*mut sys::rd_kafka_message_t);

impl Drop for Received {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_consume_batch_queue`, and this is the only owner.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

impl Queue {
    /// Leads the messages of a partition here, for good. To be called before the partition is assigned: what came before
    /// would wait in the consumer's own queue and be overtaken.
    pub(super) fn lead(&self, consumer: &BaseConsumer<Context>, topic: &str, partition: i32) {
        // A topic's name has no zero byte: the broker would not have it.
        let Ok(topic) = CString::new(topic) else { return };
        // SAFETY: client and queue are alive; the partition's handle is released as its documentation asks, which leaves
        // the forwarding in force.
        unsafe {
            let client = consumer.client().native_ptr();
            let source = sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if !source.is_null() {
                sys::rd_kafka_queue_forward(source, self.0);
                sys::rd_kafka_queue_destroy(source);
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: nobody has the pointer any more; what is still led here is thrown away by librdkafka.
        unsafe { sys::rd_kafka_queue_destroy(self.0) };
    }
}

impl Bulk {
    pub(super) fn new(consumer: Arc<EndsInTime<BaseConsumer<Context>>>) -> Self {
        // SAFETY: the client is alive, here and as long as `_consumer` is.
        let queue = Queue(unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) });
        Self { pending: Vec::with_capacity(RUN), queue: Arc::new(queue), _consumer: consumer }
    }

    /// Where messages are to be led.
    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Forgets what was taken of `partitions` and not yet handed out: they are read anew, or by somebody else.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.pending.retain(|message| !partitions.contains(&message.partition()));
    }

    /// The next message, for which it waits a while; or an error of a partition.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Result<Received, KafkaError>> {
        if self.pending.is_empty() {
            self.take(Duration::ZERO, RUN);
            // With a time to wait, the call would wait for as many as fit.
            if self.pending.is_empty() && !wait.is_zero() {
                self.take(wait, 1);
            }
            self.pending.reverse();
        }
        let message = self.pending.pop()?;
        match message.fault() {
            None => Some(Ok(message)),
            Some(error) => Some(Err(error)),
        }
    }

    fn take(&mut self, wait: Duration, most: usize) {
        let mut messages = [ptr::null_mut(); RUN];
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the array has room for `most` pointers; those that are filled in are ours from then on.
        let taken = unsafe {
            sys::rd_kafka_consume_batch_queue(self.queue.0, wait, messages.as_mut_ptr(), most.min(messages.len()))
        };
        let taken = usize::try_from(taken).unwrap_or(0);
        self.pending.extend(messages[..taken].iter().map(|&message| Received(message)));
    }
}

impl Received {
    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: valid until it is destroyed, which only `drop` does; nobody writes to it meanwhile.
        unsafe { &*self.0 }
    }

    pub(super) fn partition(&self) -> i32 {
        self.get().partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.get().offset
    }

    /// Milliseconds since 1970 UTC; 0 where there is none.
    pub(super) fn timestamp(&self) -> i64 {
        // SAFETY: the message is valid, and the kind of timestamp may be left out.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(self.0, ptr::null_mut()) };
        timestamp.max(0)
    }

    /// Empty for a tombstone.
    pub(super) fn payload(&self) -> &[u8] {
        // SAFETY: so many bytes are there for as long as the message is, which is borrowed here.
        unsafe { slice(self.get().payload, self.get().len) }
    }

    pub(super) fn headers(&self) -> Headers {
        let mut found = Headers::new();
        let mut headers = ptr::null_mut();
        // SAFETY: the headers belong to the message; names end with a zero byte and values have the length given.
        unsafe {
            if sys::rd_kafka_message_headers(self.0, &mut headers) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return found;
            }
            let (mut name, mut value, mut len): (*const c_char, *const c_void, usize) = (ptr::null(), ptr::null(), 0);
            while sys::rd_kafka_header_get_all(headers, found.len(), &mut name, &mut value, &mut len)
                == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                let key = CStr::from_ptr(name).to_string_lossy().into_owned();
                found.push((key, slice(value, len).to_vec()));
            }
        }
        found
    }

    fn fault(&self) -> Option<KafkaError> {
        let code = self.get().err;
        (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| KafkaError::MessageConsumption(code.into()))
    }
}

/// Bytes of librdkafka's; none where there is no pointer.
///
/// # Safety
/// `len` bytes must be readable from `start` on for all of `'a`, unless it is null.
unsafe fn slice<'a>(start: *const c_void, len: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(start.cast(), len) }
}
