//! What all pictures are drawn with: colours, shapes, soft masks, noise, and brushes.
//!
//! Lengths and places are in units of the finished picture's pixels; a [`canvas::Canvas`] holds several samples
//! a pixel and averages them at the end, so that nothing else has to care for smooth edges.

pub(crate) mod canvas;
pub(crate) mod chance;
pub(crate) mod colour;
pub(crate) mod layer;
pub(crate) mod mask;
pub(crate) mod painterly;
pub(crate) mod shape;
