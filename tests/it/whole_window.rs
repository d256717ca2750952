//! Does the whole window hold together: every panel, empty, loaded and after a failure, dark and light?

use crate::support::{LIMIT, opened, session};
use adloupe::session::commands::{DataCommand, ViewCommand};
use adloupe::session::{Command, Session};
use adloupe::ui::lost::Rescue;
use adloupe::ui::panels;
use adloupe::ui::{AdloupeApp, Theme, widgets};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::path::PathBuf;

fn harness<'a>(session: Session, dark: bool) -> Harness<'a, AdloupeApp> {
    let theme = Theme::load(dark).unwrap();
    let mut harness = Harness::builder()
        .with_size([1280.0, 800.0])
        .wgpu()
        .build_eframe(move |creation| AdloupeApp::with_session(creation, session, theme));
    harness.state_mut().session.workspace.dark = dark;
    harness
}

/// Shows every panel in both themes; `check` looks at each.
fn each_panel(make: impl Fn() -> Session, check: impl Fn(&Harness<'_, AdloupeApp>, &str)) {
    for dark in [true, false] {
        let mut harness = harness(make(), dark);
        for (id, title) in panels::all().iter().map(|panel| (panel.id(), panel.title())) {
            harness.state_mut().session.apply(Command::View(ViewCommand::Show(id)));
            harness.run_steps(3);
            assert!(harness.state_mut().session.settle(LIMIT), "{id} never comes to rest");
            harness.run_steps(3);
            assert!(harness.query_all_by_label(title).count() >= 1, "{id}: no '{title}' in the navigation");
            // A window at rest must cost nothing: after a few frames nobody may ask for another one.
            assert!(
                harness.try_run().is_ok(),
                "{id} never stops drawing: {:?}",
                harness.ctx.repaint_causes()
            );
            check(&harness, id);
        }
    }
}

#[test]
fn with_nothing_open_every_panel_says_why() {
    each_panel(session, |harness, id| {
        assert!(harness.state().session.notices.all().is_empty(), "{id} complains before anything was asked");
    });
}

#[test]
fn with_a_log_open_no_panel_fails() {
    let folder = tempfile::tempdir().unwrap();
    each_panel(
        || opened(&folder, 3000),
        |harness, id| {
            let session = &harness.state().session;
            assert!(session.store.log.is_some(), "{id} lost the log");
            assert!(session.notices.all().is_empty(), "{id}: {:?}", session.notices.all());
        },
    );
}

#[test]
fn a_failure_is_read_on_every_panel_and_loses_nothing() {
    let failed = || {
        let mut session = session();
        session.apply(Command::Data(DataCommand::Open(PathBuf::from("no-such-log.csv"))));
        assert!(session.settle(LIMIT));
        session
    };
    each_panel(failed, |harness, id| {
        let told = harness.query_all_by_label_contains("no-such-log.csv").count();
        assert!(told >= 1, "{id} hides the failure");
    });
}

#[test]
fn closing_a_notice_puts_it_away_but_keeps_it_in_the_record() {
    let mut session = session();
    session.notices.warned("only 31 clicks");
    let mut harness = harness(session, true);
    harness.run_steps(2);
    harness.get_by_label("Close").click();
    harness.run_steps(3);
    assert!(harness.query_by_label("Close").is_none());
    assert_eq!(harness.state().session.notices.all().len(), 1);
}

#[test]
fn cards_look_as_they_did() {
    let mut results = egui_kittest::SnapshotResults::new();
    for (dark, name) in [(true, "card_dark"), (false, "card_light")] {
        let theme = Theme::load(dark).unwrap();
        let mut harness = Harness::builder().with_size([240.0, 110.0]).wgpu().build_ui(move |ui| {
            theme.apply(ui.ctx());
            widgets::metric_card(ui, &theme, "AUC", "0.7206", "95 %: 0.7020 to 0.7391");
        });
        harness.run_steps(2);
        // The software driver compiles for the host's processor, so a few pixels may differ between machines.
        let options = egui_kittest::SnapshotOptions::new().threshold(1.0).max_failed_pixels(10);
        harness.snapshot_options(name, &options);
        results.extend(harness.take_snapshot_results());
    }
}

#[test]
fn a_lost_graphics_device_closes_the_window_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let rescue = Rescue::default();
    let mut session = opened(&folder, 3000);
    session.apply(Command::View(ViewCommand::Show("segments")));
    let log = session.store.log.as_ref().unwrap().paths.clone();
    let theme = Theme::load(true).unwrap();
    let watched = rescue.clone();
    let mut window = Harness::builder().with_size([1280.0, 800.0]).wgpu().build_eframe(move |creation| {
        AdloupeApp::with_session(creation, session, theme).watched(creation, &watched)
    });
    window.run_steps(3);
    rescue.mark_lost();
    window.step();
    let commands = &window.output().viewport_output[&egui::ViewportId::ROOT].commands;
    assert!(commands.contains(&egui::ViewportCommand::Close), "{commands:?}");
    assert!(window.state().session.store.log.is_none(), "the session is handed over, not shared");
    // What is written at the end is the workspace as it was.
    assert_eq!(window.state().session.workspace.panel, "segments");
    drop(window);
    assert!(rescue.goes_on());
    let next = rescue.clone();
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .wgpu()
        .build_eframe(move |creation| AdloupeApp::new(creation, Vec::new(), &next).unwrap());
    window.run_steps(3);
    let session = &window.state().session;
    assert_eq!(session.store.log.as_ref().unwrap().paths, log);
    assert_eq!(session.workspace.panel, "segments");
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("graphics device was lost")));
    assert!(!rescue.goes_on());
}
