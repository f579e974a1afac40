//! The renderer against a reference that resamples on the CPU, and the GPU cache's promises.
//!
//! Every test makes a device without a window; where there is no adapter it says so and checks nothing.

mod cache;
mod cpu;
mod exact;
mod mosaic;
mod reference;
mod resample;
mod strokes;
