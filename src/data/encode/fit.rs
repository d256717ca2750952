//! How is an encoder fitted? From the roles of the columns and the training rows.

use super::interests::Stories;
use super::{
    CategoricalField, Encoder, KeyColumns, NumericField, SequenceField, Side, TIME_HOUR, TIME_WEEKDAY,
    WEEKDAYS, texts, topics,
};
use crate::base::{Failure, Result};
use crate::data::cells;
use crate::data::columns::{Codes, Columns, NO_TIME, side_by_side};
use crate::data::options::EncodeOptions;
use crate::data::outcome::Outcome;
use crate::data::schema::{Column, Role};
use crate::data::sides::{Keys, side_of};
use crate::data::{history, scale, vocab};
use crate::jobs::JobContext;
use std::sync::Arc;

/// A list column attends to a field that knows at least this share of its items.
const MIN_SHARED_ITEMS: f64 = 0.5;
/// A history is worth having when at least this share of the training rows follows an earlier row of its user.
const MIN_RETURNING: f64 = 0.2;
/// The ad id makes a history when at least this share of the training rows shows an ad that is known by name.
const MIN_KNOWN_ADS: f64 = 0.5;

impl Encoder {
    /// Fits vocabularies, scales and sequences on the rows `train` of a log. Also returns what was left out
    /// and why, in words.
    ///
    /// # Errors
    /// No column is left that a model may read; a column whose cells don't fit its role; a cancel.
    pub fn fit(
        log: &dyn Columns,
        train: &[u32],
        options: &EncodeOptions,
        context: &JobContext,
    ) -> Result<(Self, Vec<String>)> {
        options.check()?;
        context.stage("fitting vocabularies");
        let keys = KeyColumns::of(log.schema());
        let code = |name: &Option<String>| match name {
            Some(name) => log.coded(name).map(Some),
            None => Ok(None),
        };
        let (users, ads) = (code(&keys.user)?, code(&keys.ad)?);
        let repeated = |coded: &'_ Option<Codes>| coded.as_ref().map(|c| c.values.len());
        let (user_count, ad_count) = (repeated(&users), repeated(&ads));
        let mut fitting = Fitting {
            log,
            train,
            options,
            users: users.as_ref().zip(user_count).map(|(c, n)| Keys::new(&c.codes, n, train)),
            ads: ads.as_ref().zip(ad_count).map(|(c, n)| Keys::new(&c.codes, n, train)),
            encoder: Self { keys, options: options.clone(), ..Self::default() },
            notes: Vec::new(),
        };
        fitting.columns(context)?;
        fitting.calendar()?;
        fitting.sequences(context)?;
        let (encoder, notes) = (fitting.encoder, fitting.notes);
        if encoder.categorical.is_empty() && encoder.numeric.is_empty() {
            return Err(Failure::new("cannot train on this log", "no column is left that a model may read")
                .at(log.path().display())
                .hint("give some columns the role categorical or numeric"));
        }
        Ok((encoder, notes))
    }
}

struct Fitting<'a> {
    log: &'a dyn Columns,
    train: &'a [u32],
    options: &'a EncodeOptions,
    users: Option<Keys<'a>>,
    ads: Option<Keys<'a>>,
    encoder: Encoder,
    notes: Vec<String>,
}

/// What became of a column.
enum Found {
    /// It has no part in encoding, or its own step.
    Nothing,
    /// A field, and what a person should know of it.
    Categorical(CategoricalField, Option<String>),
    Numeric(NumericField),
    /// A text column, to become vectors.
    Text(Codes, Side),
    /// Nothing, and why.
    LeftOut(String),
}

impl Fitting<'_> {
    fn columns(&mut self, context: &JobContext) -> Result<()> {
        let log = self.log;
        self.encoder.label = [Role::Label, Role::Clicks]
            .into_iter()
            .find_map(|role| log.schema().with_role(role))
            .map(|column| column.name.clone())
            .unwrap_or_default();
        let columns = &log.schema().columns;
        let mut texts = Vec::new();
        let found = side_by_side(columns.len(), context, |index| self.column(&columns[index]))?;
        for (found, column) in found.into_iter().zip(columns) {
            match found {
                Found::Nothing => {}
                Found::Categorical(field, note) => {
                    self.encoder.categorical.push(field);
                    self.notes.extend(note);
                }
                Found::Numeric(field) => self.encoder.numeric.push(field),
                Found::Text(cells, side) => texts.push((column.name.as_str(), side, cells)),
                Found::LeftOut(note) => self.notes.push(note),
            }
        }
        texts.into_iter().try_for_each(|(name, side, cells)| self.text(name, side, &cells, context))?;
        self.interests(context)
    }

    fn text(&mut self, name: &str, side: Side, cells: &Codes, context: &JobContext) -> Result<()> {
        let place = (self.encoder.numeric.len(), self.options.text_vectors);
        match texts::fit((name, side), cells, self.train, place, context)? {
            Some((field, numbers)) => {
                let texts = field.encoder.texts();
                self.notes.push(format!("'{name}' is read as {} numbers, fitted on {texts} texts", place.1));
                self.encoder.texts.push(field);
                self.encoder.numeric.extend(numbers);
            }
            None => self
                .notes
                .push(format!("'{name}' is left out: it holds fewer than two different texts in training")),
        }
        self.topics(name, side, cells, context)
    }

    /// What the texts are about.
    fn topics(&mut self, name: &str, side: Side, cells: &Codes, context: &JobContext) -> Result<()> {
        let Some(reader) = &self.options.topics else { return Ok(()) };
        let place = (self.encoder.numeric.len(), reader);
        match topics::fit((name, side), cells, self.train, place, context)? {
            Ok((field, numbers)) => {
                self.notes.push(format!("'{name}' is read as {} topics", numbers.len()));
                self.encoder.topics.push(field);
                self.encoder.numeric.extend(numbers);
            }
            Err(why) => self.notes.push(why),
        }
        Ok(())
    }

    /// What users searched, read and clicked before, by the encoders of the text columns.
    fn interests(&mut self, context: &JobContext) -> Result<()> {
        let days = self.options.interest_days;
        if days == 0 || self.encoder.texts.is_empty() {
            return Ok(());
        }
        let outcome = Outcome::read(self.log)?;
        let label = outcome.map(|outcome| outcome.label).unwrap_or_default();
        let Some(stories) = Stories::of(self.log, &self.encoder.keys, &label)?.map(Arc::new) else {
            self.notes
                .push("interests are left out: the log does not say who saw each row and when".to_owned());
            return Ok(());
        };
        for field in self.encoder.texts.clone() {
            context.check()?;
            let cells = self.log.coded(&field.name)?;
            let first = self.encoder.numeric.len();
            let (field, numbers) = texts::fit_interest(&field, (cells, &stories), self.train, (first, days));
            let what =
                if field.interest.is_some_and(|interest| interest.clicked_only) { "clicked" } else { "met" };
            self.notes.push(format!(
                "what a user {what} before in '{}' is read as {} numbers, half as much after {days} days",
                field.name,
                numbers.len()
            ));
            self.encoder.texts.push(field);
            self.encoder.numeric.extend(numbers);
        }
        for field in self.encoder.topics.clone() {
            context.check()?;
            let cells = self.log.coded(&field.name)?;
            let first = self.encoder.numeric.len();
            let scales = self.encoder.numeric[field.numbers()].to_vec();
            let (field, numbers) = topics::fit_interest(
                (&field, &scales),
                (cells, &stories),
                self.train,
                (first, days),
                context,
            )?;
            self.encoder.topics.push(field);
            self.encoder.numeric.extend(numbers);
        }
        Ok(())
    }

    fn column(&self, column: &Column) -> Result<Found> {
        if self.options.leave_out.contains(&column.name) {
            return Ok(Found::LeftOut(format!("'{}' is left out as you chose", column.name)));
        }
        match column.role {
            Role::User | Role::Ad | Role::Campaign | Role::Slot | Role::Categorical => {
                self.categorical(column)
            }
            Role::Numeric => self.numeric(column),
            Role::Text if self.options.text_vectors > 0 => {
                let cells = self.log.coded(&column.name)?;
                let side = self.side(&cells.codes, true);
                Ok(Found::Text(cells, side))
            }
            // Outcomes and money are measured, never read; sequences and time have their own steps.
            Role::Label
            | Role::Clicks
            | Role::Weight
            | Role::Conversion
            | Role::Price
            | Role::Truth
            | Role::Text
            | Role::Ignored
            | Role::Time
            | Role::Sequence => Ok(Found::Nothing),
        }
    }

    fn categorical(&self, column: &Column) -> Result<Found> {
        let cells = self.log.coded(&column.name)?;
        let counts = cells.counts(self.train);
        let min_count = self.options.min_count_for(self.train.len());
        let (values, hash_buckets) =
            vocab::fit_values(&cells.values, &counts, min_count, self.options.max_values);
        let distinct = counts.iter().filter(|&&count| count > 0).count();
        let filled: u32 = counts.iter().sum();
        let constant = distinct <= 1 && filled as usize == self.train.len();
        if (values.is_empty() && hash_buckets == 0) || constant || distinct == 0 {
            return Ok(Found::LeftOut(match distinct {
                0 => format!("'{}' is left out: it is empty in training", column.name),
                1 => format!("'{}' is left out: it is constant in training", column.name),
                _ => format!(
                    "'{}' is left out: none of its {distinct} values occurs {min_count} times in training",
                    column.name
                ),
            }));
        }
        let note = (hash_buckets > 0).then(|| {
            format!("'{}' has {distinct} values and is hashed into {hash_buckets} buckets", column.name)
        });
        let side = match column.role {
            Role::User => Side::User,
            Role::Ad => Side::Ad,
            Role::Campaign if self.ads.is_none() => Side::Ad,
            role => self.side(&cells.codes, role == Role::Campaign),
        };
        let name = column.name.clone();
        Ok(Found::Categorical(CategoricalField { name, side, values, hash_buckets }, note))
    }

    fn numeric(&self, column: &Column) -> Result<Found> {
        let numbers = self.log.numbers(&column.name)?;
        // The dependence test wants equality only: equal numbers have equal bits, and a clash of two
        // different ones in 32 bits is too rare to matter at its tolerance.
        let bits: Vec<u32> = numbers
            .iter()
            .map(|x| {
                let bits = (x + 0.0).to_bits();
                (bits ^ (bits >> 32)) as u32
            })
            .collect();
        let side = self.side(&bits, false);
        Ok(match scale::fit_scale(&column.name, side, &numbers, self.train) {
            Some(field) => Found::Numeric(field),
            None => Found::LeftOut(format!(
                "'{}' is left out: it holds fewer than two different numbers in training",
                column.name
            )),
        })
    }

    fn side(&self, values: &[u32], prefer_ad: bool) -> Side {
        side_of(values, self.train, self.users.as_ref(), self.ads.as_ref(), prefer_ad)
    }

    /// Hour and weekday of a calendar time, where training saw all that later rows can hold.
    fn calendar(&mut self) -> Result<()> {
        let Some(time) = self.encoder.keys.time.clone() else {
            return Ok(());
        };
        if self.options.leave_out.contains(&time) || !self.log.is_calendar_time(&time)? {
            return Ok(());
        }
        let times = self.log.times(&time)?;
        let mut hours = [false; 24];
        let mut days = [false; 7];
        for &row in self.train {
            let millis = times[row as usize];
            if millis != NO_TIME {
                hours[cells::hour_of(millis) as usize] = true;
                days[cells::weekday_of(millis) as usize] = true;
            }
        }
        if hours.iter().filter(|seen| **seen).count() >= 2 {
            let seen = (0..24).filter(|&hour| hours[hour]);
            self.derived(TIME_HOUR, seen.map(|hour| hour.to_string()).collect());
        }
        if days.iter().all(|seen| *seen) {
            self.derived(TIME_WEEKDAY, WEEKDAYS.map(str::to_owned).to_vec());
        }
        Ok(())
    }

    fn derived(&mut self, name: &str, values: Vec<String>) {
        self.encoder.categorical.push(CategoricalField {
            name: name.to_owned(),
            side: Side::Context,
            values,
            hash_buckets: 0,
        });
    }

    fn sequences(&mut self, context: &JobContext) -> Result<()> {
        let log = self.log;
        for column in &log.schema().columns {
            context.check()?;
            if column.role == Role::Sequence && !self.options.leave_out.contains(&column.name) {
                self.list_sequence(&column.name)?;
            }
        }
        if self.encoder.sequences.is_empty() {
            self.history_sequence()?;
        }
        Ok(())
    }

    /// A list column attends to the field that knows most of its items; the ad's own fields go first.
    fn list_sequence(&mut self, name: &str) -> Result<()> {
        let Some(lists) = self.log.lists(name)? else {
            self.notes.push(format!("'{name}' is left out: its cells are no lists"));
            return Ok(());
        };
        let best = self
            .encoder
            .categorical
            .iter()
            .enumerate()
            .filter(|(_, field)| field.hash_buckets == 0)
            .map(|(index, field)| {
                let share = history::known_share(&lists, &field.ids_of(&lists.items.values));
                (field.side == Side::Ad, share, index)
            })
            .filter(|(_, share, _)| *share >= MIN_SHARED_ITEMS)
            .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        match best {
            Some((_, _, target)) => self.encoder.sequences.push(SequenceField {
                name: name.to_owned(),
                target,
                max_len: self.options.max_sequence_len,
                from_user_history_of: None,
                clicked_only: false,
            }),
            None => self.notes.push(format!(
                "'{name}' is left out: no field shares its values, so nothing can attend to it"
            )),
        }
        Ok(())
    }

    /// Without a list column, the ads that the user met earlier make the sequence.
    fn history_sequence(&mut self) -> Result<()> {
        let keys = &self.encoder.keys;
        let (Some(users), Some(_), Some(ad)) = (&self.users, &keys.time, &keys.ad) else {
            return Ok(());
        };
        if users.returning_share(self.train) < MIN_RETURNING {
            self.notes.push(
                "no behaviour sequence: too few rows follow an earlier one of the same user".to_owned(),
            );
            return Ok(());
        }
        let Some(target) = self.history_target(ad)? else {
            return Ok(());
        };
        let of = self.encoder.categorical[target].name.clone();
        self.encoder.sequences.push(SequenceField {
            name: format!("history:{of}"),
            target,
            max_len: self.options.max_sequence_len,
            from_user_history_of: Some(of),
            clicked_only: !self.encoder.label.is_empty(),
        });
        Ok(())
    }

    /// The ad id where ads repeat enough to be known, else the finest property of ads.
    fn history_target(&self, ad: &str) -> Result<Option<usize>> {
        if let Some(field) = self.encoder.position(ad) {
            let cells = self.log.coded(ad)?;
            let ids = self.encoder.categorical[field].ids_of(&cells.values);
            let is_known = |row: &&u32| {
                let code = cells.codes[**row as usize] as usize;
                ids.get(code).is_some_and(|id| *id >= crate::data::batch::FIRST_VALUE_ID)
            };
            let known = self.train.iter().filter(is_known).count();
            if known as f64 >= MIN_KNOWN_ADS * self.train.len() as f64 {
                return Ok(Some(field));
            }
        }
        let properties = self.encoder.categorical.iter().enumerate();
        Ok(properties
            .filter(|(_, field)| field.side == Side::Ad && field.name != ad)
            .max_by_key(|(_, field)| field.cardinality())
            .map(|(index, _)| index))
    }
}
