//! Splits in time: train on the past, test on what came after (rolling origin; Tashman, "Out-of-sample tests of forecasting
//! accuracy", 2000).

use serde::{Deserialize, Serialize};

use super::{Error, TrainTest};

/// Which past is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All of it, at least so many points in time.
    Expanding(usize),
    /// The last so many points in time.
    Sliding(usize),
}

/// How the origin, the end of what is trained on, rolls through a series. All lengths are points in time.
///
/// ```text
/// Sliding(4), gap 1, horizon 2, step 2     T trained on, . gap, ? tested on
/// TTTT.??
///   TTTT.??
///     TTTT.??
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollingOrigin {
    /// What is trained on.
    pub window: Window,
    /// Points tested on after the gap, at least 1.
    pub horizon: usize,
    /// Points from one origin to the next, at least 1; with `horizon`, no point is tested on twice.
    pub step: usize,
    /// Points left out between training and test: those whose labels are not known yet when the model is asked.
    #[serde(default)]
    pub gap: usize,
}

/// The splits of rows `0..rows` in order of time, one row a point; the first origin comes first. A horizon that the series
/// does not fill any more is left out.
///
/// # Errors
/// [`Error::Lengths`] for lengths of zero, [`Error::Series`] when not even one split fits.
pub fn rolling_origin(rows: usize, rolling: &RollingOrigin) -> Result<Vec<TrainTest>, Error> {
    let spans = spans(rows, rolling)?;
    Ok(spans.map(|(train, test)| TrainTest { train: train.collect(), test: test.collect() }).collect())
}

/// The same for rows in any order, of which several may have one time (many series, or events): points are the distinct
/// `times`, and rows of one time stay together.
///
/// # Errors
/// As [`rolling_origin`].
pub fn rolling_origin_by_time(times: &[i64], rolling: &RollingOrigin) -> Result<Vec<TrainTest>, Error> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|&row| times[row]);
    let points: Vec<&[usize]> = order.chunk_by(|a, b| times[*a] == times[*b]).collect();
    let rows = |points: &[&[usize]]| {
        let mut rows = points.concat();
        rows.sort_unstable();
        rows
    };
    let spans = spans(points.len(), rolling)?;
    Ok(spans.map(|(train, test)| TrainTest { train: rows(&points[train]), test: rows(&points[test]) }).collect())
}

type Span = std::ops::Range<usize>;

/// Half-open spans of points to train on and to test on.
fn spans(points: usize, rolling: &RollingOrigin) -> Result<impl Iterator<Item = (Span, Span)>, Error> {
    let RollingOrigin { window, horizon, step, gap } = *rolling;
    let (Window::Expanding(shortest) | Window::Sliding(shortest)) = window;
    if shortest == 0 || horizon == 0 || step == 0 {
        return Err(Error::Lengths { window: shortest, horizon, step });
    }
    let needed = shortest.saturating_add(gap).saturating_add(horizon);
    if points < needed {
        return Err(Error::Series { points, needed });
    }
    Ok((shortest..=points - gap - horizon).step_by(step).map(move |origin| {
        let start = if matches!(window, Window::Sliding(_)) { origin - shortest } else { 0 };
        (start..origin, origin + gap..origin + gap + horizon)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLIDING: RollingOrigin = RollingOrigin { window: Window::Sliding(4), horizon: 2, step: 2, gap: 1 };

    #[test]
    fn a_sliding_window_keeps_its_length_and_its_gap() {
        let splits = rolling_origin(12, &SLIDING).unwrap();
        assert_eq!(splits.len(), 3);
        assert_eq!(splits[0], TrainTest { train: vec![0, 1, 2, 3], test: vec![5, 6] });
        assert_eq!(splits[2], TrainTest { train: vec![4, 5, 6, 7], test: vec![9, 10] });
    }

    #[test]
    fn an_expanding_window_keeps_the_whole_past_and_tests_each_row_once() {
        let rolling = RollingOrigin { window: Window::Expanding(10), horizon: 3, step: 3, gap: 0 };
        let splits = rolling_origin(100, &rolling).unwrap();
        assert!(splits.iter().all(|split| split.train == (0..split.test[0]).collect::<Vec<_>>()));
        let tested: Vec<usize> = splits.into_iter().flat_map(|split| split.test).collect();
        assert_eq!(tested, (10..100).collect::<Vec<_>>());
    }

    #[test]
    fn no_future_is_trained_on_whatever_the_lengths() {
        let times: Vec<i64> = (0..120).map(|row| (row * 37 % 41) / 2).collect();
        for window in [Window::Expanding(3), Window::Sliding(3), Window::Sliding(1)] {
            for (horizon, step, gap) in [(1, 1, 0), (2, 1, 1), (3, 5, 2), (4, 2, 0)] {
                let rolling = RollingOrigin { window, horizon, step, gap };
                let splits = rolling_origin_by_time(&times, &rolling).unwrap();
                assert!(!splits.is_empty());
                for split in splits {
                    let latest = split.train.iter().map(|&row| times[row]).max().unwrap();
                    let earliest = split.test.iter().map(|&row| times[row]).min().unwrap();
                    // Times are consecutive numbers here, so a gap in points is one in time.
                    assert_eq!(earliest - latest, gap as i64 + 1);
                    let tested: std::collections::BTreeSet<i64> = split.test.iter().map(|&row| times[row]).collect();
                    assert_eq!(tested.len(), horizon);
                    let all_of_them = times.iter().filter(|time| tested.contains(time)).count();
                    assert_eq!(split.test.len(), all_of_them, "rows of one time stay together");
                }
            }
        }
    }

    #[test]
    fn rows_in_order_of_time_are_the_simple_case() {
        let times: Vec<i64> = (0..12).map(|row| row * 100).collect();
        assert_eq!(rolling_origin_by_time(&times, &SLIDING), rolling_origin(12, &SLIDING));
    }

    #[test]
    fn impossible_splits_are_named() {
        assert_eq!(rolling_origin(6, &SLIDING), Err(Error::Series { points: 6, needed: 7 }));
        assert_eq!(rolling_origin(7, &SLIDING).unwrap().len(), 1);
        let endless = RollingOrigin { step: 0, ..SLIDING };
        assert_eq!(rolling_origin(9, &endless), Err(Error::Lengths { window: 4, horizon: 2, step: 0 }));
        let vast = RollingOrigin { gap: usize::MAX, ..SLIDING };
        assert!(rolling_origin(9, &vast).is_err());
    }
}
