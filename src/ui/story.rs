//! How is the program shown to others? A story in steps over the sample: full screen, large type, one sentence a step.
//!
//! A step shows a panel and asks for what it needs (the log, a model, a run), as a person would by pressing buttons.
//! F5 begins and ends it; right and left go through it, R begins anew with an empty program.

use super::{PanelContext, Theme, widgets};
use crate::data::Split;
use crate::insight::MapQuestion;
use crate::market::MarketSpec;
use crate::market::spec::Shift;
use crate::session::commands::market::source_in_view;
use crate::session::commands::{DataCommand, InspectCommand, MarketCommand, TrainCommand, ViewCommand};
use crate::session::{Command, Session};
use crate::train::TrainSpec;
use egui::{Key, RichText, Ui, ViewportCommand};

/// One step.
struct Step {
    panel: &'static str,
    title: &'static str,
    sentence: &'static str,
    /// The next thing that its panel needs and that is not there.
    needs: fn(&Session) -> Option<Command>,
}

const STEPS: [Step; 8] = [
    Step {
        panel: "data",
        title: "Open",
        sentence: "A campaign log opens with a role for every column, and the evidence for it beside it.",
        needs: log,
    },
    Step {
        panel: "segments",
        title: "Segment",
        sentence: "Who clicks? Rates by group, each with its number of impressions and its interval.",
        needs: log,
    },
    Step {
        panel: "training",
        title: "Train",
        sentence: "A model learns to predict clicks; its curves move while it learns.",
        needs: model,
    },
    Step {
        panel: "curves",
        title: "Judge",
        sentence: "Can it be trusted? Ranking and calibration on the latest days, which it has never seen.",
        needs: evaluation,
    },
    Step {
        panel: "embeddings",
        title: "Look inside",
        sentence: "What did it learn? Ads that it takes for alike lie close together.",
        needs: projection,
    },
    Step {
        panel: "slots",
        title: "Simulate",
        sentence: "Campaigns bid with its predictions, the best offer gets the slot, and the page fills.",
        needs: market,
    },
    Step {
        panel: "slots",
        title: "What if",
        sentence: "What if two and a half times as many young people came? Both worlds share their luck, so the \
                   difference shows.",
        needs: what_if,
    },
    Step {
        panel: "data",
        title: "Your turn",
        sentence: "Nothing left this machine: now open a log of your own.",
        needs: log,
    },
];

/// How many steps there are.
pub const STEP_COUNT: usize = STEPS.len();
/// Asked for at most so many things in one step, of which none needs more: a job that fails is asked for a few times at
/// most.
const MOST_ASKED: usize = 4;
/// The layout is made for so many points across: on a larger screen all grows.
const DESIGN_WIDTH: f32 = 1280.0;
const SENTENCE: f32 = 25.0;

/// A story that is being told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Story {
    step: usize,
    /// Things asked for in this step.
    asked: usize,
    entered: bool,
    zoom_before: f32,
}

/// What a person wants of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Another step.
    Step(isize),
    /// All from the beginning, with an empty program.
    Anew,
    /// No more of it.
    End,
}

impl Story {
    /// Begins the story: full screen, everything as large as the screen allows.
    pub fn begin(context: &egui::Context) -> Self {
        let zoom_before = context.zoom_factor();
        context.send_viewport_cmd(ViewportCommand::Fullscreen(true));
        Self { step: 0, asked: 0, entered: false, zoom_before }
    }

    /// Ends it and gives the window back as it was.
    pub fn end(self, context: &egui::Context) {
        context.send_viewport_cmd(ViewportCommand::Fullscreen(false));
        context.set_zoom_factor(self.zoom_before);
    }

    /// Which step is told, from 0.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The story from its beginning, in the same window.
    pub fn anew(self) -> Self {
        Self { step: 0, asked: 0, entered: false, ..self }
    }

    /// Goes some steps on or back; stops at both ends.
    #[must_use]
    pub fn moved(self, steps: isize) -> Self {
        let step = self.step.saturating_add_signed(steps).min(STEP_COUNT - 1);
        Self { step, asked: 0, entered: false, ..self }
    }

    /// Draws the story's bar and asks for what the step needs; answers what the person wants.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) -> Option<Wish> {
        grow(ui.ctx());
        let step = &STEPS[self.step];
        self.ask(cx, step);
        let mut wish = keys(ui.ctx());
        let frame = egui::Frame::new().fill(cx.theme.panel).inner_margin(egui::Margin::symmetric(24, 14));
        egui::Panel::bottom("story").frame(frame).show(ui, |ui| {
            ui.label(RichText::new(step.sentence).size(SENTENCE).color(cx.theme.text));
            ui.horizontal(|ui| {
                ui.label(RichText::new(step.title).size(17.0).strong().color(cx.theme.accent));
                ui.weak(format!("{} of {STEP_COUNT}", self.step + 1));
                if cx.session.jobs.any_running() {
                    ui.spinner();
                }
                let buttons = egui::Layout::right_to_left(egui::Align::Center);
                ui.with_layout(buttons, |ui| wish = buttons_of(ui, cx.theme, self.step).or(wish));
            });
        });
        wish
    }

    fn ask(&mut self, cx: &mut PanelContext<'_>, step: &Step) {
        if !self.entered {
            self.entered = true;
            cx.send(Command::View(ViewCommand::Show(step.panel)));
        }
        if cx.session.jobs.any_running() || self.asked >= MOST_ASKED {
            return;
        }
        if let Some(command) = (step.needs)(cx.session) {
            self.asked += 1;
            cx.send(command);
        }
    }
}

/// Asks for the story to begin, from anywhere in the window.
pub fn ask_for(context: &egui::Context) {
    context.data_mut(|data| data.insert_temp(wanted(), true));
}

/// True once when somebody asked for the story, or pressed its key.
pub fn is_asked_for(context: &egui::Context) -> bool {
    let asked = context.data_mut(|data| data.remove_temp::<bool>(wanted())).unwrap_or(false);
    asked || context.input(|input| input.key_pressed(Key::F5))
}

fn wanted() -> egui::Id {
    egui::Id::unique("story wanted")
}

/// Everything as large as leaves the layout its width.
fn grow(context: &egui::Context) {
    let zoom = context.zoom_factor();
    let width = context.content_rect().width() * zoom;
    let fitting = (width / DESIGN_WIDTH).clamp(1.0, 2.5);
    if (fitting - zoom).abs() > 0.02 {
        context.set_zoom_factor(fitting);
    }
}

fn keys(context: &egui::Context) -> Option<Wish> {
    if context.egui_wants_keyboard_input() {
        return None;
    }
    let pressed = |keys: &[Key]| context.input(|input| keys.iter().any(|key| input.key_pressed(*key)));
    if pressed(&[Key::ArrowRight, Key::PageDown, Key::Space]) {
        Some(Wish::Step(1))
    } else if pressed(&[Key::ArrowLeft, Key::PageUp]) {
        Some(Wish::Step(-1))
    } else if pressed(&[Key::R, Key::Home]) {
        Some(Wish::Anew)
    } else if pressed(&[Key::Escape, Key::F5]) {
        Some(Wish::End)
    } else {
        None
    }
}

fn buttons_of(ui: &mut Ui, theme: &Theme, step: usize) -> Option<Wish> {
    let mut wish = None;
    let mut button = |ui: &mut Ui, enabled: bool, text: &str, hint: &str, then: Wish| {
        if ui.add_enabled(enabled, egui::Button::new(text)).on_hover_text(hint).clicked() {
            wish = Some(then);
        }
    };
    button(ui, true, "End the tour", "Esc", Wish::End);
    button(ui, true, "Start over", "R: an empty program, and the first step", Wish::Anew);
    button(ui, step > 0, "Back a step", "Left", Wish::Step(-1));
    if step + 1 < STEP_COUNT
        && widgets::main_button(ui, theme, "Next step").on_hover_text("Right or space").clicked()
    {
        wish = Some(Wish::Step(1));
    }
    wish
}

fn log(session: &Session) -> Option<Command> {
    session.store.log.is_none().then_some(Command::Data(DataCommand::OpenSample))
}

fn model(session: &Session) -> Option<Command> {
    log(session).or_else(|| {
        let missing = session.store.training.model().is_none();
        missing
            .then(|| TrainSpec::new("deep_fm").ok())
            .flatten()
            .map(|spec| Command::Train(TrainCommand::Start(spec)))
    })
}

fn evaluation(session: &Session) -> Option<Command> {
    let missing = session.store.inspect.evaluated.is_none();
    model(session)
        .or_else(|| missing.then_some(Command::Inspect(InspectCommand::Evaluate(Split::Test, String::new()))))
}

fn projection(session: &Session) -> Option<Command> {
    model(session).or_else(|| {
        let missing = session.store.inspect.projected.is_none();
        let field = session.store.dataset.as_ref().and_then(|data| data.encoder.keys.ad.clone());
        field
            .filter(|_| missing)
            .map(|field| Command::Inspect(InspectCommand::Project(MapQuestion::of(field))))
    })
}

fn market(session: &Session) -> Option<Command> {
    model(session).or_else(|| {
        let missing = session.store.market.result.is_none();
        missing.then(|| usual_spec(session)).flatten().map(simulate)
    })
}

fn what_if(session: &Session) -> Option<Command> {
    market(session).or_else(|| {
        let mut spec = session.store.market.result.as_ref()?.spec.clone();
        let what_if = spec.what_if.get_or_insert_default();
        if !what_if.shifts.is_empty() {
            return None;
        }
        what_if.shifts.push(Shift { segment: "age_band = '18-24'".to_owned(), factor: 2.5 });
        Some(simulate(spec))
    })
}

fn usual_spec(session: &Session) -> Option<MarketSpec> {
    let log = session.store.log.as_ref()?.frame.source.path.clone();
    let mut spec = MarketSpec::new(log, source_in_view(session)?);
    spec.seed = 1;
    spec.what_if = Some(spec.baseline.clone());
    Some(spec)
}

fn simulate(spec: MarketSpec) -> Command {
    Command::Market(MarketCommand::Simulate(Box::new(spec)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_at_both_ends_and_name_panels_that_exist() {
        let story = Story { step: 0, asked: 3, entered: true, zoom_before: 1.0 };
        assert_eq!(story.moved(-1).step(), 0);
        let last = (0..20).fold(story, |story, _| story.moved(1));
        assert_eq!(last.step(), STEP_COUNT - 1);
        assert_eq!((last.asked, last.entered), (0, false));
        let panels = super::super::panels::all();
        for step in &STEPS {
            assert!(panels.iter().any(|panel| panel.id() == step.panel), "{}", step.panel);
        }
    }
}
