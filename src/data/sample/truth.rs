//! How likely is a click in the sample world? The documented function behind the column `true_ctr`.
//!
//! With `u` the user, `a` the ad, `c` its category and `t` the day:
//! ```text
//! logit p = INTERCEPT
//!         + age + gender + city + device + hour + weekday + page + position + quality(a) + category(c)
//!         + age x c + gender x c + device x part of the day + city x advertiser + language match
//!         + TASTE * z(u) . v(a) / sqrt(TASTE_WIDTH)
//!         + ramp(t) * drift(c)          ramp grows from 0 to 1 during week four
//! ```
//! `z` is the user's latent taste, `v(a)` the ad's place in the same space, mostly that of its category. No
//! column shows `z`, but the user's history of categories was drawn by it.

use super::inventory::{self, ADS, ADVERTISERS, CATEGORIES};
use crate::base::rng::Rng;

/// Age bands, youngest first.
pub const AGE_BANDS: [&str; 5] = ["18-24", "25-34", "35-44", "45-54", "55+"];
/// Genders as the log writes them.
pub const GENDERS: [&str; 3] = ["female", "male", "unknown"];
/// Home cities.
pub const CITIES: [&str; 12] = [
    "上海",
    "北京",
    "广州",
    "深圳",
    "成都",
    "杭州",
    "武汉",
    "西安",
    "Singapore",
    "London",
    "New York",
    "Berlin",
];
/// How many of [`CITIES`] are Chinese; they stand first.
pub const CHINESE_CITIES: usize = 8;
/// Languages of users and of ads.
pub const LANGUAGES: [&str; 2] = ["zh", "en"];
/// What the ad was shown on.
pub const DEVICES: [&str; 4] = ["android", "ios", "desktop", "tablet"];
/// Where the slot was.
pub const PAGES: [&str; 5] = ["home", "news", "video", "search", "forum"];
/// Slots on a page, best first; the log counts from 1.
pub const POSITIONS: usize = 4;
/// Length of taste vectors.
pub const TASTE_WIDTH: usize = 6;

const INTERCEPT: f64 = -3.70;
/// Deviation of the latent part of the logit.
const TASTE: f64 = 0.80;
/// How far an ad lies from its category in the space of tastes.
const AD_SPREAD: f64 = 0.45;

const AGE_EFFECT: [f64; 5] = [0.15, 0.10, 0.0, -0.05, -0.15];
const GENDER_EFFECT: [f64; 3] = [0.05, 0.0, -0.10];
const DEVICE_EFFECT: [f64; 4] = [0.10, 0.15, -0.25, 0.0];
const PAGE_EFFECT: [f64; 5] = [0.0, -0.15, 0.10, 0.35, -0.20];
const POSITION_EFFECT: [f64; POSITIONS] = [0.0, -0.35, -0.70, -1.05];
const CATEGORY_EFFECT: [f64; 8] = [0.10, 0.0, 0.05, -0.10, 0.25, -0.35, 0.10, -0.15];
const WEEKEND_EFFECT: f64 = 0.08;
const LANGUAGE_MATCH: f64 = 0.30;

/// `[age band][category]`.
const AGE_BY_CATEGORY: [[f64; 8]; 5] = [
    [0.5, 0.3, 0.5, -0.5, 0.1, -1.2, 1.1, 0.5],
    [0.5, 0.4, 0.3, 0.2, 0.2, -0.2, 0.4, 0.3],
    [0.0, 0.1, 0.0, 0.4, 0.0, 0.5, -0.4, 0.1],
    [-0.4, -0.2, -0.3, 0.4, -0.1, 0.8, -0.9, -0.3],
    [-0.7, -0.6, -0.6, 0.3, 0.2, 0.7, -1.3, -0.8],
];
/// `[gender][category]`.
const GENDER_BY_CATEGORY: [[f64; 8]; 3] = [
    [0.7, -0.3, -0.4, 0.2, 0.1, 0.0, -0.5, 0.1],
    [-0.9, 0.3, 0.4, -0.1, 0.0, 0.1, 0.4, -0.1],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
];
/// `[device][night, morning, afternoon, evening]`.
const DEVICE_BY_DAYPART: [[f64; 4]; 4] =
    [[0.2, 0.1, -0.1, 0.2], [0.1, 0.2, -0.1, 0.1], [-0.7, 0.1, 0.5, -0.5], [0.2, -0.4, -0.2, 0.6]];
const CITY_SPREAD: f64 = 0.15;
const CITY_BY_ADVERTISER_SPREAD: f64 = 0.40;
const QUALITY_SPREAD: f64 = 0.25;
const DRIFT_SPREAD: f64 = 0.20;

/// A user as the click function sees one. Numbers are positions in the lists above.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Person {
    /// Position in [`AGE_BANDS`].
    pub age: usize,
    /// Position in [`GENDERS`].
    pub gender: usize,
    /// Position in [`CITIES`].
    pub city: usize,
    /// Position in [`LANGUAGES`].
    pub language: usize,
    /// Latent taste, standard normal.
    pub taste: [f64; TASTE_WIDTH],
}

/// The circumstances of an impression.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moment {
    /// Days since the log began, with fraction.
    pub day: f64,
    /// Hour of the day, 0 to 23.
    pub hour: u32,
    /// Day of the week, Monday 0.
    pub weekday: u32,
    /// Position in [`DEVICES`].
    pub device: usize,
    /// Position in [`PAGES`].
    pub page: usize,
    /// Slot, the best is 0.
    pub position: usize,
}

/// The seeded parts of the click function.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    city: [f64; CITIES.len()],
    city_by_advertiser: [[f64; ADVERTISERS.len()]; CITIES.len()],
    quality: [f64; ADS],
    category_place: [[f64; TASTE_WIDTH]; CATEGORIES.len()],
    ad_place: Vec<[f64; TASTE_WIDTH]>,
    drift: [f64; CATEGORIES.len()],
}

impl Truth {
    /// Draws the seeded parts.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::named(seed, "sample truth");
        let city = std::array::from_fn(|_| CITY_SPREAD * rng.normal());
        let city_by_advertiser =
            std::array::from_fn(|_| std::array::from_fn(|_| CITY_BY_ADVERTISER_SPREAD * rng.normal()));
        let quality = std::array::from_fn(|_| QUALITY_SPREAD * rng.normal());
        let category_place = category_places(&mut rng);
        let ad_place = (0..ADS)
            .map(|ad| {
                let home: &[f64; TASTE_WIDTH] = &category_place[inventory::campaign_of(ad).category];
                std::array::from_fn(|k| home[k] + AD_SPREAD * rng.normal())
            })
            .collect();
        let drift = centred(std::array::from_fn(|_| DRIFT_SPREAD * rng.normal()));
        Self { city, city_by_advertiser, quality, category_place, ad_place, drift }
    }

    /// The true click probability.
    pub fn p_click(&self, person: &Person, moment: &Moment, ad: usize) -> f64 {
        1.0 / (1.0 + (-self.logit(person, moment, ad)).exp())
    }

    fn logit(&self, person: &Person, moment: &Moment, ad: usize) -> f64 {
        let campaign = inventory::campaign_of(ad);
        let category = campaign.category;
        let main = AGE_EFFECT[person.age]
            + GENDER_EFFECT[person.gender]
            + self.city[person.city]
            + DEVICE_EFFECT[moment.device]
            + hour_effect(moment.hour)
            + if moment.weekday >= 5 { WEEKEND_EFFECT } else { 0.0 }
            + PAGE_EFFECT[moment.page]
            + POSITION_EFFECT[moment.position]
            + self.quality[ad]
            + CATEGORY_EFFECT[category];
        let matched = person.language == inventory::language_of(ad);
        let pairs = AGE_BY_CATEGORY[person.age][category]
            + GENDER_BY_CATEGORY[person.gender][category]
            + DEVICE_BY_DAYPART[moment.device][day_part(moment.hour)]
            + self.city_by_advertiser[person.city][campaign.advertiser]
            + if matched { LANGUAGE_MATCH } else { -LANGUAGE_MATCH };
        INTERCEPT
            + main
            + pairs
            + liking(&person.taste, &self.ad_place[ad])
            + self.drift_at(moment.day, category)
    }

    /// How much a taste likes each category, in logits: what the history of categories is drawn by.
    pub fn likings(&self, taste: &[f64; TASTE_WIDTH]) -> [f64; CATEGORIES.len()] {
        std::array::from_fn(|category| liking(taste, &self.category_place[category]))
    }

    fn drift_at(&self, day: f64, category: usize) -> f64 {
        ((day - 21.0) / 7.0).clamp(0.0, 1.0) * self.drift[category]
    }
}

/// Shifts whose mean over the campaigns is such that the mean click rate hardly moves: for small rates it moves
/// with the mean of `exp(shift)`, which is brought to 1.
fn centred(drift: [f64; CATEGORIES.len()]) -> [f64; CATEGORIES.len()] {
    let campaigns = inventory::CAMPAIGNS.iter();
    let factors: f64 = campaigns.map(|campaign| drift[campaign.category].exp()).sum();
    let level = (factors / inventory::CAMPAIGNS.len() as f64).ln();
    drift.map(|shift| shift - level)
}

/// Night, morning, afternoon or evening.
fn day_part(hour: u32) -> usize {
    match hour {
        0..=5 => 0,
        6..=11 => 1,
        12..=17 => 2,
        _ => 3,
    }
}

/// People click a little more in the evening: a wave with its top at 21 o'clock.
fn hour_effect(hour: u32) -> f64 {
    0.15 * (std::f64::consts::TAU * (f64::from(hour) - 21.0) / 24.0).cos()
}

fn liking(taste: &[f64; TASTE_WIDTH], place: &[f64; TASTE_WIDTH]) -> f64 {
    let dot: f64 = taste.iter().zip(place).map(|(z, v)| z * v).sum();
    TASTE * dot / (TASTE_WIDTH as f64).sqrt()
}

/// Places of the categories: seeded normals, each brought to length `sqrt(TASTE_WIDTH)` so that every category
/// is liked and disliked equally strongly.
fn category_places(rng: &mut Rng) -> [[f64; TASTE_WIDTH]; CATEGORIES.len()] {
    std::array::from_fn(|_| {
        let raw: [f64; TASTE_WIDTH] = std::array::from_fn(|_| rng.normal());
        let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
        raw.map(|x| x * (TASTE_WIDTH as f64).sqrt() / length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_parts_add_up_to_the_logit() {
        let truth = Truth::new(1);
        let person = Person { age: 0, gender: 1, city: 2, language: 0, taste: [0.0; TASTE_WIDTH] };
        let moment = Moment { day: 3.0, hour: 21, weekday: 5, device: 1, page: 3, position: 0 };
        // 星海远征, first ad: games by 星野游戏, Chinese words, at no taste and before the drift.
        let ad = 50;
        let written = -3.70 + 0.15 + 0.0 + 0.15 + 0.15 + 0.08 + 0.35 + 0.0 + 0.10 + 1.1 + 0.4 + 0.1 + 0.30;
        let seeded = truth.city[2] + truth.quality[ad] + truth.city_by_advertiser[2][8];
        assert!((truth.logit(&person, &moment, ad) - written - seeded).abs() < 1e-12);
        let slot_four = Moment { position: 3, ..moment };
        let step = truth.logit(&person, &moment, ad) - truth.logit(&person, &slot_four, ad);
        assert!((step - 1.05).abs() < 1e-12);
    }

    #[test]
    fn drift_lives_in_week_four_and_leaves_the_mean_alone() {
        let truth = Truth::new(5);
        let at = |day| (0..8).map(|c| truth.drift_at(day, c)).collect::<Vec<_>>();
        assert!(at(20.9).iter().all(|shift| *shift == 0.0));
        assert!(at(28.0).iter().any(|shift| shift.abs() > 0.05));
        let factors = inventory::CAMPAIGNS.iter().map(|c| truth.drift[c.category].exp());
        assert!((factors.sum::<f64>() / inventory::CAMPAIGNS.len() as f64 - 1.0).abs() < 1e-12);
    }
}
