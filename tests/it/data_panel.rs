//! Does the data panel show what it should: empty, loaded, failed, read again, an A/B test?

use crate::support::{self, LIMIT, opened, session};
use adloupe::data::Role;
use adloupe::data::importers::ImportOptions;
use adloupe::data::query::SegmentQuery;
use adloupe::session::commands::{DataCommand, SegmentCommand};
use adloupe::session::{Command, Session};
use adloupe::ui::panels::data::DataPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::fmt::Write;
use std::path::PathBuf;

type Parts = support::Parts<DataPanel>;

fn harness<'a>(session: Session, dark: bool) -> Harness<'a, Parts> {
    support::harness(session, dark)
}

/// A session with a file of this content open.
fn with_file(folder: &tempfile::TempDir, content: &str) -> Session {
    let path = folder.path().join("log.csv");
    std::fs::write(&path, content).unwrap();
    let mut session = session();
    session.apply(Command::Data(DataCommand::Open(path)));
    assert!(session.settle(LIMIT) && session.store.log.is_some(), "{:?}", session.notices.all());
    session
}

#[test]
fn an_empty_session_says_why_and_offers_the_sample() {
    for dark in [true, false] {
        let harness = harness(session(), dark);
        harness.get_by_label_contains("No log is open");
        harness.get_by_label("Open the sample");
    }
}

#[test]
fn a_log_shows_its_sentence_its_columns_and_a_role_can_be_put_right() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(opened(&folder, 3000), dark);
        harness.run_ok();
        harness.get_by_label("Rate of click");
        harness.get_by_label_contains("Columns (");
        harness.get_by_label("age_band");
    }
    let mut harness = harness(opened(&folder, 3000), true);
    harness.state_mut().0.apply(Command::Data(DataCommand::SetRole("city".to_owned(), Role::Ignored)));
    assert!(harness.state_mut().0.settle(LIMIT));
    let log = harness.state().0.store.log.as_ref().unwrap();
    assert_eq!(log.options.roles, [("city".to_owned(), Role::Ignored)]);
    assert_eq!(log.frame.schema.column("city").unwrap().role, Role::Ignored);
}

#[test]
fn a_wrong_reading_is_put_right_and_the_roles_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "when,user_id,click\n".to_owned();
    for row in 0..40 {
        writeln!(text, "0{}/0{}/2026,u{},{}", 1 + row % 9, 1 + row % 7, row % 5, u8::from(row % 4 == 0))
            .unwrap();
    }
    let mut session = with_file(&folder, &text);
    session.apply(Command::Data(DataCommand::SetRole("user_id".to_owned(), Role::Categorical)));
    assert!(session.settle(LIMIT));
    let before = session.store.log.as_ref().unwrap().profile.time_range;
    let mut harness = harness(session, true);
    harness.run_ok();
    harness.get_by_label("How it was read").click();
    harness.run_ok();
    harness.get_by_role_and_label(egui::Role::ComboBox, "when").click();
    harness.run_ok();
    harness.get_by_label("date, day before month").click();
    harness.run_ok();
    harness.get_by_label("not applied yet");
    harness.get_by_label("Read again with these choices").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    let log = harness.state().0.store.log.as_ref().unwrap();
    assert_ne!(log.profile.time_range, before, "01/02 is another day now");
    assert_eq!(log.frame.schema.column("user_id").unwrap().role, Role::Categorical);
}

#[test]
fn health_and_the_test_of_two_versions_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "userid,version,retention_7\n".to_owned();
    for row in 0..4000 {
        let arm = if row % 40 < 22 { "gate_30" } else { "gate_40" };
        writeln!(text, "{row},{arm},{}", if row % 5 == 0 { "True" } else { "False" }).unwrap();
    }
    let mut harness = harness(with_file(&folder, &text), false);
    harness.run_ok();
    harness.get_by_label_contains("Health (").click();
    harness.run_ok();
    assert!(harness.query_all_by_label("uneven test").count() >= 1);
    harness.get_by_label("A/B test").click();
    harness.run_ok();
    harness.get_by_label_contains("'version' assigns the arms");
    harness.get_by_label("retention_7");
}

#[test]
fn a_sample_says_so_and_all_rows_can_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.csv");
    let mut text = "user_id,price,click\n".to_owned();
    for row in 0..30_000 {
        writeln!(text, "{row},{}.5,{}", row % 90, u8::from(row % 20 == 0)).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let mut session = session();
    let options = ImportOptions { memory_bytes: Some(100_000), ..ImportOptions::default() };
    session.apply(Command::Data(DataCommand::OpenAs(vec![path], Box::new(options))));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    assert!(session.store.log.as_ref().unwrap().frame.rows() < 30_000);
    let mut harness = harness(session, true);
    harness.run_ok();
    harness.get_by_label_contains("This is a sample of");
    harness.get_by_label("Open all rows").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT), "{:?}", harness.state().0.notices.all());
    assert_eq!(harness.state().0.store.log.as_ref().unwrap().frame.rows(), 30_000);
}

#[test]
fn a_recipe_is_saved_beside_the_data_and_used_at_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = with_file(&folder, "a,b,click\n1,2,0\n3,4,1\n5,6,0\n");
    session.apply(Command::Data(DataCommand::SetRole("a".to_owned(), Role::Ignored)));
    assert!(session.settle(LIMIT));
    let mut harness = harness(session, true);
    harness.run_ok();
    harness.get_by_label("How it was read").click();
    harness.run_ok();
    harness.get_by_label("Save as recipe").click();
    harness.run_ok();
    assert!(folder.path().join("log.recipe.json").is_file());
    let session = with_file(&folder, "a,b,click\n7,8,0\n9,1,1\n5,6,0\n");
    assert_eq!(session.store.log.as_ref().unwrap().frame.schema.column("a").unwrap().role, Role::Ignored);
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_open_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    session.apply(Command::Data(DataCommand::Open(PathBuf::from("no-such-log.csv"))));
    assert!(session.settle(LIMIT));
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("no-such-log.csv")));
    let mut harness = harness(session, true);
    harness.run_ok();
    harness.get_by_label("Rate of click");
}

/// Takes in news until `is_there` holds: a session that follows a file never comes to rest.
fn until(harness: &mut Harness<'_, Parts>, is_there: impl Fn(&Session) -> bool) {
    let begun = std::time::Instant::now();
    while !is_there(&harness.state().0) {
        assert!(begun.elapsed() < LIMIT, "{:?}", harness.state().0.notices.all());
        harness.state_mut().0.absorb();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    harness.run_ok();
}

#[test]
fn rows_that_come_to_a_followed_file_reach_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let rows = |from: usize, to: usize| -> String {
        (from..to).map(|row| format!("u{row},{},{}\n", ["a", "b"][row % 2], u8::from(row % 4 == 0))).collect()
    };
    let add = |text: &str| {
        use std::io::Write as _;
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let session = with_file(&folder, &format!("user_id,slot,click\n{}", rows(0, 200)));
    let mut harness = harness(session, true);
    harness.run_ok();
    harness.get_by_label("Follow this file").click();
    harness.run_ok();
    until(&mut harness, |session| session.store.following.is_some());
    harness.get_by_label("Following: 0 rows came since");
    let query = SegmentQuery { by: vec!["slot".to_owned()], ..SegmentQuery::default() };
    let shown = |session: &Session| -> Option<u64> {
        let answer = session.store.segments.as_ref()?;
        Some(answer.table.as_ref().unwrap().total.trials as u64)
    };
    harness.state_mut().0.apply(Command::Segment(SegmentCommand::Count {
        query: query.clone(),
        predicted: false,
        funnel: false,
    }));
    until(&mut harness, |session| shown(session) == Some(200));
    add(&rows(200, 260));
    let profiled = |session: &Session| session.store.log.as_ref().unwrap().profile.rows;
    until(&mut harness, |session| profiled(session) == 260);
    harness.get_by_label("Following: 60 rows came since");
    // The groups of the rows before are gone, and the panel asks for those of all rows.
    assert_eq!(shown(&harness.state().0), None);
    harness.state_mut().0.apply(Command::Segment(SegmentCommand::Count {
        query,
        predicted: false,
        funnel: false,
    }));
    until(&mut harness, |session| shown(session) == Some(260));
    harness.get_by_label("Stop following").click();
    harness.run_ok();
    add(&rows(260, 300));
    assert!(harness.state_mut().0.settle(LIMIT));
    assert_eq!(harness.state().0.store.log.as_ref().unwrap().frame.rows(), 260);
    harness.get_by_label("Follow this file");
}
