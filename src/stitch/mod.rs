//! Alignment: the shift of each overlap, and the positions that agree with all of them.
//!
//! ```text
//! neighbours of unknown overlap --overlap--> nominal layout
//! strips of two fields --pair--> outcome of one overlap --+
//! strips that cannot overlap --null--> threshold ---------+--solve--> positions --report
//! ```
//!
//! Everything here is a pure function over plain values: no file, no thread, no clock.
//! Callers read strips, run [`pair::measure`] on as many workers as they like, and give all outcomes to
//! [`solve::solve`], which sorts them first; so the result does not depend on the number of workers.

pub mod coarse;
pub mod correlate;
pub mod filter;
pub mod fine;
pub mod graph;
pub mod null;
pub mod overlap;
pub mod pair;
pub mod report;
pub mod solve;
pub mod sparse;
pub mod stage;
pub mod strip;
