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
        let (frame, columns) = normalise::normalise(frame, &input.reading, &mut notes, context)?;
        Ok(RawLog {
            frame,
            format: format!("arrow{}", input.describe()),
            bad: BadRows::default(),
            notes,
            hints: Vec::new(),
            layout: Layout { columns, ..Layout::default() },
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::data::importers::{ImportOptions, open};
    use crate::data::{ColumnType, Role};
    use crate::jobs::JobContext;
    use polars::prelude::{IpcWriter, SerWriter, df};
    use std::fs::{self, File};

    #[test]
    fn a_feather_file_is_read_by_content_and_a_cut_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("日志 1.csv");
        let mut frame = df!(
            "user_id" => [7i64, 8, 7],
            "city" => [Some("上海"), None, Some("北京")],
            "click" => [1i32, 0, 0],
        )
        .unwrap();
        IpcWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
        let context = JobContext::detached();
        let log = open(&path, &ImportOptions::default(), &context).unwrap();
        assert_eq!((log.rows(), log.source.format.as_str()), (3, "arrow"));
        assert_eq!(log.schema.with_role(Role::Label).unwrap().name, "click");
        assert_eq!(log.schema.column("city").unwrap().kind, ColumnType::Text);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let failure = open(&path, &ImportOptions::default(), &context).unwrap_err();
        assert!(failure.to_string().contains("cut off"), "{failure}");
    }
}
