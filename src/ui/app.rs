//! What does eframe call? News in, one frame out, commands applied after it.

use super::dialogs::{DialogRequest, Dialogs};
use super::lost::Rescue;
use super::panels::{self, Panel};
use super::pictures::{Pictures, Step};
use super::screenshot::Screenshot;
use super::story::{self, Story, Wish};
use super::{PanelContext, Theme, fonts, gpu_view, shell};
use crate::base::{Failure, Result};
use crate::gpu;
use crate::session::commands::data::usual_options;
use crate::session::commands::train::usual_runs;
use crate::session::commands::{DataCommand, TrainCommand};
use crate::session::{Command, Session, Workspace};
use std::path::PathBuf;

/// The key of the remembered [`Workspace`] in eframe's storage.
const WORKSPACE_KEY: &str = "workspace";

/// The application behind the window, the tour and the picture tests.
pub struct AdloupeApp {
    /// The state; tests and the tour drive it through commands.
    pub session: Session,
    panels: Vec<Box<dyn Panel>>,
    theme: Theme,
    adapter: String,
    dialogs: Dialogs,
    screenshot: Option<Screenshot>,
    pictures: Pictures,
    /// The story that is being told, if one is.
    story: Option<Story>,
    /// What the next window gets, should this one lose its graphics device.
    rescue: Rescue,
    is_leaving: bool,
}

impl AdloupeApp {
    /// An application whose first commands are `commands` (the file named on the command line), or one that goes on with
    /// the session of a window that lost its graphics device.
    ///
    /// # Errors
    /// No worker threads, or a broken theme.
    pub fn new(
        context: &eframe::CreationContext<'_>,
        commands: Vec<Command>,
        rescue: &Rescue,
    ) -> Result<Self> {
        if let Some(mut session) = rescue.take() {
            session.notices.warned("The graphics device was lost; the window was opened anew.");
            let theme = Theme::load(session.workspace.dark)?;
            return Ok(Self::with_session(context, session, theme).watched(context, rescue));
        }
        let mut workspace: Workspace =
            context.storage.and_then(|storage| eframe::get_value(storage, WORKSPACE_KEY)).unwrap_or_default();
        // The panel of last time has nothing to show yet; the first thing to do stands on Welcome.
        "welcome".clone_into(&mut workspace.panel);
        let wake = rescue.clone();
        let session = Session::new(workspace, move || wake.wake())?;
        let theme = Theme::load(session.workspace.dark)?;
        let mut app = Self::with_session(context, session, theme).watched(context, rescue);
        let keep = usual_runs().map(|runs| Command::Train(TrainCommand::KeepRunsIn(runs)));
        for command in keep.into_iter().chain(commands) {
            app.session.apply(command);
        }
        Ok(app)
    }

    /// An application over a session that exists already: for the tour and tests.
    pub fn with_session(context: &eframe::CreationContext<'_>, session: Session, theme: Theme) -> Self {
        fonts::install(&context.egui_ctx);
        theme.apply(&context.egui_ctx);
        if let Some(state) = &context.wgpu_render_state {
            gpu_view::install(state, &context.egui_ctx);
        }
        let adapter = context.wgpu_render_state.as_ref().map_or_else(
            || "no graphics adapter".to_owned(),
            |state| gpu::adapter_words(&state.adapter.get_info()),
        );
        Self {
            session,
            panels: panels::all(),
            theme,
            adapter,
            dialogs: Dialogs::default(),
            screenshot: None,
            pictures: Pictures::default(),
            story: None,
            rescue: Rescue::default(),
            is_leaving: false,
        }
    }

    /// The same, which leaves its session to the next window should this one lose its graphics device.
    #[must_use]
    pub fn watched(mut self, context: &eframe::CreationContext<'_>, rescue: &Rescue) -> Self {
        rescue.watch(context.wgpu_render_state.as_ref(), &context.egui_ctx);
        self.rescue = rescue.clone();
        self
    }

    /// Leaves the session to the next window and closes this one.
    fn leave(&mut self, context: &egui::Context) {
        let wake = context.clone();
        match Session::new(self.session.workspace.clone(), move || wake.request_repaint()) {
            Ok(empty) => self.rescue.keep(std::mem::replace(&mut self.session, empty)),
            Err(failure) => self.session.notices.failed(&failure),
        }
        context.send_viewport_cmd(egui::ViewportCommand::Close);
    }

    /// Takes in the workers' news and dropped files.
    fn take_news(&mut self, context: &egui::Context) {
        self.session.absorb();
        if let Some(command) = self.dialogs.take() {
            self.session.apply(command);
        }
        let dropped = context.input(|input| input.raw.dropped_files.clone());
        let mut paths: Vec<_> = dropped.into_iter().map(|file| file.path().to_path_buf()).collect();
        match paths.len() {
            0 => {}
            1 => self.session.apply(shell::open_command(paths.remove(0))),
            // Files dropped together are the parts of one log.
            _ => self.session.apply(Command::Data(DataCommand::OpenAs(paths, Box::new(usual_options())))),
        }
    }

    fn follow_theme(&mut self, context: &egui::Context) -> Result<()> {
        if self.theme.dark != self.session.workspace.dark {
            self.theme = Theme::load(self.session.workspace.dark)?;
            self.theme.apply(context);
        }
        Ok(())
    }

    /// Draws one frame and applies what it asked for.
    pub fn show(&mut self, ui: &mut egui::Ui) {
        if let Err(failure) = self.follow_theme(ui.ctx()) {
            self.session.notices.failed(&failure);
        }
        let mut commands = Vec::new();
        let mut questions: Vec<DialogRequest> = Vec::new();
        let mut cx = PanelContext::new(&self.session, &self.theme, &mut commands, &mut questions);
        let mut wish = None;
        match &mut self.story {
            Some(story) => {
                wish = story.show(ui, &mut cx);
                shell::draw_panel(ui, &mut cx, &mut self.panels);
            }
            None => shell::draw(ui, &mut cx, &mut self.panels, &self.adapter),
        }
        match self.pictures.follow(ui.ctx()) {
            Ok(steps) => {
                for step in steps {
                    match step {
                        Step::Write(command) => commands.push(command),
                        Step::Ask(question) => questions.push(question),
                    }
                }
            }
            Err(failure) => self.session.notices.failed(&failure),
        }
        for question in questions {
            if let Err(failure) = self.dialogs.ask(question, ui.ctx()) {
                self.session.notices.failed(&failure);
            }
        }
        let asked = !commands.is_empty() || wish.is_some();
        for command in commands {
            self.session.apply(command);
        }
        if let Err(failure) = self.tell(wish, ui.ctx()) {
            self.session.notices.failed(&failure);
        }
        if asked {
            ui.ctx().request_repaint();
        }
    }

    /// Begins the story, goes on with it, or ends it.
    fn tell(&mut self, wish: Option<Wish>, context: &egui::Context) -> Result<()> {
        let Some(story) = self.story else {
            self.story = story::is_asked_for(context).then(|| Story::begin(context));
            if self.story.is_some() {
                context.request_repaint();
            }
            return Ok(());
        };
        match wish {
            None => {}
            Some(Wish::Step(steps)) => self.story = Some(story.moved(steps)),
            Some(Wish::End) => {
                self.story = None;
                story.end(context);
            }
            Some(Wish::Anew) => {
                let wake = context.clone();
                self.session = Session::new(self.session.workspace.clone(), move || wake.request_repaint())?;
                self.panels = panels::all();
                self.story = Some(story.anew());
            }
        }
        Ok(())
    }
}

impl eframe::App for AdloupeApp {
    fn logic(&mut self, context: &egui::Context, _frame: &mut eframe::Frame) {
        if self.rescue.is_lost() && !self.is_leaving {
            self.is_leaving = true;
            self.leave(context);
        }
        self.take_news(context);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
        if let Some(screenshot) = &mut self.screenshot {
            screenshot.follow(ui.ctx(), self.session.jobs.any_running());
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, WORKSPACE_KEY, &self.session.workspace);
    }
}

/// Opens the window and returns when it is closed. With `screenshot`, saves a picture and closes by itself.
///
/// # Errors
/// No display, or no graphics adapter: both say what to do.
pub fn run_window(file: Option<PathBuf>, screenshot: Option<PathBuf>) -> Result<()> {
    check_display()?;
    let mut commands: Vec<Command> = file.into_iter().map(shell::open_command).collect();
    let rescue = Rescue::default();
    loop {
        open_window(std::mem::take(&mut commands), screenshot.clone(), &rescue)?;
        if !rescue.goes_on() {
            break;
        }
    }
    if rescue.gave_up() {
        let why = "the graphics device was lost again and again";
        return Err(Failure::new("cannot keep the window open", why)
            .hint("restart the graphics driver, or choose the software one (VK_DRIVER_FILES)"));
    }
    Ok(())
}

fn open_window(commands: Vec<Command>, screenshot: Option<PathBuf>, rescue: &Rescue) -> Result<()> {
    let options = eframe::NativeOptions {
        renderer: eframe::Renderer::Wgpu,
        viewport: egui::ViewportBuilder::default()
            .with_title("adloupe")
            .with_app_id("adloupe")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([900.0, 560.0])
            .with_drag_and_drop(true),
        // `fonts` installs a provider that prefers Chinese forms.
        system_font_fallback: false,
        // Flat colours have no bands to hide, and on a software adapter the noise costs time at every pixel.
        dithering: false,
        ..Default::default()
    };
    let made = eframe::run_native(
        "adloupe",
        options,
        Box::new(|context| {
            let mut app = AdloupeApp::new(context, commands, rescue)?;
            app.screenshot = screenshot.map(Screenshot::into_file);
            Ok(Box::new(app))
        }),
    );
    made.map_err(|error| {
        Failure::new("cannot open the window", error).hint(
            "install a graphics driver or the software one (Debian/Ubuntu: mesa-vulkan-drivers, Fedora: \
             mesa-vulkan-drivers, Arch: vulkan-swrast); `sh assets/setup.sh` does that",
        )
    })
}

#[cfg(all(unix, not(target_os = "macos")))]
fn check_display() -> Result<()> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("DISPLAY") || set("WAYLAND_DISPLAY") || set("WAYLAND_SOCKET") {
        return Ok(());
    }
    Err(Failure::new("cannot open the window", "this machine has no display (DISPLAY and WAYLAND_DISPLAY are not set)")
        .hint("`xvfb-run -a adloupe` for a window without a screen, or `adloupe tour --out DIR` for pictures of every panel"))
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn check_display() -> Result<()> {
    Ok(())
}
