//! Does the studio lead from a sheet to approved words: brief, candidates, repairs, library, review?

use crate::support::{self, LIMIT};
use adloupe::adcopy::review::{Action, Status};
use adloupe::adcopy::{Brief, Item, Library};
use adloupe::session::commands::{CopyCommand, TrainCommand};
use adloupe::session::{Command, Session};
use adloupe::ui::panels::studio::StudioPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::sync::Arc;

fn settle(harness: &mut Harness<'_, support::Parts<StudioPanel>>) {
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
}

/// A session whose library lies in a folder of its own.
fn apart(mut session: Session, folder: &tempfile::TempDir) -> Session {
    session.workspace.library = Some(folder.path().join("library"));
    session
}

fn studio<'a>(session: Session, dark: bool) -> Harness<'a, support::Parts<StudioPanel>> {
    support::harness(session, dark)
}

#[test]
fn one_button_fills_the_studio_with_the_sample_sheet() {
    for dark in [true, false] {
        let mut harness = studio(support::session(), dark);
        harness.get_by_label("Begin with the sample sheet").click();
        settle(&mut harness);
        let round = harness.state().0.store.copy.round.clone().unwrap().unwrap();
        assert!(round.candidates.len() >= 10);
        harness.get_by_label_contains("pass every check");
        harness.get_by_label_contains("nothing is forecast: there is no trained model to ask");
        harness.get_by_label("Train a model");
        // The sheet stands in the form.
        harness.get_by_label("Sample, Chinese").click();
        settle(&mut harness);
        harness.get_by_label("Write candidates").click();
        settle(&mut harness);
        let round = harness.state().0.store.copy.round.clone().unwrap().unwrap();
        assert!(round.candidates.iter().all(|one| one.draft.text.contains(|c: char| c > '\u{2E80}')));
    }
}

#[test]
fn a_block_names_its_rule_and_is_repaired_by_one_click() {
    let mut harness = studio(support::session(), true);
    harness.get_by_label("Begin with the sample sheet").click();
    settle(&mut harness);
    let old = "240 g light, yours for $85".to_owned();
    let session = &mut harness.state_mut().0;
    session.apply(Command::Copy(CopyCommand::Reword { old: String::new(), new: old.clone() }));
    harness.run_ok();
    harness.get_by_label("grounding.price");
    harness.get_by_label_contains("fact 'price' says 'costs $89'");
    harness.get_by_label("Repair: say '$89', as fact 'price' does").click();
    settle(&mut harness);
    let round = harness.state().0.store.copy.round.clone().unwrap().unwrap();
    let repaired =
        round.candidates.iter().find(|one| one.draft.text == "240 g light, yours for $89").unwrap();
    assert_eq!(repaired.draft.proposer, "person + person");
    assert!(!round.blocked.iter().any(|one| one.draft.text == old));
}

#[test]
fn g9_two_audiences_get_other_words_each_with_a_forecast_and_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = support::opened(&folder, 20_000);
    session.apply(Command::Train(TrainCommand::Start(support::spec("logistic", "1"))));
    assert!(session.settle(LIMIT) && session.store.training.model().is_some());
    session.apply(Command::Copy(CopyCommand::SampleBrief(false)));
    let brief = session.store.copy.brief.clone().unwrap();
    let mut rounds = Vec::new();
    for audience in ["gender = 'female'", "gender = 'male' and device = 'desktop'"] {
        let audience = adloupe::domain::Segment::parse(audience).unwrap();
        session.apply(Command::Copy(CopyCommand::SetBrief(Box::new(Brief { audience, ..brief.clone() }))));
        session.apply(Command::Copy(CopyCommand::Write));
        assert!(session.settle(LIMIT));
        rounds.push(session.store.copy.round.clone().unwrap().unwrap());
    }
    let texts =
        |at: usize| rounds[at].candidates.iter().map(|one| one.draft.text.clone()).collect::<Vec<_>>();
    assert_ne!(texts(0), texts(1));
    for round in &rounds {
        let basis = round.basis.as_ref().unwrap();
        assert!(basis.ads >= 8 && basis.tau > 0.0 && basis.rows > 100, "{basis:?}");
        for one in &round.candidates {
            let forecast = one.forecast.unwrap();
            assert!(forecast.low < forecast.value && forecast.value < forecast.high);
            assert!((0.0..0.5).contains(&forecast.low) && forecast.high < 0.9, "{forecast:?}");
            assert!(one.verdict.passes() && !one.verdict.grounded.is_empty());
            let lower = one.draft.text.to_lowercase();
            assert!(
                !["women", "female", "men ", "ladies"].iter().any(|word| lower.contains(word)),
                "{lower}"
            );
        }
        let values: Vec<f64> = round.candidates.iter().map(|one| one.forecast.unwrap().value).collect();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "best first");
    }
    let female = rounds[0].basis.as_ref().unwrap();
    assert_ne!(rounds[0].candidates[0].forecast, rounds[1].candidates[0].forecast, "{female:?}");
    // An audience below the gate is not written for.
    session.workspace.privacy.k = 100_000;
    session.apply(Command::Copy(CopyCommand::Write));
    assert!(session.settle(LIMIT));
    let refused = session.store.copy.round.clone().unwrap().err().unwrap();
    assert!(refused.why.contains("fewer than 100000"), "{refused}");
}

#[test]
fn words_go_through_the_library_to_a_second_person() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = apart(support::session(), &folder);
    session.apply(Command::Copy(CopyCommand::SampleBrief(false)));
    session.apply(Command::Copy(CopyCommand::Write));
    assert!(session.settle(LIMIT));
    let round = session.store.copy.round.clone().unwrap().unwrap();
    let texts: Vec<String> = round.candidates.iter().take(2).map(|one| one.draft.text.clone()).collect();
    session.apply(Command::Copy(CopyCommand::Keep(texts.clone(), "mei".into())));
    assert!(session.settle(LIMIT));
    let review = |session: &mut Session, action: Action, who: &str| {
        session.apply(Command::Copy(CopyCommand::Review("c000001".into(), action, who.into())));
        assert!(session.settle(LIMIT));
        session.store.copy.library.as_ref().unwrap().get("c000001").unwrap().status
    };
    assert_eq!(review(&mut session, Action::Submit, "mei"), Status::InReview);
    assert_eq!(review(&mut session, Action::Approve, "mei"), Status::InReview, "its author may not");
    assert!(session.notices.all().last().unwrap().text.contains("one's own"));
    assert_eq!(review(&mut session, Action::Approve, "tom"), Status::Approved);
    let new = format!("{} now", texts[0]);
    let status = review(&mut session, Action::Edit(new), "mei");
    assert!(matches!(status, Status::Checked | Status::Draft), "an edit leads back");
    let library = session.store.copy.library.clone().unwrap();
    let item: &Arc<_> = library.get("c000001").unwrap();
    assert!(!item.disclosure.is_empty() && item.rights.contains("Kestrel"));
    assert_eq!(library.audit().unwrap().len(), 5);

    // The panel shows them.
    let mut harness = studio(session, true);
    harness.run_ok();
    harness.get_by_label("Library and review (2)").click();
    harness.run_ok();
    harness.get_by_label("c000002").click();
    harness.run_ok();
    assert!(harness.get_by_label("Approve").accesskit_node().is_disabled());
    harness.get_by_label_contains("audit: 5 entries, every link holds");
}

#[test]
fn the_ads_of_a_log_come_into_the_library_with_how_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let session = apart(support::opened(&folder, 3000), &folder);
    let mut harness = studio(session, false);
    harness.get_by_label("Library and review (0)").click();
    settle(&mut harness);
    harness.run_ok();
    settle(&mut harness);
    harness.get_all_by_label("Take in the ads of the log").last().unwrap().click();
    settle(&mut harness);
    let session = &harness.state().0;
    assert!(session.notices.all().last().unwrap().text.contains("nobody is named"), "the audit names people");
    assert!(session.store.copy.library.as_ref().unwrap().items().is_empty());
    harness.get_by_label("Write who you are").click();
    harness.run_ok();
    assert!(harness.get_by_label("You are").accesskit_node().is_focused());
    harness.get_by_label("You are").type_text("mei");
    harness.run_ok();
    harness.get_all_by_label("Take in the ads of the log").last().unwrap().click();
    settle(&mut harness);
    let library = harness.state().0.store.copy.library.clone().unwrap();
    assert_eq!(library.audit().unwrap()[0].who, "mei");
    assert!(library.items().len() > 40);
    let clicks: f64 = library.items().iter().map(|item| item.performance[0].rate.trials).sum();
    assert!((clicks - 3000.0).abs() < 1e-9, "every impression is somebody's: {clicks}");
}

#[test]
fn approved_variants_compete_and_a_draft_is_marked_on_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = apart(support::trained(&folder, "logistic"), &folder);
    session.workspace.privacy.k = 5;
    session.apply(Command::Copy(CopyCommand::SampleBrief(false)));
    let everybody = adloupe::domain::Segment::All;
    let brief = Brief { audience: everybody, ..session.store.copy.brief.clone().unwrap() };
    session.apply(Command::Copy(CopyCommand::SetBrief(Box::new(brief))));
    session.apply(Command::Copy(CopyCommand::Write));
    assert!(session.settle(LIMIT));
    let round = session.store.copy.round.clone().unwrap().unwrap();
    let texts: Vec<String> = round.candidates.iter().take(3).map(|one| one.draft.text.clone()).collect();
    session.apply(Command::Copy(CopyCommand::Keep(texts, "mei".into())));
    assert!(session.settle(LIMIT));
    session.apply(Command::Copy(CopyCommand::Try(false)));
    assert!(session.settle(LIMIT));
    let refused = session.store.copy.tried.clone().unwrap().unwrap_err();
    assert!(refused.why.contains("0 of them"), "nothing unapproved competes unasked: {refused}");
    for id in ["c000001", "c000002"] {
        for (action, who) in [(Action::Submit, "mei"), (Action::Approve, "tom")] {
            session.apply(Command::Copy(CopyCommand::Review(id.into(), action, who.into())));
            assert!(session.settle(LIMIT));
        }
    }
    session.apply(Command::Copy(CopyCommand::Try(true)));
    assert!(session.settle(LIMIT));
    let tried = session.store.copy.tried.clone().unwrap().unwrap();
    assert_eq!(tried.variants.len(), 3);
    let mut harness = studio(session, true);
    harness.run_ok();
    harness.get_by_label("Library and review (3)").click();
    harness.run_ok();
    assert_eq!(
        harness.get_all_by_label_contains("DRAFT, not approved").count(),
        1,
        "the one that nobody approved"
    );
    harness.get_by_label_contains("Thompson sampling:");
}

#[test]
fn a_hundred_thousand_creatives_are_shown_searched_and_reviewed() {
    let folder = tempfile::tempdir().unwrap();
    let session = apart(support::session(), &folder);
    let mut library = Library::open(&folder.path().join("library")).unwrap();
    let item = |at: usize| {
        let text = format!("{} boots, pair {at}", if at == 777 { "Waxed" } else { "Warm" });
        Item { text, ..Item::default() }
    };
    library.import("mei", "old.csv", (0..100_000).map(item).collect()).unwrap();
    drop(library);
    let mut harness = studio(session, true);
    settle(&mut harness);
    harness.get_by_label("Library and review (100000)").click();
    harness.run_ok();
    // Newest first, and only the rows in view are drawn.
    harness.get_by_label("c100000");
    assert!(harness.query_all_by_label_contains("boots, pair").count() < 60);
    harness.get_by_label("Search").focus();
    harness.run_ok();
    harness.get_by_label("Search").type_text("wAxEd");
    harness.run_ok();
    assert_eq!(harness.query_all_by_label_contains("boots, pair").count(), 1);
    harness.get_by_label("c000778").click();
    harness.run_ok();
    harness.get_by_label("It never ran: nothing is known of its clicks.");
}
