//! What is one layer of a Transformer? Attention and a small network, each with a way past it and a normalisation.

use super::heads::SelfAttention;
use super::linear::Linear;
use super::normalise::layer_norm;
use super::weights::{Builder, Init};
use super::{Computed, Pass};
use crate::base::Result;
use candle_core::Tensor;

/// Slope of leaky relu below 0, as PyTorch and TensorFlow have it by default in such layers.
const LEAK: f64 = 0.01;
/// The inner layer is so many times as wide as the members.
const INNER: usize = 4;

/// An encoder layer with the normalisation after each part (Vaswani et al. 2017) and leaky relu inside, as in BST
/// (Chen et al. 2019, equations 5 and 6).
#[derive(Debug)]
pub struct TransformerLayer {
    name: String,
    heads: SelfAttention,
    joined: Linear,
    inner: Linear,
    outer: Linear,
    /// Gain and bias.
    norms: [(Tensor, Tensor); 2],
}

impl TransformerLayer {
    /// Draws a layer for members of `width` numbers; `heads` divides `width`.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn new(builder: &mut Builder, name: &str, width: usize, heads: usize) -> Result<Self> {
        let mut norm = |place: usize| -> Result<(Tensor, Tensor)> {
            Ok((
                builder.parameter(&format!("{name}.norm.{place}.gain"), &[width], Init::Constant(1.0))?,
                builder.parameter(&format!("{name}.norm.{place}.bias"), &[width], Init::Constant(0.0))?,
            ))
        };
        let norms = [norm(0)?, norm(1)?];
        let shape = (heads, width / heads);
        Ok(Self {
            name: name.to_owned(),
            heads: SelfAttention::new(builder, &format!("{name}.heads"), width, shape, true)?.telling(),
            joined: builder.linear(&format!("{name}.joined"), width, width)?,
            inner: builder.linear(&format!("{name}.inner"), width, INNER * width)?,
            outer: builder.linear(&format!("{name}.outer"), INNER * width, width)?,
            norms,
        })
    }

    /// The same with [attention that looks back](SelfAttention::looking_back).
    #[must_use]
    pub fn looking_back(self) -> Self {
        Self { heads: self.heads.looking_back(), ..self }
    }

    /// `[rows, members, width]` -> the same shape, and what member 0 looked at, as in [`SelfAttention::forward`].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        lengths: &[u32],
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Option<Tensor>)> {
        let (rows, members, width) = x.dims3()?;
        let (answers, weights) = self.heads.forward(x, lengths, pass)?;
        let flat = |x: &Tensor| x.reshape((rows * members, width));
        let [first, second] = &self.norms;
        let x = (flat(x)? + self.joined.forward(&flat(&answers)?)?)?;
        let x = layer_norm(&x, &first.0, &first.1)?;
        let inner = self.inner.forward(&x)?;
        // Leaky relu: max(x, 0) + leak min(x, 0).
        let inner = ((inner.relu()? * (1.0 - LEAK))? + (inner * LEAK)?)?;
        let x = (&x + self.outer.forward(&inner)?)?;
        let x = layer_norm(&x, &second.0, &second.1)?.reshape((rows, members, width))?;
        pass.value(&self.name, &x);
        Ok((x, weights))
    }
}
