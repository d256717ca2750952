//! Does the training panel show what it should: empty, loaded, stopped, trained, failed?

use crate::support::{self, LIMIT, opened, session, spec};
use adloupe::data::Split;
use adloupe::data::importers::{CacheChoice, ImportOptions};
use adloupe::data::query::SegmentQuery;
use adloupe::data::query::subjects::SubjectKind;
use adloupe::domain::Segment;
use adloupe::insight::augmentation::AugmentPlan;
use adloupe::session::commands::{DataCommand, InspectCommand, RowsCommand, SegmentCommand, TrainCommand};
use adloupe::session::{Command, Purpose, Session};
use adloupe::tasks::trial::Trial;
use adloupe::train::TrainSpec;
use adloupe::train::gan::Game;
use adloupe::train::tuning::Tuning;
use adloupe::ui::panels::training::TrainingPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::path::PathBuf;
use std::time::Instant;

type Parts = support::Parts<TrainingPanel>;

fn harness<'a>(session: Session, dark: bool) -> Harness<'a, Parts> {
    support::harness(session, dark)
}

/// Opens a page, reads what it says beforehand, and has the work of its button done.
fn work(harness: &mut Harness<'_, Parts>, page: &str, before: &str, button: &str) {
    harness.get_by_label(page).click();
    harness.run();
    harness.get_by_label_contains(before);
    harness.get_by_label(button).click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    harness.run();
}

#[test]
fn an_empty_session_says_why_and_offers_the_sample() {
    for dark in [true, false] {
        let harness = harness(session(), dark);
        harness.get_by_label_contains("none is open");
        harness.get_by_label("Open the sample log");
    }
}

#[test]
fn a_click_trains_and_the_model_with_its_curves_appears() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(opened(&folder, 3000), dark);
        harness.get_by_label("Train DeepFM").click();
        harness.run();
        assert!(harness.state_mut().0.settle(LIMIT));
        harness.run();
        assert_eq!(harness.state().0.store.training.models.len(), 1);
        harness.get_by_label("1 deep_fm");
        harness.get_by_label_contains("Loss (log loss (nats) against epochs): training");
        harness.get_by_label_contains("AUC (AUC (validation) against epochs): validation");
    }
}

#[test]
fn one_switch_has_any_kind_read_texts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let mut rows = "user_id,ad_id,timestamp,headline,click\n".to_owned();
    for row in 0..400 {
        let (ad, headline) =
            if row % 3 == 0 { ("a", "light running shoes") } else { ("b", "fresh coffee beans") };
        let click = u8::from(row % 3 == 0 && row % 2 == 0);
        rows.push_str(&format!("u{},{ad},{},{headline},{click}\n", row % 40, 1_700_000_000 + row * 60));
    }
    std::fs::write(&path, rows).unwrap();
    let mut session = session();
    session.apply(Command::Data(DataCommand::Open(path)));
    assert!(session.settle(LIMIT));
    session.apply(Command::Data(DataCommand::SetRole("headline".into(), adloupe::data::Role::Text)));
    assert!(session.settle(LIMIT));
    let mut harness = harness(session, true);
    harness.run_ok();
    harness.get_by_label("Read texts as vectors").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
    let session = &mut harness.state_mut().0;
    let numbers = session.store.dataset.as_ref().unwrap().encoder.texts.len();
    assert_eq!(numbers, 1, "the one column of texts is read");
    session.apply(Command::Train(TrainCommand::Start(spec("logistic", "1"))));
    assert!(session.settle(LIMIT));
    assert_eq!(session.store.training.model().unwrap().encoder.texts.len(), 1);
    // A model moves what stands below it.
    harness.run_ok();
    harness.get_by_label("Read texts as vectors").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    assert!(harness.state().0.store.dataset.as_ref().unwrap().encoder.texts.is_empty());
}

#[test]
fn a_stopped_training_goes_on_or_is_kept_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    session.apply(Command::Train(TrainCommand::Start(spec("deep_fm", "1000"))));
    let deadline = Instant::now() + LIMIT;
    while session.store.training.live.version() == 0 {
        assert!(Instant::now() < deadline, "no batch within a minute");
        std::thread::yield_now();
    }
    session.apply(Command::Train(TrainCommand::Stop));
    assert!(session.settle(LIMIT));
    let mut harness = harness(session, true);
    harness.get_by_label_contains("deep_fm was stopped after");
    harness.get_by_label("Go on").click();
    harness.run_ok();
    assert!(harness.state().0.jobs.of(Purpose::Train).is_some());
    harness.get_by_label("Pause training").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
    harness.get_by_label("Keep as it is").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    assert_eq!(harness.state().0.store.training.models.len(), 1);
    assert!(harness.state().0.store.training.stopped.is_none());
}

#[test]
fn a_training_stopped_while_it_waits_keeps_what_it_had_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    session.apply(Command::Train(TrainCommand::Start(spec("logistic", "1000"))));
    let deadline = Instant::now() + LIMIT;
    while session.store.training.live.version() == 0 {
        assert!(Instant::now() < deadline, "no batch in time");
        std::thread::yield_now();
    }
    session.apply(Command::Train(TrainCommand::Stop));
    assert!(session.settle(LIMIT));
    // Stopped before the thread can have taken it, or while it runs: either way it can go on.
    session.apply(Command::Train(TrainCommand::Resume));
    session.apply(Command::Train(TrainCommand::Stop));
    assert!(session.settle(LIMIT));
    assert!(session.store.training.stopped.is_some());
}

#[test]
fn a_model_is_saved_opened_and_a_failure_keeps_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    session.apply(Command::Train(TrainCommand::Start(spec("logistic", "1"))));
    assert!(session.settle(LIMIT));
    let place = folder.path().join("model");
    session.apply(Command::Train(TrainCommand::Save(place.clone())));
    assert!(session.settle(LIMIT));
    session.apply(Command::Train(TrainCommand::Open(place)));
    assert!(session.settle(LIMIT));
    session.apply(Command::Train(TrainCommand::Open(PathBuf::from("/no/such/model"))));
    assert!(session.settle(LIMIT));
    assert_eq!(session.store.training.models.len(), 2);
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("/no/such/model")));
    let mut harness = harness(session, true);
    harness.get_by_label("2 logistic");
    harness.get_by_label("1 logistic").click();
    harness.run();
    assert_eq!(harness.state().0.store.training.selected, 0);
}

#[test]
fn the_model_in_view_is_written_for_other_runtimes_and_what_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    let mut session = support::trained(&folder, "fm");
    session.apply(Command::Train(TrainCommand::WriteOnnx(folder.path().join("model.txt"))));
    assert!(session.settle(LIMIT));
    let said = |session: &Session| format!("{:?}", session.notices.all().last());
    assert!(said(&session).contains("does not end in .onnx"), "{}", said(&session));
    session.apply(Command::Train(TrainCommand::WriteOnnx(file.clone())));
    assert!(session.settle(LIMIT));
    assert!(said(&session).contains("fm written to"), "{}", said(&session));
    let model = session.store.training.model().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), model.onnx().unwrap());
    let mut harness = harness(session, true);
    harness.run();
    assert!(!harness.get_by_label("Write ONNX…").accesskit_node().is_disabled());
}

#[test]
fn ticked_runs_are_compared_on_the_same_rows_with_what_differs_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    for rate in ["0.004", "0.00001"] {
        let mut spec = spec("logistic", "2");
        spec.set("learning_rate", rate).unwrap();
        session.apply(Command::Train(TrainCommand::Start(spec)));
        assert!(session.settle(LIMIT));
    }
    let mut harness = harness(session, false);
    harness.get_by_label("Compare").click();
    harness.run();
    harness.get_by_label_contains("Tick two runs");
    for place in ["compare 1", "compare 2"] {
        harness.get_by_label(place).click();
        harness.run();
    }
    harness.get_by_label_contains("Validation loss of runs (log loss (nats) against epochs): 1 logistic");
    harness.get_by_label("Compare 2 runs on the test rows").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    harness.run();
    let compared = harness.state().0.store.inspect.compared.clone().unwrap();
    assert_eq!(compared.knobs, [("learning_rate".to_owned(), vec!["0.004".into(), "0.00001".into()])]);
    let (first, second) = (&compared.models[0], &compared.models[1]);
    let difference = second.differences.log_loss.unwrap();
    let apart = second.measures.log_loss.unwrap().value - first.measures.log_loss.unwrap().value;
    assert!((difference.value - apart).abs() < 1e-12 && difference.low < difference.high);
    assert_eq!(first.differences.auc.unwrap().value, 0.0);
    assert!(harness.query_all_by_label("reference").count() > 0);
    harness.get_by_label_contains("1 settings differ");
}

#[test]
fn of_a_thousand_runs_only_those_in_sight_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = support::trained(&folder, "logistic");
    let run = session.store.training.models[0].clone();
    session.store.training.models.extend(std::iter::repeat_n(run, 999));
    let harness = harness(session, true);
    harness.get_by_label("1 logistic");
    assert!(harness.query_by_label("500 logistic").is_none());
}

#[test]
fn epochs_and_layers_are_tables_with_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(support::trained(&folder, "deep_fm"), true);
    harness.get_by_label("By epoch").click();
    harness.run();
    harness.get_by_label("validation loss (95 %)");
    harness.get_by_label_contains("validation rows, intervals by formula");
    harness.get_by_label("By layer").click();
    harness.run();
    harness.get_by_label("embedding");
}

#[test]
fn what_a_crash_left_unfinished_is_offered_and_goes_on_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let mut session = opened(&folder, 3000);
    session.apply(Command::Train(TrainCommand::Start(spec("logistic", "60"))));
    assert!(session.settle(LIMIT));
    let whole = session.store.training.models[0].model.card.test;
    session.apply(Command::Train(TrainCommand::KeepRunsIn(runs.clone())));
    session.apply(Command::Train(TrainCommand::Start(spec("logistic", "60"))));
    let deadline = Instant::now() + LIMIT;
    while session.store.training.live.get().is_none_or(|live| live.epochs_passed < 2.0) {
        assert!(Instant::now() < deadline, "no two epochs in time");
        std::thread::yield_now();
    }
    session.apply(Command::Train(TrainCommand::Stop));
    assert!(session.settle(LIMIT));
    // While it is in this program nobody else is offered it; the program that dies lets it go.
    let mut other = support::session();
    other.apply(Command::Train(TrainCommand::KeepRunsIn(runs.clone())));
    assert!(other.store.training.unfinished.is_empty());
    drop(session);
    other.apply(Command::Train(TrainCommand::KeepRunsIn(runs.clone())));
    let mut harness = harness(other, true);
    harness.get_by_label_contains("logistic on sample.parquet was not finished");
    harness.get_by_label("Go on with it").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    let session = &harness.state().0;
    assert_eq!(session.store.training.models.len(), 1, "{:?}", session.notices.all());
    assert_eq!(session.store.training.models[0].model.card.test, whole);
    assert_eq!(std::fs::read_dir(&runs).unwrap().count(), 0, "what was finished is cleared away");
}

#[test]
fn a_log_of_which_a_sample_is_held_is_trained_and_judged_on_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let log = support::sample_log(&folder, 20_000);
    let options = ImportOptions {
        memory_bytes: Some(1_000_000),
        cache: CacheChoice::Folder(folder.path().join("cache")),
        ..ImportOptions::default()
    };
    let mut session = session();
    session.apply(Command::Data(DataCommand::OpenAs(vec![log], Box::new(options))));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let held = session.store.dataset.as_ref().unwrap().rows;
    assert!(held < 10_000, "{held}");
    let mut harness = harness(session, true);
    harness.run();
    harness.get_by_label_contains("All 20000 rows: the first training streams them");
    let train = |session: &mut Session| {
        session.apply(Command::Train(TrainCommand::Start(spec("logistic", "1"))));
        assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    };
    train(&mut harness.state_mut().0);
    train(&mut harness.state_mut().0);
    harness.run();
    harness.get_by_label("All 20000 rows, streamed.");
    let session = &mut harness.state_mut().0;
    let card = &session.store.training.models[1].model.card;
    assert_eq!(card.data.rows, 20_000);
    assert!(card.data.test > held * 12 / 100, "{:?}", card.data);
    let (test, auc) = (card.data.test as f64, card.test.unwrap().auc.unwrap().value);
    session.apply(Command::Inspect(InspectCommand::Evaluate(Split::Test, String::new())));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let judged = session.store.inspect.evaluated.as_ref().unwrap().evaluation.scores.measures;
    assert_eq!((judged.impressions, judged.auc.unwrap().value), (test, auc));
    session.apply(Command::Inspect(InspectCommand::Compare(vec![0, 1])));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let compared = session.store.inspect.compared.as_ref().unwrap();
    assert_eq!(compared.models[1].measures.impressions, test);
}

#[test]
fn a_pass_over_the_log_shows_its_curves_and_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 3000), true);
    harness.get_by_label("Online").click();
    harness.run();
    harness.get_by_label_contains("Nothing was learnt online");
    harness.get_by_label("Learn online").click();
    harness.run();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run();
    let learnt = harness.state().0.store.training.online.clone().unwrap();
    assert_eq!((learnt.learner.progress.whole.rows, learnt.stopped), (3000, false));
    harness.get_by_label_contains("Log loss before learning (log loss (nats) against rows)");
    let kept = folder.path().join("learner");
    harness.state_mut().0.apply(Command::Train(TrainCommand::SaveOnline(kept.clone())));
    assert!(harness.state_mut().0.settle(LIMIT));
    let back = adloupe::train::online::Online::load(&kept, 1 << 32).unwrap();
    assert_eq!(back.progress, learnt.learner.progress);
}

#[test]
fn ticked_models_are_attacked_and_their_curves_stand_over_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(support::trained(&folder, "fm"), dark);
        work(&mut harness, "Robustness", "A model trained with Harden", "Attack 1 model");
        harness.get_by_label_contains("AUC under attack (AUC against epsilon (length of the change))");
        let session = &harness.state().0;
        let found = &session.store.inspect.attacked.as_ref().unwrap().found;
        let points = &found[0].1.as_ref().unwrap().points;
        let auc = |place: usize| points[place].measures.auc.unwrap().value;
        assert!(auc(0) > auc(points.len() - 1), "{points:?}");
    }
}

#[test]
fn the_model_in_view_is_made_smaller_and_both_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(support::trained(&folder, "fm"), dark);
        work(&mut harness, "Compression", "The smaller model joins the list below", "Make fm smaller");
        harness.get_by_label_contains("Smaller by ");
        let session = &harness.state().0;
        let found = &session.store.inspect.compressed.as_ref().unwrap().found;
        assert!(found.after.bytes < found.before.bytes, "{found:?}");
        assert_eq!(session.store.training.models.len(), 2);
    }
}

#[test]
fn users_and_ads_are_held_out_and_what_helps_them_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut session = opened(&folder, 3000);
        session.apply(Command::Train(TrainCommand::Select(0)));
        let mut harness = harness(session, dark);
        work(
            &mut harness,
            "Trials",
            "Trains twice without the users and ads that are held out",
            "Try deep_fm on new users and ads",
        );
        harness.get_by_label_contains("Priors of new ads: of ");
        let session = &harness.state().0;
        let found = session
            .store
            .training
            .tried(|tried| match tried {
                adloupe::tasks::trial::Tried::ColdStart(found) => Some(found),
                _ => None,
            })
            .unwrap();
        assert_eq!(found.groups.len(), 2, "{found:?}");
        assert!(session.store.training.models.is_empty(), "a trial leaves no model behind");
    }
}

#[test]
fn curves_of_a_target_are_drawn_and_users_mapped_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 3000), true);
    harness.get_by_label("Trials").click();
    harness.run();
    work(
        &mut harness,
        "Transfer",
        "A base learns from all rows but the target's",
        "Draw learning curves of deep_fm",
    );
    harness.get_by_label_contains("AUC by rows (AUC against training rows of the target)");
    harness.get_by_label("Map users").click();
    harness.run();
    harness.get_by_label("Map users of deep_fm").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run();
    let said: Vec<String> =
        harness.state().0.notices.all().iter().map(|notice| format!("{notice:?}")).collect();
    assert!(harness.query_by_label_contains("It explains ").is_some(), "{said:?}");
}

#[test]
fn rows_are_made_for_a_thin_segment_and_judged_on_real_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    let game = Game { steps: 40, batch: 32, width: 16, ..Game::default() };
    let plan = AugmentPlan { spec: spec("logistic", "1"), game, share: 0.5, seeds: 1 };
    let segment = Segment::equals("category", "beauty");
    session.apply(Command::Train(TrainCommand::TryOut(Box::new(Trial::Augmentation(plan, segment)))));
    assert!(session.settle(LIMIT));
    let said = format!("{:?}", session.notices.all());
    let mut harness = harness(session, true);
    harness.get_by_label("Trials").click();
    harness.run();
    harness.get_by_label("Made rows").click();
    harness.run();
    harness.get_by_label("Train deep_fm with made rows");
    assert!(harness.query_by_label_contains("rows were made for the segment").is_some(), "{said}");
}

#[test]
fn a_search_among_the_ads_says_how_many_of_the_best_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(support::trained(&folder, "two_tower"), true);
    harness.get_by_label("What each would show").click();
    harness.run();
    harness.get_by_label("Search among the ads with model 1").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    harness.run_ok();
    harness.get_by_label_contains("Recall is the share of the best of all ads that is found");
    harness.get_by_label("all ads");
    let listed = harness.state().0.store.inspect.shortlisted.clone().unwrap();
    let found = listed.found.as_ref().unwrap();
    assert!(found.ways.iter().all(|way| way.looked_at < 1.0 && way.recall.value <= 1.0), "{found:?}");
}

#[test]
fn clients_train_together_and_what_that_spends_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(opened(&folder, 3000), dark);
        harness.get_by_label("Federated").click();
        harness.run();
        harness.get_by_label_contains("All clients are simulated in this program");
        harness.get_by_label("hide each client by noise").click();
        harness.run();
        harness.get_by_label_contains("on clients by ").click();
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
        harness.run();
        harness.get_by_label_contains("Spent of each client: epsilon ");
        harness.get_by_label_contains("AUC by round (AUC against round)");
        let session = &harness.state().0;
        assert_eq!(session.store.training.models.len(), 1);
    }
}

#[test]
fn members_are_trained_averaged_and_give_predictions_an_interval() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    session.apply(Command::Train(TrainCommand::StartEnsemble(spec("fm", "1"), 2)));
    assert!(session.settle(2 * LIMIT), "{:?}", session.notices.all());
    let question = adloupe::tasks::prediction::EditedQuestion { row: 5, edits: Vec::new() };
    session.apply(Command::Inspect(InspectCommand::Predict(question)));
    assert!(session.settle(LIMIT));
    let predicted = session.store.inspect.predicted.clone().unwrap();
    let prediction = predicted.prediction.as_ref().unwrap();
    let interval = prediction.interval.unwrap();
    assert!(interval.low < prediction.p_click && prediction.p_click < interval.high, "{interval:?}");
    // The same wherever else a score is told: lists for a user, one user's history, what leads across a probability.
    let user = session.store.dataset.as_ref().unwrap().encoder.categorical[0].values[0].clone();
    session.apply(Command::Inspect(InspectCommand::Retrieve(vec![0, 2], user.clone(), 5)));
    assert!(session.settle(LIMIT));
    let lists = session.store.inspect.retrieved.clone().unwrap();
    let first = &lists.found.as_ref().unwrap().ads[0];
    assert!(first.intervals[0].is_none(), "one model cannot tell");
    assert!(first.intervals[1].unwrap().low < first.scores[1].into(), "{first:?}");
    session.apply(Command::Segment(SegmentCommand::Count {
        query: SegmentQuery { by: vec!["category".into()], ..SegmentQuery::default() },
        predicted: true,
        funnel: false,
    }));
    assert!(session.settle(LIMIT));
    session.apply(Command::Rows(RowsCommand::LookUp(SubjectKind::User, user)));
    assert!(session.settle(LIMIT));
    let told = session.store.subjects.clone().unwrap();
    let history = &told.profile.as_ref().unwrap().as_ref().unwrap().history;
    assert!(history.iter().all(|seen| seen.interval.unwrap().high > seen.predicted.unwrap().into()));
    let mut harness = harness(session, true);
    harness.get_by_label("3 fm × 2");
    for place in [1, 2] {
        harness.get_by_label(&format!("compare {place}")).click();
        harness.run_ok();
    }
    harness.get_by_label("Average 2 ticked models").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    assert_eq!(harness.state().0.store.training.models.len(), 4);
}

/// All of a model, a model whose embeddings stay, and an adapter beside one: each stopped, left behind by its program, and
/// gone on with in the next one's window.
#[test]
fn trainings_that_began_with_a_model_are_gone_on_with_in_the_window_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let stays = Tuning { frozen: vec!["embedding".into()], rank: None };
    for tuning in [Tuning::default(), stays, Tuning { frozen: vec![], rank: Some(2) }] {
        let runs = folder.path().join("runs");
        let mut session = support::trained(&folder, "fm");
        let base = session.store.training.models[0].model.clone();
        let mut further = TrainSpec::going_on(&base).unwrap();
        for (knob, value) in [("epochs", "30"), ("patience", "0"), ("device", "cpu")] {
            further.set(knob, value).unwrap();
        }
        let tune = Command::Train(TrainCommand::Tune(further, tuning.clone()));
        session.apply(tune.clone());
        assert!(session.settle(LIMIT), "{:?}", session.notices.all());
        let whole = session.store.training.models[1].model.clone();
        session.apply(Command::Train(TrainCommand::KeepRunsIn(runs.clone())));
        // It begins with the model in view, which is the further one by now.
        session.apply(Command::Train(TrainCommand::Select(0)));
        session.apply(tune);
        let deadline = Instant::now() + LIMIT;
        while session.store.training.live.get().is_none_or(|live| live.epochs_passed < 2.0) {
            assert!(Instant::now() < deadline, "no two epochs in time");
            std::thread::yield_now();
        }
        session.apply(Command::Train(TrainCommand::Stop));
        assert!(session.settle(LIMIT));
        assert!(session.store.training.stopped.is_some(), "{tuning:?} ended before it was stopped");
        drop(session);
        let mut other = support::session();
        other.apply(Command::Train(TrainCommand::KeepRunsIn(runs.clone())));
        let mut harness = harness(other, true);
        harness.get_by_label_contains("fm on sample.parquet was not finished");
        harness.get_by_label("Go on with it").click();
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
        let session = &harness.state().0;
        assert_eq!(session.store.training.models.len(), 1, "{:?}", session.notices.all());
        let model = &session.store.training.models[0].model;
        assert_eq!(model.card.test, whole.card.test, "{tuning:?}");
        assert_ne!(model.card.test, base.card.test, "{tuning:?}");
        assert_eq!(model.adapter_rank(), tuning.rank);
        assert_eq!(std::fs::read_dir(&runs).unwrap().count(), 0, "what was finished is cleared away");
    }
}

#[test]
fn the_model_in_view_is_trained_further_and_a_wrong_part_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(support::trained(&folder, "fm"), true);
    harness.get_by_label("Train model 1 further").click();
    harness.run();
    harness.get_by_label("Only an adapter (LoRA)").click();
    harness.run();
    harness.get_by_label("Train it further").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    let session = &mut harness.state_mut().0;
    assert_eq!(session.store.training.models.len(), 2);
    assert_eq!(session.store.training.models[1].model.adapter_rank(), Some(4));
    let model = session.store.training.models[0].model.clone();
    let tuning = adloupe::train::tuning::Tuning { frozen: vec!["nothing".into()], rank: None };
    let going_on = adloupe::train::TrainSpec::going_on(&model).unwrap();
    session.apply(Command::Train(TrainCommand::Tune(going_on, tuning)));
    session.settle(LIMIT);
    assert!(format!("{:?}", session.notices.all()).contains("no part 'nothing'"));
}
