//! One open image: where we look, and how its channels are shown.

use super::command::{ImageId, ViewMove};
use super::mosaic::MosaicView;
use super::preferences::{SavedChannel, SavedImage};
use crate::engine::{ChannelStatistics, OpenedSet, SampleSource, Window};
use crate::geom::{Point, Size};
use crate::mosaic::MOSAIC;
use crate::pixels::{TileFormat, ValueCoding};
use crate::pyramid::{Calibration, ChannelInfo, ChannelRole, ImageInfo, PlaneId};
use crate::view::{
    Camera, ChannelDisplay, DisplaySettings, MagnifyFilter, ZoomLimits, magnification, zoom_for_magnification,
};
use std::sync::Arc;

/// Channels that are on when an image with many opens: more at once is a muddle of colours.
const CHANNELS_ON_AT_FIRST: usize = 4;
/// A channel is shown without a measured range after this long, so that an image is never dark for want of one.
pub const WINDOW_PATIENCE_SECS: f64 = 2.0;
/// How long the one refinement of an automatic range takes, so that nobody sees it jump.
const WINDOW_GLIDE_SECS: f64 = 0.6;
/// Whether the view follows the window's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The whole image, refitted whenever the canvas changes.
    Fit,
    /// Where the user put it.
    Free,
}

/// Where a channel's range comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowOrigin {
    /// The channel waits for its first automatic range and is not drawn yet; since when, in seconds.
    Waiting(f64),
    /// The full range of its type.
    Full,
    /// Automatic, from a first sample.
    FirstSample,
    /// On its way from the first sample's range to the settled one.
    Gliding {
        /// The range it left.
        from: Window,
        /// The range it goes to.
        to: Window,
        /// When it left, in seconds.
        since: f64,
    },
    /// Automatic, and final.
    Settled,
    /// Set by the user.
    User,
}

/// How one channel is shown.
#[derive(Debug, Clone)]
pub struct ChannelView {
    /// Its number in the image.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// How its tiles are stored.
    pub format: TileFormat,
    /// Whether it is switched on.
    pub visible: bool,
    /// Its colour at the top of its range.
    pub color: [u8; 3],
    /// What is black and what is full colour, in stored values.
    pub window: Window,
    /// Where that range comes from.
    pub origin: WindowOrigin,
    /// The greatest stored value its file can hold.
    pub full_range: f32,
    /// What the engine found out.
    pub statistics: Option<Arc<ChannelStatistics>>,
    /// The round (staining cycle) it was taken in, from 0.
    pub round: u16,
    /// Whether that round is shown: of a mosaic with several one is shown at a time.
    pub round_shown: bool,
}

impl ChannelView {
    fn new(index: u16, info: &ChannelInfo, display: ChannelDisplay, visible: bool, now_secs: f64) -> Self {
        let waits = info.format == TileFormat::Gray16;
        Self {
            index,
            name: info.name.clone(),
            format: info.format,
            visible,
            color: display.color,
            window: Window { min: display.min, max: display.max },
            origin: if waits { WindowOrigin::Waiting(now_secs) } else { WindowOrigin::Full },
            full_range: display.max,
            statistics: None,
            round: 0,
            round_shown: true,
        }
    }

    /// Whether it is drawn now.
    pub fn is_shown(&self) -> bool {
        self.visible && self.round_shown && !self.waits()
    }

    /// Whether it still waits for its first range.
    pub fn waits(&self) -> bool {
        matches!(self.origin, WindowOrigin::Waiting(_))
    }

    /// The greatest stored value that the histogram's bins reach.
    pub fn full_range_of_bins(&self) -> f32 {
        self.statistics.as_ref().map_or(255.0, |s| (s.histogram.len() as u32 * s.bin_values) as f32 - 1.0)
    }

    /// How stored values become the file's.
    pub fn coding(&self) -> ValueCoding {
        self.statistics.as_ref().map_or(ValueCoding::IDENTITY, |s| s.coding)
    }

    /// The range that its data suggests.
    pub fn automatic_window(&self) -> Option<Window> {
        self.statistics.as_ref().map(|s| s.window)
    }

    /// A range inside the type's limits, the right way round, at least one step wide.
    pub fn checked(&self, window: Window) -> Window {
        let finite = |v: f32, instead: f32| if v.is_finite() { v } else { instead };
        let min = finite(window.min, 0.0).clamp(0.0, self.full_range - 1.0);
        let max = finite(window.max, self.full_range).clamp(min + 1.0, self.full_range);
        Window { min, max }
    }

    /// Takes in what the engine found out; `may_refine` is whether the user has touched nothing.
    pub(super) fn statistics_arrived(
        &mut self,
        statistics: Arc<ChannelStatistics>,
        may_refine: bool,
        motion: bool,
        now_secs: f64,
    ) {
        let target = self.checked(statistics.window);
        let settled = statistics.settled;
        let waited = self.format == TileFormat::Gray16;
        self.statistics = Some(statistics);
        self.origin = match self.origin {
            WindowOrigin::Waiting(_) => {
                self.window = target;
                if settled { WindowOrigin::Settled } else { WindowOrigin::FirstSample }
            }
            WindowOrigin::FirstSample if settled && may_refine && motion => {
                WindowOrigin::Gliding { from: self.window, to: target, since: now_secs }
            }
            WindowOrigin::FirstSample if settled && may_refine => {
                self.window = target;
                WindowOrigin::Settled
            }
            WindowOrigin::FirstSample if settled => WindowOrigin::Settled,
            // It was shown whole because its range was too long in coming.
            WindowOrigin::Full if waited && may_refine && motion && settled => {
                WindowOrigin::Gliding { from: self.window, to: target, since: now_secs }
            }
            WindowOrigin::Full if waited && may_refine => {
                self.window = target;
                if settled { WindowOrigin::Settled } else { WindowOrigin::FirstSample }
            }
            other => other,
        };
    }

    /// Moves a gliding range on, and ends a wait that took too long. True while there is more to come.
    pub(super) fn advance(&mut self, now_secs: f64) -> bool {
        match self.origin {
            WindowOrigin::Waiting(since) => {
                if now_secs - since >= WINDOW_PATIENCE_SECS {
                    self.origin = WindowOrigin::Full;
                    return false;
                }
                true
            }
            WindowOrigin::Gliding { from, to, since } => {
                let t = ((now_secs - since) / WINDOW_GLIDE_SECS).clamp(0.0, 1.0) as f32;
                let ease = t * t * (3.0 - 2.0 * t);
                let mix = |a: f32, b: f32| a + (b - a) * ease;
                self.window = Window { min: mix(from.min, to.min), max: mix(from.max, to.max) };
                if t >= 1.0 {
                    self.origin = WindowOrigin::Settled;
                }
                t < 1.0
            }
            _ => false,
        }
    }
}

/// The file's values at one pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOut {
    /// Column of level 0.
    pub x: u32,
    /// Row of level 0.
    pub y: u32,
    /// Values by channel: one, or three of a colour image.
    pub values: Vec<(u16, Vec<f64>)>,
    /// Of a mosaic: the field that they are of, and the corrected values where illumination is evened out.
    pub source: Option<SampleSource>,
}

/// One open image.
#[derive(Debug, Clone)]
pub struct OpenImage {
    /// Which one.
    pub id: ImageId,
    /// The set it belongs to.
    pub set: Arc<OpenedSet>,
    /// Where we look.
    pub camera: Camera,
    /// Whether the view follows the window's size.
    pub framing: Framing,
    /// The channels that the user switches.
    pub channels: Vec<ChannelView>,
    /// The focus position shown.
    pub z: u16,
    /// The time point shown.
    pub t: u16,
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// How that is known.
    pub calibration: Calibration,
    /// The values under the pointer, once they are read.
    pub read_out: Option<ReadOut>,
    /// Whether the user changed how channels are shown.
    pub display_touched: bool,
    /// What there is to a mosaic, where it is one.
    pub mosaic: Option<MosaicView>,
}

impl OpenImage {
    pub(super) fn new(set: &Arc<OpenedSet>, field: u32, now_secs: f64) -> Option<Self> {
        let info = set.info(field)?;
        let listed: Vec<(usize, &ChannelInfo)> =
            info.channels.iter().enumerate().filter(|(_, c)| c.role == ChannelRole::Intensity).collect();
        let display = DisplaySettings::of(info).channels;
        let channels = listed
            .iter()
            .enumerate()
            .map(|(place, (index, c))| {
                let visible = listed.len() <= CHANNELS_ON_AT_FIRST + 2 || place < CHANNELS_ON_AT_FIRST;
                ChannelView::new(*index as u16, c, display[*index], visible, now_secs)
            })
            .collect();
        let mut image = Self {
            id: ImageId { set: set.id, field },
            set: set.clone(),
            camera: Camera::fitted(info.size, Size::new(1, 1), 1.0),
            framing: Framing::Fit,
            channels,
            z: info.z_count / 2,
            t: 0,
            um_per_px: None,
            calibration: Calibration::Unknown,
            read_out: None,
            display_touched: false,
            mosaic: MosaicView::new(set).filter(|_| field == MOSAIC),
        };
        if let Some(view) = &image.mosaic {
            let rounds = view.set.clone();
            image.channels.iter_mut().for_each(|c| c.round = rounds.round_of(c.index));
            let round = view.round;
            image.show_round(round);
        }
        image.set_pixel_size(info.um_per_px, info.calibration);
        Some(image)
    }

    /// What the file says about it; of a mosaic, how it stands now.
    pub fn info(&self) -> &ImageInfo {
        match &self.mosaic {
            Some(view) => &view.state.info,
            None => &self.set.images[self.id.field as usize],
        }
    }

    /// Shows the channels of one round; those of others wait.
    pub(super) fn show_round(&mut self, round: u16) {
        let Some(view) = self.mosaic.as_mut().filter(|view| round < view.set.rounds()) else { return };
        view.round = round;
        self.channels.iter_mut().for_each(|c| c.round_shown = c.round == round);
    }

    /// Keeps the view in place after the canvas or the image's extent changed.
    pub(super) fn reframe(&mut self, canvas: Size) {
        match self.framing {
            Framing::Fit => self.camera = self.fitted(self.camera, canvas),
            Framing::Free => self.camera.clamp(self.info().size, canvas),
        }
    }

    /// A camera that shows the whole image: of a mosaic the part of its frame that holds fields.
    pub fn fitted(&self, mut camera: Camera, canvas: Size) -> Camera {
        let whole = self.whole();
        camera.fit(Size::new(whole.width, whole.height), canvas);
        camera.center = camera.center + self.corner();
        camera
    }

    /// Whether it is a colour image: one channel of red, green and blue.
    pub fn is_rgb(&self) -> bool {
        self.channels.first().is_some_and(|c| c.format == TileFormat::Rgb8)
    }

    /// Its name: the image's own, and the file's where a set holds one image.
    pub fn name(&self) -> String {
        if let Some(view) = &self.mosaic {
            return view.set.fields.name.clone();
        }
        let file = self.set.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let own = &self.info().name;
        if self.set.images.len() == 1 || own.is_empty() { file } else { own.clone() }
    }

    /// The planes that are switched on.
    pub fn visible_planes(&self) -> Vec<PlaneId> {
        self.channels.iter().filter(|c| c.visible && c.round_shown).map(|c| self.plane(c.index)).collect()
    }

    /// The plane of a channel at the focus position and time point shown.
    pub fn plane(&self, channel: u16) -> PlaneId {
        PlaneId { field: self.id.field, channel, z: self.z, t: self.t }
    }

    /// The channel with a number of the image.
    pub fn channel(&self, index: u16) -> Option<&ChannelView> {
        self.channels.iter().find(|c| c.index == index)
    }

    pub(super) fn channel_mut(&mut self, index: u16) -> Option<&mut ChannelView> {
        self.channels.iter_mut().find(|c| c.index == index)
    }

    /// The magnification of a view; `None` where the pixel size is not known.
    pub fn magnification(&self, camera: &Camera) -> Option<f64> {
        self.um_per_px.map(|um| magnification(um[0], camera.zoom))
    }

    /// How far the view may zoom on a canvas of this size in physical pixels.
    pub fn zoom_limits(&self, canvas: Size) -> ZoomLimits {
        ZoomLimits::of(self.info().size, canvas, self.camera.pixel_aspect)
    }

    /// How the renderer shows it.
    pub fn display_settings(&self, background: [u8; 3], filter: MagnifyFilter) -> DisplaySettings {
        let mut settings = DisplaySettings { background, filter, ..DisplaySettings::of(self.info()) };
        for (index, display) in settings.channels.iter_mut().enumerate() {
            let Some(channel) = self.channel(index as u16) else { continue };
            display.visible = channel.is_shown();
            display.color = channel.color;
            (display.min, display.max) = (channel.window.min, channel.window.max);
        }
        settings
    }

    /// The view after a move from some camera, for a canvas of a size in physical pixels.
    pub fn camera_after(&self, from: Camera, step: ViewMove, canvas: Size) -> (Camera, Framing) {
        let mut camera = from;
        let size = self.info().size;
        match step {
            ViewMove::Fit => return (self.fitted(camera, canvas), Framing::Fit),
            ViewMove::OneToOne => camera.zoom = 1.0,
            ViewMove::Magnification(times) => {
                if let Some(um) = self.um_per_px {
                    camera.zoom = zoom_for_magnification(um[0], times);
                }
            }
            ViewMove::Scale(scale) => camera.zoom = scale,
            ViewMove::Zoom(doublings) => camera.zoom *= doublings.exp2(),
            ViewMove::Pan(x, y) => {
                camera.pan_by(Point::new(-x * f64::from(canvas.width), -y * f64::from(canvas.height)));
            }
            ViewMove::RotateTo(degrees) => camera.rotation_rad = degrees.rem_euclid(360.0).to_radians(),
            ViewMove::Flip => camera.flip(),
            ViewMove::Upright => (camera.rotation_rad, camera.flipped) = (0.0, false),
            ViewMove::CenterOn(place) => camera.center = place,
            ViewMove::Frame(part) => {
                let px = |v: f64| v.max(1.0).ceil() as u32;
                camera.fit(Size::new(px(part.width()), px(part.height())), canvas);
                camera.center = part.center();
            }
        }
        camera.clamp(size, canvas);
        let turned = matches!(step, ViewMove::RotateTo(_) | ViewMove::Flip | ViewMove::Upright);
        if turned && self.framing == Framing::Fit {
            return (self.fitted(camera, canvas), Framing::Fit);
        }
        (camera, Framing::Free)
    }

    pub(super) fn set_pixel_size(&mut self, um_per_px: Option<[f64; 2]>, calibration: Calibration) {
        self.um_per_px = um_per_px;
        self.calibration = if um_per_px.is_some() { calibration } else { Calibration::Unknown };
        self.camera.pixel_aspect = um_per_px.map_or(1.0, |um| um[1] / um[0]);
    }

    pub(super) fn to_saved(&self) -> SavedImage {
        SavedImage {
            channels: self
                .channels
                .iter()
                .map(|c| SavedChannel {
                    visible: c.visible,
                    color: c.color,
                    window: (c.origin == WindowOrigin::User).then_some(c.window),
                })
                .collect(),
            um_per_px: self.um_per_px.filter(|_| self.calibration == Calibration::User),
            rotation_deg: self.camera.rotation_rad.to_degrees(),
            flipped: self.camera.flipped,
            last_used: 0,
        }
    }

    pub(super) fn restore(&mut self, saved: &SavedImage) {
        if saved.channels.len() == self.channels.len() {
            for (channel, saved) in self.channels.iter_mut().zip(&saved.channels) {
                channel.visible = saved.visible;
                channel.color = saved.color;
                if let Some(window) = saved.window {
                    channel.window = channel.checked(window);
                    channel.origin = WindowOrigin::User;
                }
            }
        }
        if let Some(um) = saved.um_per_px.filter(|um| is_pixel_size(*um)) {
            self.set_pixel_size(Some(um), Calibration::User);
        }
        if saved.rotation_deg.is_finite() {
            self.camera.rotation_rad = saved.rotation_deg.rem_euclid(360.0).to_radians();
        }
        self.camera.flipped = saved.flipped;
    }
}

/// Whether micrometres a pixel make sense: from an atom to a metre.
pub fn is_pixel_size(um_per_px: [f64; 2]) -> bool {
    um_per_px.iter().all(|um| um.is_finite() && (1e-4..=1e6).contains(um))
}
