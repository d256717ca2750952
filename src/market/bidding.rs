//! What does the user's model bid on a request from outside? An OpenRTB 2.6 bid request in, a bid response out.
//!
//! `user.id` finds the user's latest row in the log, with its history; a user that the log does not know has none.
//! `user.data[].segment[]` (name, value) sets columns of the model, as the exchange knows them now; fields
//! that are not read are passed over. The model scores every campaign's ads for that user, and each impression
//! gets the best campaign left that reaches its floor. Budgets and pacing are not kept between requests.

use super::bidder::Bidder;
use super::scoring::{self, Inputs};
use super::spec::MarketSpec;
use crate::base::{Failure, Result};
use crate::data::Role;
use crate::data::batch::{MISSING_ID, RARE_ID};
use crate::data::cells::{self, NO_CODE};
use crate::data::encode::Side;
use crate::data::{Batch, Dataset, Encoder};
use crate::metrics::Estimate;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Answers bid requests.
pub struct RequestBidder {
    inputs: Inputs,
    bidders: Vec<Bidder>,
    ads: Vec<String>,
    /// Place of each ad in the data set's catalogue.
    columns: Vec<u32>,
    /// Latest row of each user.
    users: HashMap<String, u32>,
    /// What a caller should know, in words.
    pub notes: Vec<String>,
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct BidAnswer {
    /// The bid response; `None`: no bid (HTTP 204).
    pub response: Option<Value>,
    /// Milliseconds that the exchange waits, its network included.
    pub tmax_ms: f64,
}

/// What an exchange waits when it does not say.
const DEFAULT_TMAX_MS: f64 = 100.0;
const MICROS: f64 = 1e6;

impl RequestBidder {
    /// The campaigns of a spec, with the model and the log that they bid by.
    ///
    /// # Errors
    /// A spec that does not fit the log or the model.
    pub fn new(spec: &MarketSpec, inputs: Inputs) -> Result<Self> {
        spec.validate()?;
        let (mut campaigns, mut notes) = scoring::campaigns_of(spec, &inputs)?;
        campaigns.retain(|campaign| campaign.drawn.is_none());
        let known = campaigns.len();
        campaigns.retain(|campaign| campaign.targeting.is_empty());
        if campaigns.len() < known {
            let out = known - campaigns.len();
            notes.push(format!(
                "{out} campaigns with targeting do not bid: a request does not say who is in it"
            ));
        }
        let ads = scoring::ads_of(&campaigns);
        let columns = scoring::catalogue_columns(&inputs.dataset, &ads)?;
        let place = |ad: &String| ads.iter().position(|known| known == ad).map(|place| place as u32);
        let bidders =
            campaigns.iter().map(|c| Bidder::new(c, c.ads.iter().filter_map(place).collect())).collect();
        let users = latest_rows(&inputs)?;
        Ok(Self { inputs, bidders, ads, columns, users, notes })
    }

    /// Ads that are scored for each request.
    pub fn ads(&self) -> usize {
        self.ads.len()
    }

    /// Bids on one request.
    ///
    /// # Errors
    /// What is no bid request: no `id`, no `imp`, a floor that is no amount, a `tmax` that is no time. Or a model
    /// that cannot score.
    pub fn answer(&self, request: &Value) -> Result<BidAnswer> {
        let id = text(request, "id")?;
        let imps = impressions(request)?;
        let tmax_ms = amount(request, "tmax", DEFAULT_TMAX_MS)?;
        let batch = self.batch(&self.inputs.dataset, request);
        let scored = self.inputs.model.scored_batch(&batch)?;
        let conversions = match &self.inputs.conversions {
            Some(model) => model.conversions(&self.batch(&model.dataset, request))?,
            None => Vec::new(),
        };
        let mut offers: Vec<(usize, u32, f32, f64)> = self
            .bidders
            .iter()
            .enumerate()
            .map(|(index, bidder)| {
                let (ad, p_click) = bidder.strongest_ad(&scored.p, &conversions);
                let p_convert = bidder.p_convert(&conversions, ad);
                (index, ad, p_click, bidder.ecpm_micros(p_click, p_convert) / MICROS)
            })
            .collect();
        offers.sort_by(|a, b| b.3.total_cmp(&a.3));
        let mut offers = offers.into_iter();
        let mut seats = Vec::new();
        for (imp, floor) in &imps {
            // Offers fall: who does not reach this floor may still reach a lower one below.
            let rest = offers.as_slice();
            let Some(&(index, ad, p_click, price)) =
                rest.first().filter(|offer| offer.3 >= *floor && offer.3 > 0.0)
            else {
                continue;
            };
            offers.next();
            let mut seat = self.seat(&id, imp, index, (ad, p_click), price);
            // What the members of an ensemble say, each on its own.
            if let Some(Estimate { low, high, .. }) = scored.interval(ad as usize) {
                seat["bid"][0]["ext"]["adloupe"]["pctr_interval"] = json!([low, high]);
            }
            seats.push(seat);
        }
        let response =
            (!seats.is_empty()).then(|| json!({"id": id, "bidid": format!("{id}-1"), "seatbid": seats}));
        Ok(BidAnswer { response, tmax_ms })
    }

    fn seat(&self, id: &str, imp: &str, index: usize, (ad, p_click): (u32, f32), price: f64) -> Value {
        let campaign = &self.bidders[index].name;
        let ad = self.ads.get(ad as usize).map_or("", String::as_str);
        json!({"seat": campaign, "bid": [{
            "id": format!("{id}-{imp}-{index}"),
            "impid": imp,
            "price": price,
            "adid": ad,
            "crid": ad,
            "cid": campaign,
            "ext": {"adloupe": {"pctr": p_click}},
        }]})
    }

    /// One example an ad: the user, with what the request says of the moment.
    fn batch(&self, dataset: &Dataset, request: &Value) -> Batch {
        let user = request.pointer("/user/id").and_then(Value::as_str);
        let known = user.and_then(|user| self.users.get(user)).copied();
        let rows = vec![known.unwrap_or(0); self.columns.len()];
        let mut batch = dataset.batch_with_ads(&rows, &self.columns);
        let encoder = &dataset.encoder;
        if known.is_none() {
            forget_user(encoder, &mut batch);
        }
        let segments = request.pointer("/user/data").and_then(Value::as_array).into_iter().flatten();
        let segments = segments.filter_map(|data| data.get("segment")?.as_array()).flatten();
        for segment in segments {
            let word = |key| segment.get(key).and_then(Value::as_str);
            let (Some(name), Some(value)) = (word("name"), word("value")) else { continue };
            if let Some(place) =
                encoder.position(name).filter(|place| encoder.categorical[*place].side != Side::Ad)
            {
                let id = encoder.categorical[place].id_of(value);
                batch.categorical[place].fill(id);
            }
        }
        batch
    }
}

/// Leaves nothing of the row that stood in for a user whom the log does not know.
fn forget_user(encoder: &Encoder, batch: &mut Batch) {
    let user = encoder.user_field();
    for (place, field) in encoder.categorical.iter().enumerate().filter(|(_, f)| f.side != Side::Ad) {
        let id = if user == Some(place) || field.side == Side::User { RARE_ID } else { MISSING_ID };
        batch.categorical[place].fill(id);
    }
    for (place, numbers) in batch.numeric.iter_mut().enumerate() {
        if encoder.numeric[place].side != Side::Ad {
            numbers.fill(0.0);
        }
    }
    for sequence in &mut batch.sequences {
        sequence.ids.fill(MISSING_ID);
        sequence.lengths.fill(0);
    }
}

/// The last row of each user, rows of a log being in order of time or of the file.
fn latest_rows(inputs: &Inputs) -> Result<HashMap<String, u32>> {
    let Some(column) = inputs.log.schema.with_role(Role::User) else { return Ok(HashMap::new()) };
    let cells = cells::coded(&inputs.log, &column.name)?;
    let mut latest = HashMap::with_capacity(cells.values.len());
    for (row, code) in (0u32..).zip(&cells.codes) {
        if *code != NO_CODE {
            latest.insert(cells.values[*code as usize].clone(), row);
        }
    }
    Ok(latest)
}

fn refuse(place: &str, why: &str) -> Failure {
    Failure::new("cannot bid on the request", why.to_owned()).at(place.to_owned())
}

fn text(value: &Value, key: &str) -> Result<String> {
    let found = value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.map(str::to_owned).ok_or_else(|| refuse(key, "it needs a text here"))
}

fn amount(value: &Value, key: &str, default: f64) -> Result<f64> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(given) => given
            .as_f64()
            .filter(|amount| *amount >= 0.0)
            .ok_or_else(|| refuse(key, "it needs a number of 0 or more")),
    }
}

/// `(id, floor as CPM in currency units)` of each impression.
fn impressions(request: &Value) -> Result<Vec<(String, f64)>> {
    let imps = request.get("imp").and_then(Value::as_array).filter(|imps| !imps.is_empty());
    let imps = imps.ok_or_else(|| refuse("imp", "it needs a list of at least one impression"))?;
    imps.iter().map(|imp| Ok((text(imp, "id")?, amount(imp, "bidfloor", 0.0)?))).collect()
}
