//! Do answers leave as they should: as commands that give the same figures, as files, with noise, or not at all?

use crate::support::{self, LIMIT, opened, sample_log};
use adloupe::data::erasure::Erased;
use adloupe::jobs::{Job, JobContext};
use adloupe::session::Command;
use adloupe::session::commands::{PrivacyCommand, SegmentCommand};
use adloupe::tasks::privacy::Erase;
use adloupe::ui::panels::privacy::PrivacyPanel;
use adloupe::ui::panels::segments::SegmentsPanel;
use egui_kittest::kittest::Queryable;
use serde_json::Value;
use std::path::Path;
use std::process;

/// Runs a line as a shell would, with a cache and lists of its own.
fn shell(folder: &Path, line: &str) -> process::Output {
    let program = env!("CARGO_BIN_EXE_adloupe");
    let line = line.replacen("adloupe", &format!("'{program}'"), 1);
    let mut command = process::Command::new("sh");
    command.current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    command.env("XDG_STATE_HOME", folder.join("state"));
    command.args(["-c", &format!("{line} --json")]).output().unwrap()
}

fn answer(output: &process::Output) -> Value {
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_question_of_the_window_is_the_same_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = support::harness::<SegmentsPanel>(opened(&folder, 5000), true);
    let settle = |harness: &mut egui_kittest::Harness<'_, support::Parts<SegmentsPanel>>| {
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT));
        harness.run_ok();
    };
    settle(&mut harness);
    harness.state_mut().1.look_at("city", "device");
    settle(&mut harness);
    harness.get_by_label("Only where").focus();
    harness.run_ok();
    harness.get_by_label("Only where").type_text("not city = '上海' and hour >= 9 and frequency <= 3");
    settle(&mut harness);
    harness.get_by_label("Export").click();
    harness.run_ok();
    harness.get_by_label("Copy as a command").click();
    harness.step();
    let copied = harness.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let line = copied.expect("the command was copied");
    let table = answer(&shell(folder.path(), &line));
    let shown = harness.state().0.store.segments.clone().unwrap();
    let shown = shown.table.as_ref().unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), shown.rows.len());
    for (told, row) in rows.iter().zip(&shown.rows) {
        assert_eq!(told["values"], serde_json::json!(row.values));
        for (measure, figure) in shown.measures.iter().zip(&row.figures) {
            assert_eq!(told["measures"][measure.id()], serde_json::json!(figure), "{measure:?}");
        }
    }
}

#[test]
fn exported_groups_hold_enough_people_and_chinese_reads_in_a_spreadsheet() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 5000);
    let query = adloupe::data::query::SegmentQuery {
        by: vec!["city".into()],
        ..adloupe::data::query::SegmentQuery::default()
    };
    session.apply(Command::Segment(SegmentCommand::Count { query, predicted: false, funnel: false }));
    assert!(session.settle(LIMIT));
    session.apply(Command::Privacy(PrivacyCommand::SetK(12)));
    let path = folder.path().join("groups.csv");
    session.apply(Command::Segment(SegmentCommand::Export { path: path.clone(), for_spreadsheets: true }));
    assert!(session.settle(LIMIT));
    let text = std::fs::read(&path).unwrap();
    assert_eq!(text[..3], [0xef, 0xbb, 0xbf]);
    let text = String::from_utf8(text[3..].to_vec()).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(head[..3], ["city", "users", "impressions"]);
    let users: Vec<usize> = lines.map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert!(!users.is_empty() && users.iter().all(|users| *users >= 12), "{users:?}");
    assert!(text.contains("上海"));
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("groups written to")));
}

#[test]
fn an_audience_that_tells_of_a_few_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 5000);
    let save = |session: &mut adloupe::session::Session, name: &str, text: &str| {
        let segment = adloupe::domain::Segment::parse(text).unwrap();
        session.apply(Command::Privacy(PrivacyCommand::SaveAudience { name: name.into(), segment }));
        assert!(session.settle(LIMIT));
    };
    session.apply(Command::Privacy(PrivacyCommand::SetK(10)));
    save(&mut session, "上海", "city = '上海'");
    assert_eq!(session.workspace.audiences.len(), 1);
    let log = session.store.log.as_ref().unwrap().frame.clone();
    let somebody = adloupe::data::query::values(&log, "user_id", 1).unwrap()[0].0.clone();
    let alone = format!("user_id = '{somebody}'");
    save(&mut session, "one person", &alone);
    assert_eq!(session.workspace.audiences.len(), 1);
    let said = session.notices.all().last().unwrap().text.clone();
    assert!(said.contains("holds") && said.contains("needs 10"), "{said}");
    session.apply(Command::Privacy(PrivacyCommand::SetK(1)));
    save(&mut session, "one person", &alone);
    assert_eq!(session.workspace.audiences.len(), 2, "a person may choose another k");
}

#[test]
fn a_report_spends_epsilon_until_none_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 5000);
    session.workspace.privacy.folder = Some(folder.path().join("privacy"));
    session.apply(Command::Privacy(PrivacyCommand::SetBudget(0.6)));
    for dark in [true, false] {
        let theme_session = std::mem::replace(&mut session, support::session());
        let mut harness = support::harness::<PrivacyPanel>(theme_session, dark);
        harness.run_ok();
        harness.get_by_label("Report, spending 0.5").click();
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT));
        harness.run_ok();
        if dark {
            harness.get_by_label_contains(
                "epsilon 0.5 spent now, 0.500 of 0.6 on the people of this log in 1 reports",
            );
            harness.get_by_label_contains("changes the chance of any answer by a factor of at most 1.649");
        } else {
            harness.get_by_label_contains("0.100 of 0.6 is left (0.500 is spent");
        }
        let (back, _) = harness.into_state();
        session = back;
    }
}

#[test]
fn an_erased_person_leaves_the_kept_copies_and_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut text = String::from("user_id,city,click\n");
    for row in 0..500_000 {
        text += &format!("u{},城市 {},{}\n", row % 5_000, row % 7, u8::from(row % 9 == 0));
    }
    std::fs::write(&log, text).unwrap();
    let profile = |folder: &Path| answer(&shell(folder, "adloupe profile log.csv --role user_id=user"));
    assert_eq!(profile(folder.path())["rows"], 500_000);
    let gone = answer(&shell(folder.path(), "adloupe erase --user u42"));
    assert_eq!((&gone["copies"]["looked"], &gone["copies"]["removed"]), (&1.into(), &1.into()));
    assert_eq!(profile(folder.path())["rows"], 499_900);
    assert_eq!(profile(folder.path())["rows"], 499_900, "from the new copy as well");
    assert!(std::fs::read_to_string(&log).unwrap().contains("u42,"), "the person's own file is theirs");
    let refused = shell(folder.path(), "adloupe erase --user ' '");
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_report_on_the_command_line_keeps_its_book() {
    let folder = tempfile::tempdir().unwrap();
    sample_log(&folder, 5000);
    let ask = "adloupe report sample.parquet --by language --epsilon 4 --budget 4.5 --rows-per-user 5";
    let first = answer(&shell(folder.path(), ask));
    assert_eq!((first["spent"].as_f64(), first["rows"].as_array().unwrap().is_empty()), (Some(4.0), false));
    let again = shell(folder.path(), ask);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("0.500 of 4.5 is left"));
}

#[test]
fn erasing_needs_no_window_and_tells_what_it_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.json");
    let erase = Erase { user: "甲".into(), list: list.clone(), cache: Some(folder.path().join("none")) };
    Box::new(erase).run(&JobContext::detached()).unwrap();
    assert_eq!(Erased::load(&list).unwrap().count(), 1);
}

#[test]
fn the_privacy_panel_says_what_is_promised_and_reads_again_with_consent() {
    let folder = tempfile::tempdir().unwrap();
    let harness = support::harness::<PrivacyPanel>(support::session(), true);
    harness.get_by_label_contains("nobody to protect");
    let mut session = opened(&folder, 3000);
    let all = session.store.log.as_ref().unwrap().frame.rows();
    session.apply(Command::Privacy(PrivacyCommand::RespectConsent(Some("conversion".into()))));
    assert!(session.settle(LIMIT));
    let left = session.store.log.as_ref().unwrap().frame.clone();
    assert!(left.rows() > 0 && left.rows() < all, "the rows that say yes");
    assert!(left.source.notes.iter().any(|note| note.contains("without consent")));
    let mut harness = support::harness::<PrivacyPanel>(session, false);
    harness.run_ok();
    harness.get_by_label("What is promised, and what is not");
    harness.get_by_label_contains("rows without consent in 'conversion' are left out");
}
