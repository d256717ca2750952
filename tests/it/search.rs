//! Does a search find what is best, lose nothing when it is broken off, and show itself?

use crate::models::clicks;
use crate::support::{self, LIMIT, opened};
use adloupe::data::Dataset;
use adloupe::jobs::{JobContext, Latest};
use adloupe::train::search::{Ended, Knob, Search, SearchPlan, SearchState, Status, Strategy, Within};
use adloupe::train::{TrainSpec, TrainedModel, specs_of};
use adloupe::ui::panels::training::TrainingPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::path::Path;
use std::time::Duration;

fn plan(kind: &str, strategy: Strategy, over: &[&str], settings: &[(&str, &str)]) -> SearchPlan {
    let mut base = TrainSpec::new(kind).unwrap();
    for (name, value) in [("device", "cpu")].iter().chain(settings) {
        base.set(name, value).unwrap();
    }
    let specs = specs_of(kind).unwrap();
    let over = over.iter().map(|text| Knob::parse(&specs, text).unwrap()).collect();
    SearchPlan { base, over, strategy, trials: 9, points: 3, seed: 2 }
}

fn run(search: &mut Search, dataset: &Dataset, secs: f64) -> Ended {
    let within = Within {
        budget: Duration::from_secs_f64(secs),
        memory: 1 << 32,
        live: &Latest::default(),
        curves: &Latest::default(),
    };
    search.run(dataset, &within, &JobContext::detached()).unwrap()
}

/// All that does not tell of time.
fn timeless(state: &SearchState) -> SearchState {
    let mut state = state.clone();
    state.spent_secs = 0.0;
    state.trials.iter_mut().for_each(|trial| trial.secs = 0.0);
    state
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_search_broken_off_again_and_again_ends_like_one_that_was_not() {
    let dataset = clicks(3_000, 30, 3);
    let settings = [("epochs", "9"), ("batch_size", "64"), ("patience", "0")];
    let plan =
        plan("fm", Strategy::Halving, &["learning_rate=0.0001..0.1", "embedding_width=4,8"], &settings);
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut once = Search::begin(&dataset, &plan, whole.path()).unwrap();
    assert_eq!(run(&mut once, &dataset, 600.0), Ended::Finished);
    let mut runs = 1;
    let mut search = Search::begin(&dataset, &plan, broken.path()).unwrap();
    while run(&mut search, &dataset, 0.06) != Ended::Finished {
        runs += 1;
        assert!(runs < 2000, "it gets on");
        search = Search::go_on(&dataset, broken.path()).unwrap();
    }
    assert!(runs > 3, "it was broken off: {runs}");
    assert_eq!(timeless(&search.state), timeless(&once.state));
    assert_eq!(timeless(&Search::look(broken.path()).unwrap()), timeless(&once.state));
    let model = |search: &Search| TrainedModel::load(&search.best_folder()).unwrap();
    let (a, b) = (model(&once), model(&search));
    let scores = |model: &TrainedModel| model.predict_batch(&dataset.batch(&dataset.test[..50])).unwrap();
    assert_eq!(scores(&a), scores(&b));
    let best = once.state.best.unwrap();
    assert_eq!(a.params, once.state.spec_of(best).completed().unwrap().params);
    assert_eq!(files(whole.path()), ["best", "search.json"], "no checkpoint is left over");
    assert_eq!(once.state.statuses().iter().filter(|status| **status == Status::Over).count(), 1);
}

#[test]
fn the_best_trial_is_the_best_of_the_grid_and_a_failed_one_is_told() {
    let dataset = clicks(3_000, 30, 3);
    let folder = tempfile::tempdir().unwrap();
    let over = ["learning_rate=0.000001,0.01", "optimiser=adam,sgd"];
    let plan = plan("fm", Strategy::Grid, &over, &[("epochs", "2")]);
    let mut search = Search::begin(&dataset, &plan, folder.path()).unwrap();
    assert_eq!(run(&mut search, &dataset, 600.0), Ended::Finished);
    let state = &search.state;
    assert_eq!(state.trials.len(), 4);
    assert!(state.statuses().iter().all(|status| *status == Status::Over));
    let best = state.best.unwrap();
    assert_eq!(state.ranked()[0], best);
    let losses = state.trials.iter().map(|trial| {
        let losses = trial.epochs.iter().map(|numbers| numbers.loss.unwrap().value);
        losses.fold(f64::INFINITY, f64::min)
    });
    let losses: Vec<f64> = losses.collect();
    assert!(losses.iter().all(|loss| *loss >= losses[best]), "{losses:?}, best {best}");
    // Trials that cannot be trained are told, and the others go on.
    let mut refused = plan.clone();
    refused.over = vec![Knob::parse(&specs_of("fm").unwrap(), "monitor=gauc,log_loss").unwrap()];
    let other = tempfile::tempdir().unwrap();
    let mut search = Search::begin(&dataset, &refused, other.path()).unwrap();
    assert_eq!(run(&mut search, &dataset, 600.0), Ended::Finished);
    assert_eq!(search.state.statuses(), [Status::Failed, Status::Over]);
    assert!(search.state.trials[0].failure.as_ref().unwrap().contains("gauc"));
}

#[test]
fn a_search_is_refused_on_other_data_in_a_used_folder_and_after_damage() {
    let dataset = clicks(2_000, 30, 3);
    let folder = tempfile::tempdir().unwrap();
    let plan = plan("logistic", Strategy::Random, &["learning_rate=0.001..0.1"], &[("epochs", "1")]);
    let mut search = Search::begin(&dataset, &plan, folder.path()).unwrap();
    assert_eq!(run(&mut search, &dataset, 0.0), Ended::OutOfTime);
    assert!(Search::begin(&dataset, &plan, folder.path()).unwrap_err().hint.contains("--resume"));
    let failure = Search::go_on(&clicks(2_000, 30, 4), folder.path()).unwrap_err();
    assert!(failure.why.contains("another log"), "{failure}");
    let file = folder.path().join("search.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert!(Search::go_on(&dataset, folder.path()).unwrap_err().hint.contains("anew"));
    assert!(Search::go_on(&dataset, &folder.path().join("none")).is_err());
}

#[test]
fn the_panel_searches_stops_goes_on_and_opens_the_best() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut session = opened(&folder, 3000);
        let runs = tempfile::tempdir().unwrap();
        let keep = adloupe::session::commands::TrainCommand::KeepRunsIn(runs.path().join("runs"));
        session.apply(adloupe::session::Command::Train(keep));
        let mut harness: Harness<'_, support::Parts<TrainingPanel>> = support::harness(session, dark);
        harness.get_by_label("Search").click();
        harness.run();
        harness.get_by_label_contains("Nothing was searched in this run");
        harness.get_by_label("grid").click();
        harness.run();
        harness.get_by_label("Search 3 trials of DeepFM").click();
        harness.run_ok();
        assert!(harness.state_mut().0.settle(4 * LIMIT), "{:?}", harness.state().0.notices.all());
        harness.run();
        harness.get_by_label_contains("3 of 3 trials of deep_fm done");
        harness.get_by_label_contains(
            "Trials (axes learning_rate, log loss (validation)): 3 lines, the best at",
        );
        harness.get_by_label_contains("Open the best").click();
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT));
        assert_eq!(harness.state().0.store.training.models.len(), 1);
    }
}
