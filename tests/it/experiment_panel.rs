//! Does the A/B test panel compare the arms, warn where the test is not to be believed, and plan the next one?

use crate::support::{self, LIMIT, session};
use adloupe::session::commands::DataCommand;
use adloupe::session::{Command, Session};
use adloupe::ui::panels::experiment::ExperimentPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::fmt::Write;

/// Two arms of `sizes` impressions, each fifth of the control's and each fourth of the other's clicked.
fn opened(folder: &tempfile::TempDir, sizes: [usize; 2]) -> Session {
    let mut text = "variant,city,click\n".to_owned();
    for (arm, size, every) in [("control", sizes[0], 5), ("新版", sizes[1], 4)] {
        for row in 0..size {
            let city = if row % 2 == 0 { "上海" } else { "Berlin" };
            writeln!(text, "{arm},{city},{}", i32::from(row % every == 0)).unwrap();
        }
    }
    let path = folder.path().join("试验.csv");
    std::fs::write(&path, text).unwrap();
    let mut session = session();
    session.apply(Command::Data(DataCommand::Open(path)));
    assert!(session.settle(LIMIT) && session.store.log.is_some(), "{:?}", session.notices.all());
    session
}

fn harness<'a>(session: Session, dark: bool) -> Harness<'a, support::Parts<ExperimentPanel>> {
    let mut harness: Harness<'a, support::Parts<ExperimentPanel>> = support::harness(session, dark);
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
    harness
}

#[test]
fn arms_are_compared_in_both_themes_and_the_next_test_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let harness = harness(opened(&folder, [4_000, 4_000]), dark);
        harness.get_by_label_contains("'新版' does better than 'control': +25.0 %");
        harness.get_by_label_contains("20.000 %");
        harness.get_by_label_contains("the log knows no users");
        // The planner's first example is that of the published table: 2.0 % to 2.3 % (see metrics::ab_test).
        harness.get_by_label_contains("each arm needs 36\u{2009}691 independent impressions");
    }
}

#[test]
fn a_test_that_was_not_assigned_by_chance_is_not_to_be_believed() {
    let folder = tempfile::tempdir().unwrap();
    let harness = harness(opened(&folder, [4_000, 3_000]), true);
    harness.get_by_label_contains("find out why before you believe the difference");
}

#[test]
fn a_log_without_arms_says_so_and_keeps_the_planner() {
    let folder = tempfile::tempdir().unwrap();
    let harness = harness(support::opened(&folder, 500), false);
    harness.get_by_label_contains("no column looks like it assigns arms");
    harness.get_by_label_contains("each arm needs");
}
