//! A proxy as the target of faults: one at a time.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::proxy::{Cut, Flow, Proxy, Weather};
use super::schedule::Action;

/// How long a cut waits for what it is about.
const AMBUSH: Duration = Duration::from_millis(1_500);

/// What connects a processor with one of the things it talks to.
pub struct Link {
    proxy: Proxy,
    busy: Mutex<()>,
}

impl Link {
    /// Through `proxy`.
    pub fn new(proxy: Proxy) -> Self {
        Self { proxy, busy: Mutex::default() }
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.proxy.port()
    }

    /// The proxy itself.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Does what `action` says, and returns when it is over.
    pub async fn suffer(&self, action: Action) {
        let _one_at_a_time = self.busy.lock().await;
        let fair = Weather::default();
        match action {
            Action::Reset => self.proxy.reset(),
            Action::Forget => self.proxy.forget(),
            Action::Cut { side, about, keep } => {
                self.proxy.arm(Cut { side, needle: about, keep });
                sleep(AMBUSH).await;
                self.proxy.disarm();
            }
            Action::Withhold { lasts } => self.during(Weather { answers: Flow::Hold, ..fair }, lasts).await,
            Action::Blackhole { lasts, closes } => {
                let nothing = Weather { requests: Flow::Hold, answers: Flow::Hold, refuses: false };
                self.proxy.set(nothing);
                sleep(lasts).await;
                if closes {
                    self.proxy.reset();
                }
                self.proxy.set(fair);
            }
            Action::Delay { by, lasts } => {
                let late = Flow::Delay(by);
                self.during(Weather { requests: late, answers: late, refuses: false }, lasts).await;
            }
            Action::Refuse { lasts } => {
                self.proxy.set(Weather { refuses: true, ..fair });
                self.proxy.reset();
                sleep(lasts).await;
                self.proxy.set(fair);
            }
            Action::Kill { .. } | Action::Stop { .. } => panic!("{action} is nothing that happens to a connection"),
        }
    }

    async fn during(&self, weather: Weather, lasts: Duration) {
        self.proxy.set(weather);
        sleep(lasts).await;
        self.proxy.set(Weather::default());
    }
}
