use super::*;

fn policy() -> RolloutPolicy {
    RolloutPolicy {
        shadow_ms: 10_000,
        canary: vec![0.05, 0.25],
        step_ms: 5_000,
        min_rows: 50,
        patience_ms: 60_000,
        probation_ms: 100_000,
        max_failures: 0.01,
        max_slowdown: 3.0,
        margin: 0.02,
        confidence: 0.99,
    }
}

/// A challenger that does as well as the champion, `passed` milliseconds into a step.
fn good(place: Place, passed: i64) -> RolloutFacts {
    let side = |version| Side { version, requests: 400, failures: 0, p95_micros: 800.0 };
    RolloutFacts {
        place,
        since_ms: 1_000_000,
        now_ms: 1_000_000 + passed,
        challenger: side(4),
        champion: side(3),
        answered: 200,
        asked: 400,
        slow: 12,
        losses: vec![(0.0, 180), (1.0, 5), (-1.0, 6)],
        moved: Vec::new(),
    }
}

fn next(facts: &RolloutFacts) -> Option<Place> {
    match decide_rollout(facts, &policy()) {
        RolloutDecision::Next { to, .. } => Some(to),
        _ => None,
    }
}

fn stays(facts: &RolloutFacts) -> bool {
    matches!(decide_rollout(facts, &policy()), RolloutDecision::Stay { .. })
}

fn back(facts: &RolloutFacts) -> Option<String> {
    match decide_rollout(facts, &policy()) {
        RolloutDecision::RollBack { why } => Some(why),
        _ => None,
    }
}

#[test]
fn a_good_challenger_goes_through_every_step_to_the_end() {
    let mut place = policy().first();
    let mut seen = vec![place];
    while let Some(to) = next(&good(place, 10_000)) {
        place = to;
        seen.push(place);
    }
    let canary = |share| Place::Canary { share };
    assert_eq!(seen, [Place::Shadow, canary(0.05), canary(0.25), Place::Probation]);
    assert!(stays(&good(place, 99_999)));
    assert!(matches!(decide_rollout(&good(place, 100_000), &policy()), RolloutDecision::Done { .. }));
}

#[test]
fn without_shadow_and_shares_it_serves_at_once_on_probation() {
    let policy = RolloutPolicy { shadow_ms: 0, canary: Vec::new(), ..policy() };
    assert_eq!(policy.first(), Place::Probation);
    assert_eq!(RolloutPolicy { canary: vec![0.5], ..policy }.first(), Place::Canary { share: 0.5 });
}

#[test]
fn a_step_lasts_its_time_and_waits_for_rows_but_not_for_ever() {
    assert!(stays(&good(Place::Shadow, 9_999)));
    let few = |passed| RolloutFacts { answered: 49, ..good(Place::Shadow, passed) };
    assert!(stays(&few(59_999)));
    assert!(next(&few(60_000)).is_some());
    let nobody_asks = RolloutFacts { answered: 0, asked: 0, ..good(Place::Shadow, 60_000) };
    assert!(next(&nobody_asks).is_some());
}

#[test]
fn what_is_worse_goes_back_at_any_time() {
    for place in [Place::Shadow, Place::Canary { share: 0.05 }, Place::Probation] {
        let at = |spoil: fn(&mut RolloutFacts)| {
            let mut facts = good(place, 1);
            spoil(&mut facts);
            back(&facts).unwrap_or_default()
        };
        assert!(at(|it| it.challenger.failures = 20).contains("failed to answer 20 of 420 requests"));
        assert!(at(|it| it.slow = 90).contains("90 of 400 answers of version 4"));
        assert!(at(|it| it.losses = vec![(1.0, 30), (0.0, 60), (-1.0, 1)]).contains("on 91 requests with labels"));
        assert!(at(|_| {}).is_empty());
    }
}

#[test]
fn what_is_wrong_with_everybody_is_not_the_challengers_fault() {
    let mut facts = good(Place::Shadow, 1);
    (facts.challenger.failures, facts.champion.failures) = (40, 40);
    assert!(stays(&facts));
}

#[test]
fn a_few_rows_prove_nothing() {
    let mut facts = good(Place::Shadow, 1);
    (facts.challenger.requests, facts.challenger.failures) = (1, 1);
    facts.losses = vec![(1.0, 5)];
    facts.slow = 1;
    assert!(stays(&facts));
}

#[test]
fn answers_that_moved_stop_it_at_the_end_of_a_step_and_on_probation_at_once() {
    let moved = |place, passed| RolloutFacts { moved: vec!["@prediction moved".to_owned()], ..good(place, passed) };
    assert!(stays(&moved(Place::Shadow, 1)));
    assert_eq!(back(&moved(Place::Shadow, 10_000)).as_deref(), Some("@prediction moved"));
    assert_eq!(back(&moved(Place::Probation, 1)).as_deref(), Some("@prediction moved"));
}

#[test]
fn one_that_no_gateway_can_load_goes_back() {
    for (place, passed) in [(Place::Canary { share: 0.05 }, 60_000), (Place::Probation, 100_000)] {
        let silent = RolloutFacts { answered: 0, ..good(place, passed) };
        assert!(back(&silent).is_some_and(|why| why.contains("answered none of 400 rows")));
    }
    let early = RolloutFacts { answered: 0, ..good(Place::Canary { share: 0.05 }, 4_999) };
    assert!(stays(&early));
}

#[test]
fn what_is_kept_decides_the_same_again() {
    for (place, passed) in [(Place::Shadow, 1), (Place::Canary { share: 0.05 }, 7_000), (Place::Probation, 100_000)] {
        let decided = RolloutDecided::of(good(place, passed), &policy());
        let back: RolloutDecided = serde_json::from_str(&serde_json::to_string(&decided).unwrap()).unwrap();
        assert_eq!((back.replay(), &back), (decided.decision.clone(), &decided));
    }
}
