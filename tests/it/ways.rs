//! Do the ways to learn hold what they promise, on whole trainings?

use crate::models::clicks;
use adloupe::base::rng::Rng;
use adloupe::data::dataset::take_known;
use adloupe::data::{Dataset, Split};
use adloupe::insight::compression::compression;
use adloupe::insight::robustness::{AttackQuestion, robustness};
use adloupe::jobs::{JobContext, Latest};
use adloupe::metrics::calibration::{ece, predicted_over_actual};
use adloupe::models::Attack;
use adloupe::nn::packed::Packing;
use adloupe::train::compress::Recipe;
use adloupe::train::ensemble::member_specs;
use adloupe::train::federated::{Federation, Noise, federate};
use adloupe::train::tuning::Tuning;
use adloupe::train::{self, TrainSpec, TrainedModel};
use std::sync::Arc;

fn spec(kind: &str, settings: &[(&str, &str)]) -> TrainSpec {
    let mut spec = TrainSpec::new(kind).unwrap();
    for (name, value) in [("device", "cpu"), ("epochs", "3")].iter().chain(settings) {
        spec.set(name, value).unwrap();
    }
    spec
}

fn trained(dataset: &Dataset, kind: &str, settings: &[(&str, &str)]) -> TrainedModel {
    train::fit(dataset, &spec(kind, settings), &Latest::default(), &JobContext::detached()).unwrap()
}

/// Clicks that only the user decides: three in ten of one half, one in ten of the other.
fn rare(rows: usize) -> Dataset {
    let mut rng = Rng::named(4, "users that differ");
    let mut dataset = clicks(rows, 40, 4);
    let of_user = |user: &u32| if user.is_multiple_of(2) { 0.3 } else { 0.1 };
    dataset.label = dataset.categorical[0].iter().map(|user| f32::from(rng.chance(of_user(user)))).collect();
    dataset
}

#[test]
fn calibration_repairs_what_smoothed_labels_do_and_travels_with_the_model() {
    let dataset = rare(20_000);
    let labels = take_known(&dataset.label, &dataset.test);
    let context = JobContext::detached();
    let off = |predicted: &[f32]| ece(predicted, &labels, &[], 10).unwrap();
    let wrong = trained(&dataset, "logistic", &[("label_smoothing", "0.5"), ("calibrate", "off")]);
    let wrong = off(&wrong.predict(&dataset, &dataset.test, &context).unwrap());
    for method in ["platt", "isotonic"] {
        let model = trained(&dataset, "logistic", &[("label_smoothing", "0.5"), ("calibrate", method)]);
        let predicted = model.predict(&dataset, &dataset.test, &context).unwrap();
        assert!(off(&predicted) < 0.6 * wrong, "{method}: {} of {wrong}", off(&predicted));
        let before = model.predict_uncalibrated(&dataset, &dataset.test, &context).unwrap();
        assert!((off(&before) - wrong).abs() < 1e-6, "before the layer stands what was without it");
        let (after, first) = (model.card.test.unwrap(), model.card.uncalibrated.unwrap());
        assert!(after.log_loss.unwrap().value < first.log_loss.unwrap().value, "{method}");
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let back = TrainedModel::load(folder.path()).unwrap();
        assert_eq!(back.card.calibration, model.card.calibration);
        let of_batch = back.predict_batch(&dataset.batch(&dataset.test[..50])).unwrap();
        assert_eq!(of_batch, predicted[..50], "one batch is scored as all rows are");
    }
}

#[test]
fn calibration_per_segment_moves_the_column_that_is_off() {
    let mut dataset = rare(20_000);
    let mut rng = Rng::named(5, "nothing to learn");
    let settings = [("epochs", "1"), ("learning_rate", "0.000001"), ("calibrate_each", "worst")];
    let model = trained(&dataset, "logistic", &settings);
    let each = model.card.calibration.as_ref().and_then(|layer| layer.each.as_ref()).unwrap();
    assert_eq!(each.field, "user", "of which the untrained model knows nothing");
    assert!(each.misfit.unwrap() > 3.0);
    let context = JobContext::detached();
    let user = |row: &u32| dataset.categorical[0][*row as usize];
    let rows: Vec<u32> = dataset.test.iter().copied().filter(|row| user(row).is_multiple_of(2)).collect();
    let labels = take_known(&dataset.label, &rows);
    let ratio = |predicted: &[f32]| predicted_over_actual(predicted, &labels, &[]).unwrap().value;
    let before = ratio(&model.predict_uncalibrated(&dataset, &rows, &context).unwrap());
    let after = ratio(&model.predict(&dataset, &rows, &context).unwrap());
    assert!((before - 0.66).abs() < 0.1 && after > before + 0.1 && after < 1.1, "{after} after {before}");
    // Where nothing is off, no column is the worst.
    dataset.label = (0..dataset.rows).map(|_| f32::from(rng.chance(0.2))).collect();
    assert_eq!(trained(&dataset, "logistic", &settings).card.calibration, None);
    let mut nameless = clicks(2_000, 40, 4);
    let mut encoder = (*nameless.encoder).clone();
    encoder.keys.ad = None;
    nameless.encoder = encoder.into();
    let failure = train::Trainer::new(&nameless, &spec("logistic", &[("calibrate_each", "ad")])).unwrap_err();
    assert!(failure.hint.contains("role ad"), "{failure}");
}

#[test]
fn boosted_trees_find_what_no_value_tells_alone_and_do_not_trust_rates_of_their_own_rows() {
    let dataset = clicks(8_000, 30, 5);
    let auc = |model: &TrainedModel| model.card.test.unwrap().auc.unwrap().value;
    let trees = trained(&dataset, "gbdt", &[("trees", "100")]);
    let linear = trained(&dataset, "logistic", &[]);
    assert!(auc(&trees) > auc(&linear) + 0.1, "{} beside {}", auc(&trees), auc(&linear));
    let folder = tempfile::tempdir().unwrap();
    trees.save(folder.path()).unwrap();
    let back = TrainedModel::load(folder.path()).unwrap();
    let context = JobContext::detached();
    let all = |model: &TrainedModel| model.predict(&dataset, &dataset.test, &context).unwrap();
    assert_eq!(all(&back), all(&trees));
    // Outcomes that nothing tells, and a user of their own for every second row: a rate that counted its own row would
    // tell all training rows and none of the others.
    let mut noise = clicks(6_000, 3_000, 6);
    let mut rng = Rng::named(6, "noise");
    noise.label = (0..noise.rows).map(|_| f32::from(rng.chance(0.2))).collect();
    let learnt = trained(&noise, "gbdt", &[("trees", "50")]).card.test.unwrap();
    let entropy = learnt.normalized_entropy.unwrap();
    assert!(entropy.value < 1.03, "{entropy:?}");
}

/// AUC and log loss of the test rows under an attack.
fn under_attack(model: &TrainedModel, dataset: &Dataset, attack: Attack) -> (f64, f64) {
    let predicted = model.predict_attacked(dataset, &dataset.test, attack, &JobContext::detached()).unwrap();
    let measures = train::measure(dataset, &dataset.test, &predicted);
    (measures.auc.unwrap().value, measures.log_loss.unwrap().value)
}

#[test]
fn a_hardened_model_loses_less_under_attack_than_one_that_is_not() {
    let dataset = clicks(6_000, 30, 8);
    let plain = trained(&dataset, "deep_fm", &[]);
    let attack = Attack { epsilon: 0.05, steps: 5 };
    let (plain_auc, plain_loss) = under_attack(&plain, &dataset, attack);
    let clean = plain.card.test.unwrap().auc.unwrap().value;
    assert!(plain_auc < clean - 0.05, "the attack bites: {plain_auc} of {clean}");
    for way in ["fgm", "pgd"] {
        let model = trained(&dataset, "deep_fm", &[("adversarial", way), ("epsilon", "0.05")]);
        let (auc, loss) = under_attack(&model, &dataset, attack);
        assert!(
            auc > plain_auc + 0.02 && loss < plain_loss,
            "{way}: {auc} for {plain_auc}, {loss} for {plain_loss}"
        );
        let kept = model.card.test.unwrap().auc.unwrap().value;
        assert!(kept > clean - 0.05, "{way}: {kept} for {clean} where nothing attacks");
    }
}

#[test]
fn what_is_counted_cannot_be_hardened_and_an_epsilon_is_a_length() {
    let dataset = clicks(2_000, 30, 8);
    for kind in ["gbdt", "item_cf"] {
        let failure = train::Trainer::new(&dataset, &spec(kind, &[("adversarial", "fgm")])).unwrap_err();
        assert!(failure.why.contains("counted"), "{kind}: {failure}");
    }
    let model = trained(&dataset, "gbdt", &[("trees", "5")]);
    let attack = Attack { epsilon: 0.1, steps: 1 };
    let context = JobContext::detached();
    let failure = model.predict_attacked(&dataset, &dataset.test, attack, &context).unwrap_err();
    assert!(failure.hint.contains("deep_fm"), "{failure}");
    let model = trained(&dataset, "fm", &[]);
    let ask = |epsilons: &[f64]| {
        let question = AttackQuestion { epsilons: epsilons.to_vec(), ..AttackQuestion::default() };
        robustness(&model, &dataset, (Split::Test, &question), &context)
    };
    for wrong in [&[][..], &[-0.1], &[f64::NAN], &[f64::INFINITY]] {
        assert!(ask(wrong).unwrap_err().hint.contains("0.5"));
    }
    let told = ask(&[0.5, 0.0, 0.5]).unwrap();
    assert_eq!(told.points.iter().map(|point| point.epsilon).collect::<Vec<_>>(), [0.0, 0.5]);
    assert_eq!(told.points[0].measures, model.card.test.unwrap(), "no attack is what the card tells");
    assert!(told.length > 0.0);
}

fn resampled(dataset: &Dataset, kind: &str, members: usize) -> Vec<Arc<TrainedModel>> {
    let specs = member_specs(&spec(kind, &[]), members, true).unwrap();
    let fit = |spec: &TrainSpec| train::fit(dataset, spec, &Latest::default(), &JobContext::detached());
    specs.iter().map(|spec| Arc::new(fit(spec).unwrap())).collect()
}

#[test]
fn an_ensemble_is_the_mean_of_its_members_and_travels_whole() {
    let dataset = clicks(3_000, 30, 3);
    let context = JobContext::detached();
    let models = resampled(&dataset, "fm", 3);
    let all = |model: &TrainedModel| model.predict(&dataset, &dataset.test, &context).unwrap();
    let ensemble = TrainedModel::ensemble(&models, &dataset, &context).unwrap();
    let each: Vec<_> = models.iter().map(|model| all(model)).collect();
    assert_ne!(each[0], each[1], "members differ");
    for (row, p) in all(&ensemble).iter().enumerate() {
        let mean = each.iter().map(|scores| scores[row]).sum::<f32>() / 3.0;
        assert!((p - mean).abs() < 1e-6);
    }
    let spread = ensemble.scored(&dataset, &dataset.test, &context).unwrap().intervals.unwrap();
    assert!(spread.iter().all(|one| one.low <= one.value && one.value <= one.high && one.low < one.high));
    assert_eq!(models[0].scored(&dataset, &dataset.test, &context).unwrap().intervals, None);
    let loss = |model: &TrainedModel| model.card.test.unwrap().log_loss.unwrap().value;
    let mean = models.iter().map(|model| loss(model)).sum::<f64>() / 3.0;
    assert!(loss(&ensemble) <= mean, "log loss is convex: {} for {mean}", loss(&ensemble));
    let folder = tempfile::tempdir().unwrap();
    ensemble.save(folder.path()).unwrap();
    let back = TrainedModel::load(folder.path()).unwrap();
    assert_eq!((back.members(), back.name()), (3, "fm × 3".to_owned()));
    assert_eq!(all(&back), all(&ensemble));
    let batch = dataset.batch(&dataset.test[..20]);
    assert_eq!(back.predict_batch(&batch).unwrap(), ensemble.predict_batch(&batch).unwrap());
    // A member of another ensemble is found out.
    models[0].save(&folder.path().join("member-3")).unwrap();
    assert!(TrainedModel::load(folder.path()).unwrap_err().why.contains("another member"));
    let other = Arc::new(trained(&dataset, "logistic", &[]));
    let mixed = [Arc::clone(&models[0]), other];
    assert!(TrainedModel::ensemble(&mixed, &dataset, &context).unwrap_err().why.contains("logistic"));
    assert!(TrainedModel::ensemble(&models[..1], &dataset, &context).is_err());
    assert!(
        back.predict_attacked(&dataset, &dataset.test, Attack { epsilon: 0.1, steps: 1 }, &context).is_err()
    );
}

#[test]
fn one_more_member_comes_out_where_the_others_say() {
    let dataset = rare(8_000);
    let context = JobContext::detached();
    for kind in ["logistic", "gbdt"] {
        let models = resampled(&dataset, kind, 12);
        let (mut held, mut rows) = (0, 0);
        for left_out in 0..models.len() {
            let others: Vec<_> =
                (0..models.len()).filter(|at| *at != left_out).map(|at| Arc::clone(&models[at])).collect();
            let ensemble = TrainedModel::ensemble(&others[..6], &dataset, &context).unwrap();
            let spread = ensemble.scored(&dataset, &dataset.test, &context).unwrap().intervals.unwrap();
            let one = models[left_out].predict(&dataset, &dataset.test, &context).unwrap();
            held +=
                spread.iter().zip(&one).filter(|(s, p)| (s.low..=s.high).contains(&f64::from(**p))).count();
            rows += one.len();
        }
        let share = held as f64 / rows as f64;
        assert!((0.91..0.98).contains(&share), "{kind}: {share} for 0.95");
    }
}

/// Clicks on the same users and ads whose taste has turned round.
fn turned(dataset: &Dataset) -> Dataset {
    let mut rng = Rng::named(7, "turned");
    let columns = dataset.categorical[0].iter().zip(dataset.categorical[1].iter());
    let chance = |(user, ad): (&u32, &u32)| if user % 2 == ad % 2 { 0.1 } else { 0.6 };
    let label: Vec<f32> = columns.map(|pair| f32::from(rng.chance(chance(pair)))).collect();
    Dataset { label: label.into(), ..dataset.clone() }
}

fn tuned(dataset: &Dataset, settings: &[(&str, &str)], base: &TrainedModel, tuning: &Tuning) -> TrainedModel {
    let mut spec = TrainSpec::going_on(base).unwrap();
    for (name, value) in
        [("device", "cpu"), ("epochs", "6"), ("learning_rate", "0.02")].iter().chain(settings)
    {
        spec.set(name, value).unwrap();
    }
    let mut trainer = train::Trainer::tuning(1 << 32, dataset, &spec, (base, tuning)).unwrap();
    trainer.run(&Latest::default(), &JobContext::detached()).unwrap();
    trainer.finish(&JobContext::detached()).unwrap()
}

#[test]
fn an_adapter_learns_what_is_new_while_its_base_stays_and_is_refused_on_another() {
    let before = clicks(6_000, 30, 3);
    let after = turned(&before);
    let context = JobContext::detached();
    for kind in ["fm", "deep_fm"] {
        let base = trained(&before, kind, &[("epochs", "8")]);
        let folder = tempfile::tempdir().unwrap();
        base.save(folder.path()).unwrap();
        let bytes = || std::fs::read(folder.path().join("weights.safetensors")).unwrap();
        let untouched = bytes();
        let all = |model: &TrainedModel| model.predict(&after, &after.test, &context).unwrap();
        let scored = all(&base);
        // Before the first step it is the base.
        let mut spec = TrainSpec::going_on(&base).unwrap();
        spec.set("calibrate", "off").unwrap();
        spec.set("device", "cpu").unwrap();
        let adapter = Tuning { rank: Some(2), ..Tuning::default() };
        let fresh = train::Trainer::tuning(1 << 32, &after, &spec, (&base, &adapter)).unwrap();
        assert_eq!(all(&fresh.finish(&context).unwrap()), scored, "{kind}");
        let model = tuned(&after, &[], &base, &adapter);
        let auc = |scores: &[f32]| train::measure(&after, &after.test, scores).auc.unwrap().value;
        let (was, is) = (auc(&scored), auc(&all(&model)));
        assert!(is > was + 0.15, "{kind}: {is} after {was}");
        assert!(
            model.card.training.weights < base.card.training.weights,
            "{:?}",
            model.card.training.weights
        );
        let at = folder.path().join("adapters").join("turned");
        model.save(&at).unwrap();
        let back = TrainedModel::load(&at).unwrap();
        assert_eq!(back.adapter_rank(), Some(2));
        assert_eq!(all(&back), all(&model), "merged from its file it scores the same");
        assert_eq!(all(&base), scored);
        assert_eq!(bytes(), untouched, "not a byte of the base has changed");
        // Elsewhere it is refused, with the reason.
        assert!(model.save(&folder.path().join("alone")).unwrap_err().hint.contains("adapters/NAME"));
        let other = tempfile::tempdir().unwrap();
        trained(&before, kind, &[("seed", "2")]).save(other.path()).unwrap();
        assert!(model.save(&other.path().join("adapters").join("x")).is_err());
        let moved = other.path().join("adapters").join("moved");
        std::fs::create_dir_all(&moved).unwrap();
        for name in ["adapter.json", "adapter.safetensors"] {
            std::fs::copy(at.join(name), moved.join(name)).unwrap();
        }
        let failure = TrainedModel::load(&moved).unwrap_err();
        assert!(failure.why.contains("another model"), "{failure}");
    }
}

#[test]
fn parts_that_stay_stay_and_the_others_go_on_from_what_was_known() {
    let before = clicks(6_000, 30, 3);
    let after = turned(&before);
    let base = trained(&before, "deep_fm", &[("epochs", "6")]);
    let frozen = Tuning { frozen: vec!["embedding".into(), "linear".into()], rank: None };
    let model = tuned(&after, &[], &base, &frozen);
    assert_eq!(model.table("user").unwrap(), base.table("user").unwrap());
    let whole = tuned(&after, &[], &base, &Tuning::default());
    assert_ne!(whole.table("user").unwrap(), base.table("user").unwrap());
    let context = JobContext::detached();
    let auc = |model: &TrainedModel| {
        let scores = model.predict(&after, &after.test, &context).unwrap();
        train::measure(&after, &after.test, &scores).auc.unwrap().value
    };
    let (was, some, all) = (auc(&base), auc(&model), auc(&whole));
    assert!(some > was && all > was + 0.05, "{some} and {all} after {was}");
    let refuse = |frozen: &[&str], settings: &[(&str, &str)]| {
        let mut spec = TrainSpec::going_on(&base).unwrap();
        settings.iter().for_each(|(name, value)| spec.set(name, value).unwrap());
        let tuning = Tuning { frozen: frozen.iter().map(|part| (*part).into()).collect(), rank: None };
        train::Trainer::tuning(1 << 32, &after, &spec, (&base, &tuning)).unwrap_err()
    };
    assert!(refuse(&["embeddings"], &[]).hint.contains("embedding"));
    assert!(refuse(&["embedding", "linear", "deep", "numeric", "bias"], &[]).why.contains("no part is left"));
    assert!(refuse(&[], &[("embedding_width", "4")]).why.contains("embedding_width"));
    let other = clicks(2_000, 31, 3);
    let spec = TrainSpec::going_on(&base).unwrap();
    let tuning = Tuning::default();
    assert!(train::Trainer::tuning(1 << 32, &other, &spec, (&base, &tuning)).is_err());
}

#[test]
fn a_compressed_model_is_smaller_travels_as_it_is_and_pruning_nothing_changes_nothing() {
    let dataset = clicks(6000, 40, 21);
    let context = JobContext::detached();
    let model = trained(&dataset, "deep_fm", &[]);
    let scores = |model: &TrainedModel| model.predict(&dataset, &dataset.test, &context).unwrap();
    let same = model.compressed(Recipe::default(), &dataset, &context).unwrap();
    assert_eq!(scores(&same), scores(&model));
    for (packing, most, off) in [(Packing::F16, 0.55, 2e-3), (Packing::Int8, 0.40, 2e-2)] {
        let small = model.compressed(Recipe { prune: 0.0, packing }, &dataset, &context).unwrap();
        let share = small.weight_bytes() as f64 / model.weight_bytes() as f64;
        assert!(share < most, "{packing:?}: {share} of the bytes");
        for (now, then) in scores(&small).iter().zip(scores(&model)) {
            assert!((now - then).abs() < off, "{packing:?}: {then} became {now}");
        }
        let folder = tempfile::tempdir().unwrap();
        small.save(folder.path()).unwrap();
        let bytes = folder.path().join("weights.safetensors").metadata().unwrap().len();
        assert_eq!(bytes, small.weight_bytes());
        let back = TrainedModel::load(folder.path()).unwrap();
        assert_eq!(scores(&back), scores(&small), "{packing:?}");
        assert_eq!(back.card.compression, small.card.compression);
        assert_eq!(back.card.test, small.card.test);
        // What was packed may be trained on.
        let spec = spec("deep_fm", &[("epochs", "1")]);
        let tuning = Tuning { frozen: Vec::new(), rank: None };
        let mut further = train::Trainer::tuning(u64::MAX, &dataset, &spec, (&back, &tuning)).unwrap();
        further.run(&Latest::default(), &context).unwrap();
        assert_eq!(further.finish(&context).unwrap().card.compression, None);
    }
    let recipe = Recipe { prune: 0.9, packing: Packing::F32 };
    let pruned = model.compressed(recipe, &dataset, &context).unwrap();
    assert!(pruned.weight_bytes() * 3 < model.weight_bytes(), "{} bytes", pruned.weight_bytes());
    let found = compression([&model, &pruned], &dataset, &context).unwrap();
    assert_eq!(found.after.bytes, pruned.weight_bytes());
    let (before, after) = (found.before.measures.auc.unwrap(), found.after.measures.auc.unwrap());
    let difference = found.differences.auc.unwrap();
    assert!((difference.value - (after.value - before.value)).abs() < 1e-6, "{difference:?}");
    let none = model.compressed(Recipe { prune: 1.0, ..recipe }, &dataset, &context).unwrap_err();
    assert!(none.hint.contains("below 1"), "{none}");
    // Places of nodes are no weights: trees stay exact.
    let trees = trained(&dataset, "gbdt", &[("trees", "10")]);
    let recipe = Recipe { prune: 0.5, packing: Packing::Int8 };
    assert_eq!(scores(&trees.compressed(recipe, &dataset, &context).unwrap()), scores(&trees));
}

#[test]
fn a_pupil_learns_what_its_teacher_says() {
    let dataset = rare(20_000);
    let context = JobContext::detached();
    // A teacher that says the opposite of what happened: a pupil that learns from it alone says so too.
    let turned =
        Dataset { label: dataset.label.iter().map(|label| 1.0 - label).collect(), ..dataset.clone() };
    let teacher = trained(&turned, "fm", &[]);
    let auc = |model: &TrainedModel| {
        let predicted = model.predict(&dataset, &dataset.test, &context).unwrap();
        train::measure(&dataset, &dataset.test, &predicted).auc.unwrap().value
    };
    let spec = spec("logistic", &[("calibrate", "off")]);
    let pupil = |share| teacher.distilled(&spec, share, &dataset, &context).unwrap();
    assert!(auc(&teacher) < 0.45 && auc(&pupil(1.0)) < 0.45, "{} {}", auc(&teacher), auc(&pupil(1.0)));
    assert!(auc(&pupil(0.1)) > 0.55, "{}", auc(&pupil(0.1)));
    assert!(pupil(1.0).card.data.is_of(&dataset), "the rows are those of the log");
    assert!(teacher.distilled(&spec, 0.0, &dataset, &context).unwrap_err().why.contains("share"));
}

#[test]
fn one_full_step_of_all_clients_is_a_step_on_all_rows_and_more_rounds_learn() {
    let dataset = rare(8000);
    let context = JobContext::detached();
    let spec = spec("deep_fm", &[("dropout", "0")]);
    let by = |column: &str| Federation {
        column: column.into(),
        rounds: 1,
        batch: 0,
        rate: 0.5,
        ..Default::default()
    };
    let scores = |federation: &Federation| {
        let (model, _) = federate(&dataset, &spec, federation, &context).unwrap();
        model.predict(&dataset, &dataset.test, &context).unwrap()
    };
    // Two columns part the rows in two ways: the mean of the clients' steps is that on all rows either way.
    let [one, other] = [0, 1].map(|place| scores(&by(&dataset.encoder.categorical[place].name)));
    for (one, other) in one.iter().zip(&other) {
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
    let user = dataset.encoder.categorical[0].name.clone();
    let logistic = self::spec("logistic", &[]);
    let longer = Federation { rounds: 15, batch: 16, ..by(&user) };
    let (model, told) = federate(&dataset, &logistic, &longer, &context).unwrap();
    assert!(model.card.test.unwrap().auc.unwrap().low > 0.55, "{:?}", model.card.test);
    assert_eq!((told.rounds.len(), told.spent, told.rounds[0].epsilon), (15, false, None));
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    assert_eq!(TrainedModel::load(folder.path()).unwrap().card.test, model.card.test);
}

#[test]
fn noise_is_counted_ends_at_its_budget_and_clients_without_clicks_are_told() {
    let mut dataset = rare(8000);
    let context = JobContext::detached();
    let users = dataset.categorical[0].clone();
    let labels =
        dataset.label.iter().zip(users.iter()).map(|(label, user)| label * f32::from(*user != users[0]));
    dataset.label = labels.collect();
    let logistic = spec("logistic", &[]);
    let noise = Noise { clip: 0.5, multiplier: 4.0, delta: 1e-5, budget: 6.0 };
    let column = dataset.encoder.categorical[0].name.clone();
    let federation = Federation { column, rounds: 200, share: 0.5, noise: Some(noise), ..Default::default() };
    let (_, told) = federate(&dataset, &logistic, &federation, &context).unwrap();
    assert_eq!(told.without_clicks, 1);
    assert!(told.spent && told.rounds.len() > 2 && told.rounds.len() < 200, "{}", told.rounds.len());
    let spent = told.rounds.last().unwrap().epsilon.unwrap();
    let next = adloupe::metrics::accountant::epsilon(0.5, 4.0, told.rounds.len() as u64 + 1, 1e-5);
    assert!(spent <= 6.0 && next > 6.0, "{spent} {next}");
    let failure = |federation: &Federation, kind: &str| {
        federate(&dataset, &spec(kind, &[]), federation, &context).unwrap_err().to_string()
    };
    let poor = Federation { noise: Some(Noise { budget: 0.1, ..noise }), ..federation.clone() };
    assert!(failure(&poor, "logistic").contains("one round spends epsilon"));
    assert!(failure(&federation, "gbdt").contains("at one place"));
    let nowhere = Federation { column: "nowhere".into(), ..federation };
    assert!(failure(&nowhere, "logistic").contains("no column 'nowhere'"));
}

#[test]
fn what_clicks_alone_say_of_conversions_is_too_high_where_clicks_select_and_esmm_is_nearer() {
    // Half of the users click thirty times as often as the others and convert six times as often after a click.
    let mut rng = Rng::named(6, "selected by clicks");
    let mut dataset = clicks(40_000, 200, 9);
    let is_keen = |row: usize, data: &Dataset| data.categorical[0][row].is_multiple_of(2);
    let drawn: Vec<(f32, f32)> = (0..dataset.rows)
        .map(|row| {
            let (click, conversion) = if is_keen(row, &dataset) { (0.3, 0.6) } else { (0.01, 0.1) };
            let clicked = rng.chance(click);
            (f32::from(clicked), f32::from(clicked && rng.chance(conversion)))
        })
        .collect();
    dataset.label = drawn.iter().map(|(click, _)| *click).collect();
    dataset.conversion = drawn.iter().map(|(_, conversion)| *conversion).collect();
    let context = JobContext::detached();
    let mean = |rates: &[f32]| rates.iter().map(|rate| f64::from(*rate)).sum::<f64>() / rates.len() as f64;
    let keen = dataset.test.iter().filter(|row| is_keen(**row as usize, &dataset)).count() as f64;
    let share = keen / dataset.test.len() as f64;
    let truth = 0.6 * share + 0.1 * (1.0 - share);
    let clicked = |rows: &[u32]| -> Vec<u32> {
        rows.iter().copied().filter(|row| dataset.label[*row as usize] > 0.0).collect()
    };
    let of_clicks = Dataset {
        label: dataset.conversion.clone(),
        train: clicked(&dataset.train).into(),
        validation: clicked(&dataset.validation).into(),
        ..dataset.clone()
    };
    let settings = [("epochs", "8"), ("batch_size", "128")];
    let alone = trained(&of_clicks, "deep_fm", &settings);
    let alone = mean(&alone.predict(&of_clicks, &dataset.test, &context).unwrap());
    let whole = trained(&dataset, "esmm", &settings);
    let whole = mean(&whole.predict_conversions(&dataset, &dataset.test, &context).unwrap().unwrap());
    assert!(alone > truth + 0.05, "clicks alone say {alone} of {truth}, ESMM {whole}");
    assert!((whole - truth).abs() < 0.5 * (alone - truth), "ESMM says {whole}, clicks {alone}, of {truth}");
}
