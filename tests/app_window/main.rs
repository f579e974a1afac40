//! The whole window, off screen: what it does and how it looks.

mod behaviour;
mod screens;
mod support;
