//! The MIND news logs: `behaviors.tsv`, lists of impressions with the user's history, and `news.tsv`.
//!
//! A line of behaviors holds all news of one visit (`N1-0 N2-1`), so it becomes a row for each.

use super::container::Input;
use super::guess::{Guess, Plan};
use super::known::{TABS, is_headless, read_headless, tabbed_head};
use super::libsvm::shorten;
use super::lines::each_line;
use super::records::BadRows;
use super::sparse::{Cell, Row, build_rows};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;

/// The importer of `behaviors.tsv`.
pub struct Behaviors;

/// The importer of `news.tsv`.
pub struct News;

impl Importer for Behaviors {
    fn id(&self) -> &'static str {
        "mind-behaviors"
    }

    fn summary(&self) -> &'static str {
        "MIND behaviors: tabs, no header, a history and the news shown (N1-0 N2-1); one row for each of them"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let evidence = "tabs, no header, a user, a history and news shown with 0 or 1".to_owned();
        let records = tabbed_head(input);
        let fits = |record: &Vec<String>| Behavior::of(record).is_ok();
        is_headless(&records, fits).then_some(Match { confidence: 96, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("looking at the columns");
        let mut time = Guess::default();
        let (mut visits, mut impressions, mut answers) = (0_u64, 0, 0);
        let bad = each_line(input, context, parse, |visit| {
            visits += 1;
            time.see(&visit.time);
            impressions += visit.shown.len();
            answers += visit.shown.iter().filter(|(_, click)| click.is_some()).count();
        })?;
        let (time, note) = time.plan("time");
        let mut notes: Vec<_> = note.into_iter().collect();
        notes.push(format!("{impressions} impressions from {visits} lines: one row for each news shown"));
        let text = |name: &str| (name.to_owned(), Plan::Text);
        let mut columns = vec![
            text("impression_id"),
            text("user_id"),
            ("time".to_owned(), time),
            ("history".to_owned(), Plan::List(' ')),
            text("news_id"),
        ];
        if answers > 0 {
            columns.push(("click".to_owned(), Plan::Integer));
        } else {
            notes.push("the news shown have no clicks: a file to be scored".to_owned());
        }
        let each = |push: &mut dyn FnMut(Row<usize>)| -> Result<BadRows> {
            each_line(input, context, parse, |visit| visit.rows().for_each(&mut *push))
        };
        let (frame, layout) =
            build_rows(input, context, each, &columns, impressions, |place, _| Some(*place), &mut notes)?;
        let format = format!("mind-behaviors, tab, no header{}", input.describe());
        Ok(RawLog { frame, format, bad, notes, hints: Vec::new(), layout })
    }
}

fn parse(line: &str) -> std::result::Result<Behavior, String> {
    let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
    Behavior::of(&cells)
}

/// One visit.
struct Behavior {
    id: String,
    user: String,
    time: String,
    history: String,
    /// News with their answers; a test file has none.
    shown: Vec<(String, Option<char>)>,
}

impl Behavior {
    /// # Errors
    /// Why the cells are no visit, in the words of a bad row.
    fn of(cells: &[String]) -> std::result::Result<Self, String> {
        let [id, user, time, history, shown] = cells else {
            return Err(format!("has {} fields where a visit has 5", cells.len()));
        };
        let is_news = |word: &str| {
            word.strip_prefix('N')
                .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if let Some(word) = history.split_ascii_whitespace().find(|word| !is_news(word)) {
            return Err(format!("has '{}' in the history, which is no news", shorten(word)));
        }
        let news = |word: &str| {
            let (news, answer) = match word.split_once('-') {
                Some((news, "0")) => (news, Some('0')),
                Some((news, "1")) => (news, Some('1')),
                Some(_) => return None,
                None => (word, None),
            };
            is_news(news).then(|| (news.to_owned(), answer))
        };
        let shown: Option<Vec<_>> = shown.split_ascii_whitespace().map(news).collect();
        match shown {
            Some(shown) if !shown.is_empty() => Ok(Self {
                id: id.clone(),
                user: user.clone(),
                time: time.clone(),
                history: history.clone(),
                shown,
            }),
            _ => Err("shows no news of the form N1-0".to_owned()),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row<usize>> {
        self.shown.iter().map(|(news, click)| {
            let texts = [&self.id, &self.user, &self.time, &self.history, news];
            let mut row: Row<usize> =
                texts.into_iter().enumerate().map(|(place, text)| (place, Cell::plain(text))).collect();
            row.extend(click.map(|click| (5, Cell::plain(click))));
            row
        })
    }
}

const NEWS: [&str; 8] =
    ["news_id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities"];

impl Importer for News {
    fn id(&self) -> &'static str {
        "mind-news"
    }

    fn summary(&self) -> &'static str {
        "MIND news: tabs, no header, id, categories, title, abstract, address, entities as JSON"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let fits = |record: &Vec<String>| {
            let is_json = |cell: &String| cell.is_empty() || cell.starts_with('[');
            record.len() == NEWS.len()
                && record[0].starts_with('N')
                && (record[5].is_empty() || record[5].starts_with("http"))
                && record[6..].iter().all(is_json)
        };
        let evidence = "tabs, no header, 8 columns with an address and two lists of entities".to_owned();
        is_headless(&tabbed_head(input), fits).then_some(Match { confidence: 96, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        read_headless("mind-news", TABS, &NEWS, input, context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;
    use crate::data::schema::Role;

    #[test]
    fn a_visit_becomes_a_row_for_each_news() {
        let log = opened(
            "1\tU87\t11/11/2019 9:05:58 AM\tN12 N13\tN20-0 N21-1 N22-0\n\
             2\tU88\t11/12/2019 6:11:30 PM\t\tN20-1\n\
             5\tU88\t11/12/2019 6:11:31 PM\t\tN21-0\n\
             6\tU88\t11/12/2019 6:11:32 PM\t\tN22-0\n\
             3\tU89\t11/13/2019 6:11:30 PM\tN1\t\n\
             4\tU90\t11/13/2019 6:11:30 PM\tN1\tN2-7\n",
        );
        assert!(log.source.format.starts_with("mind-behaviors"), "{}", log.source.format);
        assert_eq!(cells(&log, "news_id"), ["N20", "N21", "N22", "N20", "N21", "N22"]);
        assert_eq!(cells(&log, "click"), ["0", "1", "0", "1", "0", "0"]);
        assert_eq!(cells(&log, "history"), ["N12 N13", "N12 N13", "N12 N13", "-", "-", "-"]);
        assert_eq!(cells(&log, "user_id"), ["U87", "U87", "U87", "U88", "U88", "U88"]);
        // `date -u -d '2019-11-12 18:11:30' +%s%3N`
        assert_eq!(cells(&log, "time")[3], "1573582290000");
        let roles: Vec<_> = log.schema.columns.iter().map(|column| column.role).collect();
        assert_eq!(roles, [Role::Ignored, Role::User, Role::Time, Role::Sequence, Role::Ad, Role::Label]);
        assert_eq!(log.source.bad_rows, 2);
        assert!(log.source.notes.iter().any(|note| note.starts_with("6 impressions from 4 lines")));
    }

    #[test]
    fn a_test_file_has_no_answers() {
        let log = opened("1\tU87\t11/22/2019 9:05:58 AM\tN12\tN20 N21\n");
        assert_eq!(names(&log).len(), 5);
        assert_eq!(log.rows(), 2);
    }

    #[test]
    fn news_with_literal_quotes() {
        let line =
            "N1\tsports\tgolf\tThe \"best\tAn \"abstract\thttps://a.example/1\t[]\t[{\"Label\": \"x\"}]\n";
        let log = opened(&format!("{line}{}", line.replace("N1", "N2").replace("An \"abstract", "")));
        assert!(log.source.format.starts_with("mind-news"), "{}", log.source.format);
        assert_eq!(cells(&log, "title"), ["The \"best", "The \"best"]);
        assert_eq!(cells(&log, "abstract"), ["An \"abstract", "-"]);
        assert_eq!(log.schema.column("title").unwrap().role, Role::Text);
        assert!(refused_by(&News, "N1\ta\tb\tc\td\te\tf\tg\n"));
    }
}
