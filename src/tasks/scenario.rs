//! How are scenarios kept and run again beside the window?

use super::Output;
use super::simulate::Simulated;
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane};
use crate::market::kept::Kept;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to do with a scenario.
pub enum ScenarioWork {
    /// Keeps the last simulation under a name.
    Keep(Arc<Simulated>, String),
    /// Runs one with other seeds: its number, itself, the folder of its paths, the seeds.
    Rerun(u64, Box<Kept>, PathBuf, Vec<u64>),
    /// Runs all of its runs again.
    Check(u64, Box<Kept>, PathBuf),
}

/// What became of it.
pub enum ScenarioDone {
    /// A new one; its paths are from the root.
    Kept(Box<Kept>),
    /// The scenario of a number has more runs.
    Ran(u64, Box<Kept>),
    /// Whether each run of the scenario of a number came out the very same.
    Checked(u64, Vec<(u64, bool)>),
}

impl Job for ScenarioWork {
    type Output = Output;

    fn name(&self) -> String {
        match self {
            Self::Keep(_, name) => format!("Keep {name}"),
            Self::Rerun(_, kept, _, seeds) => format!("Run {} with {} seeds", kept.name, seeds.len()),
            Self::Check(_, kept, _) => format!("Run {} again", kept.name),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let told = |words: &str| context.stage(words);
        let done = match *self {
            Self::Keep(simulated, name) => {
                context.stage("reading what it ran on");
                // No folder holds it yet: its paths stay as they are.
                let nowhere = Path::new("");
                let mut kept = Kept::new(&name, &simulated.spec, nowhere, &elsewhere()?)?;
                kept.ran(&simulated.spec, &simulated.prepared, &simulated.run.outcome)?;
                ScenarioDone::Kept(Box::new(kept))
            }
            Self::Rerun(number, mut kept, folder, seeds) => {
                kept.rerun(&seeds, &folder, context, &told)?;
                ScenarioDone::Ran(number, kept)
            }
            Self::Check(number, kept, folder) => {
                ScenarioDone::Checked(number, kept.reproduced(&folder, context, &told)?)
            }
        };
        Ok(Output::Scenario(Box::new(done)))
    }
}

/// A folder in which nothing lies, so that all paths are told from the root.
fn elsewhere() -> Result<PathBuf> {
    let here = std::env::current_dir();
    let explain =
        |error| crate::base::files::disk_failure("cannot keep the scenario", Path::new("."), &error);
    Ok(here.map_err(explain)?.join("no such folder of scenarios"))
}
