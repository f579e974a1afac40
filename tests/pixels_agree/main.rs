//! The window, `microtome snapshot` and `microtome export --rendered` show the same pixels.
//!
//! Images with known samples are written as TIFF and opened through the real engine: by the whole window off screen, and by
//! the program's own binary.
//! Where there is no graphics adapter the tests say so and check nothing.

#[path = "../render_gpu/cpu.rs"]
mod cpu;
mod dots;
mod exports;
mod hand;
mod noise;
mod rig;
mod scale_bar;
