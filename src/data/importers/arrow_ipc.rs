//! Arrow IPC files, which are Feather files too.

use super::container::{Container, Input};
use super::normalise::{self, whole};
use super::records::BadRows;
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::data::layout::Layout;
use crate::jobs::JobContext;
use polars::prelude::{IpcReader, SerReader};
use std::fs::File;
use std::io::Cursor;

/// The importer of Arrow IPC files.
pub struct ArrowIpc;

impl Importer for ArrowIpc {
    fn id(&self) -> &'static str {
        "arrow"
    }

    fn summary(&self) -> &'static str {
        "Arrow IPC files (Feather)"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        input
            .head
            .starts_with(b"ARROW1")
            .then(|| Match { confidence: 100, evidence: "begins with ARROW1".to_owned() })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("reading the columns");
        let frame = if input.container == Container::Plain {
            let file = File::open(&input.path)
                .map_err(|error| disk_failure("cannot read the log", &input.path, &error))?;
            IpcReader::new(file).finish()
        } else {
            IpcReader::new(Cursor::new(whole(input)?)).finish()
        }
        .explain("cannot read the log")
        .map_err(|failure| failure.at(input.path.display()).hint("the file may be cut off: copy it again"))?;
        let mut notes = Vec::new();
        Ok(RawLog {
            frame: normalise::normalise(frame, &mut notes, context)?,
            format: format!("arrow{}", input.describe()),
            bad: BadRows::default(),
            notes,
            hints: Vec::new(),
            layout: Layout::default(),
        })
    }
}
