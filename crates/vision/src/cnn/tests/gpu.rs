//! A graphics card beside the CPU. `make test-gpu` runs these on a software adapter where there is no other.

use super::*;

/// A training's epochs and its network.
fn train(device: Device, epochs: usize) -> (Vec<Epoch>, Cnn) {
    let (images, labels) = test_data::discs_and_rings(100, SIDE, 7);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let mut told = Vec::new();
    let params = quick().epochs(epochs).patience(None).validation_fraction(0.2).device(device);
    let cnn = params.fit(&images, SIDE, &labels, 2, &mut |epoch: &Epoch| {
        told.push(epoch.clone());
        ControlFlow::Continue(())
    });
    (told, cnn.unwrap())
}

#[test]
fn a_graphics_card_computes_the_gradient_of_the_cpu() {
    let tensors = weights::initial(3, 5);
    let of = |device: Device| {
        let pixels = (0..6).flat_map(|seed| test_data::noise(20, seed)).map(inference::normalised).collect();
        let shard = gradient::Shard {
            images: 6,
            pixels,
            targets: [0.2, 0.7, 0.1].repeat(6),
            dropout: vec![1.0; 6 * 2 * weights::CHANNELS[3]],
        };
        gradient::gradient(&device.open().unwrap(), &tensors, shard, 20, 3).unwrap()
    };
    let (cpu, gpu) = (of(Device::Cpu), of(Device::Gpu));
    assert!((cpu.loss - gpu.loss).abs() < 1e-3, "{} {}", cpu.loss, gpu.loss);
    let pairs = cpu.tensors.iter().zip(&gpu.tensors);
    for (number, (cpu, gpu)) in pairs.chain(cpu.moments.means.iter().zip(&gpu.moments.means)).enumerate() {
        let largest = cpu.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let apart = cpu.iter().zip(gpu).fold(0.0_f32, |apart, (cpu, gpu)| apart.max((cpu - gpu).abs()));
        assert!(cpu.len() == gpu.len() && apart <= 1e-3 * largest.max(1e-3), "tensor {number}: {apart} of {largest}");
    }
}

#[test]
fn a_graphics_card_learns_what_the_cpu_learns() {
    let ((cpu, of_cpu), (gpu, of_gpu)) = (train(Device::Cpu, 20), train(Device::Gpu, 20));
    assert!(cpu.iter().all(|epoch| epoch.device.is_none()) && gpu.iter().all(|epoch| epoch.device.is_some()));
    println!("trained on {:?}", gpu[0].device);
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        println!(
            "epoch {}: loss {:.6} and {:.6}, held out {:.6?} and {:.6?}, accuracy {:?} and {:?}",
            cpu.number,
            cpu.train_loss,
            gpu.train_loss,
            cpu.validation_loss,
            gpu.validation_loss,
            cpu.validation_accuracy,
            gpu.validation_accuracy
        );
        // Steps lead apart what rounding has parted, but not far.
        assert!((cpu.train_loss - gpu.train_loss).abs() < 0.05, "epoch {}", cpu.number);
    }
    assert!((cpu[0].train_loss - gpu[0].train_loss).abs() < 1e-3);
    let (unseen, labels) = test_data::discs_and_rings(200, SIDE, 99);
    let unseen: Vec<&[u8]> = unseen.iter().map(Vec::as_slice).collect();
    let accuracy = |cnn: &Cnn| {
        let rows = cnn.predict_proba(&unseen, None).unwrap();
        rows.chunks(2).zip(&labels).filter(|(row, label)| row[**label] > 0.5).count() as f64 / 200.0
    };
    let (cpu, gpu) = (accuracy(&of_cpu), accuracy(&of_gpu));
    println!("accuracy on unseen images {cpu} and {gpu}");
    assert!(gpu > 0.85 && (cpu - gpu).abs() <= 0.04, "{cpu} {gpu}");
}

#[test]
fn a_graphics_card_gives_the_same_network_again() {
    assert!(train(Device::Gpu, 2) == train(Device::Gpu, 2));
}
