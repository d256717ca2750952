//! Which market does the panel ask for? The spec that the controls edit, and whether it changed.

use crate::auctions::myerson::MyersonMark;
use crate::base::Result;
use crate::data::encode::{CategoricalField, Side};
use crate::domain::Campaign;
use crate::domain::segment::Segment;
use crate::market::Scenario;
use crate::market::looks::FittedLooks;
use crate::market::spec::{Edit, Margin, MarketSpec, ModelSource, Shift};
use crate::session::Session;
use crate::session::commands::market::{source_in_view, source_of, trained_model};
use crate::tasks::simulate::Simulated;
use crate::train::TrainedModel;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the controls edit.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Everything but the what-if's audience, which is kept below.
    pub spec: MarketSpec,
    /// Factor of each part of the audience, by its segment; 1 is as logged.
    pub mix: BTreeMap<String, f64>,
    /// Shares that the what-if's audience is to have: column, value, share.
    pub shares: BTreeMap<String, BTreeMap<String, f64>>,
    /// Columns that are changed for every user of the audience.
    pub edits: BTreeMap<String, String>,
    /// Changes of single users.
    pub single_edits: Vec<Edit>,
    /// The single user's edit that is being typed.
    pub typed: Edit,
    /// The audience's text while it is being typed.
    pub audience_text: String,
    /// The campaigns of the last run, for editing.
    pub campaigns: Vec<Campaign>,
    /// The reserve that theory would set for the last run's offers.
    pub myerson: Option<MyersonMark>,
    /// How often each slot is looked at, as the log of the last run shows it, or why it does not.
    pub looks: Option<Arc<Result<FittedLooks>>>,
    /// The model that the draft is for.
    model: Arc<TrainedModel>,
    /// The spec that was last asked for.
    asked: Option<MarketSpec>,
}

impl Draft {
    /// The first draft for the open log. `None` without log or model.
    pub fn new(session: &Session) -> Option<Self> {
        let log = session.store.log.as_ref()?;
        let model = trained_model(session)?;
        let mut spec = MarketSpec::new(log.frame.source.path.clone(), source_in_view(session)?);
        spec.seed = 1;
        Some(Self::from_spec(spec, model))
    }

    /// A draft of a run that was started elsewhere: nothing is asked for until a control moves.
    pub fn of(session: &Session, simulated: &Simulated) -> Option<Self> {
        let log = session.store.log.as_ref()?;
        let mut spec = simulated.spec.clone();
        spec.log.clone_from(&log.frame.source.path);
        let mut draft = Self::from_spec(spec, trained_model(session)?);
        draft.asked = Some(draft.wanted());
        Some(draft)
    }

    fn from_spec(mut spec: MarketSpec, model: Arc<TrainedModel>) -> Self {
        let what_if = spec.what_if.get_or_insert_with(|| spec.baseline.clone());
        let mix = what_if.shifts.drain(..).map(|shift| (shift.segment, shift.factor)).collect();
        let shares = what_if.margins.drain(..).map(|margin| (margin.column, margin.shares)).collect();
        let (single_edits, edits): (Vec<_>, Vec<_>) =
            what_if.edits.drain(..).partition(|edit| edit.user.is_some());
        let edits = edits.into_iter().map(|edit| (edit.column, edit.value)).collect();
        let (audience_text, campaigns) = (spec.audience.clone(), spec.campaigns.clone());
        Self {
            spec,
            mix,
            shares,
            edits,
            single_edits,
            typed: Edit::default(),
            audience_text,
            campaigns,
            myerson: None,
            looks: None,
            model,
            asked: None,
        }
    }

    /// True while the session still has the log that this draft is for. A newer model is taken over, and the
    /// market runs again with it.
    pub fn still_fits(&mut self, session: &Session) -> bool {
        if let Some(model) = trained_model(session).filter(|model| !Arc::ptr_eq(model, &self.model)) {
            if let Some(source) = source_in_view(session) {
                self.spec.model = source;
            }
            self.model = model;
            self.asked = None;
        }
        session.store.log.as_ref().is_some_and(|log| log.frame.source.path == self.spec.log)
    }

    /// True when the model that ranks the bids learns conversions too.
    pub fn learns_conversions(&self) -> bool {
        crate::models::kind(&self.model.kind).is_ok_and(|kind| kind.learns_conversions())
    }

    /// True when this is the run that was last asked for.
    pub fn asked_for(&self, spec: &MarketSpec) -> bool {
        self.asked.as_ref() == Some(spec)
    }

    /// True once a run was asked for.
    pub fn was_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks for the same run again.
    pub fn ask_again(&mut self) {
        self.asked = None;
    }

    /// Takes over what a run found out: the log's campaigns, to be edited.
    pub fn learn(&mut self, simulated: &Simulated) {
        self.myerson = simulated.prepared.myerson;
        self.looks = Some(Arc::clone(&simulated.looks));
        // Campaigns that a person edits are ahead of any run.
        if self.spec.campaigns.is_empty() {
            let known = simulated.prepared.campaigns.iter().filter(|campaign| campaign.drawn.is_none());
            self.campaigns = known.cloned().collect();
        }
    }

    /// The what-if scenario, to be edited.
    pub fn what_if(&mut self) -> &mut Scenario {
        self.spec.what_if.get_or_insert_default()
    }

    /// The spec to run, if it differs from the one last asked for.
    pub fn take_change(&mut self) -> Option<MarketSpec> {
        let wanted = self.wanted();
        if self.asked.as_ref() == Some(&wanted) {
            return None;
        }
        self.asked = Some(wanted.clone());
        Some(wanted)
    }

    fn wanted(&self) -> MarketSpec {
        let mut spec = self.spec.clone();
        let shifts = self.mix.iter().filter(|(_, factor)| **factor != 1.0);
        let what_if = spec.what_if.get_or_insert_default();
        what_if.shifts =
            shifts.map(|(segment, factor)| Shift { segment: segment.clone(), factor: *factor }).collect();
        let wanted = self.shares.iter().filter(|(_, shares)| !shares.is_empty());
        what_if.margins = wanted
            .map(|(column, shares)| Margin { column: column.clone(), shares: shares.clone() })
            .collect();
        let of_all = self.edits.iter();
        let of_all =
            of_all.map(|(column, value)| Edit { column: column.clone(), value: value.clone(), user: None });
        what_if.edits = of_all.chain(self.single_edits.iter().cloned()).collect();
        spec
    }
}

/// The other models of the list whose clicks could happen: words and source.
pub fn other_models(session: &Session) -> Vec<(String, ModelSource)> {
    let training = &session.store.training;
    let others = training.models.iter().enumerate().filter(|(place, _)| *place != training.selected);
    others.map(|(place, run)| (format!("model {}: {}", place + 1, run.model.kind), source_of(run))).collect()
}

/// A column whose mix can be shifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixColumn {
    /// Its name.
    pub name: String,
    /// Words and segment of each part.
    pub parts: Vec<(String, String)>,
    /// True when an edit can set it: a column of the log itself.
    pub editable: bool,
}

/// Values offered per column, the most frequent ones.
const PARTS: usize = 8;
/// Columns with more values than this (user ids, queries) have no mix that a person could shift.
const MOST_VALUES: usize = 64;

/// The user and context columns that the model reads.
pub fn mix_columns(session: &Session) -> Vec<MixColumn> {
    let Some(dataset) = &session.store.dataset else { return Vec::new() };
    let encoder = &dataset.encoder;
    let user = encoder.user_field();
    let fields = encoder.categorical.iter().enumerate();
    let shiftable = fields.filter(|(place, field)| {
        let few = (2..=MOST_VALUES).contains(&field.values.len());
        field.side != Side::Ad && Some(*place) != user && few
    });
    shiftable.filter_map(|(_, field)| mix_column(field)).collect()
}

fn mix_column(field: &CategoricalField) -> Option<MixColumn> {
    match field.name.split_once(':') {
        None => {
            let values = field.values.iter().take(PARTS);
            let parts = values
                .map(|value| (value.clone(), Segment::equals(&field.name, value).to_string()))
                .collect();
            Some(MixColumn { name: field.name.clone(), parts, editable: true })
        }
        Some((_, "hour")) => Some(MixColumn { name: "hour".to_owned(), parts: day_parts(), editable: false }),
        Some(_) => None,
    }
}

fn day_parts() -> Vec<(String, String)> {
    [("night 0-5", 0, 6), ("morning 6-11", 6, 12), ("afternoon 12-17", 12, 18), ("evening 18-23", 18, 24)]
        .map(|(name, from, to)| (name.to_owned(), format!("hour >= {from} and hour < {to}")))
        .to_vec()
}
