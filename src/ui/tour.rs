//! What does the whole program look like, without a display?
//!
//! Runs the main job on the sample data in the same application that the window shows, drawn off screen,
//! and writes a picture of every panel in both themes.

use super::app::AdloupeApp;
use super::story::STEP_COUNT;
use super::{Theme, panels};
use crate::base::{Failure, Result, failure::Explain};
use crate::data::Split;
use crate::jobs::JobContext;
use crate::session::commands::{DataCommand, InspectCommand, TrainCommand, ViewCommand};
use crate::session::{Command, NoticeKind, Session, Workspace};
use crate::train::TrainSpec;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The size that the design is made for.
pub(super) const WINDOW: [f32; 2] = [1280.0, 800.0];
/// The longest that one background job of the tour may take.
const JOB_LIMIT: Duration = Duration::from_secs(600);
/// Frames drawn before a picture, so that layouts settle and panels ask for what they need.
const ROUNDS: usize = 4;

/// What the tour made.
pub struct Tour {
    /// The pictures, in order.
    pub pictures: Vec<PathBuf>,
    /// The state at the end: every number that the pictures show.
    pub session: Session,
}

/// Writes `NN-panel-theme.png` for every panel into `folder`, and `story-N.png` for every step of the demonstration.
///
/// # Errors
/// No graphics adapter, a job that fails, or a folder that can't be written.
pub fn tour(folder: &Path, context: &JobContext) -> Result<Tour> {
    std::fs::create_dir_all(folder).explain("cannot make the folder of the tour")?;
    caught("the tour broke off", || walk(folder, context))
}

/// Does off-screen work; the renderer panics where it finds no adapter, which becomes a failure called `what`.
pub(super) fn caught<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|payload| {
        let why =
            payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no graphics adapter".to_owned());
        Err(Failure::new(what, why)
            .hint("install a software graphics driver: `sh assets/setup.sh` (Debian: mesa-vulkan-drivers)"))
    })
}

fn walk(folder: &Path, context: &JobContext) -> Result<Tour> {
    let mut harness = off_screen()?;
    let mut pictures = Vec::new();
    for (number, panel) in panels::all().iter().map(|panel| panel.id()).enumerate() {
        context.check()?;
        context.stage(panel);
        apply(&mut harness, Command::View(ViewCommand::Show(panel)))?;
        prepare(&mut harness, panel)?;
        harness.run_steps(2);
        press_what_fills_it(&mut harness)?;
        dismiss_notices(&mut harness);
        for dark in [true, false] {
            apply(&mut harness, Command::View(ViewCommand::SetDark(dark)))?;
            for _ in 0..ROUNDS {
                harness.run_steps(2);
                settle(&mut harness)?;
            }
            let theme = if dark { "dark" } else { "light" };
            let path = folder.join(format!("{number:02}-{panel}-{theme}.png"));
            save(&mut harness, &path)?;
            context.warn(format!("wrote {}", path.display()));
            pictures.push(path);
        }
    }
    pictures.extend(tell(&mut harness, folder, context)?);
    let session = harness.into_state().session;
    Ok(Tour { pictures, session })
}

/// The steps of the demonstration (F5 in the window), one picture each.
fn tell(harness: &mut Harness<'_, AdloupeApp>, folder: &Path, context: &JobContext) -> Result<Vec<PathBuf>> {
    apply(harness, Command::View(ViewCommand::SetDark(true)))?;
    harness.key_press(egui::Key::F5);
    let mut pictures = Vec::new();
    for step in 1..=STEP_COUNT {
        context.check()?;
        for _ in 0..ROUNDS {
            harness.run_steps(2);
            settle(harness)?;
        }
        dismiss_notices(harness);
        harness.run_steps(2);
        let path = folder.join(format!("story-{step}.png"));
        save(harness, &path)?;
        context.warn(format!("wrote {}", path.display()));
        pictures.push(path);
        harness.key_press(egui::Key::ArrowRight);
    }
    Ok(pictures)
}

/// The application in its usual size, drawn into memory.
pub(super) fn off_screen() -> Result<Harness<'static, AdloupeApp>> {
    let session = Session::new(Workspace::default(), || {})?;
    let theme = Theme::load(true)?;
    // As in the window: a machine without Chinese fonts gets boxes, not a panic.
    let builder = Harness::builder().with_size(WINDOW).with_render_cursor(false).allow_missing_glyphs();
    Ok(builder.wgpu().build_eframe(|creation| AdloupeApp::with_session(creation, session, theme)))
}

/// Asks for what a person would ask for before looking at `panel`.
fn prepare(harness: &mut Harness<'_, AdloupeApp>, panel: &str) -> Result<()> {
    match panel {
        "data" | "segments" if harness.state_mut().session.store.log.is_none() => {
            apply(harness, Command::Data(DataCommand::OpenSample))
        }
        "training" => {
            for kind in ["logistic", "deep_fm", "din"] {
                apply(harness, Command::Train(TrainCommand::Start(TrainSpec::new(kind)?)))?;
            }
            Ok(())
        }
        "curves" => apply(harness, Command::Inspect(InspectCommand::Evaluate(Split::Test, String::new()))),
        _ => Ok(()),
    }
}

/// Good news of the step before would stand above every later picture.
fn dismiss_notices(harness: &mut Harness<'_, AdloupeApp>) {
    let session = &mut harness.state_mut().session;
    let done: Vec<usize> = session
        .notices
        .all()
        .iter()
        .enumerate()
        .filter(|(_, notice)| notice.kind == NoticeKind::Done)
        .map(|(index, _)| index)
        .collect();
    for index in done {
        session.apply(Command::View(ViewCommand::Dismiss(index)));
    }
}

/// Presses the one button that fills a panel with nothing to show, as a newcomer would.
fn press_what_fills_it(harness: &mut Harness<'_, AdloupeApp>) -> Result<()> {
    for label in [
        "Show the embeddings",
        "Explain this impression",
        "Average the attention",
        "Begin with the sample sheet",
        "Run the market",
        "Ask about the usual policies",
        "Take each ad's share for it",
    ] {
        if let Some(button) = harness.query_by_label(label) {
            button.click();
            harness.run_steps(2);
            settle(harness)?;
        }
    }
    ask_what_if(harness)
}

/// In the Slots panel: two and a half times as many young people (the middle of the slider), to the last page.
fn ask_what_if(harness: &mut Harness<'_, AdloupeApp>) -> Result<()> {
    let slider = harness.query_by_role_and_label(egui::Role::Slider, "18-24");
    if let Some(slider) = slider {
        slider.click();
        harness.run_steps(4);
        settle(harness)?;
        harness.run_steps(2);
        settle(harness)?;
    }
    if let Some(end) = harness.query_by_label("End") {
        end.click();
        harness.run_steps(2);
    }
    Ok(())
}

pub(super) fn apply(harness: &mut Harness<'_, AdloupeApp>, command: Command) -> Result<()> {
    harness.state_mut().session.apply(command);
    settle(harness)
}

fn settle(harness: &mut Harness<'_, AdloupeApp>) -> Result<()> {
    if harness.state_mut().session.settle(JOB_LIMIT) {
        Ok(())
    } else {
        Err(Failure::new("the tour broke off", "a background job did not end within ten minutes"))
    }
}

fn save(harness: &mut Harness<'_, AdloupeApp>, path: &Path) -> Result<()> {
    let picture = harness.render().explain("cannot draw the window off screen")?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).explain("cannot write the picture")?;
    crate::base::files::write_atomically(path, |out| {
        std::io::Write::write_all(out, bytes.get_ref()).explain("cannot write the picture")
    })
}
