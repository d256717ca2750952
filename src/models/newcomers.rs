//! Which row does a user or an ad have that no training row had? The mean of the learnt rows of those who share its
//! attributes.
//!
//! Without it all of them share the row of rare values. Those who share all attributes come first; where fewer than
//! [`LEAST`] of the learnt ones do, the attribute with the most values is given up, then the next, until the mean of all
//! is left. Means are worked out of the rows whenever a network gets them: no file holds them.

use super::Network;
use crate::base::Result;
use crate::data::Batch;
use crate::data::batch::RARE_ID;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;

/// A mean of fewer rows than this says more of each than of what they share.
pub const LEAST: usize = 3;

/// Those who were learnt, with what they share with those who were not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Newcomers {
    /// One for each field of ids: users, ads.
    pub fields: Vec<LearntIds>,
}

/// The ids of a field that training rows had, and their attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LearntIds {
    /// The field's place among the categorical fields.
    pub place: usize,
    /// Places of the attributes, in the order in which they are given up.
    pub attributes: Vec<usize>,
    /// The ids.
    pub ids: Vec<u32>,
    /// For each id those of its attributes, one after another.
    pub of_ids: Vec<u32>,
}

/// Ids that share attributes.
#[derive(Debug, Clone, Default)]
pub struct Alike {
    attributes: Vec<usize>,
    /// By how many attributes are given up: the group of the others' ids.
    levels: Vec<HashMap<Vec<u32>, usize>>,
    /// The ids of each group.
    pub members: Vec<Vec<u32>>,
}

/// A field whose new ids are read as rows of a network.
#[derive(Debug)]
pub(super) struct Welcomed {
    place: usize,
    alike: Alike,
    /// What stands for the first group in place of an id.
    first: u32,
}

impl LearntIds {
    /// The groups of `least` ids and more.
    pub fn alike(&self, least: usize) -> Alike {
        let count = self.attributes.len();
        let mut alike = Alike { attributes: self.attributes.clone(), ..Alike::default() };
        for given_up in 0..=count {
            let mut groups: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
            for (at, id) in self.ids.iter().enumerate() {
                let key = self.of_ids[at * count + given_up..(at + 1) * count].to_vec();
                groups.entry(key).or_default().push(*id);
            }
            let mut large: Vec<_> = groups.into_iter().filter(|(_, ids)| ids.len() >= least).collect();
            large.sort_unstable();
            let mut level = HashMap::new();
            for (key, ids) in large {
                level.insert(key, alike.members.len());
                alike.members.push(ids);
            }
            alike.levels.push(level);
        }
        alike
    }
}

impl Alike {
    /// How many attributes are given up for a row of a batch, and the group that is left; `None` where too few were
    /// learnt at all.
    pub fn of(&self, categorical: &[Vec<u32>], row: usize) -> Option<(usize, usize)> {
        let own: Vec<u32> = self.attributes.iter().map(|place| categorical[*place][row]).collect();
        let found = |(given_up, level): (usize, &HashMap<_, _>)| {
            level.get(&own[given_up..]).map(|group| (given_up, *group))
        };
        self.levels.iter().enumerate().find_map(found)
    }

    /// Attributes that are looked at.
    pub fn attributes(&self) -> &[usize] {
        &self.attributes
    }
}

impl Network {
    /// Has new ids read as the mean of those who are alike, from the rows as they are now.
    ///
    /// # Errors
    /// A kind whose rows are counted or solved for, or there is no room for the means.
    pub fn welcome(&mut self, newcomers: &Newcomers) -> Result<()> {
        self.check_attackable("cannot give new users and ads rows")?;
        let alike: Vec<Alike> = newcomers.fields.iter().map(|field| field.alike(LEAST)).collect();
        let places = newcomers.fields.iter().zip(&alike);
        let places: Vec<usize> =
            places.flat_map(|(field, alike)| vec![field.place; alike.members.len()]).collect();
        for table in &mut self.tables {
            table.derive(places.clone())?;
            let groups = places.iter().zip(alike.iter().flat_map(|alike| &alike.members));
            for (row, (place, ids)) in (table.rows() as u32..).zip(groups) {
                let mut mean = vec![0.0_f64; table.width];
                for id in ids {
                    let of_id = table.row(table.start(*place) + id);
                    mean.iter_mut().zip(of_id).for_each(|(sum, number)| *sum += f64::from(*number));
                }
                let to = table.row_mut(row).iter_mut();
                to.zip(&mean).for_each(|(to, sum)| *to = (sum / ids.len() as f64) as f32);
            }
        }
        // All tables that no count fills hold the fields in one order, so one number stands for a group in all of them.
        let Some(table) = self.tables.first() else { return Ok(()) };
        let mut row = table.rows() as u32;
        self.newcomers = Vec::with_capacity(alike.len());
        for (field, alike) in newcomers.fields.iter().zip(alike) {
            let first = row - table.start(field.place);
            row += alike.members.len() as u32;
            self.newcomers.push(Welcomed { place: field.place, alike, first });
        }
        Ok(())
    }

    /// A batch as the tables are read: new ids by what stands for their group.
    pub(super) fn as_read<'a>(&self, batch: &'a Batch) -> Cow<'a, Batch> {
        let mut read = Cow::Borrowed(batch);
        for Welcomed { place, alike, first } in &self.newcomers {
            for row in 0..batch.rows {
                if batch.categorical[*place][row] != RARE_ID {
                    continue;
                }
                if let Some((_, group)) = alike.of(&batch.categorical, row) {
                    read.to_mut().categorical[*place][row] = first + group as u32;
                }
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::params::Params;
    use crate::base::rng::Rng;
    use crate::models::check::tiny;
    use crate::models::{MODELS, kind};
    use crate::nn::Pass;
    use candle_core::Device;

    /// Five ads with a category and a campaign.
    fn learnt() -> LearntIds {
        LearntIds {
            place: 0,
            attributes: vec![2, 1],
            ids: vec![2, 3, 4, 5, 6],
            of_ids: vec![7, 2, 7, 2, 7, 2, 8, 2, 8, 3],
        }
    }

    #[test]
    fn what_has_most_values_is_given_up_first() {
        let alike = learnt().alike(LEAST);
        let rows = vec![vec![RARE_ID; 4], vec![2, 2, 3, 9], vec![7, 8, 8, 9]];
        let of = |row| alike.of(&rows, row).map(|(level, group)| (level, alike.members[group].clone()));
        assert_eq!(of(0), Some((0, vec![2, 3, 4])), "campaign 7 of category 2");
        assert_eq!(of(1), Some((1, vec![2, 3, 4, 5])), "category 2: of campaign 8 there is one");
        assert_eq!(of(2), Some((2, vec![2, 3, 4, 5, 6])), "two of campaign 8, one of category 3: all");
        assert_eq!(of(3), of(2));
        let few = LearntIds { ids: vec![2, 3], of_ids: vec![7, 2, 7, 2], ..learnt() };
        assert_eq!(few.alike(LEAST).of(&rows, 0), None);
    }

    #[test]
    fn a_new_id_scores_as_one_whose_row_is_the_mean() {
        // Users 2, 3 and 4 all met: the mean of all three is written over the row of user 2, and asked for both ways.
        let (encoder, mut batch) = tiny();
        let newcomers = Newcomers {
            fields: vec![LearntIds { place: 0, attributes: vec![], ids: vec![2, 3, 4], of_ids: vec![] }],
        };
        let mut tried = 0;
        for kind_of in MODELS {
            let params = Params::defaults(kind_of.params());
            let kind = kind(kind_of.id()).unwrap();
            let Ok(mut network) = Network::new(kind, &encoder, &params, 3, Device::Cpu) else { continue };
            let mut rng = Rng::named(4, "lively");
            for table in &mut network.tables {
                for row in 0..table.rows() as u32 {
                    table.row_mut(row).iter_mut().for_each(|value| *value += rng.normal() as f32);
                }
            }
            if let Err(failure) = network.welcome(&newcomers) {
                assert!(failure.why.contains("counted or solved"), "{}: {failure}", kind.id());
                continue;
            }
            tried += 1;
            let before = network.copied().unwrap();
            batch.categorical[0] = vec![RARE_ID, 3, RARE_ID];
            let direct = network.logits(&batch).unwrap();
            let graph = network.forward(&batch, &mut Pass::Predict).unwrap().logits;
            for table in &mut network.tables {
                let rows: Vec<Vec<f32>> = (2..5).map(|id| table.row(table.start(0) + id).to_vec()).collect();
                let row = table.start(0) + 2;
                for (at, number) in table.row_mut(row).iter_mut().enumerate() {
                    *number = (0..3).map(|id| f64::from(rows[id][at])).sum::<f64>() as f32 / 3.0;
                }
            }
            batch.categorical[0] = vec![2, 3, 2];
            let wanted = network.logits(&batch).unwrap();
            for ((direct, graph), wanted) in direct.iter().zip(&graph).zip(&wanted) {
                assert!((direct - wanted).abs() < 1e-4, "{}: {direct} is not {wanted}", kind.id());
                assert!((graph - wanted).abs() < 1e-4, "{}: {graph} is not {wanted}", kind.id());
            }
            // The means follow the rows that a file brings, and stand in none.
            network.set_bytes(&before).unwrap();
            network.welcome(&newcomers).unwrap();
            batch.categorical[0] = vec![RARE_ID, 3, RARE_ID];
            assert_eq!(network.logits(&batch).unwrap(), direct, "{}", kind.id());
        }
        assert!(tried > 12, "{tried} kinds have rows that are learnt");
    }
}
