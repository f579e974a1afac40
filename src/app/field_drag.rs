//! A field that is dragged by hand: the pointer with Ctrl held moves the field, where without it moves the image.

use super::canvas::Place;
use crate::geom::Point;
use crate::session::{Command, MosaicCommand, Session};
use crate::view::Camera;
use egui::{PointerButton, Response, Ui};

/// The drag that is under way: which field, and where it was taken hold of in image pixels.
#[derive(Debug, Default, Clone, Copy)]
pub struct FieldDrag {
    held: Option<(u32, Point)>,
}

impl FieldDrag {
    /// Whether there is a field under the pointer.
    pub fn is_possible(&self, session: &Session) -> bool {
        let view = session.current().and_then(|image| image.mosaic.as_ref());
        self.held.is_some() || session.pointer().is_some_and(|at| view.is_some_and(|v| v.field_at(at).is_some()))
    }

    /// Takes the canvas's input of a frame. True while it is a field that is dragged, and not the image.
    pub fn input(
        &mut self,
        ui: &Ui,
        response: &Response,
        place: Place,
        camera: &Camera,
        session: &mut Session,
    ) -> bool {
        let to_image = camera.image_from_screen(place.size);
        let at = |p: egui::Pos2| to_image.apply(place.screen_from_ui(p));
        let (pressed, with_command, origin) =
            ui.input(|i| (i.pointer.any_pressed(), i.modifiers.command, i.pointer.press_origin()));
        if pressed && with_command && response.is_pointer_button_down_on() {
            let view = session.current().and_then(|image| image.mosaic.as_ref());
            self.held = origin.and_then(|p| view?.field_at(at(p)).map(|field| (field, at(p))));
        }
        let Some((field, from)) = self.held else { return false };
        let dragged = response.dragged_by(PointerButton::Primary) || response.drag_stopped_by(PointerButton::Primary);
        // Escape has ended it: the rest of this drag moves nothing.
        let ended = session.current().and_then(|i| i.mosaic.as_ref()).is_none_or(|view| view.dragged().is_none());
        if dragged && let Some(pointer) = response.interact_pointer_pos() {
            let first = response.drag_started() || !ended;
            if first {
                session.apply(Command::Mosaic(MosaicCommand::DragField(field, at(pointer) - from)));
            }
        }
        if response.drag_stopped() {
            let moved = session.current().and_then(|i| i.mosaic.as_ref()).is_some_and(|view| view.dragged().is_some());
            if moved {
                session.apply(Command::Mosaic(MosaicCommand::DropField));
            }
        }
        if !ui.input(|i| i.pointer.any_down()) {
            self.held = None;
        }
        true
    }
}
