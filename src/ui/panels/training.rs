//! What is being trained, how is it going, and which models are there?

mod augmentation;
mod cold;
mod compare;
mod compression;
mod federated;
mod leaderboard;
mod mapping;
mod online;
mod progress;
mod retrieval;
mod robustness;
mod runs;
mod search;
mod transfer;
mod trials;
mod tuning;
pub(super) mod unfinished;

use crate::base::params::Params;
use crate::data::Role;
use crate::models::{MODELS, ModelKind, first_choice};
use crate::nn::device;
use crate::session::commands::train::TrainingState;
use crate::session::commands::{DataCommand, TrainCommand};
use crate::session::store::Store;
use crate::session::{Command, Purpose};
use crate::train::ensemble::MEMBERS;
use crate::train::onnx::KINDS;
use crate::train::{TRAIN_PARAMS, TrainSpec, specs_of};
use crate::ui::panels::Panel;
use crate::ui::{DialogKind, DialogRequest, PanelContext, form, widgets};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Model chooser, form, live curves, list of models.
pub struct TrainingPanel {
    kind: usize,
    /// Knobs by kind, kept while another kind is looked at.
    params: BTreeMap<&'static str, Params>,
    folder: String,
    view: View,
    /// Places of the runs that are compared.
    chosen: BTreeSet<usize>,
    sort_by: leaderboard::SortBy,
    asking: retrieval::Asking,
    attacking: robustness::Attacking,
    compressing: compression::Compressing,
    federating: federated::Federating,
    tuning: tuning::TuningForm,
    /// Members of an ensemble to be trained.
    members: usize,
    searching: search::Searching,
    trials: trials::Trials,
    online: online::OnlineView,
}

impl Default for TrainingPanel {
    fn default() -> Self {
        Self {
            kind: first_choice(),
            params: BTreeMap::new(),
            folder: String::new(),
            view: View::default(),
            chosen: BTreeSet::new(),
            sort_by: leaderboard::SortBy::default(),
            asking: retrieval::Asking::default(),
            attacking: robustness::Attacking::default(),
            compressing: compression::Compressing::default(),
            federating: federated::Federating::default(),
            tuning: tuning::TuningForm::default(),
            members: 1,
            searching: search::Searching::default(),
            trials: trials::Trials::default(),
            online: online::OnlineView::default(),
        }
    }
}

/// What is looked at above the list of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum View {
    #[default]
    Curves,
    Epochs,
    Layers,
    Compare,
    Leaderboard,
    Retrieval,
    Robustness,
    Compression,
    Federated,
    Search,
    Trials,
    Online,
}

const FORM_WIDTH: f32 = 330.0;
/// Days after which an earlier text counts half, unless a person says otherwise.
const INTEREST_DAYS: u32 = 14;
const HALF_LIVES: [u32; 6] = [1, 3, 7, 14, 30, 90];
/// Numbers that a text is read as.
const TEXT_NUMBERS: usize = 16;

impl Panel for TrainingPanel {
    fn id(&self) -> &'static str {
        "training"
    }

    fn title(&self) -> &'static str {
        "Training"
    }

    fn summary(&self) -> &'static str {
        "Choose a model, train it on the open log and watch it learn"
    }

    fn ui(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, "Training", self.summary());
        let session = cx.session;
        if session.store.log.is_none() && session.store.training.models.is_empty() {
            unfinished::show(ui, cx);
            let why = "A model learns from a campaign log, and none is open.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample log") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        }
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.allocate_ui(egui::vec2(FORM_WIDTH, ui.available_height()), |ui| {
                    ui.vertical(|ui| self.chooser(ui, cx));
                });
                ui.separator();
                ui.vertical(|ui| {
                    self.views(ui);
                    match self.view {
                        View::Compare => compare::show(ui, cx, &self.chosen),
                        View::Leaderboard => leaderboard::show(ui, cx, &mut self.sort_by),
                        View::Retrieval => self.asking.show(ui, cx, &self.chosen),
                        View::Robustness => self.attacking.show(ui, cx, &self.chosen),
                        View::Compression => self.compressing.show(ui, cx),
                        View::Federated => {
                            let kind = MODELS[self.kind.min(MODELS.len() - 1)];
                            self.federating.show(ui, cx, kind);
                        }
                        View::Search => self.search(ui, cx),
                        View::Trials => {
                            let spec = self.spec();
                            self.trials.show(ui, cx, spec);
                        }
                        View::Online => self.online.show(ui, cx),
                        view => progress::show(ui, cx, view),
                    }
                    self.models(ui, cx);
                });
            });
        });
    }
}

impl TrainingPanel {
    fn views(&mut self, ui: &mut egui::Ui) {
        ui.horizontal_wrapped(|ui| {
            let compare = match self.chosen.len() {
                0 => "Compare".to_owned(),
                chosen => format!("Compare ({chosen})"),
            };
            for (view, words) in [
                (View::Curves, "Curves"),
                (View::Epochs, "By epoch"),
                (View::Layers, "By layer"),
                (View::Compare, &compare),
                (View::Leaderboard, "Leaderboard"),
                (View::Retrieval, "What each would show"),
                (View::Robustness, "Robustness"),
                (View::Compression, "Compression"),
                (View::Federated, "Federated"),
                (View::Search, "Search"),
                (View::Trials, "Trials"),
                (View::Online, "Online"),
            ] {
                ui.selectable_value(&mut self.view, view, words);
            }
        });
        ui.add_space(4.0);
    }

    fn chooser(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        let kind = MODELS[self.kind.min(MODELS.len() - 1)];
        ui.horizontal(|ui| {
            let label = ui.label("Model");
            egui::ComboBox::from_id_salt("model kind")
                .selected_text(kind.label())
                .show_ui(ui, |ui| {
                    for (place, kind) in MODELS.iter().enumerate() {
                        ui.selectable_value(&mut self.kind, place, kind.label())
                            .on_hover_text(kind.summary());
                    }
                })
                .response
                .labelled_by(label.id);
        });
        ui.weak(kind.summary());
        ui.add_space(6.0);
        self.buttons(ui, cx, kind);
        ui.add_space(6.0);
        let specs = specs_of(kind.id()).unwrap_or_default();
        let (training, own) = specs.split_at(TRAIN_PARAMS.len().min(specs.len()));
        let params = self.params.entry(kind.id()).or_insert_with(|| Params::defaults(&specs));
        texts(ui, cx);
        ui.strong("Training");
        form::params_form(ui, "training knobs", training, params);
        if !own.is_empty() {
            ui.add_space(6.0);
            ui.strong(kind.label());
            form::params_form(ui, kind.id(), own, params);
        }
        if ui.button("Back to defaults").clicked() {
            self.params.remove(kind.id());
        }
    }

    /// The kind that is chosen, with its knobs.
    fn spec(&self) -> TrainSpec {
        let kind = MODELS[self.kind.min(MODELS.len() - 1)];
        let params = self.params.get(kind.id()).cloned().unwrap_or_default();
        TrainSpec { kind: kind.id().to_owned(), params, source: String::new() }
    }

    fn search(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        let kind = MODELS[self.kind.min(MODELS.len() - 1)];
        let params = self.params.get(kind.id()).cloned().unwrap_or_default();
        self.searching.show(ui, cx, kind, &params);
    }

    fn buttons(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>, kind: &'static dyn ModelKind) {
        let session = cx.session;
        if session.jobs.of(Purpose::Train).is_some() {
            if ui.button("Pause training").on_hover_text("Stops after this batch; it can go on").clicked() {
                cx.send(Command::Train(TrainCommand::Stop));
            }
            waiting(ui, cx, false);
            return;
        }
        waiting(ui, cx, true);
        let refusal = match &session.store.dataset {
            None if session.jobs.of(Purpose::Encode).is_some() => {
                Some("The log is being encoded.".to_owned())
            }
            None => Some(session.store.untrainable.as_ref().map_or_else(
                || "The open log has no label column: choose one in the Data panel.".to_owned(),
                ToString::to_string,
            )),
            Some(dataset) => kind.check(&dataset.encoder).err().map(|failure| failure.to_string()),
        };
        if let Some(refusal) = refusal {
            ui.colored_label(cx.theme.warn, refusal);
        } else if widgets::main_button(ui, cx.theme, &format!("Train {}", kind.label())).clicked() {
            // Knobs that were not touched are filled in with the kind's defaults when the training starts.
            let spec = self.spec();
            cx.send(Command::Train(match self.members {
                0 | 1 => TrainCommand::Start(spec),
                members => TrainCommand::StartEnsemble(spec, members),
            }));
        }
        ui.horizontal(|ui| {
            let label = ui.label("Members").id;
            let drag = egui::DragValue::new(&mut self.members).range(1..=MEMBERS);
            ui.add(drag).labelled_by(label).on_hover_text(
                "More than one: trains an ensemble on rows drawn anew, averages it, and gives every prediction an interval",
            );
        });
        self.tuning.show(ui, cx, self.params.get(kind.id()));
        if let Some(words) = rows_learnt_from(&session.store) {
            ui.weak(words);
        }
        unfinished::show(ui, cx);
        if let Some((trainer, _)) = &session.store.training.stopped {
            ui.label(format!("{} was stopped after {} epochs.", trainer.spec.kind, trainer.epochs_done()));
            ui.horizontal(|ui| {
                if ui.button("Go on").on_hover_text("Goes on as if it had not been stopped").clicked() {
                    cx.send(Command::Train(TrainCommand::Resume));
                }
                if ui
                    .button("Keep as it is")
                    .on_hover_text("Makes a model of the best weights so far")
                    .clicked()
                {
                    cx.send(Command::Train(TrainCommand::Finish));
                }
            });
        }
    }

    fn models(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
        ui.add_space(8.0);
        ui.strong("Models");
        let training = &cx.session.store.training;
        if training.models.is_empty() {
            ui.weak("None yet: train one, or open one that was saved.");
        } else {
            let mut selected = training.selected;
            runs::show(ui, &training.models, &mut selected, &mut self.chosen);
            let ticked: Vec<usize> = self.chosen.iter().copied().collect();
            let hover = "Their mean becomes a model of the list; models of one kind that read the log alike";
            let words = format!("Average {} ticked models", ticked.len());
            if ticked.len() > 1 && ui.button(words).on_hover_text(hover).clicked() {
                cx.send(Command::Train(TrainCommand::Combine(ticked)));
            }
            if selected != training.selected {
                cx.send(Command::Train(TrainCommand::Select(selected)));
            }
        }
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Model folder");
            ui.add(egui::TextEdit::singleline(&mut self.folder).desired_width(220.0)).labelled_by(label.id);
            let folder = PathBuf::from(self.folder.trim());
            let named = !self.folder.trim().is_empty();
            let some = !training.models.is_empty();
            if ui.add_enabled(named && some, egui::Button::new("Save model")).clicked() {
                cx.send(Command::Train(TrainCommand::Save(folder.clone())));
            }
            let kinds = format!("For other runtimes: {} with their encoder", KINDS.join(", "));
            let able = training.model().is_some_and(|model| KINDS.contains(&model.kind.as_str()));
            let button = ui.add_enabled(able, egui::Button::new("Write ONNX…"));
            if button.on_hover_text(&kinds).on_disabled_hover_text(kinds).clicked() {
                cx.ask(DialogRequest::save("Write the model as ONNX", "model.onnx", |file| {
                    Command::Train(TrainCommand::WriteOnnx(file))
                }));
            }
            if ui.add_enabled(named, egui::Button::new("Open model")).clicked() {
                cx.send(Command::Train(TrainCommand::Open(folder)));
            }
            if ui.button("Browse…").on_hover_text("Choose the folder of a saved model to open").clicked() {
                cx.ask(DialogRequest::open(DialogKind::OpenFolder, "Open a saved model", |folder| {
                    Command::Train(TrainCommand::Open(folder))
                }));
            }
        });
    }
}

/// Places of the ticked runs; that of the one in view where none is ticked.
fn ticked_or_in_view(training: &TrainingState, chosen: &BTreeSet<usize>) -> Vec<usize> {
    let mut places: Vec<usize> =
        chosen.iter().copied().filter(|place| *place < training.models.len()).collect();
    if places.is_empty() {
        places.push(training.selected);
    }
    places
}

/// One switch for every kind: whether texts are read as vectors.
fn texts(ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
    let Some(log) = &cx.session.store.log else { return };
    let columns: Vec<&str> = log
        .frame
        .schema
        .columns
        .iter()
        .filter(|column| column.role == Role::Text)
        .map(|column| column.name.as_str())
        .collect();
    let now = cx.session.store.training.text_vectors;
    let mut reads = now > 0;
    ui.horizontal(|ui| {
        let free = cx.session.jobs.of(Purpose::Train).is_none();
        let switch = ui.add_enabled(
            free && (reads || !columns.is_empty()),
            egui::Checkbox::new(&mut reads, "Read texts as vectors"),
        );
        let why = format!(
            "Every kind of model reads each text column as {TEXT_NUMBERS} numbers, by the words of the training rows; the log \
             is encoded anew"
        );
        if switch.on_hover_text(why).on_disabled_hover_text("No column has the role text").changed() {
            cx.send(Command::Train(TrainCommand::ReadTexts(if reads { TEXT_NUMBERS } else { 0 })));
        }
        if reads {
            ui.weak(columns.join(", "));
        }
    });
    if reads {
        topics(ui, cx);
        interests(ui, cx);
    }
    ui.add_space(4.0);
}

/// Whether models read what texts are about, and who says so.
fn topics(ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
    let training = &cx.session.store.training;
    let by =
        training.topics.as_ref().map_or_else(|| "the program's list".to_owned(), |(name, _)| name.clone());
    let mut reads = !training.without_topics;
    let free = cx.session.jobs.of(Purpose::Train).is_none();
    ui.horizontal(|ui| {
        ui.add_space(22.0);
        let switch = ui.add_enabled(free, egui::Checkbox::new(&mut reads, "and what they are about"));
        let why = "The weights of the topics that the training rows have, by words and likeness, or learnt from labels: topics of \
                   text columns, and of the user's interests where those are read";
        if switch.on_hover_text(why).changed() {
            cx.send(Command::Train(TrainCommand::ReadTopics(reads)));
        }
        if reads {
            ui.weak(format!("by {by}"));
            let button = ui.add_enabled(free, widgets::small("Other topics …"));
            let why = "What 'adloupe topics FILE --out TOPICS' learnt from labels, or a list like assets/topics.tsv";
            if button.on_hover_text(why).clicked() {
                let then = |path| Command::Train(TrainCommand::TopicsOf(path));
                cx.ask(DialogRequest::open(DialogKind::OpenFile, "Open topics", then));
            }
        }
    });
}

/// Whether models read what each user searched, read or clicked before, and how fast that fades.
fn interests(ui: &mut egui::Ui, cx: &mut PanelContext<'_>) {
    let now = cx.session.store.training.interest_days;
    let free = cx.session.jobs.of(Purpose::Train).is_none();
    ui.horizontal(|ui| {
        ui.add_space(22.0);
        let mut reads = now > 0;
        let switch = ui.add_enabled(free, egui::Checkbox::new(&mut reads, "and each user's interests"));
        let why = "The texts of the user's earlier rows, of ads those that were clicked: a mean of their vectors in which a text \
                   counts half after so many days. Nothing looks ahead.";
        if switch.on_hover_text(why).changed() {
            cx.send(Command::Train(TrainCommand::ReadInterests(if reads { INTEREST_DAYS } else { 0 })));
        }
        if now > 0 {
            let label = ui.label("half after").id;
            let mut days = now;
            let chooser = egui::ComboBox::from_id_salt("interest days").selected_text(format!("{now} days"));
            let chooser = chooser.show_ui(ui, |ui| {
                for choice in HALF_LIVES {
                    ui.selectable_value(&mut days, choice, format!("{choice} days"));
                }
            });
            chooser.response.labelled_by(label);
            if days != now {
                cx.send(Command::Train(TrainCommand::ReadInterests(days)));
            }
        }
    });
    ui.add_space(4.0);
}

/// Which rows a training learns from, where the open log is a sample; `None` where it is whole.
fn rows_learnt_from(store: &Store) -> Option<String> {
    let sample = store.log.as_ref()?.frame.source.layout.sample.as_ref()?;
    let whole = store.whole.as_ref()?;
    Some(match whole.rows.get() {
        Some(rows) if rows.rows as u64 == sample.of => format!("All {} rows, streamed.", sample.of),
        Some(rows) => {
            let why = rows.notes.last().map_or("", String::as_str);
            format!("Sample of {} of {} rows: {why}", rows.rows, sample.of)
        }
        None => format!("All {} rows: the first training streams them from the file.", sample.of),
    })
}

/// The trainings that wait, and what can be done with them.
fn waiting(ui: &mut egui::Ui, cx: &mut PanelContext<'_>, at_rest: bool) {
    let waiting = &cx.session.store.training.waiting;
    if waiting.is_empty() {
        return;
    }
    let kinds: Vec<&str> = waiting.iter().map(|spec| spec.kind.as_str()).collect();
    ui.horizontal_wrapped(|ui| {
        ui.weak(format!("Waiting: {}", kinds.join(", ")));
        if at_rest && widgets::small_button(ui, "Begin").on_hover_text("Trains those that wait").clicked() {
            cx.send(Command::Train(TrainCommand::StartNext));
        }
        if widgets::small_button(ui, "Forget them").clicked() {
            cx.send(Command::Train(TrainCommand::DropWaiting));
        }
    });
}

/// The device that `auto` takes on this machine.
fn device_name() -> &'static str {
    device::choose("auto").as_ref().map_or("cpu", device::name)
}
