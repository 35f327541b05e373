use super::*;
use crate::{PaneId, Profile, testing::Lcg};

fn layout() -> Arc<Layout> {
    let x: Vec<f64> = Lcg::new(1).take(2_000).collect();
    Layout::of(&[("x", &x)])
}

fn pane(layout: &Arc<Layout>, partition: i32, from_offset: i64, rows: i64, time: i64) -> Pane {
    let mut profile = Profile::new(layout);
    profile.observe("x", &vec![0.5; rows as usize]).unwrap();
    let id = PaneId { partition, from_offset, to_offset: from_offset + rows.max(1) };
    Pane { id, model_version: 1, profile, rejected: 0, max_event_time: time }
}

/// The rows of each window that panes of these sizes end, pane by pane.
fn rows(span: Span, sizes: &[i64]) -> Vec<Vec<u64>> {
    let layout = layout();
    let mut windows = Windows::new(span, &layout, 1, Position::default());
    let mut offset = 0;
    let mut ended = Vec::new();
    for size in sizes {
        let pane = pane(&layout, 0, offset, *size, 0);
        ended.push(windows.push(offset, pane).unwrap().iter().map(PaneSet::rows).collect());
        offset += size;
    }
    ended
}

#[test]
fn tumbling_windows_share_no_pane() {
    let none: Vec<u64> = vec![];
    assert_eq!(
        rows(Span::tumbling(100), &[60, 30, 30, 99, 1, 500]),
        [none.clone(), none.clone(), vec![120], none, vec![100], vec![500]]
    );
}

#[test]
fn sliding_windows_hold_the_newest_rows() {
    let none: Vec<u64> = vec![];
    let span = Span::Rows { rows: 100, step: 40 };
    // Not before the first window is full; then every 40 rows, with no more panes than 100 rows need.
    assert_eq!(
        rows(span, &[40, 40, 40, 20, 20, 5]),
        [none.clone(), none.clone(), vec![120], none.clone(), vec![120], none]
    );
}

#[test]
fn windows_of_time_end_when_later_events_come() {
    let layout = layout();
    let span = Span::Time { length: 100, step: 100, lateness: 10 };
    let mut windows = Windows::new(span, &layout, 1, Position::default());
    let mut push = |offset: i64, rows: i64, time: i64| -> Vec<u64> {
        windows.push(offset, pane(&layout, 0, offset, rows, time)).unwrap().iter().map(PaneSet::rows).collect()
    };
    assert!(push(0, 5, 130).is_empty());
    assert!(push(10, 5, 199).is_empty());
    // The next hour has begun, but late events may come …
    assert!(push(20, 7, 205).is_empty());
    assert!(push(30, 2, 198).is_empty());
    // … for so long; the window has those of its time.
    assert_eq!(push(40, 1, 210), [12]);
    // What is later still counts in the window that is open.
    assert!(push(50, 4, 150).is_empty());
    // Nothing happens for a long time: no windows of that.
    assert_eq!(push(60, 3, 9_050), [12]);
    assert_eq!(push(70, 1, 9_150), [3]);
}

#[test]
fn a_source_of_nothing_but_rejects_is_judged() {
    let layout = layout();
    let span = Span::Time { length: 100, step: 100, lateness: 0 };
    let mut windows = Windows::new(span, &layout, 1, Position::default());
    assert!(windows.push(0, pane(&layout, 0, 0, 5, 10)).unwrap().is_empty());
    let mut ended = Vec::new();
    for mark in 1..=200 {
        let pane = Pane { rejected: 3, ..pane(&layout, 0, mark * 10, 0, 0) };
        ended.extend(windows.push(mark, pane).unwrap());
    }
    let told: Vec<(u64, u64)> = ended.iter().map(|window| (window.rows(), window.rejected())).collect();
    assert_eq!(told, [(5, 192), (5, 192), (5, 192)]);
    assert!(windows.held.len() < 30, "{}", windows.held.len());
}

#[test]
fn nothing_is_said_twice_after_a_gap() {
    let layout = layout();
    let span = Span::Time { length: 1_000, step: 1, lateness: 0 };
    let mut windows = Windows::new(span, &layout, 1, Position::default());
    for mark in 0..5 {
        windows.push(mark, pane(&layout, 0, mark * 10, 2, mark)).unwrap();
    }
    assert_eq!(windows.push(5, pane(&layout, 0, 50, 2, 900)).unwrap().len(), 1);
    assert_eq!(windows.push(6, pane(&layout, 0, 60, 2, 86_400_000)).unwrap().len(), 1);
}

#[test]
fn sliding_windows_of_time_overlap() {
    let layout = layout();
    let span = Span::Time { length: 100, step: 50, lateness: 0 };
    let mut windows = Windows::new(span, &layout, 1, Position::default());
    let mut seen = Vec::new();
    for minute in 0..8 {
        let ended = windows.push(minute, pane(&layout, 0, minute * 10, 1 + minute, minute * 30)).unwrap();
        seen.extend(ended.iter().map(PaneSet::rows));
    }
    // Panes at 0, 30, 60, … 210 of 1, 2, 3, … 8 rows; windows end at 50, 100, 150, 200.
    assert_eq!(seen, [1 + 2, 1 + 2 + 3 + 4, 3 + 4 + 5, 5 + 6 + 7]);
}

#[test]
fn a_replayed_pane_counts_once() {
    let layout = layout();
    let mut windows = Windows::new(Span::tumbling(100), &layout, 1, Position::default());
    for _ in 0..5 {
        assert!(windows.push(7, pane(&layout, 0, 0, 60, 0)).unwrap().is_empty());
    }
    assert_eq!(windows.position().rows, 60);
    let ended = windows.push(8, pane(&layout, 0, 60, 40, 0)).unwrap();
    assert_eq!(ended.iter().map(PaneSet::rows).collect::<Vec<_>>(), [100]);
}

#[test]
fn it_goes_on_where_it_stopped() {
    let layout = layout();
    let mut random = Lcg::new(3);
    for span in
        [Span::tumbling(50), Span::Rows { rows: 50, step: 20 }, Span::Time { length: 60, step: 20, lateness: 5 }]
    {
        let panes: Vec<Pane> = (0..60)
            .scan(0, |offset, at| {
                let rows = 1 + (random.bits() % 12) as i64;
                *offset += rows;
                Some(pane(&layout, 0, *offset - rows, rows, at * 3))
            })
            .collect();
        let run = |windows: &mut Windows, panes: &[Pane], from: i64| -> Vec<_> {
            let sets =
                panes.iter().enumerate().flat_map(|(i, pane)| windows.push(from + i as i64, pane.clone()).unwrap());
            sets.map(|set| set.ranges()).collect()
        };
        let mut whole = Windows::new(span, &layout, 1, Position::default());
        let all = run(&mut whole, &panes, 0);
        assert!(all.len() > 3, "{span:?}");
        for stop in [1, 17, 30, 44] {
            let mut first = Windows::new(span, &layout, 1, Position::default());
            let mut seen = run(&mut first, &panes[..stop], 0);
            let mut second = Windows::new(span, &layout, 1, first.position());
            let from = first.oldest().unwrap_or(stop as i64);
            for (mark, pane) in panes.iter().enumerate().take(stop).skip(from as usize) {
                second.keep(mark as i64, pane.clone()).unwrap();
            }
            seen.extend(run(&mut second, &panes[stop..], stop as i64));
            assert_eq!(seen, all, "{span:?} stopped after {stop}");
        }
    }
}

#[test]
fn many_panes_are_joined_and_the_window_is_the_same() {
    let layout = layout();
    let mut random = Lcg::new(5);
    let spans = [
        Span::tumbling(3_000),
        Span::Rows { rows: 3_000, step: 1_000 },
        Span::Time { length: 900, step: 300, lateness: 7 },
    ];
    for span in spans {
        let mut windows = Windows::new(span, &layout, 1, Position::default());
        let (mut offsets, mut counted, mut most) = ([0i64; 3], Vec::new(), 0);
        for mark in 0..2_000 {
            let partition = (random.bits() % 3) as usize;
            let rows = 1 + (random.bits() % 9) as i64;
            let from = offsets[partition];
            offsets[partition] += rows;
            // Some come twice, long after they were joined.
            let (from, again) = if mark % 50 == 49 { ((from - 100).max(0), true) } else { (from, false) };
            let pane = pane(&layout, partition as i32, from, if again { 1 } else { rows }, mark * 2);
            if again {
                offsets[partition] -= rows;
            }
            for set in windows.push(mark, pane).unwrap() {
                counted.push((set.rows(), set.ranges()));
            }
            most = most.max(windows.held.len());
        }
        assert!(counted.len() > 2, "{span:?}");
        for (rows, ranges) in counted {
            let offsets: i64 = ranges.iter().map(|range| range.to_offset - range.from_offset).sum();
            assert_eq!(rows as i64, offsets, "{span:?}: every offset counts once");
        }
        // Of windows of rows that overlap, panes leave one by one.
        let one_by_one = matches!(span, Span::Rows { rows, step } if step < rows);
        assert!(one_by_one || most < 3 * KEPT_APART + 60, "{span:?} held {most} panes");
    }
}

#[test]
fn a_pane_that_does_not_fit_changes_nothing() {
    let layout = layout();
    let mut windows = Windows::new(Span::tumbling(10), &layout, 2, Position::default());
    assert!(windows.push(0, pane(&layout, 0, 0, 20, 0)).is_err());
    assert_eq!((windows.position(), windows.oldest()), (Position::default(), None));
}
