//! Does the drift panel tell what changed, between parts and to another file?

use crate::support::{self, LIMIT, opened, session};
use adloupe::data::sample;
use adloupe::jobs::JobContext;
use adloupe::ui::panels::drift::DriftPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn settle(harness: &mut Harness<'_, support::Parts<DriftPanel>>) {
    for _ in 0..2 {
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT));
    }
    harness.run_ok();
}

#[test]
fn halves_groups_and_files_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.parquet");
    sample::generate(2000, 6, &other, &JobContext::detached()).unwrap();
    for dark in [true, false] {
        let mut harness = support::harness::<DriftPanel>(opened(&folder, 5000), dark);
        settle(&mut harness);
        harness.get_by_label_contains("2\u{2009}500 rows (first half, up to");
        harness.get_by_label_contains("Click rate ");
        harness.get_by_label("Two groups").click();
        settle(&mut harness);
        for (field, text) in [("Rows", "device = 'ios'"), ("against", "device = 'android'")] {
            harness.get_by_label(field).focus();
            harness.run_ok();
            harness.get_by_label(field).type_text(text);
            settle(&mut harness);
        }
        let answer = harness.state().0.store.drift.clone().unwrap();
        let report = answer.report.as_ref().unwrap();
        assert_eq!(report.columns[0].name, "device", "the column that parts them changed most");
        harness.get_by_label("Another file").click();
        settle(&mut harness);
        harness.get_by_label("File").focus();
        harness.run_ok();
        harness.get_by_label("File").type_text(&other.display().to_string());
        settle(&mut harness);
        harness.get_by_label("Compare").click();
        settle(&mut harness);
        harness.get_by_label_contains("against 2\u{2009}000 rows (other.parquet)");
    }
}

#[test]
fn an_empty_session_offers_the_sample() {
    support::harness::<DriftPanel>(session(), true).get_by_label("Open the sample");
}
