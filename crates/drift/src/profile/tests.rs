use super::*;
use crate::testing::Lcg;

fn layout() -> Arc<Layout> {
    let mut random = Lcg::new(1);
    let (x, y) = (random.normals(3_000, 0.0, 1.0), vec![2.0; 3_000]);
    Layout::of(&[("x", &x), ("constant", &y)])
}

#[test]
fn every_row_is_counted_once_in_a_bin_or_as_missing() {
    let layout = layout();
    let mut profile = Profile::new(&layout);
    let x = [0.1, f64::NAN, -99.0, 99.0, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    profile.observe_batch(7, &[("x", &x)]).unwrap();
    assert_eq!(profile.rows(), 7);
    assert_eq!((profile.feature(0).missing(), profile.below(0), profile.above(0)), (1, 2, 2));
    assert_eq!(profile.feature(0).counts().iter().sum::<u32>(), 6);
    // A column the batch lacks is missing in every row.
    assert_eq!((profile.feature(1).missing(), profile.feature(1).values()), (7, 0));
}

#[test]
fn merging_is_addition_in_any_order() {
    let layout = layout();
    let mut random = Lcg::new(2);
    let parts: Vec<Vec<f64>> = (0..8).map(|i| random.normals(100 * i, 0.2, 1.5)).collect();
    let merged = |order: &[usize]| {
        let mut whole = Profile::new(&layout);
        for &part in order {
            let mut profile = Profile::new(&layout);
            profile.observe("x", &parts[part]).unwrap();
            profile.observe("constant", &parts[part]).unwrap();
            whole.merge(&profile).unwrap();
        }
        whole.to_json()
    };
    let all = parts.concat();
    let mut direct = Profile::new(&layout);
    direct.observe_batch(all.len(), &[("constant", &all), ("x", &all)]).unwrap();
    assert_eq!(merged(&[0, 1, 2, 3, 4, 5, 6, 7]), direct.to_json());
    assert_eq!(merged(&[6, 1, 7, 3, 0, 5, 4, 2]), direct.to_json());
}

#[test]
fn the_stored_form_is_sparse_and_comes_back_equal() {
    let layout = layout();
    let mut profile = Profile::new(&layout);
    profile.observe_batch(3, &[("x", &[f64::NAN, 99.0, 99.0]), ("constant", &[2.0, 2.0, 3.0])]).unwrap();
    let json = profile.to_json();
    let last = layout.feature(0).reference().counts.len() - 1;
    assert_eq!(
        json,
        format!(
            r#"{{"rows":3,"features":{{"constant":{{"cells":[[1,2],[2,1]],"missing":0,"below":0,"above":1,"far":[[32784,1]]}},"x":{{"cells":[[{last},2]],"missing":1,"below":0,"above":2,"far":[[32945,2]]}}}}}}"#
        )
    );
    assert_eq!(Profile::from_json(&layout, &json).unwrap(), profile);
    let empty = Profile::new(&layout);
    assert_eq!(Profile::from_json(&layout, &empty.to_json()).unwrap(), empty);
}

#[test]
fn damaged_profiles_are_refused() {
    let layout = layout();
    let read = |json: &str| Profile::from_json(&layout, json).unwrap_err().to_string();
    let one = |cells: &str, missing: u32, rows: u64| {
        format!(
            r#"{{"rows":{rows},"features":{{"constant":{{"cells":{cells},"missing":{missing},"below":0,"above":0}}}}}}"#
        )
    };
    Profile::from_json(&layout, &one("[[1,2]]", 1, 3)).unwrap();
    for (json, says) in [
        (one("[[3,2]]", 1, 3), "a bin the reference does not have"),
        (one("[[1,1],[1,1]]", 1, 3), "not ascending"),
        (one("[[1,0]]", 1, 1), "above zero"),
        (one("[[1,2]]", 1, 4), "do not add up"),
        (one("[[0,2]]", 1, 3), "out-of-range"),
        (one("[[1,4294967295]]", 1, 4_294_967_296), "more rows"),
        (r#"{"rows":0,"features":{"z":{"cells":[],"missing":0,"below":0,"above":0}}}"#.into(), "no feature `z`"),
        ("{\"rows\":-1}".into(), "no stored profile"),
    ] {
        assert!(read(&json).contains(says), "{json}: {}", read(&json));
    }
}

#[test]
fn refused_batches_count_nothing() {
    let layout = layout();
    let mut profile = Profile::new(&layout);
    assert!(matches!(profile.observe("z", &[1.0]), Err(Error::UnknownFeature(_))));
    assert!(matches!(profile.observe_batch(2, &[("x", &[1.0])]), Err(Error::UnequalLengths { .. })));
    assert!(profile.observe_batch(1, &[("x", &[1.0]), ("x", &[1.0])]).is_err());
    let other = Profile::new(&Layout::of(&[("x", &[1.0, 2.0])]));
    assert!(matches!(profile.merge(&other), Err(Error::OtherReference { .. })));
    let full = r#"{"rows":4294967295,"features":{"x":{"cells":[],"missing":4294967295,"below":0,"above":0}}}"#;
    let full = Profile::from_json(&layout, full).unwrap();
    profile.merge(&full).unwrap();
    assert_eq!(profile.merge(&full), Err(Error::TooManyRows));
    assert_eq!(profile.observe("x", &[1.0]), Err(Error::TooManyRows));
    assert_eq!(profile.rows(), 4_294_967_295);
}
