//! What each command does.

use super::command::{Command, ImageId, PixelSizeTool};
use super::image::{Framing, OpenImage, WindowOrigin, is_pixel_size};
use super::preferences::INTERFACE_SCALE;
use super::undo::{Edit, PixelSize};
use super::{Entry, MAX_ENTRIES, Request, Session};
use crate::engine::{OpenAs, Window};
use crate::geom::Point;
use crate::pyramid::{Calibration, SetId};
use std::path::PathBuf;

impl Session {
    /// Does what a command says.
    pub fn apply(&mut self, command: Command) {
        match command {
            Command::Open(paths) => {
                self.show_next = true;
                self.want_open_all(paths);
            }
            Command::AskForFiles => self.requests.push(Request::AskForFiles),
            Command::AskForFolder => self.requests.push(Request::AskForFolder),
            Command::OpenDemo => {
                self.show_next = true;
                self.requests.push(Request::Demo);
            }
            Command::Show(id) => self.show(id),
            Command::Close(set) => self.close(set),
            Command::DismissFailed(path) => {
                self.entries.retain(|e| !(matches!(e, Entry::Failed { .. }) && e.path() == path));
            }
            Command::Forget(path) => self.forget(path),
            Command::Move(step) => {
                let canvas = self.canvas;
                self.change_image(|image| {
                    (image.camera, image.framing) = image.camera_after(image.camera, step, canvas)
                });
            }
            Command::SetCamera(camera) => {
                let canvas = self.canvas;
                self.change_image(|image| {
                    image.camera = camera;
                    let size = image.info().size;
                    image.camera.clamp(size, canvas);
                    image.framing = Framing::Free;
                });
            }
            Command::SetChannelVisible(index, visible) => {
                self.change_channel(index, |c| c.visible = visible);
                self.show_round_of(index);
                self.ask_for_sample();
            }
            Command::ToggleChannel(place) => {
                let index = self.current().and_then(|i| i.channels.get(place)).map(|c| c.index);
                if let Some(index) = index {
                    self.change_channel(index, |c| c.visible = !c.visible);
                    self.show_round_of(index);
                    self.ask_for_sample();
                }
            }
            Command::SetColor(index, color) => self.change_channel(index, |c| c.color = color),
            Command::SetWindow(index, window) => self.change_channel(index, |c| {
                c.window = c.checked(window);
                c.origin = WindowOrigin::User;
            }),
            Command::AutoWindow(index) => self.change_channels(index, |c| {
                if let Some(window) = c.automatic_window() {
                    c.window = c.checked(window);
                    c.origin = WindowOrigin::Settled;
                }
            }),
            Command::FullWindow(index) => self.change_channels(index, |c| {
                c.window = Window { min: 0.0, max: c.full_range };
                c.origin = WindowOrigin::User;
            }),
            Command::SetFocus(z) => self.change_image(|i| i.z = z.min(i.info().z_count.saturating_sub(1))),
            Command::SetTime(t) => self.change_image(|i| i.t = t.min(i.info().t_count.saturating_sub(1))),
            Command::Mosaic(command) => self.mosaic_command(command),
            Command::ChooseToCombine(open) => self.combining = open && self.can_combine(),
            Command::CombineAsMosaic(sets) => self.combine(&sets),
            Command::ShowSeparately(set) => self.separate(set),
            Command::PixelSizeTool(tool) => self.pixel_size_tool = tool,
            Command::SetPixelSize(um) if is_pixel_size(um) => {
                self.edit_pixel_size(|_| PixelSize { um_per_px: Some(um), calibration: Calibration::User })
            }
            // The field says what it takes; anything else is not a size.
            Command::SetPixelSize(_) => {}
            Command::ResetPixelSize => self.edit_pixel_size(|image| {
                let info = image.info();
                PixelSize { um_per_px: info.um_per_px, calibration: info.calibration }
            }),
            Command::Undo => {
                if let Some(edit) = self.undo.undo() {
                    self.make(&edit, false);
                }
            }
            Command::Redo => {
                if let Some(edit) = self.undo.redo() {
                    self.make(&edit, true);
                }
            }
            Command::PointAt(place) => self.point_at(place),
            Command::SetScrollMode(mode) => self.prefer(|p| p.scroll = mode),
            Command::SetInvertScroll(invert) => self.prefer(|p| p.invert_scroll = invert),
            Command::SetBackground(background) => self.prefer(|p| p.background = background),
            Command::SetMotion(motion) => self.prefer(|p| p.motion = motion),
            Command::SetSmoothPixels(smooth) => self.prefer(|p| p.smooth_pixels = smooth),
            Command::SetTheme(theme) => self.prefer(|p| p.theme = theme),
            Command::SetInterfaceScale(scale) => {
                if scale.is_finite() {
                    self.prefer(|p| p.interface_scale = scale.clamp(*INTERFACE_SCALE.start(), *INTERFACE_SCALE.end()));
                }
            }
            Command::TogglePanels => self.panels_hidden = !self.panels_hidden,
            Command::ToggleOverview => self.prefer(|p| p.overview = !p.overview),
            Command::ShowTab(tab) => {
                self.right_tab = tab;
                self.panels_hidden = false;
            }
            Command::ToggleKeys => self.keys_shown = !self.keys_shown,
            Command::CancelJob(job) => {
                self.jobs.retain(|j| j.id != job);
                self.cancelled.insert(job);
                self.requests.push(Request::Cancel(job));
            }
            Command::ClearProblems => self.problems.clear(),
            Command::ShowAssociated(index) => {
                self.associated_shown = index;
                if let (Some(index), Some(image)) = (index, self.current()) {
                    let request = Request::Associated { set: image.id.set, index };
                    self.requests.push(request);
                }
            }
            Command::SetWindowSize(size) => {
                if self.settings.window_size != Some(size) {
                    self.settings.window_size = Some(size);
                    self.settings_changed = true;
                }
            }
            Command::Export(command) => self.apply_export(command),
            Command::Quit => self.requests.push(Request::Quit),
        }
    }

    /// Opens paths that were chosen at once: files among them may belong together.
    fn want_open_all(&mut self, paths: Vec<PathBuf>) {
        let before = self.requests.len();
        paths.into_iter().for_each(|path| self.want_open(path));
        let is_open = |r: &Request| matches!(r, Request::Open(_));
        if self.requests[before..].iter().filter(|r| is_open(r)).count() < 2 {
            return;
        }
        let mut several = Vec::new();
        for request in self.requests.split_off(before) {
            match request {
                Request::Open(path) => several.push(path),
                other => self.requests.push(other),
            }
        }
        self.requests.push(Request::OpenAs(OpenAs::Several(several)));
    }

    /// Opens a path, or shows it where it is open already.
    pub(super) fn want_open(&mut self, path: PathBuf) {
        let known = self.entries.iter().position(|e| e.path() == path);
        match known.map(|place| &self.entries[place]) {
            Some(Entry::Open(set)) => {
                let id = ImageId { set: set.id, field: set.first() };
                self.show_next = false;
                self.show(id);
                return;
            }
            Some(Entry::Opening(_)) => return,
            Some(Entry::Failed { .. }) => self.entries.retain(|e| e.path() != path),
            None => {}
        }
        if self.entries.len() >= MAX_ENTRIES {
            self.add_problem(None, format!("Close some images first: {MAX_ENTRIES} are open, {}", path.display()));
            return;
        }
        self.entries.push(Entry::Opening(path.clone()));
        self.requests.push(Request::Open(path));
    }

    pub(super) fn show(&mut self, id: ImageId) {
        if self.images.contains_key(&id) && self.current != Some(id) {
            self.current = Some(id);
            self.associated_shown = None;
            self.pixel_size_tool = PixelSizeTool::Closed;
            self.pointer = None;
            // A panel that is about another image would write that one.
            self.export = self.export.take().filter(|panel| panel.image == id);
        }
    }

    pub(super) fn close(&mut self, set: SetId) {
        let place = self.entries.iter().position(|e| matches!(e, Entry::Open(s) if s.id == set));
        self.entries.retain(|e| !matches!(e, Entry::Open(s) if s.id == set));
        self.images.retain(|id, _| id.set != set);
        self.failed_tiles.remove(&set);
        self.problems.retain(|p| p.set != Some(set));
        self.jobs.retain(|j| j.set != Some(set));
        let images = &self.images;
        self.undo.retain(|id| images.contains_key(&id));
        self.export = self.export.take().filter(|panel| panel.image.set != set);
        self.requests.push(Request::Close(set));
        if self.current.is_some_and(|id| id.set == set) {
            self.current = None;
            self.associated_shown = None;
            self.pixel_size_tool = PixelSizeTool::Closed;
            let open = |e: &Entry| match e {
                Entry::Open(s) => Some(ImageId { set: s.id, field: s.first() }),
                _ => None,
            };
            let place = place.unwrap_or(0).min(self.entries.len());
            let next = self.entries[place..].iter().find_map(open);
            if let Some(id) = next.or_else(|| self.entries[..place].iter().rev().find_map(open)) {
                self.show(id);
            }
        }
    }

    fn forget(&mut self, path: PathBuf) {
        let set = self.entries.iter().find_map(|e| match e {
            Entry::Open(set) if set.path == path => Some(set.id),
            _ => None,
        });
        if let Some(set) = set {
            self.close(set);
        }
        self.entries.retain(|e| e.path() != path);
        self.settings.recent.retain(|p| *p != path);
        self.settings_changed = true;
        self.shown.forget(&path);
        self.display_changed.retain(|id| self.images.contains_key(id));
        if self.images_text == super::SavedText::Known {
            super::save(&mut self.requests, super::IMAGES, &self.shown);
        }
        self.requests.push(Request::Forget(path));
    }

    fn point_at(&mut self, place: Option<Point>) {
        let pixel = |p: Point| (p.x.floor(), p.y.floor());
        let before = self.pointer.map(pixel);
        self.pointer = place;
        if before == place.map(pixel) {
            return;
        }
        self.ask_for_sample();
    }

    /// Asks for the values under the pointer. Those of another pixel are shown no longer.
    pub(super) fn ask_for_sample(&mut self) {
        let pointer = self.pointer;
        let Some(image) = self.current.and_then(|id| self.images.get_mut(&id)) else { return };
        let size = image.info().size;
        let inside = |v: f64, most: u32| v >= 0.0 && v < f64::from(most);
        let under = pointer.filter(|p| inside(p.x, size.width) && inside(p.y, size.height));
        let under = under.map(|p| (p.x as u32, p.y as u32));
        image.read_out = image.read_out.take().filter(|read_out| under == Some((read_out.x, read_out.y)));
        if let Some((x, y)) = under {
            let planes = image.visible_planes();
            self.requests.push(Request::Sample { set: image.id.set, planes, x, y });
        }
    }

    fn change_image(&mut self, change: impl FnOnce(&mut OpenImage)) {
        if let Some(image) = self.current.and_then(|id| self.images.get_mut(&id)) {
            let (turn, flipped) = (image.camera.rotation_rad, image.camera.flipped);
            change(image);
            // Where one looks is not kept; how the image lies is.
            if turn != image.camera.rotation_rad || flipped != image.camera.flipped {
                self.display_changed.insert(image.id);
            }
        }
    }

    /// A channel that was switched on is seen: rounds are shown one at a time.
    fn show_round_of(&mut self, index: u16) {
        let Some(image) = self.current() else { return };
        if let Some(round) = image.channel(index).filter(|c| c.visible).map(|c| c.round) {
            self.show_round(image.id, round);
        }
    }

    fn change_channel(&mut self, index: u16, change: impl Fn(&mut super::ChannelView)) {
        self.change_channels(Some(index), change);
    }

    /// Changes a channel, or all of them for `None`, as the user asked.
    fn change_channels(&mut self, index: Option<u16>, change: impl Fn(&mut super::ChannelView)) {
        let Some(image) = self.current.and_then(|id| self.images.get_mut(&id)) else { return };
        image.channels.iter_mut().filter(|c| index.is_none_or(|i| i == c.index)).for_each(change);
        image.display_touched = true;
        self.display_changed.insert(image.id);
    }

    fn prefer(&mut self, change: impl FnOnce(&mut super::Preferences)) {
        change(&mut self.settings.preferences);
        self.settings_changed = true;
    }

    fn edit_pixel_size(&mut self, size: impl FnOnce(&OpenImage) -> PixelSize) {
        self.pixel_size_tool = PixelSizeTool::Closed;
        let Some(image) = self.current() else { return };
        let before = PixelSize { um_per_px: image.um_per_px, calibration: image.calibration };
        let edit = Edit::PixelSize { image: image.id, before, after: size(image) };
        if matches!(edit, Edit::PixelSize { before, after, .. } if before == after) {
            return;
        }
        self.make(&edit, true);
        self.undo.push(edit);
    }

    /// Makes a change, or takes it back.
    pub(super) fn make(&mut self, edit: &Edit, forwards: bool) {
        match edit {
            Edit::PixelSize { image: id, before, after } => {
                let size = if forwards { after } else { before };
                let canvas = self.canvas;
                if let Some(image) = self.images.get_mut(id) {
                    image.set_pixel_size(size.um_per_px, size.calibration);
                    image.reframe(canvas);
                }
                self.display_changed.insert(*id);
            }
            Edit::Mosaic { image, before, after, .. } => self.put_edits(*image, if forwards { after } else { before }),
            Edit::Regroup { before, after, .. } => {
                let (closed, opened) = if forwards { (before, after) } else { (after, before) };
                self.put_groups(closed, opened);
            }
        }
        if let Some(id) = edit.image() {
            self.show(id);
        }
    }
}
