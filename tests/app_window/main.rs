//! The whole window, off screen: what it does and how it looks.

mod behaviour;
mod export_behaviour;
mod mosaic;
mod mosaic_behaviour;
mod screens;
mod screens_of_work;
mod support;
