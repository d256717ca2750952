//! Does every kind of model learn, repeat, stop, travel, and tell the truth about itself?

use adloupe::base::rng::Rng;
use adloupe::data::batch::{MISSING_ID, RARE_ID, SequenceBatch};
use adloupe::data::dataset::SequenceColumn;
use adloupe::data::encode::{CategoricalField, KeyColumns, NumericField, SequenceField, Side};
use adloupe::data::{Array, Batch, Dataset, Encoder};
use adloupe::jobs::{JobContext, Latest};
use adloupe::metrics::beta_binomial::BetaPrior;
use adloupe::metrics::ranking::auc;
use adloupe::models::{self, MODELS, Network};
use adloupe::nn::Pass;
use adloupe::nn::optimiser::RULES;
use adloupe::nn::tables::RowGradients;
use adloupe::train::{self, TrainSpec, TrainedModel, Trainer};
use candle_core::Device;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const ADS: u32 = 6;
const HISTORY: usize = 5;

/// Rows with a user, an ad, a number and a history of ads. A click is likely where the ad is in the history and,
/// less, where user and ad number have the same parity: neither shows in any value alone.
pub fn clicks(rows: usize, users: u32, seed: u64) -> Dataset {
    let mut rng = Rng::named(seed, "test data");
    let mut bought = Rng::named(seed, "conversions");
    let mut conversion = vec![];
    let (mut user, mut ad, mut number, mut label) = (vec![], vec![], vec![], vec![]);
    let (mut offsets, mut past_ids) = (vec![0u64], Vec::new());
    for row in 0..rows {
        let (u, a) = (
            if users as usize >= rows { row as u32 } else { rng.below(users as usize) as u32 },
            rng.below(ADS as usize) as u32,
        );
        let past: Vec<u32> = (0..rng.below(HISTORY + 1)).map(|_| rng.below(ADS as usize) as u32).collect();
        let p = 0.05 + 0.6 * f64::from(past.contains(&a)) + 0.25 * f64::from(u % 2 == a % 2);
        user.push(u + 2);
        ad.push(a + 2);
        number.push(rng.normal() as f32);
        label.push(f32::from(rng.chance(p)));
        // Of the clicks on even ads four in five convert, on odd ads one in five.
        let converted = bought.chance(if a % 2 == 0 { 0.8 } else { 0.2 });
        conversion.push(if converted { label[row] } else { 0.0 });
        past_ids.extend(past.iter().map(|a| a + 2));
        offsets.push(past_ids.len() as u64);
    }
    let field = |name: &str, side, n: u32| CategoricalField {
        name: name.into(),
        side,
        values: (0..n).map(|i| format!("{name}{i}")).collect(),
        hash_buckets: 0,
    };
    let encoder = Encoder {
        label: "click".into(),
        conversion: Some("bought".into()),
        keys: KeyColumns { time: None, user: Some("user".into()), ad: Some("ad".into()) },
        categorical: vec![field("user", Side::User, users), field("ad", Side::Ad, ADS)],
        numeric: vec![NumericField {
            name: "number".into(),
            side: Side::Ad,
            log: false,
            mean: 0.0,
            deviation: 1.0,
        }],
        sequences: vec![SequenceField {
            name: "history".into(),
            target: 1,
            max_len: HISTORY,
            from_user_history_of: None,
            clicked_only: false,
        }],
        ..Encoder::default()
    };
    let part = |from: usize, to: usize| (from as u32..to as u32).collect();
    let (a, b) = (rows * 7 / 10, rows * 85 / 100);
    Dataset {
        encoder: Arc::new(encoder),
        rows,
        categorical: vec![user.into(), ad.into()],
        numeric: vec![number.into()],
        sequences: vec![Arc::new(SequenceColumn { offsets: offsets.into(), ids: past_ids.into() })],
        label: label.into(),
        conversion: conversion.into(),
        train: part(0, a),
        validation: part(a, b),
        test: part(b, rows),
        ..Dataset::default()
    }
}

pub fn spec(kind: &str, settings: &[(&str, &str)]) -> TrainSpec {
    let mut spec = TrainSpec::new(kind).unwrap();
    spec.set("device", "cpu").unwrap();
    for (name, value) in settings {
        spec.set(name, value).unwrap();
    }
    spec
}

pub fn fit(data: &Dataset, spec: &TrainSpec) -> TrainedModel {
    train::fit(data, spec, &Latest::default(), &JobContext::detached()).unwrap()
}

pub fn all_rows(data: &Dataset) -> Vec<u32> {
    (0..data.rows as u32).collect()
}

pub fn scores(model: &TrainedModel, data: &Dataset) -> Vec<f32> {
    model.predict(data, &all_rows(data), &JobContext::detached()).unwrap()
}

/// Kinds with the settings that exercise every branch of their graph.
pub fn variants() -> Vec<TrainSpec> {
    let mut variants: Vec<_> = MODELS.iter().map(|kind| spec(kind.id(), &[])).collect();
    variants.push(spec("deep_fm", &[("normalise", "layer")]));
    variants.push(spec("wide_deep", &[("hidden_layers", "3"), ("taper", "0.6")]));
    variants.push(spec("dcn_v2", &[("cross_rank", "4"), ("structure", "stacked")]));
    variants.push(spec("din", &[("attention_weights", "sigmoid")]));
    variants.push(spec("two_tower", &[("in_batch", "1")]));
    variants
}

/// A network whose weights are all of a size that matters, so that no gradient is tiny by chance.
pub fn lively_network(spec: &TrainSpec, encoder: &Encoder, device: &Device) -> Network {
    let kind = models::kind(&spec.kind).unwrap();
    let mut network = Network::new(kind, encoder, &spec.params, 3, device.clone()).unwrap();
    let mut rng = Rng::named(4, "lively");
    for parameter in &mut network.parameters {
        for value in &mut parameter.values {
            *value += (0.1 * rng.normal()) as f32;
        }
        parameter.upload().unwrap();
    }
    for table in &mut network.tables {
        for row in 0..table.rows() as u32 {
            for value in table.row_mut(row) {
                *value += (0.5 * rng.normal()) as f32;
            }
        }
    }
    network
}

/// The first rows of a batch.
pub fn head(batch: &Batch, rows: usize) -> Batch {
    let first = |column: &Vec<f32>| column[..rows.min(column.len())].to_vec();
    Batch {
        rows,
        categorical: batch.categorical.iter().map(|ids| ids[..rows].to_vec()).collect(),
        numeric: batch.numeric.iter().map(first).collect(),
        sequences: batch
            .sequences
            .iter()
            .map(|sequence| SequenceBatch {
                max_len: sequence.max_len,
                ids: sequence.ids[..rows * sequence.max_len].to_vec(),
                lengths: sequence.lengths[..rows].to_vec(),
            })
            .collect(),
        label: first(&batch.label),
        conversion: first(&batch.conversion),
        weight: first(&batch.weight),
    }
}

fn loss(network: &Network, batch: &adloupe::data::Batch) -> f64 {
    network.loss(batch).unwrap()
}

/// A step along `gradient` and one along a random direction change the loss as the gradient says.
fn agrees(name: &str, gradient: &[f32], loss_at: &mut dyn FnMut(&[f32]) -> f64) {
    let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    // f32 scores make differences uncertain by about 1e-4, so a smaller gradient would prove nothing.
    assert!(norm > 5e-4, "{name} gets no gradient: {norm}");
    let mut rng = Rng::named(5, name);
    let random: Vec<f64> = gradient.iter().map(|_| rng.normal()).collect();
    let length = random.iter().map(|v| v * v).sum::<f64>().sqrt();
    let along: Vec<f64> = gradient.iter().map(|g| f64::from(*g) / norm).collect();
    let mixed = along.iter().zip(&random).map(|(a, r)| 0.7 * a + 0.7 * r / length).collect();
    for direction in [along, mixed] {
        let step = 1e-3;
        let mut at =
            |sign: f64| loss_at(&direction.iter().map(|d| (sign * step * d) as f32).collect::<Vec<_>>());
        let numeric = (at(1.0) - at(-1.0)) / (2.0 * step);
        let claimed: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
        assert!(
            (numeric - claimed).abs() < 0.02 * norm + 1.5e-4,
            "{name}: {numeric} by differences, {claimed} by backward"
        );
    }
}

#[test]
fn every_weight_gets_a_gradient_that_agrees_with_central_differences() {
    let data = clicks(48, 10, 1);
    let batch = data.batch(&all_rows(&data));
    for spec in variants() {
        let mut network = lively_network(&spec, &data.encoder, &Device::Cpu);
        let (_, gradients) = network.gradients(&batch, &mut Pass::Predict).unwrap();
        for place in 0..network.parameters.len() {
            let name = format!("{}/{}", spec.kind, network.parameters[place].name);
            let start = network.parameters[place].values.clone();
            agrees(&name, &gradients.dense[place], &mut |delta| {
                let parameter = &mut network.parameters[place];
                parameter.values = start.iter().zip(delta).map(|(v, d)| v + d).collect();
                parameter.upload().unwrap();
                loss(&network, &batch)
            });
            network.parameters[place].values = start;
            network.parameters[place].upload().unwrap();
        }
        for place in 0..network.tables.len() {
            let name = format!("{}/{}", spec.kind, network.tables[place].name);
            if network.tables[place].is_fixed {
                assert!(gradients.tables[place].rows.is_empty(), "{name} is counted");
                continue;
            }
            let RowGradients { rows, values } = gradients.tables[place].clone();
            let width = network.tables[place].width;
            let start: Vec<_> = rows.iter().map(|row| network.tables[place].row(*row).to_vec()).collect();
            let move_rows = |network: &mut Network, delta: &[f32]| {
                for ((row, start), delta) in rows.iter().zip(&start).zip(delta.chunks(width)) {
                    let weights = network.tables[place].row_mut(*row);
                    for ((weight, start), delta) in weights.iter_mut().zip(start).zip(delta) {
                        *weight = start + delta;
                    }
                }
            };
            agrees(&name, &values, &mut |delta| {
                move_rows(&mut network, delta);
                loss(&network, &batch)
            });
            move_rows(&mut network, &vec![0.0; values.len()]);
        }
    }
}

#[test]
fn every_kind_can_learn_64_rows_by_heart() {
    let mut data = clicks(64, 64, 2);
    data.train = all_rows(&data).into();
    data.validation = Array::default();
    // Boosted trees know a value by rows other than the one at hand, so that nothing can be learnt by heart.
    for kind in MODELS.iter().filter(|kind| !kind.is_baseline() && kind.id() != "gbdt") {
        let mut spec = spec(kind.id(), &[("epochs", "300"), ("batch_size", "64"), ("l2", "0")]);
        spec.set("learning_rate", "0.05").unwrap();
        if spec.params.get("dropout").is_some() {
            spec.set("dropout", "0").unwrap();
        }
        let model = fit(&data, &spec);
        let loss = adloupe::metrics::calibration::log_loss(&scores(&model, &data), &data.label, &[]);
        assert!(loss.unwrap() < 0.05, "{}: {loss:?}", kind.id());
    }
}

#[test]
fn kinds_with_two_tasks_learn_who_converts_and_at_what_rate() {
    let data = clicks(6000, 30, 12);
    let kinds = MODELS.iter().filter(|kind| kind.learns_conversions());
    for kind in kinds {
        let model = fit(&data, &spec(kind.id(), &[("epochs", "6"), ("batch_size", "128")]));
        let context = JobContext::detached();
        let rates = model.predict_conversions(&data, &data.test, &context).unwrap().unwrap();
        let mean_of = |parity: u32| {
            let of_ads = data
                .test
                .iter()
                .zip(&rates)
                .filter(|(row, _)| data.categorical[1][**row as usize] % 2 == parity);
            let rates: Vec<f64> = of_ads.map(|(_, rate)| f64::from(*rate)).collect();
            rates.iter().sum::<f64>() / rates.len() as f64
        };
        // The truth is 0.8 and 0.2; about 700 clicks of each kind were seen.
        assert!(
            (mean_of(0) - 0.8).abs() < 0.08 && (mean_of(1) - 0.2).abs() < 0.08,
            "{}: {} {}",
            kind.id(),
            mean_of(0),
            mean_of(1)
        );
        let measured = model.card.conversions.unwrap();
        let ratio = measured.predicted_over_actual.unwrap();
        assert!(ratio.low < 1.0 && ratio.high > 1.0, "{}: {ratio:?}", kind.id());
        let converted: f32 = data.test.iter().map(|row| data.conversion[*row as usize]).sum();
        assert_eq!(measured.clicks, f64::from(converted));
    }
    let fewer = Trainer::new(&data, &spec("esmm", &[("keep_negatives", "0.5")])).unwrap_err();
    assert!(fewer.hint.contains("keep_negatives=1"), "{fewer}");
    let mut unsaid = clicks(600, 30, 12);
    unsaid.conversion = vec![0.0; 600].into();
    assert!(Trainer::new(&unsaid, &spec("mmoe", &[])).unwrap_err().why.contains("none converted"));
    let encoder = Encoder { conversion: None, ..(*data.encoder).clone() };
    let unnamed = Dataset { encoder: Arc::new(encoder), ..data.clone() };
    let failure = Trainer::new(&unnamed, &spec("esmm", &[])).unwrap_err();
    assert!(failure.hint.contains("role conversion"), "{failure}");
}

#[test]
fn the_same_seed_gives_the_same_model_and_another_seed_another() {
    let data = clicks(600, 30, 3);
    for kind in MODELS {
        let train = |seed| {
            scores(
                &fit(&data, &spec(kind.id(), &[("epochs", "2"), ("seed", seed), ("batch_size", "64")])),
                &data,
            )
        };
        let first = train("7");
        assert_eq!(first, train("7"), "{}", kind.id());
        assert_ne!(first, train("8"), "{}", kind.id());
    }
}

#[test]
fn a_saved_model_scores_the_same_and_its_card_reads_the_same() {
    let data = clicks(600, 30, 4);
    for kind in MODELS {
        let folder = tempfile::tempdir().unwrap();
        let model = fit(&data, &spec(kind.id(), &[("epochs", "2")]));
        model.save(folder.path()).unwrap();
        let back = TrainedModel::load(folder.path()).unwrap();
        assert_eq!(scores(&model, &data), scores(&back, &data));
        assert_eq!(back.encoder, model.encoder);
        assert_eq!(back.params, model.params);
        assert_eq!(back.card.data, model.card.data);
        assert_eq!(back.tables(), model.tables());
        assert_eq!(back.card.training.device, "cpu");
    }
}

/// Cancels as soon as the first batch was told of.
pub fn run_until_cancelled(trainer: &mut Trainer) {
    let cancel = Arc::new(AtomicBool::new(false));
    let context = JobContext::watched(Arc::clone(&cancel), |_| {});
    let live = Latest::default();
    let watched = live.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while watched.version() == 0 {
                std::thread::yield_now();
            }
            cancel.store(true, Ordering::Relaxed);
        });
        let stopped = trainer.run(&live, &context).unwrap_err();
        assert!(stopped.is_cancelled());
    });
}

#[test]
fn a_training_stopped_and_resumed_from_disk_equals_one_that_was_not() {
    let data = clicks(4000, 50, 5);
    for kind in MODELS {
        // Every rule once: what a rule remembers does not depend on the kind.
        let rules = if kind.id() == "logistic" { RULES } else { &RULES[3..4] };
        for optimiser in rules.iter().map(|rule| rule.id()) {
            // Many small steps where a step is quick: the stop must come before the end on a busy machine too.
            let size = if kind.id() == "logistic" { "16" } else { "32" };
            let spec = spec(kind.id(), &[("epochs", "3"), ("batch_size", size), ("optimiser", optimiser)]);
            let whole = fit(&data, &spec);
            let folder = tempfile::tempdir().unwrap();
            let mut trainer = Trainer::new(&data, &spec).unwrap();
            run_until_cancelled(&mut trainer);
            assert!(trainer.epochs_done() < 3, "the test must stop inside the training");
            trainer.save_checkpoint(folder.path()).unwrap();
            drop(trainer);
            let mut trainer = Trainer::resume(folder.path(), &data, &JobContext::detached()).unwrap();
            trainer.run(&Latest::default(), &JobContext::detached()).unwrap();
            let resumed = trainer.finish(&JobContext::detached()).unwrap();
            assert_eq!(scores(&whole, &data), scores(&resumed, &data), "{} {optimiser}", kind.id());
            let numbers = |model: &TrainedModel| -> Vec<_> {
                let epochs = model.card.training.history.epochs.iter();
                epochs.map(|record| (record.validation, record.training_loss, record.gradient_norm)).collect()
            };
            assert_eq!(numbers(&whole), numbers(&resumed));
        }
    }
}

#[test]
fn one_thread_and_many_train_the_same_model() {
    // Batches large enough that gathers, sums and steps are split.
    let data = clicks(6000, 3000, 9);
    for kind in MODELS {
        let rules = if kind.id() == "logistic" { RULES } else { &RULES[3..4] };
        for optimiser in rules.iter().map(|rule| rule.id()) {
            let settings = [("epochs", "1"), ("batch_size", "4096"), ("optimiser", optimiser)];
            let train = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| scores(&fit(&data, &spec(kind.id(), &settings)), &data))
            };
            let alone = train(1);
            for threads in [2, 5] {
                assert_eq!(alone, train(threads), "{} {optimiser} {threads}", kind.id());
            }
        }
    }
}

#[test]
fn a_checkpoint_refuses_other_data() {
    let (data, other) = (clicks(400, 20, 6), clicks(400, 20, 7));
    let folder = tempfile::tempdir().unwrap();
    let trainer = Trainer::new(&data, &spec("logistic", &[])).unwrap();
    trainer.save_checkpoint(folder.path()).unwrap();
    let failure = Trainer::resume(folder.path(), &other, &JobContext::detached()).unwrap_err();
    assert!(failure.why.contains("not those that the training began with"), "{failure}");
}

#[test]
fn a_cancel_is_answered_before_the_next_batch() {
    let data = clicks(2000, 50, 8);
    for kind in MODELS {
        let cancel = Arc::new(AtomicBool::new(true));
        let context = JobContext::watched(cancel, |_| {});
        let mut trainer = Trainer::new(&data, &spec(kind.id(), &[])).unwrap();
        let live = Latest::default();
        assert!(trainer.run(&live, &context).unwrap_err().is_cancelled());
        assert!(live.get().is_none(), "no batch may have been trained");
        let model = fit(&data, &spec(kind.id(), &[("epochs", "1")]));
        assert!(model.predict(&data, &all_rows(&data), &context).unwrap_err().is_cancelled());
    }
}

/// A user and an ad that no training row had, nothing known of the rest, and no history: every kind still says a number.
#[test]
fn what_no_training_row_had_gets_a_probability_from_every_kind() {
    let data = clicks(400, 20, 5);
    let strange = |id: u32, history: bool| Batch {
        rows: 1,
        categorical: vec![vec![id]; data.categorical.len()],
        numeric: vec![vec![0.0]; data.numeric.len()],
        sequences: vec![SequenceBatch {
            max_len: HISTORY,
            ids: [vec![id; usize::from(history)], vec![0; HISTORY - usize::from(history)]].concat(),
            lengths: vec![u32::from(history)],
        }],
        ..Batch::default()
    };
    for spec in variants() {
        let mut spec = spec;
        spec.set("epochs", "1").unwrap();
        let model = fit(&data, &spec);
        for id in [MISSING_ID, RARE_ID] {
            for history in [false, true] {
                let p = model.predict_batch(&strange(id, history)).unwrap()[0];
                assert!((0.0..=1.0).contains(&p), "{} says {p} of id {id}", spec.kind);
            }
        }
    }
}

#[test]
fn data_that_cannot_support_a_model_are_refused_with_the_reason() {
    let good = clicks(400, 20, 9);
    let refuse = |data: &Dataset, kind: &str, reason: &str| {
        let failure =
            train::fit(data, &spec(kind, &[]), &Latest::default(), &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains(reason), "{failure}");
        assert!(!failure.hint.is_empty(), "{failure}");
    };
    for kind in MODELS {
        let one_class = Dataset { label: vec![0.0; 400].into(), ..good.clone() };
        refuse(&one_class, kind.id(), "label 0");
        let unlabelled = Dataset { label: Array::default(), ..good.clone() };
        refuse(&unlabelled, kind.id(), "no label");
        let empty = Dataset { train: Array::default(), ..good.clone() };
        refuse(&empty, kind.id(), "no training rows");
    }
    let encoder = Encoder { sequences: vec![], ..(*good.encoder).clone() };
    let plain = Dataset { encoder: Arc::new(encoder), sequences: vec![], ..good.clone() };
    refuse(&plain, "din", "behaviour sequence");
}

#[test]
fn a_card_and_weights_that_disagree_are_refused() {
    let data = clicks(400, 20, 10);
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    fit(&data, &spec("logistic", &[("epochs", "1")])).save(&one).unwrap();
    fit(&data, &spec("deep_fm", &[("epochs", "1")])).save(&two).unwrap();
    std::fs::copy(two.join("weights.safetensors"), one.join("weights.safetensors")).unwrap();
    let failure = TrainedModel::load(&one).unwrap_err();
    assert!(failure.why.contains("do not belong together"), "{failure}");
    std::fs::remove_file(two.join("weights.safetensors")).unwrap();
    let failure = TrainedModel::load(&two).unwrap_err();
    assert!(failure.place.contains("weights.safetensors"), "{failure}");
}

#[test]
fn a_failed_save_keeps_the_model_that_was_there() {
    let data = clicks(400, 20, 11);
    let folder = tempfile::tempdir().unwrap();
    let old = fit(&data, &spec("logistic", &[("epochs", "1")]));
    old.save(folder.path()).unwrap();
    // A folder where the weights' temporary file goes makes that write fail after the card was written.
    let blocked = format!("weights.safetensors.{}.part", std::process::id());
    std::fs::create_dir(folder.path().join(&blocked)).unwrap();
    let new = fit(&data, &spec("deep_fm", &[("epochs", "1")]));
    assert!(new.save(folder.path()).is_err());
    let back = TrainedModel::load(folder.path()).unwrap();
    assert_eq!(scores(&old, &data), scores(&back, &data));
}

#[test]
fn attention_finds_the_ad_in_the_history_and_interactions_beat_the_reference() {
    let data = clicks(12_000, 40, 12);
    let settings = [("epochs", "8"), ("batch_size", "128"), ("learning_rate", "0.005")];
    let test_auc = |model: &TrainedModel| {
        let rows = &data.test;
        let predicted = model.predict(&data, rows, &JobContext::detached()).unwrap();
        let labels: Vec<f32> = rows.iter().map(|row| data.label[*row as usize]).collect();
        auc(&predicted, &labels, &[]).unwrap()
    };
    let logistic = test_auc(&fit(&data, &spec("logistic", &settings)));
    let deep_fm = test_auc(&fit(&data, &spec("deep_fm", &settings)));
    let din = fit(&data, &spec("din", &settings));
    assert!(deep_fm > logistic + 0.05, "deep_fm {deep_fm} logistic {logistic}");
    assert!(test_auc(&din) > deep_fm, "din {} deep_fm {deep_fm}", test_auc(&din));

    let batch = data.batch(&data.test);
    let map = din.attention(&batch).unwrap().remove(0);
    let (mut matching, mut others) = ((0.0, 0.0), (0.0, 0.0));
    for row in 0..batch.rows {
        let length = batch.sequences[0].lengths[row] as usize;
        let weights = &map.weights[row * map.max_len..][..map.max_len];
        assert!(weights[length..].iter().all(|w| *w == 0.0), "padding gets no weight");
        if length > 0 {
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
        let past = &batch.sequences[0].ids[row * map.max_len..][..length];
        for (ad, weight) in past.iter().zip(weights) {
            let kind = if *ad == batch.categorical[1][row] { &mut matching } else { &mut others };
            kind.0 += weight;
            kind.1 += 1.0;
        }
    }
    let (matching, others) = (matching.0 / matching.1, others.0 / others.1);
    assert!(matching > 2.0 * others, "matching {matching}, others {others}");
}

#[test]
fn attention_and_tables_say_what_they_can_and_cannot_show() {
    let data = clicks(400, 20, 13);
    let model = fit(&data, &spec("deep_fm", &[("epochs", "1")]));
    let failure = model.attention(&data.batch(&[0, 1])).unwrap_err();
    assert!(failure.hint.contains("din"), "{failure}");
    let table = model.table("ad").unwrap();
    assert_eq!(table.values.len(), table.names.len() * table.width);
    assert_eq!(table.names[..3], ["missing", "rare or new", "ad0"]);
    let failure = model.table("adverb").unwrap_err();
    assert!(failure.hint.contains("user, ad"), "{failure}");
}

#[test]
fn the_live_snapshot_carries_both_curves_and_the_device() {
    let data = clicks(2000, 50, 14);
    let live = Latest::default();
    let model = train::fit(
        &data,
        &spec("deep_fm", &[("epochs", "3"), ("patience", "0")]),
        &live,
        &JobContext::detached(),
    )
    .unwrap();
    let last = live.get().unwrap();
    assert_eq!((last.epochs_passed, last.epochs, last.device.as_str()), (3.0, 3, "cpu"));
    assert_eq!(last.history.epochs.len(), 3);
    assert!(last.history.training.len() >= 3);
    assert!(last.examples_per_second > 0.0);
    assert_eq!(model.card.training.history, last.history);
    let loss = |record: &train::history::EpochRecord| record.validation.loss.unwrap().value;
    let best = last.history.epochs.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    assert_eq!(model.card.training.best_epoch, best.epoch);
}

/// The log that ships with the program, encoded.
fn sample() -> Dataset {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/log.parquet");
    let context = JobContext::detached();
    let log = adloupe::data::importers::open(&path, &Default::default(), &context).unwrap();
    adloupe::data::dataset::prepare(&log, &Default::default(), &context).unwrap()
}

#[test]
fn on_the_sample_deep_fm_by_default_beats_the_reference_and_comes_near_the_truth() {
    let data = sample();
    let pick = |column: &[f32]| data.test.iter().map(|row| column[*row as usize]).collect::<Vec<_>>();
    let truth = auc(&pick(&data.truth), &pick(&data.label), &[]).unwrap();
    let test = |kind| fit(&data, &spec(kind, &[])).card.test.unwrap();
    let (logistic, deep_fm) = (test("logistic").auc.unwrap().value, test("deep_fm"));
    let reached = deep_fm.auc.unwrap().value;
    assert!(reached > logistic + 0.02, "deep_fm {reached}, logistic {logistic}");
    let share = (reached - 0.5) / (truth - 0.5);
    assert!(share >= 0.6, "{share} of the way from 0.5 to the truth's {truth}");
    let ratio = deep_fm.predicted_over_actual.unwrap().value;
    assert!((0.95..=1.05).contains(&ratio), "predicted over actual {ratio}");
}

#[test]
fn weighted_clicks_and_fewer_non_clicks_leave_probabilities_true() {
    let data = clicks(12_000, 40, 15);
    let ratio = |settings: &[(&str, &str)]| {
        let common = [("epochs", "4"), ("calibrate", "off"), ("batch_size", "128"), ("patience", "0")];
        let model = fit(&data, &spec("logistic", &[&common, settings].concat()));
        let shift = model.card.training.objective_shift;
        (model.card.test.unwrap().predicted_over_actual.unwrap(), shift)
    };
    // Without the correction the odds would be four and sixteen times too high.
    for (settings, odds) in [
        (vec![("keep_negatives", "0.25")], 4.0),
        (vec![("keep_negatives", "0.25"), ("positive_weight", "4")], 16.0),
    ] {
        let (ratio, shift) = ratio(&settings);
        assert!((shift + f64::ln(odds)).abs() < 1e-12, "{shift}");
        assert!((0.9..1.1).contains(&ratio.value), "{settings:?}: {ratio:?}");
    }
}

#[test]
fn a_measure_that_the_validation_rows_cannot_give_is_refused_and_log_loss_goes_on() {
    let data = clicks(600, 30, 16);
    let mut labels = data.label.to_vec();
    data.validation.iter().for_each(|row| labels[*row as usize] = 0.0);
    let negatives = Dataset { label: labels.into(), ..data.clone() };
    let start = |data: &Dataset, monitor| Trainer::new(data, &spec("logistic", &[("monitor", monitor)]));
    for monitor in ["auc", "normalized_entropy", "gauc"] {
        let failure = start(&negatives, monitor).unwrap_err();
        assert!(failure.why.contains("one class") && failure.hint.contains("log_loss"), "{failure}");
    }
    let failure = start(&data, "gauc").unwrap_err();
    assert!(failure.why.contains("no user"), "{failure}");
    let users = data.categorical[0].clone();
    let named = Dataset { users, ..data.clone() };
    for monitor in ["auc", "normalized_entropy", "gauc"] {
        let model = fit(&named, &spec("logistic", &[("monitor", monitor), ("epochs", "2")]));
        assert_eq!(model.card.training.epochs, 2);
        assert!(model.card.test.unwrap().gauc.is_some());
    }
    // No click on the validation rows: log loss can still be measured, AUC is unknown and is said to be.
    let model = fit(&negatives, &spec("logistic", &[("epochs", "2")]));
    let last = model.card.training.history.epochs.last().unwrap().validation;
    assert!(last.loss.is_some() && last.auc.is_none() && last.normalized_entropy.is_none());
}

#[test]
fn a_batch_larger_than_the_data_is_all_of_it() {
    let data = clicks(200, 20, 17);
    let whole = fit(&data, &spec("deep_fm", &[("epochs", "3"), ("batch_size", "140")]));
    let larger = fit(&data, &spec("deep_fm", &[("epochs", "3"), ("batch_size", "65536")]));
    assert_eq!(data.train.len(), 140);
    assert_eq!(scores(&whole, &data), scores(&larger, &data));
}

#[test]
fn a_clipped_run_takes_shorter_steps_and_layers_are_measured() {
    let data = clicks(1_000, 30, 18);
    let run = |clip| {
        let settings = [("clip_norm", clip), ("optimiser", "adagrad"), ("epochs", "2")];
        fit(&data, &spec("deep_fm", &settings)).card.training.history
    };
    let free = run("0");
    assert!(free.layers.iter().all(|layer| layer.weight.is_finite() && layer.gradient > 0.0));
    assert!(free.layers.iter().any(|layer| layer.name == "embedding"));
    assert_ne!(free.epochs, run("0.001").epochs);
    // A limit that no gradient reaches changes nothing.
    let loose = run("1000");
    assert_eq!(free.epochs[1].validation, loose.epochs[1].validation);
}

#[test]
fn a_number_that_is_none_stops_the_training_with_its_row_and_field() {
    let mut data = clicks(400, 20, 19);
    let mut numbers = data.numeric[0].to_vec();
    let poisoned = data.train[77] as usize;
    numbers[poisoned] = f32::INFINITY;
    data.numeric[0] = numbers.into();
    for kind in ["logistic", "deep_fm"] {
        let run = train::fit(&data, &spec(kind, &[]), &Latest::default(), &JobContext::detached());
        let failure = run.unwrap_err();
        let row = format!("row {} of the log", poisoned + 1);
        assert!(failure.why.contains(&row), "{failure}");
        assert!(failure.why.contains("'number' is inf") && failure.why.contains("batch"), "{failure}");
    }
    let mut weights = vec![1.0; 400];
    weights[poisoned] = f32::NAN;
    let data = Dataset { weight: weights.into(), ..clicks(400, 20, 19) };
    let run = train::fit(&data, &spec("logistic", &[]), &Latest::default(), &JobContext::detached());
    assert!(run.unwrap_err().why.contains("its weight is NaN"));
}

#[test]
fn a_loss_that_runs_away_is_stopped_and_the_best_epoch_is_kept() {
    let mut data = clicks(2_000, 30, 20);
    data.numeric[0] = data.numeric[0].iter().map(|number| 1_000.0 * number).collect();
    let calm =
        [("epochs", "1"), ("learning_rate", "0.000001"), ("optimiser", "sgd"), ("schedule", "constant")];
    let mut trainer = Trainer::new(&data, &spec("logistic", &calm)).unwrap();
    let run = |trainer: &mut Trainer| trainer.run(&Latest::default(), &JobContext::detached());
    run(&mut trainer).unwrap();
    assert!(trainer.has_best());
    for (name, value) in [("epochs", "9"), ("learning_rate", "1"), ("batch_size", "8")] {
        trainer.spec.set(name, value).unwrap();
    }
    let failure = run(&mut trainer).unwrap_err();
    assert!(failure.why.contains("ran away") && failure.why.contains("'number'"), "{failure}");
    assert!(failure.why.contains("worst row is row"), "{failure}");
    assert!(failure.hint.contains("the weights of epoch"), "{failure}");
    let model = trainer.finish(&JobContext::detached()).unwrap();
    assert!(scores(&model, &data).iter().all(|p| p.is_finite()));
}

/// Rows of [`clicks`] in which users click on ads of their own parity, and the past is what they clicked before.
fn clicks_with_their_own_past() -> Dataset {
    let mut data = clicks(6000, 400, 21);
    let mut rng = Rng::named(21, "parity");
    let same = |row: usize| data.categorical[0][row] % 2 == data.categorical[1][row] % 2;
    data.label =
        (0..data.rows).map(|row| f32::from(rng.chance(if same(row) { 0.4 } else { 0.05 }))).collect();
    let mut clicked: Vec<Vec<u32>> = vec![Vec::new(); 402];
    let (mut offsets, mut ids) = (vec![0u64], Vec::new());
    for row in 0..data.rows {
        let past = &mut clicked[data.categorical[0][row] as usize];
        ids.extend_from_slice(&past[past.len().saturating_sub(HISTORY)..]);
        offsets.push(ids.len() as u64);
        if data.label[row] > 0.0 {
            past.push(data.categorical[1][row]);
        }
    }
    data.sequences = vec![Arc::new(SequenceColumn { offsets: offsets.into(), ids: ids.into() })];
    data
}

/// Users click on ads of their own parity: what sums of single values cannot see, people and ads that were clicked
/// together tell.
#[test]
fn what_is_counted_tells_who_likes_what() {
    let data = clicks_with_their_own_past();
    let auc_with = |kind: &str, more: &[(&str, &str)]| {
        let settings = [&[("epochs", "5"), ("batch_size", "128"), ("patience", "0")], more].concat();
        let model = fit(&data, &spec(kind, &settings));
        model.card.test.unwrap().auc.unwrap().value
    };
    let auc = |kind: &str| auc_with(kind, &[]);
    let sums = auc("logistic");
    let (likeness, shares) = (auc("item_cf"), auc_with("item_cf", &[("weights", "share")]));
    assert!(shares > sums + 0.03 && shares != likeness, "{shares} against {sums} and {likeness}");
    for kind in ["item_cf", "user_cf", "ease", "biased_mf", "als", "bpr_mf", "light_gcn", "gcn", "irgan"] {
        let found = auc(kind);
        assert!(found > sums + 0.03, "{kind}: {found} against {sums}");
    }
    assert!((auc("global_rate") - 0.5).abs() < 1e-9, "one number for all ranks nobody");
}

/// The rate of an ad is the mean of its posterior, and on average that of all.
#[test]
fn the_rate_of_each_ad_is_smoothed_by_what_was_seen_of_it() {
    let data = clicks(4000, 50, 22);
    let settings = [("epochs", "1"), ("calibrate", "off"), ("learning_rate", "0.00001")];
    let predicted = scores(&fit(&data, &spec("segment_rate", &settings)), &data);
    let groups: Vec<(f64, f64)> = (0..ADS + 2)
        .map(|ad| {
            let rows = data.train.iter().filter(|row| data.categorical[1][**row as usize] == ad);
            rows.fold((0.0, 0.0), |(c, n), row| (c + f64::from(data.label[*row as usize]), n + 1.0))
        })
        .collect();
    let prior = BetaPrior::by_moments(groups.iter().copied()).unwrap();
    for (row, predicted) in predicted.iter().enumerate() {
        let (clicks, shown) = groups[data.categorical[1][row] as usize];
        let wanted = prior.rate(clicks, shown);
        assert!((f64::from(*predicted) - wanted).abs() < 1e-3, "{predicted} against {wanted}");
    }
}
