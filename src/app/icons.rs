//! The icons of the window: characters of the Phosphor font in `assets/fonts`.
//!
//! `assets/fonts/make_fonts.py` reads this file to know which icons the font must hold.

/// Turn, for the rotation control.
pub const ROTATE: &str = "\u{E036}";
/// Mirror left and right.
pub const FLIP: &str = "\u{ED6A}";
/// More choices.
pub const MORE: &str = "\u{E1FE}";
/// A picture file.
pub const FILE: &str = "\u{EA24}";
/// A folder.
pub const FOLDER: &str = "\u{E256}";
/// The synthetic picture that comes with the program.
pub const DEMO: &str = "\u{E79E}";
/// Where files are dropped.
pub const DROP: &str = "\u{E010}";
/// A picture that is not there yet.
pub const PICTURE: &str = "\u{E2CA}";
/// Search.
pub const SEARCH: &str = "\u{E30C}";
/// Something to know about.
pub const WARNING: &str = "\u{E4E0}";
/// Something that failed.
pub const ERROR: &str = "\u{E4E2}";
/// Close or cancel.
pub const CLOSE: &str = "\u{E4F6}";
/// No, this is wrong.
pub const REJECT: &str = "\u{E3DE}";
/// Yes, this is right.
pub const CHECK: &str = "\u{E182}";
