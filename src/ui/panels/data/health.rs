//! What would a careful person object to, and which rows could not be read?

use crate::data::profile::{Issue, IssueKind, Profile};
use crate::ui::{Theme, widgets};
use egui::{RichText, Ui};

/// Bad rows shown.
const BAD_ROWS: usize = 20;

/// True for objections that make every later number doubtful.
pub(super) fn is_grave(issue: &Issue) -> bool {
    matches!(
        issue.kind,
        IssueKind::NoLabel
            | IssueKind::OneClass
            | IssueKind::LabelLeak
            | IssueKind::SampleRatioMismatch
            | IssueKind::DoubleCounting
            | IssueKind::MixedCurrencies
            | IssueKind::PersonalData
    )
}

/// Every objection, the grave ones first, then the rows that were left out.
pub(super) fn show(ui: &mut Ui, theme: &Theme, profile: &Profile) {
    egui::ScrollArea::vertical().id_salt("health").auto_shrink(false).show(ui, |ui| {
        if profile.issues.is_empty() {
            ui.weak("Nothing to object to.");
        }
        let (grave, light): (Vec<_>, Vec<_>) = profile.issues.iter().partition(|issue| is_grave(issue));
        for issue in grave.into_iter().chain(light) {
            objection(ui, theme, issue);
        }
        if profile.bad_rows == 0 {
            return;
        }
        ui.add_space(8.0);
        ui.strong(format!("{} rows could not be read", widgets::grouped(profile.bad_rows as f64)));
        for bad in profile.bad_samples.iter().take(BAD_ROWS) {
            ui.weak(format!("line {}: {}", bad.line, bad.why));
        }
        let shown = profile.bad_samples.len().min(BAD_ROWS) as u64;
        if profile.bad_rows > shown {
            ui.weak(format!("and {} more", widgets::grouped((profile.bad_rows - shown) as f64)));
        }
    });
}

/// One objection: what, where, how often, and what it means.
pub(super) fn objection(ui: &mut Ui, theme: &Theme, issue: &Issue) {
    let colour = if is_grave(issue) { theme.bad } else { theme.warn };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(words(issue.kind)).strong().color(colour));
        if let Some(column) = &issue.column {
            ui.monospace(column);
        }
        ui.weak(widgets::grouped(issue.count as f64));
        ui.label(&issue.detail);
    });
}

fn words(kind: IssueKind) -> &'static str {
    match kind {
        IssueKind::BadRows => "bad rows",
        IssueKind::NoLabel => "no label",
        IssueKind::OneClass => "one outcome only",
        IssueKind::FewPositives => "few clicks",
        IssueKind::Aggregated => "counts per row",
        IssueKind::ClicksBeyondImpressions => "more clicks than impressions",
        IssueKind::ClicksWithoutImpressions => "clicks without impressions",
        IssueKind::ImplausibleRate => "implausible rate",
        IssueKind::LabelLeak => "gives the answer away",
        IssueKind::Constant => "constant",
        IssueKind::AllMissing => "empty",
        IssueKind::MixedTypes => "mixed types",
        IssueKind::DuplicateRows => "duplicate rows",
        IssueKind::TimeGaps => "gaps in time",
        IssueKind::SampleRatioMismatch => "uneven test",
        IssueKind::MixedCurrencies => "several currencies",
        IssueKind::NearConstant => "nearly constant",
        IssueKind::MissingOverTime => "missing in time",
        IssueKind::Outliers => "far outliers",
        IssueKind::TotalsDiffer => "total row differs",
        IssueKind::DoubleCounting => "counted twice",
        IssueKind::PersonalData => "personal data",
        IssueKind::NearDuplicateTexts => "similar texts",
    }
}
