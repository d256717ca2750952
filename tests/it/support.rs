//! What do the tests of panels share? A session over a small sample log, and one panel alone in a window.

use adloupe::data::sample;
use adloupe::jobs::JobContext;
use adloupe::session::commands::{DataCommand, TrainCommand};
use adloupe::session::{Command, Session, Workspace};
use adloupe::train::TrainSpec;
use adloupe::ui::panels::Panel;
use adloupe::ui::{PanelContext, Theme, fonts};
use egui_kittest::Harness;
use std::path::PathBuf;
use std::time::Duration;

/// No job of a test takes longer than this.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A session and the panel that shows it.
pub type Parts<P> = (Session, P);

/// A session in which nothing is open.
pub fn session() -> Session {
    Session::new(Workspace::default(), || {}).unwrap()
}

/// A sample log of so many impressions.
pub fn sample_log(folder: &tempfile::TempDir, rows: usize) -> PathBuf {
    let log = folder.path().join("sample.parquet");
    sample::generate(rows, 5, &log, &JobContext::detached()).unwrap();
    log
}

/// A session with a sample log open and encoded.
pub fn opened(folder: &tempfile::TempDir, rows: usize) -> Session {
    let mut session = session();
    session.apply(Command::Data(DataCommand::Open(sample_log(folder, rows))));
    assert!(session.settle(LIMIT) && session.store.dataset.is_some(), "{:?}", session.notices.all());
    session
}

/// A training on the processor without early stopping.
pub fn spec(kind: &str, epochs: &str) -> TrainSpec {
    let mut spec = TrainSpec::new(kind).unwrap();
    for (name, value) in [("device", "cpu"), ("epochs", epochs), ("patience", "0")] {
        spec.set(name, value).unwrap();
    }
    spec
}

/// A session with a small sample log and a model of a kind, trained for one epoch.
pub fn trained(folder: &tempfile::TempDir, kind: &str) -> Session {
    let mut session = opened(folder, 3000);
    session.apply(Command::Train(TrainCommand::Start(spec(kind, "1"))));
    assert!(session.settle(LIMIT) && session.store.training.model().is_some(), "{:?}", session.notices.all());
    session
}

/// Draws the panel and applies what it asks for after the frame, as the app does.
pub fn draw(ui: &mut egui::Ui, session: &mut Session, panel: &mut dyn Panel, theme: &Theme) {
    let (mut commands, mut questions) = (Vec::new(), Vec::new());
    panel.ui(ui, &mut PanelContext::new(session, theme, &mut commands, &mut questions));
    for command in commands {
        session.apply(command);
    }
}

/// The panel alone in a window that needs no graphics adapter.
pub fn harness<'a, P: Panel + Default + 'a>(session: Session, dark: bool) -> Harness<'a, Parts<P>> {
    let theme = Theme::load(dark).unwrap();
    let mut dressed = false;
    Harness::builder().with_size(egui::vec2(1400.0, 1000.0)).build_ui_state(
        move |ui, (session, panel): &mut Parts<P>| {
            if !dressed {
                fonts::install(ui.ctx());
                theme.apply(ui.ctx());
                dressed = true;
            }
            draw(ui, session, panel, &theme);
        },
        (session, P::default()),
    )
}
