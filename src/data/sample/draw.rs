//! What happens in the sample world? Impressions in order of time, with their clicks and conversions.

use super::inventory::{self, ADS, CATEGORIES};
use super::people::{User, pick};
use super::truth::{DEVICES, Moment, PAGES, POSITIONS, Truth};
use crate::base::Result;
use crate::base::rng::Rng;
use crate::data::cells;
use crate::jobs::JobContext;

/// The log begins on Monday 24 August 2026, 00:00 UTC.
pub const START_MILLIS: i64 = 1_787_529_600_000;
/// Length of the log in days: four weeks.
pub const DAYS: u32 = 28;
/// Most categories that the log keeps of a user's history.
pub const HISTORY_LEN: usize = 10;

const DAY_MILLIS: f64 = 86_400_000.0;
const WEEKDAY_WEIGHTS: [f64; 7] = [1.0, 0.98, 1.0, 1.02, 1.08, 1.20, 1.15];
const HOUR_WEIGHTS: [f64; 24] = [
    1.6, 0.9, 0.5, 0.3, 0.2, 0.4, 1.0, 2.2, 3.4, 3.8, 3.9, 4.2, 5.2, 4.8, 4.0, 3.8, 3.9, 4.3, 5.0, 5.8, 6.6,
    6.9, 5.6, 3.2,
];
const PAGE_WEIGHTS: [f64; PAGES.len()] = [0.34, 0.22, 0.20, 0.14, 0.10];
const POSITION_WEIGHTS: [f64; POSITIONS] = [0.38, 0.28, 0.20, 0.14];
/// Chance that a visit is on the user's main device.
const MAIN_DEVICE: f64 = 0.78;
/// How strongly the serving system already follows taste, in units of the click function's liking.
const SERVED_BY_TASTE: f64 = 0.3;
/// How strongly browsing follows taste.
const BROWSED_BY_TASTE: f64 = 2.0;
/// Chance that a user looked at a category on their own since the last impression.
const BROWSING: f64 = 0.15;
const BID_SPREAD: f64 = 0.2;
const CONVERSION_LOGIT: f64 = -2.0;
const MEAN_DELAY_HOURS: f64 = 20.0;

/// One row of the log. Numbers are positions in the lists of [`truth`](super::truth) and
/// [`inventory`].
#[derive(Debug, Clone, PartialEq)]
pub struct Impression {
    /// When, in milliseconds since 1970, UTC.
    pub millis: i64,
    /// Who.
    pub user: usize,
    /// What was shown.
    pub ad: usize,
    /// Under which circumstances.
    pub moment: Moment,
    /// The bid, in yuan per thousand impressions.
    pub bid_cpm_cny: f64,
    /// Categories that the user looked at or clicked before, oldest first.
    pub history: Vec<u8>,
    /// The true click probability.
    pub p_click: f64,
    /// Whether it was clicked.
    pub click: bool,
    /// Hours from click to purchase, where one followed before the log ends.
    pub conversion_delay_hours: Option<f64>,
}

/// Draws `rows` impressions.
///
/// # Errors
/// Only a cancel.
pub fn draw(
    seed: u64,
    rows: usize,
    users: &[User],
    truth: &Truth,
    context: &JobContext,
) -> Result<Vec<Impression>> {
    let times = draw_times(seed, rows);
    let mut world = Drawing::new(seed, users, truth);
    let mut impressions = Vec::with_capacity(rows);
    for (done, millis) in times.into_iter().enumerate() {
        if done % 4096 == 0 {
            context.check()?;
            context.progress(done as u64, rows as u64);
        }
        impressions.push(world.impression(millis));
    }
    Ok(impressions)
}

/// The circumstances at a point in time.
pub fn moment_at(millis: i64, device: usize, page: usize, position: usize) -> Moment {
    Moment {
        day: days_since_start(millis),
        hour: cells::hour_of(millis),
        weekday: cells::weekday_of(millis),
        device,
        page,
        position,
    }
}

fn days_since_start(millis: i64) -> f64 {
    (millis - START_MILLIS) as f64 / DAY_MILLIS
}

/// Sorted times with a daily and a weekly rhythm, all different.
fn draw_times(seed: u64, rows: usize) -> Vec<i64> {
    let mut rng = Rng::named(seed, "sample times");
    let days: Vec<f64> = (0..DAYS).map(|day| WEEKDAY_WEIGHTS[day as usize % 7]).collect();
    let mut times: Vec<i64> = (0..rows)
        .map(|_| {
            let day = pick(&mut rng, &days) as f64;
            let hour = pick(&mut rng, &HOUR_WEIGHTS) as f64;
            START_MILLIS + ((day + (hour + rng.uniform()) / 24.0) * DAY_MILLIS) as i64
        })
        .collect();
    times.sort_unstable();
    for i in 1..times.len() {
        times[i] = times[i].max(times[i - 1] + 1);
    }
    times
}

struct Drawing<'a> {
    users: &'a [User],
    truth: &'a Truth,
    rng: Rng,
    /// Running sums of the users' activities.
    activity: Vec<f64>,
    /// All categories that each user met so far.
    histories: Vec<Vec<u8>>,
}

impl<'a> Drawing<'a> {
    fn new(seed: u64, users: &'a [User], truth: &'a Truth) -> Self {
        let mut sum = 0.0;
        let activity = users
            .iter()
            .map(|user| {
                sum += user.activity;
                sum
            })
            .collect();
        let mut rng = Rng::named(seed, "sample impressions");
        let histories = users
            .iter()
            .map(|user| {
                let known = if user.first_day > 0 { rng.below(3) } else { 2 + rng.below(9) };
                (0..known).map(|_| browse(&mut rng, truth, user)).collect()
            })
            .collect();
        Self { users, truth, rng, activity, histories }
    }

    fn impression(&mut self, millis: i64) -> Impression {
        let since = days_since_start(millis);
        let user = self.visitor(since);
        let profile = &self.users[user];
        let moment = self.moment(millis, profile);
        if self.rng.chance(BROWSING) {
            let category = browse(&mut self.rng, self.truth, profile);
            self.histories[user].push(category);
        }
        let likings = self.truth.likings(&profile.person.taste);
        let ad = self.serve(since, &likings);
        let campaign = inventory::campaign_of(ad);
        let bid = campaign.bid_cpm_cny * (BID_SPREAD * self.rng.normal()).exp();
        let p_click = self.truth.p_click(&profile.person, &moment, ad);
        let click = self.rng.chance(p_click);
        let delay = self.conversion(click, likings[campaign.category], millis);
        let story = &mut self.histories[user];
        let history = story[story.len().saturating_sub(HISTORY_LEN)..].to_vec();
        if click {
            story.push(campaign.category as u8);
        }
        Impression {
            millis,
            user,
            ad,
            moment,
            bid_cpm_cny: (bid * 100.0).round() / 100.0,
            history,
            p_click,
            click,
            conversion_delay_hours: delay,
        }
    }

    /// A user by activity, among those who have appeared.
    fn visitor(&mut self, since: f64) -> usize {
        let total = self.activity.last().copied().unwrap_or_default();
        loop {
            let mark = self.rng.uniform() * total;
            let user = self.activity.partition_point(|sum| *sum <= mark);
            let user = user.min(self.users.len() - 1);
            if f64::from(self.users[user].first_day) <= since {
                return user;
            }
        }
    }

    fn moment(&mut self, millis: i64, user: &User) -> Moment {
        let device =
            if self.rng.chance(MAIN_DEVICE) { user.main_device } else { self.rng.below(DEVICES.len()) };
        let page = pick(&mut self.rng, &PAGE_WEIGHTS);
        let position = pick(&mut self.rng, &POSITION_WEIGHTS);
        moment_at(millis, device, page, position)
    }

    /// The ad that the logged system shows: it leans a little towards taste, and every ad has a chance.
    fn serve(&mut self, since: f64, likings: &[f64; CATEGORIES.len()]) -> usize {
        let weights: [f64; ADS] = std::array::from_fn(|ad| {
            let started = f64::from(inventory::starts_on_day(ad)) <= since;
            let category = inventory::campaign_of(ad).category;
            if started { (SERVED_BY_TASTE * likings[category]).exp() } else { 0.0 }
        });
        pick(&mut self.rng, &weights)
    }

    /// Hours until a purchase, if one follows and the log lasts long enough to see it.
    fn conversion(&mut self, click: bool, liking: f64, millis: i64) -> Option<f64> {
        // The draws happen for every row, so that one more click shifts nothing after it.
        let (luck, wait) = (self.rng.uniform(), self.rng.uniform());
        let p_buy = 1.0 / (1.0 + (-(CONVERSION_LOGIT + 0.5 * liking)).exp());
        let delay = -MEAN_DELAY_HOURS * (1.0 - wait).ln();
        let end = START_MILLIS + (f64::from(DAYS) * DAY_MILLIS) as i64;
        let seen = millis + (delay * 3_600_000.0) as i64 <= end;
        (click && luck < p_buy && seen).then_some((delay * 100.0).round() / 100.0)
    }
}

/// A category that the user looks at unprompted: by taste.
fn browse(rng: &mut Rng, truth: &Truth, user: &User) -> u8 {
    let weights = truth.likings(&user.person.taste).map(|liking| (BROWSED_BY_TASTE * liking).exp());
    pick(rng, &weights) as u8
}
