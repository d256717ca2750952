//! What is a way to draw a map, and which are there?

use super::crowd;
use super::methods::{by_target::ByTarget, pca::Pca, tsne::Tsne, umap::Umap, umap::place_between};
use super::pca::Components;
use super::points::Points;
use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use std::fmt::Debug;

/// The ways, in the order in which a person meets them. A new one is one file and one line here.
pub const METHODS: [&dyn MapMethod; 4] = [&Pca, &Tsne, &Umap, &ByTarget];

/// A way to draw a map.
pub trait MapMethod: Sync + Debug {
    /// Stable name in files and on the command line.
    fn id(&self) -> &'static str;

    /// The words in the window.
    fn title(&self) -> &'static str;

    /// One sentence: what its distances mean.
    fn summary(&self) -> &'static str;

    /// Its knobs.
    fn params(&self) -> &'static [ParamSpec];

    /// True when it takes a number for each point.
    fn needs_target(&self) -> bool {
        false
    }

    /// The fewest points that it can be drawn of.
    fn fewest(&self) -> usize;

    /// True when it asks how far points are apart, which the inner product does not say.
    fn needs_distance(&self) -> bool {
        false
    }

    /// Draws the map; `show` gets every state worth seeing, some times a second.
    ///
    /// # Errors
    /// Points of which no such map can be drawn, told why; a cancel.
    fn draw(
        &self,
        request: &MapRequest<'_>,
        show: &mut dyn FnMut(Frame),
        context: &JobContext,
    ) -> Result<MapState> {
        if self.needs_distance() && !request.points.is_distance() {
            let why = format!("{} needs a distance, and the inner product is none", self.title());
            return Err(
                Failure::new("cannot draw the map", why).hint("choose the Euclidean distance or the cosine")
            );
        }
        let n = request.points.len();
        if n < self.fewest() {
            let why = format!("{} takes at least {} points, and there are {n}", self.title(), self.fewest());
            return Err(Failure::new("cannot draw the map", why).hint("choose principal components"));
        }
        match self.most_walking(request.params)? {
            Some(most) if (self.fewest()..n).contains(&most) => {
                crowd::draw(self, request, most, show, context)
            }
            _ => self.make(request, show, context),
        }
    }

    /// How many points are moved, pass by pass; the others are placed between those. `None` where none is or all are.
    ///
    /// # Errors
    /// A knob that is not a number.
    fn most_walking(&self, _params: &Params) -> Result<Option<usize>> {
        Ok(None)
    }

    /// As [`draw`](Self::draw), of points that are enough and have the distance that is needed.
    ///
    /// # Errors
    /// As there.
    fn make(
        &self,
        request: &MapRequest<'_>,
        show: &mut dyn FnMut(Frame),
        context: &JobContext,
    ) -> Result<MapState>;
}

/// What is to be drawn.
#[derive(Debug, Clone, Copy)]
pub struct MapRequest<'a> {
    /// The points.
    pub points: &'a Points,
    /// A number for each point, NaN where it is not known.
    pub target: Option<&'a [f32]>,
    /// Two or three dimensions.
    pub dimensions: usize,
    /// The method's knobs.
    pub params: &'a Params,
    /// Start of all draws.
    pub seed: u64,
}

/// A map while it is made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    /// Where each point is; the third number is 0 in two dimensions.
    pub places: Vec<[f32; 3]>,
    /// Passes made.
    pub done: usize,
    /// Passes to be made.
    pub total: usize,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapState {
    /// Where each point is; the third number is 0 in two dimensions.
    pub places: Vec<[f32; 3]>,
    /// What has to be known to read it: how neighbours were found, what was left out.
    pub notes: Vec<String>,
    /// The axes, where they are directions in the space of the points: a point from outside is placed by them.
    pub axes: Option<Components>,
}

impl MapState {
    /// Where a vector that is not among the points belongs: by the axes where the map has any, else between its nearest
    /// neighbours, each weighed by its tie.
    pub fn place(&self, points: &Points, vector: &[f32]) -> [f32; 3] {
        let Some(axes) = &self.axes else {
            return place_between(points, &self.places, vector);
        };
        let mut place = axes.project::<3>(&points.prepare(vector));
        let flat = self.places.iter().all(|place| place[2] == 0.0);
        if flat {
            place[2] = 0.0;
        }
        place
    }
}

/// The method of that name.
///
/// # Errors
/// There is none; those that exist are listed.
pub fn find(id: &str) -> Result<&'static dyn MapMethod> {
    METHODS.into_iter().find(|method| method.id() == id).ok_or_else(|| {
        let known: Vec<_> = METHODS.iter().map(|method| method.id()).collect();
        Failure::new("cannot draw the map", format!("there is no method '{id}'"))
            .hint(format!("one of: {}", known.join(", ")))
    })
}

/// Three numbers for a place of two or three.
pub(super) fn in_space<const D: usize>(place: &[f32; D]) -> [f32; 3] {
    let mut all = [0.0; 3];
    all.iter_mut().zip(place).for_each(|(to, from)| *to = *from);
    all
}

/// A frame of places of any dimension.
pub(super) fn frame<const D: usize>(places: &[[f32; D]], done: usize, total: usize) -> Frame {
    Frame { places: places.iter().map(in_space).collect(), done, total }
}
