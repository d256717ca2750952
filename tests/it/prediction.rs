//! Are the reasons of a prediction right: shares that add up, edits that move the score, changes that cross a threshold?

use crate::support::{self, LIMIT};
use adloupe::data::Dataset;
use adloupe::insight::prediction::{counterfactual, edited, predict_one, shares};
use adloupe::jobs::JobContext;
use adloupe::train::TrainedModel;
use adloupe::ui::panels::prediction::PredictionPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::sync::Arc;

/// A model of a kind with the small log that it was trained on.
fn quick(kind: &str) -> (Arc<TrainedModel>, Arc<Dataset>) {
    let folder = tempfile::tempdir().unwrap();
    let session = support::trained(&folder, kind);
    (session.store.training.model().unwrap().clone(), session.store.dataset.clone().unwrap())
}

#[test]
fn shares_of_a_linear_model_are_its_weights_and_add_up() {
    let (model, dataset) = quick("logistic");
    let context = JobContext::detached();
    let row = edited(&dataset, dataset.test[3], &[]).unwrap();
    let found = shares(&model, &dataset, &row, 1e-4, &context).unwrap();
    let sum: f64 = found.shares.iter().map(|share| share.log_odds).sum();
    assert!((found.base + sum - found.log_odds).abs() < 1e-4, "{found:?}");
    // What an input adds does not depend on the others: the row with it less the mean over the background with that
    // row's own value in its place.
    let count = found.background;
    let background: Vec<u32> =
        (0..count).map(|place| dataset.train[place * dataset.train.len() / count]).collect();
    let others = dataset.batch(&background);
    for field in 0..dataset.encoder.categorical.len() {
        let mut batch = dataset.batch(&vec![row.row; count]);
        batch.categorical[field].clone_from(&others.categorical[field]);
        let without = model.logits(&batch).unwrap();
        let mean = without.iter().map(|z| f64::from(*z)).sum::<f64>() / count as f64;
        let exact = found.log_odds - mean;
        assert!((found.shares[field].log_odds - exact).abs() < 1e-4, "{}: {exact}", found.shares[field].name);
    }
}

#[test]
fn shares_of_a_deep_model_add_up_exactly() {
    let (model, dataset) = quick("deep_fm");
    let row = edited(&dataset, dataset.test[5], &[]).unwrap();
    let found = shares(&model, &dataset, &row, 0.02, &JobContext::detached()).unwrap();
    let sum: f64 = found.shares.iter().map(|share| share.log_odds).sum();
    assert!((found.base + sum - found.log_odds).abs() < 1e-3, "{found:?}");
    assert!(found.shares.iter().all(|share| share.error <= 0.02));
}

#[test]
fn an_edit_moves_the_score_and_what_is_unknown_is_told() {
    let (model, dataset) = quick("logistic");
    let context = JobContext::detached();
    let row = dataset.test[0];
    let plain = predict_one(&model, &dataset, row, &[], &context).unwrap();
    assert_eq!(plain.p_click.to_bits(), plain.p_unedited.to_bits());
    let best = &plain.changes[0];
    let edit = vec![(best.name.clone(), best.highest.0.clone())];
    let moved = predict_one(&model, &dataset, row, &edit, &context).unwrap();
    assert!((moved.p_click - best.highest.1).abs() < 1e-6, "the score that was promised");
    assert!(moved.row.inputs.iter().any(|input| input.edited && input.value == best.highest.0));
    let unseen = edited(&dataset, row, &[(best.name.clone(), "从未见过".into())]).unwrap();
    assert!(unseen.notes[0].contains("从未见过"), "{:?}", unseen.notes);
    assert!(edited(&dataset, row, &[("town".into(), "x".into())]).unwrap_err().why.contains("town"));
    assert!(edited(&dataset, u32::MAX, &[]).is_err());
}

#[test]
fn the_fewest_changes_cross_the_threshold_and_leave_alone_what_is_kept() {
    let (model, dataset) = quick("logistic");
    let context = JobContext::detached();
    let row = edited(&dataset, dataset.test[0], &[]).unwrap();
    let p = predict_one(&model, &dataset, row.row, &[], &context).unwrap();
    let target = (p.p_click + p.changes[0].highest.1) / 2.0;
    let found = counterfactual(&model, &dataset, &row, (target, &[]), &context).unwrap();
    assert!(found.crossed && found.changes.len() == 1 && found.p_click >= target, "{found:?}");
    let kept = vec![p.changes[0].name.clone()];
    let other = counterfactual(&model, &dataset, &row, (target, &kept), &context).unwrap();
    assert!(other.changes.iter().all(|(name, _)| *name != kept[0]), "{other:?}");
    let never = counterfactual(&model, &dataset, &row, (1.0, &[]), &context).unwrap();
    assert!(!never.crossed && never.changes.len() <= 4);
}

#[test]
fn the_panel_tells_why_and_lets_a_person_edit() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let session = support::trained(&folder, "deep_fm");
        let mut harness: Harness<'_, support::Parts<PredictionPanel>> = support::harness(session, dark);
        for _ in 0..3 {
            harness.run_ok();
            assert!(harness.state_mut().0.settle(LIMIT));
        }
        harness.run_ok();
        harness.get_by_label_contains("probability of a click");
        assert!(harness.get_all_by_label_contains("Shares in the log odds").count() >= 2, "title and chart");
        harness.get_by_label_contains("add up to");
        let predicted = harness.state().0.store.inspect.predicted.clone().unwrap();
        let change = predicted.prediction.as_ref().unwrap().changes[0].clone();
        let words = format!("{} = {}", change.name, change.highest.0);
        harness.get_all_by_label(&words).next().unwrap().click();
        for _ in 0..3 {
            harness.run_ok();
            assert!(harness.state_mut().0.settle(LIMIT));
        }
        harness.run_ok();
        let moved = harness.state().0.store.inspect.predicted.clone().unwrap();
        let p = moved.prediction.as_ref().unwrap().p_click;
        assert!((p - change.highest.1).abs() < 1e-6, "{p} {change:?}");
        harness.get_by_label("As it was");
    }
}
