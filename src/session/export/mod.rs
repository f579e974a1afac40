//! The Export panel: what is to be written, where it has got to, and what it is called.
//!
//! Choices are remembered from one export to the next; the region and the channels belong to the image that is shown.

mod choices;
mod command_line;
mod estimate;
mod plan;

pub use choices::{Compression, ExportChoices, ExportPreset, PictureFormat, PictureSize};
pub use estimate::{ExportEstimate, Packing};
pub use plan::{ExportPlan, ExportWhat, PicturePlan, SamplesPlan};

use super::command::ImageId;
use super::{OpenImage, Request, Session};
use crate::engine::{ExportReport, JobId};
use crate::geom::{PixelRect, Point, Size};
use plan::Screen;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A region is at least so many pixels a side: a handle still fits beside the opposite one.
pub const LEAST_REGION_PX: u32 = 1;

/// What the user asks of the Export panel.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportCommand {
    /// Opens the panel for the image on the canvas, on a preset or on the one that was used last.
    Open(Option<ExportPreset>),
    /// Closes the panel. An export that runs goes on.
    Close,
    /// Changes what is remembered: format, packing, size.
    Choose(ExportChoices),
    /// Sets the region, level-0 pixels.
    SetRegion(PixelRect),
    /// Makes the region what is seen on the canvas.
    RegionOfView,
    /// Takes a channel in, or leaves it out.
    ToggleChannel(u16),
    /// Shows the system's dialog for the file to write.
    AskForFile,
    /// Sets the file to write.
    SetFile {
        /// Where.
        path: PathBuf,
        /// Whether whoever named it agreed already to replace a file of that name, as the system's dialog asks.
        agreed_to_replace: bool,
    },
    /// Starts writing.
    Start,
    /// Starts writing over the file that is there.
    Replace,
    /// Goes back to choosing after an end, good or bad, or a question.
    Again,
    /// Shows the written file in the system's file manager.
    ShowInFolder(PathBuf),
    /// Puts the view on the clipboard, as it is on the canvas.
    CopyView,
    /// Puts the command line that would do the same on the clipboard.
    CopyCommandLine,
}

/// How far the export has got.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportStage {
    /// The user chooses.
    Choosing,
    /// It was handed over, and nothing has been heard of it yet.
    Starting,
    /// A file of that name is there: replace it?
    AskingToReplace,
    /// It is being written.
    Running {
        /// The work, which can be cancelled.
        job: JobId,
        /// When it began, on the window's clock.
        since_secs: f64,
    },
    /// It is written.
    Done {
        /// The file's size.
        bytes: u64,
        /// How long it took.
        secs: f64,
    },
    /// It could not be written; why, in words.
    Failed(String),
}

impl ExportStage {
    /// Whether something is being written.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Starting | Self::Running { .. })
    }
}

/// The Export panel, while it is open.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportPanel {
    /// The image it is about.
    pub image: ImageId,
    /// The region, level-0 pixels, inside [`OpenImage::whole`].
    pub region: PixelRect,
    /// Channels that are left out, by their number.
    pub left_out: BTreeSet<u16>,
    /// The file to write.
    pub path: PathBuf,
    /// Whether the user named the file; otherwise its name follows the choices.
    named: bool,
    /// Whether a file of that name may be replaced.
    may_replace: bool,
    /// How far it has got.
    pub stage: ExportStage,
    /// What packing leaves of the samples, where it was measured, and for which packing.
    measured: Option<(Packing, f64)>,
}

impl ExportPanel {
    /// The channels that are written, in order.
    pub fn channels(&self, image: &OpenImage) -> Vec<u16> {
        // A round that is not registered is never merged with another.
        let shown = image.channels.iter().filter(|c| c.round_shown);
        shown.map(|c| c.index).filter(|c| !self.left_out.contains(c)).collect()
    }
}

impl Session {
    /// The Export panel, while it is open.
    pub fn export(&self) -> Option<&ExportPanel> {
        self.export.as_ref()
    }

    /// What was chosen for exports, this time or the last.
    pub fn export_choices(&self) -> &ExportChoices {
        &self.settings.export
    }

    /// What would be exported now; `None` while the panel is closed or nothing is left to write.
    pub fn export_plan(&self) -> Option<ExportPlan> {
        let panel = self.export.as_ref()?;
        let image = self.images.get(&panel.image)?;
        plan::plan(panel, &self.settings.export, image, &self.screen_of(image))
    }

    /// What the export will come to, roughly.
    pub fn export_estimate(&self, plan: &ExportPlan) -> ExportEstimate {
        let measured = self.export.as_ref().and_then(|panel| panel.measured.as_ref());
        let share = measured
            .filter(|(packing, _)| Packing::of(plan).is_some_and(|now| packing.is_alike(&now)))
            .map(|(_, s)| *s);
        ExportEstimate::of(plan, &self.settings.export, share)
    }

    /// The plan whose packing is to be measured, while the panel waits for that.
    pub fn export_to_measure(&self) -> Option<(Packing, ExportPlan)> {
        let panel = self.export.as_ref().filter(|panel| panel.stage == ExportStage::Choosing)?;
        let plan = self.export_plan()?;
        let packing = Packing::of(&plan)?;
        let known = panel.measured.as_ref().is_some_and(|(measured, _)| measured.holds_for(&packing));
        (!known).then_some((packing, plan))
    }

    /// Takes in what packing leaves of samples.
    pub fn export_measured(&mut self, packing: Packing, share: f64) {
        if let Some(panel) = self.export.as_mut().filter(|_| share.is_finite() && share > 0.0) {
            panel.measured = Some((packing, share));
        }
    }

    /// Says how many physical pixels a point of the interface takes: what is painted over pictures is as large as there.
    pub fn set_pixels_per_point(&mut self, pixels_per_point: f32) {
        self.pixels_per_point = pixels_per_point;
    }

    /// Says which cache folder a command line has to name to find what this run keeps; `None`: none.
    pub fn set_command_folder(&mut self, folder: Option<PathBuf>) {
        self.command_folder = folder;
    }

    /// The command line that does the same as an export now; `None` where nothing would be exported, or where no command
    /// line opens the same: files that the user put together.
    pub fn export_command_line(&self) -> Option<String> {
        let (plan, image) = self.export_plan().zip(self.current())?;
        let is_chosen = image.mosaic.as_ref().is_some_and(|view| view.set.chosen);
        (!is_chosen).then(|| command_line::command_line(&plan, image, self.command_folder.as_deref()))
    }

    /// Whether the region is drawn on the canvas, to be dragged.
    pub fn export_region(&self) -> Option<PixelRect> {
        let panel = self.export.as_ref().filter(|p| Some(p.image) == self.current && !p.stage.is_busy())?;
        self.settings.export.preset.has_region().then_some(panel.region)
    }

    fn screen_of(&self, image: &OpenImage) -> Screen {
        let preferences = self.preferences();
        Screen {
            canvas: self.canvas,
            pixels_per_point: self.pixels_per_point,
            background: preferences.background.color(image.is_rgb()),
            filter: preferences.magnify_filter(),
        }
    }

    pub(super) fn apply_export(&mut self, command: ExportCommand) {
        match command {
            ExportCommand::Open(preset) => self.open_export(preset),
            ExportCommand::Close => self.export = None,
            ExportCommand::Choose(choices) => {
                self.settings.export = choices.checked();
                self.settings_changed = true;
                self.name_export();
            }
            ExportCommand::SetRegion(region) => self.set_export_region(region),
            ExportCommand::RegionOfView => {
                if let Some(region) = self.current().map(|image| seen(image, self.canvas)) {
                    self.set_export_region(region);
                }
            }
            ExportCommand::ToggleChannel(channel) => {
                if let Some(panel) = &mut self.export
                    && !panel.left_out.remove(&channel)
                {
                    panel.left_out.insert(channel);
                }
            }
            ExportCommand::AskForFile => {
                if let Some(panel) = &self.export {
                    self.requests.push(Request::AskForExportFile(panel.path.clone()));
                }
            }
            ExportCommand::SetFile { path, agreed_to_replace } => self.set_export_file(path, agreed_to_replace),
            ExportCommand::Start => self.start_export(false),
            ExportCommand::Replace => self.start_export(true),
            ExportCommand::Again => {
                if let Some(panel) = self.export.as_mut().filter(|p| !p.stage.is_busy()) {
                    panel.stage = ExportStage::Choosing;
                    panel.may_replace = false;
                }
            }
            ExportCommand::ShowInFolder(path) => self.requests.push(Request::ShowInFolder(path)),
            ExportCommand::CopyView => self.copy_view(),
            ExportCommand::CopyCommandLine => {
                let line = self.export_command_line();
                self.requests.extend(line.map(Request::CopyText));
            }
        }
    }

    /// What the engine says of an export.
    pub(super) fn export_reported(&mut self, path: &std::path::Path, report: ExportReport) {
        let (now, plan) = (self.now_secs, self.export_plan());
        if let ExportReport::Done { unreadable_parts: 1.., .. } = report {
            let message = "Some fields could not be read; those parts of the export are empty";
            self.add_problem(None, format!("{message}: {}", path.display()));
        }
        let Some(panel) = self.export.as_mut().filter(|p| p.path == path) else {
            // The panel was closed or is about something else by now: the problems list says what went wrong.
            match report {
                ExportReport::Failed(message) => self.add_problem(None, message),
                ExportReport::Exists => {
                    let message = format!("The export was not begun, a file is already there: {}", path.display());
                    self.add_problem(None, message);
                }
                ExportReport::Started(_) | ExportReport::Cancelled | ExportReport::Done { .. } => {}
            }
            return;
        };
        panel.stage = match report {
            ExportReport::Started(job) => ExportStage::Running { job, since_secs: now },
            ExportReport::Exists => ExportStage::AskingToReplace,
            ExportReport::Cancelled => ExportStage::Choosing,
            ExportReport::Failed(message) => ExportStage::Failed(message),
            ExportReport::Done { bytes, secs, .. } => {
                if let Some(plan) = plan {
                    self.settings.export.remember_speed(&plan, secs);
                    self.settings_changed = true;
                }
                ExportStage::Done { bytes, secs }
            }
        };
        if !panel.stage.is_busy() {
            panel.may_replace = false;
        }
    }

    fn open_export(&mut self, preset: Option<ExportPreset>) {
        let Some(image) = self.current() else { return };
        let size = image.info().size;
        if size.is_empty() {
            return;
        }
        let panel = ExportPanel {
            image: image.id,
            region: middle_of(seen(image, self.canvas)),
            left_out: BTreeSet::new(),
            path: PathBuf::new(),
            named: false,
            may_replace: false,
            stage: ExportStage::Choosing,
            measured: None,
        };
        if self.export.as_ref().is_none_or(|open| open.image != panel.image) {
            self.export = Some(panel);
        }
        if let Some(preset) = preset {
            self.settings.export.preset = preset;
            self.settings_changed = true;
        }
        self.panels_hidden = false;
        self.name_export();
    }

    fn set_export_region(&mut self, region: PixelRect) {
        let whole = self.export.as_ref().and_then(|p| self.images.get(&p.image)).map(OpenImage::whole);
        if let (Some(whole), Some(panel)) = (whole, &mut self.export) {
            panel.region = inside(region, whole);
        }
    }

    /// The frame of a mosaic moved under the region, which stays on what it shows, as far as there are fields.
    pub(super) fn export_reframed(&mut self, image: ImageId, moved: Point) {
        let Some(whole) = self.images.get(&image).map(OpenImage::whole) else { return };
        if let Some(panel) = self.export.as_mut().filter(|panel| panel.image == image) {
            let side = |from: u32, by: f64| (f64::from(from) + by).round().clamp(0.0, f64::from(u32::MAX)) as u32;
            let region =
                PixelRect { x: side(panel.region.x, moved.x), y: side(panel.region.y, moved.y), ..panel.region };
            panel.region = inside(region, whole);
        }
    }

    fn set_export_file(&mut self, path: PathBuf, agreed_to_replace: bool) {
        let Some(panel) = &mut self.export else { return };
        if let Some(folder) = path.parent().filter(|f| f.is_absolute()) {
            self.settings.export.folder = Some(folder.to_owned());
            self.settings_changed = true;
        }
        (panel.path, panel.named, panel.may_replace) = (path, true, agreed_to_replace);
        // A name that says another format chooses that format.
        if self.settings.export.adopt_ending(&panel.path) {
            self.settings_changed = true;
        }
        self.name_export();
    }

    /// The file's name follows what is chosen: all of it until the user names it, then its ending only.
    fn name_export(&mut self) {
        let Some(panel) = &mut self.export else { return };
        let Some(image) = self.images.get(&panel.image) else { return };
        let path = if panel.named {
            plan::with_ending(&panel.path, self.settings.export.ending())
        } else {
            plan::proposed_path(&self.settings.export, &self.folders, &image.set.path, &image.name())
        };
        if path != panel.path {
            panel.path = path;
            panel.may_replace = false;
        }
    }

    fn start_export(&mut self, replace: bool) {
        let Some(plan) = self.export_plan() else { return };
        let Some(panel) = self.export.as_mut().filter(|p| !p.stage.is_busy()) else { return };
        panel.may_replace |= replace;
        panel.stage = ExportStage::Starting;
        self.requests.push(Request::Export(Box::new(ExportPlan { replace: panel.may_replace, ..plan })));
    }

    fn copy_view(&mut self) {
        let Some(image) = self.current() else { return };
        let plan = plan::view_plan(image, &self.screen_of(image));
        self.requests.push(Request::CopyView(Box::new(plan)));
    }
}

/// The whole pixels of an image that are on the canvas; all of it where none is.
fn seen(image: &OpenImage, canvas: Size) -> PixelRect {
    let (size, all) = (image.info().size, image.whole());
    let Some(shown) = image.camera.visible_image_rect(size, canvas) else { return all };
    let whole = |v: f64| v.clamp(0.0, f64::from(u32::MAX)) as u32;
    let (left, top) = (whole(shown.min.x.floor()), whole(shown.min.y.floor()));
    let (right, bottom) = (whole(shown.max.x.ceil()), whole(shown.max.y.ceil()));
    let rect = PixelRect::new(left, top, right.saturating_sub(left), bottom.saturating_sub(top)).intersect(all);
    if rect.is_empty() { all } else { rect }
}

/// The middle half of a rectangle: its handles are at hand.
fn middle_of(rect: PixelRect) -> PixelRect {
    let (w, h) = ((rect.width / 2).max(LEAST_REGION_PX), (rect.height / 2).max(LEAST_REGION_PX));
    PixelRect::new(rect.x + (rect.width - w) / 2, rect.y + (rect.height - h) / 2, w, h)
}

/// A region moved and cut to lie inside all that there is of an image, which is not empty.
fn inside(region: PixelRect, whole: PixelRect) -> PixelRect {
    let w = region.width.clamp(LEAST_REGION_PX.min(whole.width), whole.width);
    let h = region.height.clamp(LEAST_REGION_PX.min(whole.height), whole.height);
    let (x, y) = (region.x.max(whole.x), region.y.max(whole.y));
    PixelRect::new(x.min(whole.right() - w), y.min(whole.bottom() - h), w, h)
}

#[cfg(test)]
mod tests;
