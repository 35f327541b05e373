//! The end of a client of librdkafka, waited for only so long.
//!
//! To let go of a client, librdkafka joins its threads, and those may wait for each other for ever, above all when a broker
//! went away a moment before (librdkafka issues 4519 and 5476, open in 2.12). A stage that is told to stop has to stop all the
//! same, so a client ends on a thread of its own, which is left behind when it takes too long.

use std::ops::Deref;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tracing::warn;

/// How long the end of a client is waited for. Leaving a group whose coordinator is away takes up to the session's ten seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client whose drop returns even if the client's never does.
#[derive(Debug)]
pub struct EndsInTime<T: Send + 'static> {
    client: Option<T>,
    patience: Duration,
}

impl<T: Send + 'static> EndsInTime<T> {
    /// Of this client.
    pub fn new(client: T) -> Self {
        Self { client: Some(client), patience: PATIENCE }
    }
}

impl<T: Send + 'static> Deref for EndsInTime<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "the client is taken out by `drop` alone, after which nothing is borrowed")]
    fn deref(&self) -> &T {
        self.client.as_ref().expect("a client until it is dropped")
    }
}

impl<T: Send + 'static> Drop for EndsInTime<T> {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let (ended, ending) = channel::<()>();
        // Should the system refuse the thread, the client is dropped with the closure, here.
        let started = thread::Builder::new().name("kafka-ending".to_owned()).spawn(move || {
            drop(client);
            drop(ended);
        });
        if started.is_ok() && ending.recv_timeout(self.patience) == Err(RecvTimeoutError::Timeout) {
            warn!(patience = ?self.patience, "librdkafka does not let go of a client; it is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};

    use super::*;

    /// A client whose end waits for a word, and is told.
    struct Stubborn(Receiver<()>, Sender<()>);

    impl Drop for Stubborn {
        fn drop(&mut self) {
            let _ = self.0.recv();
            let _ = self.1.send(());
        }
    }

    #[test]
    fn a_client_that_ends_has_ended_when_it_was_dropped() {
        let ((word, waits), (tells, told)) = (channel(), channel());
        drop(word);
        drop(EndsInTime::new(Stubborn(waits, tells)));
        assert_eq!(told.try_recv(), Ok(()));
    }

    #[test]
    fn one_that_does_not_end_is_left_behind() {
        let ((word, waits), (tells, told)) = (channel(), channel());
        drop(EndsInTime { client: Some(Stubborn(waits, tells)), patience: Duration::from_millis(10) });
        assert!(told.try_recv().is_err());
        // It ends by itself when it can.
        word.send(()).unwrap();
        told.recv().unwrap();
    }
}
