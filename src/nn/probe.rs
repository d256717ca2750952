//! What happens inside a forward pass, and what would if an attention head were silent?
//!
//! Layers report to the [`Probe`] of a [`Pass::Look`]; in every other pass reporting costs nothing. Each attention weight
//! is multiplied by a gate: 1, or 0 in a silent head. The gradient by a gate of 1 is the weight times the gradient by the
//! weight, which gradient-weighted attention (Chefer et al., ICCV 2021, arXiv 2103.15679) needs.

use super::{Computed, Pass};
use candle_core::{Tensor, Var};

/// Who looks at whom in an attention layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Members {
    /// The fields of a row: categorical ones, the mean of each sequence, numbers.
    #[default]
    Fields,
    /// The ad shown, then the past behaviours of a sequence, oldest first.
    AdThenPast(usize),
    /// The past behaviours of a sequence, newest first.
    NewestFirst(usize),
    /// The ad shown asks; the past behaviours of a sequence, oldest first, are asked.
    PastForAd(usize),
}

/// One attention layer as it was passed.
#[derive(Debug)]
pub struct SeenHeads {
    /// The layer's name among the parameters.
    pub layer: String,
    /// Who is who.
    pub members: Members,
    /// `[rows, heads, questions, members]`: a question's weights sum to 1, or to 0 where it is padding. As they would be
    /// in no head were silent.
    pub weights: Tensor,
    /// Members of each row that are real.
    pub lengths: Vec<u32>,
    /// What `weights` were multiplied by, of the same shape.
    pub gate: Var,
}

/// Trees that are told node by node.
pub const TREES_TOLD: usize = 8;

/// A node of a tree, and the rows that came to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenNode {
    /// What is asked; `None` in a leaf.
    pub feature: Option<usize>,
    /// Rows up to it go to the first node below; what a leaf adds to the log odds.
    pub value: f32,
    /// Places of the nodes below.
    pub below: [usize; 2],
    /// Rows that came here.
    pub rows: u32,
}

/// What a pass is asked to do beside scoring, and what was seen in it.
#[derive(Debug, Default)]
pub struct Probe {
    /// Heads that answer 0, by layer and place.
    pub silent: Vec<(String, usize)>,
    /// Keeps the numbers that leave each layer.
    pub keeps_values: bool,
    /// Attention layers in the order in which they were passed.
    pub heads: Vec<SeenHeads>,
    /// What left each layer, `[rows, ...]`, if it is to be kept.
    pub values: Vec<(String, Tensor)>,
    /// The vectors `[rows, count, width]` whose products two by two are part of the score, of kinds with such.
    pub pairs: Option<Tensor>,
    /// How often each feature is asked for: in all trees, and on the way of each row `[rows, features]`.
    pub cuts: Option<(Vec<f32>, Tensor)>,
    /// The first trees with the rows that came through.
    pub trees: Vec<Vec<SeenNode>>,
    members: Members,
}

impl Probe {
    /// A probe of a pass in which some heads are silent, by layer and place.
    pub fn new(silent: Vec<(String, usize)>, keeps_values: bool) -> Self {
        Self { silent, keeps_values, ..Self::default() }
    }

    /// Takes in the `weights` of a layer and answers them gated.
    fn gated(&mut self, layer: &str, weights: &Tensor, lengths: &[u32]) -> Computed<Tensor> {
        let (rows, heads, questions, members) = weights.dims4()?;
        let cells = questions * members;
        let mut gate = vec![1.0_f32; weights.elem_count()];
        for (at, cells) in gate.chunks_exact_mut(cells.max(1)).enumerate() {
            if self.silent.iter().any(|(name, head)| *head == at % heads && name == layer) {
                cells.fill(0.0);
            }
        }
        let gate = Var::from_vec(gate, (rows, heads, questions, members), weights.device())?;
        let gated = (weights * gate.as_tensor())?;
        self.heads.push(SeenHeads {
            layer: layer.to_owned(),
            members: self.members,
            weights: weights.clone(),
            lengths: lengths.to_vec(),
            gate,
        });
        Ok(gated)
    }
}

impl Pass<'_> {
    /// The probe of a pass that is looked into.
    pub fn probe(&mut self) -> Option<&mut Probe> {
        if let Pass::Look(probe) = self { Some(probe) } else { None }
    }

    /// Says who the members of the attention layers that follow are.
    pub fn looks_among(&mut self, members: Members) {
        if let Some(probe) = self.probe() {
            probe.members = members;
        }
    }

    /// Reports the attention `weights` `[rows, heads, questions, members]` of a layer; answers with what to use for them.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn heads(&mut self, layer: &str, weights: Tensor, lengths: &[u32]) -> Computed<Tensor> {
        match self.probe() {
            Some(probe) => probe.gated(layer, &weights, lengths),
            None => Ok(weights),
        }
    }

    /// Reports what leaves a layer.
    pub fn value(&mut self, layer: &str, value: &Tensor) {
        if let Some(probe) = self.probe().filter(|probe| probe.keeps_values) {
            probe.values.push((layer.to_owned(), value.clone()));
        }
    }

    /// Reports the vectors whose products two by two are part of the score.
    pub fn pairs(&mut self, vectors: &Tensor) {
        if let Some(probe) = self.probe() {
            probe.pairs = Some(vectors.clone());
        }
    }

    /// Reports how often trees ask for each feature: anywhere, and on the way of each row `[rows, features]`.
    pub fn cuts(&mut self, everywhere: Vec<f32>, of_rows: Tensor) {
        if let Some(probe) = self.probe() {
            probe.cuts = Some((everywhere, of_rows));
        }
    }

    /// Reports the first trees.
    pub fn trees(&mut self, trees: Vec<Vec<SeenNode>>) {
        if let Some(probe) = self.probe() {
            probe.trees = trees;
        }
    }

    /// True where nothing is learnt.
    pub fn only_scores(&self) -> bool {
        !matches!(self, Pass::Train(_))
    }
}
