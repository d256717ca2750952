//! Are users and ads listed, told of one by one, and found from elsewhere?

use crate::support::{self, LIMIT, opened, session};
use adloupe::data::query::subjects::SubjectKind;
use adloupe::session::Command;
use adloupe::session::commands::RowsCommand;
use adloupe::ui::panels::subjects::SubjectsPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn settle(harness: &mut Harness<'_, support::Parts<SubjectsPanel>>) {
    for _ in 0..3 {
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT));
    }
    harness.run_ok();
}

#[test]
fn users_and_ads_are_listed_and_one_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = support::harness::<SubjectsPanel>(opened(&folder, 5000), dark);
        settle(&mut harness);
        harness.get_by_label_contains(" users, ");
        let found = harness.state().0.store.subjects.clone().unwrap();
        let first = found.list.as_ref().unwrap().listed[0].clone();
        harness.get_by_label(&first.name).click();
        settle(&mut harness);
        let found = harness.state().0.store.subjects.clone().unwrap();
        let profile = found.profile.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(profile.listed, first);
        assert_eq!(profile.history.len(), (first.rate.trials as usize).min(200));
        assert_eq!(profile.by[0].by, ["category"]);
        let drawn = "Click rate in % by category, 95 % intervals, ";
        assert_eq!(harness.get_all_by_label_contains(drawn).count(), 1);
        harness.get_by_label("Ads").click();
        settle(&mut harness);
        harness.get_by_label_contains("60 ads, ");
    }
}

#[test]
fn somebody_asked_for_elsewhere_is_shown_and_nobody_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = support::harness::<SubjectsPanel>(opened(&folder, 5000), true);
    settle(&mut harness);
    harness.state_mut().0.apply(Command::Rows(RowsCommand::LookUp(SubjectKind::Ad, "ad_001".into())));
    settle(&mut harness);
    harness.get_by_label_contains("60 ads, ");
    harness.state_mut().0.apply(Command::Rows(RowsCommand::LookUp(SubjectKind::Ad, "no such ad".into())));
    settle(&mut harness);
    harness.get_by_label_contains("no row has 'no such ad'");
    support::harness::<SubjectsPanel>(session(), true).get_by_label("Open the sample");
}
