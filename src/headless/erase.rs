//! `adloupe erase --user X`: takes a person's rows out of what this program keeps, and keeps them out.

use super::{Answer, Terminal};
use crate::base::{Failure, Result};
use crate::data::importers::{self, CacheChoice};
use crate::session::commands::data::usual_list;
use serde_json::json;
use std::path::PathBuf;

/// Whose rows go, and from where.
#[derive(Debug, clap::Args)]
#[command(about = "Takes a person's rows out of the kept copies of logs and leaves them out from now on")]
pub struct Args {
    /// The user, as the logs write it.
    #[arg(long, value_name = "USER")]
    user: String,
    /// The folder of kept copies [default: the cache folder of the system].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The list of erased people [default: that of this program].
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
}

/// Erases.
///
/// # Errors
/// No name, or what the disk answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let what = "cannot erase the user";
    if args.user.trim().is_empty() {
        return Err(Failure::new(what, "no user is named"));
    }
    let list =
        args.list.clone().or_else(usual_list).ok_or_else(|| {
            Failure::new(what, "the system names no folder for the list").hint("--list FILE")
        })?;
    let cache = args.cache.clone().or_else(|| match CacheChoice::usual() {
        CacheChoice::Folder(cache) => Some(cache),
        CacheChoice::Off => None,
    });
    let (gone, erased_people) = importers::erase(&args.user, &list, cache.as_deref(), &terminal.context())?;
    let text = format!(
        "{} kept copies looked through, {} removed{}\nrows of this user are left out of every log from now on \
         (list in {})\nnot touched: your own files, and models and reports made before; train again where a model \
         knows single users",
        gone.looked,
        gone.removed,
        if gone.damaged > 0 { format!(", {} unreadable ones removed", gone.damaged) } else { String::new() },
        list.display()
    );
    let json = json!({ "copies": gone, "erased_people": erased_people, "list": list });
    Ok(Answer { text, json })
}
