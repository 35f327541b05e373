//! Rounds against an API that answers what a test scripts, on a clock that stands still.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftmill_platform::clock::{ManualClock, SharedClock};
use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::record::{RecordSchema, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Answer, Request, Transport, Validators};
use super::failure::Failure;
use super::poller::Poller;
use crate::progress::Progress;
use crate::source::{Content, Fingerprint, Identity, Item, Live, Opening, Position};
use crate::surroundings::Surroundings;

type Script = Arc<Mutex<VecDeque<Result<Answer, Failure>>>>;

/// Answers in the order of the script, and notes what it was asked for and when.
#[derive(Clone, Default)]
struct Api {
    script: Script,
    asked: Arc<Mutex<Vec<(Instant, Request)>>>,
}

impl Api {
    fn says(self, body: &str) -> Self {
        self.answers(Ok(Answer { body: body.as_bytes().to_vec(), ..Answer::default() }))
    }

    fn answers(self, answer: Result<Answer, Failure>) -> Self {
        self.script.lock().unwrap().push_back(answer);
        self
    }

    fn queries(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(_, r)| r.url.query().unwrap_or_default().to_owned()).collect()
    }

    /// Seconds from one request to the next.
    fn pauses(&self) -> Vec<f64> {
        self.asked.lock().unwrap().windows(2).map(|w| (w[1].0 - w[0].0).as_secs_f64()).collect()
    }
}

impl Transport for Api {
    async fn get(&self, request: Request) -> Result<Answer, Failure> {
        self.asked.lock().unwrap().push((Instant::now(), request));
        let next = self.script.lock().unwrap().pop_front();
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    fn secret(&self) -> bool {
        false
    }
}

/// What a killed run leaves: what is acknowledged.
#[derive(Clone, Default)]
struct Left {
    state: Option<Arc<str>>,
    known: BTreeSet<Fingerprint>,
    sequence: u64,
}

impl Left {
    fn acknowledge(&mut self, item: Item) {
        if let Identity::Hash(one) = item.identity() {
            self.known.insert(one);
        }
        self.sequence = item.next.sequence;
        let more = *item.more.unwrap();
        self.state = more.state.or(self.state.take());
        more.forget.iter().for_each(|one| assert!(self.known.remove(one)));
    }
}

fn poller(api: &Api, declared: &str, left: &Left) -> (Poller<Api>, watch::Receiver<Progress>) {
    let schema = RecordSchema::parse(
        r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"x","type":["null","double"]}]}"#,
    )
    .unwrap();
    let declared = serde_json::from_str(&format!(r#"{{"url":"http://h/rows"{declared}}}"#)).unwrap();
    let (progress, seen) = watch::channel(Progress::default());
    let clock: SharedClock = Arc::new(ManualClock::at(0));
    let live = Live {
        runtime: Handle::current(),
        cancel: CancellationToken::new(),
        progress,
        clock,
        framing: SchemaRef::Fingerprint(0),
        around: Surroundings::default(),
    };
    let opening = Opening {
        position: Position { sequence: left.sequence, ..Position::default() },
        state: left.state.clone(),
        places: BTreeMap::new(),
        known: left.known.clone(),
        live,
    };
    (Poller::new(api.clone(), ("p", "s"), &declared, &schema, opening).unwrap(), seen)
}

/// Fills until the script is over, and returns the ids of the records; what comes is acknowledged.
async fn run(poller: &mut Poller<Api>, left: &mut Left) -> Vec<i64> {
    let mut ids = Vec::new();
    while let Ok(items) = tokio::time::timeout(Duration::from_secs(86_400), poller.fill()).await {
        let items = items.unwrap();
        if items.is_empty() {
            break;
        }
        for item in items {
            if let Content::Record(record) = &item.content {
                let Value::Long(id) = record.values[0] else { panic!() };
                ids.push(id);
            }
            left.acknowledge(item);
        }
    }
    ids
}

fn rows(ids: std::ops::Range<u64>) -> String {
    let rows: Vec<_> = ids.map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    format!("[{}]", rows.join(","))
}

const EVERY: &str = r#","every":10"#;

#[tokio::test(start_paused = true)]
async fn rows_that_are_answered_again_are_not_yielded_again() {
    let api = Api::default().says(&rows(0..3)).says(&rows(1..5)).says(&rows(0..6));
    let mut left = Left::default();
    let (mut poller, progress) = poller(&api, EVERY, &left);
    assert_eq!(run(&mut poller, &mut left).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(api.pauses()[..2], [10.0, 10.0]);
    assert_eq!((progress.borrow().polls, progress.borrow().failed_polls, left.sequence), (3, 0, 6));
}

#[tokio::test(start_paused = true)]
async fn a_key_tells_rows_apart_and_a_bad_row_is_one_item() {
    let api = Api::default()
        .says(r#"[{"id":1,"x":1},{"id":2,"x":1},{"id":"a"}]"#)
        .says(r#"[{"id":1,"x":2},{"id":3,"x":1},{"id":"a"},{"id":"b"}]"#);
    let mut left = Left::default();
    let (mut poller, _) = poller(&api, r#","every":10,"key":["id"]"#, &left);
    assert_eq!(run(&mut poller, &mut left).await, [1, 2, 3]);
    assert_eq!(left.sequence, 5);
}

#[tokio::test(start_paused = true)]
async fn wherever_a_run_is_killed_the_next_yields_the_rest() {
    let pages = |api: Api| {
        api.says(r#"{"rows":[{"id":0},{"id":1}],"next":"b"}"#)
            .says(r#"{"rows":[{"id":2},{"id":3}],"next":"c"}"#)
            .says(r#"{"rows":[{"id":4}],"next":null}"#)
    };
    let declared = r#","records":"/rows","paging":{"cursor":{"pointer":"/next","parameter":"at"}}"#;
    for killed_after in 0..=6 {
        let (api, mut left, mut ids) = (pages(Api::default()), Left::default(), Vec::new());
        let (mut first, _) = poller(&api, declared, &left);
        let mut acknowledged = 0;
        'run: loop {
            let items = first.fill().await.unwrap();
            if items.is_empty() {
                break;
            }
            for item in items {
                if acknowledged == killed_after {
                    break 'run;
                }
                acknowledged += 1;
                if let Content::Record(record) = &item.content {
                    ids.push(record.values[0].clone());
                }
                left.acknowledge(item);
            }
        }
        let api = pages(Api::default());
        let (mut second, _) = poller(&api, declared, &left);
        let rest = run(&mut second, &mut left).await;
        ids.extend(rest.into_iter().map(Value::Long));
        assert_eq!(ids, (0..5).map(Value::Long).collect::<Vec<_>>(), "killed after {killed_after}");
        assert_eq!(api.queries(), ["", "at=b", "at=c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_did_not_change_is_asked_for_by_its_validators() {
    let validators = Validators { etag: Some("\"a\"".to_owned()), last_modified: Some("then".to_owned()) };
    let named = Answer { validators: validators.clone(), body: rows(0..2).into_bytes(), ..Answer::default() };
    let unchanged = Answer { unchanged: true, ..Answer::default() };
    let api = Api::default().answers(Ok(named)).answers(Ok(unchanged.clone()));
    let mut left = Left::default();
    let (mut first, _) = poller(&api, EVERY, &left);
    assert_eq!(run(&mut first, &mut left).await, [0, 1]);
    // The next process knows them, too; what has changed has none any more.
    let later = Api::default().answers(Ok(unchanged)).says(&rows(0..3)).says(&rows(0..4));
    let (mut second, _) = poller(&later, EVERY, &left);
    assert_eq!(run(&mut second, &mut left).await, [2, 3]);
    let known = |api: &Api| api.asked.lock().unwrap().iter().map(|(_, r)| r.known.clone()).collect::<Vec<_>>();
    assert_eq!(known(&api)[..2], [Validators::default(), validators.clone()]);
    assert_eq!(known(&later)[..3], [validators.clone(), validators, Validators::default()]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_and_tried_again_with_growing_pauses() {
    let busy = Failure::Status { status: 503, retry_after: Some(Duration::from_secs(33)) };
    let api = Api::default()
        .answers(Err(Failure::TimedOut(Duration::from_secs(1))))
        .says("<html>")
        .answers(Err(Failure::Status { status: 500, retry_after: None }))
        .answers(Err(busy))
        .says(&rows(0..2))
        .answers(Err(Failure::Unreachable("refused".to_owned())))
        .says(&rows(0..3));
    let mut left = Left::default();
    let (mut poller, progress) = poller(&api, EVERY, &left);
    assert_eq!(run(&mut poller, &mut left).await, [0, 1, 2]);
    assert_eq!((progress.borrow().polls, progress.borrow().failed_polls), (7, 5));
    let pauses = api.pauses();
    for (pause, range) in pauses.iter().zip([0.5..=1.0, 1.0..=2.0, 2.0..=4.0, 33.0..=33.01]) {
        assert!(range.contains(pause), "{pauses:?}");
    }
    assert!((0.5..=1.01).contains(&pauses[5]), "after an answer they begin anew: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_refused_sends_the_round_back_to_its_beginning() {
    let declared = r#","every":10,"paging":{"page":{"parameter":"p"}}"#;
    let api = Api::default()
        .says(&rows(0..2))
        .answers(Err(Failure::Status { status: 502, retry_after: None }))
        .answers(Err(Failure::Status { status: 410, retry_after: None }))
        .says(&rows(0..3))
        .says(&rows(3..4))
        .says("[]");
    let mut left = Left::default();
    let (mut poller, _) = poller(&api, declared, &left);
    assert_eq!(run(&mut poller, &mut left).await, [0, 1, 2, 3]);
    assert_eq!(api.queries()[..6], ["p=1", "p=2", "p=2", "p=1", "p=2", "p=3"]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_asks_for_what_is_new_and_remembers_only_what_lies_at_it() {
    let declared = r#","every":10,"cursor":{"field":"id","parameter":"since","start":"0"}"#;
    let twice = r#"[{"id":3,"x":1},{"id":3,"x":2},{"id":5},{"id":5,"x":1}]"#;
    let api = Api::default().says(&rows(0..4)).says(twice).says(r#"[{"id":1},{"id":5}]"#);
    let mut left = Left::default();
    let (mut first, _) = poller(&api, declared, &left);
    assert_eq!(run(&mut first, &mut left).await, [0, 1, 2, 3, 3, 3, 5, 5]);
    assert_eq!(api.queries()[..3], ["since=0", "since=3", "since=5"]);
    assert_eq!(left.known.len(), 2);
    let api = Api::default().says(r#"[{"id":5},{"id":5,"x":2},{"id":6}]"#);
    let (mut second, _) = poller(&api, declared, &left);
    assert_eq!(run(&mut second, &mut left).await, [5, 6]);
    // Of the other row at 5 it is not known yet that nothing before it will come.
    assert_eq!((api.queries()[0].as_str(), left.known.len()), ("since=5", 2));
}

#[tokio::test(start_paused = true)]
async fn rows_in_the_order_of_the_cursor_make_rounds_of_any_length() {
    let declared = r#","every":10,"window":4,"cursor":{"field":"id","parameter":"since","ordered":true},
        "paging":{"page":{"parameter":"p"}}"#;
    let pages = |api: Api, from: u64| (from..10).fold(api, |api, n| api.says(&rows(n * 3..n * 3 + 3))).says("[]");
    let (api, mut left) = (pages(Api::default(), 0), Left::default());
    let (mut first, _) = poller(&api, declared, &left);
    assert_eq!(run(&mut first, &mut left).await, (0..30).collect::<Vec<_>>());
    assert_eq!(left.known.len(), 1);
    let api = Api::default().says(r#"[{"id":31},{"id":30}]"#);
    let (mut second, progress) = poller(&api, declared, &left);
    assert!(run(&mut second, &mut left).await.is_empty());
    assert_eq!(progress.borrow().failed_polls, 1);
}

#[tokio::test(start_paused = true)]
async fn rows_sent_ahead_of_the_cursor_are_remembered_until_it_has_passed_them() {
    let declared = r#","every":10,"cursor":{"field":"id","parameter":"since","ordered":true}"#;
    let api = Api::default().says(&rows(0..3)).says(&rows(2..5)).says(&rows(4..7));
    let (mut left, mut killed) = (Left::default(), Left::default());
    let (mut first, _) = poller(&api, declared, &left);
    assert_eq!(run(&mut first, &mut left).await.len(), 7);
    // All of them arrived but two, and no checkpoint knows of it.
    let (mut again, _) = poller(&Api::default().says(&rows(0..7)), declared, &killed);
    for item in again.fill().await.unwrap() {
        if let (Identity::Hash(one), false) = (item.identity(), [1, 4].contains(&item.sequence)) {
            killed.known.insert(one);
        }
    }
    let api = Api::default().says(&rows(0..3)).says(&rows(2..5)).says(&rows(4..7)).says(&rows(6..7)).says(&rows(6..9));
    let (mut second, _) = poller(&api, declared, &killed);
    assert_eq!(run(&mut second, &mut killed).await, [1, 4, 7, 8]);
    assert_eq!(killed.known.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_longer_than_the_memory_fails_and_says_so() {
    let api = Api::default().says(&rows(0..5)).says(&rows(0..4));
    let mut left = Left::default();
    let (mut poller, progress) = poller(&api, r#","every":10,"window":4"#, &left);
    assert_eq!(run(&mut poller, &mut left).await, [0, 1, 2, 3]);
    assert_eq!(progress.borrow().failed_polls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_asks_once_ends_or_gives_up() {
    let (api, mut left) = (Api::default().says(&rows(0..2)), Left::default());
    let (mut poller_once, _) = poller(&api, "", &left);
    assert_eq!(run(&mut poller_once, &mut left).await, [0, 1]);
    let refused = || Err(Failure::Status { status: 404, retry_after: None });
    let api = (0..8).fold(Api::default(), |api, _| api.answers(refused()));
    let (mut poller, _) = poller(&api, "", &left);
    let error = poller.fill().await.unwrap_err().to_string();
    assert!(error.contains("http://h/rows") && error.contains("404") && error.contains("try 8"), "{error}");
}
