//! Who lives in the sample world? Users drawn from the seed, with activity, profile and latent taste.

use super::truth::{AGE_BANDS, CHINESE_CITIES, CITIES, DEVICES, GENDERS, Person, TASTE_WIDTH};
use crate::base::rng::Rng;

/// One user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// What the click function sees.
    pub person: Person,
    /// The device that this user mostly uses; position in [`DEVICES`].
    pub main_device: usize,
    /// Relative number of visits; heavy-tailed.
    pub activity: f64,
    /// First day of this user; 21 or later for cold users.
    pub first_day: u32,
}

const AGE_WEIGHTS: [f64; AGE_BANDS.len()] = [0.24, 0.32, 0.22, 0.13, 0.09];
const GENDER_WEIGHTS: [f64; GENDERS.len()] = [0.47, 0.46, 0.07];
const CITY_WEIGHTS: [f64; CITIES.len()] =
    [0.17, 0.15, 0.11, 0.11, 0.09, 0.08, 0.06, 0.05, 0.06, 0.05, 0.04, 0.03];
const DEVICE_WEIGHTS: [f64; DEVICES.len()] = [0.46, 0.28, 0.19, 0.07];
/// Deviation of the logarithm of activity: the most active tenth make about 43 % of all visits.
const ACTIVITY_SPREAD: f64 = 1.1;
/// Share of users who first appear in week four.
const COLD_SHARE: f64 = 0.08;

/// Draws `count` users.
pub fn draw_users(seed: u64, count: usize) -> Vec<User> {
    let mut rng = Rng::named(seed, "sample users");
    (0..count).map(|_| draw_user(&mut rng)).collect()
}

/// The id of a user in the log.
pub fn user_id(user: usize) -> String {
    format!("u{:05}", user + 1)
}

/// The user of an id.
pub fn user_of_id(id: &str) -> Option<usize> {
    let number: usize = id.strip_prefix('u')?.parse().ok()?;
    number.checked_sub(1)
}

/// A position drawn with the given weights.
pub fn pick(rng: &mut Rng, weights: &[f64]) -> usize {
    let total: f64 = weights.iter().sum();
    let mut left = rng.uniform() * total;
    for (place, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return place;
        }
    }
    weights.len() - 1
}

fn draw_user(rng: &mut Rng) -> User {
    let city = pick(rng, &CITY_WEIGHTS);
    let speaks_english = if city < CHINESE_CITIES { 0.08 } else { 0.80 };
    let person = Person {
        age: pick(rng, &AGE_WEIGHTS),
        gender: pick(rng, &GENDER_WEIGHTS),
        city,
        language: usize::from(rng.chance(speaks_english)),
        taste: std::array::from_fn::<f64, TASTE_WIDTH, _>(|_| rng.normal()),
    };
    let main_device = pick(rng, &DEVICE_WEIGHTS);
    let activity = (ACTIVITY_SPREAD * rng.normal()).exp();
    let cold = rng.chance(COLD_SHARE);
    let first_day = if cold { 21 + rng.below(7) as u32 } else { 0 };
    User { person, main_device, activity, first_day }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_repeat_and_are_heavy_tailed() {
        let users = draw_users(3, 4_000);
        assert_eq!(users, draw_users(3, 4_000));
        let mut activity: Vec<f64> = users.iter().map(|user| user.activity).collect();
        activity.sort_by(f64::total_cmp);
        let top: f64 = activity[3_600..].iter().sum();
        let share = top / activity.iter().sum::<f64>();
        // Lognormal: the top tenth's share is Phi(sigma - 1.2816) = Phi(-0.1816) = 0.428.
        assert!((share - 0.428).abs() < 0.05, "{share}");
        assert_eq!(user_of_id(&user_id(41)), Some(41));
        assert_eq!(user_of_id("x"), None);
    }
}
