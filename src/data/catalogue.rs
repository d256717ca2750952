//! Which ads does a log show, and what are their properties? For asking "and with another ad in its place?".

use super::array::Array;
use super::cells::NO_CODE;
use super::columns::Codes;
use super::encode::{Encoder, Side};
use super::sides::Keys;
use std::sync::Arc;

/// All ads of a log with their encoded ad-side fields. Ads are numbered in the order in which they first
/// appear in the log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdCatalogue {
    /// Index in [`Encoder::categorical`] of the ad id itself.
    pub field: usize,
    /// Name of each ad, as in the log.
    pub names: Arc<Vec<String>>,
    /// Ad-side categorical fields, the ad id included: index in [`Encoder::categorical`] and one id per ad.
    pub categorical: Vec<(usize, Vec<u32>)>,
    /// Ad-side numeric fields: index in [`Encoder::numeric`] and one scaled number per ad.
    pub numeric: Vec<(usize, Vec<f32>)>,
    /// Which ad each row showed; `u32::MAX` where the log does not say.
    pub of_row: Array<u32>,
}

impl AdCatalogue {
    /// The number of an ad.
    pub fn position(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|known| known == name).map(|place| place as u32)
    }

    /// Collects the ads of an encoded log. Where rows of one ad differ in an ad-side field, most rows win.
    pub fn collect(
        encoder: &Encoder,
        field: usize,
        ads: Codes,
        categorical: &[Array<u32>],
        numeric: &[Array<f32>],
    ) -> Self {
        let rows: Vec<u32> = (0..ads.codes.len() as u32).collect();
        let keys = Keys::new(&ads.codes, ads.values.len(), &rows);
        let categorical = encoder
            .categorical
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.side == Side::Ad)
            .map(|(index, _)| (index, keys.usual_values(&categorical[index], &rows)))
            .collect();
        let numeric = encoder
            .numeric
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.side == Side::Ad)
            .map(|(index, _)| {
                let bits: Vec<u32> = numeric[index].iter().map(|x| x.to_bits()).collect();
                let usual = keys.usual_values(&bits, &rows);
                (index, usual.into_iter().map(f32::from_bits).collect())
            })
            .collect();
        Self { field, names: ads.values, categorical, numeric, of_row: ads.codes }
    }

    /// The ad of a row, if the log names it.
    pub fn ad_of(&self, row: u32) -> Option<u32> {
        let ad = self.of_row[row as usize];
        (ad != NO_CODE).then_some(ad)
    }
}
