//! The view on the clipboard: painted by a worker as it is on the canvas, handed to the system by the window.

use super::exporting;
use crate::engine::{Engine, OpenSet};
use crate::error::Result;
use crate::geom::PixelRect;
use crate::session::PicturePlan;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// The picture that is being painted for the clipboard, if one is.
#[derive(Default)]
pub struct Copying {
    awaited: Option<Receiver<Result<egui::ColorImage>>>,
}

impl Copying {
    /// Starts painting. A newer picture takes the place of one that is still awaited.
    pub fn start(&mut self, engine: &Engine, plan: PicturePlan, ctx: &egui::Context) {
        let (send, receive) = channel();
        self.awaited = Some(receive);
        let ctx = ctx.clone();
        engine.with_set(
            plan.image.set,
            Box::new(move |set| {
                // The window may want another picture by now, or be gone.
                if send.send(paint(set, &plan)).is_ok() {
                    ctx.request_repaint();
                }
            }),
        );
    }

    /// Puts a finished picture on the clipboard. An error is in words for the user.
    pub fn finish(&mut self, ctx: &egui::Context) -> Option<std::result::Result<(), String>> {
        let picture = match self.awaited.as_ref()?.try_recv() {
            Ok(picture) => picture,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => {
                self.awaited = None;
                return None;
            }
        };
        self.awaited = None;
        Some(match picture {
            Ok(image) => {
                ctx.copy_image(image);
                Ok(())
            }
            Err(error) => Err(format!("the view could not be copied: {error}")),
        })
    }
}

fn paint(set: &OpenSet, plan: &PicturePlan) -> Result<egui::ColorImage> {
    let shown = exporting::shown(plan);
    let picture = exporting::painted(set, &shown, plan, &set.cancel)?;
    let width = plan.size.width as usize;
    let mut image = egui::ColorImage::filled([width, plan.size.height as usize], egui::Color32::BLACK);
    picture.paint(&mut |piece: PixelRect, rgba| {
        for (row, from) in rgba.chunks_exact(piece.width as usize * 4).enumerate() {
            let at = (piece.y as usize + row) * width + piece.x as usize;
            let to = &mut image.pixels[at..at + piece.width as usize];
            for (to, p) in to.iter_mut().zip(from.chunks_exact(4)) {
                *to = egui::Color32::from_rgb(p[0], p[1], p[2]);
            }
        }
        Ok(())
    })?;
    Ok(image)
}
