//! Are the rows there that are asked for: sorted, found, in sight, at the end?

use crate::support::{self, LIMIT, opened, session};
use adloupe::session::Session;
use adloupe::ui::panels::rows::RowsPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

type Parts = support::Parts<RowsPanel>;

/// Runs frames until the rows in sight are there.
fn settle(harness: &mut Harness<'_, Parts>) {
    for _ in 0..3 {
        harness.run_ok();
        assert!(harness.state_mut().0.settle(LIMIT));
    }
    harness.run_ok();
}

fn shown<'a>(session: Session, dark: bool) -> Harness<'a, Parts> {
    let mut harness = support::harness(session, dark);
    settle(&mut harness);
    harness
}

fn write(harness: &mut Harness<'_, Parts>, field: &str, text: &str) {
    harness.get_by_label(field).focus();
    harness.run_ok();
    harness.get_by_label(field).type_text(text);
    settle(harness);
}

#[test]
fn an_empty_session_offers_the_sample() {
    let harness = support::harness::<RowsPanel>(session(), true);
    harness.get_by_label_contains("No log is open");
    harness.get_by_label("Open the sample");
}

#[test]
fn rows_in_sight_are_read_and_the_last_can_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = shown(opened(&folder, 5000), dark);
        harness.get_by_label_contains("Rows 1 to ");
        let page = harness.state().0.store.rows.page.clone().unwrap();
        assert!(page.first == 0 && page.rows.len() < 400, "only what is near: {}", page.rows.len());
        harness.key_press(egui::Key::End);
        settle(&mut harness);
        harness.get_by_label_contains(" to 5000 of 5000");
        let page = harness.state().0.store.rows.page.clone().unwrap();
        assert_eq!(page.rows.last(), Some(&4999));
    }
}

#[test]
fn rows_are_sorted_searched_and_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = shown(opened(&folder, 5000), true);
    harness.get_by_label("slot_position").click();
    settle(&mut harness);
    harness.get_by_label("slot_position (up)").click();
    settle(&mut harness);
    let page = harness.state().0.store.rows.page.clone().unwrap();
    let log = harness.state().0.store.log.clone().unwrap();
    let place = log.frame.schema.columns.iter().position(|column| column.name == "slot_position").unwrap();
    let bids: Vec<f64> = page.cells.iter().map(|cells| cells[place].parse().unwrap()).collect();
    assert!(bids.len() > 30 && bids.is_sorted_by(|a, b| a >= b), "{bids:?}");
    write(&mut harness, "Search", "上海");
    harness.get_by_label_contains(" of 5\u{2009}000 rows");
    let ordered = harness.state().0.store.rows.ordered.clone().unwrap();
    let found = ordered.order.as_ref().unwrap().count;
    assert!((100..2_000).contains(&found), "{found}");
    write(&mut harness, "Only where", "hour >= 12");
    let ordered = harness.state().0.store.rows.ordered.clone().unwrap();
    assert!(ordered.order.as_ref().unwrap().count < found);
    write(&mut harness, "Only where", " and town = 1");
    harness.get_by_label_contains("no column 'town'");
}

#[test]
fn a_row_is_copied_and_opened() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = shown(opened(&folder, 5000), false);
    let table = harness.get_by_label_contains("Rows 1 to ");
    let place = table.rect().left_top() + egui::vec2(40.0, 30.0);
    harness.hover_at(place);
    harness.event(egui::Event::PointerButton {
        pos: place,
        button: egui::PointerButton::Primary,
        pressed: true,
        modifiers: egui::Modifiers::NONE,
    });
    harness.event(egui::Event::PointerButton {
        pos: place,
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: egui::Modifiers::NONE,
    });
    settle(&mut harness);
    harness.get_by_label("Row 2");
    harness.get_by_label("Copy").click();
    harness.step();
    let copied = harness.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::CopyText(text) if text.starts_with("time\tuser_id\t") && text.lines().count() == 2)
    });
    assert!(copied, "a line of names and one of cells");
    harness.get_by_label("Rows of this user").click();
    settle(&mut harness);
    let ordered = harness.state().0.store.rows.ordered.clone().unwrap();
    assert!(ordered.query.filter.to_string().starts_with("user_id = 'u"), "{:?}", ordered.query);
}
