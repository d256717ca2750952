//! Does the gallery of models say what each needs, draw it, and train a set; and do the views that rank models work?

use crate::support::{self, LIMIT, opened, session};
use adloupe::session::commands::{InspectCommand, TrainCommand};
use adloupe::session::{Command, Session};
use adloupe::train::TrainSpec;
use adloupe::ui::panels::gallery::GalleryPanel;
use adloupe::ui::panels::training::TrainingPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn settle<P>(harness: &mut Harness<'_, support::Parts<P>>) {
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
}

fn gallery<'a>(session: Session, dark: bool) -> Harness<'a, support::Parts<GalleryPanel>> {
    support::harness(session, dark)
}

#[test]
fn without_a_log_every_kind_says_what_it_needs() {
    let mut harness = gallery(session(), true);
    harness.get_by_label_contains("No log is open");
    harness.get_by_label("Open the sample");
    harness.get_by_label("Deep interest network").scroll_to_me();
    harness.run_ok();
    harness.get_by_label("Deep interest network").click();
    harness.run_ok();
    harness.get_by_label_contains("the user's past behaviour");
}

#[test]
fn a_kind_is_drawn_with_the_shapes_that_its_knobs_give_it() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = gallery(opened(&folder, 3000), dark);
        settle(&mut harness);
        settle(&mut harness);
        harness.get_by_label("This log has all of it.");
        harness.get_by_label_contains("What deep_fm is made of: fields (");
        let drawn = harness.state().0.store.inspect.drawn.clone().unwrap();
        let outline = drawn.outline.as_ref().unwrap();
        let deep = outline.parts.iter().find(|part| part.name == "deep").unwrap();
        let (_, shape) = &deep.tensors[0];
        let width = drawn.params.count("embedding_width").unwrap();
        let fields = drawn.dataset.encoder.categorical.len() + drawn.dataset.encoder.sequences.len();
        let numbers = drawn.dataset.encoder.numeric.len();
        assert_eq!(*shape, [64, fields * width + numbers]);
    }
}

/// A session with a set of small trainings behind it.
fn trained() -> Session {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    assert!(session.settle(LIMIT));
    let specs = ["logistic", "fm"].map(|kind| {
        let mut spec = TrainSpec::new(kind).unwrap();
        spec.set("epochs", "1").unwrap();
        spec
    });
    session.apply(Command::Train(TrainCommand::StartAll(specs.to_vec())));
    assert_eq!(session.store.training.waiting.len(), 1, "one after another");
    assert!(session.settle(LIMIT));
    session
}

#[test]
fn a_set_is_trained_one_after_another_and_ranked() {
    let mut session = trained();
    let kinds: Vec<String> = session.store.training.models.iter().map(|run| run.model.kind.clone()).collect();
    assert_eq!(kinds, ["logistic", "fm"]);
    session.apply(Command::Inspect(InspectCommand::Rank));
    assert!(session.settle(LIMIT));
    let ranked = session.store.inspect.ranked.clone().unwrap();
    let auc = |place: usize| ranked.entries[place].measures.auc.unwrap().value;
    assert!(auc(0) >= auc(1));
    assert_eq!(ranked.entries[0].p, None, "the leader is compared with nobody");
    assert!(ranked.entries[1].p.unwrap() <= 1.0);
    assert!(ranked.entries.iter().any(|entry| entry.on_front));
    let mut harness: Harness<'_, support::Parts<TrainingPanel>> = support::harness(session, true);
    harness.run_ok();
    harness.get_by_label("Leaderboard").click();
    harness.run_ok();
    harness.get_by_label("Rank 2 models again");
    harness.get_by_label_contains("test rows, the same for all");
    harness.get_by_label("leader");
}

#[test]
fn what_each_model_would_show_a_user_is_told_ad_by_ad() {
    let mut session = trained();
    let user = {
        let log = &session.store.log.as_ref().unwrap().frame;
        adloupe::data::query::values(log, "user_id", 1).unwrap().remove(0).0
    };
    session.apply(Command::Inspect(InspectCommand::Retrieve(vec![0, 1], user.clone(), 5)));
    assert!(session.settle(LIMIT));
    let retrieved = session.store.inspect.retrieved.clone().unwrap();
    let found = retrieved.found.as_ref().unwrap();
    assert_eq!((found.user.as_str(), found.k, found.models.len()), (user.as_str(), 5, 2));
    // Each model shows five; what both show is counted once.
    assert_eq!(found.ads.len(), 10 - found.shared[0][1]);
    for model in 0..2 {
        let mut first: Vec<_> = found.ads.iter().filter(|ad| ad.ranks[model] <= 5).collect();
        first.sort_by_key(|ad| ad.ranks[model]);
        assert_eq!(first.len(), 5);
        assert!(first.windows(2).all(|pair| pair[0].scores[model] >= pair[1].scores[model]));
    }
    assert!(found.agreement[0] > 0.999 && (-1.0..=1.0).contains(&found.agreement[1]));

    session.apply(Command::Inspect(InspectCommand::Retrieve(vec![0], "nobody".into(), 5)));
    assert!(session.settle(LIMIT));
    let retrieved = session.store.inspect.retrieved.clone().unwrap();
    assert!(retrieved.found.as_ref().unwrap_err().why.contains("no user 'nobody'"));
}
