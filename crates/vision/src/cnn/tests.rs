#[cfg(feature = "gpu")]
mod gpu;

use std::ops::ControlFlow;

use super::*;
use crate::test_data;

const SIDE: usize = 16;

fn quick() -> CnnParams {
    CnnParams::default().epochs(2).batch_size(16).rotation(5.0).shift(0.05).zoom(0.05)
}

fn fit(params: &CnnParams, count: usize) -> Cnn {
    let (images, labels) = test_data::discs_and_rings(count, SIDE, 7);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    params.fit(&images, SIDE, &labels, 2, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_network_whatever_the_number_of_threads() {
    let first = fit(&quick().n_jobs(Some(1)), 40);
    for threads in [1, 2, 5] {
        assert!(first == fit(&quick().n_jobs(Some(threads)), 40), "{threads} threads");
    }
    assert_ne!(first, fit(&quick().seed(1), 40));
}

#[test]
fn shapes_are_learned() {
    let (images, labels) = test_data::discs_and_rings(40, SIDE, 99);
    let cnn = fit(&quick().epochs(30).start_from_epoch(25), 80);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let probabilities = cnn.predict_proba(&images, None).unwrap();
    let right = probabilities.chunks(2).zip(&labels).filter(|(row, label)| row[**label] > 0.5).count();
    assert!(right >= 36, "{right} of 40");
}

#[test]
fn an_image_has_the_same_probabilities_alone_and_in_a_batch() {
    let cnn = fit(&quick(), 20);
    let images: Vec<Vec<u8>> = (0..9).map(|seed| test_data::noise(SIDE, seed)).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let batch = cnn.predict_proba(&images, Some(3)).unwrap();
    for (image, row) in images.iter().zip(batch.chunks(2)) {
        let mut alone = [0.0; 2];
        cnn.predict_proba_into(image, &mut alone).unwrap();
        assert_eq!(alone, row);
        assert!((alone.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn an_image_and_its_mirror_image_have_the_same_probabilities_when_trained_with_both() {
    let cnn = fit(&quick(), 20);
    let image = test_data::noise(SIDE, 4);
    let mirrored: Vec<u8> = image.chunks(SIDE * 3).flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
    let predict = |pixels: &[u8]| cnn.predict_proba(&[pixels], None).unwrap();
    assert_eq!(predict(&image), predict(&mirrored));
}

#[test]
fn prediction_computes_what_training_computed() {
    // One shard without augmentation: the moments of the batch are those that prediction is given.
    let tensors = weights::initial(3, 5);
    let images: Vec<Vec<u8>> = (0..6).map(|seed| test_data::noise(20, seed)).collect();
    let pixels = images.iter().flat_map(|image| {
        let plane = |channel: usize| image.iter().skip(channel).step_by(3).map(|byte| inference::normalised(*byte));
        (0..3).flat_map(plane).collect::<Vec<f32>>()
    });
    let shard = gradient::Shard {
        images: 6,
        pixels: pixels.collect(),
        targets: [0.0, 1.0, 0.0].repeat(6),
        dropout: vec![1.0; 6 * 2 * weights::CHANNELS[3]],
    };
    let processor = Device::Cpu.open().unwrap();
    let gradient = gradient::gradient(&processor, &tensors, shard, 20, 3).unwrap();
    let cnn = weights::network(&tensors, &gradient.moments, 20, 3, false);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let loss: f64 = cnn.predict_proba(&images, None).unwrap().chunks(3).map(|row| -row[1].ln()).sum();
    assert!((loss - gradient.loss).abs() < 1e-3, "{loss} {}", gradient.loss);
    let shapes = weights::shapes(3);
    assert!(
        gradient.tensors.iter().zip(&shapes).all(|(tensor, shape)| tensor.len() == shape.iter().product::<usize>())
    );
}

#[test]
fn every_epoch_is_told_and_a_break_ends_the_training() {
    let (images, labels) = test_data::discs_and_rings(20, SIDE, 7);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let mut told = Vec::new();
    let mut observe = |epoch: &Epoch| {
        told.push(epoch.clone());
        if epoch.number == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    quick().epochs(9).fit(&images, SIDE, &labels, 2, &mut observe).unwrap();
    assert_eq!(told.iter().map(|epoch| epoch.number).collect::<Vec<_>>(), [1, 2]);
    assert!(told.iter().all(|epoch| epoch.train_loss > 0.0 && epoch.validation_loss.is_some_and(f64::is_finite)));
}

#[test]
fn training_ends_early_when_nothing_improves_and_never_when_nothing_is_held_out() {
    // Labels without any meaning: nothing that is learned helps with the images held out.
    let images: Vec<Vec<u8>> = (0..24).map(|seed| test_data::noise(SIDE, seed)).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let labels: Vec<usize> = (0..24).map(|index| index / 3 % 2).collect();
    let epochs = |params: CnnParams| {
        let mut last = None;
        params
            .fit(&images, SIDE, &labels, 2, &mut |epoch: &Epoch| {
                last = Some(epoch.clone());
                ControlFlow::Continue(())
            })
            .unwrap();
        last.unwrap()
    };
    let params = quick().epochs(30).learning_rate(0.01);
    assert!(epochs(params.clone().patience(Some(1)).start_from_epoch(1)).number < 30);
    let last = epochs(params.epochs(4).validation_fraction(0.0).patience(Some(1)).start_from_epoch(1));
    assert_eq!((last.number, last.validation_loss, last.validation_accuracy), (4, None, None));
}

#[test]
fn a_network_survives_being_written_and_read() {
    let cnn = fit(&quick().epochs(1), 20);
    let bytes = postcard::to_stdvec(&cnn).unwrap();
    let read: Cnn = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(read, cnn);
    read.validate().unwrap();
}

#[test]
fn a_decoded_network_that_cannot_predict_is_refused() {
    let cnn = fit(&quick().epochs(1), 20);
    let wrong: [fn(&mut Cnn); 9] = [
        |cnn| cnn.side = 0,
        |cnn| cnn.side = 1 << 40,
        |cnn| cnn.n_classes = 3,
        |cnn| cnn.convolutions.clear(),
        |cnn| cnn.convolutions[1].inputs = 7,
        |cnn| cnn.convolutions[2].weights.truncate(5),
        |cnn| cnn.convolutions.truncate(2),
        |cnn| cnn.head.bias.clear(),
        |cnn| cnn.head.weights[0] = f32::NAN,
    ];
    for (number, spoil) in wrong.into_iter().enumerate() {
        let mut cnn = cnn.clone();
        spoil(&mut cnn);
        assert!(cnn.validate().is_err(), "{number}");
    }
}

#[test]
fn pixels_and_outputs_of_another_length_are_told() {
    let cnn = fit(&quick().epochs(1), 20);
    let error = cnn.predict_proba_into(&[0; 5], &mut [0.0; 2]).unwrap_err().to_string();
    assert_eq!(error, "image 0 has 5 bytes of pixels; 16 x 16 RGB pixels are 768");
    let error = cnn.predict_proba_into(&[0; 768], &mut [0.0; 3]).unwrap_err().to_string();
    assert_eq!(error, "the model has 2 classes, the output buffer has 3 places");
    assert!(matches!(cnn.predict_proba(&[&[0; 768], &[0; 3]], None), Err(Error::Pixels { image: 1, .. })));
}

#[test]
fn images_held_out_by_the_caller_are_not_trained_on() {
    let (images, labels) = test_data::discs_and_rings(40, SIDE, 7);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let held_out = [3, 4, 5, 20, 39];
    let fit = |images: &[&[u8]], held_out: &[usize]| {
        let mut last = None;
        let cnn = quick().fit_holding_out(images, SIDE, &labels, 2, held_out, &mut |epoch: &Epoch| {
            last = epoch.validation_loss;
            ControlFlow::Continue(())
        });
        cnn.map(|cnn| (cnn, last))
    };
    let (first, score) = fit(&images, &held_out).unwrap();
    // Other pixels held out change what they score, and nothing of the network.
    let noise = test_data::noise(SIDE, 1);
    let mut changed = images.clone();
    held_out.iter().for_each(|&image| changed[image] = &noise);
    let (second, other) = fit(&changed, &held_out).unwrap();
    assert!(first == second && score.is_some() && score != other, "{score:?} {other:?}");
    assert_eq!(fit(&images, &[]).unwrap().1, None);
    assert_eq!(fit(&images, &[40]).unwrap_err().to_string(), "image 40 is to be held out, but there are 40 images");
    assert!(matches!(fit(&images, &(0..40).collect::<Vec<_>>()), Err(Error::TooFew(0))));
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_build_without_graphics_cards_says_how_to_make_one_with_them() {
    let params = quick().device(Device::Gpu);
    // Who does not train reads it all the same.
    params.check().unwrap();
    let images = [0, 1].map(|seed| test_data::noise(SIDE, seed));
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let error = params.fit(&images, SIDE, &[0, 1], 2, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(error.contains("cargo build --release --features gpu"), "{error}");
}

#[test]
fn data_that_do_not_go_together_are_told() {
    let image = test_data::noise(SIDE, 1);
    let images = [image.as_slice(); 4];
    let fit = |images: &[&[u8]], side, labels: &[usize], n_classes| {
        let observe = &mut |_: &Epoch| ControlFlow::Continue(());
        quick().fit(images, side, labels, n_classes, observe).unwrap_err().to_string()
    };
    assert_eq!(fit(&images, SIDE, &[0, 1], 2), "4 images but 2 labels; every image needs one label");
    assert_eq!(fit(&images, SIDE, &[0, 1, 2, 0], 2), "image 2 has class 2, but the classes are 0 to 1");
    assert_eq!(
        fit(&images[..1], SIDE, &[0], 2),
        "training needs at least 2 images, got 1; check the snapshot's filter and the split"
    );
    assert_eq!(fit(&images, 8, &[0, 1, 0, 1], 2), "parameter `side` must be between 16 and 512, got 8");
    assert_eq!(fit(&images, 17, &[0, 1, 0, 1], 2), "image 0 has 768 bytes of pixels; 17 x 17 RGB pixels are 867");
    assert_eq!(fit(&images, SIDE, &[0; 4], 1), "parameter `n_classes` must be between 2 and 10000, got 1");
}

#[test]
fn two_images_are_enough_to_run_on() {
    fit(&quick(), 2);
}

#[test]
fn a_parameter_out_of_its_range_is_named() {
    let error = |params: CnnParams| params.check().unwrap_err().to_string();
    assert_eq!(error(CnnParams::default().epochs(0)), "parameter `epochs` must be between 1 and 10000, got 0");
    assert!(error(CnnParams::default().learning_rate(f64::NAN)).contains("`learning_rate`"));
    assert!(error(CnnParams::default().zoom(1.0)).contains("`zoom`"));
    assert!(error(CnnParams::default().patience(Some(0))).contains("`patience`"));
    assert!(error(CnnParams::default().dropout(1.0)).contains("`dropout`"));
    CnnParams::default().check().unwrap();
}

#[test]
fn parameters_are_read_by_name_and_an_unknown_one_is_refused() {
    let read = |text: &str| serde_json::from_str::<CnnParams>(text);
    let params = read(r#"{"epochs": 7, "patience": null, "rotation": 10, "flip": false}"#).unwrap();
    assert_eq!(params, CnnParams::default().epochs(7).patience(None).rotation(10.0).flip(false));
    assert!(read(r#"{"epoch": 7}"#).unwrap_err().to_string().contains("epoch"));
    let all = CnnParams::NAMES.map(|name| format!(r#""{name}": "?""#));
    for name in all {
        let error = read(&format!("{{{name}}}")).unwrap_err().to_string();
        assert!(!error.contains("unknown field"), "{error}");
    }
}
