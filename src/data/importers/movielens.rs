//! The MovieLens files without a header: `1::1193::5::978300760`, and `u.data` with tabs.

use super::container::Input;
use super::cut::Cut;
use super::delimited::Table;
use super::known::{TABS, headless_table, is_headless, read_headless, tabbed_head};
use super::lines::{head_lines, nearly_all};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;

/// The importer of the MovieLens layouts.
pub struct MovieLens;

const COLONS: Cut = Cut { is_doubled: true, ..Cut::plain(b':') };
const RATINGS: [&str; 4] = ["user_id", "movie_id", "rating", "timestamp"];
const USERS: [&str; 5] = ["user_id", "gender", "age", "occupation", "zip"];
const MOVIES: [&str; 3] = ["movie_id", "title", "genres"];

impl Importer for MovieLens {
    fn id(&self) -> &'static str {
        "movielens-dat"
    }

    fn summary(&self) -> &'static str {
        "MovieLens without a header: ratings, users and films parted by ::, or u.data with tabs"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let found = |names: &[&str], words: &str| {
            let evidence = format!("{words}, no header: {}", names.join(", "));
            Some(Match { confidence: 93, evidence })
        };
        match layout(input)? {
            Shape::Colons(names) => found(names, "double colons"),
            Shape::Tabs => found(&RATINGS, "tabs"),
        }
    }

    fn table(&self, input: &Input) -> Option<Table> {
        Some(match layout(input)? {
            Shape::Tabs => headless_table(TABS, &RATINGS),
            Shape::Colons(names) => headless_table(COLONS, names),
        })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        match layout(input).ok_or_else(|| super::not_understood(input))? {
            Shape::Tabs => read_headless("movielens-dat", TABS, &RATINGS, input, context),
            Shape::Colons(names) => read_headless("movielens-dat", COLONS, names, input, context),
        }
    }
}

enum Shape {
    Colons(&'static [&'static str]),
    Tabs,
}

fn layout(input: &Input) -> Option<Shape> {
    let lines = head_lines(input);
    let records: Vec<Vec<&str>> = lines.iter().map(|line| line.split("::").collect()).collect();
    // A first line of another kind is a header, which these files have not.
    let all = |fits: fn(&[&str]) -> bool| {
        records.first().is_some_and(|first| fits(first)) && nearly_all(&records, |record| fits(record))
    };
    if all(is_rating) {
        return Some(Shape::Colons(&RATINGS));
    }
    if all(|record| matches!(record, [user, "M" | "F", age, ..] if is_number(user) && is_number(age))) {
        return (records.first()?.len() == USERS.len()).then_some(Shape::Colons(&USERS));
    }
    if all(|record| matches!(record, [movie, _, genres] if is_number(movie) && !genres.is_empty())) {
        return Some(Shape::Colons(&MOVIES));
    }
    let tabbed = tabbed_head(input);
    let fits = |record: &Vec<String>| is_rating(&record.iter().map(String::as_str).collect::<Vec<_>>());
    is_headless(&tabbed, fits).then_some(Shape::Tabs)
}

fn is_number(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// A user, a film, half a star to five, and seconds since 1970 of nine or ten digits.
fn is_rating(record: &[&str]) -> bool {
    match record {
        [user, movie, rating, time] => {
            let stars = rating.parse::<f64>().unwrap_or_default();
            let is_time = (9..=10).contains(&time.len()) && is_number(time);
            is_number(user) && is_number(movie) && (0.5..=5.0).contains(&stars) && is_time
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;
    use crate::data::schema::{ColumnType, Role};

    #[test]
    fn ratings_with_colons_and_tabs() {
        let colons = "1::1193::5::978300760\n1::661::3.5::978302109\nbroken::line\n2::914::1::978301968\n";
        let log = opened(colons);
        assert!(log.source.format.starts_with("movielens-dat"), "{}", log.source.format);
        assert_eq!(names(&log), RATINGS);
        assert_eq!(cells(&log, "rating"), ["5", "3.5", "1"]);
        assert_eq!(log.schema.column("timestamp").unwrap().kind, ColumnType::Time);
        assert_eq!(log.schema.column("movie_id").unwrap().role, Role::Ad);
        assert_eq!((log.source.bad_rows, log.source.bad_samples[0].line), (1, 3));
        let log = opened("196\t242\t3\t881250949\n186\t302\t3\t891717742\n");
        assert_eq!(cells(&log, "movie_id"), ["242", "302"]);
    }

    #[test]
    fn users_and_films() {
        let log = opened("1::F::1::10::48067\n2::M::56::16::02139-1234\n");
        assert_eq!(names(&log), USERS);
        let log = opened("1::Toy Story (1995)::Animation|Children's\n2::Jumanji: 2 (1995)::Adventure\n");
        assert_eq!(names(&log), MOVIES);
        assert_eq!(cells(&log, "genres"), ["Animation Children's", "Adventure"]);
    }

    #[test]
    fn other_numbers_are_something_else() {
        let header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
        let typed = format!("{header}{}", "196\t242\t3\t881250949\n".repeat(30));
        for text in [&typed, "1::2\n3::4\n", "1\t2\t3\t4\n5\t6\t7\t8\n", "a::b::c\n"] {
            assert!(refused_by(&MovieLens, text), "{text}");
        }
    }
}
