//! `adloupe map-users`: does what one domain knows of a user help in another?

use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::data::dataset::prepare;
use crate::data::options::EncodeOptions;
use crate::data::query::matching_rows;
use crate::domain::Segment;
use crate::insight::mapping::{Mapped, MappingPlan, map_users};
use crate::train::mapping::Form;

/// Which domains, and the map between them.
#[derive(Debug, clap::Args)]
#[command(
    about = "Maps user vectors of one domain to another (EMCDR) and judges users whom the second never met"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The second domain, as text (`category = 'games'`); the first is all other rows.
    #[arg(long, value_name = "SEGMENT")]
    second: String,
    /// Kind of model with learnt rows of users.
    #[arg(long, default_value = "fm")]
    model: String,
    /// The form of the map: linear or mlp.
    #[arg(long, value_parser = form_of, default_value = "linear")]
    form: Form,
    /// Penalty of a linear map, as a share of the vectors' mean square.
    #[arg(long, default_value_t = 0.01)]
    ridge: f64,
    /// Share of the users of both domains who are held out.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    share: f64,
    /// A knob of the model or of training, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
}

fn form_of(text: &str) -> std::result::Result<Form, String> {
    let known = Form::WORDS.iter().find(|(word, _)| *word == text);
    known
        .map(|(_, form)| *form)
        .ok_or_else(|| format!("one of: {}", Form::WORDS.map(|(word, _)| word).join(", ")))
}

/// Trains both, learns the map, judges.
///
/// # Errors
/// The log cannot be read, or what [`map_users`] refuses.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let spec = args.source.spec(&args.model, &args.set)?;
    let log = args.source.open(&context)?;
    let rows = matching_rows(&log, &Segment::parse(&args.second)?)?;
    let dataset = prepare(&log, &EncodeOptions::default(), &context)?;
    let plan = MappingPlan { spec, form: args.form, ridge: args.ridge, share: args.share };
    let found = map_users(&dataset, &rows, &plan, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(args, &found), json })
}

fn text(args: &Args, found: &Mapped) -> String {
    let [learnt, out] = found.users.map(|users| grouped(users as f64, ' '));
    let mut lines = vec![
        format!(
            "{}: a {} map of {} numbers, learnt on {learnt} users of both domains",
            found.kind,
            args.form.word(),
            found.numbers
        ),
        format!(
            "it explains {:.1} % of the second domain's vectors (users kept out of it, five folds)",
            100.0 * found.explained
        ),
        format!(
            "{out} other users, whom the second domain never met: {} rows of theirs there, {} clicks",
            grouped(found.rows as f64, ' '),
            grouped(found.clicks, ' ')
        ),
    ];
    lines.extend(super::cold::of_ways("scored with", &found.ways));
    lines.join("\n")
}
