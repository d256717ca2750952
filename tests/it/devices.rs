//! Does every device that answers here compute what the processor computes? Where only the processor answers, it is
//! held against itself; a build for a graphics card holds that card against it.

use crate::models::{all_rows, clicks, lively_network, spec, variants};
use adloupe::jobs::{JobContext, Latest};
use adloupe::metrics::calibration::log_loss;
use adloupe::models::network::Gradients;
use adloupe::nn::{Pass, device};
use adloupe::train;

/// Distance of two vectors over the length of the second.
fn gap(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = || found.iter().zip(wanted).map(|(f, w)| (f64::from(*f), f64::from(*w)));
    norm(&mut pairs().map(|(f, w)| f - w)) / norm(&mut pairs().map(|(_, w)| w)).max(1e-12)
}

#[test]
fn every_kind_scores_and_goes_back_as_on_the_processor() {
    let data = clicks(300, 40, 11);
    let batch = data.batch(&all_rows(&data));
    for spec in variants() {
        let on = |device| -> (Vec<f32>, f64, Gradients) {
            let network = lively_network(&spec, &data.encoder, &device);
            let logits = network.forward(&batch, &mut Pass::Predict).unwrap().logits;
            let (loss, gradients) = network.gradients(&batch, &mut Pass::Predict).unwrap();
            (logits, loss, gradients)
        };
        let (logits, loss, gradients) = on(candle_core::Device::Cpu);
        assert!(logits.iter().all(|z| z.is_finite()));
        for device in device::present() {
            let at = format!("{} on {}", spec.kind, device::name(&device));
            let (logits_there, loss_there, there) = on(device);
            assert!(gap(&logits_there, &logits) < 1e-5, "{at}: log odds {}", gap(&logits_there, &logits));
            assert!((loss_there - loss).abs() < 1e-6, "{at}: loss {loss_there} for {loss}");
            for (place, (there, here)) in there.dense.iter().zip(&gradients.dense).enumerate() {
                assert!(gap(there, here) < 1e-4, "{at}: dense gradient {place} {}", gap(there, here));
            }
            for (place, (there, here)) in there.tables.iter().zip(&gradients.tables).enumerate() {
                assert_eq!(there.rows, here.rows, "{at}");
                let gap = gap(&there.values, &here.values);
                assert!(gap < 1e-4, "{at}: table gradient {place} {gap}");
            }
        }
    }
}

#[test]
fn every_kind_learns_on_every_device() {
    let data = clicks(3000, 40, 12);
    let rows = data.validation.to_vec();
    let labels: Vec<f32> = rows.iter().map(|row| data.label[*row as usize]).collect();
    for kind in adloupe::models::MODELS {
        let loss_on = |word: &str| {
            let mut spec = spec(kind.id(), &[("epochs", "3"), ("batch_size", "128"), ("patience", "0")]);
            spec.set("device", word).unwrap();
            let model = train::fit(&data, &spec, &Latest::default(), &JobContext::detached()).unwrap();
            assert_eq!(model.card.training.device, word);
            let predicted = model.predict(&data, &rows, &JobContext::detached()).unwrap();
            log_loss(&predicted, &labels, &[]).unwrap()
        };
        let here = loss_on("cpu");
        for device in device::present() {
            let there = loss_on(device::name(&device));
            // Rounding differs between devices and grows over the steps.
            assert!(
                (there - here).abs() < 0.005,
                "{} on {}: {there} for {here}",
                kind.id(),
                device::name(&device)
            );
        }
    }
}
