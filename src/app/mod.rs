//! The window.
//!
//! A frame goes like this: events from the engine and answers of dialogs are taken in; keys, panels and the canvas push
//! [`Command`]s; the session applies them; what it wants done outside is passed on.
//! Nothing on this thread touches a file or waits.

mod camera_motion;
mod canvas;
mod copying;
mod dialogs;
mod estimating;
mod exporting;
mod field_drag;
mod icons;
mod mosaic_overlay;
mod outlines;
mod outside;
mod overlays;
mod painted;
mod panels;
mod pictures;
mod region_frame;
mod seam_legend;
mod seam_lines;
mod shortcuts;
mod start_screen;
mod status_bar;
mod theme;
mod widgets;
mod window;
mod words;

pub use canvas::offscreen::{Hand, Offscreen};
pub use canvas::patch::{Patch, ScaleBarPatch};
pub use painted::{PaintedPicture, ShownImage, write_jpeg, write_png, write_tiff};
pub use window::run;

use crate::engine::{Engine, Event};
use crate::session::{Command, Entry, ImageId, RightTab, Session};
use crate::view::{DisplaySettings, MagnifyFilter};
use canvas::picture::{Picture, View};
use canvas::{Canvas, Place};
use copying::Copying;
use dialogs::Dialogs;
use egui::{CentralPanel, Frame, Panel, RichText, Ui};
use estimating::Estimating;
use panels::combine::CombineDraft;
use panels::export::ExportDraft;
use panels::mosaic::MosaicDraft;
use panels::pixel_size::PixelSizeDraft;
use pictures::Pictures;
use region_frame::RegionDrag;
use status_bar::Memory;
use std::time::Duration;
use theme::palette;
use widgets::scrolled_ui;

/// The left panel, points.
const LEFT_WIDTH: f32 = 250.0;
/// The right panel, points.
const RIGHT_WIDTH: f32 = 300.0;
/// While something moves: more frames than a fast screen shows would only heat the room.
const FRAME: Duration = Duration::from_millis(7);
/// How often what changes without an event is looked at: memory, time left.
const SLOW_REFRESH: Duration = Duration::from_secs(1);

/// The window's state: the session, and what it is shown with.
pub struct App {
    session: Session,
    engine: Option<Engine>,
    picture: Option<Picture>,
    canvas: Canvas,
    pictures: Pictures,
    dialogs: Dialogs,
    copying: Copying,
    estimating: Estimating,
    commands: Vec<Command>,
    search: String,
    pixel_size: PixelSizeDraft,
    export: ExportDraft,
    mosaic: MosaicDraft,
    combine: CombineDraft,
    region_drag: Option<RegionDrag>,
    memory: Memory,
    shown: Option<ImageId>,
    saves: bool,
}

impl App {
    /// A window in a fresh context. Without an engine nothing opens by itself: a test brings the events.
    /// Without a render state the canvas stays empty.
    pub fn new(ctx: &egui::Context, render_state: Option<&egui_wgpu::RenderState>, engine: Option<Engine>) -> Self {
        crate::store::system::keep_freed_memory();
        theme::install(ctx);
        let mut session = Session::new();
        if let Some(engine) = &engine {
            session.set_folders(outside::folders(engine));
        }
        session.set_command_folder(engine.as_ref().and_then(Engine::cache_folder_to_name));
        Self {
            session,
            engine,
            picture: render_state.map(Picture::new),
            canvas: Canvas::default(),
            pictures: Pictures::default(),
            dialogs: Dialogs::default(),
            copying: Copying::default(),
            estimating: Estimating::default(),
            commands: Vec::new(),
            search: String::new(),
            pixel_size: PixelSizeDraft::default(),
            export: ExportDraft::default(),
            mosaic: MosaicDraft::default(),
            combine: CombineDraft::default(),
            region_drag: None,
            memory: Memory::default(),
            shown: None,
            saves: true,
        }
    }

    /// Leaves the user's settings and recent files as they are, whatever is done here.
    pub fn save_nothing(&mut self) {
        self.saves = false;
    }

    /// What the user has made of it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Does what a user could have asked for: paths of the command line, tests.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Takes in one report of the engine.
    pub fn take_event(&mut self, ctx: &egui::Context, event: Event) {
        match event {
            Event::Tile(tile) => {
                if let Some(picture) = &mut self.picture {
                    picture.tile_arrived(tile);
                }
                return;
            }
            Event::TileFailed { set, key, .. } => {
                if let Some(picture) = &mut self.picture {
                    picture.tile_failed(set, key);
                }
            }
            Event::Thumbnail { path, size, rgba } => {
                self.pictures.thumbnail_arrived(ctx, path, size, &rgba);
                return;
            }
            Event::Associated { set, index, size, rgb } => {
                self.pictures.associated_arrived(ctx, set, index, size, &rgb);
                return;
            }
            _ => {}
        }
        self.session.pump(event);
    }

    /// How much of the picture is there.
    pub fn progress(&self) -> canvas::picture::Progress {
        self.picture.as_ref().map(Picture::progress).unwrap_or_default()
    }

    /// Whether the mosaic on the canvas is drawn from its fields' own tiles, because they move.
    pub fn draws_fields(&self) -> bool {
        self.picture.as_ref().and_then(Picture::drawn_from) == Some(crate::view::DrawnFrom::Fields)
    }

    /// Whether tiles wait for a frame to upload them.
    pub fn has_uploads_waiting(&self) -> bool {
        self.picture.as_ref().is_some_and(Picture::has_uploads_waiting)
    }

    /// One frame.
    pub fn frame_ui(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        let now = ctx.input(|i| i.time);
        self.take_in(&ctx);
        let p = self.session.preferences();
        theme::choose(&ctx, p.theme, p.interface_scale);
        shortcuts::take_shortcuts(&ctx, &self.session, &mut self.commands);
        self.apply_commands();
        let mut again = self.session.advance(now);

        if !self.session.panels_hidden() {
            self.panels_ui(ui);
        }
        again |= CentralPanel::no_frame().show(ui, |ui| self.center_ui(ui)).inner;
        panels::keys::keys_ui(&ctx, &self.session, &mut self.commands);
        self.associated_ui(&ctx);
        if ctx.input(|i| !i.raw.hovered_files.is_empty()) {
            overlays::drop_frame_ui(ui, ctx.content_rect());
        }
        again |= self.apply_commands();
        self.pass_on(&ctx);
        if again {
            ctx.request_repaint_after(FRAME);
        } else if !self.session.jobs().is_empty() || self.session.notice().is_some() {
            ctx.request_repaint_after(SLOW_REFRESH);
        }
    }

    /// Whatever came in since the last frame.
    fn take_in(&mut self, ctx: &egui::Context) {
        if let Some(engine) = &self.engine {
            self.memory.engine = engine.memory();
            for event in engine.events() {
                self.take_event(ctx, event);
            }
        }
        match self.copying.finish(ctx) {
            Some(Ok(())) => self.session.tell("The view is on the clipboard".to_owned()),
            Some(Err(message)) => self.session.pump(Event::Problem { set: None, message }),
            None => {}
        }
        if let Some(engine) = &self.engine {
            self.estimating.advance(&mut self.session, engine, ctx);
        }
        match self.dialogs.chosen() {
            Some(Ok((ask, paths))) => self.commands.extend(outside::answered(ask, paths)),
            Some(Err(message)) => self.session.pump(Event::Problem { set: None, message }),
            None => {}
        }
        let paths: Vec<_> = ctx.input(|i| i.raw.dropped_files.iter().map(|f| f.path().to_owned()).collect());
        if !paths.is_empty() {
            self.commands.push(Command::Open(paths));
        }
        let size = ctx.input(|i| i.viewport().inner_rect).map(|r| r.size() * ctx.zoom_factor());
        if let Some(size) = size.filter(|s| s.x >= 320.0 && s.y >= 320.0) {
            self.session.apply(Command::SetWindowSize([size.x.round(), size.y.round()]));
        }
    }

    /// Applies what was pushed. True when there was anything.
    fn apply_commands(&mut self) -> bool {
        let commands = std::mem::take(&mut self.commands);
        let any = !commands.is_empty();
        for command in commands {
            match command {
                Command::Move(step) => self.canvas.start_move(&mut self.session, step),
                Command::SetCamera(_) => {
                    self.canvas.reset();
                    self.session.apply(command);
                }
                command => self.session.apply(command),
            }
        }
        let shown = self.session.current().map(|i| i.id);
        if shown != self.shown {
            self.shown = shown;
            self.canvas.reset();
            self.search.clear();
        }
        any
    }

    fn panels_ui(&mut self, ui: &mut Ui) {
        let p = palette(ui.visuals());
        let (session, commands) = (&self.session, &mut self.commands);
        let bar = |x, y| Frame::new().fill(p.panel).inner_margin(egui::Margin::symmetric(x, y));
        Panel::top("top").exact_size(40.0).frame(bar(12, 0)).show(ui, |ui| {
            panels::top_bar::top_bar_ui(ui, session, commands);
        });
        Panel::bottom("status").exact_size(28.0).frame(bar(12, 0)).show(ui, |ui| {
            status_bar::status_bar_ui(ui, session, self.memory, commands);
        });
        let starting = session.entries().iter().all(|e| matches!(e, Entry::Failed { .. }));
        if starting && session.problems().is_empty() {
            return;
        }
        Panel::left("left")
            .default_size(LEFT_WIDTH)
            .size_range(180.0..=420.0)
            .frame(bar(theme::PANEL_MARGIN, 12))
            .show(ui, |ui| {
                scrolled_ui(ui, |ui| {
                    panels::images::images_ui(ui, session, &self.pictures, commands);
                    ui.add_space(theme::GROUP);
                    panels::mosaic::summary_ui(ui, session, commands);
                    panels::details::details_ui(ui, session, commands);
                    ui.add_space(theme::GROUP);
                    panels::problems::problems_ui(ui, session, commands);
                });
            });
        if starting {
            return;
        }
        Panel::right("right")
            .default_size(RIGHT_WIDTH)
            .size_range(240.0..=480.0)
            .frame(bar(theme::PANEL_MARGIN, 8))
            .show(ui, |ui| {
                if session.export().is_some() {
                    return panels::export::export_ui(ui, session, &mut self.export, commands);
                }
                tabs_ui(ui, session, commands);
                ui.add_space(4.0);
                scrolled_ui(ui, |ui| match shown_tab(session) {
                    RightTab::Channels => panels::channels::channels_ui(ui, session, commands),
                    RightTab::Mosaic => panels::mosaic::mosaic_ui(ui, session, &mut self.mosaic, commands),
                    RightTab::Metadata => panels::metadata::metadata_ui(ui, session, &mut self.search, commands),
                });
            });
    }

    /// The canvas, or what is there while nothing is open. True while another frame is needed.
    fn center_ui(&mut self, ui: &mut Ui) -> bool {
        let rect = ui.available_rect_before_wrap();
        if self.session.current().is_none() {
            return self.nothing_open_ui(ui, rect);
        }
        let place = Place::of(rect, ui.pixels_per_point());
        self.session.set_canvas(place.size);
        self.session.set_pixels_per_point(ui.pixels_per_point());
        self.canvas.advance(&mut self.session);
        self.canvas.input_ui(ui, place, &mut self.session);

        let now = self.session.now_secs();
        let Some(image) = self.session.current() else { return false };
        let preferences = self.session.preferences();
        let background = preferences.background.color(image.is_rgb());
        let filter = preferences.magnify_filter();
        let display = display_of(image, background, filter);
        let overview = preferences.overview.then(|| overlays::overview_place(place, image)).flatten();
        let mut again = self.canvas.is_moving();
        let [r, g, b] = background;
        if let Some(picture) = &mut self.picture {
            again |= picture.upload(now, &image.camera);
            let view = View {
                image,
                display: &display,
                camera: &image.camera,
                canvas: place.size,
                overview: overview.as_ref().map(|(map, camera)| (*camera, map.size)),
                speed: self.canvas.speed(),
                motion: preferences.motion,
                fade_secs: picture.fade_secs(preferences.motion),
            };
            let prepared = picture.prepare(&view, now);
            if let Some(after) = prepared.again {
                ui.ctx().request_repaint_after(after.max(FRAME));
            }
            let spent = picture.take_spent();
            if let Some(engine) = &self.engine {
                engine.spend(spent);
            }
            if let (Some(engine), Some(wanted)) = (&self.engine, prepared.wanted) {
                engine.want(wanted.set, wanted.generation, wanted.wishes, wanted.prefetch);
            }
            picture.paint_main(ui.painter(), place.rect);
            self.memory.gpu_bytes = picture.memory_bytes();
            if picture.progress().covered < 0.01 {
                let ink = overlays::Ink::on(background);
                overlays::message_ui(ui, place.rect, "Reading the first picture…", &image.name(), ink);
            }
        } else {
            ui.painter().rect_filled(place.rect, 0.0, egui::Color32::from_rgb(r, g, b));
        }
        let ink = overlays::Ink::on(background);
        region_frame::region_frame_ui(ui, place, &self.session, &mut self.region_drag, ink, &mut self.commands);
        overlays::scale_bar_ui(ui, place, image.um_per_px.map(|um| um[0]), image.camera.zoom, ink);
        let picture = self.picture.as_ref();
        mosaic_overlay::mosaic_overlay_ui(ui, place, image, picture, ink, &mut self.commands);
        overlays::known_length_ui(ui, place, &self.session, ink);
        if let Some((map, camera)) = overview {
            self.commands.extend(overlays::overview_ui(ui, place, map, &camera, image, picture, ink));
        }
        let (session, commands) = (&self.session, &mut self.commands);
        panels::combine::combine_ui(ui.ctx(), place.rect, session, &mut self.combine, commands);
        panels::pixel_size::pixel_size_ui(
            ui.ctx(),
            place.rect,
            &self.session,
            &mut self.pixel_size,
            &mut self.commands,
        );
        again
    }

    fn nothing_open_ui(&mut self, ui: &mut Ui, rect: egui::Rect) -> bool {
        let sunken = palette(ui.visuals()).sunken;
        ui.painter().rect_filled(rect, 0.0, sunken);
        let opening = self.session.entries().iter().find_map(|e| match e {
            Entry::Opening(path) => Some(panels::images::file_name(path)),
            _ => None,
        });
        match opening {
            Some(name) => {
                let p = palette(ui.visuals());
                ui.centered_and_justified(|ui| ui.label(RichText::new(format!("Opening {name}…")).color(p.secondary)));
            }
            None => {
                start_screen::start_screen_ui(ui, &self.session, &self.pictures, &mut self.commands);
            }
        }
        false
    }

    /// An associated picture of the slide, in a small window of its own.
    fn associated_ui(&mut self, ctx: &egui::Context) {
        let (Some(index), Some(image)) = (self.session.associated_shown(), self.session.current()) else { return };
        let Some(info) = image.set.associated.get(index) else { return };
        let mut open = true;
        egui::Window::new(&info.name).open(&mut open).default_width(360.0).show(ctx, |ui| {
            match self.pictures.associated(image.id.set, index) {
                Some(texture) => {
                    let name = format!("Picture: {}", info.name);
                    ui.add(egui::Image::new(texture).max_width(ui.available_width()).alt_text(name));
                }
                None => {
                    ui.label("Reading…");
                }
            }
        });
        if !open {
            self.commands.push(Command::ShowAssociated(None));
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.frame_ui(ui);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        palette(visuals).panel.to_normalized_gamma_f32()
    }

    fn persist_egui_memory(&self) -> bool {
        false
    }
}

/// The tab that is shown: an image that is whole has none for its fields.
fn shown_tab(session: &Session) -> RightTab {
    let mosaic = session.current().is_some_and(|i| i.mosaic.is_some());
    match session.right_tab() {
        RightTab::Mosaic if !mosaic => RightTab::Channels,
        tab => tab,
    }
}

fn tabs_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let rgb = session.current().is_some_and(|i| i.is_rgb());
    let mosaic = session.current().is_some_and(|i| i.mosaic.is_some());
    let tabs = [
        (RightTab::Channels, if rgb { "Display" } else { "Channels" }),
        (RightTab::Mosaic, "Mosaic"),
        (RightTab::Metadata, "Metadata"),
    ];
    let tabs = tabs.into_iter().filter(|(tab, _)| mosaic || *tab != RightTab::Mosaic);
    ui.horizontal(|ui| {
        let p = palette(ui.visuals());
        ui.spacing_mut().item_spacing.x = if mosaic { 12.0 } else { 16.0 };
        for (tab, name) in tabs {
            let on = shown_tab(session) == tab;
            let text = RichText::new(name).color(if on { p.text } else { p.secondary });
            let response = ui.add(egui::Button::new(text).frame(false));
            if on {
                let line = response.rect.left_bottom() - egui::vec2(0.0, 2.0);
                let mark = egui::Rect::from_min_size(line, egui::vec2(response.rect.width(), 2.0));
                ui.painter().rect_filled(mark, 1.0, p.accent);
            }
            if response.accessible_name(format!("{name} tab")).clicked() {
                commands.push(Command::ShowTab(tab));
            }
        }
        if let Some(image) = session.current().filter(|_| shown_tab(session) == RightTab::Channels) {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                panels::channels::ranges_ui(ui, image, commands);
            });
        }
    });
}

/// How the renderer shows an image. A channel that waits for its first range is asked for and drawn without light, so
/// that nothing flashes up in the wrong brightness.
fn display_of(image: &crate::session::OpenImage, background: [u8; 3], filter: MagnifyFilter) -> DisplaySettings {
    let mut display = image.display_settings(background, filter);
    for channel in image.channels.iter().filter(|c| c.visible && c.waits()) {
        if let Some(shown) = display.channels.get_mut(channel.index as usize) {
            shown.visible = true;
            shown.weight = f32::MIN_POSITIVE;
        }
    }
    display
}
