//! What do the heads of a sentence encoder look at in a text, and does the text's vector need them?

use crate::insight::heads::text::{TextHead, TextHeads};
use crate::session::commands::copy::CopyCommand;
use crate::session::{Command, Purpose};
use crate::ui::charts::heatmap::{Heatmap, Matrix, thumbnail};
use crate::ui::dialogs::DialogKind;
use crate::ui::{DialogRequest, PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::path::PathBuf;

/// Where `sh assets/fetch-models.sh` puts the encoder.
const FETCHED: &str = "models/all-minilm-l6-v2";

/// A text and the encoder that reads it.
pub(super) struct Texts {
    text: String,
    folder: String,
    /// Layer and head; the rollout of all layers where `None`.
    chosen: Option<(usize, usize)>,
    map: Heatmap,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            text: String::new(),
            folder: FETCHED.to_owned(),
            chosen: Some((0, 0)),
            map: Heatmap::default(),
        }
    }
}

impl Texts {
    pub(super) fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Text").id;
            let field =
                egui::TextEdit::singleline(&mut self.text).hint_text("an ad text").desired_width(380.0);
            ui.add(field).labelled_by(label);
            let label = ui.label("Sentence encoder").id;
            let field = egui::TextEdit::singleline(&mut self.folder).desired_width(210.0);
            ui.add(field)
                .on_hover_text("A folder with config.json, model.safetensors and tokenizer.json (BERT)")
                .labelled_by(label);
            if ui.button("Choose…").clicked() {
                // The look starts with the folder; the text is asked for before.
                let text = self.text.clone();
                let then = move |folder: PathBuf| Command::Copy(CopyCommand::LookAtHeads(folder, text));
                cx.ask(DialogRequest::open(DialogKind::OpenFolder, "Open a sentence encoder", then));
            }
            let ready = !self.text.trim().is_empty() && !self.folder.trim().is_empty();
            ui.add_enabled_ui(ready, |ui| {
                if widgets::main_button(ui, cx.theme, "Look at its heads").clicked() {
                    let folder = PathBuf::from(self.folder.trim());
                    cx.send(Command::Copy(CopyCommand::LookAtHeads(folder, self.text.clone())));
                }
            });
        });
        ui.add_space(4.0);
        let running = cx.session.jobs.of(Purpose::TextHeads).is_some();
        match cx.session.store.copy.heads.clone() {
            _ if running => drop(ui.weak("Reading the encoder, then switching each head off …")),
            None => drop(ui.weak(
                "Draws what each head of a local sentence encoder looks at in the text. Without one: sh assets/fetch-models.sh \
                 gets all-MiniLM-L6-v2 (91 MB).",
            )),
            Some(known) => match &known.seen {
                Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
                Ok(seen) => self.answer(ui, cx.theme, seen),
            },
        }
    }

    fn answer(&mut self, ui: &mut Ui, theme: &Theme, seen: &TextHeads) {
        ui.label(format!("“{}” as {} reads it: {} tokens", seen.text, seen.encoder, seen.tokens.len()));
        ui.weak(
            "Below each head: the cosine of the text's vector with it to that without it; 1 where the vector does not need it.",
        );
        ui.add_space(6.0);
        let rolled = self.chosen.is_none();
        if ui
            .selectable_label(rolled, "Rollout of all layers")
            .on_hover_text("Products of the mean of heads with the way past them (Abnar & Zuidema 2020)")
            .clicked()
        {
            self.chosen = if rolled { Some((0, 0)) } else { None };
        }
        let head =
            self.chosen.and_then(|(layer, head)| Some((layer, head, seen.layers.get(layer)?.get(head)?)));
        let (name, values) = match head {
            Some((layer, head, of)) => {
                ui.label(in_words(of));
                (format!("Weight, layer {}, head {}", layer + 1, head + 1), &of.map)
            }
            None => ("Rollout, all layers".to_owned(), &seen.rollout),
        };
        ui.label(RichText::new(&name).strong());
        let tokens = &seen.tokens;
        self.map.show(ui, theme, matrix(&name, seen, values), |line, column| {
            let weight = values[line * tokens.len() + column];
            format!("{} looks at {}: {weight:.4}", tokens[line], tokens[column])
        });
        ui.add_space(8.0);
        for (layer, heads) in seen.layers.iter().enumerate() {
            ui.strong(format!("layer {}", layer + 1));
            ui.horizontal_wrapped(|ui| {
                for (head, of) in heads.iter().enumerate() {
                    let (name, below) = (format!("head {}", head + 1), format!("{:.4}", of.cosine_without));
                    let matrix = matrix("weights", seen, &of.map);
                    let chosen = self.chosen == Some((layer, head));
                    let response = thumbnail(ui, theme, matrix, chosen, [&name, &below]);
                    if response.on_hover_text(in_words(of)).clicked() {
                        self.chosen = Some((layer, head));
                    }
                }
            });
        }
    }
}

fn matrix<'a>(name: &'a str, seen: &'a TextHeads, values: &'a [f64]) -> Matrix<'a> {
    Matrix {
        name,
        line_axis: "who looks",
        column_axis: "who is looked at",
        lines: &seen.tokens,
        columns: &seen.tokens,
        values,
        around_zero: false,
    }
}

fn in_words(head: &TextHead) -> String {
    format!(
        "evenness {:.2}; tokens away {:.1}; cosine without it {:.4}",
        head.evenness, head.distance, head.cosine_without
    )
}
