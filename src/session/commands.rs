//! What can a person ask for? One enum an area, each with its handler beside it.

pub mod copy;
mod copy_market;
mod copy_model;
pub mod data;
pub mod evidence;
pub mod follow;
pub mod inspect;
pub mod market;
pub mod privacy;
pub mod rows;
pub mod scenarios;
pub mod segment;
pub mod train;
pub mod view;

use super::Session;
use crate::base::Result;
use crate::tasks::Output;
use crate::tasks::evidence::EvidenceQuestion;
pub use copy::CopyCommand;
pub use data::DataCommand;
pub use inspect::InspectCommand;
pub use market::MarketCommand;
pub use privacy::PrivacyCommand;
pub use rows::RowsCommand;
pub use scenarios::ScenarioCommand;
pub use segment::SegmentCommand;
pub use train::TrainCommand;
pub use view::ViewCommand;

/// Anything a panel, a shortcut, the tour or a test can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Words of advertisements.
    Copy(CopyCommand),
    /// Opening logs, setting roles.
    Data(DataCommand),
    /// Simulated slots.
    Market(MarketCommand),
    /// Other policies, bids and plans.
    Weigh(EvidenceQuestion),
    /// The people behind the rows.
    Privacy(PrivacyCommand),
    /// Single rows.
    Rows(RowsCommand),
    /// Simulations that were kept.
    Scenario(ScenarioCommand),
    /// Groups of rows and audiences.
    Segment(SegmentCommand),
    /// Training, saving and opening models.
    Train(TrainCommand),
    /// Looking into the model in view.
    Inspect(InspectCommand),
    /// Panels, theme, notices, jobs.
    View(ViewCommand),
}

/// Carries out a command.
pub(super) fn apply(session: &mut Session, command: Command) -> Result<()> {
    match command {
        Command::Copy(command) => copy::apply(session, command),
        Command::Data(command) => data::apply(session, command),
        Command::Market(command) => market::apply(session, command),
        Command::Weigh(question) => evidence::apply(session, question),
        Command::Privacy(command) => privacy::apply(session, command),
        Command::Rows(command) => rows::apply(session, command),
        Command::Scenario(command) => scenarios::apply(session, command),
        Command::Segment(command) => segment::apply(session, command),
        Command::Train(command) => train::apply(session, command),
        Command::Inspect(command) => inspect::apply(session, command),
        Command::View(command) => view::apply(session, command),
    }
}

/// Stores a worker's answer.
pub(super) fn absorb(session: &mut Session, output: Output) -> Result<()> {
    match output {
        Output::Admitted(admitted) => privacy::admitted(session, *admitted),
        Output::TriedOut(tried) => session.store.training.keep_tried(tried),
        Output::TrainedByClients(trained) => train::trained_by_clients(session, trained),
        Output::Compressed(compressed) => inspect::compressed(session, compressed),
        Output::Attacked(attacked) => session.store.inspect.attacked = Some(attacked),
        Output::Averaged(averaged) => inspect::averaged(session, *averaged),
        Output::Copy(round) => copy::written(session, *round)?,
        Output::ByModel(wrote) => copy_model::wrote(session, *wrote),
        Output::TuningLookedAt(cost) => session.store.copy.writer.cost = Some(*cost),
        Output::ModelLookedAt(path, file) => copy_model::looked_at(session, &path, file),
        Output::OnPages(put) => copy_market::put(session, *put)?,
        Output::TunedWriter(tuned) => copy_model::tuned(session, *tuned),
        Output::TagsLearnt(learnt) => session.store.copy.tags = Some(learnt.map(std::sync::Arc::new)),
        Output::PictureSeen(seen) => session.store.copy.picture = Some(std::sync::Arc::new(*seen)),
        Output::MeaningsRead(read) => copy::encoder_read(session, *read),
        Output::CopyFound(found) => session.store.copy.found = Some(found.map(std::sync::Arc::new)),
        Output::Tried(tried) => session.store.copy.tried = Some(*tried),
        Output::Library(done) => copy::worked(session, *done)?,
        Output::Compared(compared) => inspect::compared(session, compared),
        Output::Ranked(ranked) => session.store.inspect.ranked = Some(ranked),
        Output::Retrieved(retrieved) => session.store.inspect.retrieved = Some(retrieved),
        Output::Shortlisted(listed) => session.store.inspect.shortlisted = Some(listed),
        Output::Predicted(predicted) => session.store.inspect.predicted = Some(predicted),
        Output::Reasons(reasons) => session.store.inspect.reasons = Some(reasons),
        Output::Drawn(drawn) => session.store.inspect.drawn = Some(drawn),
        Output::Encoded(encoded) => data::encoded(session, *encoded)?,
        Output::Erased(gone) => privacy::erased(session, gone)?,
        Output::Evaluated(evaluated) => inspect::evaluated(session, *evaluated),
        Output::Beside(beside) => session.store.inspect.beside = Some(beside),
        Output::ByColumn(told) => session.store.inspect.by_column = Some(told),
        Output::Inside(seen) => session.store.inspect.inside = Some(seen),
        Output::Heads(seen) => session.store.inspect.heads = Some(seen),
        Output::TextHeads(seen) => session.store.copy.heads = Some(seen),
        Output::Explained(explained) => inspect::explained(session, *explained),
        Output::Followed(followed) => follow::followed(session, *followed)?,
        Output::Imported(imported) => data::imported(session, *imported)?,
        Output::FieldTried(tried) => session.store.inspect.field_tried = Some(tried),
        Output::Exposure(answer) => session.store.inspect.exposure = Some(answer),
        Output::Fairness(answer) => session.store.inspect.fairness = Some(answer),
        Output::Alike(found) => session.store.inspect.alike = Some(found),
        Output::Regions(found) => session.store.inspect.regions = Some(found),
        Output::Sliced(sliced) => session.store.inspect.sliced = Some(sliced),
        Output::Scenario(done) => scenarios::done(session, *done),
        Output::Simulated(simulated) => market::absorb(session, simulated),
        Output::Tested(answer) => segment::compared(session, *answer),
        Output::Drifted(answer) => segment::drifted(session, *answer),
        Output::Values(values) => segment::listed(session, *values),
        Output::Marked(marked) => segment::marked(session, marked),
        Output::Found(answer) => segment::found(session, *answer),
        Output::Reported(reported) => privacy::reported(session, *reported),
        Output::Segments(answer) => segment::counted(session, *answer),
        Output::Searched(searched) => train::searched(session, searched),
        Output::LearntOnline(learnt) => train::learnt_online(session, learnt),
        Output::ModelOpened(model, folder) => train::opened(session, model, folder),
        Output::ModelSaved(folder) => train::saved(session, folder),
        Output::Trained(trained) => train::trained(session, *trained)?,
        Output::LookedUp(found) => rows::looked_up(session, *found),
        Output::Ordered(ordered) => rows::ordered(session, *ordered),
        Output::Page(page) => rows::read(session, *page),
        Output::Weighed(answer) => evidence::weighed(session, *answer),
        Output::Written(said) => session.notices.done(said),
        Output::Projected(projected) => inspect::projected(session, *projected),
        Output::EpochsDrawn => {}
        Output::Described(described) => session.store.inspect.described = Some(described),
    }
    Ok(())
}
