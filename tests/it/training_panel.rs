//! Does the training panel show what it should: empty, loaded, stopped, trained, failed?

use adloupe::data::sample;
use adloupe::jobs::JobContext;
use adloupe::session::commands::{DataCommand, TrainCommand};
use adloupe::session::{Command, Purpose, Session, Workspace};
use adloupe::train::TrainSpec;
use adloupe::ui::panels::Panel;
use adloupe::ui::panels::training::TrainingPanel;
use adloupe::ui::{PanelContext, Theme};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

type Parts = (Session, TrainingPanel);

/// The panel alone over a session; commands that it sends are applied after the frame, as the app does.
fn harness<'a>(session: Session, dark: bool) -> Harness<'a, Parts> {
    let theme = Theme::load(dark).unwrap();
    Harness::builder().with_size(egui::vec2(1400.0, 1000.0)).build_ui_state(
        move |ui, (session, panel): &mut Parts| {
            let (mut commands, mut questions) = (Vec::new(), Vec::new());
            panel.ui(ui, &mut PanelContext::new(session, &theme, &mut commands, &mut questions));
            for command in commands {
                session.apply(command);
            }
        },
        (session, TrainingPanel::default()),
    )
}

/// A session with a small sample log open and encoded.
fn loaded(folder: &tempfile::TempDir) -> Session {
    let log = folder.path().join("sample.parquet");
    sample::generate(3000, 5, &log, &JobContext::detached()).unwrap();
    let mut session = Session::new(Workspace::default(), || {}).unwrap();
    session.apply(Command::Data(DataCommand::Open(log)));
    assert!(session.settle(LIMIT) && session.store.dataset.is_some(), "{:?}", session.notices.all());
    session
}

fn spec(kind: &str, epochs: &str) -> TrainSpec {
    let mut spec = TrainSpec::new(kind).unwrap();
    spec.set("device", "cpu").unwrap();
    spec.set("epochs", epochs).unwrap();
    spec.set("patience", "0").unwrap();
    spec
}

#[test]
fn an_empty_session_says_why_and_offers_the_sample() {
    for dark in [true, false] {
        let session = Session::new(Workspace::default(), || {}).unwrap();
        let harness = harness(session, dark);
        harness.get_by_label_contains("none is open");
        harness.get_by_label("Open the sample log");
    }
}

#[test]
fn a_click_trains_and_the_model_with_its_curves_appears() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(loaded(&folder), dark);
        harness.get_by_label("Train Logistic regression").click();
        harness.run();
        assert!(harness.state_mut().0.settle(LIMIT));
        harness.run();
        assert_eq!(harness.state().0.store.training.models.len(), 1);
        harness.get_by_label("1 logistic");
        harness.get_by_label_contains("Loss (log loss (nats) against epochs): training");
        harness.get_by_label_contains("AUC (AUC (validation) against epochs): validation");
    }
}

#[test]
fn a_stopped_training_goes_on_or_is_kept_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = loaded(&folder);
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
    harness.get_by_label("Stop training").click();
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
fn a_model_is_saved_opened_and_a_failure_keeps_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = loaded(&folder);
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
