//! Who is protected, how, and what is not promised?

use super::Panel;
use super::segments::{column_menu, complain};
use crate::data::LogFrame;
use crate::data::query::groupable_columns;
use crate::data::query::noisy::{self, NoisyQuery};
use crate::data::schema::ColumnType;
use crate::domain::Segment;
use crate::session::commands::{DataCommand, PrivacyCommand};
use crate::session::{Command, Purpose};
use crate::tasks::privacy::Reported;
use crate::ui::widgets::filter_field;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};

/// What is promised, and what is not, in the words of the panel and the README.
const PROMISES: [(&str, &str); 5] = [
    (
        "Audiences and exported cells",
        "hold at least k people, and so does what an audience has more or less than each audience that was kept \
         before. Not promised: protection from somebody who knows things that this log does not hold, or who holds \
         audiences of another program, or exports of different questions, against each other.",
    ),
    (
        "Reports",
        "carry noise of differential privacy; what they spend adds up and is refused beyond the budget. Not promised: \
         anything for figures on the screen, which are exact, or for a book of reports that somebody deletes.",
    ),
    (
        "Consent",
        "once its column is named, rows without a clear yes are not read: no count, model or export sees them. Not \
         promised: that the column is right.",
    ),
    (
        "Erasure",
        "removes kept copies that hold the person and leaves the rows out of every later opening. Not promised: changes to \
         your own files, to models trained before (train again) or to exports made before.",
    ),
    (
        "Pseudonyms",
        "are keyed hashes; the salt is not kept in any file. Not promised: anonymity. Who has the salt can check a guess.",
    ),
];

/// Settings and the draft of a report.
#[derive(Default)]
pub struct PrivacyPanel {
    by: String,
    filter: String,
    query: NoisyQuery,
    user: String,
}

impl Panel for PrivacyPanel {
    fn id(&self) -> &'static str {
        "privacy"
    }

    fn title(&self) -> &'static str {
        "Privacy"
    }

    fn summary(&self) -> &'static str {
        "The people behind the rows: who is let through, reports with noise, consent, erasure, and what is promised"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        let Some((log, consent)) =
            cx.session.store.log.as_ref().map(|open| (open.frame.clone(), open.options.consent.clone()))
        else {
            let why = "No log is open, so there is nobody to protect.";
            if widgets::empty_state(ui, cx.theme, why, "Open the sample") {
                cx.send(Command::Data(DataCommand::OpenSample));
            }
            return;
        };
        egui::ScrollArea::vertical().id_salt("privacy").auto_shrink(false).show(ui, |ui| {
            gate(ui, cx);
            consent_menu(ui, cx, &log, consent);
            self.erasure(ui, cx);
            ui.add_space(10.0);
            self.report(ui, cx, &log);
            ui.add_space(10.0);
            ui.strong("What is promised, and what is not");
            for (what, words) in PROMISES {
                ui.horizontal_wrapped(|ui| {
                    ui.label(RichText::new(what).strong());
                    ui.label(words);
                });
            }
        });
    }
}

fn gate(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("People that an audience or an exported cell must hold (k)").id;
        let mut k = cx.session.workspace.privacy.k;
        let field = ui.add(egui::DragValue::new(&mut k).range(1..=1_000_000).speed(1.0)).labelled_by(label);
        if field.changed() {
            cx.send(Command::Privacy(PrivacyCommand::SetK(k)));
        }
        ui.weak("50 is usual in clean rooms");
    });
}

fn consent_menu(ui: &mut Ui, cx: &mut PanelContext<'_>, log: &LogFrame, consent: Option<String>) {
    let columns: Vec<String> = (log.schema.columns.iter())
        .filter(|column| matches!(column.kind, ColumnType::Boolean | ColumnType::Text | ColumnType::Integer))
        .map(|column| column.name.clone())
        .collect();
    let before = consent.unwrap_or_default();
    let mut chosen = before.clone();
    ui.horizontal_wrapped(|ui| {
        let label = ui.label("Consent is told by").id;
        column_menu(ui, "consent", &mut chosen, &columns, Some("no column: all rows are read"))
            .labelled_by(label);
        for note in log.source.notes.iter().filter(|note| note.contains("without consent")) {
            ui.weak(note);
        }
    });
    if chosen != before {
        let column = Some(chosen).filter(|column| !column.is_empty());
        cx.send(Command::Privacy(PrivacyCommand::RespectConsent(column)));
    }
}

impl PrivacyPanel {
    fn erasure(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Erase the user").id;
            let field = egui::TextEdit::singleline(&mut self.user).hint_text("u00042").desired_width(160.0);
            ui.add(field).labelled_by(label);
            let named = !self.user.trim().is_empty();
            let button = ui.add_enabled(named, egui::Button::new("Erase"));
            let why =
                "Removes kept copies that hold the user and leaves the rows out from now on; your file stays";
            if button.on_hover_text(why).on_disabled_hover_text("Write the user as the log does").clicked() {
                cx.send(Command::Privacy(PrivacyCommand::Erase(self.user.trim().to_owned())));
                self.user.clear();
            }
        });
    }

    fn report(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, log: &LogFrame) {
        ui.strong("A report for strangers, with noise");
        let columns = groupable_columns(log);
        if !columns.contains(&self.by) {
            let own = columns.iter().find(|name| log.schema.column(name).is_ok());
            self.by = own.cloned().unwrap_or_default();
        }
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Groups of").id;
            column_menu(ui, "report by", &mut self.by, &columns, None).labelled_by(label);
            let label = ui.label("epsilon").id;
            let field = egui::DragValue::new(&mut self.query.epsilon).range(0.01..=10.0).speed(0.01);
            ui.add(field).labelled_by(label).on_hover_text("Less is more noise and a stronger promise");
            let label = ui.label("rows of a user at most").id;
            let field = egui::DragValue::new(&mut self.query.rows_per_user).range(1..=10_000).speed(1.0);
            ui.add(field).labelled_by(label).on_hover_text("More rows need more noise");
            let label = ui.label("budget of this log").id;
            let mut budget = cx.session.workspace.privacy.budget;
            let field = ui.add(egui::DragValue::new(&mut budget).range(0.1..=100.0).speed(0.1));
            if field.labelled_by(label).changed() {
                cx.send(Command::Privacy(PrivacyCommand::SetBudget(budget)));
            }
        });
        filter_field(ui, cx, &mut self.filter);
        match Segment::parse(&self.filter) {
            Ok(filter) => {
                let words = format!("Report, spending {}", self.query.epsilon);
                if widgets::main_button(ui, cx.theme, &words).clicked() {
                    let query = NoisyQuery { by: vec![self.by.clone()], filter, ..self.query.clone() };
                    cx.send(Command::Privacy(PrivacyCommand::Report(query)));
                }
            }
            Err(failure) => complain(ui, cx.theme, &failure),
        }
        if cx.session.jobs.of(Purpose::Report).is_some() {
            ui.weak("Counting …");
        } else if let Some(reported) = cx.session.store.report.clone() {
            told(ui, cx.theme, &reported);
        }
    }
}

fn told(ui: &mut Ui, theme: &Theme, reported: &Reported) {
    let (report, account) = match &reported.report {
        Ok(report) => report,
        Err(failure) => {
            complain(ui, theme, failure);
            return;
        }
    };
    ui.label(format!(
        "epsilon {} spent now, {:.3} of {} on the people of this log in {} reports",
        report.epsilon,
        account.total(),
        reported.budget,
        account.spent.len()
    ));
    for words in noisy::promise(report) {
        ui.weak(words);
    }
    egui::Grid::new("noisy report").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
        for title in [report.by.join(" x ").as_str(), "Impressions", "Clicks", "CTR, 95 % with the noise"] {
            ui.strong(title);
        }
        ui.end_row();
        for row in &report.rows {
            ui.label(row.values.join(" x "));
            ui.label(widgets::grouped(row.impressions));
            ui.label(row.clicks.map_or_else(|| "n/a".to_owned(), widgets::grouped));
            ui.label(row.ctr.map_or_else(|| "n/a".to_owned(), |ctr| ctr.in_percent()));
            ui.end_row();
        }
    });
    if report.rows.is_empty() {
        ui.weak(
            "No group is large enough to be told with so much noise: fewer rows a user, or a larger epsilon.",
        );
    }
}
