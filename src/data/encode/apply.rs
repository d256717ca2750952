//! How is a log encoded by a fitted encoder? Column by column, with every row treated alike.

use super::{Encoder, SequenceField, TIME_HOUR, TIME_WEEKDAY, WEEKDAYS};
use crate::base::{Failure, Result};
use crate::data::array::{Array, Room};
use crate::data::batch::MISSING_ID;
use crate::data::catalogue::AdCatalogue;
use crate::data::cells;
use crate::data::columns::{Codes, Columns, NO_TIME, side_by_side};
use crate::data::dataset::{Dataset, SequenceColumn};
use crate::data::history::{self, Events};
use crate::data::outcome::Outcome;
use crate::data::schema::Role;
use crate::data::split::{self, Parts};
use crate::jobs::JobContext;
use std::sync::Arc;

impl Encoder {
    /// Encodes every row of a log that has this encoder's columns; other columns are not looked at. The parts
    /// are split as in training, so the log that the encoder was fitted on gets the same parts again; they
    /// are empty when the log has no outcome.
    ///
    /// # Errors
    /// Columns are missing (all of them are listed) or hold something else than when fitted; a cancel.
    pub fn encode(self: &Arc<Self>, log: &dyn Columns, context: &JobContext) -> Result<Dataset> {
        self.encode_in(log, false, &Room::memory(), context)
    }

    /// Encodes a log that lacks some of this encoder's columns: their cells count as missing in every row, which is
    /// told in the dataset's notes. Fine for a column that was often missing in training, a guess for others.
    ///
    /// # Errors
    /// All columns are missing, or as for [`encode`](Self::encode).
    pub fn encode_with_gaps(self: &Arc<Self>, log: &dyn Columns, context: &JobContext) -> Result<Dataset> {
        self.encode_in(log, true, &Room::memory(), context)
    }

    /// As [`encode`](Self::encode), or with gaps as [`encode_with_gaps`](Self::encode_with_gaps), where there is room.
    pub(in crate::data) fn encode_in(
        self: &Arc<Self>,
        log: &dyn Columns,
        gaps: bool,
        room: &Room,
        context: &JobContext,
    ) -> Result<Dataset> {
        let (missing, all) = (self.missing_columns(log), self.source_columns().len());
        if !gaps || missing.len() == all {
            self.require_columns(log)?;
        }
        let notes: Vec<String> = missing
            .iter()
            .map(|name| format!("the log has no '{name}': it counts as missing in every row"))
            .collect();
        let outcome = Outcome::read(log)?;
        let mut dataset = self.encode_with(log, outcome, None, room, context)?;
        dataset.notes.extend(notes);
        Ok(dataset)
    }

    pub(in crate::data) fn encode_with(
        self: &Arc<Self>,
        log: &dyn Columns,
        outcome: Option<Outcome>,
        parts: Option<Parts>,
        room: &Room,
        context: &JobContext,
    ) -> Result<Dataset> {
        context.stage("encoding");
        let times = match &self.keys.time {
            Some(name) if log.has(name) => Some(log.times(name)?),
            _ => None,
        };
        let outcome = outcome.unwrap_or_default();
        let parts =
            parts.unwrap_or_else(|| split::split(&outcome.known_rows(), times.as_deref(), &self.options));
        let categorical = side_by_side(self.categorical.len(), context, |index| {
            self.categorical_column(log, index, times.as_deref(), room)
        })?;
        let stories = self.stories(log, &outcome.label)?;
        let texts = self.read_texts(log, stories.as_ref(), context)?;
        let topics = self.read_topics(log, stories.as_ref(), context)?;
        let numeric = side_by_side(self.numeric.len(), context, |index| {
            let field = &self.numeric[index];
            let name = format!("numeric-{index}");
            let text = self.texts.iter().zip(&texts).find(|(field, _)| field.numbers().contains(&index));
            if let Some((text, Some(read))) = text {
                let scaled = read.numbers(index - text.first).map(|number| field.scale(number));
                return room.collect(&name, scaled);
            }
            let topic = self.topics.iter().zip(&topics).find(|(field, _)| field.numbers().contains(&index));
            if let Some((topic, Some(read))) = topic {
                let scaled = read.numbers(index - topic.first).map(|number| field.scale(number));
                return room.collect(&name, scaled);
            }
            match log.has(&field.name) {
                // Missing is the mean.
                false => room.collect(&name, std::iter::repeat_n(0.0, log.rows())),
                true => room.collect(&name, field.encode(&log.numbers(&field.name)?)),
            }
        })?;
        let mut sequences = Vec::with_capacity(self.sequences.len());
        for (place, field) in self.sequences.iter().enumerate() {
            context.check()?;
            let into = (room, format!("sequence-{place}"));
            let label = &outcome.label;
            let column =
                self.sequence_column(log, field, &categorical, (times.as_deref(), label), (into.0, &into.1))?;
            sequences.push(Arc::new(column));
        }
        let ads = match self.ad_field() {
            Some(field) if log.has(&self.categorical[field].name) => {
                let cells = log.coded(&self.categorical[field].name)?;
                Some(Arc::new(AdCatalogue::collect(self, field, cells, &categorical, &numeric)))
            }
            _ => None,
        };
        let users = match &self.keys.user {
            Some(name) if log.has(name) => log.coded(name)?.codes,
            _ => Array::default(),
        };
        Ok(Dataset {
            encoder: Arc::clone(self),
            rows: log.rows(),
            categorical,
            numeric,
            sequences,
            label: outcome.label,
            conversion: outcome.conversion,
            weight: outcome.weight,
            truth: read_truth(log)?,
            users,
            train: parts.train.into(),
            validation: parts.validation.into(),
            test: parts.test.into(),
            ads,
            notes: outcome.notes,
        })
    }

    fn categorical_column(
        &self,
        log: &dyn Columns,
        index: usize,
        times: Option<&[i64]>,
        room: &Room,
    ) -> Result<Array<u32>> {
        let field = &self.categorical[index];
        let into = format!("categorical-{index}");
        let missing = || room.collect(&into, std::iter::repeat_n(MISSING_ID, log.rows()));
        let part_of_time: fn(i64) -> (String, usize) = match field.name.as_str() {
            TIME_HOUR => |millis| (cells::hour_of(millis).to_string(), cells::hour_of(millis) as usize),
            TIME_WEEKDAY => |millis| {
                let day = cells::weekday_of(millis) as usize;
                (WEEKDAYS[day].to_owned(), day)
            },
            name if !log.has(name) => return missing(),
            name => {
                let Codes { values, codes } = log.coded(name)?;
                return room.collect(&into, field.encode(&values, &codes));
            }
        };
        let Some(times) = times else { return missing() };
        // At most 24 different values: look each up once.
        let mut ids = [None; 24];
        let id = |&millis: &i64| {
            if millis == NO_TIME {
                return MISSING_ID;
            }
            let (value, place) = part_of_time(millis);
            *ids[place].get_or_insert_with(|| field.id_of(&value))
        };
        room.collect(&into, times.iter().map(id))
    }

    fn sequence_column(
        &self,
        log: &dyn Columns,
        field: &SequenceField,
        categorical: &[Array<u32>],
        (times, label): (Option<&[i64]>, &[f32]),
        (room, into): (&Room, &str),
    ) -> Result<SequenceColumn> {
        let needs = match field.from_user_history_of {
            None => vec![field.name.as_str()],
            Some(_) => self.keys.user.iter().chain(&self.keys.time).map(String::as_str).collect(),
        };
        let lists = match field.from_user_history_of {
            None if log.has(&field.name) => log.lists(&field.name)?,
            _ => None,
        };
        if needs.iter().any(|name| !log.has(name)) {
            let offsets = room.collect(&format!("{into}.offsets"), std::iter::repeat_n(0, log.rows() + 1))?;
            return Ok(SequenceColumn { offsets, ids: Array::default() });
        }
        if field.from_user_history_of.is_none() {
            let lists = lists.ok_or_else(|| {
                Failure::new(format!("cannot read the lists of '{}'", field.name), "its cells are no lists")
                    .at(log.path().display())
            })?;
            let ids = self.categorical[field.target].ids_of(&lists.items.values);
            return history::from_lists(&lists, &ids, field.max_len, room, into);
        }
        let users = match &self.keys.user {
            Some(name) => log.coded(name)?,
            None => Codes::default(),
        };
        // Where clicks are not known nobody is known to have clicked: all histories are empty.
        let counts: Vec<bool> = match (field.clicked_only, label.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![false; log.rows()],
            (true, false) => label.iter().map(|label| *label > 0.0).collect(),
        };
        let events = Events {
            users: &users.codes,
            times: times.unwrap_or_default(),
            ids: &categorical[field.target],
            counts: &counts,
        };
        history::from_events(&events, field.max_len, room, into)
    }

    fn require_columns(&self, log: &dyn Columns) -> Result<()> {
        let missing = self.missing_columns(log);
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::new("cannot encode the log", format!("it lacks the columns {}", missing.join(", ")))
            .at(log.path().display())
            .hint(
                "open a log with the columns that the model was trained on; predict and evaluate take it with \
                 --missing-columns",
            ))
    }

    /// Columns that the fields are made from and that a log lacks.
    fn missing_columns(&self, log: &dyn Columns) -> Vec<&str> {
        self.source_columns().into_iter().filter(|name| !log.has(name)).collect()
    }

    /// Columns of the log that the fields are made from.
    pub fn source_columns(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let time = self.keys.time.as_deref();
        for field in &self.categorical {
            match field.name.as_str() {
                TIME_HOUR | TIME_WEEKDAY => names.extend(time),
                name => names.push(name),
            }
        }
        let numbers = self.numeric.iter().enumerate().filter(|(at, _)| self.text_group(*at).is_none());
        names.extend(numbers.map(|(_, field)| field.name.as_str()));
        names.extend(self.texts.iter().map(|field| field.name.as_str()));
        names.extend(self.topics.iter().map(|field| field.name.as_str()));
        for field in &self.sequences {
            if field.from_user_history_of.is_some() {
                names.extend(time);
                names.extend(self.keys.user.as_deref());
            } else {
                names.push(&field.name);
            }
        }
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }
}

fn read_truth(log: &dyn Columns) -> Result<Array<f32>> {
    match log.schema().with_role(Role::Truth) {
        None => Ok(Array::default()),
        Some(column) => {
            let cells = log.numbers(&column.name)?;
            Ok(cells.iter().map(|p| *p as f32).collect())
        }
    }
}
